//! All a decision may look at: requests of acquirers and answers of issuers, in plain values.

use alloc::boxed::Box;

use codecs::value::{
    Amount, ApprovalCode, Currency, Expiry, MerchantId, Pan, PartyId, ProcessingCode, ResponseCode, Rrn,
    Stan, TerminalId,
};

use crate::advice::Kept;
use crate::cards::AccountHash;
use crate::event::{AcquirerId, AcquirerLink, IssuerLink, ShardId, Ticket};
use crate::programs::ProgramId;

/// What kind of request it is, from the class and function digits of its MTI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 0100 and its repeat.
    Authorization,
    /// 0200 and its repeat.
    Financial,
    /// 0120 and its repeat: an authorization told afterwards.
    AuthorizationAdvice,
    /// 0220 and its repeat.
    FinancialAdvice,
    /// 0400 and its repeat: undo a request.
    Reversal,
    /// 0420 and its repeat: a request was undone, and its sender tells it until it is heard.
    ReversalAdvice,
}

impl Class {
    /// Every class, in the order of their counters.
    pub const ALL: [Self; 6] = [
        Self::Authorization,
        Self::Financial,
        Self::AuthorizationAdvice,
        Self::FinancialAdvice,
        Self::Reversal,
        Self::ReversalAdvice,
    ];

    /// Told afterwards: it cannot be refused, only put off.
    #[must_use]
    pub fn is_advice(self) -> bool {
        matches!(self, Self::AuthorizationAdvice | Self::FinancialAdvice)
    }

    /// It undoes another message.
    #[must_use]
    pub fn is_reversal(self) -> bool {
        matches!(self, Self::Reversal | Self::ReversalAdvice)
    }

    /// The name metrics and logs use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Financial => "financial",
            Self::AuthorizationAdvice => "authorization_advice",
            Self::FinancialAdvice => "financial_advice",
            Self::Reversal => "reversal",
            Self::ReversalAdvice => "reversal_advice",
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|class| *class == self).unwrap_or(0)
    }
}

/// Which message it is: a keyed 128-bit hash of principal, MTI class, DE 7 (12 and 13 in 1993), 11, 32,
/// 33, 41 and 42. Never the link: a repeat may come over another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity(pub u128);

/// What the message says. Two messages of one identity and another fingerprint are two different requests under
/// one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// A keyed 128-bit hash of DE 2, 3, 4, 14, 22, 37 and 49.
    pub content: u128,
    /// A keyed 64-bit hash of DE 35, in memory only: nothing made of a track reaches the disk. `None` after a
    /// restart, when it is not compared.
    pub track: Option<u64>,
}

impl Fingerprint {
    /// Whether two messages say the same, as far as both are known.
    #[must_use]
    pub fn fits(&self, other: &Self) -> bool {
        let tracks = self.track.is_none() || other.track.is_none() || self.track == other.track;
        self.content == other.content && tracks
    }
}

/// The values by which an answer is recognised, beside the trace number we gave the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchKeys {
    /// DE 7 as a number; in 1993 messages DE 12.
    pub moment: u64,
    /// DE 32.
    pub acquirer: Option<PartyId>,
    /// DE 37.
    pub rrn: Option<Rrn>,
    /// DE 41.
    pub terminal: Option<TerminalId>,
    /// DE 42.
    pub merchant: Option<MerchantId>,
}

impl MatchKeys {
    /// Whether an answer with these keys can belong to a request with those: the moment is the same, and
    /// so is everything that both carry.
    #[must_use]
    pub fn fits(&self, answer: &Self) -> bool {
        self.moment == answer.moment
            && same_if_both(self.acquirer, answer.acquirer)
            && same_if_both(self.rrn, answer.rrn)
            && self.is_same_place(answer)
    }

    /// Whether both are of one terminal and merchant, as far as both say it.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        same_if_both(self.terminal, other.terminal) && same_if_both(self.merchant, other.merchant)
    }
}

/// A request of an acquirer, sound in form and consistent in itself.
#[derive(Clone, Debug)]
pub struct Request {
    /// The raw message, kept at the edge.
    pub ticket: Ticket,
    /// The connection it came over.
    pub link: AcquirerLink,
    /// Who sent it: the principal, never what the message claims.
    pub acquirer: AcquirerId,
    /// What it asks for.
    pub class: Class,
    /// It says of itself that it was sent before (the repeat digit of its MTI).
    pub is_repeat: bool,
    /// Which message it is.
    pub identity: Identity,
    /// What it says.
    pub fingerprint: Fingerprint,
    /// DE 11 as the acquirer gave it.
    pub stan: Stan,
    /// What a reversal undoes.
    pub original: Option<Box<Original>>,
    /// The shard that is home to the card's account.
    pub home: ShardId,
    /// DE 2, or the card number of the track. A reversal may name its original instead.
    pub pan: Option<Pan>,
    /// DE 4 and 49.
    pub amount: Amount,
    /// DE 3.
    pub processing_code: Option<ProcessingCode>,
    /// DE 14, or the expiry of the track.
    pub expiry: Option<Expiry>,
    /// The message only asks whether the account is good (DE 25 = 51): it has no amount.
    pub verification_only: bool,
    /// The program that serves the card's range, if one does.
    pub program: Option<ProgramId>,
    /// The hash of the card's number; zero where no program serves it.
    pub account: AccountHash,
    /// The entry mode of DE 22, as 1987 numbers it.
    pub entry_mode: Option<u8>,
    /// The service code of the track of a program's card.
    pub service_code: Option<[u8; 3]>,
    /// What the track's discretionary data hold, in the program's layout.
    pub presented: Presented,
    /// DE 33.
    pub forwarder: Option<PartyId>,
    /// DE 12, digits as a number: the time of day in 1987, date and time in 1993.
    pub local_time: Option<u64>,
    /// DE 13 as a number.
    pub local_date: Option<u32>,
    /// DE 7 or 12, 32, 37, 41 and 42.
    pub keys: MatchKeys,
    /// The rest of the message, where its issuer may have to be told of it from what was written down: of advices, and
    /// of cards that may be stood in for.
    pub kept: Option<Kept>,
}

impl Request {
    /// What is written down of it.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked {
            identity: self.identity,
            fingerprint: self.fingerprint,
            acquirer: self.acquirer,
            class: self.class,
            stan: self.stan,
            amount: self.amount,
            processing_code: self.processing_code,
            forwarder: self.forwarder,
            local_time: self.local_time,
            local_date: self.local_date.map(u64::from),
            keys: self.keys,
        }
    }
}

/// What a reversal says of its original: DE 90 or DE 56, and how much of it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// Which message: the same keyed hash as of the original itself.
    pub identity: Identity,
    /// The original is itself a reversal, by its message type.
    pub is_reversal: bool,
    /// What stays valid of a payment that is undone in part (DE 95), minor units.
    pub left_minor: Option<u64>,
    /// What is said of it, where its identity is not known: a reversal may name it by less than all that makes up an
    /// identity, and come from elsewhere.
    pub named: Named,
}

/// An original as DE 90 or DE 56 names it. What is left out there is nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its DE 11.
    pub stan: Stan,
    /// What it asked for, not as an advice.
    pub class: Option<Class>,
    /// Its DE 7; in 1993 its DE 12.
    pub moment: Option<u64>,
    /// Its DE 32.
    pub acquirer: Option<PartyId>,
    /// Its DE 33.
    pub forwarder: Option<PartyId>,
}

impl Named {
    /// Whether it may be this request.
    #[must_use]
    pub fn fits(&self, asked: &Asked) -> bool {
        let class = match asked.class {
            Class::AuthorizationAdvice => Class::Authorization,
            Class::FinancialAdvice => Class::Financial,
            class => class,
        };
        self.stan == asked.stan
            && self.class.is_none_or(|named| named == class)
            && self.moment.is_none_or(|moment| moment == asked.keys.moment)
            && same_if_both(self.acquirer, asked.keys.acquirer)
            && same_if_both(self.forwarder, asked.forwarder)
    }
}

/// Whether two values are the same, or one is not known.
pub(crate) fn same_if_both<T: PartialEq>(ours: Option<T>, theirs: Option<T>) -> bool {
    ours.is_none() || theirs.is_none() || ours == theirs
}

/// A request as it is written down: everything that tells which one it was, nothing that could be used to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which message it is.
    pub identity: Identity,
    /// What it says.
    pub fingerprint: Fingerprint,
    /// Who sent it.
    pub acquirer: AcquirerId,
    /// What it asks for.
    pub class: Class,
    /// DE 11 as the acquirer gave it.
    pub stan: Stan,
    /// DE 4 and 49.
    pub amount: Amount,
    /// DE 3.
    pub processing_code: Option<ProcessingCode>,
    /// DE 33.
    pub forwarder: Option<PartyId>,
    /// DE 12 as a number.
    pub local_time: Option<u64>,
    /// DE 13 as a number.
    pub local_date: Option<u64>,
    /// DE 7, 32, 37, 41 and 42.
    pub keys: MatchKeys,
}

/// The entry mode of a contactless card or phone in stripe mode.
pub const CONTACTLESS_STRIPE: u8 = 91;

/// What stands in a track's discretionary data, by the layout of the card's program. Codes are not here: the
/// token reads them from the raw message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// There is no track.
    Nothing,
    /// It is not of the layout.
    Broken,
    /// All zeros: no code was put in.
    Absent,
    /// The public ATC or the reference of a challenge that its code belongs to.
    Label(u16),
}

impl Presented {
    /// The public ATC or the reference, if there is one.
    #[must_use]
    pub fn label(self) -> Option<u16> {
        match self {
            Self::Label(label) => Some(label),
            Self::Nothing | Self::Broken | Self::Absent => None,
        }
    }
}

/// What an issuer says to one of our legs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The raw message, kept at the edge.
    pub ticket: Ticket,
    /// The link it came over.
    pub link: IssuerLink,
    /// The class its MTI answers.
    pub class: Class,
    /// DE 11: the trace number we gave the leg.
    pub stan: Stan,
    /// DE 7, 32, 37, 41 and 42.
    pub keys: MatchKeys,
    /// DE 2, if echoed.
    pub pan: Option<Pan>,
    /// DE 3, if echoed.
    pub processing_code: Option<ProcessingCode>,
    /// DE 4, if echoed: the amount approved, minor units.
    pub amount_minor: Option<u64>,
    /// DE 49, if echoed.
    pub currency: Option<Currency>,
    /// DE 38.
    pub approval_code: Option<ApprovalCode>,
    /// DE 39; [`ResponseCode::NONE`] where it is not there.
    pub response_code: ResponseCode,
}

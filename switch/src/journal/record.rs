//! A fact as bytes: a kind, a length, and its values in the order of their declaration, little-endian. What may be
//! absent has a byte before it that says so. Card numbers stand encrypted behind all records of a batch, in the order in
//! which the records name them; a reader without the key gets every fact without them.
//!
//! A kind, once given, is never given anew; a reader refuses a kind that it does not know, for a promise that is not
//! understood must not be forgotten.

use authorizer::advice::{Advice, Kept};
use authorizer::atc_window::Candidates;
use authorizer::cards::{AccountHash, Funding, Personalised, Tag};
use authorizer::decision::{DeclineReason, Outcome, Verdict};
use authorizer::event::{AcquirerId, IssuerId, IssuerLink};
use authorizer::fact::Fact;
use authorizer::programs::{ProgramId, Question};
use authorizer::provision::{Change, Provision};
use authorizer::request::{Asked, Class, Fingerprint, Identity, MatchKeys};
use authorizer::saf::{Reversal, Why};
use authorizer::transaction::Sent;
use codecs::value::{
    Amount, ApprovalCode, Currency, MerchantId, Pan, PartyId, ProcessingCode, ResponseCode, Rrn, Stan,
    TerminalId,
};

use super::keys::{Cards, Keys, Sealer};

/// What a record needs beside its fact.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) sealer: &'a mut Sealer,
    pub(super) keys: &'a Keys,
}

/// A card's token, in records that name a card.
pub(crate) type CardToken = [u8; 16];

impl Writer<'_> {
    /// Appends one fact.
    pub(super) fn fact(&mut self, fact: &Fact) {
        self.record(|w| w.body(fact));
    }

    /// Appends one record, whose body says of which kind it is.
    pub(super) fn record(&mut self, body: impl FnOnce(&mut Self) -> u8) {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 5]);
        let kind = body(self);
        let bytes = (self.out.len() - start - 5) as u32;
        self.out[start] = kind;
        self.out[start + 1..start + 5].copy_from_slice(&bytes.to_le_bytes());
    }

    fn body(&mut self, fact: &Fact) -> u8 {
        match fact {
            Fact::Intent(sent) => {
                self.sent(sent);
                1
            }
            Fact::Result { identity, outcome } => {
                self.u128(identity.0);
                self.outcome(outcome);
                2
            }
            Fact::Timeout { identity, outcome, undo } => {
                self.u128(identity.0);
                self.outcome(outcome);
                self.undo(undo.as_deref());
                3
            }
            Fact::Reversed { identity, left_minor, undo } => {
                self.u128(identity.0);
                self.u64(*left_minor);
                self.undo(undo.as_deref());
                4
            }
            Fact::Tombstone { identity, acquirer } => {
                self.u128(identity.0);
                self.u16(acquirer.0);
                5
            }
            Fact::Advised(advice) => {
                self.advice(advice);
                13
            }
            Fact::ReversalDone { issuer, stan } => self.of_reversal(*issuer, *stan, 6),
            Fact::ReversalParked { issuer, stan } => self.of_reversal(*issuer, *stan, 7),
            Fact::ReversalReleased { issuer, stan } => self.of_reversal(*issuer, *stan, 8),
            Fact::Declined { asked, outcome } => {
                self.asked(asked);
                self.outcome(outcome);
                9
            }
            Fact::Judged { identity, account, program, question, is_right } => {
                self.u128(identity.0);
                self.u64(account.0);
                self.u16(program.0);
                self.question(question);
                self.u8(u8::from(*is_right));
                10
            }
            Fact::Provisioned(provision) => {
                self.provision(provision);
                11
            }
            Fact::Late { issuer, stan, approved, undo } => {
                self.u16(issuer.0);
                self.u32(stan.number());
                self.u8(u8::from(*approved));
                self.undo(undo.as_deref());
                12
            }
        }
    }

    pub(super) fn of_reversal(&mut self, issuer: IssuerId, stan: Stan, kind: u8) -> u8 {
        self.u16(issuer.0);
        self.u32(stan.number());
        kind
    }

    pub(super) fn sent(&mut self, sent: &Sent) {
        self.u16(sent.to.issuer.0);
        self.u16(sent.to.link);
        self.u32(sent.stan.number());
        self.u8(u8::from(sent.is_funded));
        self.u64(sent.received_us);
        self.card(sent.pan.as_ref());
        self.asked(&sent.asked);
    }

    fn asked(&mut self, asked: &Asked) {
        self.u128(asked.identity.0);
        // The track's part stays in memory.
        self.u128(asked.fingerprint.content);
        self.u16(asked.acquirer.0);
        self.u8(asked.class.index() as u8);
        self.u32(asked.stan.number());
        self.u64(asked.amount.minor());
        self.u16(asked.amount.currency().number());
        self.option(asked.processing_code, |w, code| w.bytes(&code.digits()));
        self.option(asked.forwarder, |w, party| w.u64(party.packed()));
        self.option(asked.local_time, Self::u64);
        self.option(asked.local_date, Self::u64);
        self.keys(&asked.keys);
    }

    fn keys(&mut self, keys: &MatchKeys) {
        self.u64(keys.moment);
        self.option(keys.acquirer, |w, party| w.u64(party.packed()));
        self.option(keys.rrn, |w, rrn| w.bytes(rrn.as_bytes()));
        self.option(keys.terminal, |w, terminal| w.bytes(terminal.as_bytes()));
        self.option(keys.merchant, |w, merchant| w.bytes(merchant.as_bytes()));
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        match outcome.verdict {
            Verdict::Approved => self.u8(0),
            Verdict::Taken => self.u8(1),
            Verdict::Declined(reason) => {
                self.u8(2);
                let name = reason.name().as_bytes();
                self.u8(name.len() as u8);
                self.bytes(name);
            }
        }
        let code = outcome.response_code.as_bytes();
        self.u8(code.len() as u8);
        self.bytes(code);
        self.option(outcome.approval_code, |w, code| w.bytes(code.as_bytes()));
        self.option(outcome.approved_minor, Self::u64);
    }

    pub(super) fn undo(&mut self, undo: Option<&Reversal>) {
        let Some(reversal) = undo else { return self.u8(0) };
        self.u8(1);
        self.sent(&reversal.sent);
        self.u32(reversal.stan.number());
        self.u64(reversal.moment);
        self.u16(reversal.year);
        self.u8(reversal.why.number());
        self.u64(reversal.left_minor);
        self.option(reversal.approval_code, |w, code| w.bytes(code.as_bytes()));
        self.u8(u8::from(reversal.is_repeat));
    }

    pub(super) fn advice(&mut self, advice: &Advice) {
        self.sent(&advice.sent);
        self.outcome(&advice.outcome);
        self.u8(u8::from(advice.is_repeat));
        self.u32(advice.kept.0.len() as u32);
        self.bytes(&advice.kept.0);
    }

    fn question(&mut self, question: &Question) {
        match question {
            // What the token needed beside it is not a part of what happened.
            Question::RotatingCode { psn, bundle, atc, .. } => {
                self.u8(0);
                self.u8(*psn);
                self.u32(*bundle);
                self.u16(*atc);
            }
            Question::Response { challenge, .. } => {
                self.u8(1);
                self.bytes(challenge);
            }
            Question::CardCode { psn, atcs, .. } => {
                self.u8(2);
                self.u8(*psn);
                self.option(atcs.only(), Self::u16);
            }
        }
    }

    fn provision(&mut self, provision: &Provision) {
        self.u64(provision.account.0);
        self.card(Some(&provision.pan));
        match provision.change {
            Change::Enrol { psn, funding, personalised, atc } => {
                self.u8(11);
                self.u8(psn);
                self.option(funding, Self::funding);
                self.u16(atc);
                self.personalised(personalised);
            }
            Change::IssueBundle { id, first, count, ttl_us } => {
                self.u8(1);
                self.u32(id);
                self.u16(first);
                self.u16(count);
                self.u64(ttl_us);
            }
            Change::ConfirmBundle(id) => {
                self.u8(2);
                self.u32(id);
            }
            Change::RevokeBundle(id) => {
                self.u8(3);
                self.u32(id);
            }
            Change::Challenge { digits, ttl_us, tag: None } => {
                self.u8(4);
                self.bytes(&digits);
                self.u64(ttl_us);
            }
            Change::Challenge { digits, ttl_us, tag: Some(tag) } => {
                self.u8(8);
                self.bytes(&digits);
                self.u64(ttl_us);
                self.tag(&tag);
            }
            Change::Stripe { psn, constant } => {
                self.u8(9);
                self.u8(psn);
                self.bytes(&constant);
            }
            Change::Block => self.u8(5),
            Change::Unblock => self.u8(6),
            Change::Look => self.u8(7),
        }
    }

    /// What is stored of a response.
    pub(super) fn tag(&mut self, tag: &Tag) {
        match tag {
            Tag::Aes(tag) => {
                self.u8(0);
                self.bytes(tag);
            }
            Tag::Hmac(tag) => {
                self.u8(1);
                self.bytes(tag);
            }
        }
    }

    /// The card behind a proxy.
    pub(super) fn funding(&mut self, funding: Funding) {
        self.card(Some(&funding.pan));
        self.bytes(&funding.expiry.digits());
    }

    /// What a proxy's track says.
    pub(super) fn personalised(&mut self, Personalised { expiry, service_code }: Personalised) {
        self.option(expiry, |w, expiry| w.bytes(&expiry.digits()));
        self.option(service_code, |w, code| w.bytes(&code));
    }

    pub(super) fn card(&mut self, pan: Option<&Pan>) {
        let Some(pan) = pan else { return self.u8(0) };
        self.u8(1);
        let token = self.keys.token(pan);
        self.bytes(&token);
        self.sealer.put(pan);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u128(&mut self, value: u128) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

/// Reads the records of one batch.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    cards: Cards,
    /// The token of the last card that was read.
    token: Option<CardToken>,
}

/// A record that no version up to this one has written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotARecord;

/// A fact and the token of the card it names.
type Read = (Fact, Option<CardToken>);

impl<'a> Reader<'a> {
    /// Over the payload of a batch. Without the key, card numbers stay closed.
    pub(super) fn new(payload: &'a [u8], sealer: Option<&Sealer>) -> Result<Self, NotARecord> {
        let (rest, cards) = Cards::split(payload, sealer).ok_or(NotARecord)?;
        Ok(Self { rest, cards, token: None })
    }

    /// The next fact; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Result<Read, NotARecord>> {
        if self.is_at_end() {
            return None;
        }
        Some(self.record(Self::fact).ok_or(NotARecord))
    }

    /// Whether every record was read, and every card number named.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty() && self.cards.are_all_taken()
    }

    /// One record, whose body is read as its kind says, and the token of the card it names.
    pub(super) fn record<T>(
        &mut self,
        read: impl FnOnce(&mut Self, u8) -> Option<T>,
    ) -> Option<(T, Option<CardToken>)> {
        let kind = self.u8()?;
        let bytes = self.u32()? as usize;
        let (body, after) = self.rest.split_at_checked(bytes)?;
        (self.rest, self.token) = (body, None);
        let value = read(self, kind)?;
        let is_whole = self.rest.is_empty();
        self.rest = after;
        is_whole.then_some((value, self.token))
    }

    fn fact(&mut self, kind: u8) -> Option<Fact> {
        let fact = match kind {
            1 => Fact::Intent(self.sent()?),
            2 => Fact::Result { identity: self.identity()?, outcome: self.outcome()? },
            3 => Fact::Timeout { identity: self.identity()?, outcome: self.outcome()?, undo: self.undo()? },
            4 => Fact::Reversed { identity: self.identity()?, left_minor: self.u64()?, undo: self.undo()? },
            5 => Fact::Tombstone { identity: self.identity()?, acquirer: AcquirerId(self.u16()?) },
            6 => Fact::ReversalDone { issuer: IssuerId(self.u16()?), stan: self.stan()? },
            7 => Fact::ReversalParked { issuer: IssuerId(self.u16()?), stan: self.stan()? },
            8 => Fact::ReversalReleased { issuer: IssuerId(self.u16()?), stan: self.stan()? },
            9 => Fact::Declined { asked: self.asked()?, outcome: self.outcome()? },
            10 => Fact::Judged {
                identity: self.identity()?,
                account: AccountHash(self.u64()?),
                program: ProgramId(self.u16()?),
                question: self.question()?,
                is_right: self.u8()? != 0,
            },
            11 => Fact::Provisioned(Box::new(self.provision()?)),
            12 => Fact::Late {
                issuer: IssuerId(self.u16()?),
                stan: self.stan()?,
                approved: self.u8()? != 0,
                undo: self.undo()?,
            },
            13 => Fact::Advised(Box::new(self.advice()?)),
            _ => return None,
        };
        Some(fact)
    }

    pub(super) fn sent(&mut self) -> Option<Sent> {
        Some(Sent {
            to: IssuerLink { issuer: IssuerId(self.u16()?), link: self.u16()? },
            stan: self.stan()?,
            is_funded: self.u8()? != 0,
            received_us: self.u64()?,
            pan: self.card()?,
            asked: self.asked()?,
        })
    }

    fn asked(&mut self) -> Option<Asked> {
        Some(Asked {
            identity: self.identity()?,
            fingerprint: Fingerprint { content: self.u128()?, track: None },
            acquirer: AcquirerId(self.u16()?),
            class: Class::ALL.get(usize::from(self.u8()?)).copied()?,
            stan: self.stan()?,
            amount: Amount::new(self.u64()?, Currency::new(self.u16()?)?),
            processing_code: self.option(|r| ProcessingCode::parse(r.take::<6>()?))?,
            forwarder: self.option(|r| PartyId::unpacked(r.u64()?))?,
            local_time: self.option(Self::u64)?,
            local_date: self.option(Self::u64)?,
            keys: self.keys()?,
        })
    }

    fn keys(&mut self) -> Option<MatchKeys> {
        Some(MatchKeys {
            moment: self.u64()?,
            acquirer: self.option(|r| PartyId::unpacked(r.u64()?))?,
            rrn: self.option(|r| Rrn::parse(r.take::<12>()?))?,
            terminal: self.option(|r| TerminalId::parse(r.take::<8>()?))?,
            merchant: self.option(|r| MerchantId::parse(r.take::<15>()?))?,
        })
    }

    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let verdict = match self.u8()? {
            0 => Verdict::Approved,
            1 => Verdict::Taken,
            2 => {
                let bytes = self.u8()?;
                let name = self.slice(usize::from(bytes))?;
                Verdict::Declined(
                    DeclineReason::ALL.into_iter().find(|reason| reason.name().as_bytes() == name)?,
                )
            }
            _ => return None,
        };
        let bytes = self.u8()?;
        Some(Outcome {
            verdict,
            response_code: ResponseCode::parse(self.slice(usize::from(bytes))?)?,
            approval_code: self.option(|r| ApprovalCode::parse(r.take::<6>()?))?,
            approved_minor: self.option(Self::u64)?,
        })
    }

    #[expect(clippy::option_option, reason = "absent, or not readable")]
    pub(super) fn undo(&mut self) -> Option<Option<Box<Reversal>>> {
        self.option(|r| {
            Some(Box::new(Reversal {
                sent: r.sent()?,
                stan: r.stan()?,
                moment: r.u64()?,
                year: r.u16()?,
                why: Why::of_number(r.u8()?)?,
                left_minor: r.u64()?,
                approval_code: r.option(|r| ApprovalCode::parse(r.take::<6>()?))?,
                is_repeat: r.u8()? != 0,
            }))
        })
    }

    pub(super) fn advice(&mut self) -> Option<Advice> {
        let (sent, outcome, is_repeat) = (self.sent()?, self.outcome()?, self.u8()? != 0);
        let bytes = self.u32()?;
        let kept = Kept(self.slice(usize::try_from(bytes).ok()?)?.into());
        Some(Advice { sent, outcome, kept, is_repeat })
    }

    fn question(&mut self) -> Option<Question> {
        Some(match self.u8()? {
            0 => Question::RotatingCode {
                psn: self.u8()?,
                bundle: self.u32()?,
                atc: self.u16()?,
                stripe: None,
            },
            1 => Question::Response { challenge: *self.take::<8>()?, tag: None },
            2 => Question::CardCode {
                psn: self.u8()?,
                stripe: [0; 2],
                atcs: self.option(Self::u16)?.map_or(Candidates::NONE, Candidates::one),
            },
            _ => return None,
        })
    }

    fn provision(&mut self) -> Option<Provision> {
        let account = AccountHash(self.u64()?);
        let pan = self.named_card()?;
        let change = match self.u8()? {
            // As it was written before cards had counters of their own, and before a proxy's track was told.
            0 => Change::Enrol {
                psn: self.u8()?,
                funding: self.option(Self::funding)?,
                personalised: Personalised::NONE,
                atc: 0,
            },
            10 => Change::Enrol {
                psn: self.u8()?,
                funding: self.option(Self::funding)?,
                atc: self.u16()?,
                personalised: Personalised::NONE,
            },
            1 => Change::IssueBundle {
                id: self.u32()?,
                first: self.u16()?,
                count: self.u16()?,
                ttl_us: self.u64()?,
            },
            2 => Change::ConfirmBundle(self.u32()?),
            3 => Change::RevokeBundle(self.u32()?),
            4 => Change::Challenge { digits: *self.take::<8>()?, ttl_us: self.u64()?, tag: None },
            5 => Change::Block,
            6 => Change::Unblock,
            7 => Change::Look,
            8 => {
                Change::Challenge { digits: *self.take::<8>()?, ttl_us: self.u64()?, tag: Some(self.tag()?) }
            }
            9 => Change::Stripe { psn: self.u8()?, constant: *self.take::<2>()? },
            11 => Change::Enrol {
                psn: self.u8()?,
                funding: self.option(Self::funding)?,
                atc: self.u16()?,
                personalised: self.personalised()?,
            },
            _ => return None,
        };
        Some(Provision { asker: None, account, pan, change })
    }

    pub(super) fn tag(&mut self) -> Option<Tag> {
        match self.u8()? {
            0 => Some(Tag::Aes(*self.take::<16>()?)),
            1 => Some(Tag::Hmac(*self.take::<32>()?)),
            _ => None,
        }
    }

    /// A card of a program. Without the key it cannot be named, and nobody but the switch needs it.
    pub(super) fn named_card(&mut self) -> Option<Pan> {
        self.card()?.or(Pan::parse(b"00000000"))
    }

    /// A card number: nothing inside without the key, nothing at all when it cannot be opened with it.
    #[expect(clippy::option_option, reason = "absent, or not readable")]
    fn card(&mut self) -> Option<Option<Pan>> {
        let card = self.option(|r| {
            r.token = Some(*r.take::<16>()?);
            r.cards.next()
        })?;
        Some(card.flatten())
    }

    #[expect(clippy::option_option, reason = "absent, or not readable")]
    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(super) fn identity(&mut self) -> Option<Identity> {
        self.u128().map(Identity)
    }

    pub(super) fn stan(&mut self) -> Option<Stan> {
        Stan::new(self.u32()?)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| *byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(|bytes| u64::from_le_bytes(*bytes))
    }

    pub(super) fn u128(&mut self) -> Option<u128> {
        self.take().map(|bytes| u128::from_le_bytes(*bytes))
    }

    pub(super) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn slice(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;

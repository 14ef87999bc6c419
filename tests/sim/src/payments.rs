//! The acquirers' book: every payment they began, what they were told, and what they hold to be true.

use authorizer::advice::Kept;
use authorizer::cards::AccountHash;
use authorizer::decision::{DeclineReason, Outcome, Verdict};
use authorizer::event::{AcquirerId, AcquirerLink, ShardId, Ticket};
use authorizer::programs::ProgramId;
use authorizer::request::{
    CONTACTLESS_STRIPE, Class, Fingerprint, Identity, MatchKeys, Named, Original, Presented, Request,
};
use codecs::value::{Amount, Currency, Expiry, Pan, PartyId, ProcessingCode, Rrn, Stan, TerminalId};

use super::dice::Dice;

/// One payment.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    /// Its number: everything that names it is made from it.
    pub(super) number: u64,
    /// Who asks.
    pub(super) acquirer: u16,
    /// DE 7.
    pub(super) moment: u64,
    /// Minor units.
    pub(super) amount: u64,
    /// A request or an advice.
    pub(super) class: Class,
    /// Which of the cards.
    pub(super) card: usize,
    /// The ATC, where the card is one of a program, and whether its code is right: the public one of a proxy, the own one of
    /// an ordinary card.
    pub(super) label: Option<(u16, bool)>,
    /// What the acquirer holds to be true.
    pub(super) state: Held,
    /// How often it was sent.
    pub(super) sent: u32,
    /// What was told and promised, by DE 39 and 38.
    pub(super) told: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// A reversal of it was sent.
    pub(super) was_reversed: bool,
}

/// What an acquirer holds to be true of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It waits for an answer.
    Waiting,
    /// It was approved over so much.
    Approved(u64),
    /// It was not.
    Declined,
    /// It is being undone, but for so much.
    Reversing(u64),
    /// It was undone.
    Reversed,
}

impl Payment {
    /// Whether the acquirer has nothing more to do for it.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, Held::Approved(_) | Held::Declined | Held::Reversed)
    }

    /// How the switch names it.
    #[must_use]
    pub(super) fn identity(&self) -> Identity {
        identity(self.acquirer, self.number)
    }

    /// Its message, over a link, under a ticket.
    pub(super) fn request(&self, world: &Cards, link: AcquirerLink, ticket: Ticket) -> Request {
        let pan = world.pans[self.card];
        Request {
            ticket,
            link,
            acquirer: AcquirerId(self.acquirer),
            class: self.class,
            is_repeat: self.sent > 1,
            identity: self.identity(),
            fingerprint: Fingerprint { content: u128::from(self.amount), track: Some(1) },
            stan: Stan::new((self.number % 1_000_000) as u32).expect("six digits"),
            original: None,
            home: ShardId((self.card % world.shards) as u16),
            pan: Some(pan),
            amount: amount(self.amount),
            processing_code: ProcessingCode::parse(b"000000"),
            expiry: Expiry::parse(b"4912"),
            verification_only: false,
            program: program_of(self.card).map(|(program, _)| program),
            account: AccountHash(self.card as u64 + 1),
            entry_mode: Some(CONTACTLESS_STRIPE),
            service_code: None,
            presented: self.presented(),
            forwarder: None,
            local_time: Some(120_000),
            local_date: Some(1_123),
            keys: self.keys(),
            kept: Some(Kept(Box::default())),
        }
    }

    /// What stands in its track: of an ordinary card's counter the low digits.
    fn presented(&self) -> Presented {
        match (self.label, program_of(self.card)) {
            (Some((label, _)), Some((_, Served::Ordinary(_)))) => Presented::Label(label % 100),
            (Some((label, _)), _) => Presented::Label(label),
            (None, _) => Presented::Nothing,
        }
    }

    /// A reversal of it that leaves so much, by another acquirer where that is said.
    pub(super) fn reversal(
        &self,
        world: &Cards,
        link: AcquirerLink,
        ticket: Ticket,
        (class, left, by): (Class, u64, u16),
    ) -> Request {
        let request = self.request(world, link, ticket);
        Request {
            class,
            acquirer: AcquirerId(by),
            identity: identity(by, self.number | 1 << 60),
            original: Some(Box::new(Original {
                identity: identity(by, self.number),
                is_reversal: false,
                left_minor: (left > 0).then_some(left),
                named: Named {
                    stan: request.stan,
                    class: None,
                    moment: Some(request.keys.moment),
                    acquirer: request.keys.acquirer,
                    forwarder: request.forwarder,
                },
            })),
            program: None,
            presented: Presented::Nothing,
            ..request
        }
    }

    /// DE 7, 32, 37, 41 and 42.
    #[must_use]
    pub(super) fn keys(&self) -> MatchKeys {
        MatchKeys {
            moment: self.moment,
            acquirer: PartyId::new(u64::from(self.acquirer) + 100),
            rrn: Rrn::parse(format!("{:012}", self.number).as_bytes()),
            terminal: TerminalId::parse(b"TERM0001"),
            merchant: None,
        }
    }

    /// Whether what is told now contradicts what was promised before.
    pub(super) fn hear(&mut self, outcome: &Outcome) -> Result<(), String> {
        let code = outcome.response_code.as_bytes().to_vec();
        let approval = outcome.approval_code.map(|code| code.as_bytes().to_vec());
        if !is_promised(outcome) {
            return Ok(());
        }
        match &self.told {
            None => self.told = Some((code, approval)),
            Some(before) if *before == (code.clone(), approval.clone()) => {}
            Some(before) => return Err(format!("E6: told {before:?} first and {code:?} {approval:?} now")),
        }
        Ok(())
    }
}

/// Whether a decline is one that any repeat gets too. The others promise nothing (W10).
pub(super) fn is_promised(outcome: &Outcome) -> bool {
    !matches!(
        outcome.verdict,
        Verdict::Declined(
            DeclineReason::Draining
                | DeclineReason::Overloaded
                | DeclineReason::StoreUnavailable
                | DeclineReason::DuplicateOtherContent
                | DeclineReason::Tombstoned
        )
    )
}

/// The keyed hash of a real switch, near enough: both halves depend on everything.
#[must_use]
pub(super) fn identity(acquirer: u16, number: u64) -> Identity {
    let mut dice = Dice::new(number ^ u64::from(acquirer) << 48);
    Identity(u128::from(dice.number()) << 64 | u128::from(dice.number()))
}

/// An amount in the one currency of this world.
#[must_use]
pub(super) fn amount(minor: u64) -> Amount {
    Amount::new(minor, Currency::new(840).expect("a code"))
}

/// A card of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// So-manieth proxy, which another card pays for.
    Proxy(usize),
    /// So-manieth ordinary card, which pays itself.
    Ordinary(usize),
}

/// The program that serves a card, if one does.
#[must_use]
pub(super) fn program_of(card: usize) -> Option<(ProgramId, Served)> {
    let behind = card.checked_sub(PLAIN_CARDS)?;
    Some(match behind.checked_sub(PROXIES) {
        None => (ProgramId(0), Served::Proxy(behind)),
        Some(ordinary) => (ProgramId(1), Served::Ordinary(ordinary)),
    })
}

/// The cards of the world: some are proxies, whose funding card comes before them.
#[derive(Clone, Debug)]
pub(super) struct Cards {
    /// Their numbers.
    pub(super) pans: Vec<Pan>,
    /// How many shards the switch has.
    pub(super) shards: usize,
}

/// Cards that no program serves.
pub(super) const PLAIN_CARDS: usize = 6;
/// Behind these the proxies.
pub(super) const PROXIES: usize = 3;
/// Behind these the ordinary contactless cards.
pub(super) const ORDINARY: usize = 2;

impl Cards {
    /// Two issuers' cards, proxies that the first one's pay for, and contactless cards of either.
    #[must_use]
    pub(super) fn new(shards: usize) -> Cards {
        let pan = |prefix: &str, number: usize| {
            Pan::parse(with_check_digit(&format!("{prefix}{number:010}")).as_bytes()).expect("digits")
        };
        let of_issuer = |card| pan(if card % 2 == 0 { "99996" } else { "99997" }, card);
        let plain = (0..PLAIN_CARDS).map(of_issuer);
        let proxies = (0..PROXIES).map(|card| pan("99991", card));
        let ordinary = (0..ORDINARY).map(|card| of_issuer(PLAIN_CARDS + card));
        Cards { pans: plain.chain(proxies).chain(ordinary).collect(), shards }
    }
}

/// The card number of these digits and the check digit that fits.
fn with_check_digit(digits: &str) -> String {
    let numbers = (0..10).map(|check| format!("{digits}{check}"));
    let card = numbers.into_iter().find(|pan| Pan::parse(pan.as_bytes()).is_some_and(|pan| pan.luhn_ok()));
    card.expect("one of ten fits")
}

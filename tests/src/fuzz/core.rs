//! Any bytes as events of one shard: nothing panics, every raw message is let go exactly once, nothing is told that was
//! not written down, and a restart at any point remembers what was told.

use std::collections::{BTreeMap, BTreeSet};

use authorizer::advice::Kept;
use authorizer::atc_window::Reach;
use authorizer::cards::{AccountHash, Funding, Personalised};
use authorizer::decision::{CodeSet, Outcome, Verdict};
use authorizer::effect::Effects;
use authorizer::event::{
    AcquirerId, AcquirerLink, Event, IssuerId, IssuerLink, Leg, LinkChange, Now, ShardId, Ticket, Unsent,
};
use authorizer::fact::Fact;
use authorizer::iin_table::{IinTable, Route};
use authorizer::limits::Limits;
use authorizer::parked::{Operation, Order};
use authorizer::programs::{CardProgram, ProgramId, Tries, contactless, rotating_atc};
use authorizer::provision::{Asker, Change, Provision};
use authorizer::request::{
    Answer, CONTACTLESS_STRIPE, Class, Fingerprint, Identity, MatchKeys, Named, Original, Presented, Request,
};
use authorizer::rights::Rights;
use authorizer::saf::Retry;
use authorizer::stand_in::StandIn;
use authorizer::tables::{Acquirer, Issuer, Tables};
use authorizer::verify::{Judgement, ProofId};
use authorizer::{Authorizer, Effect};
use codecs::value::{
    Amount, ApprovalCode, Currency, Expiry, Iin, Pan, ProcessingCode, ResponseCode, Rrn, Stan,
};

const SECOND: u64 = 1_000_000;
/// Cards that no program serves; behind them one of each program, in their order.
const CARDS: [&[u8]; 5] =
    [b"9999600000000019", b"9999600000000027", b"9999700000000017", b"9999100000000010", b"9999610000000026"];
const OF_PROGRAMS: usize = 3;
const CODES: [&[u8; 2]; 8] = [b"00", b"10", b"05", b"25", b"30", b"91", b"94", b"Z9"];

/// Reads bytes as the steps of a world.
struct Steps<'a>(&'a [u8]);

impl Steps<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, end: u8) -> Option<u8> {
        self.byte().map(|byte| byte % end)
    }
}

/// A raw message: of which request, and what that asks to undo.
#[derive(Clone, Copy, Debug)]
enum Raw {
    Request(Identity, Option<Identity>),
    Answer,
}

/// One shard, and what the edge would know.
struct Shard {
    authorizer: Authorizer,
    now: Now,
    facts: Vec<(Fact, u64)>,
    ticket: u32,
    /// Raw messages that are kept.
    kept: BTreeMap<u32, Raw>,
    proofs: Vec<ProofId>,
    /// Final outcomes, by identity.
    told: BTreeMap<u128, Outcome>,
    reversed: BTreeSet<u128>,
    out: Effects,
}

/// Runs bytes.
pub fn core(bytes: &[u8]) {
    let mut shard = Shard::new();
    let mut steps = Steps(bytes);
    while shard.step(&mut steps).is_some() {}
    // Everything that waits for something falls due, and no raw message stays behind.
    shard.now.monotonic_us += 3_600 * SECOND;
    shard.happen(Event::Tick);
    shard.happen(Event::Stop);
    assert_eq!(shard.authorizer.in_flight(), 0, "something runs for ever");
    assert!(shard.kept.is_empty(), "raw messages stay behind: {:?}", shard.kept);
}

impl Shard {
    fn new() -> Self {
        let mut shard = Self {
            authorizer: Authorizer::new(ShardId(0), 1, tables(), limits()),
            now: Now { monotonic_us: 20_000 * 86_400 * SECOND, moment: 1_123_120_000, year: 2026, month: 11 },
            facts: Vec::new(),
            ticket: 0,
            kept: BTreeMap::new(),
            proofs: Vec::new(),
            told: BTreeMap::new(),
            reversed: BTreeSet::new(),
            out: Effects::default(),
        };
        shard.begin();
        shard
    }

    fn begin(&mut self) {
        self.happen(Event::Recovered);
        for slot in 0..2 {
            self.happen(Event::AcquirerLink(link(slot), AcquirerId(slot), LinkChange::Up));
        }
    }

    fn happen(&mut self, event: Event) {
        self.out.clear();
        let mut out = std::mem::take(&mut self.out);
        self.authorizer.step(&event, self.now, &mut out);
        self.facts.extend(out.facts.drain(..).map(|fact| (fact, self.now.monotonic_us)));
        for effect in out.free.drain(..).chain(out.visible.drain(..)) {
            self.perform(effect);
        }
        self.out = out;
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Forward { ticket, .. } => {
                assert!(self.kept.contains_key(&ticket.0), "forwarded after its end")
            }
            Effect::Ask { proof, ticket, .. } => {
                assert!(self.kept.contains_key(&ticket.0));
                self.proofs.push(proof);
            }
            Effect::Reply(reply) => {
                let Raw::Request(identity, undoes) = self.let_go(reply.ticket) else {
                    panic!("a reply to an answer")
                };
                if let Some(answer) = reply.answer {
                    self.let_go(answer);
                }
                self.hear(identity, undoes, reply.outcome);
            }
            Effect::Release(ticket) => drop(self.let_go(ticket)),
            Effect::Hand { .. } => panic!("there is no other shard"),
            Effect::Recall { .. } | Effect::RecallLeg(_) | Effect::LeftStanding(_) => {
                panic!("nothing was forgotten")
            }
            Effect::Deliver(_) | Effect::Challenge { .. } => {}
        }
    }

    fn let_go(&mut self, ticket: Ticket) -> Raw {
        self.kept.remove(&ticket.0).unwrap_or_else(|| panic!("{ticket:?} was let go twice"))
    }

    /// One identity, one outcome: an approval that was told is told again, or refused once it was undone.
    fn hear(&mut self, identity: Identity, undoes: Option<Identity>, outcome: Outcome) {
        if let Some(original) = undoes.filter(|_| outcome.verdict == Verdict::Taken) {
            // What was approved in part stays so; what was never told must not be from now on.
            self.reversed.extend((!self.told.contains_key(&original.0)).then_some(original.0));
        }
        if outcome.verdict == Verdict::Approved {
            let before = self.told.insert(identity.0, outcome);
            assert!(before.is_none_or(|before| before == outcome), "{before:?}, then {outcome:?}");
            assert!(!self.reversed.contains(&identity.0), "approved after it was reversed");
        }
    }

    fn keep(&mut self, raw: Raw) -> Ticket {
        self.ticket += 1;
        self.kept.insert(self.ticket, raw);
        Ticket(self.ticket)
    }

    /// One step; nothing when the bytes are over.
    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        match steps.below(16)? {
            0..=3 => {
                let request = self.request(steps)?;
                self.happen(Event::Request(request));
            }
            4..=6 => {
                let answer = self.answer(steps)?;
                self.happen(Event::Answered(answer));
            }
            7 => {
                self.now.monotonic_us += u64::from(steps.byte()?) * SECOND / 4;
                self.happen(Event::Tick);
            }
            8 => {
                let change =
                    [LinkChange::Up, LinkChange::SignedOff, LinkChange::Lost][usize::from(steps.below(3)?)];
                let to = to(steps)?;
                self.happen(Event::IssuerLink(to, change));
            }
            9 => {
                let slot = u16::from(steps.below(2)?);
                let change = [LinkChange::Up, LinkChange::Lost][usize::from(steps.below(2)?)];
                self.happen(Event::AcquirerLink(link(slot), AcquirerId(slot), change));
            }
            10 => {
                let judgement = match steps.below(4)? {
                    0 => Judgement::Right,
                    1 => Judgement::Wrong,
                    2 => Judgement::Unknown,
                    _ => Judgement::RightFor(u16::from(steps.byte()?)),
                };
                if let Some(proof) = self.proofs.pop() {
                    self.happen(Event::Judged(proof, judgement));
                }
            }
            11 => {
                let change = provision(steps)?;
                self.happen(Event::Provision(change));
            }
            12 => {
                let leg = Leg { to: to(steps)?, stan: stan(steps)? };
                let why =
                    [Unsent::LinkLost, Unsent::NotEncodable, Unsent::NoMac][usize::from(steps.below(3)?)];
                self.happen(Event::Unsent(leg, why));
            }
            13 => {
                let order = match steps.below(2)? {
                    0 => Order::List,
                    _ => Order::Release { issuer: IssuerId(u16::from(steps.below(2)?)), stan: stan(steps)? },
                };
                self.happen(Event::Operation(Operation { asker: Asker(1), order }));
            }
            14 => {
                let is_low = steps.below(2)? == 1;
                self.happen(Event::StoreLow(is_low));
            }
            _ => self.restart(),
        }
        Some(())
    }

    /// The process ends and another one reads the facts: twice the same.
    fn restart(&mut self) {
        let mut next = Authorizer::new(ShardId(0), 1, tables(), limits());
        for (fact, at_us) in &self.facts {
            next.recover(fact, *at_us);
        }
        self.authorizer = next;
        self.kept.clear();
        self.proofs.clear();
        self.begin();
    }

    fn request(&mut self, steps: &mut Steps<'_>) -> Option<Request> {
        let number = u32::from(steps.below(32)?);
        let class = Class::ALL[usize::from(steps.below(6)?)];
        let slot = u16::from(steps.below(2)?);
        let card = usize::from(steps.below(5)?);
        let minor = u64::from(steps.byte()?) * 100;
        let name = |number: u32| Identity(u128::from(number) << 64 | u128::from(slot));
        let identity = if class.is_reversal() { name(number | 1 << 16) } else { name(number) };
        // A 0420 is told 00 also where it undoes nothing.
        let undoes = (class == Class::Reversal).then(|| name(number));
        let ticket = self.keep(Raw::Request(identity, undoes));
        Some(Request {
            ticket,
            link: link(slot),
            acquirer: AcquirerId(slot),
            class,
            is_repeat: number.is_multiple_of(2),
            identity,
            fingerprint: Fingerprint {
                content: u128::from(minor) << 8 | u128::from(card as u8),
                track: Some(0),
            },
            stan: Stan::new(number + 1)?,
            original: class.is_reversal().then_some(Box::new(Original {
                identity: name(number),
                is_reversal: false,
                left_minor: minor.checked_sub(20_000).filter(|left| *left > 0),
                named: Named {
                    stan: Stan::new(number + 1)?,
                    class: None,
                    moment: Some(keys(number).moment),
                    acquirer: None,
                    forwarder: None,
                },
            })),
            home: ShardId(0),
            pan: Pan::parse(CARDS[card]),
            amount: Amount::new(minor, Currency::new(840)?),
            processing_code: ProcessingCode::parse(b"000000"),
            expiry: Expiry::parse(b"4912"),
            verification_only: false,
            program: card.checked_sub(OF_PROGRAMS).map(|program| ProgramId(program as u16)),
            account: AccountHash(card as u64),
            entry_mode: Some(CONTACTLESS_STRIPE),
            service_code: None,
            presented: Presented::Label((number % 12) as u16),
            forwarder: None,
            local_time: None,
            local_date: None,
            keys: keys(number),
            kept: Some(Kept(Box::default())),
        })
    }

    fn answer(&mut self, steps: &mut Steps<'_>) -> Option<Answer> {
        let (link, stan, number) = (to(steps)?, stan(steps)?, u32::from(steps.below(32)?));
        let class = Class::ALL[usize::from(steps.below(6)?)];
        let code = CODES[usize::from(steps.below(8)?)];
        let mut keys = keys(number);
        if class.is_reversal() {
            keys.moment = self.now.moment;
        }
        let ticket = self.keep(Raw::Answer);
        Some(Answer {
            ticket,
            link,
            class,
            stan,
            keys,
            pan: None,
            processing_code: None,
            amount_minor: None,
            currency: None,
            approval_code: ApprovalCode::parse(b"A12345"),
            response_code: ResponseCode::of(code),
        })
    }
}

fn provision(steps: &mut Steps<'_>) -> Option<Provision> {
    let card = OF_PROGRAMS + usize::from(steps.below(2)?);
    let pan = Pan::parse(CARDS[card])?;
    let funding = Funding { pan: Pan::parse(CARDS[0])?, expiry: Expiry::parse(b"4912")? };
    let id = u32::from(steps.below(4)?);
    let change = match steps.below(7)? {
        0 => Change::Enrol {
            psn: 1,
            funding: (card == OF_PROGRAMS).then_some(funding),
            personalised: Personalised::NONE,
            atc: 0,
        },
        1 => Change::IssueBundle { id, first: (id * 4) as u16, count: 4, ttl_us: 3_600 * SECOND },
        2 => Change::ConfirmBundle(id),
        3 => Change::RevokeBundle(id),
        4 => Change::Block,
        5 => Change::Stripe { psn: 1, constant: [0; 2] },
        _ => Change::Unblock,
    };
    Some(Provision { asker: None, account: AccountHash(card as u64), pan, change })
}

fn link(slot: u16) -> AcquirerLink {
    AcquirerLink { shard: ShardId(0), slot, generation: 1 }
}

fn to(steps: &mut Steps<'_>) -> Option<IssuerLink> {
    let byte = steps.byte()?;
    Some(IssuerLink { issuer: IssuerId(u16::from(byte & 1)), link: u16::from(byte >> 1 & 1) })
}

fn stan(steps: &mut Steps<'_>) -> Option<Stan> {
    Stan::new(u32::from(steps.below(64)?) + 1)
}

fn keys(number: u32) -> MatchKeys {
    MatchKeys {
        moment: 1_123_000_000 + u64::from(number),
        acquirer: None,
        rrn: Rrn::parse(format!("{number:012}").as_bytes()),
        terminal: None,
        merchant: None,
    }
}

fn limits() -> Limits {
    Limits {
        pending_max: 20,
        recent_entries: 256,
        recent_window_us: 30 * 86_400 * SECOND,
        cards_max: 4,
        reversals_max: 20,
    }
}

fn tables() -> Tables {
    let acquirer = Acquirer {
        rights: Rights::default(),
        takes_parts: true,
        codes: CodeSet::Response1987,
        overrides: Vec::new(),
    };
    let stand_in = StandIn {
        iins: vec![Iin::parse(b"99996").expect("digits")],
        currency: Currency::new(840).expect("a code"),
        floor_minor: 10_000,
        card_daily_minor: 30_000,
        funding_daily_minor: 30_000,
        daily_minor: 50_000,
    };
    let issuer = Issuer { timeout_us: 10 * SECOND, window: 8, links: 2, stand_in: Some(stand_in) };
    let route = |digits: &[u8], issuers: &[u16]| {
        let issuers = issuers.iter().map(|issuer| IssuerId(*issuer)).collect();
        (Iin::parse(digits).expect("digits"), Route { issuers })
    };
    let tries = Tries { per_secret: 3, per_card: 10, window_us: 86_400 * SECOND };
    Tables {
        acquirers: vec![acquirer.clone(), acquirer],
        issuers: vec![issuer.clone(), Issuer { stand_in: None, ..issuer }],
        iins: IinTable::new(vec![route(b"99996", &[0, 1]), route(b"99997", &[1])]),
        approval_codes: vec![ResponseCode::of(b"00"), ResponseCode::of(b"10")],
        programs: vec![
            CardProgram::RotatingAtc(rotating_atc::Settings { tries, profile: rotating_atc::Profile::Aes }),
            // A digit that several counters end in.
            CardProgram::Contactless(contactless::Settings {
                atc_digits: 1,
                reach: Reach { ahead: 25, behind: 5 },
                tries_per_card: tries.per_card,
                window_us: tries.window_us,
            }),
        ],
        proof_timeout_us: SECOND / 2,
        decline_floor_us: SECOND / 100,
        has_journal: true,
        planted: None,
        retry: Retry::default(),
    }
}

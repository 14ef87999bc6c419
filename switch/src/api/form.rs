//! What callers send and what they are told, field by field.

use authorizer::cards::{BundleState, Challenge, ChallengeState, EntryState, Funding, Personalised};
use authorizer::provision::{Change, Standing};
use codecs::discretionary::Layout;
use codecs::value::{Expiry, Pan};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::{Config, Program, ProgramKind, ResponseKind};
use crate::crypto;
use crate::programs::Programs;

/// What is wrong, and with which field.
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) why: &'static str,
}

fn fault<T>(field: &'static str, why: &'static str) -> Result<T, Fault> {
    Err(Fault { field, why })
}

/// What a caller wants.
pub(super) struct Wanted {
    /// The card.
    pub(super) pan: Pan,
    /// What is changed of it.
    pub(super) change: Change,
    /// What the token is asked for the change, if it makes a part of it.
    pub(super) question: Option<hsm::Question>,
    /// A response that was drawn, to be told once.
    pub(super) response: Option<String>,
}

impl Wanted {
    fn of(pan: Pan, change: Change) -> Wanted {
        Wanted { pan, change, question: None, response: None }
    }
}

/// What can be sent.
pub(super) trait Form {
    /// The card, and what is changed of it.
    fn change(&self, config: &Config, programs: &Programs) -> Result<Wanted, Fault>;
}

/// A card number as it was sent; it is never shown.
#[derive(Deserialize)]
pub(super) struct CardNumber(String);

impl CardNumber {
    fn parse(&self, field: &'static str) -> Result<Pan, Fault> {
        match Pan::parse(self.0.as_bytes()) {
            Some(pan) if pan.luhn_ok() => Ok(pan),
            Some(_) => fault(field, "the check digit is wrong"),
            None => fault(field, "8 to 19 digits"),
        }
    }

    fn served(&self, programs: &Programs) -> Result<Pan, Fault> {
        let pan = self.parse("pan")?;
        if programs.of(&pan).is_none() {
            return fault("pan", "no program serves this card range");
        }
        Ok(pan)
    }
}

/// A new card.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrol {
    pan: CardNumber,
    #[serde(default)]
    psn: u8,
    funding: Option<FundingForm>,
    /// YYMM, as a proxy's track says it; compared where it was told.
    expiry: Option<String>,
    /// Three digits, the same.
    service_code: Option<String>,
    /// The newest counter of its own that the card has used; of a contactless card it must be said.
    atc: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FundingForm {
    pan: CardNumber,
    /// YYMM.
    expiry: String,
}

impl Form for Enrol {
    fn change(&self, config: &Config, programs: &Programs) -> Result<Wanted, Fault> {
        let pan = self.pan.served(programs)?;
        if self.psn > 99 {
            return fault("psn", "0 to 99");
        }
        let funding = self.funding.as_ref().map(FundingForm::funding).transpose()?;
        if funding.is_some_and(|funding| programs.of(&funding.pan).is_some()) {
            return fault("funding.pan", "a card of a program cannot pay for another");
        }
        let program = program_of(&pan, programs, config);
        let personalised = self.personalised()?;
        if program.is_some_and(has_counter) {
            if personalised != Personalised::NONE {
                return fault(
                    "expiry",
                    "of proxies, as is service_code: issuers of other cards compare them",
                );
            }
            if funding.is_some() {
                return fault("funding", "cards of its program pay themselves");
            }
            if self.atc.is_none() {
                return fault("atc", "the newest counter that the card has used, 0 for a new one");
            }
        } else if self.atc.is_some() {
            return fault("atc", "cards of its program have no counter of their own");
        } else if funding.is_none() {
            return fault("funding", "the card that pays: cards of its program are proxies");
        }
        let atc = self.atc.unwrap_or(0);
        Ok(Wanted::of(pan, Change::Enrol { psn: self.psn, funding, personalised, atc }))
    }
}

impl Enrol {
    /// What a track of the card must say.
    fn personalised(&self) -> Result<Personalised, Fault> {
        let service_code = match &self.service_code {
            None => None,
            Some(text) => match <[u8; 3]>::try_from(text.as_bytes()) {
                Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Some(digits),
                _ => return fault("service_code", "three digits"),
            },
        };
        let expiry = self.expiry.as_deref().map(|text| month(text, "expiry")).transpose()?;
        Ok(Personalised { expiry, service_code })
    }
}

fn month(text: &str, field: &'static str) -> Result<Expiry, Fault> {
    Expiry::parse(text.as_bytes()).map_or_else(|| fault(field, "YYMM"), Ok)
}

fn program_of<'a>(pan: &Pan, programs: &Programs, config: &'a Config) -> Option<&'a Program> {
    programs.of(pan).and_then(|program| config.programs.get(usize::from(program.0)))
}

/// Whether cards of a program come with counters of their own.
fn has_counter(program: &Program) -> bool {
    matches!(program.kind, ProgramKind::Contactless { .. })
}

impl FundingForm {
    fn funding(&self) -> Result<Funding, Fault> {
        let pan = self.pan.parse("funding.pan")?;
        Ok(Funding { pan, expiry: month(&self.expiry, "funding.expiry")? })
    }
}

/// Rotating ATCs for a device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBundle {
    pan: CardNumber,
    id: u32,
    first: u16,
    count: u16,
    ttl_ms: u64,
}

/// Public ATCs have four digits in every layout.
const ATC_MAX: u16 = 9_999;
/// The most entries of one bundle.
const BUNDLE_MAX: u16 = 1_000;
/// The longest life of anything that is given out: a year.
const TTL_MS_MAX: u64 = 366 * 86_400_000;

impl Form for IssueBundle {
    fn change(&self, config: &Config, programs: &Programs) -> Result<Wanted, Fault> {
        let pan = self.pan.served(programs)?;
        if program_of(&pan, programs, config).is_some_and(|program| program.kind != ProgramKind::RotatingAtc)
        {
            return fault("pan", "the card's program has no bundles");
        }
        if self.count == 0 || self.count > BUNDLE_MAX {
            return fault("count", "1 to 1000");
        }
        if u32::from(self.first) + u32::from(self.count) > u32::from(ATC_MAX) + 1 {
            return fault("first", "public ATCs end with 9999");
        }
        let ttl_us = ttl_us(self.ttl_ms)?;
        let change = Change::IssueBundle { id: self.id, first: self.first, count: self.count, ttl_us };
        Ok(Wanted::of(pan, change))
    }
}

fn ttl_us(ttl_ms: u64) -> Result<u64, Fault> {
    if !(1..=TTL_MS_MAX).contains(&ttl_ms) {
        return fault("ttl_ms", "1 to a year's milliseconds");
    }
    Ok(ttl_ms * 1_000)
}

/// What a device is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChallenge {
    pan: CardNumber,
    /// Eight digits, of which the first four are the reference; drawn where they are absent.
    digits: Option<String>,
    /// What is to be answered, where the device does not compute it; drawn, and told once, where it is absent.
    response: Option<String>,
    /// The program's own where it is absent.
    ttl_ms: Option<u64>,
}

impl Form for NewChallenge {
    fn change(&self, config: &Config, programs: &Programs) -> Result<Wanted, Fault> {
        let pan = self.pan.served(programs)?;
        let id = programs.of(&pan);
        let program = id.and_then(|id| config.programs.get(usize::from(id.0)).map(|program| (id, program)));
        let Some((id, program, own, kind)) = program.and_then(|(id, program)| match program.kind {
            ProgramKind::Challenge { ttl, response, .. } => Some((id, program, ttl, response)),
            ProgramKind::RotatingAtc | ProgramKind::Contactless { .. } => None,
        }) else {
            return fault("pan", "the card's program has no challenges");
        };
        let digits = match &self.digits {
            None => super::drawn().map_or_else(|| fault("digits", "no random numbers"), Ok)?,
            Some(text) => match <[u8; 8]>::try_from(text.as_bytes()) {
                Ok(digits) if digits.iter().all(u8::is_ascii_digit) => digits,
                _ => return fault("digits", "eight digits"),
            },
        };
        let ttl_us = self.ttl_ms.map_or(Ok(own.as_micros() as u64), ttl_us)?;
        let mut wanted = Wanted::of(pan, Change::Challenge { digits, ttl_us, tag: None });
        if kind == ResponseKind::Computed {
            return match self.response {
                Some(_) => fault("response", "devices of the card's program compute it"),
                None => Ok(wanted),
            };
        }
        let (response, is_drawn) = match &self.response {
            Some(response) => (response.clone(), false),
            None => (response_of(program.code_digits)?, true),
        };
        if response.len() != program.code_digits || !response.bytes().all(|digit| digit.is_ascii_digit()) {
            return fault("response", "as many digits as the layout has for it");
        }
        wanted.question = crypto::tag_question(config, id, &pan, (&digits, &response));
        wanted.response = is_drawn.then_some(response);
        Ok(wanted)
    }
}

/// So many digits from the operating system.
fn response_of(digits: usize) -> Result<String, Fault> {
    let drawn = super::drawn().map_or_else(|| fault("response", "no random numbers"), Ok)?;
    Ok(drawn.iter().take(digits).map(|digit| char::from(*digit)).collect())
}

/// The track that a card was personalised with: its constant goes into every CVC3 of the card.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Track {
    pan: CardNumber,
    #[serde(default)]
    psn: u8,
    /// The value of tag 9F6B in hexadecimal digits: number, D, expiry, service code, discretionary data, filled with F.
    track2: String,
}

/// Whether a track, as it was personalised, is long enough for a terminal to put counter, number and code into it.
fn has_places(track2: &str, layout: Layout) -> bool {
    let Layout::Bitmaps { pcvc3, punatc, .. } = layout else { return true };
    let places = (pcvc3 | punatc).checked_ilog2().map_or(0, |highest| highest as usize + 1);
    let rest = track2.split(['D', 'd']).nth(1).unwrap_or_default().trim_end_matches(['F', 'f']);
    rest.len() >= STRIPE_DIGITS + places
}

/// Expiry and service code.
const STRIPE_DIGITS: usize = 7;

impl Form for Track {
    fn change(&self, config: &Config, programs: &Programs) -> Result<Wanted, Fault> {
        let pan = self.pan.served(programs)?;
        if self.psn > 99 {
            return fault("psn", "0 to 99");
        }
        let digits = self.track2.as_bytes();
        let is_of_card = digits.strip_prefix(pan.danger_clear_digits()).is_some_and(
            |rest| matches!(rest, [b'D' | b'd', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit)),
        );
        let track = crate::keys::bytes(&self.track2).filter(|_| is_of_card);
        let Some(track) = track else {
            return fault("track2", "the value of tag 9F6B, in hexadecimal digits, with the card's number");
        };
        if program_of(&pan, programs, config).is_some_and(|program| !has_places(&self.track2, program.layout))
        {
            return fault("track2", "discretionary data with a place for each digit of pcvc3 and punatc");
        }
        let program = programs.of(&pan);
        let question =
            program.and_then(|program| crypto::stripe_question(config, program, (&pan, self.psn), track));
        if question.is_none() {
            return fault("pan", "codes of the card's program are no CVC3s");
        }
        let change = Change::Stripe { psn: self.psn, constant: [0; 2] };
        Ok(Wanted { question, ..Wanted::of(pan, change) })
    }
}

macro_rules! of_a_card {
    ($(#[$doc:meta] $name:ident => $change:expr;)*) => {$(
        #[$doc]
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            pan: CardNumber,
        }

        impl Form for $name {
            fn change(&self, _: &Config, programs: &Programs) -> Result<Wanted, Fault> {
                Ok(Wanted::of(self.pan.served(programs)?, $change))
            }
        }
    )*};
}

of_a_card! {
    /// How does the card stand?
    Look => Change::Look;
    /// The card is lost.
    Block => Change::Block;
    /// It was found.
    Unblock => Change::Unblock;
}

macro_rules! of_a_bundle {
    ($(#[$doc:meta] $name:ident => $change:path;)*) => {$(
        #[$doc]
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            pan: CardNumber,
            id: u32,
        }

        impl Form for $name {
            fn change(&self, _: &Config, programs: &Programs) -> Result<Wanted, Fault> {
                Ok(Wanted::of(self.pan.served(programs)?, $change(self.id)))
            }
        }
    )*};
}

of_a_bundle! {
    /// The device has it.
    ConfirmBundle => Change::ConfirmBundle;
    /// It is not to be used any more.
    RevokeBundle => Change::RevokeBundle;
}

/// How a card stands, its number masked.
pub(super) fn standing(standing: &Standing, programs: &Programs, config: &Config) -> Value {
    let Standing { card, now_us } = standing;
    let program = program_of(&card.pan, programs, config);
    let bundles: Vec<Value> = card
        .bundles
        .iter()
        .map(|bundle| {
            let count = |of: fn(&EntryState) -> bool| bundle.entries.iter().filter(|entry| of(entry)).count();
            json!({
                "id": bundle.id,
                "first": bundle.first,
                "count": bundle.entries.len(),
                "state": match bundle.state {
                    BundleState::Pending => "pending",
                    BundleState::Active => "active",
                    BundleState::Revoked => "revoked",
                },
                "expires_in_ms": bundle.expires_us.saturating_sub(*now_us) / 1_000,
                "issued": count(|entry| matches!(entry, EntryState::Issued(_))),
                "used": count(|entry| matches!(entry, EntryState::Used)),
                "dead": count(|entry| matches!(entry, EntryState::Dead)),
            })
        })
        .collect();
    let challenges: Vec<Value> =
        card.challenges.iter().map(|challenge| self::challenge(challenge, *now_us)).collect();
    json!({
        "card": format!("{:?}", card.pan),
        "psn": card.psn,
        "program": program.map(|program| program.name.as_str()),
        "funding": card.funding.map(|funding| format!("{:?}", funding.pan)),
        "track_told": card.stripe.is_some(),
        "atc": program.is_some_and(has_counter).then(|| card.window.last()),
        "blocked": card.is_blocked,
        "wrong_codes": card.wrong,
        "bundles": bundles,
        "challenges": challenges,
        "response": Value::Null,
    })
}

fn challenge(challenge: &Challenge, now_us: u64) -> Value {
    let state = match challenge.state {
        ChallengeState::Open if challenge.is_expired(now_us) => "expired",
        ChallengeState::Open => "open",
        ChallengeState::Consumed => "consumed",
        ChallengeState::Locked => "locked",
        ChallengeState::Superseded => "superseded",
    };
    json!({
        "reference": format!("{:04}", challenge.reference()),
        "digits": (state == "open").then(|| String::from_utf8_lossy(&challenge.digits).into_owned()),
        "state": state,
        "wrong_responses": challenge.wrong,
        "expires_in_ms": challenge.expires_us.saturating_sub(now_us) / 1_000,
    })
}

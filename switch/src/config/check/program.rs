//! The token, and the programs that need it.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use codecs::discretionary::Layout;
use codecs::value::{Amount, Iin};
use hsm::Derivation;
use hsm::token::Exposure;
use toml::Spanned;

use super::Check;
use super::peer::name_of;
use super::settings::TIMER;
use crate::config::checked::{Cvc3Key, Hsm, Placement, Program, ProgramKind, ResponseKind};
use crate::config::given::Given;
use crate::config::raw::{self, Raw};

/// Where codes may be checked.
const PLACEMENTS: [(&str, Placement); 2] = [("worker", Placement::Worker), ("inline", Placement::Inline)];

/// SoftHSM2 2.6.1 keeps 243 bytes of each derived key, so a worker has grown by 243 MB when it is replaced.
const RECYCLE_AFTER: u64 = 1_000_000;

/// The layouts by name, with the digits of a code, the tries and the ceiling that each declares.
const LAYOUTS: [(&str, &Layouts); 3] = [("R", &ROTATING), ("R19", &ROTATING_19), ("Q", &QUESTION)];

pub(super) struct Layouts {
    pub(super) layout: Layout,
    is_rotating: bool,
    pub(super) code_digits: u32,
    tries_per_secret: u8,
    pub(super) tries_per_card: u8,
    guess_ceiling: f64,
}

const ROTATING: Layouts = Layouts {
    layout: Layout::ROTATING,
    is_rotating: true,
    code_digits: 4,
    tries_per_secret: 3,
    tries_per_card: 10,
    guess_ceiling: 1e-3,
};

/// Three digits bear one wrong code.
const ROTATING_19: Layouts = Layouts {
    layout: Layout::ROTATING_19,
    code_digits: 3,
    tries_per_secret: 1,
    tries_per_card: 1,
    ..ROTATING
};

const QUESTION: Layouts = Layouts {
    layout: Layout::QUESTION,
    is_rotating: false,
    code_digits: 6,
    tries_per_secret: 3,
    tries_per_card: 10,
    guess_ceiling: 1e-4,
};

const EXPOSURES: [(&str, Exposure); 3] =
    [("none", Exposure::None), ("session", Exposure::Session), ("card", Exposure::Card)];

/// What codes of rotating ATCs are: `true` for CVC3s.
const PROFILES: [(&str, bool); 2] = [("aes", false), ("cvc3", true)];

const DERIVATIONS: [(&str, Derivation); 2] = [("A", Derivation::OptionA), ("B", Derivation::OptionB)];

const RESPONSES: [(&str, ResponseKind); 3] = [
    ("computed", ResponseKind::Computed),
    ("enrolled", ResponseKind::Enrolled),
    ("enrolled-hmac", ResponseKind::EnrolledByHmac),
];

/// Whether two card numbers of 16 digits, one of each range, may have one key: it is derived from the last 16 digits of
/// number and sequence, in which the first two are not (EMV Book 2, A1.4.1).
fn share_codes(one: &Iin, other: &Iin) -> bool {
    let [(head, tail), (other_head, other_tail)] =
        [one, other].map(|iin| iin.digits().split_at(iin.digits().len().min(2)));
    let is_one_head = head.len() == 2 && head == other_head;
    !is_one_head && (tail.starts_with(other_tail) || other_tail.starts_with(tail))
}

/// Digits of a public ATC, in every layout.
const ATC_DIGITS: u8 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RotatingAtc,
    Challenge,
    Contactless,
}

const KINDS: [(&str, Kind); 3] =
    [("rotating_atc", Kind::RotatingAtc), ("challenge", Kind::Challenge), ("contactless", Kind::Contactless)];

impl Check<'_, '_> {
    pub(super) fn token_file(&mut self, given: &Option<Given<String>>) -> Option<Option<PathBuf>> {
        if given.is_none() {
            return Some(None);
        }
        self.private_file(given, &(0..0), "token_file").map(Some)
    }

    pub(super) fn private_file(
        &mut self,
        given: &Option<Given<String>>,
        at: &Range<usize>,
        key: &str,
    ) -> Option<PathBuf> {
        let path = self.file(given, at, key);
        self.is_private(given, path.as_ref());
        path
    }

    pub(super) fn hsm(&mut self, raw: &Option<Spanned<raw::Hsm>>) -> Option<Option<Hsm>> {
        let Some(raw) = raw else { return Some(None) };
        let at = raw.span();
        let raw = raw.get_ref();
        let placement = match &raw.placement {
            Some(placement) => self.report.one_of(placement, "placement", &PLACEMENTS),
            None => Some(Placement::Worker),
        };
        let workers = self.report.count(&raw.workers, 1, 1..=16);
        let recycle_after = self.report.count(&raw.recycle_after, RECYCLE_AFTER, 0..=1_000_000_000);
        // No file, but a part of this program.
        let is_devtoken = |given: &Given<String>| given.value.as_deref() == Ok(hsm::token::DEVTOKEN);
        let module = match &raw.module {
            Some(given) if is_devtoken(given) => Some(PathBuf::from(hsm::token::DEVTOKEN)),
            given => self.file(given, &at, "module"),
        };
        let token = self.report.required(&raw.token, &at, "token");
        let pin_file = self.private_file(&raw.pin_file, &at, "pin_file");
        let deadline = self.report.period(&raw.deadline, Duration::from_millis(250), TIMER);
        let floors = Duration::ZERO..=deadline.unwrap_or(Duration::from_secs(60));
        let decline_floor = self.report.period(&raw.decline_floor, Duration::ZERO, floors);
        Some(Some(Hsm {
            module: module?,
            token: token?,
            pin_file: pin_file?,
            placement: placement?,
            workers: workers?,
            recycle_after: recycle_after?,
            deadline: deadline?,
            decline_floor: decline_floor?,
        }))
    }

    pub(super) fn programs(&mut self, raw: &Raw) -> Vec<Option<Program>> {
        if let (Some(first), None) = (raw.program.first(), &raw.hsm) {
            self.report.fault(&first.span(), "a program and no [hsm]", "a token that can check its codes");
        }
        let (mut names, mut iins) = (Vec::new(), Vec::new());
        raw.program.iter().map(|program| self.program(program, &mut names, &mut iins)).collect()
    }

    fn program(
        &mut self,
        raw: &Spanned<raw::Program>,
        names: &mut Vec<String>,
        known: &mut Vec<Iin>,
    ) -> Option<Program> {
        let at = raw.span();
        let raw = raw.get_ref();
        let name = self.program_name(raw, &at, names);
        let iins = self.program_iins(raw, &at, known);
        let kind = match &raw.kind {
            Some(kind) => self.report.one_of(kind, "kind of program", &KINDS),
            None => self.report.required(&raw.kind, &at, "kind").and(None),
        }?;
        if kind == Kind::Contactless {
            return self.contactless(raw, &at, name, iins);
        }
        self.no_counters(raw);
        let is_rotating = kind == Kind::RotatingAtc;
        let is_cvc3 = match &raw.profile {
            Some(profile) => self.report.one_of(profile, "profile", &PROFILES)?,
            None => false,
        };
        let placed = if is_cvc3 { Some(self.bitmaps(raw, &at, ATC_DIGITS)?) } else { None };
        let layout = match (&raw.layout, &placed) {
            (Some(given), Some(_)) => {
                self.report.fault(&given.at, "a layout beside profile cvc3", "pcvc3 and punatc alone");
                return None;
            }
            (None, Some(placed)) => placed,
            (Some(layout), None) => self.report.one_of(layout, "layout", &LAYOUTS)?,
            (None, None) if is_rotating => &ROTATING,
            (None, None) => &QUESTION,
        };
        if layout.is_rotating != is_rotating
            && let Some(given) = &raw.layout
        {
            self.report.wrong(
                &given.at,
                "a layout of another kind of program",
                "R or R19 for rotating_atc, Q for challenge",
            );
        }
        let key = self.report.required(&raw.key, &at, "key");
        let check_value = self.check_value(&raw.check_value, &at);
        let cvc3 = self.cvc3(raw, &at, is_cvc3);
        let per_secret = self.report.count(&raw.tries_per_secret, layout.tries_per_secret, 1..=10);
        let per_card = self.report.count(&raw.tries_per_card, layout.tries_per_card, 1..=10);
        let window = self.tries_window(raw);
        let modifiable_key = self.report.or(&raw.modifiable_key, false);
        let guess_ceiling = self.guesses(raw, &at, layout, (per_card?, 1));
        Some(Program {
            name: name?,
            kind: self.kind(raw, &at, is_rotating)?,
            exposure: self.exposure(raw, kind, is_cvc3)?,
            iins: iins?,
            layout: layout.layout,
            code_digits: layout.code_digits as usize,
            key: key?,
            check_value: check_value?,
            cvc3: cvc3?,
            modifiable_key: modifiable_key?,
            tries_per_secret: per_secret?,
            tries_per_card: per_card?,
            tries_window: window?,
            guess_ceiling: guess_ceiling?,
        })
    }

    pub(super) fn tries_window(&mut self, raw: &raw::Program) -> Option<Duration> {
        let day = Duration::from_secs(86_400);
        self.report.period(&raw.tries_window, day, Duration::from_millis(1)..=day * 31)
    }

    fn program_name(
        &mut self,
        raw: &raw::Program,
        at: &Range<usize>,
        names: &mut Vec<String>,
    ) -> Option<String> {
        let name = self.report.required(&raw.name, at, "name")?;
        let at = raw.name.as_ref().map_or(at, |given| &given.at);
        let sound = (1..=32).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !sound {
            self.report.wrong(at, &format!("{name:?}"), "1 to 32 of a-z, 0-9, \"-\" and \"_\"");
        } else if names.contains(&name) {
            self.report.fault(at, format!("a second program {name:?}"), "a name of its own for each program");
        }
        names.push(name.clone());
        Some(name)
    }

    fn program_iins(
        &mut self,
        raw: &raw::Program,
        at: &Range<usize>,
        known: &mut Vec<Iin>,
    ) -> Option<Vec<Iin>> {
        let Some(list) = raw.iins.as_ref().filter(|list| !list.get_ref().is_empty()) else {
            let name = name_of(&raw.name);
            self.report.fault(at, format!("program {name:?} without iins"), "at least one card prefix");
            return None;
        };
        let iins = self.report.each(&raw.iins, "1 to 11 digits", |digits| Iin::parse(digits.as_bytes()));
        for iin in &iins {
            if known.contains(iin) {
                self.report.fault(&list.span(), "a prefix that is served already", "each prefix once");
            }
            known.push(*iin);
        }
        for (at, iin) in iins.iter().enumerate() {
            if let Some(other) = iins.iter().take(at + 1).find(|other| share_codes(iin, other)) {
                let found =
                    format!("cards that begin with {other} and {iin}, of which some have the same codes");
                let wanted = "prefixes that differ behind the first two digits: keys of cards come of the last 16 digits of number and sequence";
                self.report.fault(&list.span(), found, wanted);
            }
        }
        Some(iins)
    }

    pub(super) fn check_value(
        &mut self,
        given: &Option<Given<String>>,
        at: &Range<usize>,
    ) -> Option<[u8; 3]> {
        self.check_value_of(given, at, "check_value")
    }

    pub(super) fn check_value_of(
        &mut self,
        given: &Option<Given<String>>,
        at: &Range<usize>,
        key: &str,
    ) -> Option<[u8; 3]> {
        let [_, check_value @ ..] =
            self.hexadecimal(given, at, key, (6, "six hexadecimal digits"))?.to_be_bytes();
        Some(check_value)
    }

    fn hexadecimal(
        &mut self,
        given: &Option<Given<String>>,
        at: &Range<usize>,
        key: &str,
        (count, wanted): (usize, &str),
    ) -> Option<u32> {
        let written = self.report.required(given, at, key)?;
        let digits = written.as_bytes();
        let value = (digits.len() == count && digits.iter().all(u8::is_ascii_hexdigit))
            .then(|| u32::from_str_radix(&written, 16).ok())
            .flatten();
        if value.is_none() {
            let at = given.as_ref().map_or(at, |given| &given.at);
            self.report.wrong(at, &format!("{written:?}"), wanted);
        }
        value
    }

    /// Where a terminal's kernel puts counter, number and code: as tags 9F65 and 9F66 say, with so many digits of the
    /// counter (9F67).
    pub(super) fn bitmaps(&mut self, raw: &raw::Program, at: &Range<usize>, natc: u8) -> Option<Layouts> {
        let wanted = (4, "four hexadecimal digits, a bit for each digit of the discretionary data");
        let pcvc3 = self.hexadecimal(&raw.pcvc3, at, "pcvc3", wanted);
        let punatc = self.hexadecimal(&raw.punatc, at, "punatc", wanted);
        let (pcvc3, punatc) = (u16::try_from(pcvc3?).ok()?, u16::try_from(punatc?).ok()?);
        let layout = Layout::Bitmaps { pcvc3, punatc, natc };
        if !layout.is_sound() {
            let found = format!("pcvc3 {pcvc3:04X} and punatc {punatc:04X}");
            let wanted = format!(
                "1 to 5 digits of the code; {natc} of the counter and up to 8 of the number apart from them; the last left free"
            );
            self.report.fault(at, found, wanted);
            return None;
        }
        let code_digits = pcvc3.count_ones();
        // As R19, where a code has so few digits.
        let few = code_digits < ROTATING.code_digits;
        let tries = if few { &ROTATING_19 } else { &ROTATING };
        Some(Layouts { layout, code_digits, ..*tries })
    }

    /// The second key of profile `cvc3`.
    fn cvc3(&mut self, raw: &raw::Program, at: &Range<usize>, is_cvc3: bool) -> Option<Option<Cvc3Key>> {
        if !is_cvc3 {
            let keys = [&raw.cvc3_key, &raw.cvc3_check_value, &raw.derivation, &raw.pcvc3, &raw.punatc];
            if let Some(given) = keys.into_iter().flatten().next() {
                self.report.fault(&given.at, "a setting of profile cvc3", "profile = \"cvc3\" beside it");
            }
            return Some(None);
        }
        let key = self.report.required(&raw.cvc3_key, at, "cvc3_key");
        let check_value = self.check_value_of(&raw.cvc3_check_value, at, "cvc3_check_value");
        let derivation = self.derivation(raw);
        Some(Some(Cvc3Key { key: key?, check_value: check_value?, derivation: derivation? }))
    }

    pub(super) fn derivation(&mut self, raw: &raw::Program) -> Option<Derivation> {
        match &raw.derivation {
            Some(derivation) => self.report.one_of(derivation, "derivation", &DERIVATIONS),
            None => Some(Derivation::OptionA),
        }
    }

    /// How likely somebody who guesses may be right before the card is blocked, where so many codes would be right.
    pub(super) fn guesses(
        &mut self,
        raw: &raw::Program,
        at: &Range<usize>,
        layout: &Layouts,
        (per_card, right): (u8, u32),
    ) -> Option<f64> {
        let ceiling = self.report.or(&raw.guess_ceiling, layout.guess_ceiling)?;
        if let Some(given) = raw.guess_ceiling.as_ref().filter(|_| !(ceiling > 0.0 && ceiling <= 1.0)) {
            let found = format!("a guess_ceiling of {ceiling}");
            self.report.fault(&given.at, found, "above 0 and at most 1");
            return None;
        }
        let likely = f64::from(per_card) * f64::from(right) / 10_f64.powi(layout.code_digits as i32);
        if likely > ceiling {
            let at = raw.tries_per_card.as_ref().map_or(at, |given| &given.at);
            let several = if right > 1 { format!(" for {right} counters") } else { String::new() };
            let found = format!(
                "{per_card} tries of {} digits{several}: a guess is right with {likely:e}",
                layout.code_digits
            );
            self.report.fault(at, found, format!("at most the guess_ceiling of {ceiling:e}"));
        }
        Some(ceiling)
    }

    /// How much of what comes of a program's keys may be in memory. What makes no difference for its codes is refused: it
    /// would be a promise.
    pub(super) fn exposure(&mut self, raw: &raw::Program, kind: Kind, is_cvc3: bool) -> Option<Exposure> {
        let Some(given) = &raw.exposure else {
            if let Some(given) = raw.profile.as_ref().filter(|_| is_cvc3) {
                // Two bytes are no key that a token could hold.
                self.report.fault(
                    &given.at,
                    "profile cvc3 with exposure none",
                    "exposure = \"session\": its private counters are seen here",
                );
            }
            return Some(Exposure::None);
        };
        let exposure = self.report.one_of(given, "exposure", &EXPOSURES)?;
        let is_enrolled =
            raw.response.as_ref().is_some_and(|response| response.value.as_deref() != Ok("computed"));
        let (allowed, wanted) = match kind {
            Kind::RotatingAtc if is_cvc3 => (
                &[Exposure::Session, Exposure::Card][..],
                "\"session\" or \"card\": its private counters are seen here",
            ),
            Kind::RotatingAtc => {
                (&[Exposure::None, Exposure::Session][..], "\"none\" or \"session\": its cards have no keys")
            }
            Kind::Challenge if is_enrolled => (&[][..], "none of it: what makes tags never leaves the token"),
            Kind::Challenge | Kind::Contactless => (
                &[Exposure::None, Exposure::Card][..],
                "\"none\" or \"card\": no key of its cards is good for one purchase",
            ),
        };
        if !allowed.contains(&exposure) {
            self.report.fault(&given.at, format!("exposure \"{exposure}\""), wanted);
        }
        Some(exposure)
    }

    fn kind(&mut self, raw: &raw::Program, at: &Range<usize>, is_rotating: bool) -> Option<ProgramKind> {
        if is_rotating {
            let above = raw.required_above.as_ref().map(|given| &given.at);
            let currency = raw.currency.as_ref().map(|given| &given.at);
            let ttl = raw.challenge_ttl.as_ref().map(|given| &given.at);
            if let Some(at) = above.or(currency).or(ttl) {
                self.report.fault(
                    at,
                    "a setting of challenges",
                    "nothing of the kind in a rotating_atc program",
                );
            }
            if let Some(given) = &raw.response {
                self.report.fault(&given.at, "a response of rotating ATCs", "it in a challenge program only");
            }
            return Some(ProgramKind::RotatingAtc);
        }
        if let Some(given) = &raw.profile {
            self.report.fault(&given.at, "a profile of challenges", "it in a rotating_atc program only");
        }
        let response = match &raw.response {
            Some(response) => self.report.one_of(response, "response", &RESPONSES)?,
            None => ResponseKind::Computed,
        };
        let ttl = self.report.period(&raw.challenge_ttl, Duration::from_secs(120), TIMER);
        let required_above = self.required_above(raw, at)?;
        Some(ProgramKind::Challenge { required_above, ttl: ttl?, response })
    }

    /// Above which amount a response is required. In another currency the same number is another amount.
    fn required_above(&mut self, raw: &raw::Program, at: &Range<usize>) -> Option<Option<Amount>> {
        let Some(given) = &raw.required_above else {
            if let Some(given) = &raw.currency {
                self.report.fault(&given.at, "a currency of no amount", "required_above beside it");
            }
            return Some(None);
        };
        let minor = self.report.sound(given);
        let currency = self.currency(&raw.currency, at);
        Some(Some(Amount::new(minor?, currency?)))
    }
}

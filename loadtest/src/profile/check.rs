//! From a profile as written to one that can be used. Every bound on a setting stands here.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codecs::iso8583::{Dialect, Version, built_in};

use super::program::{check_programs, check_seals};
use super::raw::{
    LINKS, RawCase, RawFlaw, RawLink, RawLoad, RawProfile, RawReplay, RawReversals, RawTerminals, Spread,
};
use super::{
    Case, CaseMessage, Drive, Feed, First, Flaw, Link, Load, Manners, Profile, ProfileError, Reversals,
    Share, Terminals,
};
use crate::clock::{Clock, Stamp};
use crate::codes::Code;
use crate::proof::{Program, Seals};
use crate::recording;
use crate::replay::Recording;
use crate::shape::Shape;
use crate::units;

/// Threads that a run may have.
const WORKERS_MAX: usize = 64;
/// Links that a run may have.
const CONNECTIONS_MAX: usize = 10_000;
/// Messages a second; the retrieval numbers of one second would run out above it.
const RATE_MAX: f64 = 10_000_000.0;
/// Messages in flight on one link of a closed loop.
const WINDOW_MAX: usize = 4096;
/// A week.
const SECONDS_MAX: f64 = 604_800.0;
/// Longer than any terminal waits.
const PATIENCE_MAX: Duration = Duration::from_secs(600);
/// Reversals are repeated for some time, not for ever.
const REPEATS_MAX: u32 = 100;
/// Spinning for longer than a wake-up takes brings nothing.
const SPIN_MAX: Duration = Duration::from_millis(1);
/// How many times as fast a recording may be sent.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=1_000.0;
/// Behind the last message of a recording: it is in the run.
const RECORDING_END: Duration = Duration::from_millis(1);
/// Terminals, bounded by the table that draws them.
const TERMINALS_MAX: u32 = 1_000_000;
/// Kinds of messages.
const CASES_MAX: usize = 256;
/// DE 4 has twelve digits.
const AMOUNT_MAX: u64 = 999_999_999_999;

/// Refuses with a text unless `holds`.
pub(super) fn require(holds: bool, text: impl FnOnce() -> String) -> Result<(), ProfileError> {
    if holds { Ok(()) } else { Err(ProfileError(text())) }
}

pub(super) fn check(raw: RawProfile, folder: &Path) -> Result<Profile, ProfileError> {
    let seals = check_seals(&raw, folder)?;
    let mut link = check_link(raw.link)?;
    let recording =
        raw.replay.as_ref().map(|replay| check_replay(replay, &link, &seals, folder)).transpose()?;
    let load = check_load(&raw.load, recording.as_ref())?;
    link.sign_on |= recording.as_ref().is_some_and(|recording| recording.signs_on);
    let terminals = check_terminals(raw.terminals)?;
    let reversals = raw.reversals.as_ref().map(check_reversals).transpose()?;
    match &recording {
        None => require((1..=CASES_MAX).contains(&raw.case.len()), || {
            format!("a profile has 1 to {CASES_MAX} [[case]] tables, this one has {}", raw.case.len())
        })?,
        Some(_) => require(raw.case.is_empty() && raw.program.is_empty() && reversals.is_none(), || {
            "replay: the recording says what is sent, so there is no [[case]], [[program]] or [reversals]"
                .to_string()
        })?,
    }
    let programs = check_programs(&raw.program, folder)?;
    let mut cases = Vec::with_capacity(raw.case.len());
    for case in raw.case {
        let name = case.name.clone();
        require(!case.pin || seals.pin.is_some(), || format!("case `{name}`: pin: there is no [pin] table"))?;
        require(!case.chip || seals.cryptogram.is_some() && case.program.is_none(), || {
            format!("case `{name}`: chip: a [cryptogram] table is needed, and no program")
        })?;
        let checked = check_case(case, link.dialect, &programs, folder)
            .map_err(|error| ProfileError(format!("case `{name}`: {error}")))?;
        require(cases.iter().all(|other: &Case| other.name != name), || {
            format!("case `{name}` stands there twice")
        })?;
        cases.push(checked);
    }
    for mti in recording.iter().flat_map(|recording| &recording.types) {
        let name = String::from_utf8_lossy(mti).into_owned();
        cases.push(Case { name, weight: 1.0, message: CaseMessage::Recorded, expect: Vec::new() });
    }
    let sendable = |case: &&Case| case.weight > 0.0 && matches!(case.message, CaseMessage::First(_));
    require(recording.is_some() || cases.iter().any(|case| sendable(&case)), || {
        "no case with a weight above 0 sends a first message".to_string()
    })?;
    Ok(Profile {
        name: raw.name,
        description: raw.description,
        seed: raw.seed,
        load,
        link,
        reversals,
        terminals,
        programs,
        seals,
        cases,
        recording: recording.map(Arc::new),
    })
}

fn check_link(raw: RawLink) -> Result<Link, ProfileError> {
    let dialect = dialect(&raw.dialect).map_err(ProfileError)?;
    let framing = units::framing(&raw.framing).map_err(ProfileError)?;
    let [echo_every, key_change_every] = [&raw.echo_every, &raw.key_change_every]
        .map(|every| every.as_deref().map(units::duration).transpose().map_err(ProfileError));
    let (echo_every, key_change_every) = (echo_every?, key_change_every?);
    for (name, every) in [("echo_every", echo_every), ("key_change_every", key_change_every)] {
        require(every.is_none_or(|every| every >= Duration::from_millis(100)), || {
            format!("link.{name}: at least 100ms")
        })?;
    }
    require(!raw.connect.is_empty(), || "link.connect: an address is needed".to_string())?;
    require(is_digits(&raw.acquirer, 1..=11), || {
        format!("link.acquirer: `{}` is not 1 to 11 digits", raw.acquirer)
    })?;
    let manners = Manners {
        split_frames: raw.split_frames,
        slow_reader: raw.slow_reader.as_deref().map(units::duration).transpose().map_err(ProfileError)?,
        half_open: raw.half_open,
        storm: raw.storm.as_deref().map(units::duration).transpose().map_err(ProfileError)?,
    };
    require(raw.listen.is_none() || manners.half_open == 0, || {
        "link.half_open: nothing can be connected to where the host connects to us".to_string()
    })?;
    require(manners.half_open <= CONNECTIONS_MAX, || format!("link.half_open: at most {CONNECTIONS_MAX}"))?;
    require(manners.storm.is_none_or(|every| every >= Duration::from_millis(10)), || {
        "link.storm: at least 10ms".to_string()
    })?;
    Ok(Link {
        connect: raw.connect,
        listen: raw.listen,
        dialect_name: raw.dialect,
        dialect,
        framing,
        sign_on: raw.sign_on,
        sign_off: raw.sign_off,
        echo_every,
        key_change_every,
        acquirer: raw.acquirer,
        manners,
    })
}

fn check_replay(
    raw: &RawReplay,
    link: &Link,
    seals: &Seals,
    folder: &Path,
) -> Result<Recording, ProfileError> {
    require(SPEEDS.contains(&raw.speed), || {
        format!("replay.speed: {} to {} times as fast", SPEEDS.start(), SPEEDS.end())
    })?;
    let read = recording::read(&folder.join(&raw.file), link, seals.mac.as_ref(), raw.speed);
    read.map_err(|error| ProfileError(format!("replay: {error}")))
}

fn check_reversals(raw: &RawReversals) -> Result<Reversals, ProfileError> {
    let every = units::duration(&raw.every).map_err(ProfileError)?;
    require(raw.repeats <= REPEATS_MAX && !every.is_zero() && every <= PATIENCE_MAX, || {
        format!("reversals: at most {REPEATS_MAX} repeats, every above 0 and at most {PATIENCE_MAX:?}")
    })?;
    Ok(Reversals { repeats: raw.repeats, every })
}

/// The program of a case, which has its cards. Its codes stand in the track, and only 1987 has an entry mode for it.
fn check_program(
    raw: &RawCase,
    version: Version,
    programs: &[Arc<Program>],
) -> Result<Option<usize>, ProfileError> {
    let Some(name) = &raw.program else {
        require(raw.flaw != Some(RawFlaw::Code), || {
            "flaw: only a case with a program has a code".to_string()
        })?;
        return Ok(None);
    };
    let at = programs.iter().position(|program| program.name == *name);
    let at = at.ok_or_else(|| ProfileError(format!("program: no [[program]] has that name: `{name}`")))?;
    let own = raw.iin.is_some() || raw.cards.is_some() || raw.feed.is_some() || raw.card_digits.is_some();
    let other_flaw = raw.flaw.is_some_and(|flaw| flaw != RawFlaw::Code);
    require(!own && raw.track2 != Some(false) && !other_flaw, || {
        "program: it has the cards and writes the track, so neither iin, cards, card_digits, feed, track2 nor \
         another flaw than `code` is set"
            .to_string()
    })?;
    require(version == Version::V1987, || {
        "program: a dialect of 1987 is needed, 1993 has no entry mode for a contactless stripe".to_string()
    })?;
    Ok(Some(at))
}

/// Cards of a feed replace prefix and count; without one both come from the profile.
fn check_cards(
    raw: &RawCase,
    program: Option<&Program>,
    folder: &Path,
) -> Result<(String, usize, Option<Arc<Feed>>), ProfileError> {
    if let Some(program) = program {
        return Ok((program.iin.clone(), program.card_digits, None));
    }
    let Some(file) = &raw.feed else {
        let iin =
            raw.iin.clone().ok_or_else(|| ProfileError("iin: leading digits are needed".to_string()))?;
        return Ok((iin, raw.card_digits.unwrap_or(usual::CARD_DIGITS), None));
    };
    require(raw.iin.is_none() && raw.cards.is_none() && raw.flaw.is_none(), || {
        "feed: the cards stand in the file, so neither iin, cards nor flaw is set".to_string()
    })?;
    let feed = Feed::read(&folder.join(file)).map_err(ProfileError)?;
    Ok(("9999".to_string(), feed.pan_digits(), Some(Arc::new(feed))))
}

/// A built-in dialect by its name.
pub fn dialect(name: &str) -> Result<&'static Dialect, String> {
    built_in(name).ok_or_else(|| {
        let names: Vec<&str> = codecs::iso8583::BUILT_IN.iter().map(|(name, _)| *name).collect();
        format!("`{name}` is no dialect: {} are", names.join(", "))
    })
}

fn check_load(raw: &RawLoad, recording: Option<&Recording>) -> Result<Load, ProfileError> {
    let shape: Shape = raw.shape.parse().map_err(|error| ProfileError(format!("load.shape: {error}")))?;
    let drive = match (recording, raw.closed) {
        (Some(recording), closed) => {
            require(closed.is_none() && raw.workers == 1 && shape == Shape::Constant, || {
                "replay: it is sent as it was recorded: by one worker, in no shape and no closed loop"
                    .to_string()
            })?;
            Drive::Replay { speed: recording.speed }
        }
        (None, Some(window)) => {
            require(shape == Shape::Constant, || {
                "load.shape: a closed loop has no rate to shape".to_string()
            })?;
            require((1..=WINDOW_MAX).contains(&window), || format!("load.closed: 1 to {WINDOW_MAX}"))?;
            Drive::Closed { window }
        }
        (None, None) => {
            require(raw.rate > 0.0 && raw.rate * shape.highest() <= RATE_MAX, || {
                format!("load.rate: {} is not above 0 and at most {RATE_MAX}", raw.rate)
            })?;
            Drive::Open { rate: raw.rate, arrivals: raw.arrivals }
        }
    };
    require(raw.seconds > 0.0 && raw.seconds <= SECONDS_MAX, || {
        format!("load.seconds: {} is not above 0 and at most {SECONDS_MAX}", raw.seconds)
    })?;
    require((1..=WORKERS_MAX).contains(&raw.workers), || format!("load.workers: 1 to {WORKERS_MAX}"))?;
    let connections = raw.connections.unwrap_or(recording.map_or(LINKS, Recording::links));
    require((raw.workers..=CONNECTIONS_MAX).contains(&connections), || {
        format!("load.connections: from one per worker to {CONNECTIONS_MAX}")
    })?;
    let patience = units::duration(&raw.patience).map_err(ProfileError)?;
    require(!patience.is_zero() && patience <= PATIENCE_MAX, || {
        format!("load.patience: above 0 and at most {PATIENCE_MAX:?}")
    })?;
    let spin = units::duration(&raw.spin).map_err(ProfileError)?;
    require(spin <= SPIN_MAX, || format!("load.spin: at most {SPIN_MAX:?}"))?;
    let length = match recording {
        Some(recording) => Duration::from_nanos(recording.length_ns()) + RECORDING_END,
        None => Duration::from_secs_f64(raw.seconds),
    };
    let warm_up = units::duration(&raw.warm_up).map_err(ProfileError)?;
    let cool_down = units::duration(&raw.cool_down).map_err(ProfileError)?;
    require(warm_up + cool_down < length, || {
        "load: warm_up and cool_down leave nothing of the run to measure".to_string()
    })?;
    Ok(Load {
        drive,
        length,
        shape,
        warm_up,
        cool_down,
        connections,
        workers: raw.workers,
        share: Share::WHOLE,
        patience,
        spin,
    })
}

fn check_terminals(raw: RawTerminals) -> Result<Terminals, ProfileError> {
    require((1..=TERMINALS_MAX).contains(&raw.count), || format!("terminals.count: 1 to {TERMINALS_MAX}"))?;
    require((0.0..=10.0).contains(&raw.exponent), || "terminals.exponent: 0 to 10".to_string())?;
    let zipf = (raw.spread == Spread::Zipf).then_some(raw.exponent);
    Ok(Terminals { count: raw.count, zipf })
}

fn check_case(
    raw: RawCase,
    dialect: &Dialect,
    programs: &[Arc<Program>],
    folder: &Path,
) -> Result<Case, ProfileError> {
    require(raw.weight.is_finite() && raw.weight >= 0.0, || format!("weight: {} is below 0", raw.weight))?;
    let expect = raw
        .expect
        .iter()
        .map(|text| {
            let code = Code::parse(text.as_bytes());
            let code = code.ok_or_else(|| ProfileError(format!("expect: `{text}` is no response code")))?;
            Ok(code.in_version(dialect.version))
        })
        .collect::<Result<Vec<Code>, ProfileError>>()?;
    let shaped = raw.mti.is_some() || raw.iin.is_some() || raw.amount.is_some() || raw.flaw.is_some();
    let message = if raw.replay {
        require(!shaped && !raw.repeat && raw.program.is_none() && !programs.is_empty(), || {
            "a replay is the track of a case with a program: nothing more than `expect` to set".to_string()
        })?;
        CaseMessage::Replay
    } else if raw.repeat {
        require(!shaped && expect.is_empty(), || {
            "a repeat is what its original was, and is answered likewise: nothing more to set".to_string()
        })?;
        CaseMessage::Repeat
    } else {
        CaseMessage::First(check_first(&raw, dialect.version, programs, folder)?)
    };
    Ok(Case { name: raw.name, weight: raw.weight, message, expect })
}

/// What a first message is where the case does not say otherwise.
mod usual {
    pub(super) const MTI: &str = "0100";
    pub(super) const CARDS: u64 = 10_000;
    pub(super) const CARD_DIGITS: usize = 16;
    pub(super) const AMOUNT: [u64; 2] = [100, 25_000];
    pub(super) const CURRENCY: &str = "840";
    pub(super) const PROCESSING_CODE: &str = "000000";
}

/// Types a case may send, in the words of the 1987 edition.
const MTIS: [&str; 4] = ["0100", "0200", "0120", "0220"];

fn check_first(
    raw: &RawCase,
    version: Version,
    programs: &[Arc<Program>],
    folder: &Path,
) -> Result<First, ProfileError> {
    let mti = raw.mti.as_deref().unwrap_or(usual::MTI);
    require(MTIS.contains(&mti), || format!("mti: `{mti}` is none of {}", MTIS.join(", ")))?;
    let mut mti: [u8; 4] = digits(mti, "mti")?;
    if version == Version::V1993 {
        mti[0] = b'1';
    }
    let program = check_program(raw, version, programs)?;
    let (iin, card_digits, feed) = check_cards(raw, program.map(|at| &*programs[at]), folder)?;
    require(is_digits(&iin, 4..=11) && iin.starts_with("9999"), || {
        format!("iin: `{iin}` is not 4 to 11 digits of the test range 9999")
    })?;
    require((13..=19).contains(&card_digits), || "card_digits: 13 to 19".to_string())?;
    // Between the prefix and the check digit.
    let cards_max = 10_u64.pow((card_digits - iin.len() - 1) as u32);
    let cards = raw.cards.unwrap_or(usual::CARDS.min(cards_max));
    require((1..=cards_max).contains(&cards), || format!("cards: 1 to {cards_max}"))?;
    let [low, high] = raw.amount.unwrap_or(usual::AMOUNT);
    require(low <= high && high <= AMOUNT_MAX, || {
        format!("amount: [lowest, highest] in minor units, at most {AMOUNT_MAX}")
    })?;
    Ok(First {
        mti,
        iin,
        cards,
        feed,
        card_digits,
        amounts: low..=high,
        currency: digits(raw.currency.as_deref().unwrap_or(usual::CURRENCY), "currency")?,
        processing_code: digits(
            raw.processing_code.as_deref().unwrap_or(usual::PROCESSING_CODE),
            "processing_code",
        )?,
        expiry: expiry(raw.flaw == Some(RawFlaw::Expired)),
        track2: raw.track2.unwrap_or(true),
        flaw: match raw.flaw {
            Some(RawFlaw::Luhn) => Some(Flaw::Luhn),
            Some(RawFlaw::Format) => Some(Flaw::Format),
            Some(RawFlaw::Code) => Some(Flaw::Code),
            Some(RawFlaw::Expired) | None => None,
        },
        program,
        pin: raw.pin,
        chip: raw.chip,
    })
}

/// December, three years from now or two years ago.
pub(super) fn expiry(in_the_past: bool) -> [u8; 4] {
    let today = Stamp::of(Clock::starting_at(std::time::Instant::now()).unix_second(0));
    let year = today.year_and_month()[..2].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let year = (if in_the_past { year + 98 } else { year + 3 }) % 100;
    [b'0' + (year / 10) as u8, b'0' + (year % 10) as u8, b'1', b'2']
}

fn digits<const N: usize>(text: &str, key: &str) -> Result<[u8; N], ProfileError> {
    require(is_digits(text, N..=N), || format!("{key}: `{text}` is not {N} digits"))?;
    text.as_bytes().try_into().map_err(|_| ProfileError(format!("{key}: not {N} digits")))
}

pub(super) fn is_digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::{BUILT_IN, Overrides};
    use super::*;

    fn refused(text: &str) -> String {
        Profile::parse(text, &Overrides::default()).unwrap_err().to_string()
    }

    const CASE: &str = "[[case]]\nname = 'a'\nweight = 1\niin = '99996'\n";

    #[test]
    fn the_built_in_profiles_are_sound() {
        for (name, text) in BUILT_IN {
            let profile = Profile::parse(text, &Overrides::default()).unwrap();
            assert_eq!(profile.name, *name);
            assert!(!profile.description.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_short_profile_has_defaults() {
        let profile = Profile::parse(&format!("name = 'x'\n{CASE}"), &Overrides::default()).unwrap();
        assert_eq!(
            profile.load.drive,
            Drive::Open { rate: 1000.0, arrivals: crate::pace::Arrivals::Poisson }
        );
        let CaseMessage::First(first) = &profile.cases[0].message else { panic!() };
        assert_eq!((first.mti, first.cards, first.amounts.clone()), (*b"0100", 10_000, 100..=25_000));
    }

    #[test]
    fn the_command_line_goes_first() {
        let overrides = Overrides {
            rate: Some(5.0),
            dialect: Some("iso93-binary".to_string()),
            connect: vec!["127.0.0.1:1".to_string()],
            ..Overrides::default()
        };
        let profile = Profile::parse(&format!("name = 'x'\n{CASE}expect = ['51']"), &overrides).unwrap();
        assert!(matches!(profile.load.drive, Drive::Open { rate: 5.0, .. }));
        assert_eq!(profile.link.connect, ["127.0.0.1:1"]);
        assert_eq!(profile.cases[0].expect, [Code::parse(b"116").unwrap()]);
        let CaseMessage::First(first) = &profile.cases[0].message else { panic!() };
        assert_eq!(first.mti, *b"1100");
    }

    #[test]
    fn faults_name_their_place() {
        for (text, part) in [
            ("name = 'x'", "[[case]]"),
            ("name = 'x'\nspeed = 1", "speed"),
            ("name = 'x'\n[load]\nrate = 0\n", "load.rate"),
            ("name = 'x'\n[link]\ndialect = 'iso2003'", "iso87-ascii"),
            ("name = 'x'\n[[case]]\nname='a'\nweight=1\niin='400000'", "case `a`: iin"),
            ("name = 'x'\n[[case]]\nname='a'\nweight=1\nrepeat=true", "first message"),
            ("name = 'x'\n[[case]]\nname='a'\nweight=1\nrepeat=true\niin='99996'", "case `a`: a repeat"),
        ] {
            let said = refused(text);
            assert!(said.contains(part), "{text}: {said}");
        }
        assert!(refused(&format!("name = 'x'\n{CASE}{CASE}")).contains("twice"));
    }
}

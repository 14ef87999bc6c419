//! How a model issuer behaves: how long it takes, what it declines, and which faults it has. Each part can be
//! written as a word on the command line.

use std::str::FromStr;
use std::time::Duration;

use codecs::iso8583::Version;

use crate::codes::Code;
use crate::dice::{Dice, to_fraction};
use crate::units;

/// How long an answer takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Latency {
    /// It goes out in the turn in which the request came in.
    None,
    /// Always the same.
    Fixed(Duration),
    /// Exponential with this mean.
    Exponential(Duration),
    /// Log-normal: the logarithm of the nanoseconds has this mean and deviation.
    Lognormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Deviation of the logarithm.
        sigma: f64,
    },
}

/// Standard deviations between the median and the 99th percentile of a normal distribution.
const P99_DEVIATIONS: f64 = 2.326_347_874;

/// No answer is held back longer than this.
const LATENCY_MAX: Duration = Duration::from_secs(600);

impl Latency {
    /// The time of one answer in nanoseconds.
    pub fn draw_ns(&self, dice: &mut Dice) -> u64 {
        let ns = match self {
            Latency::None => 0.0,
            Latency::Fixed(time) => time.as_nanos() as f64,
            Latency::Exponential(mean) => dice.exponential(mean.as_nanos() as f64),
            Latency::Lognormal { mu, sigma } => (mu + sigma * dice.normal()).exp(),
        };
        (ns as u64).min(LATENCY_MAX.as_nanos() as u64)
    }
}

impl FromStr for Latency {
    type Err = String;

    /// Reads `none`, `fixed 1ms`, `exponential 2ms` or `lognormal p50=2ms p99=20ms`.
    fn from_str(text: &str) -> Result<Latency, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let value = |word: &str, key: &str| {
            let text = word.strip_prefix(key).ok_or_else(|| format!("`{word}`: `{key}TIME` is expected"))?;
            units::duration(text)
        };
        match words[..] {
            ["none"] => Ok(Latency::None),
            ["fixed", time] => Ok(Latency::Fixed(units::duration(time)?)),
            ["exponential", mean] => Ok(Latency::Exponential(units::duration(mean)?)),
            ["lognormal", p50, p99] => {
                let (p50, p99) = (value(p50, "p50=")?, value(p99, "p99=")?);
                if p50.is_zero() || p99 < p50 {
                    return Err("p50 must be above 0, and p99 not below it".to_string());
                }
                let mu = (p50.as_nanos() as f64).ln();
                Ok(Latency::Lognormal { mu, sigma: ((p99.as_nanos() as f64).ln() - mu) / P99_DEVIATIONS })
            }
            _ => Err(format!(
                "`{text}` is no latency: none, fixed TIME, exponential TIME, lognormal p50=TIME p99=TIME are"
            )),
        }
    }
}

/// Which share of the cards and amounts is declined, and with what.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Declines {
    /// Code and upper end of its part of 0 to 1.
    parts: Vec<(Code, f64)>,
}

impl Declines {
    /// The decline that belongs to a number spread over all 64 bits; nothing for an approval.
    pub fn of(&self, number: u64) -> Option<Code> {
        let fraction = to_fraction(number);
        self.parts.iter().find(|(_, end)| fraction < *end).map(|(code, _)| *code)
    }

    /// The same shares in the words of another edition.
    pub fn in_version(&self, version: Version) -> Declines {
        let parts = self.parts.iter().map(|(code, end)| (code.in_version(version), *end));
        Declines { parts: parts.collect() }
    }
}

impl FromStr for Declines {
    type Err = String;

    /// Reads `51=0.04,05=0.02`.
    fn from_str(text: &str) -> Result<Declines, String> {
        let mut declines = Declines::default();
        let mut end = 0.0;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (code, share) =
                part.split_once('=').ok_or_else(|| format!("`{part}`: CODE=SHARE is expected"))?;
            let code = Code::parse(code.as_bytes()).ok_or_else(|| format!("`{code}` is no response code"))?;
            end += share_of_one(share)?;
            declines.parts.push((code, end));
        }
        if end > 1.0 {
            Err(format!("`{text}`: more than everything would be declined"))
        } else {
            Ok(declines)
        }
    }
}

/// Reads a share between 0 and 1.
pub fn share_of_one(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is no share: a number from 0 to 1 is")),
    }
}

/// A share of the answers that comes later than the others.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LateAnswers {
    /// From 0 to 1.
    pub share: f64,
    /// How long they take.
    pub after: Duration,
}

impl FromStr for LateAnswers {
    type Err = String;

    /// Reads `0.001 12s`.
    fn from_str(text: &str) -> Result<LateAnswers, String> {
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [share, after] => Ok(LateAnswers {
                share: share_of_one(share)?,
                after: units::duration(after)?.min(LATENCY_MAX),
            }),
            _ => Err(format!("`{text}`: SHARE TIME is expected, for example `0.001 12s`")),
        }
    }
}

/// Times in which the issuer does nothing at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stalls {
    /// From the beginning of one to the beginning of the next.
    pub every: Duration,
    /// How long one lasts.
    pub length: Duration,
}

impl Stalls {
    /// How much of a stall is left when the issuer has been running for `running`; none before the first
    /// `every` is over.
    pub fn rest(&self, running: Duration) -> Duration {
        if running < self.every {
            return Duration::ZERO;
        }
        let into = Duration::from_nanos((running.as_nanos() % self.every.as_nanos()) as u64);
        self.length.saturating_sub(into)
    }
}

impl Stalls {
    /// From `running` to the beginning of the next one.
    pub fn next(&self, running: Duration) -> Duration {
        let into = Duration::from_nanos((running.as_nanos() % self.every.as_nanos()) as u64);
        self.every - into
    }
}

impl FromStr for Stalls {
    type Err = String;

    /// Reads `1s 100ms`: every second, for a tenth of it.
    fn from_str(text: &str) -> Result<Stalls, String> {
        let stalls = match text.split_whitespace().collect::<Vec<_>>()[..] {
            [every, length] => Stalls { every: units::duration(every)?, length: units::duration(length)? },
            _ => return Err(format!("`{text}`: EVERY LENGTH is expected, for example `1s 100ms`")),
        };
        if stalls.length < stalls.every {
            Ok(stalls)
        } else {
            Err(format!("`{text}`: a stall must be shorter than the time from one to the next"))
        }
    }
}

/// What goes wrong with a share of the answers.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Faults {
    /// Share that is never answered.
    pub silent: f64,
    /// Share that is answered late.
    pub late: Option<LateAnswers>,
    /// Share that is answered twice.
    pub double: f64,
    /// Share whose answer carries another STAN.
    pub wrong_key: f64,
}

/// What goes wrong with one answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It never comes.
    Silent,
    /// It comes this much later.
    Late(Duration),
    /// It comes twice.
    Double,
    /// It carries another STAN.
    WrongKey,
}

impl Faults {
    /// At most one fault per answer.
    pub fn draw(&self, dice: &mut Dice) -> Option<Fault> {
        let late = self.late.unwrap_or(LateAnswers { share: 0.0, after: Duration::ZERO });
        let mut fraction = dice.fraction();
        for (share, fault) in [
            (self.silent, Fault::Silent),
            (late.share, Fault::Late(late.after)),
            (self.double, Fault::Double),
            (self.wrong_key, Fault::WrongKey),
        ] {
            if fraction < share {
                return Some(fault);
            }
            fraction -= share;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_what_they_say() {
        let mut dice = Dice::new(1);
        let latency: Latency = "lognormal p50=2ms p99=20ms".parse().unwrap();
        let mut times: Vec<u64> = (0..100_000).map(|_| latency.draw_ns(&mut dice)).collect();
        times.sort_unstable();
        assert!((1_900_000..2_100_000).contains(&times[50_000]), "{}", times[50_000]);
        assert!((18_500_000..21_500_000).contains(&times[99_000]), "{}", times[99_000]);
        assert_eq!("fixed 1ms".parse::<Latency>().unwrap().draw_ns(&mut dice), 1_000_000);
        assert_eq!("none".parse::<Latency>(), Ok(Latency::None));
        for text in
            ["", "fixed", "exponential 2", "lognormal p50=2ms", "lognormal p50=2ms p99=1ms", "none 1ms"]
        {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
    }

    #[test]
    fn declines_have_their_shares() {
        let declines: Declines = "51=0.04, 05=0.02".parse().unwrap();
        let mut dice = Dice::new(1);
        let count = |wanted: &str, dice: &mut Dice| {
            let wanted = Code::parse(wanted.as_bytes());
            (0..100_000).filter(|_| declines.of(dice.number()) == wanted && wanted.is_some()).count()
        };
        assert!((3_800..4_200).contains(&count("51", &mut dice)));
        assert!((1_850..2_150).contains(&count("05", &mut dice)));
        assert_eq!(declines.in_version(Version::V1993).of(0), Code::parse(b"116"));
        for text in ["51", "51=2", "51=0.6,05=0.6", "x=0.1"] {
            assert!(text.parse::<Declines>().is_err(), "{text}");
        }
    }

    #[test]
    fn faults_exclude_each_other() {
        let faults =
            Faults { silent: 0.5, late: Some("0.25 12s".parse().unwrap()), double: 0.25, wrong_key: 0.0 };
        let mut dice = Dice::new(1);
        let draws: Vec<Option<Fault>> = (0..10_000).map(|_| faults.draw(&mut dice)).collect();
        let count = |fault| draws.iter().filter(|draw| **draw == Some(fault)).count();
        assert!((4_800..5_200).contains(&count(Fault::Silent)));
        assert!((2_300..2_700).contains(&count(Fault::Late(Duration::from_secs(12)))));
        assert_eq!(count(Fault::WrongKey), 0);
        assert_eq!(Faults::default().draw(&mut dice), None);
    }

    #[test]
    fn stalls_come_round() {
        let stalls: Stalls = "1s 100ms".parse().unwrap();
        for (running_ms, rest_ms) in [(0, 0), (999, 0), (1000, 100), (1040, 60), (1100, 0), (2099, 1)] {
            let rest = stalls.rest(Duration::from_millis(running_ms));
            assert_eq!(rest, Duration::from_millis(rest_ms), "{running_ms}");
        }
        assert_eq!(stalls.next(Duration::from_millis(1_300)), Duration::from_millis(700));
        assert_eq!(stalls.next(Duration::ZERO), Duration::from_secs(1));
        assert!("100ms 1s".parse::<Stalls>().is_err());
    }
}

//! What a module lists, what of it works, and how fast: for whoever chooses one. No part of a running switch, and the
//! only place beside the look after a token that has a clock.

use std::time::{Duration, Instant};

use cryptoki::error::Error;

use super::Token;
use super::probe::{self, Capability, Verdict};
use super::raw::Raw;

/// What was found out about a capability.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Surveyed {
    /// What was tried.
    pub capability: Capability,
    /// The name of its mechanism in the standard.
    pub mechanism: &'static str,
    /// Whether the module lists the mechanism.
    pub is_listed: bool,
    /// Whether the known answer came out.
    pub verdict: Verdict,
    /// Calls a second in one session, one block each, where it works. A derivation is counted with the end of the key.
    pub per_second: Option<f64>,
}

/// How long each mechanism is called.
const SPAN: Duration = Duration::from_millis(200);

impl Token {
    /// Tries everything once, and then for a while.
    pub fn survey(&self) -> Result<Vec<Surveyed>, Error> {
        let raw: &Raw = &self.module.raw;
        let listed = raw.mechanisms(self.module.slot.id())?;
        let of = |finding: &super::Finding| {
            let (mechanism, number) = finding.capability.mechanism();
            let works = finding.verdict == Verdict::Works;
            Surveyed {
                capability: finding.capability,
                mechanism,
                is_listed: listed.contains(&number),
                verdict: finding.verdict,
                per_second: works.then(|| self.rate(finding.capability)).flatten(),
            }
        };
        Ok(self.findings.iter().map(of).collect())
    }

    /// Calls a second; none when a call fails on the way.
    fn rate(&self, capability: Capability) -> Option<f64> {
        let (mut calls, start) = (0_u32, Instant::now());
        let enough = || {
            calls += 1;
            calls.is_multiple_of(64) && start.elapsed() >= SPAN
        };
        probe::repeat(&self.session, &self.module.raw, capability, enough).ok()?;
        Some(f64::from(calls) / start.elapsed().as_secs_f64())
    }
}

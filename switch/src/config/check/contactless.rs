//! Programs of ordinary contactless cards: where the counter is in the track, and how far it may be from the last one.

use std::ops::Range;

use authorizer::atc_window::{MAX_CANDIDATES, Reach};
use codecs::value::Iin;

use super::Check;
use super::program::Kind;
use crate::config::checked::{Program, ProgramKind};
use crate::config::raw;

/// A track has at most all five digits of a counter.
const ATC_DIGITS_MAX: u8 = 5;
/// As many counters before the last are remembered.
const BEHIND_MAX: u8 = 64;

impl Check<'_, '_> {
    /// A program whose cards come with counters of their own.
    pub(super) fn contactless(
        &mut self,
        raw: &raw::Program,
        at: &Range<usize>,
        name: Option<String>,
        iins: Option<Vec<Iin>>,
    ) -> Option<Program> {
        self.nothing_of_proxies(raw);
        let key = self.report.required(&raw.key, at, "key");
        let check_value = self.check_value(&raw.check_value, at);
        let derivation = self.derivation(raw);
        let exposure = self.exposure(raw, Kind::Contactless, false);
        let modifiable_key = self.report.or(&raw.modifiable_key, false);
        let tries_window = self.tries_window(raw);
        let atc_digits = self.report.count(&raw.atc_digits, 4, 1..=ATC_DIGITS_MAX);
        let ahead = self.report.count(&raw.atc_ahead, 100, 1..=u16::MAX);
        let behind = self.report.count(&raw.atc_behind, 10, 0..=BEHIND_MAX);
        let (atc_digits, reach) = (atc_digits?, Reach { ahead: ahead?, behind: behind? });
        let layout = self.bitmaps(raw, at, atc_digits)?;
        let per_card = self.report.count(&raw.tries_per_card, layout.tries_per_card, 1..=10)?;
        let counters = self.counters(raw, at, atc_digits, reach)?;
        let guess_ceiling = self.guesses(raw, at, &layout, (per_card, counters));
        Some(Program {
            name: name?,
            kind: ProgramKind::Contactless { derivation: derivation?, atc_digits, reach },
            exposure: exposure?,
            iins: iins?,
            layout: layout.layout,
            code_digits: layout.code_digits as usize,
            key: key?,
            check_value: check_value?,
            cvc3: None,
            modifiable_key: modifiable_key?,
            tries_per_secret: per_card,
            tries_per_card: per_card,
            tries_window: tries_window?,
            guess_ceiling: guess_ceiling?,
        })
    }

    /// How many counters within reach may end in the same digits: a code is right if it is any of theirs.
    fn counters(
        &mut self,
        raw: &raw::Program,
        at: &Range<usize>,
        atc_digits: u8,
        reach: Reach,
    ) -> Option<u32> {
        let all = u32::from(reach.ahead) + u32::from(reach.behind) + 1;
        let counters = all.div_ceil(10_u32.pow(atc_digits.into()));
        if counters as usize <= MAX_CANDIDATES {
            return Some(counters);
        }
        let at = raw.atc_ahead.as_ref().or(raw.atc_digits.as_ref()).map_or(at, |given| &given.at);
        let found = format!("{counters} of {all} counters in reach with the same {atc_digits} digits");
        self.report.fault(at, found, format!("at most {MAX_CANDIDATES}: fewer in reach, or more digits"));
        None
    }

    /// Settings of the programs of proxies.
    fn nothing_of_proxies(&mut self, raw: &raw::Program) {
        let texts =
            [&raw.layout, &raw.profile, &raw.cvc3_key, &raw.cvc3_check_value, &raw.response, &raw.currency];
        let given = texts.into_iter().flatten().map(|given| &given.at);
        let numbers = [&raw.tries_per_secret, &raw.required_above].into_iter().flatten();
        let ttl = raw.challenge_ttl.iter().map(|given| &given.at);
        if let Some(at) = given.chain(numbers.map(|given| &given.at)).chain(ttl).next() {
            self.report.fault(at, "a setting of proxy cards", "nothing of the kind in a contactless program");
        }
    }

    /// Settings of counters, in another program.
    pub(super) fn no_counters(&mut self, raw: &raw::Program) {
        let given = [&raw.atc_digits, &raw.atc_ahead, &raw.atc_behind];
        if let Some(given) = given.into_iter().flatten().next() {
            self.report.fault(
                &given.at,
                "a setting of cards' own counters",
                "it in a contactless program only",
            );
        }
    }
}

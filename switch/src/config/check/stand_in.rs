//! What may be approved for an issuer that cannot be asked. Every amount must be given: nobody should lend money by
//! default.

use std::ops::Range;

use codecs::value::{Currency, Iin};
use toml::Spanned;

use super::Check;
use crate::config::checked::StandIn;
use crate::config::given::Given;
use crate::config::raw;

/// The largest amount that DE 4 can say.
const AMOUNT_MAX: u64 = 999_999_999_999;

impl Check<'_, '_> {
    pub(super) fn stand_in(&mut self, raw: &Spanned<raw::StandIn>) -> Option<StandIn> {
        let at = raw.span();
        let raw = raw.get_ref();
        let report = &mut *self.report;
        let iins = report.each(&raw.iins, "1 to 11 digits", |iin| Iin::parse(iin.as_bytes()));
        if raw.iins.as_ref().is_none_or(|list| list.get_ref().is_empty()) {
            report.fault(&at, "no card ranges", "iins = [\"...\"], the cards that may be stood in for");
        }
        let currency = self.currency(&raw.currency, &at);
        let report = &mut *self.report;
        let mut amount = |given: &Option<Given<u64>>, key: &str| {
            if given.is_none() {
                report.fault(&at, format!("no {key:?}"), format!("{key} = an amount in minor units"));
            }
            let minor = report.sound(given.as_ref()?)?;
            if minor > AMOUNT_MAX {
                report.wrong(&given.as_ref()?.at, &minor.to_string(), "at most 12 digits");
                return None;
            }
            Some(minor)
        };
        let floor = amount(&raw.floor, "floor");
        let card = amount(&raw.card_per_day, "card_per_day");
        let all = amount(&raw.per_day, "per_day");
        let relations = [
            (floor, card, &raw.card_per_day, "not less than \"floor\""),
            (card, all, &raw.per_day, "not less than \"card_per_day\""),
        ];
        for (less, more, given, expected) in relations {
            if let (Some(less), Some(more), Some(given)) = (less, more, given)
                && more < less
            {
                self.report.wrong(&given.at, &more.to_string(), expected);
            }
        }
        Some(StandIn {
            iins,
            currency: currency?,
            floor_minor: floor?,
            card_daily_minor: card?,
            daily_minor: all?,
        })
    }

    /// Of what amounts are, where amounts are told.
    pub(super) fn currency(&mut self, given: &Option<Given<String>>, at: &Range<usize>) -> Option<Currency> {
        let code = self.report.required(given, at, "currency")?;
        let currency = Currency::parse(code.as_bytes()).filter(|currency| *currency != Currency::NONE);
        if let (None, Some(given)) = (currency, given) {
            let wanted = "the three digits of a currency, such as \"840\"";
            self.report.wrong(&given.at, &format!("{code:?}"), wanted);
        }
        currency
    }
}

//! The switch approves for an issuer that cannot be asked, where that was agreed on: listed cards, a floor for each
//! purchase, caps for each card and for all in a day. The issuer is told by an advice until it acknowledges.
//!
//! Only where no link of the card's issuers is up. A request that was sent and not answered is never stood in for: its
//! issuer may have approved it, and the reversal that undoes that approval and the advice that tells ours would speak of
//! one purchase at the same time; an issuer that knows both by DE 37 could undo the wrong one. Such a request is
//! answered 91, and its acquirer may try anew when the links are known to be down.
//!
//! Never for the token: what must be proven was proven before this file is asked.
//!
//! Amounts count for the shard that is home to the card of the message. The cap for all cards is dealt out over the shards
//! in equal parts, so that none of them must ask another; and so is that of a card that pays for others, which may have their
//! homes anywhere. Days are those of the switch's clock, UTC.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use codecs::value::{ApprovalCode, Currency, Iin, Pan};

use crate::Authorizer;
use crate::advice::Advice;
use crate::counters::add_one;
use crate::decision::Outcome;
use crate::effect::Effects;
use crate::event::{IssuerId, Now};
use crate::planted::{Planted, is_planted};
use crate::request::{Class, Request};

/// What was agreed on with an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// For which cards, as their issuer knows them.
    pub iins: Vec<Iin>,
    /// The currency of the amounts below; purchases in another one are not stood in for.
    pub currency: Currency,
    /// The most for one purchase, minor units.
    pub floor_minor: u64,
    /// The most for one card in a day.
    pub card_daily_minor: u64,
    /// The same where it pays for a proxy, on one shard.
    pub funding_daily_minor: u64,
    /// The most for all cards in a day, on one shard.
    pub daily_minor: u64,
}

/// What was stood in for at one issuer today.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoodIn {
    /// Days since 1970.
    day: u64,
    total_minor: u64,
    by_card: BTreeMap<Pan, u64>,
}

const DAY_US: u64 = 86_400_000_000;

impl StoodIn {
    /// Begins anew where another day has come. The clock behind it never goes back.
    fn on(&mut self, now_us: u64) -> &mut Self {
        let day = now_us / DAY_US;
        if self.day != day {
            *self = Self { day, ..Self::default() };
        }
        self
    }

    fn of_card(&self, pan: &Pan) -> u64 {
        self.by_card.get(pan).copied().unwrap_or(0)
    }

    /// Counts an approval.
    pub fn add(&mut self, pan: Pan, minor: u64, at_us: u64) {
        let today = self.on(at_us);
        today.total_minor = today.total_minor.saturating_add(minor);
        let card = today.by_card.entry(pan).or_default();
        *card = card.saturating_add(minor);
    }

    /// Gives back what was reversed of an approval of this day.
    fn give_back(&mut self, pan: Pan, minor: u64, at_us: u64) {
        if self.day == at_us / DAY_US {
            self.total_minor = self.total_minor.saturating_sub(minor);
            let card = self.by_card.entry(pan).or_default();
            *card = card.saturating_sub(minor);
        }
    }

    /// What was approved for each card, with a moment of that day.
    pub fn cards(&self) -> impl Iterator<Item = (Pan, u64, u64)> {
        let at_us = self.day.saturating_mul(DAY_US);
        self.by_card.iter().map(move |(pan, minor)| (*pan, *minor, at_us))
    }
}

impl Authorizer {
    /// Approves a request for its issuer. Says whether it did; where it did not, nothing has happened.
    pub(crate) fn stood_in(
        &mut self,
        request: &Request,
        (pan, is_funded): (Option<Pan>, bool),
        known: Option<u32>,
        now: Now,
        out: &mut Effects,
    ) -> bool {
        let Some(pan) = pan else { return false };
        let Some(issuer) = self.absent_issuer(&pan) else { return false };
        let Some(agreed) =
            self.tables.issuers.get(issuer.index()).and_then(|issuer| issuer.stand_in.as_ref())
        else {
            return false;
        };
        if !self.tables.has_journal || !is_served(request) || !agreed.iins.iter().any(|iin| iin.covers(&pan))
        {
            return false;
        }
        let Some(today) = self.stood_in.get_mut(issuer.index()) else { return false };
        let card_minor = if is_funded { agreed.funding_daily_minor } else { agreed.card_daily_minor };
        let today = today.on(now.monotonic_us);
        if !is_within((agreed, card_minor), today, request, &pan, &self.tables) {
            self.counters.issuer(issuer, |counters| add_one(&mut counters.stand_in_refused));
            return false;
        }
        let codes = self.tables.code_set(request.acquirer);
        let (received_us, outcome) = (self.received_us(known, now), Outcome::taken_advice(codes));
        let Ok(mut advice) = self.advice_of(request, received_us, issuer, (Some(pan), is_funded), outcome)
        else {
            return false;
        };
        // Our own number, and nobody else's, for as long as the issuer has not acknowledged it.
        advice.outcome = Outcome::stood_in(codes, ApprovalCode::parse(&advice.sent.stan.digits()));
        self.count_stand_in(&advice, now.monotonic_us);
        self.counters.issuer(issuer, |counters| add_one(&mut counters.stood_in));
        self.count_outcome(request.acquirer, &advice.outcome);
        self.counters.approved(request.amount.minor(), request.amount.currency());
        self.keep_advice(request, known, advice, now, out);
        true
    }

    /// The issuer of a card, if neither it nor an alternate can be asked.
    fn absent_issuer(&self, pan: &Pan) -> Option<IssuerId> {
        let route = self.tables.iins.route(pan)?;
        let is_up = |issuer: &IssuerId| self.issuers.get(issuer.index()).is_some_and(|state| state.is_up());
        let is_mistaken = is_planted(&self.tables, Planted::StandInWhileUp);
        if route.issuers.iter().any(is_up) && !is_mistaken { None } else { route.issuers.first().copied() }
    }

    /// Counts an approval against the caps, also one of an earlier process.
    pub(crate) fn count_stand_in(&mut self, advice: &Advice, at_us: u64) {
        let issuer = advice.sent.to.issuer;
        if let (Some(pan), Some(today)) = (advice.sent.pan, self.stood_in.get_mut(issuer.index())) {
            today.add(pan, advice.sent.asked.amount.minor(), at_us);
        }
    }

    /// A reversal gives back what it undoes, if the approval at `place` was ours and of the same day.
    pub(crate) fn give_back(&mut self, place: u32, left_minor: u64) {
        let Some(entry) = self.memory.get(place) else { return };
        let Some(sent) = entry.sent.filter(|_| entry.is_stood_in()) else { return };
        let before_minor = entry.left_minor.unwrap_or(sent.asked.amount.minor());
        let (since_us, undone_minor) = (sent.received_us, before_minor.saturating_sub(left_minor));
        if let (Some(pan), Some(today)) = (sent.pan, self.stood_in.get_mut(sent.to.issuer.index())) {
            today.give_back(pan, undone_minor, since_us);
        }
    }

    /// What was stood in for, by issuer.
    #[must_use]
    pub fn stand_ins(&self) -> &[StoodIn] {
        &self.stood_in
    }
}

/// A purchase of goods or services, asked for as such: cash and refunds are not stood in for.
fn is_served(request: &Request) -> bool {
    matches!(request.class, Class::Authorization | Class::Financial)
        && !request.verification_only
        && !request.amount.is_zero()
        && request.processing_code.is_some_and(|code| code.transaction_type() == 0)
}

fn is_within(
    (agreed, card_minor): (&StandIn, u64),
    today: &StoodIn,
    request: &Request,
    pan: &Pan,
    tables: &crate::tables::Tables,
) -> bool {
    let minor = request.amount.minor();
    let fits = |sum: u64, most: u64| sum.checked_add(minor).is_some_and(|sum| sum <= most);
    let floor = minor <= agreed.floor_minor || is_planted(tables, Planted::FloorIgnored);
    let caps = fits(today.of_card(pan), card_minor) && fits(today.total_minor, agreed.daily_minor);
    request.amount.currency() == agreed.currency && floor && (caps || is_planted(tables, Planted::CapIgnored))
}

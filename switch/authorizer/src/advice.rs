//! An acquirer tells what became of a payment without asking: 0120 and 0220. It has happened, so it is never refused for
//! what it says of money: it is acknowledged as soon as it is durable, and its issuer is told until it acknowledges too.
//!
//! | it is refused | with | because |
//! | --- | --- | --- |
//! | beyond the principal's rights, or a wrong code of a program's card | 58, 82 ... | who may not ask may not tell |
//! | no issuer serves the card | 92 | there is nobody to tell |
//! | the store is low, or as much waits for the issuer as may | 96, 91 | nothing is promised: its sender keeps it |
//!
//! Without a journal nothing can be kept, and an advice goes the way of a request: its issuer answers it, or it comes
//! again.
//!
//! Not here: how it is sent (`deliver`), and the advices that the switch makes itself (`stand_in`).

use alloc::boxed::Box;
use core::fmt;

use crate::Authorizer;
use crate::cards::Funding;
use crate::counters::add_one;
use crate::decision::{DeclineReason, Outcome};
use crate::effect::{Effect, Effects};
use crate::event::{IssuerId, IssuerLink, Now};
use crate::fact::Fact;
use crate::intake::{entry_of, reply_to};
use crate::memory::State;
use crate::planted::Planted;
use crate::request::{Asked, Class, Request};
use crate::saf::Stored;
use crate::transaction::Sent;
use codecs::value::Pan;

/// An advice to an issuer. Every transmission of it says the same, but for the repeat digit.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// What its issuer is told, under which of our trace numbers.
    pub sent: Sent,
    /// What the acquirer was told: an approval, where the switch stood in for the issuer.
    pub outcome: Outcome,
    /// Everything else of the message.
    pub kept: Kept,
    /// It was sent before, or may have been.
    pub is_repeat: bool,
}

impl Advice {
    /// The switch approved it for an issuer that could not be asked.
    #[must_use]
    pub fn is_stand_in(&self) -> bool {
        self.outcome.is_approved()
    }
}

/// Elements of a message that are to be said again after a restart, in a form that only the edge understands: here it
/// is passed on. Nothing of a track, a PIN or a card number is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept(pub Box<[u8]>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.0.len())
    }
}

impl Authorizer {
    /// Whether a request is an advice that is kept here until its issuer has it.
    pub(crate) fn keeps(&self, class: Class) -> bool {
        class.is_advice() && self.tables.has_journal
    }

    /// Takes an advice, or declines it where it cannot be kept. `funding` and `known` are as for a request that is
    /// forwarded.
    pub(crate) fn advised(
        &mut self,
        request: &Request,
        funding: Option<Funding>,
        known: Option<u32>,
        now: Now,
        out: &mut Effects,
    ) {
        let pan = funding.map(|funding| funding.pan).or(request.pan);
        let route = pan.and_then(|pan| self.tables.iins.route(&pan)?.issuers.first().copied());
        // One issuer for all of a card's advices, whichever is up: what it is told must stay in order.
        let Some(issuer) = route else {
            return self.declined_known(request, known, DeclineReason::NoRoute, now, out);
        };
        let outcome = Outcome::taken_advice(self.tables.code_set(request.acquirer));
        let received_us = self.received_us(known, now);
        match self.advice_of(request, received_us, issuer, (pan, funding.is_some()), outcome) {
            Ok(advice) => {
                self.counters.acquirer(request.acquirer, |counters| add_one(&mut counters.advices));
                self.keep_advice(request, known, advice, now, out);
            }
            Err(reason) => self.declined_known(request, known, reason, now, out),
        }
    }

    /// When a request was received that may have waited for the token.
    pub(crate) fn received_us(&self, known: Option<u32>, now: Now) -> u64 {
        known.and_then(|place| self.memory.since_us(place)).unwrap_or(now.monotonic_us)
    }

    /// The advice by which an issuer learns of a request.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub(crate) fn advice_of(
        &mut self,
        request: &Request,
        received_us: u64,
        issuer: IssuerId,
        (pan, is_funded): (Option<Pan>, bool),
        outcome: Outcome,
    ) -> Result<Advice, DeclineReason> {
        if self.saf_depth(issuer).waiting >= self.reversals_max {
            return Err(DeclineReason::Overloaded);
        }
        let kept = request.kept.clone().ok_or(DeclineReason::StoreUnavailable)?;
        let stan = self.own_stan(issuer).ok_or(DeclineReason::IssuerWindowFull)?;
        let class = match request.class {
            Class::Financial | Class::FinancialAdvice => Class::FinancialAdvice,
            _ => Class::AuthorizationAdvice,
        };
        let asked = Asked { class, ..request.asked() };
        let to = IssuerLink { issuer, link: 0 };
        let sent = Sent { to, stan, pan, is_funded, received_us, asked };
        Ok(Advice { sent, outcome, kept, is_repeat: false })
    }

    /// Remembers what was told, writes it down together with what its issuer must be told, and tells both.
    pub(crate) fn keep_advice(
        &mut self,
        request: &Request,
        known: Option<u32>,
        advice: Advice,
        now: Now,
        out: &mut Effects,
    ) {
        let ended = State::Ended(advice.outcome);
        let place = match known {
            Some(place) => {
                self.memory.conclude(place, ended);
                place
            }
            None => match self.memory.insert(entry_of(request, ended, now)) {
                Ok(place) => place,
                Err(_) => return self.declined_stateless(request, DeclineReason::Overloaded, out),
            },
        };
        self.memory.send(place, &advice.sent);
        out.facts.push(Fact::Advised(Box::new(advice.clone())));
        out.visible.push(Effect::Reply(reply_to(request, advice.outcome)));
        let issuer = advice.sent.to.issuer;
        let forgets = match advice.is_stand_in() {
            true => Planted::StandInNotTold,
            false => Planted::AdviceNotTold,
        };
        if let Some(saf) = self.saf.get_mut(issuer.index())
            && !crate::planted::is_planted(&self.tables, forgets)
        {
            saf.add(Stored::Advice(advice), None, now.monotonic_us);
        }
        self.deliver(issuer, now, out);
    }
}

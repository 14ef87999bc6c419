//! What is stored for an issuer goes out to it, and comes again until it is acknowledged.
//!
//! Not here: the queue itself (`saf`), and that the fact is durable before anything is sent.

use alloc::boxed::Box;

use codecs::value::{ApprovalCode, ResponseCode, Stan};

use crate::Authorizer;
use crate::counters::add_one;
use crate::effect::{Effect, Effects};
use crate::event::{IssuerId, Now};
use crate::fact::Fact;
use crate::limits::STORED_IN_FLIGHT;
use crate::planted::{Planted, is_planted};
use crate::request::{Answer, Class, same_if_both};
use crate::saf::{Depth, ItemState, Reversal, Saf, Stored, Why};
use crate::transaction::Sent;

/// How an issuer took a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It has it, or had it before, or there was nothing to undo.
    Done,
    /// Not now.
    Later,
    /// It will not take it as it is.
    Refused,
}

fn taken(message: &Stored, code: ResponseCode, is_approval: bool) -> Taken {
    match code.as_bytes() {
        // Neither yes nor no.
        _ if code == ResponseCode::NONE => Taken::Later,
        // Duplicate: it has it. No action taken; original not found.
        b"94" | b"913" | b"21" | b"25" | b"914" => Taken::Done,
        b"68" | b"91" | b"96" | b"906" | b"907" | b"908" | b"909" | b"910" | b"911" | b"912" | b"921" => {
            Taken::Later
        }
        // Accepted; 1993: 4xx.
        b"00" | [b'4', _, _] if message.is_reversal() => Taken::Done,
        // Acknowledged, with or without liability.
        b"900" | b"901" if !message.is_reversal() => Taken::Done,
        _ if !message.is_reversal() && is_approval => Taken::Done,
        _ => Taken::Refused,
    }
}

impl Authorizer {
    /// A new reversal of what an issuer was sent. An advice that did not arrive is not undone: it comes again.
    pub(crate) fn reversal_of(
        &mut self,
        sent: &Sent,
        why: Why,
        left_minor: u64,
        approval_code: Option<ApprovalCode>,
        now: Now,
    ) -> Option<Box<Reversal>> {
        let comes_again = sent.asked.class.is_advice() && why != Why::Acquirer;
        if !self.tables.has_journal || comes_again {
            return None;
        }
        let stan = self.own_stan(sent.to.issuer)?;
        Some(Box::new(Reversal {
            sent: *sent,
            stan,
            moment: now.moment,
            year: now.year,
            why,
            left_minor,
            approval_code,
            is_repeat: false,
        }))
    }

    /// A trace number that no leg of this issuer and nothing stored for it has.
    pub(crate) fn own_stan(&mut self, issuer: IssuerId) -> Option<Stan> {
        let saf = self.saf.get(issuer.index())?;
        let legs = self.issuers.get_mut(issuer.index())?;
        // Each try takes another number; messages that wait are few beside a million.
        (0..=saf.items.len()).find_map(|_| legs.take_stan().filter(|stan| !saf.has(*stan)))
    }

    /// Keeps a reversal until it is acknowledged, and sends it as soon as it may be. The fact that holds it has been
    /// written by the caller.
    pub(crate) fn keep_reversal(&mut self, memory: u32, reversal: &Reversal, now: Now, out: &mut Effects) {
        let behind = self.memory.undone_by(memory, reversal);
        let overtakes = self.has_planted(Planted::ReversalOvertakesAdvice);
        let behind = behind.filter(|_| !(overtakes && reversal.sent.asked.class.is_advice()));
        let issuer = reversal.sent.to.issuer;
        if let Some(saf) = self.saf.get_mut(issuer.index())
            && (saf.flying.len() < STORED_IN_FLIGHT || !is_planted(&self.tables, Planted::WindowForgets))
        {
            saf.add(Stored::Reversal(reversal.clone()), behind, now.monotonic_us);
        }
        self.deliver(issuer, now, out);
    }

    /// Sends what is due to an issuer, as far as the window of stored messages reaches.
    pub(crate) fn deliver(&mut self, issuer: IssuerId, now: Now, out: &mut Effects) {
        let timeout_us = self.tables.issuers.get(issuer.index()).map_or(0, |issuer| issuer.timeout_us);
        let (Some(saf), Some(state)) = (self.saf.get_mut(issuer.index()), self.issuers.get(issuer.index()))
        else {
            return;
        };
        while saf.flying.len() < state.stored_window() {
            let Some(number) = saf.due(now.monotonic_us) else { break };
            let Some(item) = saf.items.get(&number) else { break };
            // The link of the original first, so that it is not overtaken.
            let Some(link) = state.link_for_stored(item.message.sent().to.link) else { break };
            let Some(mut delivery) = saf.send(number, link, now.monotonic_us, timeout_us) else { break };
            if is_planted(&self.tables, Planted::AlwaysFirst) {
                delivery.message.set_repeat(false);
            }
            let is_repeat = delivery.message.is_repeat();
            self.counters.issuer(issuer, |counters| {
                add_one(if is_repeat { &mut counters.saf_repeated } else { &mut counters.saf_sent });
            });
            out.visible.push(Effect::Deliver(Box::new(delivery)));
        }
    }

    /// What was not acknowledged in time comes again; what is due goes out.
    pub(crate) fn deliveries_expired(&mut self, now: Now, out: &mut Effects) {
        for index in 0..u16::try_from(self.saf.len()).unwrap_or(u16::MAX) {
            let issuer = IssuerId(index);
            let Some(saf) = self.saf.get_mut(issuer.index()) else { continue };
            if saf.items.is_empty() {
                continue;
            }
            while let Some((due_us, number)) = saf.flying.first().copied()
                && due_us < now.monotonic_us
            {
                let attempts = saf.items.get(&number).map_or(0, |item| item.attempts);
                if attempts >= 3 && is_planted(&self.tables, Planted::DroppedAfterThree) {
                    if let Some(stan) = Stan::new(number) {
                        saf.remove(stan);
                    }
                    continue;
                }
                saf.put_off(number, now.monotonic_us, self.tables.retry);
            }
            self.deliver(issuer, now, out);
        }
    }

    /// When a stored message falls due.
    pub(crate) fn next_delivery_us(&self) -> Option<u64> {
        let next = |(saf, state): (&Saf, &crate::issuer::IssuerState)| {
            saf.next_us(state.is_up(), state.stored_window())
        };
        self.saf.iter().zip(&self.issuers).filter(|(saf, _)| !saf.items.is_empty()).filter_map(next).min()
    }

    /// An issuer says something to a stored message. An answer to any transmission of it counts.
    pub(crate) fn delivery_answered(&mut self, answer: &Answer, now: Now, out: &mut Effects) {
        out.free.push(Effect::Release(answer.ticket));
        let issuer = answer.link.issuer;
        let retry = self.tables.retry;
        let Some(saf) = self.saf.get_mut(issuer.index()) else { return };
        let number = answer.stan.number();
        let item = saf.items.get(&number).filter(|item| fits(&item.message, answer));
        let Some(item) = item else {
            return self.counters.issuer(issuer, |counters| add_one(&mut counters.unmatched));
        };
        let is_parked = item.state == ItemState::Parked;
        let said = taken(&item.message, answer.response_code, self.tables.is_approval(answer.response_code));
        let said = if is_planted(&self.tables, Planted::AnyAnswerAcknowledges) { Taken::Done } else { said };
        match said {
            Taken::Done => {
                saf.remove(answer.stan);
                let untraced = matches!(answer.response_code.as_bytes(), b"25" | b"914");
                self.counters.issuer(issuer, |counters| {
                    add_one(&mut counters.saf_done);
                    if untraced {
                        add_one(&mut counters.saf_untraced);
                    }
                });
                out.facts.push(Fact::ReversalDone { issuer, stan: answer.stan });
            }
            Taken::Later if !is_parked => saf.put_off(number, now.monotonic_us, retry),
            Taken::Later => {}
            Taken::Refused => self.park(issuer, answer.stan, out),
        }
        self.deliver(issuer, now, out);
    }

    /// Sets a message aside for an operator.
    pub(crate) fn park(&mut self, issuer: IssuerId, stan: Stan, out: &mut Effects) {
        let Some(saf) = self.saf.get_mut(issuer.index()) else { return };
        if saf.park(stan) {
            self.counters.issuer(issuer, |counters| add_one(&mut counters.saf_parked));
            out.facts.push(Fact::ReversalParked { issuer, stan });
        }
    }

    /// How what an issuer must be told stands here.
    #[must_use]
    pub fn saf_depth(&self, issuer: IssuerId) -> Depth {
        self.saf.get(issuer.index()).map(Saf::depth).unwrap_or_default()
    }
}

/// Whether an answer is to this message: its kind, and its keys as far as it carries them.
fn fits(message: &Stored, answer: &Answer) -> bool {
    match message {
        // They are told as 0420.
        Stored::Reversal(reversal) => {
            answer.class == Class::ReversalAdvice && fits_reversal(reversal, answer)
        }
        Stored::Advice(advice) => {
            answer.class == advice.sent.asked.class && advice.sent.asked.keys.fits(&answer.keys)
        }
    }
}

/// Whether an answer's keys are those of a reversal, as far as it carries them.
fn fits_reversal(reversal: &Reversal, answer: &Answer) -> bool {
    let keys = &reversal.sent.asked.keys;
    // 1993 may answer with DE 12, which has the year before it.
    let with_year =
        u64::from(reversal.year % 100).saturating_mul(10_000_000_000).saturating_add(reversal.moment);
    [reversal.moment, with_year].contains(&answer.keys.moment)
        && same_if_both(keys.rrn, answer.keys.rrn)
        && same_if_both(keys.acquirer, answer.keys.acquirer)
        && keys.is_same_place(&answer.keys)
}

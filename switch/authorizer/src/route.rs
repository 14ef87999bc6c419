//! Chooses an issuer and one of its links. Knows whether a link is up and how much it carries, nothing else.

use crate::Authorizer;
use crate::cards::Funding;
use crate::counters::add_one;
use crate::decision::DeclineReason;
use crate::effect::{Effect, Effects};
use crate::event::{AcquirerId, IssuerLink, Now};
use crate::fact::Fact;
use crate::intake::entry_of;
use crate::issuer::LegState;
use crate::memory::{Full, State};
use crate::planted::Planted;
use crate::request::Request;
use crate::transaction::{Sent, Timer, Transaction, TransactionId};
use codecs::value::{Pan, Stan};

impl Authorizer {
    /// Sends a request to its issuer, or declines it where none can be asked. `funding` is the card that pays
    /// for a proxy; `known` the place of a request whose identity is remembered already.
    pub(crate) fn forward(
        &mut self,
        request: &Request,
        funding: Option<Funding>,
        known: Option<u32>,
        now: Now,
        out: &mut Effects,
    ) {
        if self.keeps(request.class) {
            return self.advised(request, funding, known, now, out);
        }
        let pan = funding.map(|funding| funding.pan).or(request.pan);
        if self.has_planted(Planted::StandInWhileUp)
            && self.stood_in(request, (pan, funding.is_some()), known, now, out)
        {
            return;
        }
        let to = match self.route(pan.as_ref(), request.acquirer) {
            Ok(to) => to,
            Err(DeclineReason::IssuerDown)
                if self.stood_in(request, (pan, funding.is_some()), known, now, out) =>
            {
                return;
            }
            Err(reason) => return self.declined_known(request, known, reason, now, out),
        };
        let depth = self.saf_depth(to.issuer);
        // What was set aside has room of its own: an issuer that refuses advices must not stop its payments.
        let is_full = depth.waiting.saturating_sub(depth.parked) >= self.reversals_max
            || depth.waiting >= self.reversals_max.saturating_mul(2);
        if self.tables.has_journal && is_full {
            // Each new request may become one reversal more than there is room for.
            return self.declined_known(request, known, DeclineReason::Overloaded, now, out);
        }
        // A request that waited for the token was received before.
        let received_us = known.and_then(|place| self.memory.since_us(place)).unwrap_or(now.monotonic_us);
        let deadline_us = received_us.saturating_add(self.timeout_us(to));
        if deadline_us < now.monotonic_us {
            // Nobody waits for the answer any more.
            return self.declined_known(request, known, DeclineReason::TokenUnavailable, now, out);
        }
        let Some(id) = self.transactions.next_id() else {
            return self.declined_known(request, known, DeclineReason::Overloaded, now, out);
        };
        let state = State::Running(id);
        let memory = match known {
            Some(place) => {
                self.memory.conclude(place, state);
                place
            }
            None => match self.memory.insert(entry_of(request, state, now)) {
                Ok(place) => place,
                Err(Full) => return self.declined_stateless(request, DeclineReason::Overloaded, out),
            },
        };
        let Some(stan) = self.open_leg(to, id, request) else {
            self.memory.conclude(memory, State::Forgotten);
            return self.declined(request, DeclineReason::IssuerWindowFull, now, out);
        };
        self.transactions.insert(Transaction {
            ticket: request.ticket,
            link: request.link,
            acquirer: request.acquirer,
            class: request.class,
            identity: request.identity,
            memory,
            pan,
            funding,
            amount: request.amount,
            processing_code: request.processing_code,
            keys: request.keys,
            to,
            stan,
            forwarded_us: now.monotonic_us,
            deadline_us,
            timer: Timer::default(),
        });
        self.deadlines.push(id, &mut self.transactions);
        let is_funded = funding.is_some();
        let sent = Sent { to, stan, pan, is_funded, received_us, asked: request.asked() };
        self.memory.send(memory, &sent);
        if !self.has_planted(Planted::NoIntent) {
            out.facts.push(Fact::Intent(sent));
        }
        self.count_forwarded(to);
        if self.has_planted(Planted::ForwardedTwice) {
            out.visible.push(Effect::Forward { ticket: request.ticket, to, stan, funding });
        }
        out.visible.push(Effect::Forward { ticket: request.ticket, to, stan, funding });
    }

    /// Sends a running transaction to another link or an alternate, its deadline unchanged.
    pub(crate) fn forward_again(&mut self, id: TransactionId, now: Now, out: &mut Effects) {
        let Some(transaction) = self.transactions.get(id).copied() else { return };
        let opened = self.route(transaction.pan.as_ref(), transaction.acquirer).and_then(|to| {
            let issuer = self.issuers.get_mut(to.issuer.index()).ok_or(DeclineReason::IssuerDown)?;
            let stan = issuer.open_leg(to.link, id, (transaction.acquirer, transaction.identity));
            stan.map(|stan| (to, stan)).ok_or(DeclineReason::IssuerWindowFull)
        });
        let (to, stan) = match opened {
            Ok(leg) => leg,
            Err(reason) => return self.conclude_unsent(id, reason, now, out),
        };
        if let Some(transaction) = self.transactions.get_mut(id) {
            transaction.to = to;
            transaction.stan = stan;
            transaction.forwarded_us = now.monotonic_us;
        }
        let sent = self.memory.sent(transaction.memory);
        if let Some(sent) = sent.map(|sent| Sent { to, stan, ..sent }) {
            self.memory.send(transaction.memory, &sent);
            out.facts.push(Fact::Intent(sent));
        }
        self.count_forwarded(to);
        out.visible.push(Effect::Forward {
            ticket: transaction.ticket,
            to,
            stan,
            funding: transaction.funding,
        });
    }

    /// The first issuer of the card's route that this acquirer can ask, and its least loaded link.
    fn route(&self, pan: Option<&Pan>, acquirer: AcquirerId) -> Result<IssuerLink, DeclineReason> {
        let route = pan.and_then(|pan| self.tables.iins.route(pan)).ok_or(DeclineReason::NoRoute)?;
        let mut why = None;
        for issuer in route.issuers.iter().copied() {
            let state = self.issuers.get(issuer.index()).ok_or(DeclineReason::NoRoute)?;
            match state.least_loaded(acquirer) {
                Ok(link) => return Ok(IssuerLink { issuer, link }),
                Err(reason) => why = why.or(Some(reason)),
            }
        }
        Err(why.unwrap_or(DeclineReason::NoRoute))
    }

    fn open_leg(&mut self, to: IssuerLink, id: TransactionId, request: &Request) -> Option<Stan> {
        let of = (request.acquirer, request.identity);
        self.issuers.get_mut(to.issuer.index())?.open_leg(to.link, id, of)
    }

    /// Takes a transaction out of everything that waits for it, and ends its leg.
    pub(crate) fn close(&mut self, id: TransactionId, end: LegState) -> Option<Transaction> {
        self.deadlines.remove(id, &mut self.transactions);
        let transaction = self.transactions.remove(id)?;
        if let Some(issuer) = self.issuers.get_mut(transaction.to.issuer.index()) {
            issuer.close_leg(transaction.to.link, transaction.stan, transaction.acquirer, end);
        }
        Some(transaction)
    }

    fn timeout_us(&self, to: IssuerLink) -> u64 {
        self.tables.issuers.get(to.issuer.index()).map_or(0, |issuer| issuer.timeout_us)
    }

    fn count_forwarded(&mut self, to: IssuerLink) {
        self.counters.issuer(to.issuer, |issuer| add_one(&mut issuer.forwarded));
    }
}

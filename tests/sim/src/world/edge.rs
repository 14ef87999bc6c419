//! What is between the shards and the world: the events they get, and what becomes of the effects they ask for.

use authorizer::Effect;
use authorizer::cards::Funding;
use authorizer::effect::Reply;
use authorizer::event::{AcquirerLink, Event, Leg, ShardId, Ticket, Unsent};
use authorizer::fact::Fact;
use authorizer::issuer::shard_of;
use authorizer::late::ForgottenLeg;
use authorizer::memory::{Entry, State};
use authorizer::programs::Question;
use authorizer::recall::{self, Known, Recalled};
use authorizer::request::{Identity, Request};
use authorizer::saf::{Delivery, Stored};
use authorizer::verify::{Judgement, ProofId};

use super::{Happening, Kept, SECOND, World, payment_of};
use crate::faults::Fault;
use crate::payments::{Served, program_of};

/// Of a million times that the index is asked, so many it is away, and so many it is behind.
const INDEX_GONE: u32 = 50_000;
const INDEX_BEHIND: u32 = 200_000;
/// So often a leg is looked up.
const LOOKS: u32 = 300;

impl World {
    pub(super) fn home_of(&self, identity: u128) -> u16 {
        ((identity >> 64) % self.cards.shards as u128) as u16
    }

    pub(super) fn event(&mut self, shard: ShardId, event: Event) {
        self.inboxes[usize::from(shard.0)].push(event);
        let after_us = self.dice.within(1, 200);
        self.turn_at(shard, self.now_us + after_us);
    }

    pub(super) fn event_everywhere(&mut self, event: &Event) {
        for shard in (0..self.cards.shards as u16).map(ShardId) {
            self.event(shard, event.clone());
        }
    }

    pub(super) fn turn_at(&mut self, shard: ShardId, at_us: u64) {
        let planned = &mut self.turns[usize::from(shard.0)];
        let at_us = at_us.max(self.frozen_until_us).max(self.now_us);
        if planned.is_none_or(|planned| at_us < planned) {
            *planned = Some(at_us);
            self.at(at_us - self.now_us, Happening::Turn(self.process, shard));
        }
    }

    pub(super) fn perform(&mut self, shard: ShardId, effect: Effect) {
        match effect {
            Effect::Forward { ticket, to, stan, funding } => self.forward(ticket, Leg { to, stan }, funding),
            Effect::Deliver(delivery) => self.deliver(*delivery),
            Effect::Ask { proof, ticket, question, .. } => self.ask(shard, ticket, proof, question),
            Effect::Challenge { .. } => {}
            Effect::Reply(reply) => self.reply(reply),
            Effect::Release(ticket) => self.release(ticket),
            Effect::Recall { ticket, identity, ended_by_us } => {
                let after_us = self.dice.within(50, SECOND);
                self.at(after_us, Happening::Recalled(self.process, shard, ticket, identity, ended_by_us));
            }
            Effect::RecallLeg(leg) => {
                let after_us = self.dice.within(50, SECOND);
                self.at(after_us, Happening::RecalledLeg(self.process, shard, leg, 0));
            }
            Effect::LeftStanding(answer) => {
                let number = payment_of(&answer.keys);
                if !self.stopping {
                    self.broken(Some(number), "Q13: a late approval is left standing".to_owned());
                }
            }
            Effect::Hand { ticket, to } => {
                if let Some(Kept::Request(_, request)) = self.tickets.get(&ticket.0).cloned() {
                    let after_us = self.dice.within(1, 500);
                    self.at(after_us, Happening::Handed(self.process, to, request));
                }
            }
        }
    }

    pub(super) fn switch_hears(&mut self, link: AcquirerLink, request: Request) {
        self.tell(Some(payment_of(&request.keys)), || format!("{} reaches the switch", request.class.name()));
        let is_same = self.acquirer_links.iter().any(|(known, _, is_up)| *known == link && *is_up);
        if !self.is_up || !is_same {
            return;
        }
        let number = payment_of(&request.keys);
        self.next_ticket += 1;
        let request = Request { ticket: Ticket(self.next_ticket), ..request };
        self.tickets.insert(self.next_ticket, Kept::Request(number, Box::new(request.clone())));
        let named = request.original.as_ref().map_or(request.identity, |original| original.identity);
        let home = ShardId(self.home_of(named.0));
        self.event(home, Event::Request(request));
    }

    /// What the journals say of an identity, as an index of them would that is behind now and then: *something* where it is
    /// level, *nothing* where it is past what the shard has forgotten.
    pub(super) fn recalled(&mut self, shard: ShardId, ticket: Ticket, identity: Identity, ended_by_us: u64) {
        let Some(Kept::Request(number, request)) = self.tickets.get(&ticket.0).cloned() else { return };
        self.ran.recalls += 1;
        let behind = if self.dice.happens(INDEX_BEHIND) { self.dice.below(40) as usize } else { 0 };
        let (reached_us, found) = self.indexed(identity, behind);
        let known = match found {
            _ if self.dice.happens(INDEX_GONE) => Known::Unsaid,
            Some((entry, home)) if behind == 0 => Known::Entry(Box::new(entry), home),
            None if reached_us > ended_by_us => Known::Nothing,
            _ => Known::Unsaid,
        };
        self.tell(Some(number), || format!("the index says {known:?}"));
        self.event(shard, Event::Recalled(Box::new(Recalled { request: *request, known })));
    }

    /// The same of what an issuer was asked by a leg. Nobody waits: it is looked up again while it cannot be said.
    pub(super) fn leg_recalled(&mut self, shard: ShardId, leg: ForgottenLeg, before: u32) {
        self.ran.recalls += 1;
        self.ran.legs_recalled += 1;
        let is_away = self.dice.happens(INDEX_GONE) || self.dice.happens(INDEX_BEHIND);
        if is_away && before < LOOKS {
            return self.at(SECOND, Happening::RecalledLeg(self.process, shard, leg, before + 1));
        }
        let mut begun =
            self.disks.iter().flat_map(|disk| disk.durable_facts()).filter_map(|(fact, _)| match fact {
                Fact::Intent(sent) if leg.is_of(sent) => Some(sent.asked.identity),
                _ => None,
            });
        let found = begun.next_back().and_then(|identity| self.indexed(identity, 0).1);
        let known = match found {
            _ if is_away => Known::Unsaid,
            Some((entry, home)) => Known::Entry(Box::new(entry), home),
            None => Known::Nothing,
        };
        let number = match &known {
            Known::Entry(entry, _) => entry.sent.map(|sent| payment_of(&sent.asked.keys)),
            Known::Nothing | Known::Unsaid => None,
        };
        self.tell(number, || format!("the index says of leg {} {known:?}", leg.stan.number()));
        self.event(shard, Event::RecalledLeg(leg, known));
    }

    /// What the journals say of an identity but for their newest facts, and up to which moment all is said.
    fn indexed(&self, identity: Identity, behind: usize) -> (u64, Option<(Entry, ShardId)>) {
        let (mut reached_us, mut found) = (u64::MAX, None);
        for (home, disk) in (0..).map(ShardId).zip(&self.disks) {
            let facts = disk.durable_facts();
            let facts = &facts[..facts.len().saturating_sub(behind)];
            if behind > 0 {
                reached_us = reached_us.min(facts.last().map_or(0, |(_, at_us)| *at_us));
            }
            let of_it = facts.iter().filter(|(fact, _)| recall::identity_of(fact) == Some(identity));
            let entry = of_it.fold(None, |known, (fact, at_us)| recall::after(known, fact, *at_us));
            let entry = entry.filter(|entry| entry.state != State::Forgotten);
            found = found.or(entry.map(|entry| (entry, home)));
        }
        (reached_us, found)
    }

    pub(super) fn release(&mut self, ticket: Ticket) {
        if self.tickets.remove(&ticket.0).is_none() {
            self.broken(None, format!("a raw message was released twice: {}", ticket.0));
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        let kept = self.tickets.get(&reply.ticket.0).cloned();
        self.release(reply.ticket);
        if let Some(answer) = reply.answer {
            self.release(answer);
        }
        let Some(Kept::Request(number, request)) = kept else { return };
        let is_reversal = request.class.is_reversal();
        let payment = &self.payments[number as usize];
        if is_reversal && (request.amount.minor(), request.acquirer.0) != (payment.amount, payment.acquirer) {
            // Nobody waits for the answer to mischief.
            return;
        }
        self.seen(number << 8 | u64::from(reply.outcome.response_code.as_bytes()[0]));
        let is_other = request.fingerprint.content != u128::from(self.payments[number as usize].amount);
        if is_other && !is_reversal && reply.outcome.is_approved() {
            return self.broken(Some(number), "Q5: another content was told the approval".to_owned());
        }
        if reply.outcome.is_approved() && !is_reversal {
            // Also where the switch stood in, and nothing was forwarded.
            self.claim(number, None);
        }
        let whose = self.acquirer_links.iter().find(|(link, _, is_up)| *link == reply.link && *is_up);
        let Some((_, acquirer, _)) = whose.copied() else { return };
        if self.happens(Fault::ReplyLost) {
            return;
        }
        let delay_us = self.acquirer_delay();
        self.at(delay_us, Happening::ToAcquirer(acquirer, number, Box::new(reply), is_reversal));
    }

    pub(super) fn ask(&mut self, shard: ShardId, ticket: Ticket, proof: ProofId, question: Question) {
        let Some(Kept::Request(number, _)) = self.tickets.get(&ticket.0).cloned() else { return };
        let label = self.payments[number as usize].label;
        let judgement = match (question, label.filter(|(_, is_right)| *is_right)) {
            _ if self.happens(Fault::TokenGone) => Judgement::Unknown,
            (Question::CardCode { atcs, .. }, Some((atc, _))) if atcs.as_slice().contains(&atc) => {
                Judgement::RightFor(atc)
            }
            (Question::CardCode { .. }, _) | (_, None) => Judgement::Wrong,
            (_, Some(_)) => Judgement::Right,
        };
        if matches!(judgement, Judgement::Right | Judgement::RightFor(_)) {
            self.proven.insert(number);
        }
        let slow = self.happens(Fault::SlowToken);
        let after_us = if slow { self.dice.below(2 * SECOND) } else { self.dice.within(20, 400) };
        self.at(after_us, Happening::Judged(self.process, shard, proof, judgement));
    }

    pub(super) fn forward(&mut self, ticket: Ticket, leg: Leg, funding: Option<Funding>) {
        let Some(Kept::Request(number, _)) = self.tickets.get(&ticket.0).cloned() else {
            return self.broken(None, "a request was forwarded after it was released".to_owned());
        };
        self.seen(number << 8 | 1);
        self.tell(Some(number), || {
            format!("forwarded to {}.{} as {}", leg.to.issuer.0, leg.to.link, leg.stan.number())
        });
        self.claim(number, Some(funding.is_some()));
        if !self.is_connected(leg.to, self.generation(leg.to)) {
            let owner = shard_of(leg.stan, self.cards.shards as u16);
            return self.event(owner, Event::Unsent(leg, Unsent::LinkLost));
        }
        if self.happens(Fault::ForwardLost) {
            return;
        }
        let generation = self.generation(leg.to);
        let delay_us = self.in_line(leg.to, generation);
        self.at(delay_us, Happening::ToIssuer(leg.to, generation, leg, number));
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let message = &delivery.message;
        let sent = *message.sent();
        let number = payment_of(&sent.asked.keys);
        let (issuer, stan, is_repeat) = (delivery.to.issuer.0, message.stan().number(), message.is_repeat());
        self.seen(number << 8 | 2);
        let moment = match message {
            Stored::Reversal(reversal) => {
                self.ran.reversals += 1;
                reversal.moment
            }
            Stored::Advice(_) => {
                self.ran.advices += 1;
                sent.asked.keys.moment
            }
        };
        self.tell(Some(number), || {
            let kind = if message.is_reversal() { "reversal" } else { "advice" };
            let link = delivery.to.link;
            format!("{kind} {stan} of {} to {issuer}.{link}, repeat {is_repeat}", sent.stan.number())
        });
        let approved_late = self.late.contains(&(issuer, sent.stan.number()));
        let (times, acknowledged) = self.undoings.entry((issuer, stan, moment)).or_insert((0, None));
        let was_sent = *times > 0;
        let acknowledged = *acknowledged;
        *times += 1;
        if let Stored::Reversal(reversal) = message {
            let leg = (issuer, sent.stan.number(), sent.asked.keys.moment, reversal.left_minor);
            let several = self.reversals_of.entry(leg).or_default();
            several.insert(stan);
            if several.len() > 1 && !approved_late {
                return self.broken(Some(number), "E7: two reversals of one request".to_owned());
            }
            if several.len() > 2 {
                return self.broken(Some(number), "E7: a late approval was undone twice".to_owned());
            }
        }
        if was_sent && !is_repeat {
            return self.broken(Some(number), "E7: a message was sent twice as the first".to_owned());
        }
        if !was_sent && is_repeat && self.process == 1 && !approved_late {
            return self.broken(Some(number), "E7: a message began with a repeat".to_owned());
        }
        if acknowledged == Some(self.process) {
            return self.broken(Some(number), "E7: a message was sent after its acknowledgement".to_owned());
        }
        if !self.is_connected(delivery.to, self.generation(delivery.to)) || self.happens(Fault::ReversalLost)
        {
            return;
        }
        let generation = self.generation(delivery.to);
        let delay_us = self.in_line(delivery.to, generation);
        self.at(delay_us, Happening::DeliveredAtIssuer(delivery.to, generation, Box::new(delivery)));
    }

    /// A right code is good for one payment. A proxy's goes to the card that pays for it, where that is known.
    fn claim(&mut self, number: u64, is_funded: Option<bool>) {
        let payment = &self.payments[number as usize];
        let Some((label, is_right)) = payment.label else { return };
        let card = payment.card;
        let is_proxy = matches!(program_of(card), Some((_, Served::Proxy(_))));
        if !is_right || is_funded.is_some_and(|funded| funded != is_proxy) || !self.proven.contains(&number) {
            return self.broken(
                Some(number),
                "a code that is not known to be right was good for something".to_owned(),
            );
        }
        let first = *self.claimed.entry((card, label)).or_insert(number);
        if first != number {
            self.broken(
                Some(number),
                format!("E8: ATC {label} of card {card} was accepted twice, by {first} too"),
            );
        }
    }
}

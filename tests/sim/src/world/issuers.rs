//! What the issuers do: they answer honestly or not, in time or not, and take reversals.

use authorizer::event::{Event, IssuerLink, Leg, Ticket};
use authorizer::issuer::shard_of;
use authorizer::request::{Answer, Class, MatchKeys};
use authorizer::saf::{Delivery, Stored};
use codecs::value::{ApprovalCode, Pan, ResponseCode};

use super::{Happening, Kept, LINKS, SECOND, SMALL, World, payment_of};
use crate::faults::Fault;
use crate::issuer::Key;
use crate::payments::{PLAIN_CARDS, Payment, Served, program_of};

impl World {
    pub(super) fn issuer_delay(&mut self) -> u64 {
        let slow = self.happens(Fault::SlowIssuer);
        if slow { self.dice.below(15 * SECOND) } else { self.dice.within(100, 20_000) }
    }

    /// How long a message to an issuer takes: nothing overtakes on one connection.
    pub(super) fn in_line(&mut self, link: IssuerLink, generation: u32) -> u64 {
        let arrives_us = self.now_us + self.issuer_delay();
        let newest = self.lines.entry((link.issuer.0, link.link, generation)).or_insert(0);
        *newest = arrives_us.max(*newest + 1);
        *newest - self.now_us
    }

    pub(super) fn issuer_hears(&mut self, link: IssuerLink, generation: u32, leg: Leg, number: u64) {
        // What was on a link that was cut may have arrived.
        if !self.is_connected(link, generation) && self.dice.happens(500_000) {
            return;
        }
        let payment = self.payments[number as usize].clone();
        let key: Key = (leg.stan.number(), payment.moment);
        let issuer = usize::from(link.issuer.0);
        let wanted = if self.happens(Fault::Declined) {
            None
        } else if self.happens(Fault::Partial) {
            Some(self.dice.within(1, payment.amount - 1))
        } else {
            Some(payment.amount)
        };
        let approved = self.issuers[issuer].take(key, number, wanted);
        self.tell(Some(number), || format!("the issuer has it as {}: {approved:?}", leg.stan.number()));
        if approved.is_some() && self.issuers[issuer].has_forgotten(key) {
            let answer = self.answer_to(&payment, leg, approved);
            self.send_for_sure(answer);
        }
        let silent = self.now_us < self.issuers[issuer].hole_until_us;
        if silent || self.happens(Fault::Silent) {
            return;
        }
        let answer = self.answer_to(&payment, leg, approved);
        self.send_answer(link, generation, answer);
    }

    /// An approval of what an issuer was told to undo before, and forgot, can be undone only by who sees it: it comes
    /// through, if not now then when the world has healed.
    pub(super) fn send_for_sure(&mut self, answer: Answer) {
        let link =
            (0..LINKS).map(|link| IssuerLink { link, ..answer.link }).find(|link| self.is_link_up(*link));
        match link.filter(|_| self.is_up && self.is_healing && !self.stopping) {
            Some(link) => {
                self.at(1_000, Happening::FromIssuer(link, self.generation(link), Box::new(answer)))
            }
            None => self.at(SECOND, Happening::ForSure(Box::new(answer))),
        }
    }

    pub(super) fn answer_to(&mut self, payment: &Payment, leg: Leg, approved: Option<u64>) -> Answer {
        let is_partial = approved.is_some_and(|minor| minor != payment.amount);
        let code = match approved {
            Some(_) if is_partial => b"10",
            Some(_) => b"00",
            None => b"05",
        };
        let pan = self.pan_at_issuer(payment);
        Answer {
            ticket: Ticket(0),
            link: leg.to,
            class: payment.class,
            stan: leg.stan,
            keys: payment.keys(),
            pan: Some(pan),
            processing_code: None,
            amount_minor: approved.or(Some(payment.amount)),
            currency: None,
            approval_code: approved
                .and_then(|_| ApprovalCode::parse(format!("{:06}", leg.stan.number()).as_bytes())),
            response_code: ResponseCode::of(code),
        }
    }

    pub(super) fn pan_at_issuer(&self, payment: &Payment) -> Pan {
        match program_of(payment.card) {
            Some((_, Served::Proxy(proxy))) => self.cards.pans[(proxy * 2) % PLAIN_CARDS],
            _ => self.cards.pans[payment.card],
        }
    }

    pub(super) fn send_answer(&mut self, link: IssuerLink, generation: u32, mut answer: Answer) {
        if self.happens(Fault::AnswerLost) {
            return;
        }
        let is_late = self.happens(Fault::Late);
        let latest_us = if self.limits.recent_entries == SMALL { 900 * SECOND } else { 40 * SECOND };
        let delay_us = if is_late { self.dice.within(9 * SECOND, latest_us) } else { self.issuer_delay() };
        let honest = answer;
        if self.happens(Fault::Contradicting) {
            // The second word is not in the books: only the first may count.
            let other = Answer { response_code: ResponseCode::of(b"05"), approval_code: None, ..honest };
            self.at(delay_us, Happening::FromIssuer(link, generation, Box::new(honest)));
            return self.at(delay_us + 1, Happening::FromIssuer(link, generation, Box::new(other)));
        }
        if self.happens(Fault::WrongKeys) {
            // It is another request's answer, and says something else.
            answer.keys.moment += 1;
            let is_approved = answer.approval_code.is_some();
            answer.response_code = ResponseCode::of(if is_approved { b"05" } else { b"00" });
            answer.approval_code = if is_approved { None } else { ApprovalCode::parse(b"OTHERS") };
        }
        if self.happens(Fault::WrongAmount) {
            // More than was asked, whatever that was.
            answer.amount_minor = answer.amount_minor.map(|minor| minor + 1_000_000);
        }
        if self.happens(Fault::WrongCard) {
            answer.pan = Pan::parse(b"9999800000000015");
        }
        let mut over = link;
        if self.happens(Fault::OtherLink) {
            over.link = 1 - over.link;
        }
        let generation = if over == link { generation } else { self.generation(over) };
        self.at(delay_us, Happening::FromIssuer(over, generation, Box::new(answer)));
        if self.happens(Fault::Double) || self.happens(Fault::DoubledAnswer) {
            let again_us = self.dice.below(3 * SECOND);
            self.at(delay_us + again_us, Happening::FromIssuer(link, generation, Box::new(honest)));
        }
    }

    pub(super) fn delivered_at_issuer(&mut self, link: IssuerLink, generation: u32, delivery: &Delivery) {
        if !self.is_connected(link, generation) && self.dice.happens(500_000) {
            return;
        }
        let issuer = usize::from(link.issuer.0);
        let message = &delivery.message;
        let sent = *message.sent();
        let number = payment_of(&sent.asked.keys);
        let silent = self.now_us < self.issuers[issuer].hole_until_us;
        let code = if self.happens(Fault::Later) {
            b"91"
        } else if self.issuers[issuer].refuses(
            message.stan().number(),
            self.faults.rate(Fault::Refused),
            &mut self.dice,
        ) {
            b"30"
        } else {
            match message {
                Stored::Reversal(reversal) => {
                    let forgets = self.happens(Fault::NoTombstones);
                    self.issuers[issuer].undo(reversal, !forgets)
                }
                Stored::Advice(advice) => self.issuers[issuer].take_advice(advice, number),
            }
        };
        self.tell(Some(number), || {
            let kind = if message.is_reversal() { "the reversal of" } else { "the advice" };
            format!("the issuer takes {kind} {}: {}", sent.stan.number(), String::from_utf8_lossy(code))
        });
        if silent || self.happens(Fault::AcknowledgementLost) {
            return;
        }
        let (class, moment) = match message {
            Stored::Reversal(reversal) => (Class::ReversalAdvice, reversal.moment),
            Stored::Advice(_) => (sent.asked.class, sent.asked.keys.moment),
        };
        let answer = Answer {
            ticket: Ticket(0),
            link,
            class,
            stan: message.stan(),
            keys: MatchKeys { moment, ..sent.asked.keys },
            pan: None,
            processing_code: None,
            amount_minor: None,
            currency: None,
            approval_code: None,
            response_code: ResponseCode::of(code),
        };
        let delay_us = self.issuer_delay();
        self.at(delay_us, Happening::FromIssuer(link, generation, Box::new(answer)));
    }

    pub(super) fn issuer_says(&mut self, link: IssuerLink, generation: u32, answer: Answer) {
        if !self.is_up || !self.is_connected(link, generation) {
            return;
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(self.next_ticket, Kept::Answer);
        let owner = shard_of(answer.stan, self.cards.shards as u16);
        self.event(owner, Event::Answered(Answer { ticket, link, ..answer }));
    }
}

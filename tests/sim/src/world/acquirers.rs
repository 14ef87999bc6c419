//! What the acquirers do: they begin, repeat, cancel and undo payments, and hear what became of them.

use authorizer::decision::Verdict;
use authorizer::effect::Reply;
use authorizer::event::{AcquirerLink, Ticket};
use authorizer::request::Class;

use super::{ACQUIRERS, Happening, PATIENCE, SECOND, World};
use crate::faults::Fault;
use crate::payments::{
    Held, ORDINARY, PLAIN_CARDS, PROXIES, Payment, Served, amount, is_promised, program_of,
};

impl World {
    pub(super) fn begin(&mut self) {
        if self.payments.len() as u64 >= self.wanted {
            return;
        }
        let burst = if self.happens(Fault::Burst) { self.dice.within(10, 60) } else { 1 };
        for _ in 0..burst {
            self.begin_one();
        }
        let gap_us = self.dice.below(self.gap_us * 2);
        self.at(gap_us, Happening::Begin);
    }

    pub(super) fn begin_one(&mut self) {
        let number = self.payments.len() as u64;
        let card = self.dice.below((PLAIN_CARDS + PROXIES + ORDINARY) as u64) as usize;
        let is_advice = self.happens(Fault::Advice) && card < PLAIN_CARDS;
        let label = program_of(card).map(|(_, served)| match served {
            Served::Proxy(proxy) => self.label(proxy),
            Served::Ordinary(ordinary) => self.counter(PROXIES + ordinary),
        });
        let payment = Payment {
            number,
            acquirer: self.dice.below(u64::from(ACQUIRERS)) as u16,
            moment: self.moment(),
            amount: self.dice.within(2, 100_000),
            class: if is_advice {
                Class::AuthorizationAdvice
            } else {
                self.dice.one_of(&[Class::Authorization, Class::Financial])
            },
            card,
            label,
            state: Held::Waiting,
            sent: 0,
            told: None,
            was_reversed: false,
        };
        self.payments.push(payment);
        self.tell(Some(number), || "the acquirer begins".to_owned());
        if !is_advice && self.happens(Fault::Overtaken) {
            self.reverse(number, 0);
        }
        self.send(number);
        self.at(PATIENCE, Happening::LookAfter(number));
        if self.happens(Fault::Impatient) {
            let after_us = self.dice.below(PATIENCE);
            self.at(after_us, Happening::LookAfter(number));
        }
    }

    pub(super) fn label(&mut self, proxy: usize) -> (u16, bool) {
        let is_right = !self.happens(Fault::WrongCode);
        let newest = self.labels[proxy];
        if newest > 0 && self.happens(Fault::ReplayedCode) {
            return (self.dice.below(u64::from(newest)) as u16, is_right);
        }
        self.labels[proxy] = (newest + 1).min(9_999);
        (newest, is_right)
    }

    /// The counter of an ordinary card: the next, or one that was left out or used. A wrong code comes with any.
    fn counter(&mut self, card: usize) -> (u16, bool) {
        let newest = self.labels[card];
        if self.happens(Fault::WrongCode) {
            return (newest.saturating_add(self.dice.below(200) as u16), false);
        }
        if newest > 1 && self.happens(Fault::ReplayedCode) {
            return (newest - self.dice.below(u64::from(newest.min(70))) as u16, true);
        }
        let left_out = if self.happens(Fault::LeftOut) { self.dice.below(12) as u16 } else { 0 };
        self.labels[card] = newest.saturating_add(1 + left_out);
        (self.labels[card], true)
    }

    pub(super) fn moment(&self) -> u64 {
        1_101_000_000 + (self.now_us / SECOND + self.moment_shift) % 20_000_000
    }

    /// A link of an acquirer that is up.
    pub(super) fn link_of(&mut self, acquirer: u16) -> Option<AcquirerLink> {
        let up: Vec<AcquirerLink> = self
            .acquirer_links
            .iter()
            .filter(|(_, whose, is_up)| *whose == acquirer && *is_up)
            .map(|(link, ..)| *link)
            .collect();
        (!up.is_empty()).then(|| self.dice.one_of(&up))
    }

    pub(super) fn send(&mut self, number: u64) {
        let payment = &mut self.payments[number as usize];
        payment.sent += 1;
        let payment = payment.clone();
        let Some(link) = self.link_of(payment.acquirer) else { return };
        if self.happens(Fault::RequestLost) {
            return;
        }
        let mut request = payment.request(&self.cards, link, Ticket(0));
        if payment.told.is_some() && self.happens(Fault::OtherContent) {
            request.fingerprint.content ^= 1 << 100;
        }
        let delay_us = self.acquirer_delay();
        self.at(delay_us, Happening::ToSwitch(link, Box::new(request)));
    }

    pub(super) fn reverse(&mut self, number: u64, left: u64) {
        self.payments[number as usize].was_reversed = true;
        self.payments[number as usize].state = Held::Reversing(left);
        self.send_reversal(number);
        self.at(PATIENCE, Happening::LookAfter(number));
    }

    pub(super) fn send_reversal(&mut self, number: u64) {
        let payment = self.payments[number as usize].clone();
        let Held::Reversing(left) = payment.state else { return };
        self.tell(Some(number), || format!("the acquirer reverses, leaving {left}"));
        let Some(link) = self.link_of(payment.acquirer) else { return };
        if self.happens(Fault::RequestLost) {
            return;
        }
        // A part can only be told: what a 0400 would refuse must not be asked.
        let class = if left == 0 {
            self.dice.one_of(&[Class::Reversal, Class::ReversalAdvice])
        } else {
            Class::ReversalAdvice
        };
        let request = payment.reversal(&self.cards, link, Ticket(0), (class, left, payment.acquirer));
        let delay_us = self.acquirer_delay();
        self.at(delay_us, Happening::ToSwitch(link, Box::new(request)));
    }

    /// Reversals that no honest acquirer sends. Nothing may come of them.
    pub(super) fn mischief(&mut self, number: u64) {
        let payment = self.payments[number as usize].clone();
        if self.happens(Fault::ForeignReversal) {
            let by = 1 - payment.acquirer;
            if let Some(link) = self.link_of(by) {
                let request = payment.reversal(&self.cards, link, Ticket(0), (Class::ReversalAdvice, 0, by));
                self.at(1_000, Happening::ToSwitch(link, Box::new(request)));
            }
        }
        // Before anything is known of the payment a reversal buries it, whatever it says.
        if payment.told.is_some()
            && self.happens(Fault::WrongReversal)
            && let Some(link) = self.link_of(payment.acquirer)
        {
            let mut request =
                payment.reversal(&self.cards, link, Ticket(0), (Class::ReversalAdvice, 0, payment.acquirer));
            request.amount = amount(payment.amount + 1);
            self.at(1_000, Happening::ToSwitch(link, Box::new(request)));
        }
    }

    pub(super) fn acquirer_delay(&mut self) -> u64 {
        let slow = self.happens(Fault::SlowAcquirer);
        if slow { self.dice.below(20 * SECOND) } else { self.dice.within(50, 2_000) }
    }

    pub(super) fn look_after(&mut self, number: u64) {
        let payment = self.payments[number as usize].clone();
        match payment.state {
            Held::Waiting if payment.class.is_advice() || payment.sent < 4 || self.is_healing => {
                let cancels = !payment.class.is_advice() && self.happens(Fault::Cancels);
                if cancels {
                    return self.reverse(number, 0);
                }
                self.tell(Some(number), || "the acquirer repeats".to_owned());
                self.send(number);
                self.at(PATIENCE, Happening::LookAfter(number));
            }
            Held::Waiting => self.reverse(number, 0),
            Held::Reversing(_) => {
                self.send_reversal(number);
                self.at(PATIENCE, Happening::LookAfter(number));
            }
            Held::Approved(_) | Held::Declined | Held::Reversed => {}
        }
    }

    pub(super) fn acquirer_hears(&mut self, acquirer: u16, number: u64, reply: &Reply, is_reversal: bool) {
        let outcome = reply.outcome;
        self.tell(Some(number), || format!("the acquirer is told {outcome:?}"));
        let payment = &mut self.payments[number as usize];
        if payment.acquirer != acquirer {
            if !is_reversal {
                self.broken(Some(number), "E9: an answer reached another acquirer".to_owned());
            }
            return;
        }
        if is_reversal {
            let is_taken = outcome.verdict == Verdict::Taken;
            match payment.state {
                Held::Reversing(0) if is_taken => {
                    payment.state = Held::Reversed;
                    if self.happens(Fault::Stray) {
                        let after_us = self.dice.below(60 * SECOND);
                        self.at(after_us, Happening::Stray(number));
                    }
                }
                Held::Reversing(left) if is_taken => payment.state = Held::Approved(left),
                _ => {}
            }
            return;
        }
        if !payment.was_reversed
            && let Err(what) = payment.hear(&outcome)
        {
            return self.broken(Some(number), what);
        }
        // What an advice tells has happened: it stands when it was taken.
        let stands = outcome.is_approved() || outcome.verdict == Verdict::Taken;
        let approved = stands.then(|| outcome.approved_minor.unwrap_or(payment.amount));
        if payment.state != Held::Waiting {
            return;
        }
        match approved {
            Some(minor) => {
                payment.state = Held::Approved(minor);
                self.after_approval(number, minor);
            }
            None if payment.class.is_advice() => {}
            // Another copy may still be taken: nobody has promised that it will not.
            None if !is_promised(&outcome) && payment.sent > 1 => self.reverse(number, 0),
            None => payment.state = Held::Declined,
        }
    }

    pub(super) fn after_approval(&mut self, number: u64, minor: u64) {
        self.mischief(number);
        if self.happens(Fault::Repeats) {
            self.send(number);
        }
        if self.happens(Fault::Reverses) {
            return self.reverse(number, 0);
        }
        if minor > 1 && self.happens(Fault::ReversesPart) {
            let left = self.dice.within(1, minor - 1);
            self.reverse(number, left);
        }
    }
}

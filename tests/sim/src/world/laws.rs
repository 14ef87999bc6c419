//! The end: the world heals, comes to rest, and the books are compared.

use authorizer::atc_window::AtcWindow;
use authorizer::event::IssuerId;
use authorizer::snapshot::Piece;

use super::{Happening, ISSUERS, Violation, World};
use crate::faults::Faults;
use crate::payments::{Held, ORDINARY, PLAIN_CARDS, PROXIES, Payment};

impl World {
    /// No fault happens any more; everything comes back.
    pub(super) fn heal(&mut self) {
        self.is_healing = true;
        self.faults = Faults::none();
        for issuer in &mut self.issuers {
            issuer.hole_until_us = 0;
        }
        self.tell(None, || "the world heals".to_owned());
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.is_up
            && !self.stopping
            && self.payments.iter().all(Payment::is_settled)
            && self.tickets.is_empty()
            && self.inboxes.iter().all(Vec::is_empty)
            && self.shards.iter().all(|shard| {
                let authorizer = shard.authorizer();
                let waits = (0..ISSUERS).any(|issuer| authorizer.saf_depth(IssuerId(issuer)).waiting > 0);
                authorizer.in_flight() == 0 && authorizer.late_waiting() == 0 && !shard.holds_back() && !waits
            })
            && !self.happenings.values().any(is_on_its_way)
    }

    pub(super) fn unsettled(&self) -> Violation {
        let open = self.payments.iter().find(|payment| !payment.is_settled());
        let waiting: usize = self
            .shards
            .iter()
            .flat_map(|shard| {
                (0..ISSUERS).map(|issuer| shard.authorizer().saf_depth(IssuerId(issuer)).waiting)
            })
            .sum();
        let what = format!(
            "the world does not come to rest: {} messages kept, {waiting} messages wait for issuers, up {}, open {:?}",
            self.tickets.len(),
            self.is_up,
            open.map(|payment| payment.state)
        );
        Violation { what, payment: open.map(|payment| payment.number) }
    }

    /// The books of acquirers and issuers agree, and counters are where right codes have moved them.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        self.check_counters()?;
        for payment in &self.payments {
            let number = payment.number;
            let broken = |what: String| Err(Violation { what, payment: Some(number) });
            let asked: u32 =
                self.issuers.iter().map(|issuer| issuer.asked.get(&number).copied().unwrap_or(0)).sum();
            if asked > 1 {
                return broken(format!("E5: the issuers were asked {asked} times"));
            }
            let (standing, approvals) = self
                .issuers
                .iter()
                .map(|issuer| issuer.standing(number))
                .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            match payment.state {
                Held::Approved(minor) if (standing, approvals) != (minor, 1) => {
                    return broken(format!(
                        "E3: approved over {minor}, at the issuers {approvals} over {standing}"
                    ));
                }
                Held::Declined | Held::Reversed if standing != 0 => {
                    return broken(format!("E3: {:?}, at the issuers {standing}", payment.state));
                }
                _ => {}
            }
            if matches!(payment.state, Held::Approved(_)) {
                self.ran.approved += 1;
            }
        }
        Ok(())
    }

    /// What was accepted of an ordinary card stays used, and nothing but a right code has moved its counter.
    fn check_counters(&self) -> Result<(), Violation> {
        for (card, window) in (PLAIN_CARDS + PROXIES..).zip(self.windows()) {
            let proven = |number: &u64| {
                let payment = &self.payments[*number as usize];
                payment.card == card && payment.label.is_some_and(|(atc, _)| atc == window.last())
            };
            if window.last() > 0 && !self.proven.iter().any(proven) {
                let what = format!("A3: ATC {} of card {card} was never proven", window.last());
                return Err(Violation { what, payment: None });
            }
            let claimed = self.claimed.range((card, 0)..=(card, u16::MAX));
            if let Some(((_, atc), number)) = claimed.into_iter().find(|((_, atc), _)| window.is_new(*atc)) {
                let what = format!("A4: ATC {atc} of card {card} was accepted and is good again");
                return Err(Violation { what, payment: Some(*number) });
            }
        }
        Ok(())
    }

    /// The counters of the ordinary cards, in their order.
    fn windows(&self) -> impl Iterator<Item = AtcWindow> + '_ {
        (PLAIN_CARDS + PROXIES..).take(ORDINARY).map(|card| {
            let shard = &self.shards[card % self.cards.shards];
            let mut pieces = shard.authorizer().pieces(self.now_us);
            let window = pieces.find_map(|piece| match piece {
                Piece::Card(_, known) if known.pan == self.cards.pans[card] => Some(known.window),
                _ => None,
            });
            window.unwrap_or(AtcWindow::new(0))
        })
    }
}

/// Whether it may still change what the books say.
fn is_on_its_way(happening: &Happening) -> bool {
    matches!(
        happening,
        Happening::ToSwitch(..)
            | Happening::ToAcquirer(..)
            | Happening::Stray(..)
            | Happening::ToIssuer(..)
            | Happening::DeliveredAtIssuer(..)
            | Happening::FromIssuer(..)
            | Happening::ForSure(..)
            | Happening::Judged(..)
            | Happening::Handed(..)
            | Happening::RecalledLeg(..)
            | Happening::Start
            | Happening::Stopped(..)
    )
}

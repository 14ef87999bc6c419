//! The end: the world heals, comes to rest, and the books are compared.

use authorizer::event::IssuerId;

use super::{Happening, ISSUERS, Violation, World};
use crate::faults::Faults;
use crate::payments::{Held, Payment};

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
                authorizer.in_flight() == 0 && !shard.holds_back() && !waits
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

    /// The books of acquirers and issuers agree.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
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
            | Happening::Start
            | Happening::Stopped(..)
    )
}

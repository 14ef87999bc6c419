//! The operator: looks at what issuers refuse, sees to it, and lets it go out again.

use authorizer::event::{Event, IssuerId, ShardId};
use authorizer::parked::{Operation, Order};
use authorizer::provision::{Asker, Told};
use codecs::value::Stan;

use super::{Happening, ISSUERS, SECOND, World};
use crate::faults::Fault;

impl World {
    /// From time to time, where an alarm says that there is something to look at.
    pub(super) fn look_at_parked(&mut self) {
        for shard in (0..self.cards.shards as u16).map(ShardId) {
            let authorizer = self.shards.get(usize::from(shard.0)).map(|shard| shard.authorizer());
            let parked = authorizer.is_some_and(|authorizer| {
                (0..ISSUERS).any(|issuer| authorizer.saf_depth(IssuerId(issuer)).parked > 0)
            });
            if self.is_up && parked {
                self.event(shard, Event::Operation(Operation { asker: Asker(1), order: Order::List }));
            }
        }
        self.at(30 * SECOND, Happening::LookAtParked);
    }

    /// The operator reads a list: each message is seen to with its issuer, and released.
    pub(super) fn operator_hears(&mut self, shard: ShardId, told: Vec<Told>) {
        for parked in told {
            let Told::Parked(parked) = parked else { continue };
            for set_aside in parked {
                let (issuer, stan) = (set_aside.message.sent().to.issuer, set_aside.message.stan());
                self.issuers[usize::from(issuer.0)].see_to(stan.number());
                let after_us = self.dice.below(5 * SECOND);
                self.at(after_us, Happening::Release(self.process, shard, issuer, stan));
            }
        }
    }

    pub(super) fn release_parked(&mut self, shard: ShardId, issuer: IssuerId, stan: Stan) {
        self.tell(None, || format!("an operator releases {} of issuer {}", stan.number(), issuer.0));
        let times = if self.happens(Fault::ReleasedTwice) { 2 } else { 1 };
        for _ in 0..times {
            let order = Order::Release { issuer, stan };
            self.event(shard, Event::Operation(Operation { asker: Asker(1), order }));
        }
    }
}

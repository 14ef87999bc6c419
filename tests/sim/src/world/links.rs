//! Links of acquirers and issuers: up, signed off, cut.

use authorizer::event::{AcquirerId, Event, IssuerId, IssuerLink, Leg, LinkChange, Unsent};
use authorizer::issuer::shard_of;

use super::{Happening, ISSUERS, LINKS, SECOND, World};
use crate::faults::Fault;

impl World {
    pub(super) fn any_issuer_link(&mut self) -> IssuerLink {
        let issuer = IssuerId(self.dice.below(u64::from(ISSUERS)) as u16);
        IssuerLink { issuer, link: self.dice.below(u64::from(LINKS)) as u16 }
    }

    pub(super) fn generation(&self, link: IssuerLink) -> u32 {
        self.issuer_links.get(&(link.issuer.0, link.link)).map_or(0, |(generation, _)| *generation)
    }

    pub(super) fn is_link_up(&self, link: IssuerLink) -> bool {
        self.issuer_links
            .get(&(link.issuer.0, link.link))
            .is_some_and(|(_, change)| *change == LinkChange::Up)
    }

    pub(super) fn is_connected(&self, link: IssuerLink, generation: u32) -> bool {
        self.issuer_links
            .get(&(link.issuer.0, link.link))
            .is_some_and(|(known, change)| *known == generation && *change != LinkChange::Lost)
    }

    pub(super) fn issuer_up(&mut self, link: IssuerLink) {
        if self.is_link_up(link) {
            return;
        }
        let generation = self.generation(link);
        self.issuer_links.insert((link.issuer.0, link.link), (generation, LinkChange::Up));
        self.up_since_us.insert((link.issuer.0, link.link), self.now_us);
        self.event_everywhere(&Event::IssuerLink(link, LinkChange::Up));
        if self.happens(Fault::IssuerFlap) {
            self.cut_issuer(link);
        }
    }

    pub(super) fn cut_issuer(&mut self, link: IssuerLink) {
        if !self.is_connected(link, self.generation(link)) {
            return;
        }
        self.tell(None, || format!("link {}.{} is cut", link.issuer.0, link.link));
        let generation = self.generation(link) + 1;
        self.issuer_links.insert((link.issuer.0, link.link), (generation, LinkChange::Lost));
        self.up_since_us.remove(&(link.issuer.0, link.link));
        self.event_everywhere(&Event::IssuerLink(link, LinkChange::SignedOff));
        // What was queued and not begun is said to be so, before the link is said to be lost.
        let unsent: Vec<(u64, Leg)> = self
            .happenings
            .iter()
            .filter_map(|(serial, happening)| match happening {
                Happening::ToIssuer(to, before, leg, _) if *to == link && *before + 1 == generation => {
                    Some((*serial, *leg))
                }
                _ => None,
            })
            .collect();
        for (serial, leg) in unsent {
            if self.happens(Fault::UnsentOnCut) {
                self.happenings.remove(&serial);
                let owner = shard_of(leg.stan, self.cards.shards as u16);
                self.event(owner, Event::Unsent(leg, Unsent::LinkLost));
            }
        }
        self.event_everywhere(&Event::IssuerLink(link, LinkChange::Lost));
        let after_us = self.dice.within(10_000, 20 * SECOND);
        self.at(after_us, Happening::IssuerUp(self.process, link));
    }

    pub(super) fn cut_acquirer(&mut self, index: usize) {
        let (link, acquirer, is_up) = self.acquirer_links[index];
        if !is_up {
            return;
        }
        self.acquirer_links[index].2 = false;
        self.event_everywhere(&Event::AcquirerLink(link, AcquirerId(acquirer), LinkChange::Lost));
        self.acquirer_links[index].0.generation += 1;
        let after_us = self.dice.within(10_000, 30 * SECOND);
        self.at(after_us, Happening::AcquirerUp(self.process, acquirer, index as u16));
    }

    pub(super) fn acquirer_up(&mut self, acquirer: u16, index: u16) {
        let (link, _, is_up) = &mut self.acquirer_links[usize::from(index)];
        if !*is_up {
            *is_up = true;
            let link = *link;
            self.event_everywhere(&Event::AcquirerLink(link, AcquirerId(acquirer), LinkChange::Up));
        }
    }
}

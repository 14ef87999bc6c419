//! The life of the switch: it starts, turns, waits for its disks, and ends in every way it can.

use authorizer::Authorizer;
use authorizer::cards::{AccountHash, Funding, Personalised};
use authorizer::event::{Event, IssuerId, IssuerLink, LinkChange, Now, ShardId};
use authorizer::fact::Fact;
use authorizer::provision::{Change, Provision};
use authorizer::shard::Shard;
use codecs::value::Expiry;

use super::caps::Caps;
use super::{Happening, ISSUERS, LINKS, SECOND, SimPorts, World, payment_of};
use crate::faults::Fault;
use crate::payments::{ORDINARY, PLAIN_CARDS, PROXIES};

impl World {
    pub(super) fn start(&mut self) {
        self.process += 1;
        self.is_up = true;
        self.stopping = false;
        let count = self.cards.shards as u16;
        let mut authorizers: Vec<Authorizer> = (0..count).map(|shard| self.fresh(ShardId(shard))).collect();
        let mut elsewhere = Vec::new();
        for shard in 0..count {
            let index = usize::from(shard);
            let is_damaged = self.disks[index].snapshots() > 1 && self.happens(Fault::SnapshotDamaged);
            let disk = &self.disks[index];
            let all = disk.facts().len();
            let identities = disk.recover(&mut authorizers[index], usize::from(is_damaged), all);
            elsewhere.extend(identities.into_iter().map(|(identity, at_us)| (shard, identity, at_us)));
            if disk.snapshots() > 0 {
                let [all, short] = disk.both_ways(|| self.fresh(ShardId(shard)));
                let differs = |(a, b): (&String, &String)| (a != b).then(|| format!("{a} is not {b}"));
                let what = all.iter().zip(&short).find_map(differs);
                if all.len() != short.len() || what.is_some() {
                    let what = what.unwrap_or_default();
                    self.broken(None, format!("E10: a snapshot knows something else than its facts: {what}"));
                }
            }
        }
        for (home, authorizer) in (0..).zip(&mut authorizers) {
            let told = elsewhere
                .iter()
                .copied()
                .filter(|(shard, identity, _)| *shard != home && self.home_of(identity.0) == home);
            authorizer
                .recover_elsewhere(told.map(|(shard, identity, at_us)| (identity, ShardId(shard), at_us)));
        }
        self.caps = Caps::default();
        for shard in 0..usize::from(count) {
            for (fact, at_us) in self.disks[shard].facts() {
                self.caps.take(shard, fact, *at_us, &self.tables);
            }
        }
        self.shards = authorizers.into_iter().map(Shard::new).collect();
        self.tell(None, || "the switch starts".to_owned());
        for shard in (0..count).map(ShardId) {
            self.inboxes[usize::from(shard.0)].clear();
            self.turns[usize::from(shard.0)] = None;
            self.acknowledging[usize::from(shard.0)].clear();
            self.event(shard, Event::Recovered);
        }
        self.enrol();
        for index in 0..self.acquirer_links.len() {
            let (_, acquirer, _) = self.acquirer_links[index];
            let after_us = self.dice.within(1_000, SECOND);
            self.at(after_us, Happening::AcquirerUp(self.process, acquirer, index as u16));
        }
        for (issuer, link) in (0..ISSUERS).flat_map(|issuer| (0..LINKS).map(move |link| (issuer, link))) {
            let after_us = self.dice.within(1_000, SECOND);
            let link = IssuerLink { issuer: IssuerId(issuer), link };
            self.at(after_us, Happening::IssuerUp(self.process, link));
        }
        if self.happens(Fault::CrashInRecovery) {
            self.turn(ShardId(0));
            if self.is_up {
                self.end("ends again while it recovers");
            }
        }
    }

    /// Cards that are known already are refused, which is nobody's concern.
    pub(super) fn enrol(&mut self) {
        for proxy in 0..PROXIES {
            let card = PLAIN_CARDS + proxy;
            let funding = Funding {
                pan: self.cards.pans[(proxy * 2) % PLAIN_CARDS],
                expiry: Expiry::parse(b"4912").expect("a month"),
            };
            let changes = [
                Change::Enrol { psn: 0, funding: Some(funding), personalised: Personalised::NONE, atc: 0 },
                Change::IssueBundle { id: 1, first: 0, count: 10_000, ttl_us: 400 * 86_400 * SECOND },
                Change::ConfirmBundle(1),
            ];
            self.change(card, &changes);
        }
        for ordinary in 0..ORDINARY {
            let enrol = Change::Enrol { psn: 0, funding: None, personalised: Personalised::NONE, atc: 0 };
            let changes = [enrol, Change::Stripe { psn: 0, constant: [0; 2] }];
            self.change(PLAIN_CARDS + PROXIES + ordinary, &changes);
        }
    }

    fn change(&mut self, card: usize, changes: &[Change]) {
        let home = ShardId((card % self.cards.shards) as u16);
        for change in changes.iter().copied() {
            let (account, pan) = (AccountHash(card as u64 + 1), self.cards.pans[card]);
            self.event(home, Event::Provision(Provision { asker: None, account, pan, change }));
        }
    }

    pub(super) fn turn(&mut self, shard: ShardId) {
        let index = usize::from(shard.0);
        if self.now_us < self.frozen_until_us {
            self.turns[index] = None;
            return self.turn_at(shard, self.frozen_until_us);
        }
        self.turns[index] = None;
        self.acknowledged(index);
        let moment = self.moment();
        let written = self.disks[index].facts().len();
        let mut ports = SimPorts {
            now: Now { monotonic_us: self.now_us, moment, year: 2026, month: 11 },
            events: &mut self.inboxes[index],
            disk: &mut self.disks[index],
            performed: Vec::new(),
            told: Vec::new(),
        };
        self.shards[index].turn(&mut ports);
        let (performed, told) = (ports.performed, ports.told);
        self.operator_hears(shard, told);
        self.stands_in(index, written);
        self.turned_us[index] = self.now_us;
        for (fact, _) in &self.disks[index].facts()[written..] {
            if let Fact::Late { issuer, stan, approved: true, .. } = fact {
                self.late.insert((issuer.0, stan.number()));
            }
        }
        self.tell_facts(index, written);
        self.begin_sync(shard);
        for effect in performed {
            self.perform(shard, effect);
        }
        if !self.is_up {
            return;
        }
        if !self.shards[index].holds_back() {
            for known in std::mem::take(&mut self.acknowledging[index]) {
                if let Some((_, acknowledged)) = self.undoings.get_mut(&known) {
                    *acknowledged = Some(self.process);
                }
            }
        }
        self.accidents(shard);
        if !self.is_up {
            return;
        }
        if let Some(due_us) = self.shards[index].authorizer().next_deadline_us() {
            self.turn_at(shard, due_us + 1);
        }
        if self.stopping
            && self.shards.iter().all(|shard| shard.authorizer().in_flight() == 0 && !shard.holds_back())
        {
            self.at(0, Happening::Stopped(self.process));
        }
    }

    /// The law of standing in: within the bounds, and only while no issuer of the card can be asked.
    fn stands_in(&mut self, shard: usize, before: usize) {
        let facts = self.disks[shard].facts()[before..].to_vec();
        for (fact, at_us) in facts {
            let broken = self.caps.take(shard, &fact, at_us, &self.tables);
            let Fact::Advised(advice) = &fact else { continue };
            let number = payment_of(&advice.sent.asked.keys);
            if let Some(what) = broken {
                self.broken(Some(number), what);
            }
            if advice.is_stand_in() {
                self.ran.stood_in += 1;
                let pan = advice.sent.pan.expect("a card");
                let route = self.tables.iins.route(&pan).expect("a route").issuers.clone();
                let knew = |(link, since_us): (&(u16, u16), &u64)| {
                    route.contains(&IssuerId(link.0)) && *since_us < self.turned_us[shard]
                };
                if self.up_since_us.iter().any(knew) {
                    self.broken(Some(number), "H8: stood in for an issuer that could be asked".to_owned());
                }
            }
        }
    }

    /// Notes which reversals and advices the shard is about to see acknowledged.
    pub(super) fn acknowledged(&mut self, shard: usize) {
        for event in &self.inboxes[shard] {
            if let Event::Answered(answer) = event
                && (answer.class.is_reversal() || answer.class.is_advice())
                && matches!(answer.response_code.as_bytes(), b"00" | b"25" | b"94")
            {
                self.acknowledging[shard].push((
                    answer.link.issuer.0,
                    answer.stan.number(),
                    answer.keys.moment,
                ));
            }
        }
    }

    /// An authorizer that knows nothing.
    fn fresh(&self, shard: ShardId) -> Authorizer {
        Authorizer::new(shard, self.cards.shards as u16, self.tables.clone(), self.limits)
    }

    /// A snapshot is begun; it takes its time.
    fn begin_snapshot(&mut self, shard: ShardId) {
        let fresh = self.fresh(shard);
        if self.disks[usize::from(shard.0)].begin_snapshot(fresh) {
            let after_us = self.dice.below(5 * SECOND);
            self.at(after_us, Happening::SnapshotWritten(self.process, shard));
        }
    }

    /// It is whole, and has its name.
    pub(super) fn snapshot_written(&mut self, shard: ShardId) {
        self.disks[usize::from(shard.0)].end_snapshot();
        self.tell(None, || format!("shard {} has a snapshot", shard.0));
    }

    pub(super) fn begin_sync(&mut self, shard: ShardId) {
        let disk = &mut self.disks[usize::from(shard.0)];
        if disk.wants_sync() {
            disk.begin_sync();
            let slow = self.happens(Fault::SlowDisk);
            let after_us = if slow { self.dice.below(2 * SECOND) } else { self.dice.within(20, 500) };
            self.at(after_us, Happening::Synced(self.process, shard));
        }
    }

    pub(super) fn synced(&mut self, shard: ShardId) {
        if self.happens(Fault::SyncFails) {
            return self.end("a sync fails");
        }
        self.disks[usize::from(shard.0)].end_sync();
        self.begin_sync(shard);
        self.turn_at(shard, self.now_us + 1);
    }

    /// What may befall the whole process after a turn.
    pub(super) fn accidents(&mut self, shard: ShardId) {
        if self.happens(Fault::Crash) {
            return self.end("ends without a word");
        }
        if self.happens(Fault::Freeze) {
            self.frozen_until_us = self.now_us + self.dice.within(SECOND, 60 * SECOND);
            self.tell(None, || "the switch freezes".to_owned());
        }
        if !self.stopping && self.happens(Fault::Stop) {
            self.stopping = true;
            self.tell(None, || "the switch is stopped".to_owned());
            self.event_everywhere(&Event::Drain);
            self.event_everywhere(&Event::Stop);
        }
        if self.happens(Fault::ClockJumps) {
            self.moment_shift += self.dice.one_of(&[3_600, 86_400, 19_990_000]);
        }
        if self.low_until_us == 0 && self.happens(Fault::StoreLow) {
            self.low_until_us = self.now_us + self.dice.within(SECOND, 20 * SECOND);
            self.event(shard, Event::StoreLow(true));
        } else if self.low_until_us != 0 && (self.low_until_us < self.now_us || self.is_healing) {
            self.low_until_us = 0;
            self.event_everywhere(&Event::StoreLow(false));
        }
        if self.happens(Fault::Snapshot) {
            self.begin_snapshot(shard);
        }
        if self.happens(Fault::AcquirerCut) {
            let index = self.dice.below(self.acquirer_links.len() as u64) as usize;
            self.cut_acquirer(index);
        }
        if self.happens(Fault::IssuerCut) {
            let link = self.any_issuer_link();
            self.cut_issuer(link);
        }
        if self.happens(Fault::IssuersGone) {
            for (issuer, link) in (0..ISSUERS).flat_map(|issuer| (0..LINKS).map(move |link| (issuer, link))) {
                self.cut_issuer(IssuerLink { issuer: IssuerId(issuer), link });
            }
        }
        if self.happens(Fault::SignedOff) {
            let link = self.any_issuer_link();
            if self.is_link_up(link) {
                self.issuer_links
                    .insert((link.issuer.0, link.link), (self.generation(link), LinkChange::SignedOff));
                self.up_since_us.remove(&(link.issuer.0, link.link));
                self.event_everywhere(&Event::IssuerLink(link, LinkChange::SignedOff));
                let after_us = self.dice.within(SECOND, 30 * SECOND);
                self.at(after_us, Happening::IssuerUp(self.process, link));
            }
        }
        if self.happens(Fault::BlackHole) {
            let issuer = self.dice.below(u64::from(ISSUERS)) as usize;
            self.issuers[issuer].hole_until_us = self.now_us + self.dice.within(SECOND, 60 * SECOND);
        }
    }

    /// The process is gone, and with it everything that was not durable.
    pub(super) fn end(&mut self, how: &str) {
        let how = how.to_owned();
        self.tell(None, || format!("the switch {how}"));
        self.is_up = false;
        self.ran.crashes += 1;
        self.frozen_until_us = 0;
        self.low_until_us = 0;
        for index in 0..self.disks.len() {
            let torn = self.happens(Fault::Torn);
            let unsynced = self.disks[index].unsynced() as u64;
            let kept = if torn { self.dice.below(unsynced + 1) as usize } else { 0 };
            self.disks[index].crash(kept);
        }
        self.tickets.clear();
        for (link, _, is_up) in &mut self.acquirer_links {
            link.generation += 1;
            *is_up = false;
        }
        self.up_since_us.clear();
        for (generation, change) in self.issuer_links.values_mut() {
            *generation += 1;
            *change = LinkChange::Lost;
        }
        let after_us = self.dice.within(1_000, 5 * SECOND);
        self.at(after_us, Happening::Start);
    }
}

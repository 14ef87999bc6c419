//! The cards that a program knows: their bundles, challenges and counters, and how many wrong codes came for them.
//!
//! One shard is home to a card, so a claim is a plain assignment: of two copies of one code that were both
//! found right, the second meets an entry that is used.

use alloc::vec::Vec;

use codecs::value::{Expiry, Pan};

use crate::AHEAD;
use crate::atc_window::AtcWindow;
use crate::cells::Cells;
use crate::limits::{BUNDLES_MAX, CHALLENGES_MAX};
use crate::near::near;

/// A keyed hash of a card number, made at the edge: finds a card without trusting what acquirers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountHash(pub u64);

/// The card that is charged when a proxy card pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funding {
    /// DE 2 as its issuer sees it.
    pub pan: Pan,
    /// DE 14 as its issuer sees it.
    pub expiry: Expiry,
}

/// What a proxy's track says beside its number, as it was personalised and as far as it was told. The codes of proxies do not
/// cover it, and their issuers do not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Personalised {
    /// The last month in which it is good.
    pub expiry: Option<Expiry>,
    /// Three ASCII digits.
    pub service_code: Option<[u8; 3]>,
}

impl Personalised {
    /// Nothing was told.
    pub const NONE: Self = Self { expiry: None, service_code: None };
}

/// One card of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its own number, which acquirers see.
    pub pan: Pan,
    /// Its sequence number.
    pub psn: u8,
    /// The card that pays for it, if it is a proxy.
    pub funding: Option<Funding>,
    /// What a track of it must say, where it is a proxy.
    pub personalised: Personalised,
    /// Not to be used until an operator says so.
    pub is_blocked: bool,
    /// Wrong codes since `wrong_since_us`.
    pub wrong: u8,
    /// When the first of them came, monotonic microseconds.
    pub wrong_since_us: u64,
    /// The highest number that a bundle of it ever had. A number that came again would bring back private counters
    /// that were used, because they are made from it.
    pub bundle_high: Option<u32>,
    /// Its bundles of rotating ATCs, oldest first.
    pub bundles: Vec<Bundle>,
    /// Its challenges, oldest first. Only the newest can be answered.
    pub challenges: Vec<Challenge>,
    /// What its track contributes to a CVC3: a constant of the card, made by the token when the track was told.
    pub stripe: Option<[u8; 2]>,
    /// Which of its own counters were accepted: of an ordinary card, which is no proxy.
    pub window: AtcWindow,
}

impl Card {
    /// A card that was enrolled and has nothing yet.
    #[must_use]
    pub fn new(pan: Pan, psn: u8, funding: Option<Funding>) -> Self {
        Self {
            pan,
            psn,
            funding,
            personalised: Personalised::NONE,
            is_blocked: false,
            wrong: 0,
            wrong_since_us: 0,
            bundle_high: None,
            bundles: Vec::new(),
            challenges: Vec::new(),
            stripe: None,
            window: AtcWindow::new(0),
        }
    }

    /// Counts a wrong code; too many within a window block the card.
    pub fn count_wrong(&mut self, now_us: u64, window_us: u64, max: u8) {
        if self.wrong == 0 || now_us.saturating_sub(self.wrong_since_us) > window_us {
            self.wrong = 0;
            self.wrong_since_us = now_us;
        }
        self.wrong = self.wrong.saturating_add(1);
        self.is_blocked |= self.wrong >= max;
    }

    /// The bundle that has an entry of this public ATC: one that may be used if there is one, otherwise the
    /// newest.
    #[must_use]
    pub fn bundle_of(&self, atc: u16, now_us: u64) -> Option<&Bundle> {
        let with_entry = || self.bundles.iter().rev().filter(|bundle| bundle.place(atc).is_some());
        with_entry().find(|bundle| bundle.is_live(now_us)).or_else(|| with_entry().next())
    }

    /// A bundle by its number.
    pub fn bundle_mut(&mut self, id: u32) -> Option<&mut Bundle> {
        self.bundles.iter_mut().find(|bundle| bundle.id == id)
    }

    /// Adds a bundle. Ones that can be used no more make room.
    ///
    /// # Errors
    /// [`Refused::Conflict`] when its number is not above all before it, or it overlaps one that may still be
    /// used; [`Refused::TooMany`] when there is no room.
    pub fn add_bundle(&mut self, bundle: Bundle, now_us: u64) -> Result<(), Refused> {
        let overlaps = |other: &Bundle| {
            other.is_promised(now_us) && other.first <= bundle.last() && bundle.first <= other.last()
        };
        if self.bundle_high.is_some_and(|high| bundle.id <= high) || self.bundles.iter().any(overlaps) {
            return Err(Refused::Conflict);
        }
        if self.bundles.len() >= BUNDLES_MAX
            && let Some(oldest) = self.bundles.iter().position(|other| !other.is_promised(now_us))
        {
            self.bundles.remove(oldest);
        }
        if self.bundles.len() >= BUNDLES_MAX {
            return Err(Refused::TooMany);
        }
        self.bundle_high = Some(bundle.id);
        self.bundles.push(bundle);
        Ok(())
    }

    /// Adds a challenge, which supersedes the one that was open.
    ///
    /// # Errors
    /// [`Refused::Conflict`] when the same was asked before: its response was seen on a track.
    pub fn add_challenge(&mut self, challenge: Challenge) -> Result<(), Refused> {
        if self.challenges.iter().any(|other| other.digits == challenge.digits) {
            return Err(Refused::Conflict);
        }
        if self.challenges.len() >= CHALLENGES_MAX {
            self.challenges.remove(0);
        }
        for other in &mut self.challenges {
            if other.state == ChallengeState::Open {
                other.state = ChallengeState::Superseded;
            }
        }
        self.challenges.push(challenge);
        Ok(())
    }
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such card, bundle or challenge.
    Unknown,
    /// It is there already, or overlaps what is.
    Conflict,
    /// There is no room for one more.
    TooMany,
}

/// Rotating ATCs that were given to a device together.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// Its number: part of what its private counters are made of.
    pub id: u32,
    /// The first public ATC.
    pub first: u16,
    /// When its entries cease to be good, monotonic microseconds.
    pub expires_us: u64,
    /// Whether it may be used.
    pub state: BundleState,
    /// By public ATC, from the first.
    pub entries: Vec<EntryState>,
}

/// Whether a bundle may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleState {
    /// The device has not confirmed it.
    Pending,
    /// It may.
    Active,
    /// No more.
    Revoked,
}

/// What became of one public ATC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Good for one purchase. So many wrong codes came for it.
    Issued(u8),
    /// A purchase was made with it.
    Used,
    /// Too many wrong codes came.
    Dead,
}

impl Bundle {
    /// The entry of a public ATC.
    #[must_use]
    pub fn entry(&self, atc: u16) -> Option<EntryState> {
        self.entries.get(self.place(atc)?).copied()
    }

    /// Changes the entry of a public ATC.
    pub fn set(&mut self, atc: u16, state: EntryState) {
        if let Some(entry) = self.place(atc).and_then(|place| self.entries.get_mut(place)) {
            *entry = state;
        }
    }

    /// Whether its entries are good now.
    #[must_use]
    pub fn is_live(&self, now_us: u64) -> bool {
        self.state == BundleState::Active && now_us < self.expires_us
    }

    fn is_promised(&self, now_us: u64) -> bool {
        self.state != BundleState::Revoked && now_us < self.expires_us
    }

    fn last(&self) -> u16 {
        let count = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        self.first.saturating_add(count.saturating_sub(1))
    }

    fn place(&self, atc: u16) -> Option<usize> {
        let place = usize::from(atc.checked_sub(self.first)?);
        (place < self.entries.len()).then_some(place)
    }
}

/// What a device was asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Challenge {
    /// Eight ASCII digits. The first four are its reference, which travels in the track.
    pub digits: [u8; 8],
    /// When it ceases to be good, monotonic microseconds.
    pub expires_us: u64,
    /// Wrong responses so far.
    pub wrong: u8,
    /// What became of it.
    pub state: ChallengeState,
    /// What is stored of the response, where it was told beforehand and is not computed by the device.
    pub tag: Option<Tag>,
}

/// What is stored of a response: nobody without the token can try responses against it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Under a key of AES.
    Aes([u8; 16]),
    /// By HMAC-SHA-256.
    Hmac([u8; 32]),
}

impl core::fmt::Debug for Tag {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Tag(..)")
    }
}

/// What became of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeState {
    /// It may be answered.
    Open,
    /// It was answered right, once.
    Consumed,
    /// Too many wrong responses came.
    Locked,
    /// A newer one took its place.
    Superseded,
}

impl Challenge {
    /// The number that travels in the track.
    #[must_use]
    pub fn reference(&self) -> u16 {
        let [a, b, c, d, ..] = self.digits.map(|digit| u16::from(digit & 0x0F));
        a.wrapping_mul(1_000)
            .wrapping_add(b.wrapping_mul(100))
            .wrapping_add(c.wrapping_mul(10))
            .wrapping_add(d)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, now_us: u64) -> bool {
        now_us >= self.expires_us
    }
}

/// All cards at home on one shard.
#[derive(Debug)]
pub struct Cards {
    /// In the order in which they came; none ever goes.
    cards: Vec<(AccountHash, Card)>,
    index: Cells,
    /// How many the index has room for.
    room: usize,
    max: usize,
}

/// Cards there is room for at first.
const ROOM_MIN: usize = 1_024;

impl Cards {
    /// None yet, `max` at most.
    #[must_use]
    pub fn new(max: u32) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Self { cards: Vec::new(), index: Cells::new(ROOM_MIN), room: ROOM_MIN, max }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &(AccountHash, Card)> {
        self.cards.iter()
    }

    /// The card with this number.
    #[must_use]
    pub fn get(&self, hash: AccountHash, pan: &Pan) -> Option<&Card> {
        self.at(self.place(hash, |card| card.pan == *pan)?)
    }

    /// The card with this number, to be changed.
    pub fn get_mut(&mut self, hash: AccountHash, pan: &Pan) -> Option<&mut Card> {
        let place = self.place(hash, |card| card.pan == *pan)?;
        self.at_mut(place)
    }

    /// The card with this hash, which an earlier process had found by number.
    pub fn by_hash(&mut self, hash: AccountHash) -> Option<&mut Card> {
        let place = self.place(hash, |_| true)?;
        self.at_mut(place)
    }

    /// A request of the card with this hash is decided after so many other events. What it needs lies behind each other,
    /// so that it comes nearer step by step.
    pub(crate) fn expect(&self, hash: AccountHash, label: Option<u16>, after: usize) {
        if after >= AHEAD {
            return self.index.expect(hash.0);
        }
        // The place of another card of the same half of a hash is as good: nothing is decided by it.
        let Some(card) = self.index.find(hash.0, |_| true).and_then(|place| self.at(place)) else { return };
        // Nothing is read of the card before it can be here.
        let newest = || card.bundles.last();
        match after {
            3 => {
                near(&card.pan);
                near(&card.funding);
                near(&card.bundles);
                near(&card.window);
            }
            2 => newest().into_iter().for_each(near),
            1 => {
                let entry = newest().and_then(|newest| newest.entries.get(newest.place(label?)?));
                entry.into_iter().for_each(near);
            }
            _ => {}
        }
    }

    /// Adds a card.
    ///
    /// # Errors
    /// [`Refused::Conflict`] when it is there, [`Refused::TooMany`] when there is no room.
    pub fn add(&mut self, hash: AccountHash, card: Card) -> Result<(), Refused> {
        if self.get(hash, &card.pan).is_some() {
            return Err(Refused::Conflict);
        }
        let place = u32::try_from(self.cards.len()).map_err(|_| Refused::TooMany)?;
        if self.cards.len() >= self.max {
            return Err(Refused::TooMany);
        }
        if self.cards.len() >= self.room {
            self.make_room();
        }
        self.index.insert(hash.0, place);
        self.cards.push((hash, card));
        Ok(())
    }

    fn make_room(&mut self) {
        self.room = self.room.saturating_mul(2);
        self.index = Cells::new(self.room);
        for ((hash, _), place) in self.cards.iter().zip(0..) {
            self.index.insert(hash.0, place);
        }
    }

    fn place(&self, hash: AccountHash, is_meant: impl Fn(&Card) -> bool) -> Option<u32> {
        let is_it = |place| {
            let at = usize::try_from(place).ok().and_then(|place| self.cards.get(place));
            at.is_some_and(|(known, card)| *known == hash && is_meant(card))
        };
        self.index.find(hash.0, is_it)
    }

    fn at(&self, place: u32) -> Option<&Card> {
        self.cards.get(usize::try_from(place).ok()?).map(|(_, card)| card)
    }

    fn at_mut(&mut self, place: u32) -> Option<&mut Card> {
        self.cards.get_mut(usize::try_from(place).ok()?).map(|(_, card)| card)
    }
}

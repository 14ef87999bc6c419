//! Where things live: the keyed hashes that name a message and choose the shards at home to it.
//!
//! The key is secret, so nobody outside can choose messages that all fall on one shard, and a hash seen in a dump or
//! a journal says nothing about a card. It comes from the journal's key, so that a message has the same name after a
//! restart; without a journal it is drawn at start.

use authorizer::cards::AccountHash;
use authorizer::event::{AcquirerId, ShardId};
use authorizer::request::{Class, Fingerprint, Identity, MatchKeys};
use codecs::iso8583::{De, Message};
use codecs::value::{Pan, PartyId, Stan};
use siphasher::sip128::SipHasher13;

/// What two messages of one identity must agree in to be the same request.
const CONTENT: [De; 7] =
    [De::PAN, De::PROCESSING_CODE, De::AMOUNT, De::EXPIRY, De::POS_ENTRY, De::RRN, De::CURRENCY];

/// The keyed hash and the number of shards.
pub struct Homes {
    key: [u8; 16],
    shards: u16,
    /// What stands for an acquirer in a name: it does not change when the configuration is put in another order.
    acquirers: Vec<u64>,
}

impl Homes {
    /// Under a key that outlives the process.
    pub fn new(shards: u16, key: [u8; 16], acquirers: &[&str]) -> Self {
        let mut homes = Self { key, shards, acquirers: Vec::new() };
        homes.acquirers =
            acquirers.iter().map(|name| homes.hash(&[b"acquirer", name.as_bytes()]) as u64).collect();
        homes
    }

    /// Under a fresh key from the operating system.
    pub fn drawn(shards: u16, acquirers: &[&str]) -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Self::new(shards, key, acquirers))
    }

    /// The name of a message: principal, class digits, moment, trace number, acquirer, forwarder, terminal
    /// and merchant. A reversal names its original by the same values, so both fall together.
    pub fn identity(
        &self,
        acquirer: AcquirerId,
        class: [u8; 2],
        stan: Stan,
        forwarder: Option<PartyId>,
        keys: &MatchKeys,
    ) -> Identity {
        // One write of a fixed layout: hashing value by value costs twice as much.
        let mut name = [0; 64];
        let mut rest = &mut name[..];
        put(&mut rest, &self.acquirers.get(acquirer.index()).copied().unwrap_or_default().to_le_bytes());
        put(&mut rest, &class);
        put(&mut rest, &keys.moment.to_le_bytes());
        put(&mut rest, &stan.number().to_le_bytes());
        put(&mut rest, &keys.acquirer.map_or(u64::MAX, |party| party.number()).to_le_bytes());
        put(&mut rest, &forwarder.map_or(u64::MAX, |party| party.number()).to_le_bytes());
        put(&mut rest, keys.terminal.as_ref().map_or(&[0; 8][..], |terminal| &terminal.as_bytes()[..]));
        put(&mut rest, keys.merchant.as_ref().map_or(&[0; 15][..], |merchant| &merchant.as_bytes()[..]));
        Identity(self.hash(&[&name]))
    }

    /// What a message says, and whether it asks or tells: an advice is no repeat of a request.
    pub fn fingerprint(&self, message: &Message<'_>, class: Class) -> Fingerprint {
        let mut said = Gathered::default();
        said.add(&[class.index() as u8]);
        for de in CONTENT {
            if let Some(value) = message.value(de) {
                let [high, low] = (value.len() as u16).to_be_bytes();
                said.add(&[de.number(), high, low]);
                said.add(value);
            }
        }
        let track = message.value(De::TRACK2).map_or(0, |track| self.hash(&[b"track", track]) as u64);
        Fingerprint { content: self.hash(&[said.bytes()]), track: Some(track) }
    }

    /// The shard that is home to an identity.
    pub fn of_identity(&self, identity: Identity) -> ShardId {
        self.shard((identity.0 >> 64) as u64)
    }

    /// The hash by which a program's card is found.
    pub fn account(&self, pan: &Pan) -> AccountHash {
        AccountHash((self.hash(&[b"card", pan.danger_clear_digits()]) >> 64) as u64)
    }

    /// The shard that is home to a card's account.
    pub fn of_account(&self, pan: Option<&Pan>) -> ShardId {
        if self.shards == 1 {
            return ShardId(0);
        }
        self.shard(self.hash(&[b"account", pan.map_or(&[][..], Pan::danger_clear_digits)]) as u64)
    }

    fn shard(&self, hash: u64) -> ShardId {
        if self.shards == 1 { ShardId(0) } else { ShardId((hash % u64::from(self.shards)) as u16) }
    }

    fn hash(&self, parts: &[&[u8]]) -> u128 {
        let hasher = SipHasher13::new_with_key(&self.key);
        if let [whole] = parts {
            return hasher.hash(whole).as_u128();
        }
        let mut gathered = Gathered::default();
        parts.iter().for_each(|part| gathered.add(part));
        hasher.hash(gathered.bytes()).as_u128()
    }
}

/// Pieces put in a row, so that they are hashed in one go: hashing piece by piece costs twice as much.
struct Gathered {
    few: [u8; FEW],
    length: usize,
    /// All of them, once they are not few any more.
    many: Vec<u8>,
}

/// More than everything that is hashed of an ordinary message.
const FEW: usize = 128;

impl Default for Gathered {
    fn default() -> Self {
        Self { few: [0; FEW], length: 0, many: Vec::new() }
    }
}

impl Gathered {
    fn add(&mut self, piece: &[u8]) {
        let end = self.length + piece.len();
        match self.few.get_mut(self.length..end) {
            Some(room) if self.many.is_empty() => room.copy_from_slice(piece),
            _ => self.overflow(piece),
        }
        self.length = end;
    }

    #[cold]
    fn overflow(&mut self, piece: &[u8]) {
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few[..self.length.min(FEW)]);
        }
        self.many.extend_from_slice(piece);
    }

    fn bytes(&self) -> &[u8] {
        if self.many.is_empty() { &self.few[..self.length] } else { &self.many }
    }
}

/// Writes at the front of what is left.
fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (front, back) = std::mem::take(rest).split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    *rest = back;
}

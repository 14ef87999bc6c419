//! Where things live: the keyed hashes that name a message and choose the shards at home to it.
//!
//! The key is secret, so nobody outside can choose messages that all fall on one shard, and a hash seen in a dump or
//! a journal says nothing about a card. It comes from the journal's key, so that a message has the same name after a
//! restart; without a journal it is drawn at start.

use authorizer::cards::AccountHash;
use authorizer::event::{AcquirerId, ShardId};
use authorizer::request::{Class, Fingerprint, Identity, MatchKeys};
use codecs::track::Track2;
use codecs::value::{
    Currency, Expiry, MerchantId, Pan, PartyId, PosEntry, ProcessingCode, Rrn, Stan, TerminalId,
};
use siphasher::sip128::SipHasher13;
use twox_hash::XxHash3_64;

/// What two messages of one identity must agree in to be the same request.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    /// Whether it asks or tells: an advice is no repeat of a request.
    pub class: Class,
    /// DE 2, or the card number of the track.
    pub pan: Option<Pan>,
    /// DE 3.
    pub processing_code: Option<ProcessingCode>,
    /// DE 4.
    pub minor: Option<u64>,
    /// DE 49.
    pub currency: Currency,
    /// DE 14, or the expiry of the track.
    pub expiry: Option<Expiry>,
    /// DE 22.
    pub pos_entry: Option<PosEntry>,
    /// DE 37.
    pub rrn: Option<Rrn>,
    /// DE 35: what it says, however it is written.
    pub track: Option<&'a Track2>,
}

/// What DE 90 says of an original, and its sender, in a name: acquirer, class, moment, trace number.
const NAMED_BYTES: usize = 8 + 2 + 8 + 4;

/// The keyed hash and the number of shards.
pub struct Homes {
    key: [u8; 16],
    /// For tracks, which are compared with that of one other message and never written down.
    seed: u64,
    shards: u16,
    /// What stands for an acquirer in a name: it does not change when the configuration is put in another order.
    acquirers: Vec<u64>,
}

impl Homes {
    /// Under a key that outlives the process.
    pub fn new(shards: u16, key: [u8; 16], acquirers: &[&str]) -> Self {
        let mut homes = Self { key, seed: 0, shards, acquirers: Vec::new() };
        homes.seed = homes.hash(b"track") as u64;
        homes.acquirers =
            acquirers.iter().map(|name| homes.hash(format!("acquirer{name}").as_bytes()) as u64).collect();
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
        put(&mut rest, keys.terminal.as_ref().map_or(&[0; 8], TerminalId::as_bytes));
        put(&mut rest, keys.merchant.as_ref().map_or(&[0; 15], MerchantId::as_bytes));
        let whole = self.hash(&name);
        if self.shards == 1 {
            return Identity(whole);
        }
        // Acquirer, class, moment and trace number choose the shard: what a reversal says of its original in any case.
        let home = self.hash(&name[..NAMED_BYTES]) as u64;
        Identity(u128::from(home) << 64 | u128::from(whole as u64))
    }

    /// What a message says.
    pub fn fingerprint(&self, said: &Said<'_>) -> Fingerprint {
        let mut content = [0; 64];
        let mut rest = &mut content[..];
        put(&mut rest, &[said.class.index() as u8]);
        put(&mut rest, said.pan.as_ref().map_or(&[0; 19], Pan::danger_clear_padded));
        put(&mut rest, &said.processing_code.map_or([0; 6], ProcessingCode::digits));
        put(&mut rest, &said.minor.unwrap_or(u64::MAX).to_le_bytes());
        put(&mut rest, &said.currency.number().to_le_bytes());
        put(&mut rest, &said.expiry.map_or([0; 4], Expiry::digits));
        put(&mut rest, said.pos_entry.as_ref().map_or(&[0; 12], PosEntry::as_padded));
        put(&mut rest, said.rrn.as_ref().map_or(&[0; 12], Rrn::as_bytes));
        let track = said
            .track
            .map_or(0, |track| XxHash3_64::oneshot_with_seed(self.seed, &track.behind_pan_padded()));
        Fingerprint { content: self.hash(&content), track: Some(track) }
    }

    /// The shard that is home to an identity.
    pub fn of_identity(&self, identity: Identity) -> ShardId {
        self.shard((identity.0 >> 64) as u64)
    }

    /// The hash by which a program's card is found.
    pub fn account(&self, pan: &Pan) -> AccountHash {
        AccountHash((self.hash_of_card(b"card", Some(pan)) >> 64) as u64)
    }

    /// The shard that is home to a card's account.
    pub fn of_account(&self, pan: Option<&Pan>) -> ShardId {
        if self.shards == 1 {
            return ShardId(0);
        }
        self.shard(self.hash_of_card(b"account", pan) as u64)
    }

    fn shard(&self, hash: u64) -> ShardId {
        if self.shards == 1 { ShardId(0) } else { ShardId((hash % u64::from(self.shards)) as u16) }
    }

    /// For one purpose and no other.
    fn hash_of_card(&self, purpose: &[u8], pan: Option<&Pan>) -> u128 {
        let digits = pan.map_or(&[][..], Pan::danger_clear_digits);
        let (mut named, length) = ([0; 32], purpose.len() + digits.len());
        named[..purpose.len()].copy_from_slice(purpose);
        named[purpose.len()..length].copy_from_slice(digits);
        self.hash(&named[..length])
    }

    fn hash(&self, bytes: &[u8]) -> u128 {
        SipHasher13::new_with_key(&self.key).hash(bytes).as_u128()
    }
}

/// Writes at the front of what is left.
#[inline(always)]
fn put<const N: usize>(rest: &mut &mut [u8], bytes: &[u8; N]) {
    let (front, back) = std::mem::take(rest).split_at_mut(N);
    front.copy_from_slice(bytes);
    *rest = back;
}

//! Keys of cards that are kept in the token for the next purchase, because deriving one costs more than using it.
//!
//! What is kept here is a handle, found by a keyed hash of what the key was made of: no card number stays. The key
//! that was not used for longest goes when there are too many. They live as long as the token's session.

use std::hash::Hasher;
use std::num::NonZeroUsize;

use cryptoki::object::ObjectHandle;
use lru::LruCache;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::card_key::{CardKey, Derived, Recipe};
use super::policy::Work;
use super::{Master, Token};
use crate::error::Cause;

/// Keys of cards, as many as were asked for.
pub(crate) struct CardKeys {
    /// None: each is derived anew.
    kept: Option<LruCache<u128, ObjectHandle>>,
    hash_key: [u8; 16],
}

impl CardKeys {
    /// None kept.
    pub(crate) fn none() -> CardKeys {
        CardKeys { kept: None, hash_key: [0; 16] }
    }

    /// At most so many kept.
    pub(crate) fn at_most(token: &Token, keys: usize) -> Result<CardKeys, Cause> {
        let mut hash_key = [0; 16];
        token.random(&mut hash_key)?;
        // One answer uses up to three of them at once.
        let keys = NonZeroUsize::new(keys).map(|keys| keys.max(LEAST));
        Ok(CardKeys { kept: keys.map(LruCache::new), hash_key })
    }

    /// How many are kept now.
    pub(crate) fn len(&self) -> usize {
        self.kept.as_ref().map_or(0, LruCache::len)
    }

    /// The key that the master makes of the recipe: kept, or derived now.
    pub(crate) fn get<'token>(
        &mut self,
        token: &'token Token,
        master: &Master,
        recipe: &Recipe,
        work: Work,
    ) -> Result<CardKey<'token>, Cause> {
        let Some(kept) = &mut self.kept else { return token.derive(master, recipe, work) };
        let name = name(&self.hash_key, master, recipe, work);
        if let Some(handle) = kept.get(&name) {
            return Ok(CardKey::Derived(Derived::kept(token, *handle, master.usage.cipher())));
        }
        let (handle, cipher) = token.derived(master, recipe, work)?.keep();
        if let Some((_, oldest)) = kept.push(name, handle) {
            token.destroy(oldest);
        }
        Ok(CardKey::Derived(Derived::kept(token, handle, cipher)))
    }
}

/// The name of a key: two keys of one name would be one key, so it is as long as a hash must be for that not to happen.
fn name(hash_key: &[u8; 16], master: &Master, recipe: &Recipe, work: Work) -> u128 {
    let mut hasher = SipHasher24::new_with_key(hash_key);
    hasher.write_u64(master.handle.handle());
    hasher.write_u8(work as u8);
    hasher.write(recipe.data());
    hasher.finish128().as_u128()
}

const LEAST: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

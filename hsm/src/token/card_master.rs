//! The master keys of cards' keys, with how much of those may be seen here: the exposure of their family.

use std::fmt;

use super::card_key::{CardKey, Recipe};
use super::card_keys::CardKeys;
use super::policy::{Usage, Work};
use super::stream::Stream;
use super::{KeyError, KeyFlaw, KeySpec, Master, Token};
use crate::error::Cause;

/// How much of what is derived from a master key may be in this process's memory, for as long as one answer takes. Master
/// keys never are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Exposure {
    /// Nothing.
    #[default]
    None,
    /// What is good for one purchase: a session key, a private counter.
    Session,
    /// The key of a card, too.
    Card,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exposure::None => "none",
            Exposure::Session => "session",
            Exposure::Card => "card",
        })
    }
}

/// A master key of cards' keys, as it was loaded.
pub(crate) enum CardMaster {
    /// The keys of cards are derived in the token.
    Shut {
        master: Master,
        /// Whether the keys of purchases are told.
        tells_session_keys: bool,
    },
    /// The keys of cards are told.
    Open {
        stream: Stream,
        /// What it is the master of.
        usage: Usage,
        /// How long it is; the AES keys of cards are as long as their master.
        key_bytes: usize,
    },
}

/// Where the keys of cards come from, for one answer.
pub(crate) struct CardSource<'v> {
    token: &'v Token,
    kept: &'v mut CardKeys,
    master: &'v mut CardMaster,
}

impl CardMaster {
    /// Finds the key for this use; for exposure `card` it is another one, that encrypts instead of being derived from.
    pub(crate) fn load(
        token: &Token,
        spec: &KeySpec,
        (usage, exposure): (Usage, Exposure),
    ) -> Result<CardMaster, KeyError> {
        let open = match exposure {
            Exposure::Card => usage.exposed(),
            Exposure::None | Exposure::Session => None,
        };
        let Some(open) = open else {
            let tells_session_keys = exposure == Exposure::Session;
            return Ok(CardMaster::Shut { master: token.load(spec, usage)?, tells_session_keys });
        };
        let master = token.load(spec, open)?;
        let flaw =
            |cause| KeyError { label: spec.label.clone(), usage: open, flaw: KeyFlaw::NoStream(cause) };
        let stream = token.stream(&master).map_err(flaw)?;
        Ok(CardMaster::Open { stream, usage, key_bytes: master.key_bytes })
    }

    /// What it is the master of.
    pub(crate) fn usage(&self) -> Usage {
        match self {
            CardMaster::Shut { master, .. } => master.usage,
            CardMaster::Open { usage, .. } => *usage,
        }
    }

    /// Whether it is used through a copy in the session.
    pub(crate) fn is_copy(&self) -> bool {
        match self {
            CardMaster::Shut { master, .. } => master.is_copy,
            CardMaster::Open { stream, .. } => stream.is_copy(),
        }
    }

    /// Whether the token still gives known answers the way it answers under this key.
    pub(crate) fn still_right(&mut self, token: &Token) -> Result<(), Cause> {
        match self {
            CardMaster::Shut { master, .. } => token.still_right(master.usage),
            CardMaster::Open { stream, .. } => stream.still_right(),
        }
    }
}

impl<'v> CardSource<'v> {
    /// From the keys of a verifier.
    pub(crate) fn new(
        token: &'v Token,
        kept: &'v mut CardKeys,
        master: &'v mut CardMaster,
    ) -> CardSource<'v> {
        CardSource { token, kept, master }
    }

    /// How long the master is.
    pub(crate) fn key_bytes(&self) -> usize {
        match &self.master {
            CardMaster::Shut { master, .. } => master.key_bytes,
            CardMaster::Open { key_bytes, .. } => *key_bytes,
        }
    }

    /// The key of a card that does this work.
    pub(crate) fn get(&mut self, recipe: &Recipe, work: Work) -> Result<CardKey<'v>, Cause> {
        match &mut self.master {
            CardMaster::Shut { master, .. } => self.kept.get(self.token, master, recipe, work),
            CardMaster::Open { stream, .. } => {
                let cipher = stream.cipher();
                recipe.seen(cipher, |data, out| stream.pass(data, out)).map(CardKey::Seen)
            }
        }
    }

    /// The same, made anew and not kept: for what is asked once in a card's life.
    pub(crate) fn get_once(&mut self, recipe: &Recipe, work: Work) -> Result<CardKey<'v>, Cause> {
        match &self.master {
            CardMaster::Shut { master, .. } => self.token.derive(master, recipe, work),
            CardMaster::Open { .. } => self.get(recipe, work),
        }
    }

    /// The key of a card that keys of purchases are made of.
    pub(crate) fn of_card(&mut self, recipe: &Recipe) -> Result<CardKey<'v>, Cause> {
        self.get(recipe, if self.tells_session_keys() { Work::Encrypt } else { Work::Derive })
    }

    /// The key of one purchase that does this work, made of its card's.
    pub(crate) fn of_purchase(
        &self,
        of_card: &CardKey<'v>,
        recipe: &Recipe,
        work: Work,
    ) -> Result<CardKey<'v>, Cause> {
        if self.tells_session_keys() { of_card.tell(recipe) } else { of_card.derive(recipe, work) }
    }

    fn tells_session_keys(&self) -> bool {
        matches!(self.master, CardMaster::Shut { tells_session_keys: true, .. })
    }
}

//! What a principal may use. Its certificate says who it is; the message only claims.

use alloc::vec::Vec;

use codecs::value::{Iin, PartyId};

use crate::request::{Class, Request};

/// The rights of one acquirer. An empty list of values allows every value.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// DE 32 values.
    pub acquirer_ids: Vec<PartyId>,
    /// DE 33 values.
    pub forwarder_ids: Vec<PartyId>,
    /// Kinds of request; `None` allows every kind.
    pub classes: Option<Vec<Class>>,
    /// Card ranges.
    pub iins: Vec<Iin>,
    /// Prefixes of DE 41.
    pub terminals: Vec<Vec<u8>>,
}

impl Rights {
    /// Whether this request keeps within them. An element the message does not carry is not claimed, so it
    /// breaks no right; but where terminals are listed, one must be named.
    #[must_use]
    pub fn allow(&self, request: &Request) -> bool {
        self.classes.as_ref().is_none_or(|classes| classes.contains(&request.class))
            && listed(&self.acquirer_ids, request.keys.acquirer.as_ref())
            && listed(&self.forwarder_ids, request.forwarder.as_ref())
            && self.allow_card(request)
            && self.allow_terminal(request)
    }

    fn allow_card(&self, request: &Request) -> bool {
        self.iins.is_empty() || request.pan.is_none_or(|pan| self.iins.iter().any(|iin| iin.covers(&pan)))
    }

    fn allow_terminal(&self, request: &Request) -> bool {
        self.terminals.is_empty()
            || request.keys.terminal.is_some_and(|terminal| {
                self.terminals.iter().any(|prefix| terminal.as_bytes().starts_with(prefix))
            })
    }
}

fn listed<T: PartialEq>(list: &[T], claimed: Option<&T>) -> bool {
    list.is_empty() || claimed.is_none_or(|claimed| list.contains(claimed))
}

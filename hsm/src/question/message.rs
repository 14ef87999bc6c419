//! Questions about a message between two hosts: its MAC, and the PIN block in it.

use std::fmt;

use zeroize::Zeroizing;

use crate::digits::Pan;
use crate::question::KeyId;

/// Make the MAC of a message, for DE 64 or 128.
pub struct MakeMac {
    /// A key of messages' MACs.
    pub key: KeyId,
    /// Everything that the MAC covers.
    pub message: Covered,
}

/// Is this the MAC of a message?
pub struct CheckMac {
    /// A key of messages' MACs.
    pub key: KeyId,
    /// Everything that the MAC covers.
    pub message: Covered,
    /// What was presented; nothing where the message has none.
    pub presented: Option<[u8; 8]>,
}

/// What a MAC covers: a message up to its own place in it. Wiped on drop.
pub struct Covered(pub(crate) Zeroizing<Vec<u8>>);

impl Covered {
    /// Up to [`Covered::MAX_BYTES`].
    pub fn new(bytes: Vec<u8>) -> Option<Covered> {
        let bytes = Zeroizing::new(bytes);
        (bytes.len() <= Covered::MAX_BYTES).then_some(Covered(bytes))
    }

    /// Longer than any message that a link takes by default.
    pub const MAX_BYTES: usize = 8192;
}

/// Put a PIN block under the key of another zone.
pub struct TranslatePin {
    /// The zone key under which it came.
    pub from: KeyId,
    /// The zone key under which it goes on.
    pub to: KeyId,
    /// The format in which it came.
    pub from_format: PinFormat,
    /// The format in which it goes on.
    pub to_format: PinFormat,
    /// The card's number.
    pub pan: Pan,
    /// The card's number behind the translation, where it is another: a proxy's card. Refused unless the zone key
    /// was loaded for it.
    pub other_pan: Option<Pan>,
    /// The block.
    pub block: PinBlock,
}

/// A format of PIN blocks (ISO 9564-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PinFormat {
    /// 0: bound to the card's number, filled with F. 3DES.
    Iso0,
    /// 1: bound to nothing. 3DES.
    Iso1,
    /// 3: bound to the card's number, filled at random. 3DES.
    Iso3,
    /// 4: bound to the card's number, with eight random bytes. AES.
    Iso4,
}

impl PinFormat {
    /// Every format.
    pub const ALL: [PinFormat; 4] = [PinFormat::Iso0, PinFormat::Iso1, PinFormat::Iso3, PinFormat::Iso4];

    /// Whether ISO 9564-1 allows to go from this format to another: never from one that is bound to a card's number to
    /// one that is not.
    pub fn may_become(self, other: PinFormat) -> bool {
        self == PinFormat::Iso1 || other != PinFormat::Iso1
    }

    /// Whether its blocks are of AES.
    pub fn is_aes(self) -> bool {
        self == PinFormat::Iso4
    }

    pub(crate) fn control(self) -> u8 {
        match self {
            PinFormat::Iso0 => 0,
            PinFormat::Iso1 => 1,
            PinFormat::Iso3 => 3,
            PinFormat::Iso4 => 4,
        }
    }
}

/// An encrypted PIN block, 8 bytes under 3DES or 16 under AES. It is not printed: PIN blocks, even encrypted, are in no log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PinBlock {
    bytes: [u8; 16],
    /// Small, because there is room for one in every answer.
    len: u8,
}

impl PinBlock {
    /// 8 or 16 bytes.
    pub fn new(bytes: &[u8]) -> Option<PinBlock> {
        let len = u8::try_from(bytes.len()).ok().filter(|len| matches!(len, 8 | 16))?;
        let mut block = PinBlock { bytes: [0; 16], len };
        block.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(block)
    }

    /// As it stands in DE 52.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for PinBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinBlock(..)")
    }
}

//! The question after an application cryptogram, from the fields of DE 55.

use std::fmt;

use crate::derive::Card;
use crate::question::KeyId;

/// Is this the cryptogram of the card over this purchase? And what does its issuer answer it?
///
/// It can only be made whole: what the version needs is there, and the answers are of its method.
pub struct Cryptogram {
    key: KeyId,
    card: Card,
    version: CryptogramVersion,
    signed: [u8; 33],
    /// 9F10 and its length.
    iad: ([u8; MAX_IAD], usize),
    presented: Option<[u8; 8]>,
    answers: [Option<IssuerAnswer>; 2],
}

/// How a card signs. Visa writes its numbers in decimal, Mastercard in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CryptogramVersion {
    /// 10 of Visa (0x0A): the card's key, option A; adds the CVR; answer by method 1.
    Visa10,
    /// 18 of Visa (0x12): option B, EMV's session key; adds all of 9F10; answer by method 2.
    Visa18,
    /// 22 of Visa (0x16): as 18.
    Visa22,
    /// 0x10 of Mastercard: option A, a session key from ATC and unpredictable number; adds the CVR; answer by method 1 under
    /// the card's key.
    Mastercard10,
    /// 0x11 of Mastercard: as 0x10, and adds the counters.
    Mastercard11,
    /// 0x14 of Mastercard: option A, EMV's session key; adds the CVR; answer by method 1 under the session key.
    Mastercard14,
    /// 0x15 of Mastercard: as 0x14, and adds the counters.
    Mastercard15,
    /// EMV with AES, keys of 128, 192 or 256 bits as their master: option C, EMV's session key, CMAC; adds all of 9F10;
    /// answer by method 2.
    Aes,
}

/// What the issuer tells the card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IssuerAnswer {
    /// Method 1: the authorization response code, as it stands in tag 8A.
    Code([u8; 2]),
    /// Method 2: the card status update, and up to eight bytes of the issuer's own.
    Status(CardStatus),
}

/// A card status update with what the issuer adds to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CardStatus {
    bytes: [u8; 12],
    len: usize,
}

impl CardStatus {
    /// An update, and up to eight bytes of proprietary authentication data.
    pub fn new(update: [u8; 4], proprietary: &[u8]) -> Option<CardStatus> {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&update);
        bytes[4..].get_mut(..proprietary.len())?.copy_from_slice(proprietary);
        Some(CardStatus { bytes, len: 4 + proprietary.len() })
    }

    /// The update and what follows it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The value of tag 91: the issuer's cryptogram (ARPC) with what it is about. 8 to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IssuerAuthentication {
    bytes: [u8; 16],
    /// Small, because there is room for two in every answer.
    len: u8,
}

impl IssuerAuthentication {
    /// Up to 16 bytes, as they came from elsewhere.
    pub(crate) fn read(bytes: &[u8]) -> Option<IssuerAuthentication> {
        (bytes.len() <= 16).then(|| IssuerAuthentication::new(&[bytes]))
    }

    pub(crate) fn new(parts: &[&[u8]]) -> IssuerAuthentication {
        let mut made = IssuerAuthentication { bytes: [0; 16], len: 0 };
        for part in parts {
            made.bytes[usize::from(made.len)..][..part.len()].copy_from_slice(part);
            made.len += part.len() as u8;
        }
        made
    }

    /// As it goes into DE 55.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for IssuerAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerAuthentication({} bytes)", self.len)
    }
}

impl CryptogramVersion {
    /// Every version.
    pub const ALL: [CryptogramVersion; 8] = [
        CryptogramVersion::Visa10,
        CryptogramVersion::Visa18,
        CryptogramVersion::Visa22,
        CryptogramVersion::Mastercard10,
        CryptogramVersion::Mastercard11,
        CryptogramVersion::Mastercard14,
        CryptogramVersion::Mastercard15,
        CryptogramVersion::Aes,
    ];

    /// What it adds to the signed data, out of the issuer application data (9F10), in one piece or two. None where that is too
    /// short, or says another version.
    fn added(self, iad: &[u8]) -> Option<[&[u8]; 2]> {
        use CryptogramVersion as Version;
        // Visa: length, key index, version, CVR. Mastercard: key index, version, CVR, two bytes, counters.
        let (place, number) = match self {
            Version::Visa10 => (2, 0x0A),
            Version::Visa18 => (2, 0x12),
            Version::Visa22 => (2, 0x16),
            Version::Mastercard10 => (1, 0x10),
            Version::Mastercard11 => (1, 0x11),
            Version::Mastercard14 => (1, 0x14),
            Version::Mastercard15 => (1, 0x15),
            // Any: the card's profile says which.
            Version::Aes => (2, *iad.get(2)?),
        };
        let added = match self {
            Version::Visa10 => [iad.get(3..7)?, &[]],
            Version::Visa18 | Version::Visa22 | Version::Aes => [iad, &[][..]],
            Version::Mastercard10 | Version::Mastercard14 => [iad.get(2..8)?, &[]],
            Version::Mastercard11 | Version::Mastercard15 => [iad.get(2..8)?, iad.get(10..18)?],
        };
        (iad.get(place) == Some(&number)).then_some(added)
    }

    fn fits(self, answer: &IssuerAnswer) -> bool {
        let by_code =
            !matches!(self, CryptogramVersion::Visa18 | CryptogramVersion::Visa22 | CryptogramVersion::Aes);
        matches!(answer, IssuerAnswer::Code(_)) == by_code
    }

    /// Whether the issuer answers under the card's key, though the card signed under a session key.
    pub(crate) fn answers_with_card_key(self) -> bool {
        matches!(self, CryptogramVersion::Mastercard10 | CryptogramVersion::Mastercard11)
    }

    /// Whether its master key is one of AES.
    pub fn is_aes(self) -> bool {
        self == CryptogramVersion::Aes
    }
}

impl Cryptogram {
    /// A question.
    ///
    /// `signed` is what every version signs: 9F02, 9F03, 9F1A, 95, 5F2A, 9A, 9C, 9F37, 82, 9F36 in a row. `iad` is 9F10,
    /// `presented` 9F26. `approved` and `declined` are what the issuer would tell the card; only a right
    /// cryptogram is answered. None where 9F10 is not of this version, or an answer not of its method.
    pub fn new(
        (key, version): (KeyId, CryptogramVersion),
        card: Card,
        signed: [u8; 33],
        iad: &[u8],
        presented: Option<[u8; 8]>,
        [approved, declined]: [Option<IssuerAnswer>; 2],
    ) -> Option<Cryptogram> {
        version.added(iad)?;
        let mut kept = ([0; MAX_IAD], iad.len());
        kept.0.get_mut(..iad.len())?.copy_from_slice(iad);
        let answers = [approved, declined];
        let fit = answers.iter().flatten().all(|answer| version.fits(answer));
        fit.then_some(Cryptogram { key, card, version, signed, iad: kept, presented, answers })
    }

    /// The master key.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Its version.
    pub fn version(&self) -> CryptogramVersion {
        self.version
    }

    pub(crate) fn card(&self) -> &Card {
        &self.card
    }

    pub(crate) fn presented(&self) -> Option<[u8; 8]> {
        self.presented
    }

    pub(crate) fn answers(&self) -> &[Option<IssuerAnswer>; 2] {
        &self.answers
    }

    pub(crate) fn wants_answers(&self) -> bool {
        self.answers.iter().any(Option::is_some)
    }

    pub(crate) fn signed(&self) -> &[u8; 33] {
        &self.signed
    }

    pub(crate) fn iad(&self) -> &[u8] {
        &self.iad.0[..self.iad.1]
    }

    /// All that the card signed.
    pub(crate) fn message(&self) -> Vec<u8> {
        let [first, second] = self.version.added(self.iad()).unwrap_or_default();
        [&self.signed, first, second].concat()
    }

    /// The ATC, 9F36.
    pub(crate) fn atc(&self) -> [u8; 2] {
        [self.signed[31], self.signed[32]]
    }

    /// What makes the session key another for each purchase.
    pub(crate) fn diversifier(&self) -> [u8; 8] {
        let mut diversifier = [0; 8];
        diversifier[..2].copy_from_slice(&self.atc());
        if self.version.answers_with_card_key() {
            // Mastercard's own: the unpredictable number (9F37) too.
            diversifier[4..].copy_from_slice(&self.signed[25..29]);
        }
        diversifier
    }
}

/// Most bytes of 9F10.
const MAX_IAD: usize = 32;

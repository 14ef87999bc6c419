//! The closed list of what can be asked, and of what can be answered.
//!
//! A question holds everything its answer depends on, by value, so that it can be sent to another process.
//! Which ATCs are candidates, whether one was used before and what a wrong code leads to is not decided
//! here: this crate only says whether a code is right.

mod cryptogram;
mod message;
mod response;

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::derive::{Card, Derivation};
use crate::digits::{Challenge, Code, CodeLength, Pan, packed_eight};

pub use cryptogram::{CardStatus, Cryptogram, CryptogramVersion, IssuerAnswer, IssuerAuthentication};
pub use message::{CheckMac, Covered, MakeMac, PinBlock, PinFormat, TranslatePin};
pub use response::{EnrolResponse, EnrolledResponse, ResponseTag};

/// A key that was loaded, by its place in the [`Verifier`](crate::Verifier) that loaded it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyId(pub(crate) u16);

/// Something only the holder of a key can tell.
pub enum Question {
    /// Is this the code printed on the card or written on its stripe?
    StaticCode(StaticCode),
    /// What constant of a card enters its CVC3? Asked once, when the card is enrolled.
    EnrolCvc3(EnrolCvc3),
    /// Is this the CVC3 for one of these ATCs?
    Cvc3(Cvc3),
    /// Is this the dynamic CVV for this ATC?
    DynamicCvv(DynamicCvv),
    /// Is this the code of a rotating ATC, profile `aes`?
    RotatingCode(RotatingCode),
    /// Is this the code of a rotating ATC, profile `cvc3`?
    RotatingCvc3(RotatingCvc3),
    /// Is this the response to a challenge, computed by a device?
    Response(Response),
    /// What is stored of a response?
    EnrolResponse(EnrolResponse),
    /// Is this the response that was enrolled?
    EnrolledResponse(EnrolledResponse),
    /// Is this the card's cryptogram over this purchase, and what does its issuer answer?
    Cryptogram(Box<Cryptogram>),
    /// What is this PIN block under another zone's key?
    TranslatePin(TranslatePin),
    /// What is the MAC of this message?
    MakeMac(MakeMac),
    /// Is this the MAC of this message?
    CheckMac(CheckMac),
}

/// What the token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The code is right.
    Right,
    /// The code is right for this candidate ATC; the first of them if it is right for several.
    RightFor(u16),
    /// The code has the length the profile asks for, and is not the right one.
    Wrong,
    /// The code is absent, or shorter or longer than the profile asks for. The token was not asked.
    WrongLength,
    /// The constant of a card's CVC3.
    Ivcvc3(Ivcvc3),
    /// What is stored of a response.
    Tag(ResponseTag),
    /// The cryptogram is right, and this is what its issuer answers if it approves or declines, as far as it was
    /// asked for.
    RightCryptogram {
        /// If it approves.
        approved: Option<IssuerAuthentication>,
        /// If it declines.
        declined: Option<IssuerAuthentication>,
    },
    /// The PIN block under the other key.
    PinBlock(PinBlock),
    /// The standard does not allow this translation, or the zone key was not loaded for it. The token was not asked.
    Refused,
    /// The MAC of a message, for DE 64 or 128.
    Mac([u8; 8]),
}

impl Answer {
    /// Whether a code was presented and is right.
    pub fn is_right(self) -> bool {
        matches!(self, Answer::Right | Answer::RightFor(_) | Answer::RightCryptogram { .. })
    }

    pub(crate) fn of(is_right: bool) -> Answer {
        if is_right { Answer::Right } else { Answer::Wrong }
    }
}

/// A code that is the same for every purchase (CVV, CVC): checked under a card verification key.
pub struct StaticCode {
    /// A card verification key with its left-half twin.
    pub key: KeyId,
    /// The card's number.
    pub pan: Pan,
    /// Expiry and service code.
    pub printed: Printed,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for.
    pub length: CodeLength<5>,
}

/// What a static or dynamic CVV covers besides the card's number. All ASCII digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Printed {
    expiry: [u8; 4],
    service_code: [u8; 3],
}

impl Printed {
    /// The code on the stripe: expiry as it stands there (YYMM), and the stripe's service code.
    pub fn stripe(expiry: [u8; 4], service_code: [u8; 3]) -> Option<Printed> {
        let printed = Printed { expiry, service_code };
        printed.digits().iter().all(u8::is_ascii_digit).then_some(printed)
    }

    /// The code printed on the card (CVV2, CVC2): service code 000. The expiry is YYMM or MMYY, as the
    /// issuer chose.
    pub fn on_the_card(expiry: [u8; 4]) -> Option<Printed> {
        Printed::stripe(expiry, *b"000")
    }

    /// The code in the chip's image of the stripe (iCVV, chip CVC): service code 999.
    pub fn in_the_chip(expiry: [u8; 4]) -> Option<Printed> {
        Printed::stripe(expiry, *b"999")
    }

    /// Expiry and service code in a row, four bits each, and a zero behind.
    pub(crate) fn packed(&self) -> u32 {
        let mut digits = [0; 8];
        digits[..7].copy_from_slice(&self.digits());
        packed_eight(digits)
    }

    /// Expiry and service code in a row.
    pub(crate) fn digits(&self) -> [u8; 7] {
        let mut digits = [0; 7];
        digits[..4].copy_from_slice(&self.expiry);
        digits[4..].copy_from_slice(&self.service_code);
        digits
    }
}

/// The track data a card was personalised with, from which its CVC3 constant is made.
pub struct EnrolCvc3 {
    /// The master key of CVC3.
    pub key: KeyId,
    /// The card.
    pub card: Card,
    /// How its key is derived.
    pub derivation: Derivation,
    /// What its stripe mode was personalised with.
    pub track: TrackData,
}

/// A track data object as personalised, wiped on drop.
pub struct TrackData(pub(crate) Zeroizing<Vec<u8>>);

impl TrackData {
    /// For track 2 the value of tag 9F6B, packed; for track 1 that of tag 56, in ASCII. 1 to 79 bytes, which
    /// is the longest track 1 (ISO/IEC 7813).
    pub fn new(bytes: Vec<u8>) -> Option<TrackData> {
        let bytes = Zeroizing::new(bytes);
        (1..=79).contains(&bytes.len()).then_some(TrackData(bytes))
    }
}

/// The constant part of a card's CVC3 (IVCVC3): to be stored with the card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ivcvc3(pub [u8; 2]);

/// A dynamic code of a contactless card in stripe mode.
pub struct Cvc3 {
    /// The master key of CVC3.
    pub key: KeyId,
    /// The card.
    pub card: Card,
    /// How its key is derived.
    pub derivation: Derivation,
    /// The card's constant, from its enrolment.
    pub ivcvc3: Ivcvc3,
    /// The terminal's unpredictable number.
    pub un: UnpredictableNumber,
    /// The full ATCs that the digits on the track may stand for. A card whose code does not cover the ATC has
    /// the one candidate 0.
    pub atcs: Candidates,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for: the code is a number below 65 536.
    pub length: CodeLength<5>,
}

/// An unpredictable number of up to eight decimal digits, packed two to a byte with zeros in front.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnpredictableNumber(pub(crate) [u8; 4]);

impl UnpredictableNumber {
    /// Reads up to eight ASCII digits.
    pub fn parse(ascii: &[u8]) -> Option<UnpredictableNumber> {
        let mut digits = [b'0'; 8];
        let from = digits.len().checked_sub(ascii.len())?;
        digits[from..].copy_from_slice(ascii);
        ascii.iter().all(u8::is_ascii_digit).then(|| UnpredictableNumber(packed_eight(digits).to_be_bytes()))
    }
}

/// One to sixteen ATCs, each of which would be accepted: every one makes a guess likelier to pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidates {
    atcs: [u16; MAX_CANDIDATES],
    len: usize,
}

impl Candidates {
    /// One to [`MAX_CANDIDATES`] of them, in the order in which they are preferred.
    pub fn new(candidates: &[u16]) -> Option<Candidates> {
        let mut atcs = [0; MAX_CANDIDATES];
        atcs.get_mut(..candidates.len())?.copy_from_slice(candidates);
        (!candidates.is_empty()).then_some(Candidates { atcs, len: candidates.len() })
    }

    /// The only one.
    pub(crate) fn one(atc: u16) -> Candidates {
        let mut atcs = [0; MAX_CANDIDATES];
        atcs[0] = atc;
        Candidates { atcs, len: 1 }
    }

    /// Wipes them: one may be a private counter.
    pub(crate) fn wipe(&mut self) {
        self.atcs.zeroize();
    }

    /// The candidates, in their order.
    pub fn atcs(&self) -> &[u16] {
        &self.atcs[..self.len]
    }
}

/// Most candidates of one question.
pub const MAX_CANDIDATES: usize = 16;

/// A dynamic code of a contactless card: a CVV under the card's own key, with the ATC in place of the first
/// four digits of its number.
pub struct DynamicCvv {
    /// The master key of dynamic CVVs.
    pub key: KeyId,
    /// The card.
    pub card: Card,
    /// Expiry and service code.
    pub printed: Printed,
    /// The application transaction counter, of which the four low decimal digits count.
    pub atc: u16,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for.
    pub length: CodeLength<5>,
}

/// The code of one entry of a bundle of rotating ATCs: made by the private counter that belongs to the public
/// index on the track.
pub struct RotatingCode {
    /// The master key of private counters.
    pub key: KeyId,
    /// The account, as the enrolment named it.
    pub account: [u8; 8],
    /// Which bundle of the account.
    pub bundle: u32,
    /// Which entry of the bundle.
    pub index: u32,
    /// The number of the purchase.
    pub un: UnpredictableNumber,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for.
    pub length: CodeLength<12>,
}

/// The code of one entry of a bundle of rotating ATCs on an ordinary contactless terminal: a CVC3 with the first two
/// bytes of the private counter in the ATC's place.
pub struct RotatingCvc3 {
    /// The master key of private counters, exposed.
    pub counters: KeyId,
    /// The master key of CVC3.
    pub key: KeyId,
    /// The card.
    pub card: Card,
    /// How its key is derived.
    pub derivation: Derivation,
    /// The card's constant, from its enrolment.
    pub ivcvc3: Ivcvc3,
    /// The account, as the enrolment named it.
    pub account: [u8; 8],
    /// Which bundle of the account.
    pub bundle: u32,
    /// Which entry of the bundle.
    pub index: u32,
    /// The terminal's unpredictable number.
    pub un: UnpredictableNumber,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for: the code is a number below 65 536.
    pub length: CodeLength<5>,
}

/// The computed response of a device to a challenge.
pub struct Response {
    /// The master key of challenge responses.
    pub key: KeyId,
    /// The account.
    pub pan: Pan,
    /// What the device was asked.
    pub challenge: Challenge,
    /// What was presented.
    pub presented: Code,
    /// How many digits the profile asks for.
    pub length: CodeLength<12>,
}

/// The kind of a question: all that an error or a counter may keep of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// [`Question::StaticCode`]
    StaticCode,
    /// [`Question::EnrolCvc3`]
    EnrolCvc3,
    /// [`Question::Cvc3`]
    Cvc3,
    /// [`Question::DynamicCvv`]
    DynamicCvv,
    /// [`Question::RotatingCode`]
    RotatingCode,
    /// [`Question::RotatingCvc3`]
    RotatingCvc3,
    /// [`Question::Response`]
    Response,
    /// [`Question::EnrolResponse`]
    EnrolResponse,
    /// [`Question::EnrolledResponse`]
    EnrolledResponse,
    /// [`Question::Cryptogram`]
    Cryptogram,
    /// [`Question::TranslatePin`]
    TranslatePin,
    /// [`Question::MakeMac`]
    MakeMac,
    /// [`Question::CheckMac`]
    CheckMac,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 13] = [
        Kind::StaticCode,
        Kind::EnrolCvc3,
        Kind::Cvc3,
        Kind::DynamicCvv,
        Kind::RotatingCode,
        Kind::RotatingCvc3,
        Kind::Response,
        Kind::EnrolResponse,
        Kind::EnrolledResponse,
        Kind::Cryptogram,
        Kind::TranslatePin,
        Kind::MakeMac,
        Kind::CheckMac,
    ];
}

impl KeyId {
    /// The key at this place of a [`Plan`](crate::Plan).
    pub fn of_place(place: u16) -> KeyId {
        KeyId(place)
    }

    /// Its place there.
    pub fn place(self) -> u16 {
        self.0
    }
}

impl Question {
    /// What is asked, without any of its content.
    pub fn kind(&self) -> Kind {
        self.outline().kind
    }

    /// All that is to be known of a question before the token is asked, in one look.
    #[inline(always)]
    pub(crate) fn outline(&self) -> Outline {
        let of = |kind, key, has_its_digits| Outline { kind, keys: (key, key), has_its_digits };
        match self {
            Question::StaticCode(asked) => {
                of(Kind::StaticCode, asked.key, asked.length.fits(&asked.presented))
            }
            Question::EnrolCvc3(asked) => of(Kind::EnrolCvc3, asked.key, true),
            Question::Cvc3(asked) => of(Kind::Cvc3, asked.key, asked.length.fits(&asked.presented)),
            Question::DynamicCvv(asked) => {
                of(Kind::DynamicCvv, asked.key, asked.length.fits(&asked.presented))
            }
            Question::RotatingCode(asked) => {
                of(Kind::RotatingCode, asked.key, asked.length.fits(&asked.presented))
            }
            Question::RotatingCvc3(asked) => Outline {
                kind: Kind::RotatingCvc3,
                keys: (asked.counters, asked.key),
                has_its_digits: asked.length.fits(&asked.presented),
            },
            Question::Response(asked) => of(Kind::Response, asked.key, asked.length.fits(&asked.presented)),
            Question::EnrolResponse(asked) => {
                of(Kind::EnrolResponse, asked.key, asked.length.fits(&asked.response))
            }
            Question::EnrolledResponse(asked) => {
                of(Kind::EnrolledResponse, asked.key, asked.length.fits(&asked.presented))
            }
            Question::Cryptogram(asked) => of(Kind::Cryptogram, asked.key(), asked.presented().is_some()),
            Question::TranslatePin(asked) => {
                Outline { kind: Kind::TranslatePin, keys: (asked.from, asked.to), has_its_digits: true }
            }
            Question::MakeMac(asked) => of(Kind::MakeMac, asked.key, true),
            Question::CheckMac(asked) => of(Kind::CheckMac, asked.key, asked.presented.is_some()),
        }
    }
}

/// A question without its content.
#[derive(Clone, Copy)]
pub(crate) struct Outline {
    pub(crate) kind: Kind,
    /// The keys that it names; twice the same where it names one.
    pub(crate) keys: (KeyId, KeyId),
    /// Whether a code of the length that the profile asks for was presented, where one is needed.
    pub(crate) has_its_digits: bool,
}

impl Outline {
    /// A number that questions of one kind and the same keys have in common, and no others.
    pub(crate) fn group(&self) -> u64 {
        let (KeyId(one), KeyId(other)) = self.keys;
        (self.kind as u64) << 32 | u64::from(one) << 16 | u64::from(other)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::StaticCode => "static code",
            Kind::EnrolCvc3 => "CVC3 enrolment",
            Kind::Cvc3 => "CVC3",
            Kind::DynamicCvv => "dynamic CVV",
            Kind::RotatingCode => "rotating code",
            Kind::RotatingCvc3 => "rotating code, profile cvc3",
            Kind::Response => "challenge response",
            Kind::EnrolResponse => "enrolment of a response",
            Kind::EnrolledResponse => "enrolled response",
            Kind::Cryptogram => "application cryptogram",
            Kind::TranslatePin => "PIN translation",
            Kind::MakeMac => "making of a MAC",
            Kind::CheckMac => "MAC",
        })
    }
}

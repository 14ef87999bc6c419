//! The published payment systems that run on the line, and what ordinary contactless cards need. A program is a file that answers questions at fixed
//! points of it: what must be proven before a request may go on, and what a proof or a wrong code changes.
//! It does no I/O, calls no other program and sees no other's records.
//!
//! Which cards a program serves is configured by their prefixes.

pub mod challenge;
pub mod contactless;
pub mod rotating_atc;

use crate::atc_window::Candidates;
use crate::cards::{Card, ChallengeState, EntryState, Personalised, Tag};
use crate::decision::DeclineReason;
use crate::request::{CONTACTLESS_STRIPE, Presented, Request};
use crate::verify::Judgement;

/// A configured program. Index into [`crate::tables::Tables::programs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramId(pub u16);

/// What the holder of a key is asked about the code in a request's track. The code itself stays at the edge,
/// with the raw message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Was the code made by this entry of a bundle?
    RotatingCode {
        /// The card's sequence number.
        psn: u8,
        /// Which bundle.
        bundle: u32,
        /// Which public ATC.
        atc: u16,
        /// The constant of the card's CVC3, where the code is one.
        stripe: Option<[u8; 2]>,
    },
    /// Is the code the response to this challenge?
    Response {
        /// Eight ASCII digits.
        challenge: [u8; 8],
        /// What is stored of the response, where the device does not compute it.
        tag: Option<Tag>,
    },
    /// Was the code made by the card with one of these ATCs?
    CardCode {
        /// The card's sequence number.
        psn: u8,
        /// The constant of the card's CVC3.
        stripe: [u8; 2],
        /// The ATCs that the digits in the track may stand for. Once it was judged: the one that it was, or none.
        atcs: Candidates,
    },
}

impl Question {
    /// Nothing is asked.
    pub(crate) const NONE: Question = Question::RotatingCode { psn: 0, bundle: 0, atc: 0, stripe: None };

    /// What was proven by what the token says, and whether the code is right. Nothing where it does not say, or names
    /// an ATC that it was not asked about.
    pub(crate) fn settled(self, judgement: Judgement) -> Option<(Question, bool)> {
        let Self::CardCode { psn, stripe, atcs } = self else {
            return match judgement {
                Judgement::Right | Judgement::RightFor(_) => Some((self, true)),
                Judgement::Wrong => Some((self, false)),
                Judgement::Unknown => None,
            };
        };
        let of = |atcs| Self::CardCode { psn, stripe, atcs };
        match judgement {
            Judgement::RightFor(atc) if !atcs.as_slice().contains(&atc) => None,
            Judgement::RightFor(atc) => Some((of(Candidates::one(atc)), true)),
            Judgement::Right => atcs.only().map(|atc| (of(Candidates::one(atc)), true)),
            Judgement::Wrong => Some((of(Candidates::NONE), false)),
            Judgement::Unknown => None,
        }
    }
}

impl Question {
    /// Takes what a right answer to it has used, which was written down.
    pub(crate) fn claim(&self, card: &mut Card) {
        match self {
            Self::RotatingCode { bundle, atc, .. } => {
                if let Some(bundle) = card.bundle_mut(*bundle) {
                    bundle.set(*atc, EntryState::Used);
                }
            }
            Self::Response { challenge: digits, .. } => {
                let known = card.challenges.iter_mut().find(|challenge| challenge.digits == *digits);
                if let Some(challenge) = known {
                    challenge.state = ChallengeState::Consumed;
                }
            }
            Self::CardCode { atcs, .. } => {
                if let Some(atc) = atcs.only() {
                    card.window.claim(atc);
                }
            }
        }
    }
}

/// The challenge itself is not shown, for a log has no use for it.
impl core::fmt::Debug for Question {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::RotatingCode { bundle, atc, .. } => write!(f, "RotatingCode({bundle}, {atc})"),
            Self::Response { .. } => f.write_str("Response(..)"),
            Self::CardCode { atcs, .. } => write!(f, "CardCode({:?})", atcs.as_slice()),
        }
    }
}

/// What a program wants before a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the request is good as it is.
    Nothing,
    /// A right answer to this.
    Proof(Question),
    /// It is declined.
    Decline(DeclineReason),
    /// It is declined, and the card's device is to get a challenge for the next attempt.
    DeclineAndChallenge(DeclineReason),
}

/// One payment system.
pub trait Program: Sync {
    /// At *received*: what must be proven, by the request and the card's record.
    fn questions(&self, request: &Request, card: &Card, now_us: u64) -> Need;

    /// At *verified*: the token found the code right or wrong. Claims what a right one may be used for only
    /// once, counts a wrong one. What is changed here is never undone, whatever becomes of the request.
    ///
    /// # Errors
    /// Why the request is declined.
    fn judged(
        &self,
        question: &Question,
        is_right: bool,
        card: &mut Card,
        now_us: u64,
    ) -> Result<(), DeclineReason>;
}

/// The counter that a tapped card or phone presents, where it may be used at all.
///
/// # Errors
/// Why the request is declined.
fn label(request: &Request, card: &Card) -> Result<u16, DeclineReason> {
    // A code of a contactless card or a phone on a stripe was harvested.
    if request.entry_mode != Some(CONTACTLESS_STRIPE) {
        return Err(DeclineReason::SecurityViolation);
    }
    let Presented::Label(label) = request.presented else { return Err(DeclineReason::FormatError) };
    if card.is_blocked { Err(DeclineReason::CardBlocked) } else { Ok(label) }
}

/// Whether a proxy has no card behind it, as one that was enrolled while its range was of another kind. Its own number and
/// track are for no issuer to see, so there is nobody to ask.
fn is_unpaid(card: &Card) -> bool {
    card.funding.is_none()
}

/// Whether expiry and service code are the proxy's, as far as they were told when it was enrolled: codes do not cover them.
fn is_its_track(request: &Request, card: &Card) -> bool {
    let Personalised { expiry, service_code } = card.personalised;
    (expiry.is_none() || expiry == request.expiry)
        && (service_code.is_none() || service_code == request.service_code)
}

/// A program with its settings.
#[derive(Clone, Debug)]
pub enum CardProgram {
    /// Rotating application transaction counters.
    RotatingAtc(rotating_atc::Settings),
    /// Challenge response in track data.
    Challenge(challenge::Settings),
    /// Ordinary contactless cards.
    Contactless(contactless::Settings),
}

impl CardProgram {
    /// The program behind the settings.
    #[must_use]
    pub fn as_program(&self) -> &dyn Program {
        match self {
            Self::RotatingAtc(program) => program,
            Self::Challenge(program) => program,
            Self::Contactless(program) => program,
        }
    }

    /// Whether it asks such questions.
    #[must_use]
    pub fn asks(&self, question: &Question) -> bool {
        matches!(
            (self, question),
            (Self::RotatingAtc(_), Question::RotatingCode { .. })
                | (Self::Challenge(_), Question::Response { .. })
                | (Self::Contactless(_), Question::CardCode { .. })
        )
    }

    /// Wrong codes that a card may have, and one entry or challenge.
    #[must_use]
    pub fn tries(&self) -> (u8, u8) {
        match self {
            Self::RotatingAtc(rotating_atc::Settings { tries, .. })
            | Self::Challenge(challenge::Settings { tries, .. }) => (tries.per_card, tries.per_secret),
            Self::Contactless(program) => (program.tries_per_card, program.tries_per_card),
        }
    }
}

/// How many wrong codes a card may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// For one entry or challenge; then it is dead or locked.
    pub per_secret: u8,
    /// For the card within the window; then it is blocked until an operator unblocks it.
    pub per_card: u8,
    /// Microseconds.
    pub window_us: u64,
}

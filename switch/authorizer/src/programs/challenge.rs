//! Challenge response in track data: the payment system asks the wallet something while the terminal waits,
//! and the answer travels in the discretionary data through an unchanged merchant network.
//!
//! The path of a payment never waits for a person: the challenge is there before it, or the payment is
//! declined and asked for again (1A). A challenge is consumed by one right response.

use codecs::value::Amount;

use crate::cards::{Card, Challenge, ChallengeState};
use crate::decision::DeclineReason;
use crate::programs::{Need, Program, Question, Tries, is_its_track, is_unpaid};
use crate::request::{CONTACTLESS_STRIPE, Presented, Request};

/// How one card range does it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many wrong responses are borne.
    pub tries: Tries,
    /// When a challenge is required.
    pub required: Required,
}

/// When a challenge is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// For every purchase.
    Always,
    /// For purchases of more than this, and for all in another currency, where the same number is another amount.
    Above(Amount),
}

impl Program for Settings {
    fn questions(&self, request: &Request, card: &Card, now_us: u64) -> Need {
        if is_unpaid(card) {
            return Need::Decline(DeclineReason::UnknownCard);
        }
        if request.entry_mode != Some(CONTACTLESS_STRIPE) {
            return Need::Decline(DeclineReason::SecurityViolation);
        }
        if card.is_blocked {
            return Need::Decline(DeclineReason::CardBlocked);
        }
        let reference = match request.presented {
            Presented::Nothing | Presented::Broken => return Need::Decline(DeclineReason::FormatError),
            _ if !is_its_track(request, card) => return Need::Decline(DeclineReason::ChallengeUnknown),
            Presented::Label(reference) => reference,
            Presented::Absent if !self.is_required(request) => return Need::Nothing,
            Presented::Absent if may_challenge(card, now_us) => {
                return Need::DeclineAndChallenge(DeclineReason::ChallengeRequired);
            }
            Presented::Absent => return Need::Decline(DeclineReason::ChallengeRequired),
        };
        match card.challenges.iter().rev().find(|challenge| challenge.reference() == reference) {
            None => Need::Decline(DeclineReason::ChallengeUnknown),
            Some(challenge) => match open(challenge, now_us) {
                Ok(()) => Need::Proof(Question::Response { challenge: challenge.digits, tag: challenge.tag }),
                Err(reason) => Need::Decline(reason),
            },
        }
    }

    fn judged(
        &self,
        question: &Question,
        is_right: bool,
        card: &mut Card,
        now_us: u64,
    ) -> Result<(), DeclineReason> {
        let Question::Response { challenge: digits, .. } = *question else {
            return Err(DeclineReason::TokenUnavailable);
        };
        if card.is_blocked {
            return Err(DeclineReason::CardBlocked);
        }
        let known = card.challenges.iter_mut().find(|challenge| challenge.digits == digits);
        let Some(challenge) = known else { return Err(DeclineReason::ChallengeUnknown) };
        open(challenge, now_us)?;
        if is_right {
            challenge.state = ChallengeState::Consumed;
            return Ok(());
        }
        challenge.wrong = challenge.wrong.saturating_add(1);
        if challenge.wrong >= self.tries.per_secret {
            challenge.state = ChallengeState::Locked;
        }
        card.count_wrong(now_us, self.tries.window_us, self.tries.per_card);
        Err(DeclineReason::ResponseMismatch)
    }
}

impl Settings {
    fn is_required(&self, request: &Request) -> bool {
        match self.required {
            Required::Always => true,
            Required::Above(most) => {
                request.amount.currency() != most.currency() || request.amount.minor() > most.minor()
            }
        }
    }
}

/// Whether a challenge may be answered now.
fn open(challenge: &Challenge, now_us: u64) -> Result<(), DeclineReason> {
    match challenge.state {
        ChallengeState::Open if challenge.is_expired(now_us) => Err(DeclineReason::ChallengeExpired),
        ChallengeState::Open => Ok(()),
        ChallengeState::Consumed => Err(DeclineReason::ChallengeConsumed),
        ChallengeState::Locked => Err(DeclineReason::ChallengeLocked),
        ChallengeState::Superseded => Err(DeclineReason::ChallengeUnknown),
    }
}

/// Whether a request without a response may make a new challenge. Not while one can be answered; and not while
/// a locked one would have lived, or asking again would be a way around the limit of tries.
pub(crate) fn may_challenge(card: &Card, now_us: u64) -> bool {
    card.challenges.last().is_none_or(|newest| {
        newest.is_expired(now_us) || !matches!(newest.state, ChallengeState::Open | ChallengeState::Locked)
    })
}

//! Rotating application transaction counters: a phone holds a bundle of private counters and proves with
//! each of them once, by a code over the terminal's number. Only the public label of a counter travels.
//!
//! The label names the secret, so there is no window to search: one look-up, one computation. Entries may be
//! used in any order; each is used once. An entry is claimed after its code was found right, because
//! claiming before would let anybody who knows a card number use up its entries.

use crate::cards::{Card, EntryState};
use crate::decision::DeclineReason;
use crate::programs::{Need, Program, Question, Tries, is_its_track, is_unpaid, label};
use crate::request::Request;

/// How one card range does it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many wrong codes are borne.
    pub tries: Tries,
    /// What codes are.
    pub profile: Profile,
}

/// What the codes of a card range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A block of AES under the private counter.
    Aes,
    /// A CVC3, as ordinary contactless terminals place it, with two bytes of the private counter in the ATC's place. A
    /// card whose track was not told has none.
    Cvc3,
}

impl Program for Settings {
    fn questions(&self, request: &Request, card: &Card, now_us: u64) -> Need {
        if is_unpaid(card) {
            return Need::Decline(DeclineReason::UnknownCard);
        }
        let atc = match label(request, card) {
            Ok(atc) => atc,
            Err(reason) => return Need::Decline(reason),
        };
        if !is_its_track(request, card) {
            return Need::Decline(DeclineReason::TrackMismatch);
        }
        let stripe = match (self.profile, card.stripe) {
            (Profile::Aes, _) => None,
            (Profile::Cvc3, Some(constant)) => Some(constant),
            (Profile::Cvc3, None) => return Need::Decline(DeclineReason::AtcUnknown),
        };
        match usable(card, atc, now_us) {
            Ok(bundle) => Need::Proof(Question::RotatingCode { psn: card.psn, bundle, atc, stripe }),
            Err(reason) => Need::Decline(reason),
        }
    }

    fn judged(
        &self,
        question: &Question,
        is_right: bool,
        card: &mut Card,
        now_us: u64,
    ) -> Result<(), DeclineReason> {
        let Question::RotatingCode { bundle, atc, .. } = *question else {
            return Err(DeclineReason::TokenUnavailable);
        };
        // While the token was asked, another copy may have been faster, or the bundle revoked.
        if card.is_blocked {
            return Err(DeclineReason::CardBlocked);
        }
        if usable(card, atc, now_us)? != bundle {
            return Err(DeclineReason::AtcUnknown);
        }
        let Some(bundle) = card.bundle_mut(bundle) else { return Err(DeclineReason::AtcUnknown) };
        if is_right {
            bundle.set(atc, EntryState::Used);
            return Ok(());
        }
        if let Some(EntryState::Issued(wrong)) = bundle.entry(atc) {
            let wrong = wrong.saturating_add(1);
            let is_dead = wrong >= self.tries.per_secret;
            bundle.set(atc, if is_dead { EntryState::Dead } else { EntryState::Issued(wrong) });
        }
        card.count_wrong(now_us, self.tries.window_us, self.tries.per_card);
        Err(DeclineReason::CodeMismatch)
    }
}

/// The bundle under which this public ATC may be used now.
fn usable(card: &Card, atc: u16, now_us: u64) -> Result<u32, DeclineReason> {
    let bundle = card.bundle_of(atc, now_us).ok_or(DeclineReason::AtcUnknown)?;
    match bundle.entry(atc) {
        Some(EntryState::Used) => Err(DeclineReason::AtcUsed),
        Some(EntryState::Dead) => Err(DeclineReason::AtcDead),
        Some(EntryState::Issued(_)) if bundle.is_live(now_us) => Ok(bundle.id),
        Some(EntryState::Issued(_)) => Err(DeclineReason::AtcExpired),
        None => Err(DeclineReason::AtcUnknown),
    }
}

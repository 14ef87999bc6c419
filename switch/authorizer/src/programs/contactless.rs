//! Ordinary contactless cards in stripe mode: a card counts its purchases and proves with each counter (ATC) once, by a code
//! over the terminal's number. The low digits of the counter travel.
//!
//! The digits may stand for several counters: all that are within reach and new are asked about in one question, and the
//! token says to which the code belongs. Only then is it used: a counter that nobody authenticated would let anybody who
//! knows a card number burn the card with a high one.
//!
//! With so few digits that several counters within reach end in them, a track that comes again may stand for one that is
//! new: it is asked about and counted as wrong. With four digits and a reach below 10,000 it is known without asking.

use crate::atc_window::Reach;
use crate::cards::Card;
use crate::decision::DeclineReason;
use crate::programs::{Need, Program, Question, label};
use crate::request::Request;

/// How one card range does it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many decimal digits of the counter are in the track.
    pub atc_digits: u8,
    /// How far it may be from the last one.
    pub reach: Reach,
    /// Wrong codes for a card within the window; then it is blocked until an operator unblocks it.
    pub tries_per_card: u8,
    /// That window, microseconds.
    pub window_us: u64,
}

impl Program for Settings {
    fn questions(&self, request: &Request, card: &Card, _: u64) -> Need {
        let digits = match label(request, card) {
            Ok(digits) => digits,
            Err(reason) => return Need::Decline(reason),
        };
        let Some(stripe) = card.stripe else { return Need::Decline(DeclineReason::AtcUnknown) };
        let (digits, count) = (u32::from(digits), u32::from(self.atc_digits));
        match card.window.candidates(digits, count, self.reach) {
            Some(atcs) if !atcs.as_slice().is_empty() => {
                Need::Proof(Question::CardCode { psn: card.psn, stripe, atcs })
            }
            _ if card.window.was_accepted(digits, count) => Need::Decline(DeclineReason::AtcUsed),
            // Further ahead than a card comes, or left out too long ago.
            _ => Need::Decline(DeclineReason::AtcUnknown),
        }
    }

    fn judged(
        &self,
        question: &Question,
        is_right: bool,
        card: &mut Card,
        now_us: u64,
    ) -> Result<(), DeclineReason> {
        let Question::CardCode { atcs, .. } = question else {
            return Err(DeclineReason::TokenUnavailable);
        };
        if card.is_blocked {
            return Err(DeclineReason::CardBlocked);
        }
        if !is_right {
            card.count_wrong(now_us, self.window_us, self.tries_per_card);
            return Err(DeclineReason::CodeMismatch);
        }
        let atc = atcs.only().ok_or(DeclineReason::TokenUnavailable)?;
        // While the token was asked, another copy may have been faster.
        if card.window.claim(atc) { Ok(()) } else { Err(DeclineReason::AtcUsed) }
    }
}

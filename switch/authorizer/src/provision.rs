//! What operators and wallets change of cards: enrolment, bundles, challenges, blocks. The edge has checked
//! the form of every change and sends it to the card's home.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use codecs::value::Pan;

use crate::Authorizer;
use crate::atc_window::AtcWindow;
use crate::cards::{
    AccountHash, Bundle, BundleState, Card, Challenge, ChallengeState, EntryState, Funding, Personalised,
    Refused, Tag,
};
use crate::effect::Effects;
use crate::event::Now;
use crate::fact::Fact;
use crate::parked::SetAside;
use crate::programs::challenge::may_challenge;

/// Names the one who waits for the outcome of a change, at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asker(pub u64);

/// What an asker is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// How a card stands now.
    Card(Box<Standing>),
    /// What was set aside for issuers.
    Parked(Vec<SetAside>),
    /// What was set aside goes out again.
    Released,
}

/// A change of one card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Provision {
    /// Who waits for the outcome.
    pub asker: Option<Asker>,
    /// The hash of the card's number.
    pub account: AccountHash,
    /// The card.
    pub pan: Pan,
    /// What is changed.
    pub change: Change,
}

/// What is changed, or asked, of a card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// A new card.
    Enrol {
        /// Its sequence number.
        psn: u8,
        /// The card that pays for it.
        funding: Option<Funding>,
        /// What its track says, where it is a proxy.
        personalised: Personalised,
        /// The newest counter of its own that it has used: those before it are not accepted.
        atc: u16,
    },
    /// A bundle of `count` rotating ATCs from `first`, to be confirmed.
    IssueBundle {
        /// Its number, unique for the card.
        id: u32,
        /// The first public ATC.
        first: u16,
        /// How many.
        count: u16,
        /// From now, microseconds.
        ttl_us: u64,
    },
    /// The device has the bundle.
    ConfirmBundle(u32),
    /// The bundle is not to be used any more.
    RevokeBundle(u32),
    /// What the device is asked now.
    Challenge {
        /// Eight ASCII digits; the first four are the reference.
        digits: [u8; 8],
        /// From now, microseconds.
        ttl_us: u64,
        /// What is stored of the response, where the device does not compute it.
        tag: Option<Tag>,
    },
    /// What the card's track contributes to a CVC3.
    Stripe {
        /// Its sequence number, by which the token made it: the card's own.
        psn: u8,
        /// The constant.
        constant: [u8; 2],
    },
    /// No use until unblocked.
    Block,
    /// May be used again; wrong codes are forgotten.
    Unblock,
    /// Nothing is changed: how does it stand?
    Look,
}

/// How a card stands after a change.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The card, as it is now.
    pub card: Card,
    /// The moment, monotonic microseconds, by which expiries are told.
    pub now_us: u64,
}

impl Authorizer {
    /// Changes a card and tells how it stands.
    pub(crate) fn provisioned(&mut self, provision: &Provision, now: Now, out: &mut Effects) {
        if self.is_surplus(provision, now) {
            return;
        }
        let outcome = self.changed(provision, now.monotonic_us);
        if outcome.is_ok() && provision.change != Change::Look {
            out.facts.push(Fact::Provisioned(Box::new(Provision { asker: None, ..*provision })));
        }
        let Some(asker) = provision.asker else { return };
        let standing = outcome.and_then(|()| {
            let card = self.cards.get(provision.account, &provision.pan).ok_or(Refused::Unknown)?;
            Ok(Told::Card(Box::new(Standing { card: card.clone(), now_us: now.monotonic_us })))
        });
        out.told.push((asker, standing));
    }

    /// A challenge that was drawn for a payment without a response, after another payment of the same turn had one drawn: it
    /// would take the place of one that the device may know.
    fn is_surplus(&self, provision: &Provision, now: Now) -> bool {
        let is_drawn = provision.asker.is_none() && matches!(provision.change, Change::Challenge { .. });
        let card = || self.cards.get(provision.account, &provision.pan);
        is_drawn && card().is_some_and(|card| !may_challenge(card, now.monotonic_us))
    }

    pub(crate) fn changed(&mut self, provision: &Provision, now_us: u64) -> Result<(), Refused> {
        let Provision { account, pan, change, .. } = *provision;
        if let Change::Enrol { psn, funding, personalised, atc } = change {
            let card = Card { personalised, window: AtcWindow::new(atc), ..Card::new(pan, psn, funding) };
            return self.cards.add(account, card);
        }
        let card = self.cards.get_mut(account, &pan).ok_or(Refused::Unknown)?;
        match change {
            Change::Enrol { .. } | Change::Look => Ok(()),
            Change::IssueBundle { id, first, count, ttl_us } => {
                let bundle = Bundle {
                    id,
                    first,
                    expires_us: now_us.saturating_add(ttl_us),
                    state: BundleState::Pending,
                    entries: vec![EntryState::Issued(0); usize::from(count)],
                };
                card.add_bundle(bundle, now_us)
            }
            Change::ConfirmBundle(id) => {
                let bundle = card.bundle_mut(id).ok_or(Refused::Unknown)?;
                match bundle.state {
                    BundleState::Revoked => Err(Refused::Conflict),
                    BundleState::Pending | BundleState::Active => {
                        bundle.state = BundleState::Active;
                        Ok(())
                    }
                }
            }
            Change::RevokeBundle(id) => {
                card.bundle_mut(id).ok_or(Refused::Unknown)?.state = BundleState::Revoked;
                Ok(())
            }
            Change::Challenge { digits, ttl_us, tag } => card.add_challenge(Challenge {
                digits,
                expires_us: now_us.saturating_add(ttl_us),
                wrong: 0,
                state: ChallengeState::Open,
                tag,
            }),
            Change::Stripe { psn, .. } if psn != card.psn => Err(Refused::Conflict),
            Change::Stripe { constant, .. } => {
                card.stripe = Some(constant);
                Ok(())
            }
            Change::Block => {
                card.is_blocked = true;
                Ok(())
            }
            Change::Unblock => {
                card.is_blocked = false;
                card.wrong = 0;
                Ok(())
            }
        }
    }
}

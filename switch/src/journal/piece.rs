//! What a shard knew, piece by piece, as bytes: records of a snapshot beside the facts of `record`, made of the same
//! parts. Card numbers are encrypted as they are there.

use authorizer::atc_window::AtcWindow;
use authorizer::cards::{
    AccountHash, Bundle, BundleState, Card, Challenge, ChallengeState, EntryState, Funding, Personalised,
};
use authorizer::event::IssuerId;
use authorizer::memory::{Entry, State, Undo};
use authorizer::request::Fingerprint;
use authorizer::saf::{Stored, Why};
use authorizer::snapshot::{Leg, Piece, Unacknowledged};
use codecs::value::Expiry;

use super::record::{NotARecord, Reader, Writer};

/// An entry that was used, and one that is dead; below them, how many wrong codes came for it.
const USED: u8 = 254;
const DEAD: u8 = 255;

impl Writer<'_> {
    /// Appends one piece.
    pub(super) fn piece(&mut self, piece: &Piece) {
        self.record(|w| match piece {
            Piece::Newest(issuer, stan) => w.of_reversal(*issuer, *stan, 1),
            Piece::Remembered(entry, leg) => {
                w.u8(match leg {
                    Leg::Gone => 0,
                    Leg::Open => 1,
                    Leg::Answered => 2,
                });
                w.entry(entry);
                2
            }
            Piece::Stored(waiting) => {
                let kind = match &waiting.message {
                    Stored::Reversal(reversal) => {
                        w.undo(Some(reversal));
                        3
                    }
                    Stored::Advice(advice) => {
                        w.advice(advice);
                        5
                    }
                };
                w.u64(waiting.since_us);
                w.u8(u8::from(waiting.is_parked));
                w.option(waiting.behind, |w, stan| w.u32(stan.number()));
                kind
            }
            Piece::StoodIn(issuer, pan, minor, at_us) => {
                w.u16(issuer.0);
                w.card(Some(pan));
                w.u64(*minor);
                w.u64(*at_us);
                6
            }
            Piece::Card(account, card) => {
                w.u64(account.0);
                w.of_card(card);
                w.option(card.stripe, |w, constant| w.bytes(&constant));
                for challenge in &card.challenges {
                    w.option(challenge.tag, |w, tag| w.tag(&tag));
                }
                w.u16(card.window.last());
                w.u64(card.window.seen());
                w.personalised(card.personalised);
                9
            }
        });
    }

    /// What is remembered of a request.
    fn entry(&mut self, entry: &Entry) {
        self.u128(entry.identity.0);
        self.u128(entry.fingerprint.content);
        self.u64(entry.since_us);
        match entry.state {
            State::Ended(outcome) => {
                self.u8(1);
                self.outcome(&outcome);
            }
            State::Tombstone => self.u8(2),
            State::Undone => self.u8(3),
            // Facts alone leave nothing running but what is in doubt; the others are never in a snapshot.
            State::InDoubt | State::Proving(_) | State::Running(_) | State::Forgotten => self.u8(4),
        }
        self.option(entry.sent, |w, sent| w.sent(&sent));
        self.option(entry.left_minor, Self::u64);
        self.option(entry.undo, |w, undo| {
            w.u32(undo.stan.number());
            w.u8(undo.why.number());
            w.u64(undo.left_minor);
        });
    }

    fn of_card(&mut self, card: &Card) {
        self.card(Some(&card.pan));
        self.u8(card.psn);
        self.option(card.funding, Self::funding);
        self.u8(u8::from(card.is_blocked));
        self.u8(card.wrong);
        self.u64(card.wrong_since_us);
        self.option(card.bundle_high, Self::u32);
        self.u8(card.bundles.len() as u8);
        for bundle in &card.bundles {
            self.u32(bundle.id);
            self.u16(bundle.first);
            self.u64(bundle.expires_us);
            self.u8(match bundle.state {
                BundleState::Pending => 0,
                BundleState::Active => 1,
                BundleState::Revoked => 2,
            });
            self.u16(bundle.entries.len() as u16);
            for entry in &bundle.entries {
                self.u8(match entry {
                    EntryState::Issued(wrong) => (*wrong).min(USED - 1),
                    EntryState::Used => USED,
                    EntryState::Dead => DEAD,
                });
            }
        }
        self.u8(card.challenges.len() as u8);
        for challenge in &card.challenges {
            self.bytes(&challenge.digits);
            self.u64(challenge.expires_us);
            self.u8(challenge.wrong);
            self.u8(match challenge.state {
                ChallengeState::Open => 0,
                ChallengeState::Consumed => 1,
                ChallengeState::Locked => 2,
                ChallengeState::Superseded => 3,
            });
        }
    }
}

impl Reader<'_> {
    /// The next piece; `None` at the end.
    pub(super) fn next_piece(&mut self) -> Option<Result<Piece, NotARecord>> {
        if self.is_at_end() {
            return None;
        }
        let read = self.record(|r, kind| {
            Some(match kind {
                1 => Piece::Newest(IssuerId(r.u16()?), r.stan()?),
                2 => {
                    let leg = match r.u8()? {
                        0 => Leg::Gone,
                        1 => Leg::Open,
                        2 => Leg::Answered,
                        _ => return None,
                    };
                    Piece::Remembered(r.entry()?, leg)
                }
                3 => {
                    let reversal = *r.undo()??;
                    r.waiting(Stored::Reversal(reversal))?
                }
                5 => {
                    let advice = r.advice()?;
                    r.waiting(Stored::Advice(advice))?
                }
                6 => Piece::StoodIn(IssuerId(r.u16()?), r.named_card()?, r.u64()?, r.u64()?),
                4 => Piece::Card(AccountHash(r.u64()?), r.whole_card()?),
                7 => Piece::Card(AccountHash(r.u64()?), r.told_card()?),
                8 => {
                    let (account, mut card) = (AccountHash(r.u64()?), r.told_card()?);
                    card.window = AtcWindow::of_parts(r.u16()?, r.u64()?);
                    Piece::Card(account, card)
                }
                9 => {
                    let (account, mut card) = (AccountHash(r.u64()?), r.told_card()?);
                    card.window = AtcWindow::of_parts(r.u16()?, r.u64()?);
                    card.personalised = r.personalised()?;
                    Piece::Card(account, card)
                }
                _ => return None,
            })
        });
        Some(read.map(|(piece, _)| piece).ok_or(NotARecord))
    }

    fn waiting(&mut self, message: Stored) -> Option<Piece> {
        Some(Piece::Stored(Unacknowledged {
            message,
            since_us: self.u64()?,
            is_parked: self.u8()? != 0,
            behind: self.option(Self::stan)?,
        }))
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(Entry {
            identity: self.identity()?,
            fingerprint: Fingerprint { content: self.u128()?, track: None },
            since_us: self.u64()?,
            state: match self.u8()? {
                1 => State::Ended(self.outcome()?),
                2 => State::Tombstone,
                3 => State::Undone,
                4 => State::InDoubt,
                _ => return None,
            },
            sent: self.option(Self::sent)?,
            left_minor: self.option(Self::u64)?,
            undo: self.option(|r| {
                Some(Undo { stan: r.stan()?, why: Why::of_number(r.u8()?)?, left_minor: r.u64()? })
            })?,
        })
    }

    /// With what was told of its track and its responses.
    fn told_card(&mut self) -> Option<Card> {
        let mut card = self.whole_card()?;
        card.stripe = self.option(|r| r.take::<2>().copied())?;
        for challenge in &mut card.challenges {
            challenge.tag = self.option(Self::tag)?;
        }
        Some(card)
    }

    fn whole_card(&mut self) -> Option<Card> {
        let (pan, psn, funding) = (self.named_card()?, self.u8()?, self.option(Self::funding)?);
        let mut card = Card {
            is_blocked: self.u8()? != 0,
            wrong: self.u8()?,
            wrong_since_us: self.u64()?,
            bundle_high: self.option(Self::u32)?,
            ..Card::new(pan, psn, funding)
        };
        for _ in 0..self.u8()? {
            let mut bundle = Bundle {
                id: self.u32()?,
                first: self.u16()?,
                expires_us: self.u64()?,
                state: match self.u8()? {
                    0 => BundleState::Pending,
                    1 => BundleState::Active,
                    2 => BundleState::Revoked,
                    _ => return None,
                },
                entries: Vec::new(),
            };
            let count = self.u16()?;
            let entry = |byte: &u8| match *byte {
                USED => EntryState::Used,
                DEAD => EntryState::Dead,
                wrong => EntryState::Issued(wrong),
            };
            bundle.entries = self.slice(usize::from(count))?.iter().map(entry).collect();
            card.bundles.push(bundle);
        }
        for _ in 0..self.u8()? {
            card.challenges.push(Challenge {
                digits: *self.take::<8>()?,
                expires_us: self.u64()?,
                wrong: self.u8()?,
                state: match self.u8()? {
                    0 => ChallengeState::Open,
                    1 => ChallengeState::Consumed,
                    2 => ChallengeState::Locked,
                    3 => ChallengeState::Superseded,
                    _ => return None,
                },
                tag: None,
            });
        }
        Some(card)
    }

    /// What a proxy's track says.
    pub(super) fn personalised(&mut self) -> Option<Personalised> {
        Some(Personalised {
            expiry: self.option(|r| Expiry::parse(r.take::<4>()?))?,
            service_code: self.option(|r| r.take::<3>().copied())?,
        })
    }

    /// The card behind a proxy.
    pub(super) fn funding(&mut self) -> Option<Funding> {
        Some(Funding { pan: self.named_card()?, expiry: Expiry::parse(self.take::<4>()?)? })
    }
}

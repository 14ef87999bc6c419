//! The requests of a load by their numbers, each different from all others.

use std::io;

use crate::frame;

/// Leading digits of the cards that the switch has a route for.
pub const ROUTED: &[u8; 6] = b"476173";
/// Cards that there can be behind those digits.
pub const CARDS_MAX: u64 = 1_000_000_000;
/// Numbers from here on belong to no load: those with which it is asked whether a subject is ready.
pub const APART: u64 = 900_000_000_000;

/// What a load asks for.
pub struct Requests<'a> {
    template: Vec<u8>,
    cards: Cards<'a>,
}

enum Cards<'a> {
    One,
    /// So many, in no order.
    Many(u64),
    /// A track for each request, one after the other.
    Tracks(&'a [u8]),
}

impl<'a> Requests<'a> {
    /// All of one card.
    pub fn of_one_card() -> Self {
        Self { template: frame::request(), cards: Cards::One }
    }

    /// Of so many cards, spread evenly over what the leading digits leave.
    pub fn of_cards(count: u64) -> Self {
        Self { template: frame::request(), cards: Cards::Many(count) }
    }

    /// Each with a track of its own, from a phone.
    pub fn with_tracks(tracks: &'a [u8]) -> Self {
        let mut template = frame::request();
        frame::from_a_phone(&mut template);
        Self { template, cards: Cards::Tracks(tracks) }
    }

    /// Appends the request of a number.
    #[inline]
    pub fn write(&self, number: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let begins = out.len();
        out.extend_from_slice(&self.template);
        let request = &mut out[begins..];
        frame::number(request, number);
        match self.cards {
            Cards::One => {}
            Cards::Many(count) => {
                let card = mixed(number) % count;
                frame::card(request, &frame::pan(ROUTED, card * (CARDS_MAX / count)));
            }
            Cards::Tracks(tracks) => {
                let count = (tracks.len() / frame::TRACK_BYTES) as u64;
                // The last is for who asks before the load; a right code is used up once.
                let place = if number >= APART { count - 1 } else { number };
                if number < APART && place >= count - 1 {
                    return Err(io::Error::other("more requests than tracks were made for"));
                }
                frame::track(request, &tracks[place as usize * frame::TRACK_BYTES..][..frame::TRACK_BYTES]);
            }
        }
        Ok(())
    }
}

/// A number that has nothing in common with its neighbours'.
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 31).wrapping_mul(0x7FB5_D329_728E_A185);
    number ^ number >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_spread_over_all_digits() {
        let requests = Requests::of_cards(100);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..2_000 {
            let mut request = Vec::new();
            requests.write(number, &mut request).unwrap();
            seen.insert(request[frame::LENGTH + 22..][..8].to_vec());
        }
        // The first two digits behind the leading six tell all of a hundred cards apart.
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn no_track_comes_twice() {
        let tracks: Vec<u8> = (0..3_u8).flat_map(|track| [b'0' + track; frame::TRACK_BYTES]).collect();
        let requests = Requests::with_tracks(&tracks);
        let mut out = Vec::new();
        assert!(requests.write(0, &mut out).is_ok() && requests.write(1, &mut out).is_ok());
        assert!(requests.write(2, &mut out).is_err());
        assert!(requests.write(APART, &mut out).is_ok());
    }
}

//! A recording made ready to be sent again: whole frames that know where their keys lie, and who shares one.

use bytes::BytesMut;
use codecs::iso8583::{De, Message, Version};
use std::sync::Arc;

use crate::clock::Stamp;
use crate::codes::Code;
use crate::profile::Link;
use crate::proof::mac::MessageMac;
use crate::spot::Spot;
use crate::template::OriginalKey;

/// The requests of a recording in their order. Message n of a run is the n-th of them.
#[derive(Clone, Default)]
pub(crate) struct Recording {
    pub(crate) requests: Vec<Request>,
    /// Types of messages, in the order in which they were first seen: the cases of a run.
    pub(crate) types: Vec<[u8; 4]>,
    /// Messages that are not sent again.
    pub(crate) left_out: u64,
    /// Whether the client signed on.
    pub(crate) signs_on: bool,
    /// How many times as fast as it was recorded.
    pub(crate) speed: f64,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Request {
    /// When it is due, in nanoseconds of the run.
    pub(crate) at_ns: u64,
    /// The link on which it was.
    pub(crate) link: u32,
    pub(crate) case: u16,
    pub(crate) prepared: Prepared,
    /// The first request with its key: itself, or what it repeats.
    pub(crate) same_key_as: u32,
    /// The next repeat.
    pub(crate) next_with_key: Option<u32>,
    /// The first request with its retrieval number.
    pub(crate) rrn_of: u32,
    /// What it undoes or completes.
    pub(crate) original: Option<u32>,
    pub(crate) amount: Option<u64>,
    pub(crate) response_mti: [u8; 4],
    /// What it was answered.
    pub(crate) answer: Option<Code>,
}

impl std::fmt::Debug for Recording {
    // Written by hand because requests hold card data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("requests", &self.requests.len()).finish_non_exhaustive()
    }
}

impl Recording {
    /// The case of a message type.
    pub(crate) fn case(&mut self, mti: [u8; 4]) -> u16 {
        let at = self.types.iter().position(|seen| *seen == mti).unwrap_or_else(|| {
            self.types.push(mti);
            self.types.len() - 1
        });
        at as u16
    }

    /// The request that is message `number`.
    #[inline]
    pub(crate) fn request(&self, number: u64) -> Option<&Request> {
        self.requests.get(usize::try_from(number).ok()?)
    }

    /// When each message is due.
    pub(crate) fn times(&self) -> Arc<[u64]> {
        self.requests.iter().map(|request| request.at_ns).collect()
    }

    /// How many links it was on.
    pub(crate) fn links(&self) -> usize {
        self.requests.iter().map(|request| request.link as usize + 1).max().unwrap_or(1)
    }

    /// Requests whose answer is known.
    pub(crate) fn answered(&self) -> usize {
        self.requests.iter().filter(|request| request.answer.is_some()).count()
    }

    /// When the last message is due.
    pub(crate) fn length_ns(&self) -> u64 {
        self.requests.last().map_or(0, |request| request.at_ns)
    }
}

/// What is new about a message that is sent again.
pub(crate) struct Fresh<'a> {
    pub(crate) stan: u32,
    pub(crate) rrn: u64,
    pub(crate) stamp: &'a Stamp,
    /// STAN and time of what it refers to, where that is in the recording.
    pub(crate) original: Option<(u32, Stamp)>,
}

/// A recorded frame.
#[derive(Clone)]
pub(crate) struct Prepared {
    frame: Vec<u8>,
    stan: Spot,
    transmission_time: Option<Spot>,
    local_time: Option<Spot>,
    local_date: Option<Spot>,
    rrn: Option<Spot>,
    original: Option<(Spot, [u8; 4])>,
    mac: Option<(Spot, MessageMac)>,
    message_at: usize,
}

impl Prepared {
    /// Prepares a message; one that has a MAC gets another where there is a key.
    pub(crate) fn new(
        message: &Message<'_>,
        link: &Link,
        mac: Option<&MessageMac>,
    ) -> Result<Prepared, String> {
        let bytes = message.bytes();
        let overhead = link.framing.overhead_bytes();
        let mut frame = vec![0; overhead];
        frame.extend_from_slice(bytes);
        link.framing.seal(&[], bytes.len(), &mut frame).map_err(|error| error.to_string())?;
        let spot = |de: De| Spot::find(message, de, overhead, 0);
        let of_digits = |de: De, digits: usize| spot(de).filter(|spot| spot.digits() == digits);
        let old = link.dialect.version == Version::V1987;
        let original = if old { De::ORIGINAL } else { De::ORIGINAL_93 };
        let refers_to = message.original().ok().flatten().and_then(|original| original.mti);
        Ok(Prepared {
            stan: of_digits(De::STAN, 6).ok_or("DE 11 has not six digits")?,
            transmission_time: of_digits(De::TRANSMISSION_TIME, 10),
            local_time: of_digits(De::LOCAL_TIME, if old { 6 } else { 12 }),
            // In 1993 it is another date.
            local_date: of_digits(De::LOCAL_DATE, 4).filter(|_| old),
            rrn: of_digits(De::RRN, 12),
            original: spot(original).zip(refers_to.map(|mti| mti.digits())),
            mac: mac.and_then(|mac| Some((spot(De::MAC_128).or(spot(De::MAC_64))?, mac.clone()))),
            message_at: overhead,
            frame,
        })
    }

    /// Whether it has a retrieval number that is new each time.
    pub(crate) fn has_rrn(&self) -> bool {
        self.rrn.is_some()
    }

    /// Appends the message as it is now.
    pub(crate) fn fill(&self, fresh: &Fresh<'_>, out: &mut BytesMut) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = &mut out[start..];
        self.stan.put_number::<6>(frame, u64::from(fresh.stan));
        if let Some(spot) = &self.transmission_time {
            spot.put(frame, fresh.stamp.transmission_time());
        }
        if let Some(spot) = &self.local_time {
            let whole = spot.digits() == 12;
            spot.put(frame, if whole { fresh.stamp.date_and_time() } else { fresh.stamp.time() });
        }
        if let Some(spot) = &self.local_date {
            spot.put(frame, fresh.stamp.date());
        }
        if let Some(spot) = &self.rrn {
            spot.put_number::<12>(frame, fresh.rrn);
        }
        if let (Some((spot, mti)), Some((stan, stamp))) = (&self.original, fresh.original) {
            OriginalKey { mti: *mti, stan, stamp }.put(spot, frame);
        }
        if let Some((spot, mac)) = &self.mac {
            let mac = mac.mac(&frame[self.message_at..spot.at]);
            spot.put_bytes(frame, &mac);
        }
    }
}

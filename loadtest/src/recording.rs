//! A recorded exchange: what a client asked a host, when, and what the host answered.
//!
//! A file has a line of JSON for each message: when it passed, in microseconds since some moment; on which link; who sent
//! it; and its bytes without the framing, in hexadecimal. `loadtest record` writes such files, and whoever has messages
//! with times in another form can. A capture of the network ([`pcap`](crate::pcap)) holds the same, framing included.
//!
//! [`read`] pairs requests with answers and finds out which requests share a key or refer to each other, so that all of it
//! can be sent again under keys of its own. Network messages (0800) are left to the links, as is what a host asks.
//!
//! Only test card numbers are let in, and no error quotes a line.

use std::collections::HashMap;
use std::path::Path;

use codecs::FrameError;
use codecs::frame::Cut;
use codecs::iso8583::{Class, De, Dialect, Index, Message, Original, Version};
use codecs::value::NetworkFunction;
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::pcap;
use crate::profile::Link;
use crate::proof::mac::MessageMac;
use crate::replay::{Prepared, Recording, Request};
use crate::test_cards;

/// One message of a recording.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When it passed, in microseconds.
    pub at_us: u64,
    /// On which link, counted from 0.
    #[serde(default)]
    pub link: u32,
    /// Who sent it.
    pub from: Side,
    /// Its bytes without the framing, in hexadecimal.
    pub message: String,
}

impl std::fmt::Debug for Line {
    // Written by hand because a message holds card data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("at_us", &self.at_us).field("from", &self.from).finish_non_exhaustive()
    }
}

/// The two ends of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who asks about payments.
    Client,
    /// Who answers.
    Host,
}

/// Requests of one recording.
const REQUESTS_MAX: usize = 2_000_000;
/// Links of one recording.
const LINKS_MAX: u32 = 10_000;

/// Reads a recording, to be sent `speed` times as fast over a link like this.
pub(crate) fn read(
    path: &Path,
    link: &Link,
    mac: Option<&MessageMac>,
    speed: f64,
) -> Result<Recording, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let file = std::fs::read(path).map_err(|error| named(error.to_string()))?;
    let passed = if pcap::is_capture(&file) { captured(&file, link) } else { written(&file) };
    let mut passed = passed.map_err(named)?;
    // Whoever writes down two directions may mix them up by a little.
    passed.sort_by_key(|passed| passed.at_us);
    let mut reader = Reader::new(link, mac);
    for message in &passed {
        reader.add(message).map_err(|error| named(format!("{}: {error}", message.place)))?;
    }
    reader.finish(speed).map_err(named)
}

/// A message that passed.
struct Passed {
    at_us: u64,
    link: u32,
    from: Side,
    bytes: Vec<u8>,
    /// Where it stands in the file, for errors.
    place: String,
}

/// The messages of a file of lines.
fn written(file: &[u8]) -> Result<Vec<Passed>, String> {
    let text = std::str::from_utf8(file).map_err(|_| "neither lines of JSON nor a pcap")?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let passed = lines.map(|(at, line)| {
        let place = format!("line {}", at + 1);
        let line: Line = serde_json::from_str(line)
            .map_err(|_| format!("{place}: no JSON object with at_us, link, from and message"))?;
        let bytes = unhex(&line.message);
        let bytes = bytes
            .ok_or_else(|| format!("{place}: message: an even number of hexadecimal digits is expected"))?;
        Ok(Passed { at_us: line.at_us, link: line.link, from: line.from, bytes, place })
    });
    passed.collect()
}

/// The messages of a capture. Who opened a connection is the client; where that was not seen, who asks about payments.
fn captured(file: &[u8], link: &Link) -> Result<Vec<Passed>, String> {
    let mut all = Vec::new();
    for (number, connection) in pcap::read(file)?.iter().enumerate() {
        let place = format!("connection of {} and {}", connection.ends[0], connection.ends[1]);
        let mut messages = Vec::new();
        for (side, stream) in connection.streams.iter().enumerate() {
            let mut at = 0;
            // What is behind the last whole message was under way when the capture ended.
            while let Some((message, taken)) =
                first_message(link, &stream.bytes[at..]).map_err(|error| format!("{place}: {error}"))?
            {
                at += taken;
                if let Some(message) = message {
                    messages.push((side, stream.arrived_us(at), message.to_vec()));
                }
            }
        }
        let asks = |message: &[u8]| {
            let mut index = Index::new();
            link.dialect.parse(message, &mut index).ok()?;
            let mti = Message::new(link.dialect, message, &index).mti()?;
            (mti.class() != Class::Network).then_some(!mti.is_response())
        };
        let opener = connection.streams.iter().position(|stream| stream.opened);
        let asker = messages
            .iter()
            .find_map(|(side, _, message)| asks(message).map(|asks| if asks { *side } else { 1 - *side }));
        let Some(client) = opener.or(asker) else { continue };
        all.extend(messages.into_iter().map(|(side, at_us, bytes)| {
            let from = if side == client { Side::Client } else { Side::Host };
            Passed { at_us, link: number as u32, from, bytes, place: place.clone() }
        }));
    }
    Ok(all)
}

/// A message, where it is none that keeps a link alive, and how many bytes it takes up.
type FirstMessage<'a> = (Option<&'a [u8]>, usize);

/// What a stream begins with, where it is whole.
fn first_message<'a>(link: &Link, bytes: &'a [u8]) -> Result<Option<FirstMessage<'a>>, FrameError> {
    Ok(match link.framing.cut(bytes)? {
        Cut::Incomplete { .. } => None,
        Cut::KeepAlive { taken } => Some((None, taken)),
        Cut::Frame { message, taken, .. } => Some((Some(message), taken)),
    })
}

/// What tells two messages of one kind apart: STAN, and RRN or else the time.
type Key = ([u8; 2], u64, Vec<u8>);

/// Reads messages in the order in which they passed.
struct Reader<'a> {
    link: &'a Link,
    mac: Option<&'a MessageMac>,
    recording: Recording,
    /// The newest request with a key.
    by_key: HashMap<Key, u32>,
    /// The first request with a retrieval number.
    by_rrn: HashMap<Vec<u8>, u32>,
    /// The first request with a STAN and a time, as later ones name it.
    by_stan: HashMap<(u64, Vec<u8>), u32>,
    /// Requests without an answer, by link, type of the answer, STAN.
    unanswered: HashMap<(u32, [u8; 4], u64), Vec<u32>>,
}

impl<'a> Reader<'a> {
    fn new(link: &'a Link, mac: Option<&'a MessageMac>) -> Reader<'a> {
        Reader {
            link,
            mac,
            recording: Recording::default(),
            by_key: HashMap::new(),
            by_rrn: HashMap::new(),
            by_stan: HashMap::new(),
            unanswered: HashMap::new(),
        }
    }

    fn add(&mut self, passed: &Passed) -> Result<(), String> {
        let bytes = &passed.bytes[..];
        if passed.link >= LINKS_MAX {
            return Err(format!("link: below {LINKS_MAX}"));
        }
        let mut index = Index::new();
        let dialect = self.link.dialect;
        let unread =
            |error: &dyn std::fmt::Display| format!("no message of {}: {error}", self.link.dialect_name);
        dialect.parse(bytes, &mut index).map_err(|error| unread(&error))?;
        let message = Message::new(dialect, bytes, &index);
        let mti = message.mti().ok_or_else(|| unread(&"its type is none of the standard"))?;
        test_cards::only(&message)?;
        if mti.class() == Class::Network {
            self.recording.left_out += 1;
            let signs_on = message.network_function() == Some(NetworkFunction::SignOn);
            self.recording.signs_on |= passed.from == Side::Client && signs_on && !mti.is_response();
            return Ok(());
        }
        match (passed.from, mti.is_response()) {
            (Side::Client, false) => self.request(passed, &message),
            (Side::Host, true) => {
                self.answer(passed.link, &message);
                Ok(())
            }
            _ => {
                self.recording.left_out += 1;
                Ok(())
            }
        }
    }

    fn request(&mut self, passed: &Passed, message: &Message<'_>) -> Result<(), String> {
        let digits = message.mti_digits().ok_or("no message type")?;
        let stan = message.number(De::STAN).ok_or("a request without DE 11 finds no answer")?;
        let number = self.recording.requests.len();
        if number == REQUESTS_MAX {
            return Err(format!("more than {REQUESTS_MAX} requests"));
        }
        let number = number as u32;
        let element = |de| message.value(de).map(<[u8]>::to_vec);
        let (rrn, time) = (element(De::RRN), element(De::TRANSMISSION_TIME));
        let key = ([digits[1], digits[2]], stan, rrn.clone().or(time).unwrap_or_default());
        let earlier = self.by_key.insert(key, number);
        let same_key_as = earlier.map_or(number, |earlier| {
            let first = self.recording.requests[earlier as usize].same_key_as;
            self.recording.requests[earlier as usize].next_with_key = Some(number);
            first
        });
        let rrn_of = rrn.map_or(number, |rrn| *self.by_rrn.entry(rrn).or_insert(number));
        let named_as = named_as(message);
        self.by_stan.entry((stan, named_as)).or_insert(number);
        let original = message.original().ok().flatten();
        let original = original.and_then(|original| self.by_stan.get(&reference(&original)).copied());
        let case = self.recording.case(digits);
        let [version, class, function, origin] = digits;
        // Whether it is sent again makes no difference to the type of the answer.
        let response_mti = [version, class, function + 1, origin & !1];
        self.unanswered.entry((passed.link, response_mti, stan)).or_default().push(number);
        self.recording.requests.push(Request {
            at_ns: passed.at_us.saturating_mul(1_000),
            link: passed.link,
            case,
            prepared: Prepared::new(message, self.link, self.mac)?,
            same_key_as,
            next_with_key: None,
            rrn_of,
            original,
            amount: message.number(De::AMOUNT),
            response_mti,
            answer: None,
        });
        Ok(())
    }

    /// The answer belongs to the first request with its type and STAN that has none.
    fn answer(&mut self, link: u32, message: &Message<'_>) {
        let (Some(mti), Some(stan)) = (message.mti_digits(), message.number(De::STAN)) else { return };
        let mut room = [0; 3];
        let code = message.decode(De::RESPONSE_CODE, &mut room).and_then(Code::parse);
        let waiting = self.unanswered.get_mut(&(link, mti, stan));
        match waiting.filter(|waiting| !waiting.is_empty()) {
            Some(waiting) => {
                let number = waiting.remove(0);
                self.recording.requests[number as usize].answer = code;
            }
            None => self.recording.left_out += 1,
        }
    }

    fn finish(mut self, speed: f64) -> Result<Recording, String> {
        let first = self.recording.requests.first().ok_or("no request of a client in it")?.at_ns;
        for request in &mut self.recording.requests {
            request.at_ns = ((request.at_ns - first) as f64 / speed) as u64;
        }
        self.recording.speed = speed;
        Ok(self.recording)
    }
}

/// When a message was, as a later one names it: DE 7, or in 1993 DE 12.
fn named_as(message: &Message<'_>) -> Vec<u8> {
    let old = message.dialect().version == Version::V1987;
    let mut room = [0; 12];
    let time = message.decode(if old { De::TRANSMISSION_TIME } else { De::LOCAL_TIME }, &mut room);
    time.unwrap_or_default().to_vec()
}

/// STAN and time of the message that another refers to.
fn reference(original: &Original) -> (u64, Vec<u8>) {
    let stan = original.stan.digits().iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0F));
    let time = original.transmission_time.map(|time| time.digits().to_vec());
    (stan, time.or(original.local_time.map(|time| time.digits().to_vec())).unwrap_or_default())
}

/// The line of a message that passed a tap; an error when it is none of a test.
pub(crate) fn line_of(
    dialect: &Dialect,
    message: &[u8],
    at_us: u64,
    (link, from): (u32, Side),
) -> Result<Line, String> {
    let mut index = Index::new();
    dialect.parse(message, &mut index).map_err(|error| error.to_string())?;
    test_cards::only(&Message::new(dialect, message, &index))?;
    Ok(Line { at_us, link, from, message: hex(message) })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}

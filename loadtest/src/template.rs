//! Messages prepared once and filled in each time.
//!
//! Encoding a message costs more than copying one of which only some digits change. A [`Template`] is a
//! whole frame, framing included, and knows where its changing digits lie; [`Template::fill`] copies it and
//! writes those.

use std::fmt;

use bytes::BytesMut;
use codecs::iso8583::{De, DeSet, Encoder, Index, Message, Text, Version};
use codecs::{EncodeError, FrameError, ParseError};

use crate::clock::{Stamp, put_number};
use crate::dice::{Dice, scatter};
use crate::profile::{First, Flaw, Link};
use crate::proof::Seals;
use crate::proof::cryptogram::{Cryptograms, ELEMENT_BYTES, Purchase};
use crate::proof::mac::MessageMac;
use crate::proof::pin::PinBlocks;
use crate::spot::Spot;

/// What differs between two messages of one case.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// DE 11.
    pub stan: u32,
    /// DE 37.
    pub rrn: u64,
    /// DE 7, 12 and 13.
    pub stamp: &'a Stamp,
    /// DE 2, and the front of track 2; as long as the case says.
    pub pan: &'a [u8],
    /// DE 4.
    pub amount: u64,
    /// DE 41.
    pub terminal: u32,
    /// Whether the message type carries the repeat mark.
    pub repeat: bool,
    /// What a reversal undoes.
    pub original: Option<OriginalKey>,
    /// The last digits of track 2, where a program writes them.
    pub discretionary: Option<&'a [u8]>,
}

/// What a reversal says about the message that it undoes: DE 90, or DE 56 in 1993.
#[derive(Clone, Copy)]
pub struct OriginalKey {
    /// Its message type.
    pub mti: [u8; 4],
    /// Its DE 11.
    pub stan: u32,
    /// Its DE 7, or DE 12 in 1993.
    pub stamp: Stamp,
}

/// A prepared frame.
#[derive(Clone, Debug)]
pub struct Template {
    frame: Vec<u8>,
    /// The last digit of the message type: who sends, and whether again.
    origin: Spot,
    pan: Spot,
    track2: Option<Spot>,
    amount: Spot,
    transmission_time: Spot,
    stan: Spot,
    local_time: Option<Spot>,
    local_date: Option<Spot>,
    rrn: Spot,
    /// The digits behind the letter with which every terminal's name begins.
    terminal: Spot,
    original: Option<Spot>,
    flaw: Option<Flaw>,
    pin: Option<(Spot, PinBlocks)>,
    chip: Option<(Spot, Chip)>,
    mac: Option<(Spot, MessageMac)>,
    /// Where the message begins, behind what the framing puts in front.
    message_at: usize,
}

/// What the cryptogram of a message needs beside what changes.
#[derive(Clone, Debug)]
struct Chip {
    cryptograms: Cryptograms,
    currency: [u8; 3],
    kind: [u8; 2],
}

impl Template {
    /// Prepares the message of a case, with what is computed for it.
    pub fn new(first: &First, link: &Link, seals: &Seals) -> Result<Template, TemplateError> {
        let mut message = [0; MESSAGE_BYTES];
        let length = encode(first, link, seals.mac.is_some(), &mut message).map_err(TemplateError::Encode)?;
        let message = &message[..length];
        let mut index = Index::new();
        link.dialect.parse(message, &mut index).map_err(TemplateError::Parse)?;

        let overhead = link.framing.overhead_bytes();
        let mut frame = vec![0; overhead];
        frame.extend_from_slice(message);
        link.framing.seal(&[], length, &mut frame).map_err(TemplateError::Frame)?;

        let view = Message::new(link.dialect, message, &index);
        let spot = |de: De, skip: usize| Spot::find(&view, de, overhead, skip);
        let needed = |de: De, skip: usize| spot(de, skip).ok_or(TemplateError::Lacks(de));
        let [first_digit, second_digit, ..] = first.processing_code;
        let chip = seals.cryptogram.clone().filter(|_| first.chip).map(|cryptograms| Chip {
            cryptograms,
            currency: first.currency,
            kind: [first_digit, second_digit],
        });
        let sealed = |de: De| spot(de, 0).ok_or(TemplateError::Lacks(de));
        let pin = seals.pin.clone().filter(|_| first.pin);
        let mti_bytes = if link.dialect.mti == Text::Bcd { 2 } else { 4 };
        Ok(Template {
            origin: Spot { at: overhead + mti_bytes - 1, bytes: 1, text: link.dialect.mti, odd: false },
            pan: needed(De::PAN, 0)?,
            track2: spot(De::TRACK2, 0),
            amount: needed(De::AMOUNT, 0)?,
            transmission_time: needed(De::TRANSMISSION_TIME, 0)?,
            stan: needed(De::STAN, 0)?,
            local_time: spot(De::LOCAL_TIME, 0),
            local_date: spot(De::LOCAL_DATE, 0),
            rrn: needed(De::RRN, 0)?,
            terminal: needed(De::TERMINAL, 1)?,
            original: spot(De::ORIGINAL, 0).or_else(|| spot(De::ORIGINAL_93, 0)),
            flaw: first.flaw,
            pin: pin.map(|pin| Ok((sealed(De::PIN)?, pin))).transpose()?,
            chip: chip.map(|chip| Ok((sealed(De::ICC_DATA)?, chip))).transpose()?,
            mac: seals
                .mac
                .clone()
                .map(|mac| Ok((sealed(De::MAC_128).or_else(|_| sealed(De::MAC_64))?, mac)))
                .transpose()?,
            message_at: overhead,
            frame,
        })
    }

    /// Appends one message.
    pub fn fill(&self, content: &Content<'_>, out: &mut BytesMut) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = &mut out[start..];
        if content.repeat {
            // The origin is 0, 2 or 4 in a first message, so its lowest bit is free in every text.
            frame[self.origin.at] |= 1;
        }
        self.pan.put(frame, content.pan);
        if let Some(track2) = &self.track2 {
            track2.put_front(frame, content.pan);
            if let Some(digits) = content.discretionary {
                track2.put_digits(frame, TRACK2_DIGITS - digits.len(), digits);
            }
        }
        self.amount.put_number::<12>(frame, content.amount);
        if self.flaw == Some(Flaw::Format) {
            self.amount.spoil(frame);
        }
        self.transmission_time.put(frame, content.stamp.transmission_time());
        self.stan.put_number::<6>(frame, u64::from(content.stan));
        if let Some(local_time) = &self.local_time {
            let whole = local_time.digits() == 12;
            local_time.put(frame, if whole { content.stamp.date_and_time() } else { content.stamp.time() });
        }
        if let Some(local_date) = &self.local_date {
            local_date.put(frame, content.stamp.date());
        }
        self.rrn.put_number::<12>(frame, content.rrn);
        self.terminal.put_number::<7>(frame, u64::from(content.terminal));
        if let (Some(spot), Some(original)) = (&self.original, &content.original) {
            original.put(spot, frame);
        }
        self.seal(content, frame);
    }

    /// Computes what proves the message; the MAC comes last, over everything in front of it.
    fn seal(&self, content: &Content<'_>, frame: &mut [u8]) {
        if let Some((spot, pins)) = &self.pin {
            // What is drawn is the same when a message is sent again.
            spot.put_bytes(frame, &pins.block(content.pan, &mut Dice::new(content.rrn)));
        }
        if let Some((spot, chip)) = &self.chip {
            let purchase = Purchase {
                pan: content.pan,
                amount: content.amount,
                currency: chip.currency,
                date: &content.stamp.date_and_time()[..6],
                kind: chip.kind,
                un: scatter(content.rrn) as u32,
                // Higher with every message of a run, so that it is for every card.
                atc: (content.rrn % 65_535) as u16 + 1,
            };
            spot.put_bytes(frame, &chip.cryptograms.element(&purchase));
        }
        if let Some((spot, mac)) = &self.mac {
            let mac = mac.mac(&frame[self.message_at..spot.at]);
            spot.put_bytes(frame, &mac);
        }
    }
}

impl OriginalKey {
    /// Writes type, STAN and time, with which DE 90 and DE 56 both begin; who acquired it is in the template.
    pub(crate) fn put(&self, spot: &Spot, frame: &mut [u8]) {
        let old = self.mti[0] == b'0';
        let time = if old { self.stamp.transmission_time() } else { self.stamp.date_and_time() };
        let mut digits = [b'0'; 22];
        digits[..4].copy_from_slice(&self.mti);
        put_number(&mut digits[4..10], u64::from(self.stan));
        digits[10..10 + time.len()].copy_from_slice(time);
        spot.put_from_left(frame, &digits[..10 + time.len()]);
    }
}

/// The track as it is sent: card number, separator, expiry, service code, discretionary data.
const TRACK2_DIGITS: usize = 37;

/// Chip, no restriction.
pub const SERVICE_CODE: &str = "201";

/// Room for the longest prepared message.
const MESSAGE_BYTES: usize = 1024;

/// Digits that are left at the end of a track: separator, expiry and service code take eight characters.
pub fn discretionary_digits(card_digits: usize) -> usize {
    TRACK2_DIGITS - card_digits - 8
}

/// Writes a sample of the message: every element as it will be, the changing ones with zeros.
fn encode(first: &First, link: &Link, has_mac: bool, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut elements = elements(first, link);
    if has_mac {
        // The last element of the last bitmap.
        let above_64 = elements.last().is_some_and(|(de, _)| De::MAC_64 < *de);
        elements.push((if above_64 { De::MAC_128 } else { De::MAC_64 }, vec![0; 8]));
    }
    let present: DeSet = elements.iter().fold(DeSet::EMPTY, |set, (de, _)| set.with(*de));
    let mut encoder = Encoder::new_with_digits(link.dialect, first.mti, present, out)?;
    for (de, value) in &elements {
        encoder.put(*de, value)?;
    }
    encoder.finish()
}

/// What a message says, in ascending order, in characters and bytes.
fn elements(first: &First, link: &Link) -> Vec<(De, Vec<u8>)> {
    let text = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
    let old = link.dialect.version == Version::V1987;
    let reversal = first.mti[1] == b'4';
    let advice = first.mti[2] == b'2' && !reversal;
    let pan = "0".repeat(first.card_digits);
    // Digits of zero fill the track up to its length.
    let zeros = "0".repeat(discretionary_digits(first.card_digits));
    let track2 = format!("{pan}={}{SERVICE_CODE}{zeros}", text(&first.expiry));
    let all = [
        (2, true, pan),
        (3, true, text(&first.processing_code)),
        (4, true, "0".repeat(12)),
        (7, true, "0101000000".to_string()),
        (11, true, "0".repeat(6)),
        (12, true, if old { "000000" } else { "000101000000" }.to_string()),
        (13, old, "0101".to_string()),
        (14, true, text(&first.expiry)),
        (18, old, "5411".to_string()),
        (
            22,
            true,
            match (old, first.track2) {
                _ if first.program.is_some() => "910",
                (true, _) if first.chip => "051",
                (false, _) if first.chip => "51010151134C",
                (true, true) => "021",
                (true, false) => "011",
                (false, true) => "210101211130",
                (false, false) => "110101110130",
            }
            .to_string(),
        ),
        // 1993: original request, amount accurate.
        (
            24,
            !old,
            match first.mti[1] {
                b'4' => "400",
                b'2' => "200",
                _ => "100",
            }
            .to_string(),
        ),
        (25, old, "00".to_string()),
        // 1993: 18 moved here.
        (26, !old, "5411".to_string()),
        (32, true, link.acquirer.clone()),
        (35, first.track2, track2),
        (37, true, "0".repeat(12)),
        (38, advice, "A00001".to_string()),
        (39, advice, if old { "00" } else { "000" }.to_string()),
        (41, true, "T0000000".to_string()),
        (42, true, "MERCH0000000001".to_string()),
        (43, true, "MARKET STREET 1          SPRINGFIELD  US".to_string()),
        (49, true, text(&first.currency)),
        (52, first.pin, "\0".repeat(8)),
        (55, first.chip, "\0".repeat(ELEMENT_BYTES)),
        // Type, STAN and time of the original, zeros here; then who acquired it, and in 1987 who forwarded it.
        (56, !old && reversal, format!("{}11{:0>11}", "0".repeat(22), link.acquirer)),
        (90, old && reversal, format!("{}{:0>11}{}", "0".repeat(20), link.acquirer, "0".repeat(11))),
    ];
    let wanted = all.into_iter().filter(|(_, present, _)| *present);
    wanted.filter_map(|(number, _, value)| Some((De::new(number)?, value.into_bytes()))).collect()
}

/// A message that dialect or framing cannot carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TemplateError {
    /// An element does not fit.
    Encode(EncodeError),
    /// What was written could not be read back.
    Parse(ParseError),
    /// The message is too long for the framing.
    Frame(FrameError),
    /// The message came out without an element that changes.
    Lacks(De),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::Encode(error) => write!(f, "{error}"),
            TemplateError::Parse(error) => write!(f, "{error}"),
            TemplateError::Frame(error) => write!(f, "{error}"),
            TemplateError::Lacks(de) => write!(f, "the dialect has no {de}"),
        }
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{CaseMessage, Overrides, Profile};
    use codecs::frame::Cut;

    fn profile(dialect: &str, case: &str) -> Profile {
        let iin = if case.contains("program") { "" } else { "iin = '99996'" };
        let text = format!("name = 'x'\n[[case]]\nname = 'a'\nweight = 1\n{iin}\n{case}");
        let overrides = Overrides {
            dialect: Some(dialect.to_string()),
            framing: Some("ascii4,header=5".to_string()),
            ..Overrides::default()
        };
        Profile::parse(&text, &overrides).unwrap()
    }

    /// Fills one message of the case, and hands its parse and the elements in characters to `look`.
    fn check(
        dialect: &str,
        case: &str,
        pan: &str,
        repeat: bool,
        look: impl Fn(Result<(), ParseError>, &dyn Fn(De) -> String, [u8; 4]),
    ) {
        let profile = profile(dialect, case);
        let CaseMessage::First(first) = &profile.cases[0].message else { panic!() };
        let template = Template::new(first, &profile.link, &profile.seals).unwrap();
        let stamp = Stamp::of(1_795_392_061);
        let content = Content {
            stan: 123_456,
            rrn: 987_654_321_012,
            stamp: &stamp,
            pan: pan.as_bytes(),
            amount: 4_200,
            terminal: 77,
            repeat,
            original: None,
            discretionary: None,
        };
        let mut out = BytesMut::from(&b"before"[..]);
        template.fill(&content, &mut out);
        let Ok(Cut::Frame { message, taken, .. }) = profile.link.framing.cut(&out[6..]) else { panic!() };
        assert_eq!(taken, out.len() - 6);
        let mut index = Index::new();
        let sound = profile.link.dialect.parse(message, &mut index);
        let sound = sound.and_then(|()| profile.link.dialect.check_rules(&index));
        let view = Message::new(profile.link.dialect, message, &index);
        let text = |de: De| {
            let mut room = [0; 64];
            view.decode(de, &mut room).map_or(String::new(), |value| String::from_utf8_lossy(value).into())
        };
        look(sound, &text, index.mti_digits().unwrap());
    }

    #[test]
    fn every_dialect_says_what_was_meant() {
        for dialect in ["iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary"] {
            for (case, pan) in [
                ("", "9999600000000019"),
                ("card_digits = 19", "9999600000000000012"),
                ("mti = '0120'", "9999600000000019"),
                ("mti = '0200'\ntrack2 = false", "9999600000000019"),
            ] {
                check(dialect, case, pan, false, |sound, text, _| {
                    assert_eq!(sound, Ok(()), "{dialect} {case}");
                    assert_eq!(text(De::PAN), pan);
                    assert_eq!(text(De::AMOUNT), "000000004200");
                    assert_eq!(text(De::TRANSMISSION_TIME), "1123000101");
                    assert_eq!(text(De::STAN), "123456");
                    assert!("261123000101".ends_with(&text(De::LOCAL_TIME)));
                    assert_eq!(text(De::RRN), "987654321012");
                    assert_eq!(text(De::TERMINAL), "T0000077");
                    assert!(case.contains("false") || text(De::TRACK2).starts_with(&format!("{pan}=")));
                });
            }
        }
    }

    #[test]
    fn a_code_stands_at_the_end_of_the_track() {
        let program = "[[program]]\nname = 'p'\nkind = 'rotating_atc'\niin = '999910'\n\
                       test_key = '000102030405060708090a0b0c0d0e0f'\n";
        for (dialect, layout, pan, code) in [
            ("iso87-ascii", "R", "9999100000000010", "7004273147853"),
            ("iso87-binary", "R", "9999100000000010", "7004273147853"),
            ("iso87-ebcdic", "R19", "9999100000000000018", "0042314782"),
        ] {
            let case = format!("program = 'p'\n{program}layout = '{layout}'");
            let profile = profile(dialect, &case);
            let CaseMessage::First(first) = &profile.cases[0].message else { panic!() };
            let template = Template::new(first, &profile.link, &profile.seals).unwrap();
            let stamp = Stamp::of(1_795_392_061);
            let content = Content {
                stan: 1,
                rrn: 1,
                stamp: &stamp,
                pan: pan.as_bytes(),
                amount: 1,
                terminal: 1,
                repeat: false,
                original: None,
                discretionary: Some(code.as_bytes()),
            };
            let mut out = BytesMut::new();
            template.fill(&content, &mut out);
            let Ok(Cut::Frame { message, .. }) = profile.link.framing.cut(&out) else { panic!() };
            let mut index = Index::new();
            profile.link.dialect.parse(message, &mut index).unwrap();
            let view = Message::new(profile.link.dialect, message, &index);
            let track = view.track2().unwrap().unwrap();
            assert_eq!(track.pan().danger_clear_digits(), pan.as_bytes(), "{dialect}");
            assert_eq!(track.discretionary(), code.as_bytes(), "{dialect}");
            assert_eq!(view.pos_entry().unwrap().entry_mode(), 91, "{dialect}");
        }
    }

    #[test]
    fn repeats_are_marked() {
        for (dialect, case, mti) in [
            ("iso87-ascii", "", b"0101"),
            ("iso87-binary", "mti = '0200'", b"0201"),
            ("iso87-ebcdic", "mti = '0120'", b"0121"),
            ("iso93-binary", "", b"1101"),
        ] {
            check(dialect, case, "9999600000000019", true, |_, _, digits| assert_eq!(&digits, mti));
        }
    }

    #[test]
    fn a_reversal_names_its_original() {
        for dialect in ["iso87-ascii", "iso87-binary", "iso87-ebcdic", "iso93-ascii", "iso93-binary"] {
            let profile = profile(dialect, "mti = '0200'");
            let CaseMessage::First(first) = &profile.cases[0].message else { panic!() };
            let template = Template::new(&first.reversal(), &profile.link, &profile.seals).unwrap();
            let (stamp, then) = (Stamp::of(1_795_392_061), Stamp::of(1_795_392_000));
            let original = OriginalKey { mti: first.mti, stan: 654_321, stamp: then };
            let mut out = BytesMut::new();
            let pan = b"9999600000000019";
            let content = Content {
                stan: 123_456,
                rrn: 1,
                stamp: &stamp,
                pan,
                amount: 4_200,
                terminal: 77,
                repeat: true,
                original: Some(original),
                discretionary: None,
            };
            template.fill(&content, &mut out);
            let Ok(Cut::Frame { message, .. }) = profile.link.framing.cut(&out) else { panic!() };
            let mut index = Index::new();
            profile.link.dialect.parse(message, &mut index).unwrap();
            profile.link.dialect.check_rules(&index).unwrap();
            let view = Message::new(profile.link.dialect, message, &index);
            let undone = view.original().unwrap().unwrap();
            assert_eq!(undone.mti.unwrap().digits(), first.mti, "{dialect}");
            assert_eq!(&undone.stan.digits(), b"654321", "{dialect}");
            let when = undone.transmission_time.map(|time| time.digits().to_vec());
            let when = when.or(undone.local_time.map(|time| time.digits()[2..].to_vec()));
            assert_eq!(when.unwrap(), then.transmission_time(), "{dialect}");
            assert_eq!(index.mti_digits().unwrap()[1..], *b"421", "{dialect}");
        }
    }

    #[test]
    fn a_format_error_is_one_in_the_amount() {
        for dialect in ["iso87-ascii", "iso87-binary", "iso87-ebcdic"] {
            check(dialect, "flaw = 'format'", "9999600000000019", false, |sound, text, _| {
                assert_eq!(sound.unwrap_err().de, De::AMOUNT, "{dialect}");
                assert_eq!(text(De::STAN), "123456");
            });
        }
    }
}

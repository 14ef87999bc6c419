//! Acquirers and issuers, each on its own.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use authorizer::decision::DeclineReason;
use codecs::frame::{FrameFormat, LengthForm};
use codecs::iso8583::{Mti, Version};
use codecs::value::{Iin, PartyId, ResponseCode};
use toml::Spanned;

use super::Check;
use super::door::RawDoor;
use super::settings::TIMER;
use crate::config::checked::{Acquirer, Issuer};
use crate::config::dialect;
use crate::config::given::Given;
use crate::config::raw;

/// The dialect of a peer that names none.
pub(super) const DIALECT: &str = "iso87-ascii";
/// How long an acquirer waits by default, and an issuer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
pub(super) const ISSUER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of header and message: the least that holds a network message, the most that a link may ask for.
const FRAME_BYTES: RangeInclusive<u64> = 64..=64 << 10;

const LENGTH_FORMS: [(&str, LengthForm); 4] = [
    ("binary2", LengthForm::Binary2),
    ("binary4", LengthForm::Binary4),
    ("bcd2", LengthForm::Bcd2),
    ("ascii4", LengthForm::Ascii4),
];

impl Check<'_, '_> {
    /// `approvals` are the response codes that no decline may be told with.
    pub(super) fn acquirer(
        &mut self,
        raw: &Spanned<raw::Acquirer>,
        approvals: &[ResponseCode],
    ) -> Option<Acquirer> {
        let at = raw.span();
        let raw = raw.get_ref();
        let name = self.name(&raw.name, &at);
        let door = self.door(&RawDoor {
            at,
            owner: format!("acquirer {:?}", name_of(&raw.name)),
            listen: &raw.listen,
            connect: &raw.connect,
            plain_tcp: &raw.plain_tcp,
            beyond_loopback: &raw.plain_tcp_beyond_loopback,
            tls: &raw.tls,
        });
        let dialect = self.dialect(&raw.dialect);
        let version = dialect.and_then(|index| self.version(index));
        let framing = self.framing(&raw.framing);
        let mtis = self.mtis(raw, version);
        let response_codes = self.response_codes(raw, version, approvals);
        let mac = self.mac(&raw.mac, dialect, framing);

        let report = &mut *self.report;
        let sign_on = report.or(&raw.sign_on, false);
        let connections_max = report.count(&raw.connections_max, 64, 1..=65_535);
        let window = report.count(&raw.window, 1_024, 1..=65_536);
        let requests_per_second = report.count(&raw.requests_per_second, 0, 0..=10_000_000);
        let partial_approvals = report.or(&raw.partial_approvals, false);
        let party = |digits: &str| PartyId::parse(digits.as_bytes());
        let acquirer_ids = report.each(&raw.acquirer_ids, "1 to 11 digits", party);
        let forwarder_ids = report.each(&raw.forwarder_ids, "1 to 11 digits", party);
        let iins = report.each(&raw.iins, "1 to 11 digits", |iin| Iin::parse(iin.as_bytes()));
        let terminals = report.each(&raw.terminals, "1 to 8 printable characters", terminal);
        let patience = report.period(&raw.patience, PATIENCE, TIMER);
        Some(Acquirer {
            name: name?,
            door: door?,
            dialect: dialect?,
            framing: framing?,
            sign_on: sign_on?,
            connections_max: connections_max?,
            window: window?,
            requests_per_second: requests_per_second?,
            partial_approvals: partial_approvals?,
            acquirer_ids,
            forwarder_ids,
            mtis,
            iins,
            terminals,
            patience: patience?,
            mac: mac?,
            response_codes,
        })
    }

    pub(super) fn issuer(&mut self, raw: &Spanned<raw::Issuer>) -> Option<Issuer> {
        let at = raw.span();
        let raw = raw.get_ref();
        let name = self.name(&raw.name, &at);
        let door = self.door(&RawDoor {
            at,
            owner: format!("issuer {:?}", name_of(&raw.name)),
            listen: &raw.listen,
            connect: &raw.connect,
            plain_tcp: &raw.plain_tcp,
            beyond_loopback: &raw.plain_tcp_beyond_loopback,
            tls: &raw.tls,
        });
        let dialect = self.dialect(&raw.dialect);
        let framing = self.framing(&raw.framing);
        let mac = self.mac(&raw.mac, dialect, framing);

        let report = &mut *self.report;
        let links_per_address = report.count(&raw.links_per_address, 1, 1..=64);
        let timeout = report.period(&raw.timeout, ISSUER_TIMEOUT, TIMER);
        let window = report.count(&raw.window, 512, 1..=65_536);
        let sign_on = report.or(&raw.sign_on, false);
        let echo = report.or(&raw.echo, true);
        let stand_in = raw.stand_in.as_ref().map(|raw| self.stand_in(raw));
        Some(Issuer {
            name: name?,
            door: door?,
            links_per_address: links_per_address?,
            dialect: dialect?,
            framing: framing?,
            timeout: timeout?,
            window: window?,
            sign_on: sign_on?,
            echo: echo?,
            mac: mac?,
            stand_in: stand_in.map_or(Some(None), |stand_in| stand_in.map(Some))?,
        })
    }

    /// A name is a label of metrics and a word in logs, for acquirers and issuers alike.
    fn name(&mut self, given: &Option<Given<String>>, peer: &Range<usize>) -> Option<String> {
        let name = self.report.required(given, peer, "name")?;
        let at = given.as_ref().map_or(peer, |given| &given.at);
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !(1..=32).contains(&name.len()) || !name.bytes().all(allowed) {
            self.report.wrong(at, &format!("{name:?}"), "1 to 32 of a-z, 0-9, \"-\" and \"_\"");
            return None;
        }
        if self.names.contains(&name) {
            let expected = "a name that no other acquirer or issuer has";
            self.report.fault(at, format!("{name:?} again"), expected);
            return None;
        }
        self.names.push(name.clone());
        Some(name)
    }

    /// An index into the dialects, which are read as they are met. Two peers may share one.
    fn dialect(&mut self, given: &Option<Given<String>>) -> Option<usize> {
        let name = self.report.or(given, String::from(DIALECT))?;
        let index = match self.dialects.iter().position(|(known, _)| *known == name) {
            Some(index) => index,
            None => {
                let at = given.as_ref().map_or(0..0, |given| given.at.clone());
                let dialect = dialect::find(&name, self.folder, &at, self.report);
                self.dialects.push((name, dialect));
                self.dialects.len() - 1
            }
        };
        self.version(index).map(|_| index)
    }

    fn version(&self, dialect: usize) -> Option<Version> {
        self.dialects.get(dialect)?.1.as_ref().map(|dialect| dialect.version)
    }

    fn framing(&mut self, raw: &raw::Framing) -> Option<FrameFormat> {
        let report = &mut *self.report;
        let length = match &raw.length {
            Some(given) => report.one_of(given, "length form", &LENGTH_FORMS),
            None => Some(LengthForm::Binary2),
        };
        let inclusive = report.or(&raw.inclusive, false);
        let header_bytes = report.count(&raw.header_bytes, 0_u8, 0..=255);
        let max = report.bytes(&raw.max, 4 << 10, FRAME_BYTES);
        let keep_alive = report.or(&raw.keep_alive, false);
        if let (Some(header), Some(max), Some(given)) = (header_bytes, max, &raw.header_bytes)
            && u64::from(header) >= max
        {
            let found = format!("a header of {header} bytes in frames of at most {max}");
            report.fault(&given.at, found, "room for a message behind it");
        }
        Some(FrameFormat {
            length: length?,
            inclusive: inclusive?,
            header_bytes: header_bytes?,
            max_bytes: u32::try_from(max?).ok()?,
            keep_alive: keep_alive?,
        })
    }

    fn mtis(&mut self, raw: &raw::Acquirer, version: Option<Version>) -> Vec<Mti> {
        let expected = "a request or advice of the dialect's edition without repeat mark, such as \"0100\"";
        self.report.each(&raw.mtis, expected, |digits| {
            let mti = Mti::from_digits(digits.as_bytes().try_into().ok()?)?;
            let fits = version.is_none_or(|version| version == mti.version());
            (fits && mti.is_request() && !mti.is_repeat()).then_some(mti)
        })
    }

    /// The outward DE 39 by reason.
    fn response_codes(
        &mut self,
        raw: &raw::Acquirer,
        version: Option<Version>,
        approvals: &[ResponseCode],
    ) -> Vec<(String, ResponseCode)> {
        let names = DeclineReason::ALL.map(DeclineReason::name);
        let (length, expected) = match version {
            Some(Version::V1987) => (2..=2, "a response code of two letters or digits"),
            Some(_) => (3..=3, "an action code of three digits"),
            None => (2..=3, "a response code"),
        };
        let mut codes = Vec::new();
        for (reason, given) in &raw.response_codes {
            let name = reason.get_ref();
            if !names.contains(&name.as_str()) {
                self.report.unknown(&reason.span(), "unknown reason", name, &names);
            }
            let Some(text) = self.report.sound(given) else { continue };
            match ResponseCode::parse(text.as_bytes()).filter(|_| length.contains(&text.len())) {
                Some(code) if approvals.contains(&code) || code.approves() => {
                    let found = format!("{text:?}, which approves");
                    self.report.fault(&given.at, found, "a code that declines");
                }
                Some(code) => codes.push((name.clone(), code)),
                None => self.report.wrong(&given.at, &format!("{text:?}"), expected),
            }
        }
        codes
    }
}

/// The name as written, for faults to speak of.
pub(super) fn name_of(given: &Option<Given<String>>) -> &str {
    given.as_ref().and_then(|given| given.value.as_deref().ok()).unwrap_or_default()
}

fn terminal(prefix: &str) -> Option<String> {
    let printable = prefix.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
    ((1..=8).contains(&prefix.len()) && printable).then(|| prefix.to_owned())
}

//! A reversal as its issuer reads it: 0420, or 0421 when it may be the second one, made from what was written down of
//! the original. Nothing of a track, a PIN or a chip is in it, because none was kept.

use authorizer::request::Class;
use authorizer::saf::{Reversal, Why};
use codecs::EncodeError;
use codecs::iso8583::{De, DeSet, Dialect, Encoder, Mti, Original, ReplacementAmounts, Version};
use codecs::value::{Currency, LocalDateTime, PartyId, TransmissionTime};

/// What a message has room for, whatever it says.
pub(crate) const BYTES_MAX: usize = 512;

/// Elements of a reversal where its original had them, and the dialect has them.
const OF_THE_ORIGINAL: [De; 12] = [
    De::PAN,
    De::PROCESSING_CODE,
    De::LOCAL_TIME,
    De::LOCAL_DATE,
    De::ACQUIRER,
    De::FORWARDER,
    De::RRN,
    De::APPROVAL_CODE,
    De::TERMINAL,
    De::MERCHANT,
    De::CURRENCY,
    De::AMOUNT,
];

/// Writes a reversal in the dialect of its issuer.
pub(crate) fn write(reversal: &Reversal, dialect: &Dialect, out: &mut [u8]) -> Result<usize, EncodeError> {
    let said = Said { reversal, dialect };
    let present = said.present();
    let mut encoder = Encoder::new_with_digits(dialect, said.mti(), present, out)?;
    for de in present.iter() {
        said.put(de, &mut encoder)?;
    }
    encoder.finish()
}

struct Said<'a> {
    reversal: &'a Reversal,
    dialect: &'a Dialect,
}

impl Said<'_> {
    fn mti(&self) -> [u8; 4] {
        let version = self.version_digit();
        [version, b'4', b'2', if self.reversal.is_repeat { b'1' } else { b'0' }]
    }

    fn version_digit(&self) -> u8 {
        match self.dialect.version {
            Version::V1987 => b'0',
            Version::V1993 => b'1',
            Version::V2003 => b'2',
        }
    }

    fn is_1987(&self) -> bool {
        self.dialect.version == Version::V1987
    }

    fn present(&self) -> DeSet {
        let known = |set: DeSet, de: De| if self.dialect.field(de).is_some() { set.with(de) } else { set };
        let always = [De::TRANSMISSION_TIME, De::STAN, De::AMOUNT];
        let of_version: &[De] = if self.is_1987() {
            &[De::RESPONSE_CODE, De::ORIGINAL]
        } else {
            &[De::LOCAL_TIME, De::FUNCTION_CODE, De::POS_CONDITION, De::ORIGINAL_93]
        };
        let left = (self.reversal.left_minor > 0 && self.is_1987()).then_some(De::REPLACEMENT_AMOUNTS);
        let of_the_original = OF_THE_ORIGINAL.into_iter().filter(|de| self.has(*de));
        always
            .into_iter()
            .chain(of_version.iter().copied())
            .chain(left)
            .chain(of_the_original)
            .fold(DeSet::default(), known)
    }

    /// Whether the original had an element.
    fn has(&self, de: De) -> bool {
        let (sent, asked) = (&self.reversal.sent, &self.reversal.sent.asked);
        match de {
            De::PAN => sent.pan.is_some(),
            De::PROCESSING_CODE => asked.processing_code.is_some(),
            De::LOCAL_TIME => asked.local_time.is_some(),
            De::LOCAL_DATE => asked.local_date.is_some(),
            De::ACQUIRER => asked.keys.acquirer.is_some(),
            De::FORWARDER => asked.forwarder.is_some(),
            De::RRN => asked.keys.rrn.is_some(),
            De::APPROVAL_CODE => self.reversal.approval_code.is_some(),
            De::TERMINAL => asked.keys.terminal.is_some(),
            De::MERCHANT => asked.keys.merchant.is_some(),
            De::CURRENCY => asked.amount.currency() != Currency::NONE,
            _ => true,
        }
    }

    fn put(&self, de: De, encoder: &mut Encoder<'_>) -> Result<(), EncodeError> {
        let Reversal { sent, stan, moment, left_minor, .. } = self.reversal;
        let (asked, keys) = (&sent.asked, &sent.asked.keys);
        match de {
            De::PAN => encoder.put(de, sent.pan.as_ref().map_or(&[][..], |pan| pan.danger_clear_digits())),
            De::PROCESSING_CODE => put(encoder, de, asked.processing_code.map(|code| code.digits())),
            De::AMOUNT if !self.is_1987() && *left_minor > 0 => encoder.put_number(de, *left_minor),
            De::AMOUNT => encoder.put_number(de, asked.amount.minor()),
            De::TRANSMISSION_TIME => encoder.put_number(de, *moment),
            De::STAN => encoder.put(de, &stan.digits()),
            // 1993 identifies the reversal itself by it.
            De::LOCAL_TIME if !self.is_1987() => encoder.put_number(de, self.date_and_time()),
            De::LOCAL_TIME => encoder.put_number(de, asked.local_time.unwrap_or(0)),
            De::LOCAL_DATE => encoder.put_number(de, asked.local_date.unwrap_or(0)),
            De::FUNCTION_CODE => encoder.put_number(de, if *left_minor > 0 { 401 } else { 400 }),
            De::POS_CONDITION => encoder.put_number(de, reason_1993(self.reversal.why)),
            De::ACQUIRER => put_party(encoder, de, keys.acquirer),
            De::FORWARDER => put_party(encoder, de, asked.forwarder),
            De::RRN => put(encoder, de, keys.rrn.map(|rrn| *rrn.as_bytes())),
            De::APPROVAL_CODE => put(encoder, de, self.reversal.approval_code.map(|code| *code.as_bytes())),
            De::RESPONSE_CODE => encoder.put(de, reason_1987(self.reversal.why)),
            De::TERMINAL => put(encoder, de, keys.terminal.map(|terminal| *terminal.as_bytes())),
            De::MERCHANT => put(encoder, de, keys.merchant.map(|merchant| *merchant.as_bytes())),
            De::CURRENCY => put(encoder, de, Some(asked.amount.currency().digits())),
            De::ORIGINAL_93 => encoder.put(de, &self.original().digits_1993()),
            De::ORIGINAL => encoder.put(de, &self.original().digits_1987()),
            _ => {
                let left = ReplacementAmounts { transaction: *left_minor, settlement: 0 };
                put(encoder, de, left.characters())
            }
        }
    }

    /// DE 12 of 1993: the moment of the reversal with its year.
    fn date_and_time(&self) -> u64 {
        u64::from(self.reversal.year % 100) * 10_000_000_000 + self.reversal.moment
    }

    /// The original as its issuer knows it: under our trace number.
    fn original(&self) -> Original {
        let (sent, asked) = (&self.reversal.sent, &self.reversal.sent.asked);
        let [class, function] = match asked.class {
            Class::Authorization | Class::Reversal => *b"10",
            Class::AuthorizationAdvice | Class::ReversalAdvice => *b"12",
            Class::Financial => *b"20",
            Class::FinancialAdvice => *b"22",
        };
        let local_time =
            asked.local_time.and_then(|time| LocalDateTime::parse(format!("{time:012}").as_bytes()));
        Original {
            mti: Mti::from_digits([self.version_digit(), class, function, b'0']),
            stan: sent.stan,
            transmission_time: TransmissionTime::parse(format!("{:010}", asked.keys.moment).as_bytes()),
            local_time: if self.is_1987() { None } else { local_time },
            acquirer: asked.keys.acquirer,
            forwarder: asked.forwarder,
        }
    }
}

fn put<T: AsRef<[u8]>>(encoder: &mut Encoder<'_>, de: De, value: Option<T>) -> Result<(), EncodeError> {
    encoder.put(de, value.as_ref().map_or(&[][..], AsRef::as_ref))
}

/// With the leading zeros of the original.
fn put_party(encoder: &mut Encoder<'_>, de: De, party: Option<PartyId>) -> Result<(), EncodeError> {
    let Some(party) = party else { return encoder.put(de, &[]) };
    encoder.put(de, party.given(&party.digits()))
}

/// DE 39 of a 1987 reversal, as networks use it: customer cancellation, invalid response, suspected malfunction,
/// response received too late.
fn reason_1987(why: Why) -> &'static [u8; 2] {
    match why {
        Why::Acquirer => b"17",
        Why::InvalidAnswer => b"20",
        Why::Undeliverable => b"22",
        Why::TimedOut => b"68",
    }
}

/// DE 25 of a 1993 reversal (ISO 8583:1993, message reason codes 4000 to 4499).
fn reason_1993(why: Why) -> u64 {
    match why {
        Why::Acquirer => 4_000,
        Why::InvalidAnswer => 4_020,
        Why::Undeliverable => 4_013,
        Why::TimedOut => 4_021,
    }
}

//! One parsed message: borrowed bytes, and an index that says where each element lies.

use core::fmt;

use super::index::{Index, Place, Span};
use super::{De, DeSet, Dialect, FieldSpec, Kind, Mti, Original, ReplacementAmounts, Text, Version};
use crate::emv::IccData;
use crate::error::{Flaw, ParseError};
use crate::text;
use crate::track::Track2;
use crate::value::{
    ApprovalCode, Currency, Expiry, LocalDate, LocalDateTime, LocalTime, MerchantId, MerchantType,
    NetworkCode, NetworkFunction, Pan, PartyId, PosEntry, ProcessingCode, ResponseCode, Rrn, Stan,
    TerminalId, TransmissionTime,
};

/// A view of one message. It reads whatever is present and sound, also in a message with flaws elsewhere.
///
/// Accessors of single elements return nothing when the element is absent. Those of elements whose characters
/// can be right while the value is not (month 13) return a `Result`; its error is [`Flaw::BadValue`] or
/// [`Flaw::BadTrack`] at the element's value.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub(super) dialect: &'a Dialect,
    bytes: &'a [u8],
    index: &'a Index,
}

impl<'a> Message<'a> {
    /// A view of `bytes` as [`Dialect::parse`] has indexed them. With the index of another message every
    /// element may look absent or wrong, but nothing worse happens.
    #[inline]
    pub fn new(dialect: &'a Dialect, bytes: &'a [u8], index: &'a Index) -> Message<'a> {
        Message { dialect, bytes, index }
    }

    /// The dialect the message is read by.
    #[inline]
    pub fn dialect(&self) -> &'a Dialect {
        self.dialect
    }

    /// The message type, if the standard has it.
    #[inline]
    pub fn mti(&self) -> Option<Mti> {
        self.index.mti()
    }

    /// The four digits of the message type, also of one that the standard has not.
    #[inline]
    pub fn mti_digits(&self) -> Option<[u8; 4]> {
        self.index.mti_digits()
    }

    /// The elements that can be read.
    #[inline]
    pub fn present(&self) -> DeSet {
        self.index.present()
    }

    /// Whether an element can be read.
    #[inline]
    pub fn has(&self, de: De) -> bool {
        self.index.present().contains(de)
    }

    /// The whole message.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// An element as it stands on the wire, with its length prefix.
    #[inline]
    pub fn raw(&self, de: De) -> Option<&'a [u8]> {
        let span = self.index.span(de)?;
        self.bytes.get(usize::from(span.start())..usize::from(span.end()))
    }

    /// The value of an element as it stands on the wire.
    #[inline]
    pub fn value(&self, de: De) -> Option<&'a [u8]> {
        self.slice(self.index.span(de)?)
    }

    /// Where the value of an element starts, in bytes from the start of the message.
    #[inline]
    pub fn value_offset(&self, de: De) -> Option<u16> {
        Some(self.index.span(de)?.value())
    }

    /// The canonical form of an element: ASCII characters, or bytes for a binary element, whatever the
    /// dialect. The separator of a track is `=`. Nothing when the element is absent or `out` too small.
    #[inline]
    pub fn decode<'b>(&self, de: De, out: &'b mut [u8]) -> Option<&'b [u8]> {
        let (spec, span, value) = self.found(de)?;
        text::decode(spec, value, span.units(), out)
    }

    /// The canonical form of an element where it stands on the wire.
    #[inline(always)]
    pub fn as_it_stands(&self, de: De) -> Option<&'a [u8]> {
        let (spec, _, value) = self.found(de)?;
        text::is_canonical_on_the_wire(spec).then_some(value)
    }

    /// The same, but without a copy where the canonical form stands on the wire: `out` is then not needed.
    #[inline(always)]
    pub(super) fn canonical<'b>(&self, de: De, out: &'b mut [u8]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        let (spec, span, value) = self.found(de)?;
        if text::is_canonical_on_the_wire(spec) {
            return Some(value);
        }
        translated(spec, value, span.units(), out)
    }

    /// An element of at most 18 digits as a number.
    #[inline(always)]
    pub fn number(&self, de: De) -> Option<u64> {
        let (spec, span, value) = self.found(de)?;
        if spec.kind != Kind::Digits || span.units() > 18 {
            return None;
        }
        match spec.text {
            Text::Ascii | Text::Ebcdic => Some(text::number(value)),
            _ => number_of_packed(spec, span.units(), value),
        }
    }

    /// DE 2.
    #[inline]
    pub fn pan(&self) -> Result<Option<Pan>, ParseError> {
        self.parsed(De::PAN, Flaw::BadValue, Pan::parse)
    }

    /// DE 3.
    #[inline]
    pub fn processing_code(&self) -> Option<ProcessingCode> {
        ProcessingCode::parse(self.canonical(De::PROCESSING_CODE, &mut [0; 6])?)
    }

    /// DE 4 in minor units of the currency of DE 49.
    #[inline]
    pub fn amount(&self) -> Result<Option<u64>, ParseError> {
        match self.number(De::AMOUNT) {
            None if self.has(De::AMOUNT) => Err(self.flawed(De::AMOUNT, Flaw::BadValue)),
            amount => Ok(amount),
        }
    }

    /// DE 49. The standard allows letters too; this switch knows currencies by number only.
    #[inline]
    pub fn currency(&self) -> Result<Option<Currency>, ParseError> {
        self.parsed(De::CURRENCY, Flaw::BadValue, Currency::parse)
    }

    /// DE 7.
    #[inline]
    pub fn transmission_time(&self) -> Result<Option<TransmissionTime>, ParseError> {
        self.parsed(De::TRANSMISSION_TIME, Flaw::BadValue, TransmissionTime::parse)
    }

    /// DE 11.
    #[inline]
    pub fn stan(&self) -> Option<Stan> {
        Stan::new(u32::try_from(self.number(De::STAN)?).ok()?)
    }

    /// DE 12 in 1993. Nothing in 1987, which has date and time in two elements and no year.
    #[inline]
    pub fn local_date_time(&self) -> Result<Option<LocalDateTime>, ParseError> {
        match self.dialect.version {
            Version::V1987 => Ok(None),
            _ => self.parsed(De::LOCAL_TIME, Flaw::BadValue, LocalDateTime::parse),
        }
    }

    /// DE 12 in 1987; in 1993 the time in it.
    #[inline]
    pub fn local_time(&self) -> Result<Option<LocalTime>, ParseError> {
        match self.dialect.version {
            Version::V1987 => self.parsed(De::LOCAL_TIME, Flaw::BadValue, LocalTime::parse),
            _ => Ok(self.local_date_time()?.map(LocalDateTime::time)),
        }
    }

    /// DE 13 in 1987; in 1993 the date in DE 12.
    #[inline]
    pub fn local_date(&self) -> Result<Option<LocalDate>, ParseError> {
        match self.dialect.version {
            Version::V1987 => self.parsed(De::LOCAL_DATE, Flaw::BadValue, LocalDate::parse),
            _ => Ok(self.local_date_time()?.map(LocalDateTime::date)),
        }
    }

    /// DE 14.
    #[inline]
    pub fn expiry(&self) -> Result<Option<Expiry>, ParseError> {
        self.parsed(De::EXPIRY, Flaw::BadValue, Expiry::parse)
    }

    /// DE 18.
    pub fn merchant_type(&self) -> Option<MerchantType> {
        MerchantType::new(u16::try_from(self.number(De::MERCHANT_TYPE)?).ok()?)
    }

    /// DE 22.
    #[inline]
    pub fn pos_entry(&self) -> Option<PosEntry> {
        PosEntry::parse(self.canonical(De::POS_ENTRY, &mut [0; 12])?)
    }

    /// DE 32.
    #[inline]
    pub fn acquirer(&self) -> Option<PartyId> {
        self.party(De::ACQUIRER)
    }

    /// DE 33.
    #[inline]
    pub fn forwarder(&self) -> Option<PartyId> {
        self.party(De::FORWARDER)
    }

    /// DE 35.
    pub fn track2(&self) -> Result<Option<Track2>, ParseError> {
        match self.found(De::TRACK2) {
            // In the letters of a track: there is nothing to decode.
            Some((spec, _, value)) if spec.text == Text::Ascii && spec.kind == Kind::Track => {
                Track2::parse(value).map(Some).ok_or_else(|| self.flawed(De::TRACK2, Flaw::BadTrack))
            }
            _ => self.parsed(De::TRACK2, Flaw::BadTrack, Track2::parse),
        }
    }

    /// DE 37.
    #[inline]
    pub fn rrn(&self) -> Option<Rrn> {
        Rrn::parse(self.canonical(De::RRN, &mut [0; 12])?)
    }

    /// DE 38.
    #[inline]
    pub fn approval_code(&self) -> Option<ApprovalCode> {
        ApprovalCode::parse(self.canonical(De::APPROVAL_CODE, &mut [0; 6])?)
    }

    /// DE 39.
    #[inline]
    pub fn response_code(&self) -> Option<ResponseCode> {
        ResponseCode::parse(self.canonical(De::RESPONSE_CODE, &mut [0; 3])?)
    }

    /// DE 41.
    #[inline]
    pub fn terminal(&self) -> Option<TerminalId> {
        TerminalId::parse(self.canonical(De::TERMINAL, &mut [0; 8])?)
    }

    /// DE 42.
    #[inline]
    pub fn merchant(&self) -> Option<MerchantId> {
        MerchantId::parse(self.canonical(De::MERCHANT, &mut [0; 15])?)
    }

    /// DE 55, decoded into `out`: 255 bytes are always enough for the built-in dialects.
    pub fn icc_data<'b>(&self, out: &'b mut [u8]) -> Result<Option<IccData<'b>>, ParseError> {
        let Some(decoded) = self.decode(De::ICC_DATA, out) else { return Ok(None) };
        IccData::parse(decoded).map(Some).map_err(|_| self.flawed(De::ICC_DATA, Flaw::BadTlv))
    }

    /// DE 70.
    pub fn network_code(&self) -> Option<u16> {
        u16::try_from(self.number(De::NETWORK_CODE)?).ok()
    }

    /// What a network management message is about: DE 70 in 1987, DE 24 in 1993.
    pub fn network_function(&self) -> Option<NetworkFunction> {
        match self.dialect.version {
            Version::V1987 => NetworkCode::new(self.network_code()?).map(NetworkCode::function),
            _ => {
                let code = u16::try_from(self.number(De::FUNCTION_CODE)?).ok()?;
                Some(NetworkFunction::from_function_code(code))
            }
        }
    }

    /// What a reversal undoes: DE 90 in 1987, DE 56 in 1993.
    pub fn original(&self) -> Result<Option<Original>, ParseError> {
        match self.dialect.version {
            Version::V1987 => self.parsed(De::ORIGINAL, Flaw::BadValue, Original::parse_1987),
            _ => self.parsed(De::ORIGINAL_93, Flaw::BadValue, Original::parse_1993),
        }
    }

    /// DE 95 in 1987: what remains of a payment that is undone in part. Nothing in 1993, where DE 4 says it.
    pub fn replacement_amounts(&self) -> Result<Option<ReplacementAmounts>, ParseError> {
        match self.dialect.version {
            Version::V1987 => self.parsed(De::REPLACEMENT_AMOUNTS, Flaw::BadValue, ReplacementAmounts::parse),
            _ => Ok(None),
        }
    }

    /// Whether everything in it is sound, so that what stands between two elements is the elements between them.
    #[inline(always)]
    pub(super) fn is_whole(&self) -> bool {
        self.index.is_whole
    }

    /// Where the element of a place lies, which is known to be present.
    #[inline(always)]
    pub(super) fn entry(&self, place: Place) -> Option<Span> {
        self.index.get(place)
    }

    #[inline(always)]
    pub(super) fn span(&self, de: De) -> Option<Span> {
        self.index.span(de)
    }

    #[inline(always)]
    pub(super) fn found(&self, de: De) -> Option<(&'a FieldSpec, Span, &'a [u8])> {
        let span = self.index.span(de)?;
        Some((self.dialect.field(de)?, span, self.slice(span)?))
    }

    #[inline(always)]
    fn slice(&self, span: Span) -> Option<&'a [u8]> {
        self.bytes.get(usize::from(span.value())..usize::from(span.end()))
    }

    #[inline]
    fn party(&self, de: De) -> Option<PartyId> {
        PartyId::parse(self.canonical(de, &mut [0; 11])?)
    }

    /// A value read from the canonical form of an element.
    #[inline]
    fn parsed<T>(
        &self,
        de: De,
        flaw: Flaw,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, ParseError> {
        let Some(span) = self.span(de) else { return Ok(None) };
        let mut room = [0; LONGEST_VALUE];
        let canonical = match (self.dialect.field(de), self.slice(span)) {
            (Some(spec), Some(value)) if text::is_canonical_on_the_wire(spec) => Some(value),
            (Some(spec), Some(value)) => translated(spec, value, span.units(), &mut room),
            _ => None,
        };
        match canonical.and_then(parse) {
            Some(value) => Ok(Some(value)),
            None => Err(self.flawed(de, flaw)),
        }
    }

    #[cold]
    fn flawed(&self, de: De, flaw: Flaw) -> ParseError {
        ParseError { de, offset: self.value_offset(de).unwrap_or_default(), flaw }
    }
}

impl fmt::Debug for Message<'_> {
    // No content: it holds card data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("mti", &self.mti())
            .field("present", &self.present())
            .finish_non_exhaustive()
    }
}

/// Out of line: most elements are read from the wire as they stand there.
#[inline(never)]
fn translated<'b>(spec: &FieldSpec, value: &[u8], units: u16, out: &'b mut [u8]) -> Option<&'b [u8]> {
    text::decode(spec, value, units, out)
}

#[inline(never)]
fn number_of_packed(spec: &FieldSpec, units: u16, value: &[u8]) -> Option<u64> {
    if spec.text == Text::Bcd {
        return Some(text::packed_number(value));
    }
    let mut digits = [0; 18];
    text::decode(spec, value, units, &mut digits).map(text::number)
}

/// Characters of DE 90 and DE 95, the longest elements that a value is read from.
const LONGEST_VALUE: usize = 42;

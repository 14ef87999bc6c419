//! One DE 55 as a view: the objects of its list by name.

use core::fmt;

use super::tag;
use crate::tlv::{TlvError, TlvFlaw, Tlvs};

/// The chip data of one message. It cannot be printed: some objects hold a track.
#[derive(Clone, Copy)]
pub struct IccData<'a> {
    bytes: &'a [u8],
    /// A value per row of the tag table.
    values: [Option<&'a [u8]>; tag::TABLE.len()],
}

impl<'a> IccData<'a> {
    /// Reads the decoded content of DE 55. Objects that are not in the table of [`tag`] are let through.
    ///
    /// # Errors
    /// A list that is no BER-TLV; [`TlvFlaw::Unexpected`] for an object of the table that has a wrong length
    /// or stands twice.
    pub fn parse(bytes: &'a [u8]) -> Result<IccData<'a>, TlvError> {
        let mut values = [None; tag::TABLE.len()];
        for object in Tlvs::new(bytes) {
            let object = object?;
            let Some(place) = tag::place(object.tag) else { continue };
            let (Some(row), Some(slot)) = (tag::TABLE.get(place), values.get_mut(place)) else { continue };
            let fits = (usize::from(row.min)..=usize::from(row.max)).contains(&object.value.len());
            let is_second = slot.is_some() && !tag::is_repeatable(object.tag);
            if !fits || is_second {
                return Err(TlvError { offset: object.offset, flaw: TlvFlaw::Unexpected });
            }
            // Of several scripts the first: who wants all of them walks the list.
            slot.get_or_insert(object.value);
        }
        Ok(IccData { bytes, values })
    }

    /// The whole list.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The value of an object of the table of [`tag`].
    pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
        self.values.get(tag::place(tag)?).copied().flatten()
    }

    /// 9F26: what the card signed with; [`cryptogram_type`](IccData::cryptogram_type) says which kind.
    pub fn cryptogram(&self) -> Option<[u8; 8]> {
        self.array(tag::CRYPTOGRAM)
    }

    /// 9F27: what the card decided.
    pub fn cryptogram_type(&self) -> Option<CryptogramType> {
        let [cid] = self.array(tag::CID)?;
        match cid >> 6 {
            0b00 => Some(CryptogramType::Aac),
            0b01 => Some(CryptogramType::Tc),
            0b10 => Some(CryptogramType::Arqc),
            _ => None,
        }
    }

    /// 9F36: the card's transaction counter.
    pub fn atc(&self) -> Option<u16> {
        self.array(tag::ATC).map(u16::from_be_bytes)
    }

    /// 9F37: the terminal's unpredictable number.
    pub fn un(&self) -> Option<[u8; 4]> {
        self.array(tag::UN)
    }

    /// 95: what the terminal found.
    pub fn tvr(&self) -> Option<[u8; 5]> {
        self.array(tag::TVR)
    }

    /// 82: what the card can do.
    pub fn aip(&self) -> Option<[u8; 2]> {
        self.array(tag::AIP)
    }

    /// 9F10: what the card tells its issuer; the layout is the issuer's.
    pub fn iad(&self) -> Option<&'a [u8]> {
        self.get(tag::IAD)
    }

    /// 5F34: which of the cards with this number.
    pub fn pan_sequence(&self) -> Option<u8> {
        self.array(tag::PAN_SEQUENCE).map(|[bcd]| (bcd >> 4).wrapping_mul(10).wrapping_add(bcd & 0x0F))
    }

    /// 91: what the issuer answers to the card, in a response.
    pub fn issuer_authentication(&self) -> Option<&'a [u8]> {
        self.get(tag::ISSUER_AUTHENTICATION)
    }

    /// What the cryptogram is computed over, before what its version adds (EMV Book 2, 8.1.1): 9F02, 9F03,
    /// 9F1A, 95, 5F2A, 9A, 9C, 9F37, 82, 9F36. Nothing when one of them is absent, except 9F03: a terminal
    /// without cash back may leave it out, and the card has then signed zeros.
    pub fn signed_data(&self) -> Option<[u8; 33]> {
        let mut out = [0; 33];
        let mut rest = &mut out[..];
        for (tag, bytes) in SIGNED {
            let (room, behind) = rest.split_at_mut_checked(bytes)?;
            match self.get(tag) {
                Some(value) if value.len() == bytes => room.copy_from_slice(value),
                None if tag == tag::AMOUNT_OTHER => {}
                _ => return None,
            }
            rest = behind;
        }
        Some(out)
    }

    fn array<const N: usize>(&self, tag: u32) -> Option<[u8; N]> {
        self.get(tag)?.try_into().ok()
    }
}

impl fmt::Debug for IccData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IccData({} bytes)", self.bytes.len())
    }
}

/// What a card decided, as its cryptogram information data tells it (EMV Book 3, table 15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CryptogramType {
    /// Declined offline.
    Aac,
    /// Approved offline.
    Tc,
    /// Ask the issuer.
    Arqc,
}

/// The signed objects in order, and their bytes.
const SIGNED: [(u32, usize); 10] = [
    (tag::AMOUNT, 6),
    (tag::AMOUNT_OTHER, 6),
    (tag::TERMINAL_COUNTRY, 2),
    (tag::TVR, 5),
    (tag::CURRENCY, 2),
    (tag::DATE, 3),
    (tag::TYPE, 1),
    (tag::UN, 4),
    (tag::AIP, 2),
    (tag::ATC, 2),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlv::TlvWriter;
    use std::format;

    fn sample(out: &mut [u8], with_other: bool) -> &[u8] {
        let mut writer = TlvWriter::new(out);
        let objects: [(u32, &[u8]); 14] = [
            (tag::CRYPTOGRAM, &[1, 2, 3, 4, 5, 6, 7, 8]),
            (tag::CID, &[0x80]),
            (tag::IAD, &[6, 1, 0x0A, 3, 0xA0, 0, 0]),
            (tag::UN, &[0xA1, 0xA2, 0xA3, 0xA4]),
            (tag::ATC, &[0x1E, 0x47]),
            (tag::TVR, &[0x80, 0, 0, 0, 1]),
            (tag::DATE, &[0x24, 0x12, 0x31]),
            (tag::TYPE, &[0]),
            (tag::AMOUNT, &[0, 0, 0, 0, 0x12, 0x50]),
            (tag::CURRENCY, &[0x09, 0x78]),
            (tag::AIP, &[0x19, 0x80]),
            (tag::TERMINAL_COUNTRY, &[0x02, 0x76]),
            (tag::PAN_SEQUENCE, &[0x12]),
            (0x9F7C, b"unknown here"),
        ];
        for (tag, value) in objects {
            writer.put(tag, value).unwrap();
        }
        if with_other {
            writer.put(tag::AMOUNT_OTHER, &[0, 0, 0, 0, 0x05, 0x00]).unwrap();
        }
        writer.into_written()
    }

    #[test]
    fn objects_by_name() {
        let mut out = [0; 255];
        let icc = IccData::parse(sample(&mut out, true)).unwrap();
        assert_eq!(icc.cryptogram(), Some([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(icc.cryptogram_type(), Some(CryptogramType::Arqc));
        assert_eq!((icc.atc(), icc.pan_sequence()), (Some(7_751), Some(12)));
        assert_eq!(icc.iad().map(<[u8]>::len), Some(7));
        assert_eq!((icc.get(tag::ARC), icc.issuer_authentication()), (None, None));
        assert_eq!(format!("{icc:?}"), format!("IccData({} bytes)", icc.bytes().len()));
    }

    #[test]
    fn what_was_signed() {
        let mut out = [0; 255];
        let icc = IccData::parse(sample(&mut out, true)).unwrap();
        let expected = [
            0, 0, 0, 0, 0x12, 0x50, 0, 0, 0, 0, 0x05, 0, 0x02, 0x76, 0x80, 0, 0, 0, 1, 0x09, 0x78, 0x24,
            0x12, 0x31, 0, 0xA1, 0xA2, 0xA3, 0xA4, 0x19, 0x80, 0x1E, 0x47,
        ];
        assert_eq!(icc.signed_data(), Some(expected));
        let mut out = [0; 255];
        let icc = IccData::parse(sample(&mut out, false)).unwrap();
        assert_eq!(icc.signed_data().map(|data| data[10]), Some(0));
        assert_eq!(IccData::parse(&[0x9F, 0x36, 2, 0, 1]).unwrap().signed_data(), None);
    }

    #[test]
    fn wrong_lengths_and_doubles() {
        let unexpected = |offset| TlvError { offset, flaw: TlvFlaw::Unexpected };
        assert_eq!(IccData::parse(&[0x9F, 0x36, 1, 0]).unwrap_err(), unexpected(3));
        assert_eq!(IccData::parse(&[0x9C, 1, 0, 0x9C, 1, 0]).unwrap_err(), unexpected(5));
        assert!(IccData::parse(&[0x71, 1, 1, 0x71, 1, 2]).is_ok());
        assert!(IccData::parse(&[0x9F]).is_err());
    }
}

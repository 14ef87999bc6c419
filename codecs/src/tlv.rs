//! BER-TLV as EMV uses it (EMV Book 3, annex B): tags of one to four bytes, lengths of one to three.

use core::fmt;

/// One data object: a tag and a value borrowed from the bytes it stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag bytes as a number: `9F26` is `0x9F26`.
    pub tag: u32,
    /// What follows the length.
    pub value: &'a [u8],
    /// Where the value starts, in bytes from the start of the list.
    pub offset: u16,
}

impl fmt::Debug for Tlv<'_> {
    // No value: it may be a track.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tlv({:X}, {} bytes)", self.tag, self.value.len())
    }
}

/// Bytes that are no list of data objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlvError {
    /// Where the object that is wrong starts, in bytes from the start of the list.
    pub offset: u16,
    /// What is wrong with it.
    pub flaw: TlvFlaw,
}

/// What can be wrong with a data object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlvFlaw {
    /// The bytes end inside the tag, or the tag has more than four.
    BadTag,
    /// The bytes end inside the length, or it is in a form that EMV does not use.
    BadLength,
    /// The bytes end inside the value.
    BadValue,
    /// A tag stands twice where each may stand once, or its value has a wrong length.
    Unexpected,
}

impl fmt::Display for TlvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.flaw {
            TlvFlaw::BadTag => "bad tag",
            TlvFlaw::BadLength => "bad length",
            TlvFlaw::BadValue => "value cut off",
            TlvFlaw::Unexpected => "unexpected object",
        };
        write!(f, "TLV at offset {}: {what}", self.offset)
    }
}

impl core::error::Error for TlvError {}

/// The data objects of a list, one after the other. After an error there are no more.
///
/// Zero bytes before, between and after the objects are padding (EMV Book 3, annex B1) and are skipped.
#[derive(Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
    whole_len: usize,
}

impl<'a> Tlvs<'a> {
    /// The objects of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Tlvs<'a> {
        Tlvs { rest: bytes, whole_len: bytes.len() }
    }

    /// The value of the first object with this tag, at this level.
    ///
    /// # Errors
    /// What is wrong with the list before that object.
    pub fn find(&self, tag: u32) -> Result<Option<&'a [u8]>, TlvError> {
        for object in self.clone() {
            let object = object?;
            if object.tag == tag {
                return Ok(Some(object.value));
            }
        }
        Ok(None)
    }

    fn offset(&self, rest: &[u8]) -> u16 {
        u16::try_from(self.whole_len.saturating_sub(rest.len())).unwrap_or(u16::MAX)
    }

    fn object(&self) -> Result<(Tlv<'a>, &'a [u8]), TlvError> {
        let fail = |flaw| TlvError { offset: self.offset(self.rest), flaw };
        let (tag, rest) = split_tag(self.rest).ok_or(fail(TlvFlaw::BadTag))?;
        let (length, rest) = split_length(rest).ok_or(fail(TlvFlaw::BadLength))?;
        let offset = self.offset(rest);
        let (value, rest) = rest.split_at_checked(length).ok_or(fail(TlvFlaw::BadValue))?;
        Ok((Tlv { tag, value, offset }, rest))
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        match self.object() {
            Ok((object, rest)) => {
                self.rest = rest;
                Some(Ok(object))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// Writes data objects into the caller's buffer.
pub struct TlvWriter<'a> {
    writer: crate::writer::Writer<'a>,
}

impl<'a> TlvWriter<'a> {
    /// Starts at the front of `out`.
    pub fn new(out: &'a mut [u8]) -> TlvWriter<'a> {
        TlvWriter { writer: crate::writer::Writer::new(out) }
    }

    /// Appends an object; nothing when there is no room for it or its value exceeds 65 535 bytes. `tag` holds
    /// the tag bytes as a number, as [`Tlv::tag`] does.
    pub fn put(&mut self, tag: u32, value: &[u8]) -> Option<()> {
        let tag_bytes = tag.to_be_bytes();
        let skipped = usize::try_from(tag.leading_zeros() / 8).unwrap_or_default().min(3);
        let tag_bytes = tag_bytes.get(skipped..)?;
        let [high, low] = u16::try_from(value.len()).ok()?.to_be_bytes();
        let length: &[u8] = match (high, low) {
            (0, ..0x80) => &[low],
            (0, _) => &[0x81, low],
            _ => &[0x82, high, low],
        };
        let total = tag_bytes.len().checked_add(length.len())?.checked_add(value.len())?;
        let (front, room) = self.writer.reserve(total)?.split_at_mut_checked(tag_bytes.len())?;
        front.copy_from_slice(tag_bytes);
        let (front, room) = room.split_at_mut_checked(length.len())?;
        front.copy_from_slice(length);
        room.copy_from_slice(value);
        Some(())
    }

    /// What has been written.
    pub fn into_written(self) -> &'a [u8] {
        self.writer.into_written()
    }
}

/// The low five bits all set announce another byte; the high bit of each further byte one more.
fn split_tag(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut tag = u32::from(first);
    if first & 0x1F != 0x1F {
        return Some((tag, rest));
    }
    for _ in 0..3 {
        let (&next, behind) = rest.split_first()?;
        tag = tag << 8 | u32::from(next);
        rest = behind;
        if next & 0x80 == 0 {
            return Some((tag, rest));
        }
    }
    None
}

/// Below 0x80 the length itself; 0x81 and 0x82 announce one and two bytes of it.
fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [length @ ..=0x7F, rest @ ..] => Some((usize::from(*length), rest)),
        [0x81, length, rest @ ..] => Some((usize::from(*length), rest)),
        [0x82, high, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    #[test]
    fn objects_and_padding() {
        let bytes = [0, 0x9A, 3, 0x24, 0x12, 0x31, 0, 0, 0x9F, 0x36, 2, 0x1E, 0x47, 0xDF, 0x81, 0x01, 0, 0];
        let objects: Vec<_> = Tlvs::new(&bytes).map(|object| object.unwrap()).collect();
        let tags: Vec<_> =
            objects.iter().map(|object| (object.tag, object.value.len(), object.offset)).collect();
        assert_eq!(tags, [(0x9A, 3, 3), (0x9F36, 2, 11), (0xDF8101, 0, 17)]);
        assert_eq!(Tlvs::new(&bytes).find(0x9F36), Ok(Some(&[0x1E, 0x47][..])));
        assert_eq!(Tlvs::new(&bytes).find(0x82), Ok(None));
    }

    #[test]
    fn cut_off_anywhere() {
        for (bytes, offset, flaw) in [
            (&[0x9F][..], 0, TlvFlaw::BadTag),
            (&[0x9F, 0x80, 0x80, 0x80, 0x01, 0x00], 0, TlvFlaw::BadTag),
            (&[0x9A], 0, TlvFlaw::BadLength),
            (&[0x9A, 0x81], 0, TlvFlaw::BadLength),
            (&[0x9A, 0x83, 0, 0, 1, 7], 0, TlvFlaw::BadLength),
            (&[0x9A, 0x80, 0, 0], 0, TlvFlaw::BadLength),
            (&[0x9A, 0, 0x9A, 2, 1], 2, TlvFlaw::BadValue),
        ] {
            let last = Tlvs::new(bytes).last().unwrap();
            assert_eq!(last, Err(TlvError { offset, flaw }), "{bytes:02x?}");
        }
    }

    #[test]
    fn lengths_of_each_form_come_back() {
        for len in [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x1234] {
            let (value, mut out) = (vec![0xA5; len], vec![0; len + 5]);
            let mut writer = TlvWriter::new(&mut out);
            writer.put(0x9F10, &value).unwrap();
            let written = writer.into_written();
            assert_eq!(Tlvs::new(written).find(0x9F10), Ok(Some(&value[..])), "{len}");
        }
        assert_eq!(TlvWriter::new(&mut [0; 4]).put(0x9F10, &[1, 2]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(objects in prop::collection::vec(object(), 0..12), padding in 0..3_usize) {
            let mut out = vec![0; 8_192];
            let mut writer = TlvWriter::new(&mut out);
            for (tag, value) in &objects {
                writer.put(*tag, value).unwrap();
            }
            let written = [writer.into_written(), &vec![0; padding]].concat();
            let read: Vec<_> = Tlvs::new(&written).map(|object| object.unwrap()).collect();
            let read: Vec<_> = read.iter().map(|object| (object.tag, object.value.to_vec())).collect();
            prop_assert_eq!(read, objects);
        }

        #[test]
        fn noise_ends(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut last = None;
            for (count, object) in Tlvs::new(&bytes).enumerate() {
                prop_assert!(count <= bytes.len());
                prop_assert!(last.is_none_or(|last: Result<_, TlvError>| last.is_ok()));
                if let Ok(object) = object {
                    let start = usize::from(object.offset);
                    prop_assert_eq!(&bytes[start..start + object.value.len()], object.value);
                }
                last = Some(object);
            }
            let _ = crate::emv::IccData::parse(&bytes);
        }
    }

    /// A tag of one to three bytes that is well formed, and a value.
    fn object() -> impl Strategy<Value = (u32, Vec<u8>)> {
        let tag = prop_oneof![
            (1..=0xFF_u32).prop_filter("one byte", |tag| tag & 0x1F != 0x1F),
            (0..=0x7F_u32).prop_map(|low| 0x9F00 | low),
            (0..=0x7F_u32).prop_map(|low| 0xDF8100 | low),
        ];
        (tag, prop::collection::vec(any::<u8>(), 0..600))
    }
}

//! What a C caller lends: bytes to read, room to fill, attributes. All unsafe code but the entry points is here.
//!
//! The contract behind every block is PKCS#11's own: a pointer that is not null points to as much as its length
//! says, for the time of the call, and room to write is the caller's. Null where something is needed is an error;
//! a length that no memory has, too.

use std::marker::PhantomData;
use std::slice;

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_MECHANISM, CK_RV, CK_ULONG, CK_UNAVAILABLE_INFORMATION, CKR_ARGUMENTS_BAD,
    CKR_BUFFER_TOO_SMALL, CKR_MECHANISM_PARAM_INVALID, CKR_OK,
};
use zeroize::Zeroizing;

use crate::attribute::Template;

/// Most bytes of one call: what is longer is a mistake.
const BYTES_MAX: usize = 1 << 30;
/// Most attributes of one template.
const ATTRIBUTES_MAX: usize = 256;

/// Bytes to read. They may be in the very place that is written to in the end.
pub(crate) struct Input<'a> {
    at: *const CK_BYTE,
    len: usize,
    lent: PhantomData<&'a [u8]>,
}

impl Input<'_> {
    /// # Safety
    ///
    /// `at` is null or points to `len` bytes that stay as they are, but for what is written through [`Output`],
    /// until the call returns.
    pub(crate) unsafe fn new<'a>(at: *const CK_BYTE, len: CK_ULONG) -> Result<Input<'a>, CK_RV> {
        let len = usize::try_from(len).ok().filter(|len| *len <= BYTES_MAX).ok_or(CKR_ARGUMENTS_BAD)?;
        if at.is_null() && len > 0 {
            return Err(CKR_ARGUMENTS_BAD);
        }
        Ok(Input { at, len, lent: PhantomData })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bytes from this one on, to be read before anything is written.
    pub(crate) fn from(&self, first: usize) -> &[u8] {
        let first = first.min(self.len);
        if first == self.len {
            return &[];
        }
        // SAFETY: `new` was promised `len` readable bytes, and `first` is below `len`. Nothing is written while
        // the slice is in use: `Output` is consumed by what writes, after the last use of it.
        unsafe { slice::from_raw_parts(self.at.add(first), self.len - first) }
    }
}

/// Room to be filled, whose length tells how much there is and then how much was filled.
pub(crate) struct Output<'a> {
    at: *mut CK_BYTE,
    len: &'a mut CK_ULONG,
}

impl<'a> Output<'a> {
    /// # Safety
    ///
    /// `len` is null or points to a length; `at` is null or points to as many bytes as that says, which nobody
    /// else uses until the call returns.
    pub(crate) unsafe fn new(at: *mut CK_BYTE, len: *mut CK_ULONG) -> Result<Output<'a>, CK_RV> {
        // SAFETY: not null, and then the caller's for the time of the call.
        let len = unsafe { len.as_mut() }.ok_or(CKR_ARGUMENTS_BAD)?;
        Ok(Output { at, len })
    }

    /// The room for so many bytes; none where the caller only asks how many there will be.
    fn room(self, needed: usize) -> Result<Option<&'a mut [u8]>, CK_RV> {
        let there_is = usize::try_from(*self.len).unwrap_or(usize::MAX);
        *self.len = CK_ULONG::try_from(needed).map_err(|_| CKR_ARGUMENTS_BAD)?;
        if self.at.is_null() {
            return Ok(None);
        }
        if there_is < needed {
            return Err(CKR_BUFFER_TOO_SMALL);
        }
        // SAFETY: `new` was promised as many writable bytes as the length said, which are enough.
        Ok(Some(unsafe { slice::from_raw_parts_mut(self.at, needed) }))
    }

    /// Whether it has room for so many bytes; an error where it has some, and not enough.
    pub(crate) fn is_enough_for(&self, needed: usize) -> Result<bool, CK_RV> {
        match usize::try_from(*self.len).unwrap_or(usize::MAX) < needed {
            _ if self.at.is_null() => Ok(false),
            true => Err(CKR_BUFFER_TOO_SMALL),
            false => Ok(true),
        }
    }

    /// Fills it. Whether there was room to, and not only a question how many bytes it takes.
    pub(crate) fn fill(self, bytes: &[u8]) -> Result<bool, CK_RV> {
        let room = self.room(bytes.len())?;
        Ok(room.map(|room| room.copy_from_slice(bytes)).is_some())
    }

    /// Fills it with `before` and then with the beginning of an input, `whole` bytes in all, to be worked on in
    /// place. Not where the caller only asks how many bytes it takes.
    pub(crate) fn filled(
        self,
        before: &[u8],
        input: &Input<'_>,
        whole: usize,
    ) -> Result<Option<&'a mut [u8]>, CK_RV> {
        let at = self.at;
        if whole < before.len() || whole - before.len() > input.len {
            // Nothing comes out yet.
            return self.room(0);
        }
        if at.is_null() || usize::try_from(*self.len).unwrap_or(usize::MAX) < whole {
            return self.room(whole);
        }
        let rest = whole - before.len();
        if rest > 0 {
            // SAFETY: the input has at least `rest` bytes and the room at least `whole`; they may overlap, which
            // this copy minds. No reference to either is alive.
            unsafe { at.add(before.len()).copy_from(input.at, rest) };
        }
        let Some(room) = self.room(whole)? else { return Ok(None) };
        room[..before.len()].copy_from_slice(before);
        Ok(Some(room))
    }
}

/// Reads a template.
///
/// # Safety
///
/// `at` is null or points to `count` attributes, each of which is null or points to as many bytes as it says.
pub(crate) unsafe fn template(at: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Template, CK_RV> {
    let count =
        usize::try_from(count).ok().filter(|count| *count <= ATTRIBUTES_MAX).ok_or(CKR_ARGUMENTS_BAD)?;
    if count == 0 {
        return Ok(Template::default());
    }
    if at.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and `count` attributes by contract.
    let attributes = unsafe { slice::from_raw_parts(at, count) };
    let read = |attribute: &CK_ATTRIBUTE| {
        // SAFETY: the value of an attribute, with its length, by contract.
        let value = unsafe { Input::new(attribute.pValue.cast(), attribute.ulValueLen) }?;
        Ok((attribute.type_, Zeroizing::new(value.from(0).to_vec())))
    };
    attributes.iter().map(read).collect::<Result<_, _>>().map(Template)
}

/// Fills a template, attribute by attribute, with what `value` tells of each; the first refusal is the outcome.
///
/// # Safety
///
/// `at` is null or points to `count` attributes that are the caller's to write, each of which is null or points to
/// as much room as it says.
pub(crate) unsafe fn fill_template<'v>(
    at: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    value: impl Fn(cryptoki_sys::CK_ATTRIBUTE_TYPE) -> Result<&'v [u8], CK_RV>,
) -> Result<(), CK_RV> {
    let count =
        usize::try_from(count).ok().filter(|count| *count <= ATTRIBUTES_MAX).ok_or(CKR_ARGUMENTS_BAD)?;
    if at.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: not null, and `count` attributes by contract.
    let attributes = unsafe { slice::from_raw_parts_mut(at, count) };
    let mut outcome = CKR_OK;
    for attribute in attributes {
        // SAFETY: the room of an attribute, with its length, by contract.
        let room = unsafe { Output::new(attribute.pValue.cast(), &mut attribute.ulValueLen) }?;
        if let Err(refusal) = value(attribute.type_).and_then(|value| room.fill(value)) {
            attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
            if outcome == CKR_OK {
                outcome = refusal;
            }
        }
    }
    if outcome == CKR_OK { Ok(()) } else { Err(outcome) }
}

/// The parameter of a mechanism, of a form that the mechanism says.
///
/// # Safety
///
/// `at` is null or points to a mechanism whose parameter is null or as long as it says; any bytes are a `T`.
pub(crate) unsafe fn parameter<T: Copy>(at: *const CK_MECHANISM) -> Result<T, CK_RV> {
    // SAFETY: null or readable, by contract.
    let mechanism = unsafe { at.as_ref() }.ok_or(CKR_ARGUMENTS_BAD)?;
    let is_whole = usize::try_from(mechanism.ulParameterLen) == Ok(size_of::<T>());
    if mechanism.pParameter.is_null() || !is_whole {
        return Err(CKR_MECHANISM_PARAM_INVALID);
    }
    // SAFETY: not null, as long as a `T`, and any bytes are one.
    Ok(unsafe { mechanism.pParameter.cast::<T>().read_unaligned() })
}

/// What a pointer to write a single thing to leads to.
///
/// # Safety
///
/// `at` is null or points to something that is the caller's to write until the call returns.
pub(crate) unsafe fn place<'a, T>(at: *mut T) -> Result<&'a mut T, CK_RV> {
    // SAFETY: null or writable, by contract.
    unsafe { at.as_mut() }.ok_or(CKR_ARGUMENTS_BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_room_may_be_the_same_place() {
        let mut bytes = *b"abcdefgh";
        let mut len = 8;
        let at = bytes.as_mut_ptr();
        // SAFETY: our own array and length.
        let (input, output) = unsafe { (Input::new(at, 6), Output::new(at, &mut len)) };
        let filled = output.expect("room").filled(b"xy", &input.expect("bytes"), 8);
        assert_eq!(filled.expect("filled").expect("room"), b"xyabcdef");
        assert_eq!(len, 8);
    }

    #[test]
    fn null_and_lengths_without_end_are_refused() {
        // SAFETY: null.
        assert_eq!(unsafe { Input::new(std::ptr::null(), 1) }.err(), Some(CKR_ARGUMENTS_BAD));
        // SAFETY: null.
        assert_eq!(unsafe { Input::new(std::ptr::null(), CK_ULONG::MAX) }.err(), Some(CKR_ARGUMENTS_BAD));
        // SAFETY: null.
        assert_eq!(unsafe { template(std::ptr::null(), 1) }.err(), Some(CKR_ARGUMENTS_BAD));
    }
}

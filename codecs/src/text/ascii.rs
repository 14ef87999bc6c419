//! One ASCII character a byte, and which characters each kind of field may hold.

use super::every::every;
use crate::iso8583::Kind;

/// Whether all bytes are allowed in a field of this kind.
#[inline(always)]
pub(super) fn fits(kind: Kind, bytes: &[u8]) -> bool {
    match (kind, bytes) {
        (Kind::Digits, _) => every(bytes, |byte| allows(Kind::Digits, byte)),
        (Kind::Text, _) => every(bytes, |byte| allows(Kind::Text, byte)),
        (Kind::AlphaDigits, _) => every(bytes, |byte| allows(Kind::AlphaDigits, byte)),
        (Kind::Track, _) => every(bytes, |byte| allows(Kind::Track, byte)),
        (Kind::Alpha, _) => every(bytes, |byte| allows(Kind::Alpha, byte)),
        (Kind::SignedDigits, [b'C' | b'D', digits @ ..]) => fits(Kind::Digits, digits),
        (Kind::SignedDigits, _) => false,
        (Kind::Binary, _) => true,
    }
}

/// The first wrong byte of a value whose characters `to_ascii` translates.
pub(super) fn first_flaw(kind: Kind, value: &[u8], to_ascii: impl Fn(u8) -> u8) -> Option<usize> {
    value.iter().enumerate().position(|(place, &byte)| match (kind, place) {
        (Kind::SignedDigits, 0) => !matches!(to_ascii(byte), b'C' | b'D'),
        _ => !allows(kind, to_ascii(byte)),
    })
}

/// Whether one character is allowed in a field of this kind. The sign of a signed field is not a matter of
/// the character alone.
#[inline(always)]
pub(super) const fn allows(kind: Kind, byte: u8) -> bool {
    match kind {
        Kind::Digits | Kind::SignedDigits => byte.is_ascii_digit(),
        Kind::Alpha => byte.is_ascii_alphabetic() | (byte == b' '),
        Kind::AlphaDigits => byte.is_ascii_alphanumeric() | (byte == b' '),
        Kind::Text => matches!(byte, b' '..=b'~'),
        Kind::Track => byte.is_ascii_digit() | (byte == b'=') | (byte == b'D'),
        Kind::Binary => true,
    }
}

/// A track with its separator made canonical.
#[inline]
pub(super) fn read_track(value: &[u8], out: &mut [u8]) {
    for (to, &from) in out.iter_mut().zip(value) {
        *to = if from == b'D' { b'=' } else { from };
    }
}

/// Copies `canonical` into `out`, which is at least as long, and pads: digits on the left, others on the
/// right.
#[inline(always)]
pub(super) fn write(kind: Kind, canonical: &[u8], out: &mut [u8]) {
    let padding = out.len().saturating_sub(canonical.len());
    let content = if padding == 0 {
        out
    } else if matches!(kind, Kind::Digits) {
        let (zeros, content) = out.split_at_mut_checked(padding).unwrap_or_default();
        zeros.fill(b'0');
        content
    } else {
        let (content, spaces) = out.split_at_mut_checked(canonical.len()).unwrap_or_default();
        spaces.fill(b' ');
        content
    };
    if content.len() == canonical.len() {
        content.copy_from_slice(canonical);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repertoires() {
        for (kind, allowed, refused) in [
            (Kind::Digits, &b"09"[..], &b"/:A= \xF0"[..]),
            (Kind::Alpha, b"AZaz ", b"0@[`{"),
            (Kind::AlphaDigits, b"AZaz09 ", b"-/:"),
            (Kind::Text, b" ~^=Az0", b"\x00\x1F\x7F\x80\xFF"),
            (Kind::Track, b"09=D", b"E<>?A "),
            (Kind::Binary, b"\x00\xFF", b""),
        ] {
            assert!(fits(kind, allowed), "{kind:?}");
            for byte in refused {
                assert!(!fits(kind, &[*byte]), "{kind:?} {byte:#x}");
            }
        }
        assert!(fits(Kind::SignedDigits, b"C00000100") && !fits(Kind::SignedDigits, b"000000100"));
    }

    #[test]
    fn padding_by_kind() {
        let mut out = [0; 6];
        write(Kind::Digits, b"42", &mut out);
        assert_eq!(&out, b"000042");
        write(Kind::Text, b"T2", &mut out);
        assert_eq!(&out, b"T2    ");
    }
}

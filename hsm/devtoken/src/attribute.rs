//! The attributes a secret key has, what each holds, and what it holds when nobody says.

use cryptoki_sys::{
    CK_ATTRIBUTE_TYPE, CK_ULONG, CKA_ALLOWED_MECHANISMS, CKA_ALWAYS_SENSITIVE, CKA_CHECK_VALUE, CKA_CLASS,
    CKA_COPYABLE, CKA_DECRYPT, CKA_DERIVE, CKA_DESTROYABLE, CKA_ENCRYPT, CKA_END_DATE, CKA_EXTRACTABLE,
    CKA_ID, CKA_KEY_GEN_MECHANISM, CKA_KEY_TYPE, CKA_LABEL, CKA_LOCAL, CKA_MODIFIABLE, CKA_NEVER_EXTRACTABLE,
    CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN, CKA_START_DATE, CKA_TOKEN, CKA_TRUSTED, CKA_UNWRAP, CKA_VALUE,
    CKA_VALUE_LEN, CKA_VERIFY, CKA_WRAP, CKA_WRAP_WITH_TRUSTED,
};
use zeroize::Zeroizing;

/// What an attribute holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One byte, with what it is by default.
    Flag(bool),
    /// A `CK_ULONG`.
    Number,
    /// Several of them.
    Numbers,
    Bytes,
    /// Set by the token alone.
    Told,
}

/// All of them.
pub(crate) const ALL: [(CK_ATTRIBUTE_TYPE, Kind); 32] = [
    (CKA_CLASS, Kind::Number),
    (CKA_KEY_TYPE, Kind::Number),
    (CKA_TOKEN, Kind::Flag(false)),
    (CKA_PRIVATE, Kind::Flag(true)),
    (CKA_MODIFIABLE, Kind::Flag(true)),
    (CKA_COPYABLE, Kind::Flag(true)),
    (CKA_DESTROYABLE, Kind::Flag(true)),
    (CKA_LABEL, Kind::Bytes),
    (CKA_ID, Kind::Bytes),
    (CKA_START_DATE, Kind::Bytes),
    (CKA_END_DATE, Kind::Bytes),
    (CKA_VALUE, Kind::Bytes),
    (CKA_VALUE_LEN, Kind::Number),
    (CKA_SENSITIVE, Kind::Flag(true)),
    (CKA_EXTRACTABLE, Kind::Flag(false)),
    (CKA_ENCRYPT, Kind::Flag(true)),
    (CKA_DECRYPT, Kind::Flag(true)),
    (CKA_SIGN, Kind::Flag(true)),
    (CKA_VERIFY, Kind::Flag(true)),
    (CKA_WRAP, Kind::Flag(true)),
    (CKA_UNWRAP, Kind::Flag(true)),
    (CKA_DERIVE, Kind::Flag(false)),
    (CKA_WRAP_WITH_TRUSTED, Kind::Flag(false)),
    (CKA_TRUSTED, Kind::Flag(false)),
    (CKA_ALLOWED_MECHANISMS, Kind::Numbers),
    (CKA_LOCAL, Kind::Told),
    (CKA_ALWAYS_SENSITIVE, Kind::Told),
    (CKA_NEVER_EXTRACTABLE, Kind::Told),
    (CKA_KEY_GEN_MECHANISM, Kind::Told),
    (CKA_CHECK_VALUE, Kind::Bytes),
    // Read by programs that list keys; never set here.
    (cryptoki_sys::CKA_WRAP_TEMPLATE, Kind::Told),
    (cryptoki_sys::CKA_UNWRAP_TEMPLATE, Kind::Told),
];

/// What an attribute of this type holds, if there is one.
pub(crate) fn kind(of: CK_ATTRIBUTE_TYPE) -> Option<Kind> {
    ALL.iter().find(|(number, _)| *number == of).map(|(_, kind)| *kind)
}

impl Kind {
    /// Whether a value has the form of this kind.
    pub(crate) fn fits(self, value: &[u8]) -> bool {
        match self {
            Kind::Flag(_) => matches!(value, [0 | 1]),
            Kind::Number => value.len() == size_of::<CK_ULONG>(),
            Kind::Numbers => value.len().is_multiple_of(size_of::<CK_ULONG>()),
            Kind::Bytes => value.len() <= BYTES_MAX,
            Kind::Told => false,
        }
    }
}

/// The longest label, identifier or value.
const BYTES_MAX: usize = 4_096;

/// The attributes that a caller asks for, as they were given.
#[derive(Default)]
pub(crate) struct Template(pub(crate) Vec<(CK_ATTRIBUTE_TYPE, Zeroizing<Vec<u8>>)>);

impl Template {
    pub(crate) fn get(&self, wanted: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        self.0.iter().find(|(number, _)| *number == wanted).map(|(_, value)| value.as_slice())
    }

    /// A number, where there is one.
    pub(crate) fn number(&self, wanted: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        self.get(wanted).and_then(as_number)
    }

    /// Whether a flag is set, where it is given.
    pub(crate) fn flag(&self, wanted: CK_ATTRIBUTE_TYPE) -> Option<bool> {
        self.get(wanted).map(|value| value == [1])
    }
}

/// A `CK_ULONG` as attributes hold it.
pub(crate) fn as_number(value: &[u8]) -> Option<CK_ULONG> {
    value.try_into().ok().map(CK_ULONG::from_ne_bytes)
}

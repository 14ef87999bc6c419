//! A secret key: its attributes, its value, and what may be made of it and read from it.

use std::collections::BTreeMap;

use cryptoki_sys::{
    CK_ATTRIBUTE_TYPE, CK_KEY_TYPE, CK_MECHANISM_TYPE, CK_RV, CK_SESSION_HANDLE, CK_ULONG,
    CK_UNAVAILABLE_INFORMATION, CKA_ALLOWED_MECHANISMS, CKA_ALWAYS_SENSITIVE, CKA_CHECK_VALUE, CKA_CLASS,
    CKA_COPYABLE, CKA_DECRYPT, CKA_DERIVE, CKA_DESTROYABLE, CKA_ENCRYPT, CKA_END_DATE, CKA_EXTRACTABLE,
    CKA_ID, CKA_KEY_GEN_MECHANISM, CKA_KEY_TYPE, CKA_LABEL, CKA_LOCAL, CKA_MODIFIABLE, CKA_NEVER_EXTRACTABLE,
    CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN, CKA_START_DATE, CKA_TOKEN, CKA_TRUSTED, CKA_UNWRAP, CKA_VALUE,
    CKA_VALUE_LEN, CKA_VERIFY, CKA_WRAP, CKA_WRAP_WITH_TRUSTED, CKK_AES, CKK_DES2, CKK_DES3,
    CKK_GENERIC_SECRET, CKK_SHA256_HMAC, CKO_SECRET_KEY, CKR_ACTION_PROHIBITED, CKR_ATTRIBUTE_READ_ONLY,
    CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID,
    CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT,
};
use ring::digest;
use zeroize::Zeroizing;

use crate::attribute::{self, Kind, Template, as_number};
use crate::cipher::BlockCipher;

/// A secret key. Its value is wiped when it is dropped.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) attributes: BTreeMap<CK_ATTRIBUTE_TYPE, Vec<u8>>,
    pub(crate) value: Zeroizing<Vec<u8>>,
    /// The session it lives as long as; none for a key on the token.
    pub(crate) owner: Option<CK_SESSION_HANDLE>,
}

/// Where a value came from, which says what the key can claim of its past.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody had it.
    Given,
    /// The token made it, by this mechanism.
    Generated(CK_MECHANISM_TYPE),
    /// It was made of another key, which was always sensitive, and never extractable.
    Derived(bool, bool),
    /// It came in under another key.
    Unwrapped,
}

impl Object {
    /// The key type that a template asks for.
    pub(crate) fn key_type_of(template: &Template) -> Result<CK_KEY_TYPE, CK_RV> {
        template.number(CKA_KEY_TYPE).ok_or(CKR_TEMPLATE_INCOMPLETE)
    }

    /// How long the value of a key is that a template asks for.
    pub(crate) fn value_bytes_of(key_type: CK_KEY_TYPE, template: &Template) -> Result<usize, CK_RV> {
        let asked = template.number(CKA_VALUE_LEN);
        match (key_type, asked) {
            (CKK_DES2 | CKK_DES3, Some(_)) => Err(CKR_ATTRIBUTE_READ_ONLY),
            (CKK_DES2, None) => Ok(16),
            (CKK_DES3, None) => Ok(24),
            (_, None | Some(0)) => Err(CKR_TEMPLATE_INCOMPLETE),
            (_, Some(bytes)) => usize::try_from(bytes).map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID),
        }
    }

    /// A key of this type and value, with the attributes of a template.
    pub(crate) fn new(
        key_type: CK_KEY_TYPE,
        value: Zeroizing<Vec<u8>>,
        template: &Template,
        origin: Origin,
    ) -> Result<Object, CK_RV> {
        check(template, origin)?;
        let fits = match key_type {
            CKK_DES2 => value.len() == 16,
            CKK_DES3 => value.len() == 24,
            CKK_AES => matches!(value.len(), 16 | 24 | 32),
            CKK_GENERIC_SECRET | CKK_SHA256_HMAC => (1..=512).contains(&value.len()),
            _ => false,
        };
        if !fits || template.number(CKA_KEY_TYPE).is_some_and(|asked| asked != key_type) {
            return Err(CKR_ATTRIBUTE_VALUE_INVALID);
        }
        let mut object = Object { attributes: BTreeMap::new(), value, owner: None };
        for (number, kind) in attribute::ALL {
            let default = match kind {
                Kind::Flag(set) => vec![u8::from(set)],
                _ => Vec::new(),
            };
            object.attributes.insert(number, default);
        }
        for (number, value) in template.0.iter().filter(|(number, _)| *number != CKA_VALUE) {
            object.attributes.insert(*number, value.to_vec());
        }
        object.tell(key_type, origin);
        Ok(object)
    }

    /// What the token says by itself.
    fn tell(&mut self, key_type: CK_KEY_TYPE, origin: Origin) {
        let (sensitive, unextractable) = (self.flag(CKA_SENSITIVE), !self.flag(CKA_EXTRACTABLE));
        let (always_sensitive, never_extractable) = match origin {
            Origin::Given | Origin::Unwrapped => (false, false),
            Origin::Generated(_) => (sensitive, unextractable),
            Origin::Derived(always, never) => (always && sensitive, never && unextractable),
        };
        let made_by = match origin {
            Origin::Generated(mechanism) => mechanism,
            _ => CK_UNAVAILABLE_INFORMATION,
        };
        let check_value = self.made_check_value(key_type);
        let flag = |set: bool| vec![u8::from(set)];
        self.attributes.extend([
            (CKA_CLASS, CKO_SECRET_KEY.to_ne_bytes().to_vec()),
            (CKA_KEY_TYPE, key_type.to_ne_bytes().to_vec()),
            (CKA_LOCAL, flag(matches!(origin, Origin::Generated(_)))),
            (CKA_ALWAYS_SENSITIVE, flag(always_sensitive)),
            (CKA_NEVER_EXTRACTABLE, flag(never_extractable)),
            (CKA_KEY_GEN_MECHANISM, made_by.to_ne_bytes().to_vec()),
            (CKA_CHECK_VALUE, check_value),
        ]);
        // A 3DES key has its length from its type.
        if matches!(key_type, CKK_DES2 | CKK_DES3) {
            self.attributes.remove(&CKA_VALUE_LEN);
        } else {
            let bytes = CK_ULONG::try_from(self.value.len()).unwrap_or(CK_UNAVAILABLE_INFORMATION);
            self.attributes.insert(CKA_VALUE_LEN, bytes.to_ne_bytes().to_vec());
        }
    }

    /// Three bytes: of a block of zeros under the key, or of its hash where it is no cipher's.
    fn made_check_value(&self, key_type: CK_KEY_TYPE) -> Vec<u8> {
        match BlockCipher::new(key_type, &self.value) {
            Ok(cipher) => {
                let mut block = vec![0; cipher.block_bytes()];
                cipher.encrypt(&mut block);
                block.truncate(3);
                block
            }
            Err(_) => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.value).as_ref()[..3].to_vec(),
        }
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, number: CK_ATTRIBUTE_TYPE) -> bool {
        self.attributes.get(&number).is_some_and(|value| value.as_slice() == [1])
    }

    pub(crate) fn key_type(&self) -> CK_KEY_TYPE {
        self.attributes
            .get(&CKA_KEY_TYPE)
            .and_then(|value| as_number(value))
            .unwrap_or(CK_UNAVAILABLE_INFORMATION)
    }

    /// Whether the key may be used with a mechanism: with any if it names none.
    pub(crate) fn allows(&self, mechanism: CK_MECHANISM_TYPE) -> bool {
        let named = self.attributes.get(&CKA_ALLOWED_MECHANISMS).map_or(&[][..], Vec::as_slice);
        named.is_empty()
            || named.chunks_exact(size_of::<CK_ULONG>()).any(|one| as_number(one) == Some(mechanism))
    }

    /// What an attribute holds, if it may be read.
    pub(crate) fn read(&self, number: CK_ATTRIBUTE_TYPE) -> Result<&[u8], CK_RV> {
        if number == CKA_VALUE {
            let is_open = !self.flag(CKA_SENSITIVE) && self.flag(CKA_EXTRACTABLE);
            return if is_open { Ok(&self.value) } else { Err(CKR_ATTRIBUTE_SENSITIVE) };
        }
        self.attributes.get(&number).map(Vec::as_slice).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)
    }

    /// Whether it has all of these attributes.
    pub(crate) fn matches(&self, template: &Template) -> bool {
        template.0.iter().all(|(number, value)| self.read(*number) == Ok(value.as_slice()))
    }

    /// A copy of it with other attributes, none of which opens what is shut.
    pub(crate) fn copied(&self, template: &Template) -> Result<Object, CK_RV> {
        if !self.flag(CKA_COPYABLE) {
            return Err(CKR_ACTION_PROHIBITED);
        }
        let mut copy = self.clone();
        copy.change(template, true)?;
        Ok(copy)
    }

    /// Gives it other attributes.
    pub(crate) fn change(&mut self, template: &Template, is_copy: bool) -> Result<(), CK_RV> {
        if !self.flag(CKA_MODIFIABLE) && !template.0.is_empty() {
            return Err(CKR_ATTRIBUTE_READ_ONLY);
        }
        for (number, value) in &template.0 {
            let kind = attribute::kind(*number).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?;
            let (was, will) = (self.flag(*number), value.as_slice() == [1]);
            let outcome = match *number {
                CKA_LABEL | CKA_ID | CKA_START_DATE | CKA_END_DATE | CKA_ENCRYPT | CKA_DECRYPT | CKA_SIGN
                | CKA_VERIFY | CKA_WRAP | CKA_UNWRAP | CKA_DERIVE => Ok(()),
                CKA_SENSITIVE | CKA_WRAP_WITH_TRUSTED if was && !will => Err(CKR_ATTRIBUTE_READ_ONLY),
                CKA_EXTRACTABLE if !was && will => Err(CKR_ATTRIBUTE_READ_ONLY),
                CKA_SENSITIVE | CKA_WRAP_WITH_TRUSTED | CKA_EXTRACTABLE => Ok(()),
                CKA_PRIVATE if is_copy && was && !will => Err(CKR_TEMPLATE_INCONSISTENT),
                CKA_TOKEN | CKA_PRIVATE | CKA_MODIFIABLE if is_copy => Ok(()),
                CKA_COPYABLE | CKA_DESTROYABLE if is_copy && (was || !will) => Ok(()),
                _ => Err(CKR_ATTRIBUTE_READ_ONLY),
            };
            outcome?;
            if !kind.fits(value) {
                return Err(CKR_ATTRIBUTE_VALUE_INVALID);
            }
            self.attributes.insert(*number, value.to_vec());
        }
        Ok(())
    }
}

/// Whether a template can be followed at all.
fn check(template: &Template, origin: Origin) -> Result<(), CK_RV> {
    for (at, (number, value)) in template.0.iter().enumerate() {
        let kind = attribute::kind(*number).ok_or(CKR_ATTRIBUTE_TYPE_INVALID)?;
        if kind == Kind::Told {
            return Err(CKR_ATTRIBUTE_READ_ONLY);
        }
        if !kind.fits(value) {
            return Err(CKR_ATTRIBUTE_VALUE_INVALID);
        }
        if template.0[..at].iter().any(|(other, _)| other == number) {
            return Err(CKR_TEMPLATE_INCONSISTENT);
        }
    }
    // Trust is an officer's to give, and nothing here asks for it.
    let told_what_is_not_theirs = match origin {
        Origin::Given => template.get(CKA_VALUE_LEN).is_some(),
        _ => template.get(CKA_VALUE).is_some(),
    };
    if told_what_is_not_theirs || template.flag(CKA_TRUSTED) == Some(true) {
        return Err(CKR_ATTRIBUTE_READ_ONLY);
    }
    match (template.number(CKA_CLASS), origin) {
        (Some(CKO_SECRET_KEY), _) | (None, Origin::Generated(_) | Origin::Derived(..)) => Ok(()),
        (None, _) => Err(CKR_TEMPLATE_INCOMPLETE),
        (Some(_), _) => Err(CKR_ATTRIBUTE_VALUE_INVALID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_what_the_standard_says_when_nobody_does() {
        let template = Template(vec![(CKA_CLASS, Zeroizing::new(CKO_SECRET_KEY.to_ne_bytes().to_vec()))]);
        let key = Object::new(CKK_AES, Zeroizing::new(vec![7; 16]), &template, Origin::Given).expect("a key");
        assert!(key.flag(CKA_PRIVATE) && key.flag(CKA_SENSITIVE) && !key.flag(CKA_EXTRACTABLE));
        assert_eq!(key.read(CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
        assert_eq!(key.read(CKA_VALUE_LEN), Ok(&16_u64.to_ne_bytes()[..]));
    }
}

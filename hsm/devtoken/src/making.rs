//! Where keys come from: given, copied, generated, derived from another, carried in under another.

use cryptoki_sys::{
    CK_KEY_TYPE, CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CKA_ALWAYS_SENSITIVE,
    CKA_DERIVE, CKA_EXTRACTABLE, CKA_KEY_TYPE, CKA_NEVER_EXTRACTABLE, CKA_UNWRAP, CKA_VALUE, CKA_WRAP,
    CKK_AES, CKK_DES2, CKK_DES3, CKK_GENERIC_SECRET, CKM_AES_CBC_ENCRYPT_DATA, CKM_AES_ECB_ENCRYPT_DATA,
    CKM_AES_KEY_GEN, CKM_DES2_KEY_GEN, CKM_DES3_CBC_ENCRYPT_DATA, CKM_DES3_ECB_ENCRYPT_DATA,
    CKM_DES3_KEY_GEN, CKM_GENERIC_SECRET_KEY_GEN, CKR_ATTRIBUTE_VALUE_INVALID, CKR_KEY_SIZE_RANGE,
    CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_UNEXTRACTABLE, CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID,
    CKR_TEMPLATE_INCOMPLETE,
};
use zeroize::Zeroizing;

use crate::attribute::Template;
use crate::cipher::{BlockCipher, set_odd_parity};
use crate::image::fill_random;
use crate::module::Module;
use crate::object::{Object, Origin};
use crate::wrap;

/// Longest generic secret.
const SECRET_BYTES_MAX: usize = 512;

impl Module {
    pub(crate) fn create(
        &mut self,
        session: CK_SESSION_HANDLE,
        template: &Template,
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        self.session(session)?;
        let key_type = Object::key_type_of(template)?;
        let value = Zeroizing::new(template.get(CKA_VALUE).ok_or(CKR_TEMPLATE_INCOMPLETE)?.to_vec());
        self.keep(session, Object::new(key_type, value, template, Origin::Given)?)
    }

    pub(crate) fn copy(
        &mut self,
        session: CK_SESSION_HANDLE,
        original: CK_OBJECT_HANDLE,
        template: &Template,
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        self.session(session)?;
        let copy = self.object(original)?.copied(template)?;
        self.keep(session, copy)
    }

    pub(crate) fn generate(
        &mut self,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_TYPE,
        template: &Template,
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        self.session(session)?;
        self.insist_on_mechanism(mechanism)?;
        let key_type = match mechanism {
            CKM_AES_KEY_GEN => CKK_AES,
            CKM_DES2_KEY_GEN => CKK_DES2,
            CKM_DES3_KEY_GEN => CKK_DES3,
            CKM_GENERIC_SECRET_KEY_GEN => template.number(CKA_KEY_TYPE).unwrap_or(CKK_GENERIC_SECRET),
            _ => return Err(CKR_MECHANISM_INVALID),
        };
        let mut value = zeros(Object::value_bytes_of(key_type, template)?)?;
        fill_random(&mut value)?;
        fit_to_type(key_type, &mut value);
        self.keep(session, Object::new(key_type, value, template, Origin::Generated(mechanism))?)
    }

    /// Makes a key of what another key makes of `data`: by ECB, or chained to `chain`.
    pub(crate) fn derive(
        &mut self,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_TYPE,
        (chain, data): (&[u8], &[u8]),
        base: CK_OBJECT_HANDLE,
        template: &Template,
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        self.session(session)?;
        let base = self.usable(base, CKA_DERIVE, mechanism)?;
        let cipher = BlockCipher::new(base.key_type(), &base.value)?;
        let (block, is_chained) = match mechanism {
            CKM_AES_ECB_ENCRYPT_DATA => (16, false),
            CKM_AES_CBC_ENCRYPT_DATA => (16, true),
            CKM_DES3_ECB_ENCRYPT_DATA => (8, false),
            CKM_DES3_CBC_ENCRYPT_DATA => (8, true),
            _ => return Err(CKR_MECHANISM_INVALID),
        };
        if cipher.block_bytes() != block {
            return Err(CKR_KEY_TYPE_INCONSISTENT);
        }
        if data.is_empty() || !data.len().is_multiple_of(block) || (is_chained && chain.len() != block) {
            return Err(CKR_MECHANISM_PARAM_INVALID);
        }
        let mut made = Zeroizing::new(data.to_vec());
        if is_chained {
            let mut before = [0; 16];
            before[..block].copy_from_slice(chain);
            cipher.encrypt_chained(&mut before, &mut made);
        } else {
            cipher.encrypt(&mut made);
        }
        let key_type = Object::key_type_of(template)?;
        let bytes = Object::value_bytes_of(key_type, template)?;
        let mut value = Zeroizing::new(made.get(..bytes).ok_or(CKR_KEY_SIZE_RANGE)?.to_vec());
        fit_to_type(key_type, &mut value);
        let origin = Origin::Derived(base.flag(CKA_ALWAYS_SENSITIVE), base.flag(CKA_NEVER_EXTRACTABLE));
        self.keep(session, Object::new(key_type, value, template, origin)?)
    }

    /// A key, encrypted under another.
    pub(crate) fn wrap(
        &mut self,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_TYPE,
        wrapping: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Result<Zeroizing<Vec<u8>>, CK_RV> {
        self.session(session)?;
        let wrapping = self.usable(wrapping, CKA_WRAP, mechanism)?;
        let key = self.object(key)?;
        if !key.flag(CKA_EXTRACTABLE) {
            return Err(CKR_KEY_UNEXTRACTABLE);
        }
        wrap::apply(wrapping, mechanism, false, &key.value)
    }

    pub(crate) fn unwrap(
        &mut self,
        session: CK_SESSION_HANDLE,
        mechanism: CK_MECHANISM_TYPE,
        wrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &Template,
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        self.session(session)?;
        let value = wrap::apply(self.usable(wrapping, CKA_UNWRAP, mechanism)?, mechanism, true, wrapped)?;
        let key_type = Object::key_type_of(template)?;
        self.keep(session, Object::new(key_type, value, template, Origin::Unwrapped)?)
    }
}

fn zeros(bytes: usize) -> Result<Zeroizing<Vec<u8>>, CK_RV> {
    if (1..=SECRET_BYTES_MAX).contains(&bytes) {
        Ok(Zeroizing::new(vec![0; bytes]))
    } else {
        Err(CKR_ATTRIBUTE_VALUE_INVALID)
    }
}

fn fit_to_type(key_type: CK_KEY_TYPE, value: &mut [u8]) {
    if matches!(key_type, CKK_DES2 | CKK_DES3) {
        set_odd_parity(value);
    }
}

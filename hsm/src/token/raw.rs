//! The calls that cryptoki has no form for, and the crate's only unsafe code.
//!
//! cryptoki 0.12 knows neither the derivation of a key by encrypting data (`CKM_DES3_ECB_ENCRYPT_DATA`,
//! `CKM_AES_ECB_ENCRYPT_DATA`), CMAC with 3DES, nor the reading of a `CKA_ALLOWED_MECHANISMS` that names one of
//! them, and its encryption allocates and asks for the length first, on every call. The library that cryptoki loaded is
//! loaded again here: the system hands out the same instance, so sessions and objects are shared.
//!
//! What makes the safe functions below safe: a [`Session`] exists only while its session is open or was
//! closed by the module itself, belongs to one thread at a time, and a handle that no longer means anything
//! is answered by the module with an error. Every buffer is a slice, and its length goes with it.

use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki::context::Function;
use cryptoki::error::{Error, Result, Rv};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_FUNCTION_LIST, CK_KEY_DERIVATION_STRING_DATA, CK_MECHANISM, CK_MECHANISM_TYPE,
    CK_RV, CK_SESSION_HANDLE, CK_SLOT_ID, CK_ULONG, CK_UNAVAILABLE_INFORMATION, CKA_ALLOWED_MECHANISMS,
};

/// The module's function list, kept together with the library that it points into.
pub(crate) struct Raw {
    functions: CK_FUNCTION_LIST,
    /// Keys derived through it.
    derivations: AtomicU64,
    /// None for the development token, which is a part of this program.
    _library: Option<cryptoki_sys::Pkcs11>,
}

impl Raw {
    /// Loads the library at this path once more.
    pub(crate) fn load(path: &Path) -> Result<Raw> {
        // SAFETY: loading runs the library's initialisers. The operator named this file as the PKCS#11 module
        // to trust with all keys, and cryptoki has loaded the same one before.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.map_err(Error::LibraryLoading)?;
        if library.C_GetFunctionList.is_err() {
            return Err(Error::MissingSymbol("C_GetFunctionList"));
        }
        let mut list = null_mut();
        // SAFETY: the symbol is there, and the pointer to write to is valid for the call.
        let code = unsafe { library.C_GetFunctionList(&mut list) };
        Rv::from(code).into_result(Function::GetFunctionList)?;
        if list.is_null() {
            return Err(Error::NullFunctionPointer);
        }
        // SAFETY: not null, and the standard says that it points to the module's own static list, which is
        // copied here while the library is loaded.
        let functions = unsafe { *list };
        Ok(Raw { functions, derivations: AtomicU64::new(0), _library: Some(library) })
    }

    /// The development token, which is linked in.
    pub(crate) fn devtoken() -> Result<Raw> {
        let mut list = null_mut();
        // SAFETY: the pointer to write to is valid for the call.
        let code = unsafe { devtoken::C_GetFunctionList(&mut list) };
        Rv::from(code).into_result(Function::GetFunctionList)?;
        // SAFETY: the call succeeded, so it points to the token's own static list.
        let functions = unsafe { *list };
        Ok(Raw { functions, derivations: AtomicU64::new(0), _library: None })
    }

    /// Encrypts `data` under the base key and makes the result a key with the attributes of `template`.
    pub(crate) fn derive(
        &self,
        session: &Session,
        base: ObjectHandle,
        mechanism: CK_MECHANISM_TYPE,
        data: &[u8],
        template: &[Attribute],
    ) -> Result<ObjectHandle> {
        let derive = self.functions.C_DeriveKey.ok_or(Error::NullFunctionPointer)?;
        self.derivations.fetch_add(1, Ordering::Relaxed);
        let mut input =
            CK_KEY_DERIVATION_STRING_DATA { pData: data.as_ptr().cast_mut(), ulLen: length(data.len())? };
        let mut mechanism = CK_MECHANISM {
            mechanism,
            pParameter: (&raw mut input).cast(),
            ulParameterLen: length(size_of_val(&input))?,
        };
        let mut template: Vec<CK_ATTRIBUTE> = template.iter().map(CK_ATTRIBUTE::from).collect();
        let attributes = length(template.len())?;
        let mut key = 0;
        // SAFETY: `input`, `mechanism`, `template` and the values they point to live until the call returns;
        // the module does not write to any of them but `key`.
        let code = unsafe {
            derive(
                session.handle(),
                &mut mechanism,
                base.handle(),
                template.as_mut_ptr(),
                attributes,
                &mut key,
            )
        };
        Rv::from(code).into_result(Function::DeriveKey)?;
        // SAFETY: unsafe only because any number could be given; this one is the module's own.
        Ok(unsafe { ObjectHandle::new_from_raw(key) })
    }

    /// How many keys the module was asked to derive. SoftHSM2 2.6.1 keeps some memory of each.
    pub(crate) fn derivations(&self) -> u64 {
        self.derivations.load(Ordering::Relaxed)
    }

    /// Starts an encryption by ECB, which has no parameter, or by CBC, whose chain begins with `iv`.
    pub(crate) fn encrypt_init(
        &self,
        session: &Session,
        mechanism: CK_MECHANISM_TYPE,
        iv: &[u8],
        key: ObjectHandle,
    ) -> Result<()> {
        let init = self.functions.C_EncryptInit.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = with_iv(mechanism, iv)?;
        // SAFETY: `mechanism` and the parameter it points to live until the call returns; the module only
        // reads them.
        let code = unsafe { init(session.handle(), &mut mechanism, key.handle()) };
        Rv::from(code).into_result(Function::EncryptInit)
    }

    /// Starts a decryption, as [`encrypt_init`](Raw::encrypt_init) an encryption.
    pub(crate) fn decrypt_init(
        &self,
        session: &Session,
        mechanism: CK_MECHANISM_TYPE,
        iv: &[u8],
        key: ObjectHandle,
    ) -> Result<()> {
        let init = self.functions.C_DecryptInit.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = with_iv(mechanism, iv)?;
        // SAFETY: as in `encrypt_init`.
        let code = unsafe { init(session.handle(), &mut mechanism, key.handle()) };
        Rv::from(code).into_result(Function::DecryptInit)
    }

    /// Starts a MAC without a parameter: CMAC, HMAC.
    pub(crate) fn sign_init(
        &self,
        session: &Session,
        mechanism: CK_MECHANISM_TYPE,
        key: ObjectHandle,
    ) -> Result<()> {
        let init = self.functions.C_SignInit.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = with_iv(mechanism, &[])?;
        // SAFETY: as in `encrypt_init`.
        let code = unsafe { init(session.handle(), &mut mechanism, key.handle()) };
        Rv::from(code).into_result(Function::SignInit)
    }

    /// Goes on with an open encryption and leaves it open. Returns the number of bytes written.
    pub(crate) fn encrypt_update(&self, session: &Session, data: &[u8], out: &mut [u8]) -> Result<usize> {
        work(self.functions.C_EncryptUpdate, Function::EncryptUpdate, session, data, out)
    }

    /// Goes on with an open decryption and leaves it open. Returns the number of bytes written.
    pub(crate) fn decrypt_update(&self, session: &Session, data: &[u8], out: &mut [u8]) -> Result<usize> {
        work(self.functions.C_DecryptUpdate, Function::DecryptUpdate, session, data, out)
    }

    /// Ends an encryption with its only piece of data. Returns the number of bytes written.
    pub(crate) fn encrypt(&self, session: &Session, data: &[u8], out: &mut [u8]) -> Result<usize> {
        work(self.functions.C_Encrypt, Function::Encrypt, session, data, out)
    }

    /// Ends a decryption with its only piece of data. Returns the number of bytes written.
    pub(crate) fn decrypt(&self, session: &Session, data: &[u8], out: &mut [u8]) -> Result<usize> {
        work(self.functions.C_Decrypt, Function::Decrypt, session, data, out)
    }

    /// Ends a MAC with its only piece of data. Returns the number of bytes written.
    pub(crate) fn sign(&self, session: &Session, data: &[u8], out: &mut [u8]) -> Result<usize> {
        work(self.functions.C_Sign, Function::Sign, session, data, out)
    }

    /// The mechanisms that the module lists for a slot.
    pub(crate) fn mechanisms(&self, slot: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
        let list = self.functions.C_GetMechanismList.ok_or(Error::NullFunctionPointer)?;
        let mut count = 0;
        // SAFETY: asks for the number alone.
        let code = unsafe { list(slot, null_mut(), &mut count) };
        Rv::from(code).into_result(Function::GetMechanismList)?;
        let mut mechanisms = vec![0; usize::try_from(count)?];
        // SAFETY: the room is as long as `count` says.
        let code = unsafe { list(slot, mechanisms.as_mut_ptr(), &mut count) };
        Rv::from(code).into_result(Function::GetMechanismList)?;
        mechanisms.truncate(usize::try_from(count)?);
        Ok(mechanisms)
    }

    /// The mechanisms that a key may be used with: none if it names none, or more than could be useful.
    pub(crate) fn allowed_mechanisms(
        &self,
        session: &Session,
        key: ObjectHandle,
    ) -> Result<Vec<CK_MECHANISM_TYPE>> {
        let get = self.functions.C_GetAttributeValue.ok_or(Error::NullFunctionPointer)?;
        let mut mechanisms = [0; MAX_ALLOWED];
        let mut attribute = CK_ATTRIBUTE {
            type_: CKA_ALLOWED_MECHANISMS,
            pValue: mechanisms.as_mut_ptr().cast(),
            ulValueLen: length(size_of_val(&mechanisms))?,
        };
        // SAFETY: `attribute` points to `mechanisms`, gives its length in bytes, and both live until the call
        // returns.
        let code = unsafe { get(session.handle(), key.handle(), &mut attribute, 1) };
        if attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION {
            // Too many for the buffer, or an attribute that this key does not have.
            return Ok(Vec::new());
        }
        Rv::from(code).into_result(Function::GetAttributeValue)?;
        let count = usize::try_from(attribute.ulValueLen)? / size_of::<CK_MECHANISM_TYPE>();
        Ok(mechanisms.get(..count).unwrap_or_default().to_vec())
    }
}

/// A call that reads one buffer and fills another, of which it is told the room and tells what it used.
type Call =
    unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG) -> CK_RV;

fn work(call: Option<Call>, name: Function, session: &Session, data: &[u8], out: &mut [u8]) -> Result<usize> {
    let call = call.ok_or(Error::NullFunctionPointer)?;
    let mut written = length(out.len())?;
    // SAFETY: the five functions given here have this form in the standard. Both buffers are valid for the
    // lengths given and do not overlap, one being borrowed for writing; the module only reads `data`.
    let code = unsafe {
        call(session.handle(), data.as_ptr().cast_mut(), length(data.len())?, out.as_mut_ptr(), &mut written)
    };
    Rv::from(code).into_result(name)?;
    Ok(usize::try_from(written)?)
}

/// A mechanism whose parameter is an initialisation vector, or which has none. It is good while `iv` lives.
fn with_iv(mechanism: CK_MECHANISM_TYPE, iv: &[u8]) -> Result<CK_MECHANISM> {
    let parameter = if iv.is_empty() { null_mut() } else { iv.as_ptr().cast_mut().cast() };
    Ok(CK_MECHANISM { mechanism, pParameter: parameter, ulParameterLen: length(iv.len())? })
}

fn length(bytes: usize) -> Result<CK_ULONG> {
    Ok(CK_ULONG::try_from(bytes)?)
}

/// Room for the allowed mechanisms of a key. We accept one; more are read so that they can be told.
const MAX_ALLOWED: usize = 16;

//! The calls of PKCS#11 behind a verification, in a loop with nothing around them: what a token would do at best.
//!
//! The same module, token, keys and attributes as the verifier's; the input is one block or message, the output is not
//! looked at.

#![allow(unsafe_code, reason = "calls of PKCS#11 as they are; there is nothing around them to be measured")]

use std::path::Path;
use std::ptr::null_mut;

use cryptoki::context::Pkcs11;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_FUNCTION_LIST, CK_KEY_DERIVATION_STRING_DATA, CK_MECHANISM, CK_MECHANISM_TYPE,
    CKM_AES_CMAC, CKM_AES_ECB, CKM_AES_ECB_ENCRYPT_DATA, CKM_DES3_CBC, CKM_DES3_ECB,
    CKM_DES3_ECB_ENCRYPT_DATA,
};

pub(crate) const AES_ECB: CK_MECHANISM_TYPE = CKM_AES_ECB;
pub(crate) const AES_CMAC: CK_MECHANISM_TYPE = CKM_AES_CMAC;
pub(crate) const DES3_ECB: CK_MECHANISM_TYPE = CKM_DES3_ECB;
pub(crate) const DES3_DERIVE: CK_MECHANISM_TYPE = CKM_DES3_ECB_ENCRYPT_DATA;
pub(crate) const DES3_CBC: CK_MECHANISM_TYPE = CKM_DES3_CBC;

/// A token, and calls to it.
pub(crate) struct Bare {
    context: Pkcs11,
    session: Session,
    functions: CK_FUNCTION_LIST,
    /// None for the development token, which is a part of this program.
    _library: Option<cryptoki_sys::Pkcs11>,
}

impl Bare {
    /// In a module that is started, with somebody logged in.
    pub(crate) fn new(module: &Path) -> Bare {
        let is_devtoken = hsm::token::is_devtoken(module);
        let context = if is_devtoken { Pkcs11::new_from_self() } else { Pkcs11::new(module) };
        let context = context.expect("a module");
        let slot = context.get_slots_with_initialized_token().expect("slots")[0];
        let session = context.open_ro_session(slot).expect("a session");
        // SAFETY: the module that everything here measures.
        let library =
            (!is_devtoken).then(|| unsafe { cryptoki_sys::Pkcs11::new(module) }.expect("the module"));
        let mut list = null_mut();
        let code = match &library {
            // SAFETY: the pointer to write to is valid for the call.
            Some(library) => unsafe { library.C_GetFunctionList(&mut list) },
            // SAFETY: as above.
            None => unsafe { devtoken::C_GetFunctionList(&mut list) },
        };
        assert_eq!(code, 0, "a function list");
        // SAFETY: the module's own static list, while it is loaded.
        let functions = unsafe { *list };
        Bare { context, session, functions, _library: library }
    }

    /// A session of its own, for an operation that stays open.
    pub(crate) fn session(&self) -> Session {
        let slot = self.context.get_slots_with_initialized_token().expect("slots")[0];
        self.context.open_ro_session(slot).expect("a session")
    }

    pub(crate) fn own(&self) -> &Session {
        &self.session
    }

    pub(crate) fn find(&self, label: &str) -> ObjectHandle {
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label.as_bytes().to_vec())];
        self.session.find_objects(&wanted).expect("objects")[0]
    }

    /// A key from what `base` encrypts, with the attributes that the verifier gives it.
    pub(crate) fn derive(&self, base: ObjectHandle, data: &[u8], template: &[Attribute]) -> ObjectHandle {
        let is_aes = template.contains(&Attribute::KeyType(KeyType::AES));
        let mut input =
            CK_KEY_DERIVATION_STRING_DATA { pData: data.as_ptr().cast_mut(), ulLen: data.len() as u64 };
        let mut mechanism = CK_MECHANISM {
            mechanism: if is_aes { CKM_AES_ECB_ENCRYPT_DATA } else { CKM_DES3_ECB_ENCRYPT_DATA },
            pParameter: (&raw mut input).cast(),
            ulParameterLen: size_of_val(&input) as u64,
        };
        let mut template: Vec<CK_ATTRIBUTE> = template.iter().map(CK_ATTRIBUTE::from).collect();
        let mut key = 0;
        let derive = self.functions.C_DeriveKey.expect("a function");
        // SAFETY: everything pointed to lives until the call returns.
        let code = unsafe {
            derive(
                self.session.handle(),
                &mut mechanism,
                base.handle(),
                template.as_mut_ptr(),
                template.len() as u64,
                &mut key,
            )
        };
        assert_eq!(code, 0, "a derived key");
        // SAFETY: the module's own number.
        unsafe { ObjectHandle::new_from_raw(key) }
    }

    pub(crate) fn destroy(&self, key: ObjectHandle) {
        self.session.destroy_object(key).expect("an end");
    }

    pub(crate) fn encrypt_init(
        &self,
        session: &Session,
        mechanism: CK_MECHANISM_TYPE,
        iv: &[u8],
        key: ObjectHandle,
    ) {
        let init = self.functions.C_EncryptInit.expect("a function");
        // SAFETY: everything pointed to lives until the call returns.
        let code = unsafe { init(session.handle(), &mut with_iv(mechanism, iv), key.handle()) };
        assert_eq!(code, 0, "a start");
    }

    pub(crate) fn decrypt_init(&self, session: &Session, mechanism: CK_MECHANISM_TYPE, key: ObjectHandle) {
        let init = self.functions.C_DecryptInit.expect("a function");
        // SAFETY: everything pointed to lives until the call returns.
        let code = unsafe { init(session.handle(), &mut with_iv(mechanism, &[]), key.handle()) };
        assert_eq!(code, 0, "a start");
    }

    pub(crate) fn sign_init(&self, session: &Session, mechanism: CK_MECHANISM_TYPE, key: ObjectHandle) {
        let init = self.functions.C_SignInit.expect("a function");
        // SAFETY: everything pointed to lives until the call returns.
        let code = unsafe { init(session.handle(), &mut with_iv(mechanism, &[]), key.handle()) };
        assert_eq!(code, 0, "a start");
    }

    pub(crate) fn encrypt(&self, session: &Session, data: &[u8], out: &mut [u8]) {
        call(self.functions.C_Encrypt, session, data, out);
    }

    pub(crate) fn encrypt_update(&self, session: &Session, data: &[u8], out: &mut [u8]) {
        call(self.functions.C_EncryptUpdate, session, data, out);
    }

    pub(crate) fn decrypt_update(&self, session: &Session, data: &[u8], out: &mut [u8]) {
        call(self.functions.C_DecryptUpdate, session, data, out);
    }

    pub(crate) fn sign(&self, session: &Session, data: &[u8], out: &mut [u8]) {
        call(self.functions.C_Sign, session, data, out);
    }
}

type Call = unsafe extern "C" fn(u64, *mut u8, u64, *mut u8, *mut u64) -> u64;

fn call(function: Option<Call>, session: &Session, data: &[u8], out: &mut [u8]) {
    let mut written = out.len() as u64;
    // SAFETY: both buffers are valid for their lengths, and do not overlap.
    let code = unsafe {
        function.expect("a function")(
            session.handle(),
            data.as_ptr().cast_mut(),
            data.len() as u64,
            out.as_mut_ptr(),
            &mut written,
        )
    };
    assert_eq!(code, 0, "a call");
}

fn with_iv(mechanism: CK_MECHANISM_TYPE, iv: &[u8]) -> CK_MECHANISM {
    let parameter = if iv.is_empty() { null_mut() } else { iv.as_ptr().cast_mut().cast() };
    CK_MECHANISM { mechanism, pParameter: parameter, ulParameterLen: iv.len() as u64 }
}

/// What a derived key is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Encrypt,
    Sign,
    Derive,
}

/// The attributes of a derived key that does one thing by one mechanism.
pub(crate) fn derived(mechanism: CK_MECHANISM_TYPE, work: Work) -> Vec<Attribute> {
    let is_aes = matches!(mechanism, CKM_AES_ECB | CKM_AES_CMAC);
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(if is_aes { KeyType::AES } else { KeyType::DES2 }),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(work == Work::Encrypt),
        Attribute::Decrypt(false),
        Attribute::Sign(work == Work::Sign),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(work == Work::Derive),
        Attribute::VendorDefined((AttributeType::AllowedMechanisms, mechanism.to_ne_bytes().to_vec())),
    ];
    if is_aes {
        template.push(Attribute::ValueLen(16.into()));
    }
    template
}

//! A PKCS#11 module that passes every call on to another one, and spoils those that a file names.
//!
//! `SIGNALBOX_SHIM_MODULE` is the module behind it, `SIGNALBOX_SHIM_FAULTS` a file that is read at each call. A line of
//! it is a function and a fault, and the first line that names the function counts:
//!
//! ```text
//! C_DeriveKey fail 0x30       answers with this code and does nothing
//! C_Encrypt delay 300         works, after so many milliseconds
//! C_DeriveKey hang            never comes back
//! C_Encrypt crash             ends the process with SIGSEGV
//! C_Encrypt garbage           says that it worked, and gives something else
//! C_Encrypt short             says that it worked, and that it gave a byte less
//! C_Encrypt long              the same, and a byte more than there is room for
//! ```
//!
//! With `once` at its end a line holds for one call: then the file is emptied.
//!
//! For tests only; nothing of the product knows it.

#![allow(unsafe_code, reason = "a PKCS#11 module is an interface of C; each block says why it is safe")]
#![allow(non_snake_case, reason = "the functions have the standard's names")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{env, fs, ptr, slice, thread};

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_FLAGS, CK_FUNCTION_LIST, CK_MECHANISM, CK_NOTIFY, CK_OBJECT_HANDLE, CK_RV,
    CK_SESSION_HANDLE, CK_SLOT_ID, CK_ULONG, CK_USER_TYPE, CK_UTF8CHAR, CKR_GENERAL_ERROR, CKR_OK, Pkcs11,
};

/// The module behind, and the list that is given out in the place of its own.
struct Behind {
    real: CK_FUNCTION_LIST,
    shown: CK_FUNCTION_LIST,
    _library: Pkcs11,
}

// SAFETY: function lists hold pointers to code, and are never written to after they were made.
unsafe impl Send for Behind {}
// SAFETY: as above.
unsafe impl Sync for Behind {}

fn behind() -> Option<&'static Behind> {
    static BEHIND: OnceLock<Option<Behind>> = OnceLock::new();
    BEHIND.get_or_init(load).as_ref()
}

fn load() -> Option<Behind> {
    let path = env::var_os("SIGNALBOX_SHIM_MODULE")?;
    // SAFETY: the test names a PKCS#11 module.
    let library = unsafe { Pkcs11::new(path) }.ok()?;
    let mut list = ptr::null_mut();
    // SAFETY: the pointer to write to is valid for the call.
    let code = unsafe { library.C_GetFunctionList(&mut list) };
    if code != CKR_OK || list.is_null() {
        return None;
    }
    // SAFETY: the module's own list, which lives as long as the library.
    let real = unsafe { *list };
    let mut shown = real;
    shown.C_Initialize = Some(C_Initialize);
    shown.C_OpenSession = Some(C_OpenSession);
    shown.C_Login = Some(C_Login);
    shown.C_FindObjectsInit = Some(C_FindObjectsInit);
    shown.C_CreateObject = Some(C_CreateObject);
    shown.C_DeriveKey = Some(C_DeriveKey);
    shown.C_EncryptInit = Some(C_EncryptInit);
    shown.C_Encrypt = Some(C_Encrypt);
    shown.C_EncryptUpdate = Some(C_EncryptUpdate);
    shown.C_SignInit = Some(C_SignInit);
    shown.C_Sign = Some(C_Sign);
    Some(Behind { real, shown, _library: library })
}

/// Gives out the list of functions.
///
/// # Safety
/// `list` must be null or a place to write a pointer to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let Some(behind) = behind().filter(|_| !list.is_null()) else { return CKR_GENERAL_ERROR };
    // SAFETY: not null, so a place to write to; nobody writes through the pointer that is given out.
    unsafe { *list = ptr::from_ref(&behind.shown).cast_mut() };
    CKR_OK
}

/// What is to become of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Fail(CK_RV),
    Garbage,
    Short,
    Long,
}

/// What the file says of a function. What takes time or ends the process happens here.
fn fault(function: &str) -> Option<Fault> {
    let file = env::var_os("SIGNALBOX_SHIM_FAULTS")?;
    let faults = fs::read_to_string(&file).ok()?;
    let line = faults.lines().find(|line| line.split(' ').next() == Some(function))?;
    if line.ends_with(" once") {
        fs::write(&file, "").ok()?;
    }
    let mut words = line.split(' ').skip(1);
    let (what, number) = (words.next()?, words.next().unwrap_or("0"));
    let number = match number.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => number.parse().unwrap_or(0),
    };
    match what {
        "fail" => return Some(Fault::Fail(number)),
        "garbage" => return Some(Fault::Garbage),
        "short" => return Some(Fault::Short),
        "long" => return Some(Fault::Long),
        "delay" => thread::sleep(Duration::from_millis(number)),
        "hang" => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        // SAFETY: it is not: this is the crash that was asked for.
        "crash" => unsafe { ptr::without_provenance_mut::<u8>(8).write_volatile(1) },
        _ => {}
    }
    None
}

/// Passes a call on, unless it is to fail.
macro_rules! passed {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {$(
        unsafe extern "C" fn $name($($argument: $kind),*) -> CK_RV {
            if let Some(Fault::Fail(code)) = fault(stringify!($name)) {
                return code;
            }
            match behind().and_then(|behind| behind.real.$name) {
                // SAFETY: the caller's arguments, as they came.
                Some(real) => unsafe { real($($argument),*) },
                None => CKR_GENERAL_ERROR,
            }
        }
    )*};
}

passed! {
    C_Initialize(arguments: *mut std::ffi::c_void);
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, application: *mut std::ffi::c_void, notify: CK_NOTIFY, session: *mut CK_SESSION_HANDLE);
    C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, len: CK_ULONG);
    C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_CreateObject(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE);
    C_EncryptInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE);
    C_SignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE);
}

unsafe extern "C" fn C_DeriveKey(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    base: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let spoil = match fault("C_DeriveKey") {
        Some(Fault::Fail(code)) => return code,
        spoil => spoil,
    };
    let Some(real) = behind().and_then(|behind| behind.real.C_DeriveKey) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's arguments, as they came.
    let code = unsafe { real(session, mechanism, base, template, count, key) };
    if code == CKR_OK && spoil == Some(Fault::Garbage) {
        // SAFETY: the module has just written there.
        unsafe { *key = 0x00DE_AD00 };
    }
    code
}

/// Passes on a call that gives bytes, and spoils them.
macro_rules! giving_bytes {
    ($($name:ident;)*) => {$(
        unsafe extern "C" fn $name(
            session: CK_SESSION_HANDLE,
            data: *mut CK_BYTE,
            data_len: CK_ULONG,
            out: *mut CK_BYTE,
            out_len: *mut CK_ULONG,
        ) -> CK_RV {
            let spoil = match fault(stringify!($name)) {
                Some(Fault::Fail(code)) => return code,
                spoil => spoil,
            };
            let Some(real) = behind().and_then(|behind| behind.real.$name) else { return CKR_GENERAL_ERROR };
            // SAFETY: the caller's arguments, as they came.
            let code = unsafe { real(session, data, data_len, out, out_len) };
            if code == CKR_OK && !out.is_null() {
                // SAFETY: the module has just written so many bytes there, and their number.
                unsafe { spoiled(spoil, out, out_len) };
            }
            code
        }
    )*};
}

giving_bytes! {
    C_Encrypt;
    C_EncryptUpdate;
    C_Sign;
}

/// # Safety
/// `len` points to the number of bytes that `out` points to.
unsafe fn spoiled(spoil: Option<Fault>, out: *mut CK_BYTE, len: *mut CK_ULONG) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    match spoil {
        Some(Fault::Garbage) => {
            // SAFETY: as the caller promises.
            let bytes = unsafe { slice::from_raw_parts_mut(out, *len as usize) };
            bytes.iter_mut().for_each(|byte| *byte = NEXT.fetch_add(37, Ordering::Relaxed));
        }
        // SAFETY: as the caller promises.
        Some(Fault::Short) => unsafe { *len = (*len).saturating_sub(1) },
        // SAFETY: as the caller promises.
        Some(Fault::Long) => unsafe { *len += 1 },
        Some(Fault::Fail(_)) | None => {}
    }
}

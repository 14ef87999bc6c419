//! The module, its slot, its token, and sessions.

use cryptoki_sys::*;

use super::{SLOT, VERSION, fill_numbers, insist_on_slot, locked, padded, with_module};
use crate::mechanism;
use crate::memory::{Input, place};
use crate::module::{Module, PIN_BYTES};

pub(super) unsafe extern "C" fn initialize(arguments: *mut std::ffi::c_void) -> CK_RV {
    locked(|module| {
        // SAFETY: null or the caller's arguments, which are only read.
        let arguments = unsafe { arguments.cast::<CK_C_INITIALIZE_ARGS>().as_ref() };
        if arguments.is_some_and(|arguments| !arguments.pReserved.is_null()) {
            return Err(CKR_ARGUMENTS_BAD);
        }
        if module.is_some() {
            return Err(CKR_CRYPTOKI_ALREADY_INITIALIZED);
        }
        *module = Some(Module::new());
        Ok(())
    })
}

pub(super) unsafe extern "C" fn finalize(reserved: *mut std::ffi::c_void) -> CK_RV {
    locked(|module| {
        if !reserved.is_null() {
            return Err(CKR_ARGUMENTS_BAD);
        }
        module.take().map(drop).ok_or(CKR_CRYPTOKI_NOT_INITIALIZED)
    })
}

pub(super) unsafe extern "C" fn get_info(info: *mut CK_INFO) -> CK_RV {
    with_module(|_| {
        // SAFETY: null or the caller's to write.
        *unsafe { place(info) }? = CK_INFO {
            cryptokiVersion: CK_VERSION { major: 2, minor: 40 },
            manufacturerID: padded("Signalbox"),
            flags: 0,
            libraryDescription: padded("DEV-ONLY software token"),
            libraryVersion: VERSION,
        };
        Ok(())
    })
}

pub(super) unsafe extern "C" fn get_slot_list(
    with_token: CK_BBOOL,
    list: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        let slots: &[CK_SLOT_ID] = if with_token == 0 || module.is_present() { &[SLOT] } else { &[] };
        // SAFETY: null or the caller's, as long as `count` says.
        unsafe { fill_numbers(list, count, slots) }
    })
}

pub(super) unsafe extern "C" fn get_slot_info(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        // SAFETY: null or the caller's to write.
        *unsafe { place(info) }? = CK_SLOT_INFO {
            slotDescription: padded("DEV-ONLY: keys in software, never for production"),
            manufacturerID: padded("Signalbox"),
            flags: if module.is_present() { CKF_TOKEN_PRESENT } else { 0 },
            hardwareVersion: VERSION,
            firmwareVersion: VERSION,
        };
        Ok(())
    })
}

pub(super) unsafe extern "C" fn get_token_info(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        if !module.is_present() {
            return Err(CKR_TOKEN_NOT_PRESENT);
        }
        let image = module.image()?;
        let mut flags = CKF_RNG | CKF_LOGIN_REQUIRED;
        if let Some(image) = &image {
            flags |= CKF_TOKEN_INITIALIZED;
            flags |= if image.has_user() { CKF_USER_PIN_INITIALIZED } else { 0 };
        }
        let count = |of: fn(bool) -> bool| {
            CK_ULONG::try_from(module.sessions().filter(|session| of(session.is_rw)).count())
                .unwrap_or(CK_ULONG::MAX)
        };
        // SAFETY: null or the caller's to write.
        *unsafe { place(info) }? = CK_TOKEN_INFO {
            label: image.as_ref().map_or(padded(""), |image| image.label),
            manufacturerID: padded("Signalbox"),
            model: padded(crate::MODEL),
            serialNumber: image.as_ref().map_or(padded(""), |image| image.serial),
            flags,
            ulSessionCount: count(|_| true),
            ulRwSessionCount: count(|is_rw| is_rw),
            ulMaxPinLen: *PIN_BYTES.end() as CK_ULONG,
            ulMinPinLen: *PIN_BYTES.start() as CK_ULONG,
            ulTotalPublicMemory: cryptoki_sys::CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: cryptoki_sys::CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: cryptoki_sys::CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: cryptoki_sys::CK_UNAVAILABLE_INFORMATION,
            hardwareVersion: VERSION,
            firmwareVersion: VERSION,
            utcTime: padded(""),
            ..CK_TOKEN_INFO::default()
        };
        Ok(())
    })
}

pub(super) unsafe extern "C" fn get_mechanism_list(
    slot: CK_SLOT_ID,
    list: *mut CK_MECHANISM_TYPE,
    count: *mut CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        let all: Vec<_> = module.mechanisms().map(|mechanism| mechanism.number).collect();
        // SAFETY: null or the caller's, as long as `count` says.
        unsafe { fill_numbers(list, count, &all) }
    })
}

pub(super) unsafe extern "C" fn get_mechanism_info(
    slot: CK_SLOT_ID,
    number: CK_MECHANISM_TYPE,
    info: *mut CK_MECHANISM_INFO,
) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        module.insist_on_mechanism(number)?;
        let mechanism = mechanism::of(number).ok_or(CKR_MECHANISM_INVALID)?;
        let (ul_min, ul_max) = mechanism.key_bytes;
        // SAFETY: null or the caller's to write.
        *unsafe { place(info) }? =
            CK_MECHANISM_INFO { ulMinKeySize: ul_min, ulMaxKeySize: ul_max, flags: mechanism.flags };
        Ok(())
    })
}

pub(super) unsafe extern "C" fn init_token(
    slot: CK_SLOT_ID,
    pin: *mut CK_BYTE,
    pin_len: CK_ULONG,
    label: *mut CK_BYTE,
) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        // SAFETY: null or the caller's bytes; a label has 32.
        let (pin, label) = unsafe { (Input::new(pin, pin_len)?, Input::new(label, 32)?) };
        module.initialise(pin.from(0), label.from(0).try_into().map_err(|_| CKR_ARGUMENTS_BAD)?)
    })
}

pub(super) unsafe extern "C" fn init_pin(
    session: CK_SESSION_HANDLE,
    pin: *mut CK_BYTE,
    pin_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's bytes.
        let pin = unsafe { Input::new(pin, pin_len)? };
        module.initialise_pin(session, pin.from(0))
    })
}

pub(super) unsafe extern "C" fn set_pin(
    session: CK_SESSION_HANDLE,
    old: *mut CK_BYTE,
    old_len: CK_ULONG,
    new: *mut CK_BYTE,
    new_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's bytes.
        let (old, new) = unsafe { (Input::new(old, old_len)?, Input::new(new, new_len)?) };
        module.set_pin(session, old.from(0), new.from(0))
    })
}

pub(super) unsafe extern "C" fn open_session(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    _application: *mut std::ffi::c_void,
    _notify: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        // SAFETY: null or the caller's to write.
        let place = unsafe { place(session) }?;
        *place = module.open_session(flags)?;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn close_session(session: CK_SESSION_HANDLE) -> CK_RV {
    with_module(|module| module.close_session(session))
}

pub(super) unsafe extern "C" fn close_all_sessions(slot: CK_SLOT_ID) -> CK_RV {
    with_module(|module| {
        insist_on_slot(slot)?;
        module.close_all_sessions();
        Ok(())
    })
}

pub(super) unsafe extern "C" fn get_session_info(
    session: CK_SESSION_HANDLE,
    info: *mut CK_SESSION_INFO,
) -> CK_RV {
    with_module(|module| {
        let (user, is_rw) = (module.user(), module.session(session)?.is_rw);
        let state = match (user, is_rw) {
            (Some(CKU_SO), _) => CKS_RW_SO_FUNCTIONS,
            (Some(_), true) => CKS_RW_USER_FUNCTIONS,
            (Some(_), false) => CKS_RO_USER_FUNCTIONS,
            (None, true) => CKS_RW_PUBLIC_SESSION,
            (None, false) => CKS_RO_PUBLIC_SESSION,
        };
        let flags = CKF_SERIAL_SESSION | if is_rw { CKF_RW_SESSION } else { 0 };
        // SAFETY: null or the caller's to write.
        *unsafe { place(info) }? = CK_SESSION_INFO { slotID: SLOT, state, flags, ulDeviceError: 0 };
        Ok(())
    })
}

pub(super) unsafe extern "C" fn login(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_BYTE,
    pin_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's bytes.
        let pin = unsafe { Input::new(pin, pin_len)? };
        module.log_in(session, user, pin.from(0))
    })
}

pub(super) unsafe extern "C" fn logout(session: CK_SESSION_HANDLE) -> CK_RV {
    with_module(|module| module.log_out(session))
}

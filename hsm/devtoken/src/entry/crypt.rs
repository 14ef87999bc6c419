//! Encryption, decryption, MACs.

use cryptoki_sys::*;

use super::{mechanism_of, with_module};
use crate::memory::{Input, Output};
use crate::module::Module;
use crate::operation::{Purpose, Way};

/// The way is part of the type, so that each way has its own C functions.
macro_rules! crypt {
    ($way:expr, $init:ident, $whole:ident, $update:ident, $last:ident) => {
        pub(super) unsafe extern "C" fn $init(
            session: CK_SESSION_HANDLE,
            mechanism: *mut CK_MECHANISM,
            key: CK_OBJECT_HANDLE,
        ) -> CK_RV {
            with_module(|module| {
                // SAFETY: null or the caller's mechanism, with its parameter.
                let (number, parameter) = unsafe { mechanism_of(mechanism)? };
                module.start_crypt(session, $way, (number, parameter.from(0)), key)
            })
        }

        pub(super) unsafe extern "C" fn $whole(
            session: CK_SESSION_HANDLE,
            data: *mut CK_BYTE,
            data_len: CK_ULONG,
            out: *mut CK_BYTE,
            out_len: *mut CK_ULONG,
        ) -> CK_RV {
            with_module(|module| {
                let crypt = module.crypt(session, $way)?;
                // SAFETY: null or the caller's bytes, and room as long as `out_len` says.
                let (input, output) = unsafe { (Input::new(data, data_len)?, Output::new(out, out_len)?) };
                let outcome = crypt.can_end_with(input.len()).and_then(|()| crypt.update(&input, output));
                unless_asked_for_room(module, session, outcome)
            })
        }

        pub(super) unsafe extern "C" fn $update(
            session: CK_SESSION_HANDLE,
            data: *mut CK_BYTE,
            data_len: CK_ULONG,
            out: *mut CK_BYTE,
            out_len: *mut CK_ULONG,
        ) -> CK_RV {
            with_module(|module| {
                let crypt = module.crypt(session, $way)?;
                // SAFETY: null or the caller's bytes, and room as long as `out_len` says.
                let (input, output) = unsafe { (Input::new(data, data_len)?, Output::new(out, out_len)?) };
                crypt.update(&input, output).map(drop)
            })
        }

        pub(super) unsafe extern "C" fn $last(
            session: CK_SESSION_HANDLE,
            out: *mut CK_BYTE,
            out_len: *mut CK_ULONG,
        ) -> CK_RV {
            with_module(|module| {
                let outcome = module.crypt(session, $way)?.can_end_with(0);
                // SAFETY: null or room as long as `out_len` says; nothing is written into it but its length.
                let output = unsafe { Output::new(out, out_len)? };
                let outcome = outcome.and_then(|()| output.fill(&[]));
                unless_asked_for_room(module, session, outcome)
            })
        }
    };
}

crypt!(Way::Encrypt, encrypt_init, encrypt, encrypt_update, encrypt_final);
crypt!(Way::Decrypt, decrypt_init, decrypt, decrypt_update, decrypt_final);

/// Ends an operation with its outcome, unless the caller only asked how much room the outcome takes.
fn unless_asked_for_room(
    module: &mut Module,
    session: CK_SESSION_HANDLE,
    outcome: Result<bool, CK_RV>,
) -> Result<(), CK_RV> {
    if !matches!(outcome, Ok(false) | Err(CKR_BUFFER_TOO_SMALL)) {
        module.end(session);
    }
    outcome.map(drop)
}

pub(super) unsafe extern "C" fn sign_init(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    // SAFETY: as `mac_init` asks.
    unsafe { mac_init(session, mechanism, key, Purpose::Sign) }
}

pub(super) unsafe extern "C" fn verify_init(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    // SAFETY: as `mac_init` asks.
    unsafe { mac_init(session, mechanism, key, Purpose::Verify) }
}

unsafe fn mac_init(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
    purpose: Purpose,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's mechanism, with its parameter.
        let (number, parameter) = unsafe { mechanism_of(mechanism)? };
        if parameter.len() > 0 {
            return Err(CKR_MECHANISM_PARAM_INVALID);
        }
        module.start_mac(session, purpose, number, key)
    })
}

pub(super) unsafe extern "C" fn sign(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    out: *mut CK_BYTE,
    out_len: *mut CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        let mac = module.mac(session, Purpose::Sign)?;
        // SAFETY: null or the caller's bytes, and room as long as `out_len` says.
        let (input, output) = unsafe { (Input::new(data, data_len)?, Output::new(out, out_len)?) };
        let outcome = match output.is_enough_for(mac.bytes()) {
            Ok(true) => mac.made(input.from(0)).and_then(|made| output.fill(&made)),
            Ok(false) | Err(_) => output.fill(&[0; 32][..mac.bytes()]),
        };
        unless_asked_for_room(module, session, outcome)
    })
}

pub(super) unsafe extern "C" fn sign_update(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's bytes.
        let input = unsafe { Input::new(data, data_len)? };
        module.mac(session, Purpose::Sign)?.update(input.from(0));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn sign_final(
    session: CK_SESSION_HANDLE,
    out: *mut CK_BYTE,
    out_len: *mut CK_ULONG,
) -> CK_RV {
    // SAFETY: no data, and room as `sign` asks.
    unsafe { sign(session, std::ptr::null_mut(), 0, out, out_len) }
}

pub(super) unsafe extern "C" fn verify(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
    mac: *mut CK_BYTE,
    mac_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        let making = module.mac(session, Purpose::Verify)?;
        // SAFETY: null or the caller's bytes.
        let (input, shown) = unsafe { (Input::new(data, data_len)?, Input::new(mac, mac_len)?) };
        let made = making.made(input.from(0));
        module.end(session);
        let made = made?;
        if shown.len() != made.len() {
            return Err(CKR_SIGNATURE_LEN_RANGE);
        }
        let differing = made.iter().zip(shown.from(0)).fold(0, |sum, (one, other)| sum | (one ^ other));
        if differing == 0 { Ok(()) } else { Err(CKR_SIGNATURE_INVALID) }
    })
}

pub(super) unsafe extern "C" fn verify_update(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's bytes.
        let input = unsafe { Input::new(data, data_len)? };
        module.mac(session, Purpose::Verify)?.update(input.from(0));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn verify_final(
    session: CK_SESSION_HANDLE,
    mac: *mut CK_BYTE,
    mac_len: CK_ULONG,
) -> CK_RV {
    // SAFETY: no data, and a MAC as `verify` asks.
    unsafe { verify(session, std::ptr::null_mut(), 0, mac, mac_len) }
}

//! What a program calls: the functions of PKCS#11 2.40, reached through `C_GetFunctionList`, which is the only
//! symbol that is exported. Any other would be found by a second module in the same process in place of its own.
//!
//! Every function runs behind one lock, and none lets a panic out: the caller is C, and a panic there is the end of
//! the process. After one the module counts as not initialised, because nothing it holds can be believed.
//!
//! The contract behind the unsafe blocks is PKCS#11's: pointers are null or valid for the time of the call, for as
//! much as their lengths say. `memory` checks for null and turns them into slices.

mod absent;
mod crypt;
mod keys;
mod token;

use std::panic::{AssertUnwindSafe, catch_unwind};
#[allow(
    clippy::disallowed_types,
    reason = "a PKCS#11 module is called from whatever threads the caller has"
)]
use std::sync::{Mutex, PoisonError};

use cryptoki_sys::*;

use crate::memory::{Input, Output, place};
use crate::module::Module;

/// The one slot.
const SLOT: CK_SLOT_ID = 0;

#[allow(clippy::disallowed_types, reason = "a PKCS#11 module is called from whatever threads the caller has")]
static MODULE: Mutex<Option<Module>> = Mutex::new(None);

/// Does something behind the lock. A panic is an error of the module, and the end of everything it held.
fn locked(call: impl FnOnce(&mut Option<Module>) -> Result<(), CK_RV>) -> CK_RV {
    let mut module = MODULE.lock().unwrap_or_else(PoisonError::into_inner);
    match catch_unwind(AssertUnwindSafe(|| call(&mut module))) {
        Ok(Ok(())) => CKR_OK,
        Ok(Err(refusal)) => refusal,
        Err(_) => {
            *module = None;
            CKR_GENERAL_ERROR
        }
    }
}

/// Does something with a module that was initialised.
fn with_module(call: impl FnOnce(&mut Module) -> Result<(), CK_RV>) -> CK_RV {
    locked(|module| call(module.as_mut().ok_or(CKR_CRYPTOKI_NOT_INITIALIZED)?))
}

/// Tells where the functions are.
///
/// # Safety
///
/// `list` is null, or points to a pointer that is the caller's to write.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is the standard's")]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    // SAFETY: null or the caller's to write.
    match unsafe { place(list) } {
        Ok(list) => {
            *list = (&raw const FUNCTIONS).cast_mut();
            CKR_OK
        }
        Err(refusal) => refusal,
    }
}

static FUNCTIONS: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
    version: CK_VERSION { major: 2, minor: 40 },
    C_Initialize: Some(token::initialize),
    C_Finalize: Some(token::finalize),
    C_GetInfo: Some(token::get_info),
    C_GetFunctionList: Some(C_GetFunctionList),
    C_GetSlotList: Some(token::get_slot_list),
    C_GetSlotInfo: Some(token::get_slot_info),
    C_GetTokenInfo: Some(token::get_token_info),
    C_GetMechanismList: Some(token::get_mechanism_list),
    C_GetMechanismInfo: Some(token::get_mechanism_info),
    C_InitToken: Some(token::init_token),
    C_InitPIN: Some(token::init_pin),
    C_SetPIN: Some(token::set_pin),
    C_OpenSession: Some(token::open_session),
    C_CloseSession: Some(token::close_session),
    C_CloseAllSessions: Some(token::close_all_sessions),
    C_GetSessionInfo: Some(token::get_session_info),
    C_GetOperationState: Some(absent::get_operation_state),
    C_SetOperationState: Some(absent::set_operation_state),
    C_Login: Some(token::login),
    C_Logout: Some(token::logout),
    C_CreateObject: Some(keys::create_object),
    C_CopyObject: Some(keys::copy_object),
    C_DestroyObject: Some(keys::destroy_object),
    C_GetObjectSize: Some(absent::get_object_size),
    C_GetAttributeValue: Some(keys::get_attribute_value),
    C_SetAttributeValue: Some(keys::set_attribute_value),
    C_FindObjectsInit: Some(keys::find_objects_init),
    C_FindObjects: Some(keys::find_objects),
    C_FindObjectsFinal: Some(keys::find_objects_final),
    C_EncryptInit: Some(crypt::encrypt_init),
    C_Encrypt: Some(crypt::encrypt),
    C_EncryptUpdate: Some(crypt::encrypt_update),
    C_EncryptFinal: Some(crypt::encrypt_final),
    C_DecryptInit: Some(crypt::decrypt_init),
    C_Decrypt: Some(crypt::decrypt),
    C_DecryptUpdate: Some(crypt::decrypt_update),
    C_DecryptFinal: Some(crypt::decrypt_final),
    C_DigestInit: Some(absent::digest_init),
    C_Digest: Some(absent::bytes_to_bytes),
    C_DigestUpdate: Some(absent::digest_update),
    C_DigestKey: Some(absent::digest_key),
    C_DigestFinal: Some(absent::digest_final),
    C_SignInit: Some(crypt::sign_init),
    C_Sign: Some(crypt::sign),
    C_SignUpdate: Some(crypt::sign_update),
    C_SignFinal: Some(crypt::sign_final),
    C_SignRecoverInit: Some(absent::recover_init),
    C_SignRecover: Some(absent::bytes_to_bytes),
    C_VerifyInit: Some(crypt::verify_init),
    C_Verify: Some(crypt::verify),
    C_VerifyUpdate: Some(crypt::verify_update),
    C_VerifyFinal: Some(crypt::verify_final),
    C_VerifyRecoverInit: Some(absent::recover_init),
    C_VerifyRecover: Some(absent::bytes_to_bytes),
    C_DigestEncryptUpdate: Some(absent::bytes_to_bytes),
    C_DecryptDigestUpdate: Some(absent::bytes_to_bytes),
    C_SignEncryptUpdate: Some(absent::bytes_to_bytes),
    C_DecryptVerifyUpdate: Some(absent::bytes_to_bytes),
    C_GenerateKey: Some(keys::generate_key),
    C_GenerateKeyPair: Some(absent::generate_key_pair),
    C_WrapKey: Some(keys::wrap_key),
    C_UnwrapKey: Some(keys::unwrap_key),
    C_DeriveKey: Some(keys::derive_key),
    C_SeedRandom: Some(absent::seed_random),
    C_GenerateRandom: Some(keys::generate_random),
    C_GetFunctionStatus: Some(absent::of_session),
    C_CancelFunction: Some(absent::of_session),
    C_WaitForSlotEvent: Some(absent::wait_for_slot_event),
};

const VERSION: CK_VERSION = CK_VERSION { major: 1, minor: 0 };

fn insist_on_slot(slot: CK_SLOT_ID) -> Result<(), CK_RV> {
    if slot == SLOT { Ok(()) } else { Err(CKR_SLOT_ID_INVALID) }
}

/// Text as PKCS#11 has it: blanks up to its length, and no zero at its end.
fn padded<const N: usize>(text: &str) -> [CK_BYTE; N] {
    let mut padded = [b' '; N];
    padded.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    padded
}

/// # Safety
///
/// `at` is null or points to a mechanism whose parameter is null or as long as it says, until the call returns.
unsafe fn mechanism_of<'a>(at: *mut CK_MECHANISM) -> Result<(CK_MECHANISM_TYPE, Input<'a>), CK_RV> {
    // SAFETY: null or readable, by contract.
    let mechanism = unsafe { at.as_ref() }.ok_or(CKR_ARGUMENTS_BAD)?;
    // SAFETY: the parameter with its length, by contract.
    let parameter = unsafe { Input::new(mechanism.pParameter.cast(), mechanism.ulParameterLen) };
    Ok((mechanism.mechanism, parameter.map_err(|_| CKR_MECHANISM_PARAM_INVALID)?))
}

/// # Safety
///
/// As [`Output::new`] asks, but that the length counts numbers.
unsafe fn fill_numbers(at: *mut CK_ULONG, count: *mut CK_ULONG, numbers: &[CK_ULONG]) -> Result<(), CK_RV> {
    const BYTES: CK_ULONG = size_of::<CK_ULONG>() as CK_ULONG;
    // SAFETY: null or the caller's to write, by contract.
    let count = unsafe { place(count) }?;
    let mut bytes = count.saturating_mul(BYTES);
    let told: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    // SAFETY: `at` is as long as `count` numbers, by contract.
    let outcome = unsafe { Output::new(at.cast(), &mut bytes)? }.fill(&told);
    *count = bytes / BYTES;
    outcome.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_module_is_gone() {
        locked(|module| {
            *module = Some(Module::new());
            Ok(())
        });
        assert_eq!(with_module(|_| panic!("planted")), CKR_GENERAL_ERROR);
        assert_eq!(with_module(|_| Ok(())), CKR_CRYPTOKI_NOT_INITIALIZED);
    }
}

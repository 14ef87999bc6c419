//! What PKCS#11 has and this token has not.

use cryptoki_sys::*;

/// Functions of the standard that this token has not.
macro_rules! unsupported {
    ($($name:ident($($argument:ty),*);)*) => {$(
        pub(super) unsafe extern "C" fn $name($(_: $argument),*) -> CK_RV {
            CKR_FUNCTION_NOT_SUPPORTED
        }
    )*};
}

unsupported! {
    get_operation_state(CK_SESSION_HANDLE, *mut CK_BYTE, *mut CK_ULONG);
    set_operation_state(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE);
    get_object_size(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, *mut CK_ULONG);
    digest_init(CK_SESSION_HANDLE, *mut CK_MECHANISM);
    digest_update(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG);
    digest_key(CK_SESSION_HANDLE, CK_OBJECT_HANDLE);
    digest_final(CK_SESSION_HANDLE, *mut CK_BYTE, *mut CK_ULONG);
    recover_init(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE);
    bytes_to_bytes(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG);
    generate_key_pair(
        CK_SESSION_HANDLE, *mut CK_MECHANISM, *mut CK_ATTRIBUTE, CK_ULONG, *mut CK_ATTRIBUTE, CK_ULONG,
        *mut CK_OBJECT_HANDLE, *mut CK_OBJECT_HANDLE
    );
    seed_random(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG);
    of_session(CK_SESSION_HANDLE);
    wait_for_slot_event(CK_FLAGS, *mut CK_SLOT_ID, *mut std::ffi::c_void);
}

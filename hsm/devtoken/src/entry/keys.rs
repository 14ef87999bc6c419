//! Keys: looked for, read, changed, made.

use cryptoki_sys::*;

use super::{fill_numbers, mechanism_of, with_module};
use crate::image::fill_random;
use crate::memory::{Input, Output, fill_template, parameter, place, template};
use crate::operation::Operation;

pub(super) unsafe extern "C" fn create_object(
    session: CK_SESSION_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's template and place.
        let (template, place) = unsafe { (template(attributes, count)?, place(object)?) };
        *place = module.create(session, &template)?;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn copy_object(
    session: CK_SESSION_HANDLE,
    original: CK_OBJECT_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    object: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's template and place.
        let (template, place) = unsafe { (template(attributes, count)?, place(object)?) };
        *place = module.copy(session, original, &template)?;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn destroy_object(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
) -> CK_RV {
    with_module(|module| module.destroy(session, object))
}

pub(super) unsafe extern "C" fn get_attribute_value(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        module.session(session)?;
        let is_user = module.user() == Some(CKU_USER);
        let object = module.object(object)?;
        if object.flag(CKA_PRIVATE) && !is_user {
            return Err(CKR_USER_NOT_LOGGED_IN);
        }
        // SAFETY: null or the caller's template, to be filled.
        unsafe { fill_template(attributes, count, |number| object.read(number)) }
    })
}

pub(super) unsafe extern "C" fn set_attribute_value(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's template.
        let template = unsafe { template(attributes, count)? };
        module.change_object(session, object, &template)
    })
}

pub(super) unsafe extern "C" fn find_objects_init(
    session: CK_SESSION_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's template.
        let template = unsafe { template(attributes, count)? };
        module.insist_on_idle(session)?;
        module.look_again()?;
        let mut found = module.find(&template);
        found.reverse();
        module.session(session)?.operation = Some(Operation::Find(found));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn find_objects(
    session: CK_SESSION_HANDLE,
    objects: *mut CK_OBJECT_HANDLE,
    most: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        let Some(Operation::Find(left)) = &mut module.session(session)?.operation else {
            return Err(CKR_OPERATION_NOT_INITIALIZED);
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(left.len());
        let told: Vec<_> = left.split_off(left.len() - most).into_iter().rev().collect();
        let mut room = CK_ULONG::try_from(told.len()).map_err(|_| CKR_ARGUMENTS_BAD)?;
        // SAFETY: null or the caller's to write.
        *unsafe { place(count) }? = room;
        // SAFETY: null or the caller's, and at least as long as what is told.
        unsafe { fill_numbers(objects, &mut room, &told) }
    })
}

pub(super) unsafe extern "C" fn find_objects_final(session: CK_SESSION_HANDLE) -> CK_RV {
    with_module(|module| match module.session(session)?.operation {
        Some(Operation::Find(_)) => {
            module.end(session);
            Ok(())
        }
        _ => Err(CKR_OPERATION_NOT_INITIALIZED),
    })
}

pub(super) unsafe extern "C" fn generate_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's mechanism, template and place.
        let ((number, _), template, place) =
            unsafe { (mechanism_of(mechanism)?, template(attributes, count)?, place(key)?) };
        *place = module.generate(session, number, &template)?;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn wrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    wrapping: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    out: *mut CK_BYTE,
    out_len: *mut CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's mechanism, and room as long as `out_len` says.
        let ((number, _), output) = unsafe { (mechanism_of(mechanism)?, Output::new(out, out_len)?) };
        output.fill(&module.wrap(session, number, wrapping, key)?).map(drop)
    })
}

pub(super) unsafe extern "C" fn unwrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    wrapping: CK_OBJECT_HANDLE,
    wrapped: *mut CK_BYTE,
    wrapped_len: CK_ULONG,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's mechanism, bytes, template and place.
        let ((number, _), wrapped, template, place) = unsafe {
            (
                mechanism_of(mechanism)?,
                Input::new(wrapped, wrapped_len)?,
                template(attributes, count)?,
                place(key)?,
            )
        };
        *place = module.unwrap(session, number, wrapping, wrapped.from(0), &template)?;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn derive_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    base: CK_OBJECT_HANDLE,
    attributes: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    with_module(|module| {
        // SAFETY: null or the caller's template and place.
        let (template, place) = unsafe { (template(attributes, count)?, place(key)?) };
        // SAFETY: null or the caller's mechanism, with its parameter, whose form the mechanism says and whose
        // length is checked.
        let (number, chain, data) = unsafe {
            let number = mechanism_of(mechanism)?.0;
            match number {
                CKM_AES_CBC_ENCRYPT_DATA => {
                    let given: CK_AES_CBC_ENCRYPT_DATA_PARAMS = parameter(mechanism)?;
                    (number, given.iv.to_vec(), Input::new(given.pData, given.length)?)
                }
                CKM_DES3_CBC_ENCRYPT_DATA => {
                    let given: CK_DES_CBC_ENCRYPT_DATA_PARAMS = parameter(mechanism)?;
                    (number, given.iv.to_vec(), Input::new(given.pData, given.length)?)
                }
                _ => {
                    let given: CK_KEY_DERIVATION_STRING_DATA = parameter(mechanism)?;
                    (number, Vec::new(), Input::new(given.pData, given.ulLen)?)
                }
            }
        };
        *place = module.derive(session, number, (&chain, data.from(0)), base, &template)?;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn generate_random(
    session: CK_SESSION_HANDLE,
    out: *mut CK_BYTE,
    out_len: CK_ULONG,
) -> CK_RV {
    with_module(|module| {
        module.session(session)?;
        let mut len = out_len;
        let mut bytes =
            vec![0; usize::try_from(len).ok().filter(|len| *len <= 1 << 20).ok_or(CKR_ARGUMENTS_BAD)?];
        fill_random(&mut bytes)?;
        // SAFETY: null or the caller's room, as long as it says.
        if unsafe { Output::new(out, &mut len)? }.fill(&bytes)? { Ok(()) } else { Err(CKR_ARGUMENTS_BAD) }
    })
}

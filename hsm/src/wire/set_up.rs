//! What a worker is told first: which token, how to log in, which keys in which order.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::bytes::{Take, put_long, put_short};
use super::issuer::{put_format, take_format};
use crate::algorithm3::Padding;
use crate::plan::{KeyRequest, Plan, Purpose};
use crate::secret::Secret;
use crate::token::{CheckValue, Exposure, KeySpec};
use crate::verifier::MasterUsage;

/// Appends a plan. The PIN is in it.
pub(super) fn put(out: &mut Vec<u8>, plan: &Plan) {
    put_long(out, plan.module.as_os_str().as_bytes());
    put_long(out, plan.token.as_bytes());
    put_short(out, plan.pin.danger_clear_bytes());
    out.extend_from_slice(&(plan.keys.len() as u16).to_le_bytes());
    for key in &plan.keys {
        put_spec(out, &key.spec);
        match &key.purpose {
            Purpose::Master(usage, exposure) => {
                out.push(match usage {
                    MasterUsage::Cvc3 => 1,
                    MasterUsage::DynamicCvv => 2,
                    MasterUsage::Counter => 3,
                    MasterUsage::Response => 4,
                    MasterUsage::Cryptogram => 7,
                    MasterUsage::AesCryptogram => 8,
                });
                out.push(*exposure as u8);
            }
            Purpose::CardVerification { left } => {
                out.push(6);
                put_spec(out, left);
            }
            Purpose::Pepper => out.push(9),
            Purpose::ResponseHmac => out.push(10),
            Purpose::PinIn(format) => {
                out.push(11);
                put_format(out, *format);
            }
            Purpose::PinOut { format, danger_changes_pan } => {
                out.push(12);
                put_format(out, *format);
                out.push((*danger_changes_pan).into());
            }
            Purpose::MacAlgorithm3 { left, padding } => {
                out.push(13);
                put_spec(out, left);
                out.push((*padding == Padding::OneBit).into());
            }
            Purpose::MacTripleDesCmac => out.push(14),
            Purpose::MacAesCmac => out.push(15),
        }
    }
    out.extend_from_slice(&plan.card_keys.to_le_bytes());
}

/// Reads a plan.
pub(super) fn take(from: &mut Take<'_>) -> Option<Plan> {
    let module = PathBuf::from(OsStr::from_bytes(from.long()?));
    let token = text(from.long()?)?;
    let pin = Secret::new(from.short()?.to_vec());
    let count = from.u16()?;
    let key = |_| {
        let spec = take_spec(from)?;
        let purpose = match from.u8()? {
            1 => Purpose::Master(MasterUsage::Cvc3, take_exposure(from)?),
            2 => Purpose::Master(MasterUsage::DynamicCvv, take_exposure(from)?),
            3 => Purpose::Master(MasterUsage::Counter, take_exposure(from)?),
            4 => Purpose::Master(MasterUsage::Response, take_exposure(from)?),
            6 => Purpose::CardVerification { left: take_spec(from)? },
            7 => Purpose::Master(MasterUsage::Cryptogram, take_exposure(from)?),
            8 => Purpose::Master(MasterUsage::AesCryptogram, take_exposure(from)?),
            9 => Purpose::Pepper,
            10 => Purpose::ResponseHmac,
            11 => Purpose::PinIn(take_format(from)?),
            12 => Purpose::PinOut { format: take_format(from)?, danger_changes_pan: from.u8()? == 1 },
            13 => Purpose::MacAlgorithm3 {
                left: take_spec(from)?,
                padding: if from.u8()? == 1 { Padding::OneBit } else { Padding::Zeros },
            },
            14 => Purpose::MacTripleDesCmac,
            15 => Purpose::MacAesCmac,
            _ => return None,
        };
        Some(KeyRequest { spec, purpose })
    };
    let keys = (0..count).map(key).collect::<Option<_>>()?;
    Some(Plan { module, token, pin, keys, card_keys: from.u32()? })
}

fn take_exposure(from: &mut Take<'_>) -> Option<Exposure> {
    let named = from.u8()?;
    [Exposure::None, Exposure::Session, Exposure::Card].into_iter().find(|exposure| *exposure as u8 == named)
}

fn put_spec(out: &mut Vec<u8>, spec: &KeySpec) {
    put_long(out, spec.label.as_bytes());
    out.extend_from_slice(&spec.check_value.0);
    out.push(spec.danger_modifiable.into());
}

fn take_spec(from: &mut Take<'_>) -> Option<KeySpec> {
    Some(KeySpec {
        label: text(from.long()?)?,
        check_value: CheckValue(from.array()?),
        danger_modifiable: from.u8()? == 1,
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

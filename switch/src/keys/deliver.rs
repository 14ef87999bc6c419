//! `signalbox keys deliver`: the private counters of bundles, each sealed to the key of the device that is to have them.
//! JSON lines in, JSON lines out; nothing but the device can open what comes out.

use std::path::Path;

use codecs::value::Pan;
use hsm::token::{CheckValue, KeySpec, Token};
use hsm::{Bundle, Courier, Sealed};
use serde::Deserialize;
use serde_json::json;

use super::{TokenArguments, first_line};

pub(super) const HELP: &str = r#"  in   {"pan":"9999100000000010","psn":1,"id":1,"first":40,"count":10,"device_key":"<64 hexadecimal digits>"}
  out  {"card":"999910******0010","id":1,"first":40,"count":10,"aad":"...","enc":"...","ciphertext":"..."}

The device opens it by RFC 9180 in base mode, with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM, info
"signalbox private counters 1" and the aad told; inside are the counters, 16 bytes each, in the order of their public ATCs."#;

/// One bundle and its device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    pan: String,
    #[serde(default)]
    psn: u8,
    id: u32,
    first: u16,
    count: u16,
    /// An X25519 public key, 64 hexadecimal digits.
    device_key: String,
}

/// The most entries of one bundle, as `/v1` has it.
const COUNT_MAX: u16 = 1_000;

/// Seals what a file asks for.
pub(super) fn deliver(
    token: &TokenArguments,
    label: &str,
    check_value: &str,
    modifiable_key: bool,
    file: Option<&Path>,
) -> Result<String, String> {
    let check_value = bytes::<3>(check_value).ok_or("the check value is not six hexadecimal digits")?;
    let opened = Token::open(&token.module, &token.token, &first_line(&token.pin_file)?);
    let spec = KeySpec {
        label: label.to_owned(),
        check_value: CheckValue(check_value),
        danger_modifiable: modifiable_key,
    };
    let courier = Courier::open(opened.map_err(|why| why.to_string())?, &spec);
    let mut courier = courier.map_err(|why| why.to_string())?;
    let text = crate::cards::lines(file)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let sealed = lines.map(|(number, line)| {
        deliver_one(&mut courier, line).map_err(|why| format!("line {number}: {why}; nothing was delivered"))
    });
    sealed.collect::<Result<Vec<_>, _>>().map(|lines| lines.join("\n"))
}

fn deliver_one(courier: &mut Courier, line: &str) -> Result<String, String> {
    // The reader's own words may quote what was written.
    let line: Line = serde_json::from_str(line)
        .map_err(|why| format!("not the JSON that is expected here (column {})", why.column()))?;
    let pan = Pan::parse(line.pan.as_bytes()).filter(Pan::luhn_ok).ok_or("pan: no card number")?;
    let device_key = bytes::<32>(&line.device_key).ok_or("device_key: not 64 hexadecimal digits")?;
    if line.psn > 99 {
        return Err("psn: 0 to 99".to_owned());
    }
    if !(1..=COUNT_MAX).contains(&line.count) || u32::from(line.first) + u32::from(line.count) > 10_000 {
        return Err("first, count: 1 to 1000 of the public ATCs 0 to 9999".to_owned());
    }
    let account = crate::crypto::account(pan.danger_clear_digits(), line.psn);
    let bundle = Bundle { account, id: line.id, first: line.first, count: line.count };
    let Sealed { enc, ciphertext } = courier.seal(&bundle, &device_key).map_err(|why| why.to_string())?;
    let told = json!({
        "card": format!("{pan:?}"),
        "id": line.id,
        "first": line.first,
        "count": line.count,
        "aad": hexadecimal(&bundle.aad()),
        "enc": hexadecimal(&enc),
        "ciphertext": hexadecimal(&ciphertext),
    });
    Ok(told.to_string())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    super::bytes(text)?.try_into().ok()
}

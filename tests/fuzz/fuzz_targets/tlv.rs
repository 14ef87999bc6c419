//! Any bytes as a list of data objects: read, written again, read to the same.

#![no_main]

use codecs::emv::icc_data::IccData;
use codecs::tlv::{Tlv, TlvWriter, Tlvs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let objects: Result<Vec<Tlv<'_>>, _> = Tlvs::new(bytes).collect();
    if let Ok(icc) = IccData::parse(bytes) {
        let _ =
            (icc.cryptogram(), icc.cryptogram_type(), icc.atc(), icc.un(), icc.tvr(), icc.aip(), icc.iad());
        let _ = (icc.pan_sequence(), icc.issuer_authentication(), icc.signed_data());
        assert!(objects.is_ok(), "chip data that is no list");
    }
    let Ok(objects) = objects else { return };
    let mut room = vec![0; bytes.len() + 16];
    let mut writer = TlvWriter::new(&mut room);
    for object in &objects {
        writer.put(object.tag, object.value).expect("no form is longer than the one it was read in");
    }
    let again: Vec<_> = Tlvs::new(writer.into_written()).map(|object| object.expect("our own")).collect();
    let plain = |objects: &[Tlv<'_>]| -> Vec<(u32, Vec<u8>)> {
        objects.iter().map(|object| (object.tag, object.value.to_vec())).collect()
    };
    assert_eq!(plain(&objects), plain(&again));
});

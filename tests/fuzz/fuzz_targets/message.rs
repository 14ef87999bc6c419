//! Any bytes as a message of every dialect: parsed, checked, every element read.

#![no_main]

use codecs::emv::icc_data::IccData;
use codecs::iso8583::{BUILT_IN, De, Index, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, bytes @ ..] = data else { return };
    let (_, dialect) = BUILT_IN[usize::from(*choice) % BUILT_IN.len()];
    let mut index = Index::new();
    if let Err(error) = dialect.parse(bytes, &mut index) {
        assert!(usize::from(error.offset) <= bytes.len());
    }
    let _ = dialect.check_rules(&index);
    let message = Message::new(dialect, bytes, &index);
    let mut room = [0; 4096];
    for de in index.present().iter() {
        let (raw, value) = (message.raw(de).expect("indexed"), message.value(de).expect("indexed"));
        assert!(raw.ends_with(value));
        let offset = usize::from(message.value_offset(de).expect("indexed"));
        assert_eq!(&bytes[offset..offset + value.len()], value);
        let _ = (message.decode(de, &mut room), message.number(de));
    }
    let _ = (message.pan(), message.amount(), message.currency(), message.stan(), message.rrn());
    let _ = (message.transmission_time(), message.local_time(), message.local_date(), message.expiry());
    let _ = (message.processing_code(), message.merchant_type(), message.pos_entry(), message.acquirer());
    let _ = (message.terminal(), message.merchant(), message.response_code(), message.approval_code());
    let _ = (message.track2(), message.network_function(), message.original(), message.replacement_amounts());
    if let Some(icc) = message.decode(De::ICC_DATA, &mut room) {
        let _ = IccData::parse(icc);
    }
});

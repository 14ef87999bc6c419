//! Any characters as tracks, and their discretionary data in every layout.

#![no_main]

use codecs::discretionary::Layout;
use codecs::track::{Track1, Track2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(track) = Track1::parse(bytes) {
        let _ = (track.pan(), track.name(), track.expiry(), track.service_code(), track.discretionary());
    }
    let [pcvc3, punatc, rest @ ..] = bytes else { return };
    let bitmaps =
        Layout::Bitmaps { pcvc3: u16::from(*pcvc3) << 3, punatc: u16::from(*punatc) << 1, natc: pcvc3 & 7 };
    let Some(track) = Track2::parse(rest) else { return };
    let mut room = [0; 64];
    let written = track.write(&mut room).expect("37 characters at most");
    assert!(Track2::parse(written) == Some(track));
    for layout in [Layout::ROTATING, Layout::QUESTION, Layout::ROTATING_19, bitmaps] {
        if !layout.is_sound() {
            continue;
        }
        if let Ok(data) = layout.extract(track.discretionary()) {
            let mut digits = track.discretionary().to_vec();
            layout.place(&data, &mut digits).expect("what was there has its place");
            assert!(layout.extract(&digits) == Ok(data));
        }
    }
});

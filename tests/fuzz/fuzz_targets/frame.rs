//! Any bytes as a stream of frames, in any framing.

#![no_main]

use codecs::frame::{Cut, FrameFormat, LengthForm};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, header_bytes, stream @ ..] = data else { return };
    let format = FrameFormat {
        length: [LengthForm::Binary2, LengthForm::Binary4, LengthForm::Bcd2, LengthForm::Ascii4]
            [usize::from(choice & 3)],
        inclusive: choice & 4 != 0,
        keep_alive: choice & 8 != 0,
        header_bytes: header_bytes % 16,
        max_bytes: if choice & 16 != 0 { 64 } else { 4096 },
    };
    let mut rest = stream;
    while !rest.is_empty() {
        let Ok(cut) = format.cut(rest) else { return };
        rest = match cut {
            Cut::Incomplete { need } => {
                assert!(need > rest.len(), "it has what it needs and goes no further");
                return;
            }
            Cut::KeepAlive { taken } => {
                assert!(taken > 0);
                &rest[taken..]
            }
            Cut::Frame { header, message, taken } => {
                assert_eq!(header.len(), usize::from(format.header_bytes));
                arrives_in_pieces(&format, &rest[..taken]);
                seals_to_the_same(&format, header, message, &rest[..taken]);
                &rest[taken..]
            }
        };
    }
});

/// Whatever part of a frame has come, nothing is cut from it and no more is asked for than the frame has.
fn arrives_in_pieces(format: &FrameFormat, frame: &[u8]) {
    for end in 0..frame.len() {
        match format.cut(&frame[..end]) {
            Ok(Cut::Incomplete { need }) => assert!(end < need && need <= frame.len()),
            other => panic!("{end} of {} bytes gave {other:?}", frame.len()),
        }
    }
}

fn seals_to_the_same(format: &FrameFormat, header: &[u8], message: &[u8], frame: &[u8]) {
    let mut front = [0; 32];
    let overhead = format.seal(header, message.len(), &mut front).expect("what was cut can be sealed");
    assert_eq!(front[..overhead], frame[..overhead]);
}

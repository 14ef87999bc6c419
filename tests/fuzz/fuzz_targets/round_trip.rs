//! A message that parses is written again, in its own dialect and in the others of its edition, and reads the
//! same.

#![no_main]

use codecs::iso8583::{BUILT_IN, DeSet, Dialect, Encoder, Index, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, bytes @ ..] = data else { return };
    let (_, dialect) = BUILT_IN[usize::from(*choice) % BUILT_IN.len()];
    let mut index = Index::new();
    if dialect.parse(bytes, &mut index).is_err() {
        return;
    }
    let message = Message::new(dialect, bytes, &index);
    let elements = read(&message);
    for (_, other) in BUILT_IN.iter().filter(|(_, other)| other.version == dialect.version) {
        let Some(written) = write(other, &message) else { continue };
        let mut index = Index::new();
        other.parse(&written, &mut index).expect("what was written can be read");
        assert_eq!(read(&Message::new(other, &written, &index)), elements);
    }
    let copied = write(dialect, &message).expect("its own dialect has every element");
    assert_eq!(copied.len(), canonical_length(bytes, &message), "a copy byte for byte has the same length");
});

fn read(message: &Message<'_>) -> Vec<(u8, Vec<u8>)> {
    let mut room = [0; 4096];
    let mut value = |de| message.decode(de, &mut room).expect("indexed").to_vec();
    message.present().iter().map(|de| (de.number(), value(de))).collect()
}

/// `None` where the other dialect cannot hold an element: its bounds may be narrower.
fn write(dialect: &Dialect, message: &Message<'_>) -> Option<Vec<u8>> {
    let mut out = vec![0; 64 * 1024];
    let present: DeSet = message.present();
    let mti = message.mti_digits().expect("parsed");
    let mut encoder = Encoder::new_with_digits(dialect, mti, present, &mut out).expect("there is room");
    for de in present.iter() {
        encoder.copy(de, message).ok()?;
    }
    let length = encoder.finish().expect("every element was written");
    out.truncate(length);
    Some(out)
}

/// The length without a second bitmap that announces nothing, which is not written again.
fn canonical_length(bytes: &[u8], message: &Message<'_>) -> usize {
    let announced = message.present().iter().any(|de| de.number() > 64);
    let elements: usize = message.present().iter().map(|de| message.raw(de).expect("indexed").len()).sum();
    let bitmap = message.dialect().bitmap;
    let bytes_each = if bitmap == codecs::iso8583::BitmapText::Binary { 8 } else { 16 };
    let has_second = bytes.len() > elements + bytes_each + 4;
    bytes.len() - if has_second && !announced { bytes_each } else { 0 }
}

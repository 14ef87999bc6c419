//! ASCII with binary bitmaps, which is what iso8583_rs can express of an ASCII dialect.

use std::sync::LazyLock;

use codecs::iso8583::dialect::ISO87_ASCII;
use codecs::iso8583::{BitmapText, Dialect, Kind, Length, Text};

/// Our built-in ASCII dialect with bytes where it has hex characters.
static DIALECT: LazyLock<Dialect> = LazyLock::new(|| {
    let mut dialect = Dialect { bitmap: BitmapText::Binary, ..ISO87_ASCII.clone() };
    for spec in dialect.fields.iter_mut().flatten().filter(|spec| spec.kind == Kind::Binary) {
        spec.text = Text::Raw;
        if let Length::Var { max, .. } = &mut spec.length {
            *max /= 2;
        }
    }
    dialect
});

#[test]
fn iso8583_rs_and_we_agree_in_ascii() {
    foreign::both_agree(&DIALECT, foreign::messages(&DIALECT));
}

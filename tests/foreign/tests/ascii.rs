//! ASCII with binary bitmaps, which is what iso8583_rs can express of an ASCII dialect.

use std::sync::LazyLock;

use codecs::iso8583::dialect::ISO87_ASCII;
use codecs::iso8583::{BitmapText, Dialect, Kind, Length, Text};

/// Our built-in ASCII dialect with bytes where it has hex characters.
static DIALECT: LazyLock<Dialect> = LazyLock::new(|| {
    let mut fields = *ISO87_ASCII.fields();
    for spec in fields.iter_mut().flatten().filter(|spec| spec.kind == Kind::Binary) {
        spec.text = Text::Raw;
        if let Length::Var { max, .. } = &mut spec.length {
            *max /= 2;
        }
    }
    Dialect::new(ISO87_ASCII.version, ISO87_ASCII.mti, BitmapText::Binary, fields)
        .with_rules(ISO87_ASCII.rules, ISO87_ASCII.echo)
});

#[test]
fn iso8583_rs_and_we_agree_in_ascii() {
    foreign::both_agree(&DIALECT, foreign::messages(&DIALECT));
}

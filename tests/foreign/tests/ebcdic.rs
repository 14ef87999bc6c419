//! The built-in EBCDIC dialect, which iso8583_rs can express as it is.

use codecs::iso8583::dialect::ISO87_EBCDIC;

#[test]
fn iso8583_rs_and_we_agree_in_ebcdic() {
    foreign::both_agree(&ISO87_EBCDIC, foreign::messages(&ISO87_EBCDIC));
}

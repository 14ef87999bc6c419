//! Messages as readable text: `0100 2=9999600000000019 4=1000 11=000007 43="Corner Shop"`.
//!
//! Values are canonical: characters as characters, binary elements as hex. In a change or an expectation,
//! `38=-` means the element is absent and `38=*` that it is there, whatever it holds.

use std::collections::BTreeMap;
use std::fmt;

use codecs::Flaw;
use codecs::iso8583::{De, DeSet, Dialect, Encoder, Index, Kind, Length, Message};

/// A message in plain view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    mti: String,
    fields: BTreeMap<u8, String>,
}

impl Plain {
    /// Reads the text form; a test with a broken text stops here.
    #[must_use]
    pub fn of(text: &str) -> Plain {
        let mut plain = Plain::default();
        for (de, value) in plain.read(text) {
            plain.set(de, &value);
        }
        plain
    }

    /// The four digits in front.
    #[must_use]
    pub fn mti(&self) -> &str {
        &self.mti
    }

    /// A copy with these changes: `0101 4=2000 35=-`.
    #[must_use]
    pub fn with(&self, changes: &str) -> Plain {
        let mut changed = self.clone();
        for (de, value) in changed.read(changes) {
            if value == "-" { changed.remove(de) } else { changed.set(de, &value) }
        }
        changed
    }

    /// A copy with another type.
    #[must_use]
    pub fn with_mti(&self, mti: &str) -> Plain {
        Plain { mti: mti.to_owned(), fields: self.fields.clone() }
    }

    /// The value of an element; empty when it is absent.
    #[must_use]
    pub fn get(&self, de: u8) -> &str {
        self.fields.get(&de).map_or("", String::as_str)
    }

    /// Whether the element is there.
    #[must_use]
    pub fn has(&self, de: u8) -> bool {
        self.fields.contains_key(&de)
    }

    /// Sets one element.
    pub fn set(&mut self, de: u8, value: &str) {
        self.fields.insert(de, value.to_owned());
    }

    /// Removes one element.
    pub fn remove(&mut self, de: u8) {
        self.fields.remove(&de);
    }

    /// Numbers and values in ascending order.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &str)> {
        self.fields.iter().map(|(&de, value)| (de, value.as_str()))
    }

    /// The same message with fixed elements in their full width, as they come off the wire.
    #[must_use]
    pub fn padded(&self, dialect: &Dialect) -> Plain {
        let mut padded = self.clone();
        for (&de, value) in &mut padded.fields {
            let Some(spec) = dialect.fields()[usize::from(de)] else { continue };
            if let Length::Fixed(width) = spec.length
                && value != "*"
                && value != "-"
            {
                let width = usize::from(width);
                *value = match spec.kind {
                    Kind::Digits => format!("{value:0>width$}"),
                    Kind::Binary => value.to_uppercase(),
                    _ => format!("{value:<width$}"),
                };
            }
        }
        padded
    }

    /// The bytes of this message in a dialect.
    #[must_use]
    pub fn encode(&self, dialect: &Dialect) -> Vec<u8> {
        let numbers: Vec<u8> = self.fields.keys().copied().collect();
        let mti: [u8; 4] = self.mti.as_bytes().try_into().expect("an MTI has four digits");
        let mut out = vec![0; 16 * 1024];
        let present = DeSet::from_numbers(&numbers);
        let mut encoder =
            Encoder::new_with_digits(dialect, mti, present, &mut out).expect("MTI and bitmap fit");
        for (&de, value) in &self.fields {
            let spec =
                dialect.fields()[usize::from(de)].unwrap_or_else(|| panic!("DE {de} is not in this dialect"));
            let canonical = if spec.kind == Kind::Binary { unhex(value) } else { value.as_bytes().to_vec() };
            let de = De::new(de).expect("1 to 128");
            encoder.put(de, &canonical).unwrap_or_else(|why| panic!("{why:?} in {self}"));
        }
        let length = encoder.finish().expect("every element was written");
        out.truncate(length);
        out
    }

    /// Reads bytes; the error says what flaw the codec found.
    pub fn decode(dialect: &Dialect, bytes: &[u8]) -> Result<Plain, String> {
        let mut index = Index::new();
        match dialect.parse(bytes, &mut index) {
            // An answer to a message of no known type is of no known type either.
            Err(why) if why.flaw != Flaw::BadMti => return Err(why.to_string()),
            _ => {}
        }
        let message = Message::new(dialect, bytes, &index);
        let digits = index.mti_digits().ok_or("the MTI is not four digits")?;
        let mut plain = Plain { mti: String::from_utf8_lossy(&digits).into_owned(), ..Plain::default() };
        let mut room = vec![0; 4 * bytes.len() + 16];
        for de in message.present().iter() {
            let spec = dialect.fields()[usize::from(de.number())].ok_or("an element outside the dialect")?;
            let value = message.decode(de, &mut room).ok_or_else(|| format!("{de} cannot be decoded"))?;
            let value = match spec.kind {
                Kind::Binary => hex(value),
                _ => String::from_utf8(value.to_vec()).map_err(|why| why.to_string())?,
            };
            plain.fields.insert(de.number(), value);
        }
        Ok(plain)
    }

    /// Everything in which this message does not fit an expectation, one line each; empty when it fits.
    #[must_use]
    pub fn misfits(&self, expected: &Plain) -> Vec<String> {
        let mut misfits = Vec::new();
        if !expected.mti.is_empty() && expected.mti != self.mti {
            misfits.push(format!("MTI is {}, expected {}", self.mti, expected.mti));
        }
        for (&de, wanted) in &expected.fields {
            let found = self.fields.get(&de);
            let fits = match (wanted.as_str(), found) {
                ("-", found) => found.is_none(),
                ("*", found) => found.is_some(),
                (wanted, found) => found.is_some_and(|found| found == wanted),
            };
            if !fits {
                misfits.push(format!("DE {de} is {found:?}, expected {wanted}"));
            }
        }
        misfits
    }

    /// As [`Plain::misfits`], and an element that was not expected is a misfit too.
    #[must_use]
    pub fn differences(&self, expected: &Plain) -> Vec<String> {
        let surplus = self.fields.iter().filter(|(de, _)| !expected.fields.contains_key(de));
        let surplus = surplus.map(|(de, value)| format!("DE {de} is {value}, expected absent"));
        self.misfits(expected).into_iter().chain(surplus).collect()
    }

    /// Takes the MTI from a text, if it has one, and gives the elements.
    fn read(&mut self, text: &str) -> Vec<(u8, String)> {
        let mut elements = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (word, after) = split_word(rest);
            rest = after.trim_start();
            let Some((number, value)) = word.split_once('=') else {
                assert!(word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()), "no MTI: {word}");
                word.clone_into(&mut self.mti);
                continue;
            };
            let de: u8 = number.parse().unwrap_or_else(|_| panic!("no element number: {word}"));
            assert!((2..=128).contains(&de) && de != 65, "no element: {word}");
            elements.push((de, value.trim_matches('"').to_owned()));
        }
        elements
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.mti)?;
        for (de, value) in &self.fields {
            let quote = if value.contains(' ') || value.is_empty() { "\"" } else { "" };
            write!(out, " {de}={quote}{value}{quote}")?;
        }
        Ok(())
    }
}

/// One word of the text form; a quoted value may hold blanks.
fn split_word(text: &str) -> (&str, &str) {
    let blank = text.find(char::is_whitespace).unwrap_or(text.len());
    match text.find("=\"") {
        Some(quote) if quote < blank => {
            let end = text[quote + 2..].find('"').expect("a closing quote") + quote + 3;
            text.split_at(end)
        }
        _ => text.split_at(blank),
    }
}

/// Upper-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The bytes that hex stands for.
#[must_use]
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte of hex: {text}");
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hex")).collect()
}

#[cfg(test)]
mod tests {
    use codecs::iso8583::dialect::built_in;

    use super::*;

    #[test]
    fn text_reads_back_as_written() {
        let text = "0110 2=9999600000000019 4=1000 39=00 43=\"Corner Shop  Riga\"";
        assert_eq!(Plain::of(text).to_string(), text);
        assert_eq!(Plain::of(text).get(43), "Corner Shop  Riga");
    }

    #[test]
    fn changes_replace_add_and_remove() {
        let changed = Plain::of("0100 3=000000 4=1000 35=1=2").with("0101 4=2000 35=- 49=840");
        assert_eq!(changed.to_string(), "0101 3=000000 4=2000 49=840");
    }

    #[test]
    fn every_built_in_dialect_carries_a_message_there_and_back() {
        for name in ["iso87-ascii", "iso87-binary", "iso87-ebcdic"] {
            let dialect = built_in(name).expect("built in");
            let message =
                Plain::of(&crate::purchase("35=9999600000000019=49122010000012345 52=0123456789ABCDEF"));
            let message = message.padded(dialect);
            assert_eq!(Plain::decode(dialect, &message.encode(dialect)), Ok(message), "{name}");
        }
        for name in ["iso93-ascii", "iso93-binary"] {
            let dialect = built_in(name).expect("built in");
            let message = Plain::of(&crate::authorization_93("")).padded(dialect);
            assert_eq!(Plain::decode(dialect, &message.encode(dialect)), Ok(message), "{name}");
        }
    }

    #[test]
    fn misfits_name_what_differs() {
        let answer = Plain::of("0110 11=000007 38=123456 39=05");
        assert_eq!(answer.misfits(&Plain::of("0110 11=000007 38=* 39=05 54=-")), Vec::<String>::new());
        assert_eq!(answer.misfits(&Plain::of("0110 38=- 39=00")).len(), 2);
        assert_eq!(
            answer.differences(&Plain::of("0110 11=000007 39=05")),
            ["DE 38 is 123456, expected absent"]
        );
    }
}

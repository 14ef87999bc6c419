//! The shared vectors, read.

use serde_json::Value;

/// One vector.
pub struct Vector(Value);

/// All vectors of a scheme: there is at least one.
pub fn vectors(scheme: &str) -> Vec<Vector> {
    let file = include_str!("../../../tests/vectors/card_crypto.json");
    let file: Value = serde_json::from_str(file).expect("JSON");
    let all = file["vectors"].as_array().expect("vectors").iter();
    let found: Vec<_> = all.filter(|vector| vector["scheme"] == scheme).cloned().map(Vector).collect();
    assert!(!found.is_empty(), "no vectors of {scheme}");
    found
}

impl Vector {
    /// Its name.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().expect("a name")
    }

    /// An input, if the vector has it.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0["inputs"][name].as_str()
    }

    /// An input.
    pub fn input(&self, name: &str) -> &str {
        self.given(name).unwrap_or_else(|| panic!("{} gives no {name}", self.id()))
    }

    /// An input that is a number.
    pub fn number(&self, name: &str) -> u64 {
        self.0["inputs"][name].as_u64().unwrap_or_else(|| panic!("{} gives no {name}", self.id()))
    }

    /// An input that is ASCII.
    pub fn digits<const N: usize>(&self, name: &str) -> [u8; N] {
        self.input(name).as_bytes().try_into().unwrap_or_else(|_| panic!("{}: {name}", self.id()))
    }

    /// A result: its names in a row, for one that lies deeper.
    pub fn expected(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.0["expected"], |value, name| &value[name])
    }

    /// A result that is text.
    pub fn text(&self, name: &str) -> &str {
        self.expected(&[name]).as_str().unwrap_or_else(|| panic!("{} expects no {name}", self.id()))
    }
}

/// Bytes from hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits")).collect()
}

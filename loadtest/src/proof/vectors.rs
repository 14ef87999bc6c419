//! Values that other programs computed: `tests/vectors/card_crypto.json`.

use serde_json::Value;

/// One vector.
pub(super) struct Vector(Value);

/// All vectors of a scheme; at least one.
pub(super) fn of(scheme: &str) -> Vec<Vector> {
    let text = include_str!("../../../tests/vectors/card_crypto.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let found = all["vectors"].as_array().unwrap().iter().filter(|vector| vector["scheme"] == scheme);
    let found: Vec<Vector> = found.cloned().map(Vector).collect();
    assert!(!found.is_empty(), "no vector of {scheme}");
    found
}

impl Vector {
    pub(super) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap()
    }

    pub(super) fn text(&self, input: &str) -> String {
        self.0["inputs"][input].as_str().unwrap_or_else(|| panic!("{}: no {input}", self.id())).to_string()
    }

    pub(super) fn number(&self, input: &str) -> u64 {
        self.0["inputs"][input].as_u64().unwrap_or_else(|| panic!("{}: no {input}", self.id()))
    }

    pub(super) fn bytes(&self, input: &str) -> Vec<u8> {
        unhex(&self.text(input))
    }

    pub(super) fn expected(&self, output: &str) -> String {
        self.0["expected"][output]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no {output}", self.id()))
            .to_string()
    }
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

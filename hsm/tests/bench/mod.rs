//! A verifier on a bench: what the tests of questions and of refusals share.

#![allow(dead_code, unreachable_pub, reason = "shared by test binaries, each of which uses a part")]

use std::collections::HashMap;

use hsm::token::{CheckValue, Exposure, KeySpec, Token};
use hsm::{
    Answer, Card, Challenge, Code, CodeLength, HsmError, KeyId, MasterUsage, Pan, Printed, Psn, Question,
    Response, Secret, StaticCode, UnpredictableNumber, Verifier,
};

use cryptoki::object::{Attribute, KeyType};

use crate::tokens::{
    AES_DERIVE, AES_ECB, DES3_DERIVE, DES3_ECB, LABEL, PIN, TestToken, Vector, hex, key, master,
};

/// A verifier, and the keys it was given, so that vectors may share them.
pub struct Bench<'a> {
    pub hsm: &'a TestToken,
    pub verifier: Verifier,
    pub keys: HashMap<String, KeyId>,
    /// Of the master keys.
    pub exposure: Exposure,
}

/// Every exposure: what a code is does not depend on it.
pub const EXPOSURES: [Exposure; 3] = [Exposure::None, Exposure::Session, Exposure::Card];

impl<'a> Bench<'a> {
    /// A verifier without keys.
    pub fn new(hsm: &'a TestToken) -> Bench<'a> {
        Bench::exposing(hsm, Exposure::None)
    }

    /// The same, whose master keys have this exposure.
    pub fn exposing(hsm: &'a TestToken, exposure: Exposure) -> Bench<'a> {
        Bench { hsm, verifier: Verifier::new(open(hsm)), keys: HashMap::new(), exposure }
    }

    /// The CVK of this value.
    pub fn cvk(&mut self, value: &str) -> KeyId {
        if let Some(key) = self.keys.get(value) {
            return *key;
        }
        let bytes = hex(value);
        let whole = self.make(&format!("cvk-{value}"), &bytes, DES3_ECB);
        let left = self.make(&format!("cvk-{value}-left"), &[&bytes[..8], &bytes[..8]].concat(), DES3_ECB);
        let key = self.verifier.load_card_verification(&whole, &left).expect("a CVK");
        self.keys.insert(value.to_owned(), key);
        key
    }

    /// The master key of this value.
    pub fn master(&mut self, value: &str, usage: MasterUsage) -> KeyId {
        let exposure = self.exposure;
        let label = format!("{usage:?}-{exposure:?}-{value}");
        if let Some(key) = self.keys.get(&label) {
            return *key;
        }
        let aes = matches!(usage, MasterUsage::Counter | MasterUsage::Response | MasterUsage::AesCryptogram);
        // What is told of an open key is what it encrypts; of counters, already with exposure `session`.
        let least = if usage == MasterUsage::Counter { Exposure::Session } else { Exposure::Card };
        let mechanism = match (aes, exposure >= least) {
            (true, false) => AES_DERIVE,
            (true, true) => AES_ECB,
            (false, false) => DES3_DERIVE,
            (false, true) => DES3_ECB,
        };
        let spec = self.make(&label, &hex(value), mechanism);
        let key = self.verifier.load_master(&spec, usage, exposure).expect("a master key");
        self.keys.insert(label, key);
        key
    }

    /// The key of private counters of this value that tells them, whatever the exposure of the others is.
    pub fn exposed_counters(&mut self, value: &str) -> KeyId {
        let label = format!("counters-beside-{:?}-{value}", self.exposure);
        self.once(&label.clone(), |bench| {
            let spec = bench.make(&label, &hex(value), AES_ECB);
            let key = bench.verifier.load_master(&spec, MasterUsage::Counter, Exposure::Session);
            key.expect("a master key")
        })
    }

    /// Loads a key once for each value: `load` makes it.
    pub fn once(&mut self, label: &str, load: impl FnOnce(&mut Self) -> KeyId) -> KeyId {
        if let Some(key) = self.keys.get(label) {
            return *key;
        }
        let key = load(self);
        self.keys.insert(label.to_owned(), key);
        key
    }

    /// Makes a key that does something else than to encrypt or to be derived from.
    pub fn make_for(&self, label: &str, value: &[u8], (key_type, may, mechanism): KeyKind) -> KeySpec {
        spec(label, self.hsm.create(&key(label, value, key_type, may, mechanism)))
    }

    /// Makes a key on the token.
    pub fn make(&self, label: &str, value: &[u8], mechanism: u64) -> KeySpec {
        spec(label, self.hsm.create(&master(label, value, mechanism)))
    }

    /// Puts one question.
    pub fn ask(&mut self, question: Question) -> Result<Answer, HsmError> {
        let mut answers = self.verifier.answer(&[question]);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// The right code is right; another one is wrong; one of another length is not looked at.
    pub fn judges(&mut self, name: &str, right: &str, expected: Answer, question: impl Fn(Code) -> Question) {
        let code = |digits: &str| Code::parse(digits.as_bytes()).expect("digits");
        assert_eq!(self.ask(question(code(right))), Ok(expected), "{name}");
        for at in 0..right.len() {
            let mut other = right.as_bytes().to_vec();
            other[at] = b'0' + (other[at] - b'0' + 1) % 10;
            let other = String::from_utf8(other).expect("digits");
            assert_eq!(self.ask(question(code(&other))), Ok(Answer::Wrong), "{name}: {other}");
        }
        for other in [&right[1..], &right[..right.len() - 1], &format!("0{right}"), &format!("{right}0"), ""]
        {
            assert_eq!(self.ask(question(code(other))), Ok(Answer::WrongLength), "{name}: {other:?}");
        }
        assert_eq!(self.ask(question(Code::absent())), Ok(Answer::WrongLength), "{name}");
    }
}

/// Its type, the one thing it may do, and by what.
pub type KeyKind = (KeyType, Attribute, u64);

/// The token of a test, opened.
pub fn open(hsm: &TestToken) -> Token {
    Token::open(&hsm.module, LABEL, &pin()).expect("a token")
}

/// The PIN of its user.
pub fn pin() -> Secret {
    Secret::from(PIN.to_owned())
}

/// A key that is meant by label and check value.
pub fn spec(label: &str, check_value: [u8; 3]) -> KeySpec {
    KeySpec { label: label.to_owned(), check_value: CheckValue(check_value), danger_modifiable: false }
}

/// A card number.
pub fn pan(digits: &str) -> Pan {
    Pan::parse(digits.as_bytes()).expect("a card number")
}

/// The card of a vector.
pub fn card(vector: &Vector) -> Card {
    let psn = Psn::new(vector.input("psn").parse().expect("a number")).expect("below 100");
    Card { pan: pan(vector.input("pan")), psn }
}

/// An unpredictable number.
pub fn un(digits: &str) -> UnpredictableNumber {
    UnpredictableNumber::parse(digits.as_bytes()).expect("digits")
}

/// The ATC of a vector.
pub fn atc(vector: &Vector) -> u16 {
    u16::from_str_radix(vector.input("atc"), 16).expect("an ATC")
}

/// The length of a code that is right.
pub fn length<const MAX: usize>(digits: &str) -> CodeLength<MAX> {
    CodeLength::new(digits.len()).expect("a length")
}

/// The expiry of a vector, in the order that its code uses.
pub fn expiry(vector: &Vector) -> [u8; 4] {
    let name = if vector.given("expiry_yymm").is_some() { "expiry_yymm" } else { "expiry_as_encoded" };
    vector.digits(name)
}

/// The question after the static code of a vector.
pub fn static_code(key: KeyId, vector: &Vector, presented: &str) -> Question {
    let printed = Printed::stripe(vector.digits("expiry_yymm"), vector.digits("service_code"));
    Question::StaticCode(StaticCode {
        key,
        pan: pan(vector.input("pan")),
        printed: printed.expect("digits"),
        presented: Code::parse(presented.as_bytes()).expect("digits"),
        length: CodeLength::new(3).expect("three"),
    })
}

/// The question after the response of a vector, with the right one.
pub fn response(key: KeyId, vector: &Vector) -> Question {
    Question::Response(Response {
        key,
        pan: pan(vector.input("account")),
        challenge: Challenge::parse(vector.input("challenge_digits").as_bytes()).expect("digits"),
        presented: Code::parse(vector.text("response_5_digits").as_bytes()).expect("digits"),
        length: CodeLength::new(5).expect("five"),
    })
}

//! Vectors that give the card's own key, vectors of the derivation itself, and whole MACs of which a question sees the
//! half: through every token, below the questions.

use super::{cryptogram, cvc3, dynamic_cvv};
use crate::algorithm3::{self, Padding, padded};
use crate::derive::{
    Card, Derivation, aes_key, aes_session_key, card_block, left_half_twice, session_keys, whole_key,
};
use crate::digits::{Code, CodeLength, Pan, Psn};
use crate::question::{
    Answer, Candidates, CardStatus, Cvc3, DynamicCvv, IssuerAnswer, Ivcvc3, KeyId, Printed, TrackData,
    UnpredictableNumber,
};
use crate::secret::Secret;
use crate::token::{CardKey, CheckValue, Cipher, KeySpec, Master, Token, Usage, Work};
use crate::tokens::{self, AES_DERIVE, DES3_DERIVE, LABEL, PIN, TestToken, Vector, hex, vectors};

fn open(hsm: &TestToken) -> Token {
    Token::open(&hsm.module, LABEL, &Secret::from(PIN.to_owned())).expect("a token")
}

fn master(hsm: &TestToken, token: &Token, vector: &Vector, name: &str, usage: Usage) -> Master {
    let mechanism = if usage.cipher() == Cipher::Aes { AES_DERIVE } else { DES3_DERIVE };
    let template = tokens::master(vector.id(), &hex(vector.input(name)), mechanism);
    let check_value = CheckValue(hsm.create(&template));
    let spec = KeySpec { label: vector.id().to_owned(), check_value, danger_modifiable: false };
    token.load(&spec, usage).expect("a master key")
}

fn card(vector: &Vector) -> Card {
    let pan = Pan::parse(vector.input("pan").as_bytes()).expect("a number");
    let psn = vector.given("psn").map_or(0, |psn| psn.parse().expect("a number"));
    Card { pan, psn: Psn::new(psn).expect("below 100") }
}

/// Two keys are the same if they encrypt the same.
fn same(one: &CardKey<'_>, other: &CardKey<'_>) -> bool {
    let [one, other] = [one, other].map(|key| {
        let mut out = [0; 256];
        key.in_use().encrypt(&(0..=255).collect::<Vec<u8>>(), &mut out).expect("an encryption");
        out
    });
    one == other
}

#[test]
fn card_keys_of_options_a_and_b() {
    tokens::run("card::given_keys::card_keys_of_options_a_and_b", |hsm| {
        let token = open(hsm);
        let of = |scheme| vectors(scheme).into_iter();
        let a = of("kd_option_a").map(|vector| (vector, Derivation::OptionA));
        let b = of("kd_option_b").map(|vector| (vector, Derivation::OptionB));
        for (vector, derivation) in a.chain(b) {
            let master = master(hsm, &token, &vector, "imk", Usage::Cvc3Master);
            let y = card_block(&card(&vector), derivation);
            let key = token.derive(&master, &whole_key(&y), Work::Encrypt).expect("a card key");
            let udk = hex(vector.text("udk"));
            assert!(same(&key, &token.given(Cipher::TripleDes, Work::Encrypt, &udk)), "{}", vector.id());
            if let Some(kcv) = vector.expected(&["kcv"]).as_str() {
                let zeros = key.in_use().encrypt_block(&[0; 8]).expect("an encryption");
                assert_eq!(zeros[..3], hex(kcv), "{}", vector.id());
            }
            let left = token.derive(&master, &left_half_twice(&y), Work::Encrypt).expect("its left half");
            let twice = [&udk[..8], &udk[..8]].concat();
            assert!(same(&left, &token.given(Cipher::TripleDes, Work::Encrypt, &twice)), "{}", vector.id());
            assert!(!same(&left, &key), "{}", vector.id());
        }
    });
}

#[test]
fn card_keys_of_option_c() {
    tokens::run("card::given_keys::card_keys_of_option_c", |hsm| {
        let token = open(hsm);
        for vector in vectors("kd_option_c_aes") {
            let master = master(hsm, &token, &vector, "imk", Usage::ResponseMaster);
            assert_eq!(master.key_bytes * 8, vector.number("key_bits") as usize, "{}", vector.id());
            let recipe = aes_key(&card(&vector), master.key_bytes);
            let key = token.derive(&master, &recipe, Work::Encrypt).expect("a card key");
            let udk = hex(vector.text("udk"));
            assert!(same(&key, &token.given(Cipher::Aes, Work::Encrypt, &udk)), "{}", vector.id());
        }
    });
}

#[test]
fn session_keys_of_card_keys() {
    tokens::run("card::given_keys::session_keys_of_card_keys", |hsm| {
        let token = open(hsm);
        for vector in vectors("kd_csk_3des") {
            let card_key = token.given(Cipher::TripleDes, Work::Derive, &hex(vector.input("icc_mk")));
            let (whole, left) = session_keys(&hex(vector.input("r")).try_into().expect("eight bytes"));
            for (recipe, input, expected) in
                [(whole, "derivation_data_16", "sk"), (left, "derivation_data_left_twice", "sk_left_twice")]
            {
                assert_eq!(recipe.data(), hex(vector.input(input)), "{}", vector.id());
                let key = card_key.derive(&recipe, Work::Encrypt).expect("a session key");
                let given = token.given(Cipher::TripleDes, Work::Encrypt, &hex(vector.text(expected)));
                assert!(same(&key, &given), "{}", vector.id());
            }
        }
        for vector in vectors("kd_csk_aes") {
            let icc_mk = hex(vector.input("icc_mk"));
            let card_key = token.given(Cipher::Aes, Work::Derive, &icc_mk);
            let recipe =
                aes_session_key(hex(vector.input("atc")).try_into().expect("two bytes"), icc_mk.len());
            let key = card_key.derive(&recipe, Work::Encrypt).expect("a session key");
            let given = token.given(Cipher::Aes, Work::Encrypt, &hex(vector.text("sk")));
            assert!(same(&key, &given), "{}", vector.id());
        }
    });
}

#[test]
fn answers_to_cryptograms_under_given_keys() {
    tokens::run("card::given_keys::answers_to_cryptograms_under_given_keys", |hsm| {
        let token = open(hsm);
        for vector in vectors("arpc") {
            let key = hex(vector.input("key"));
            let arqc = hex(vector.input("arqc")).try_into().ok();
            let answer = if vector.number("method") == 1 {
                IssuerAnswer::Code(hex(vector.input("arc")).try_into().expect("two bytes"))
            } else {
                let update = hex(vector.input("csu")).try_into().expect("four bytes");
                let proprietary = hex(vector.input("proprietary_auth_data"));
                IssuerAnswer::Status(CardStatus::new(update, &proprietary).expect("a status"))
            };
            let made = if vector.input("cvn").starts_with("emv_aes") {
                cryptogram::aes_arpc(token.given(Cipher::Aes, Work::Mac, &key).in_use(), arqc, &answer)
            } else {
                let whole = token.given(Cipher::TripleDes, Work::Encrypt, &key);
                let left = token.given(Cipher::TripleDes, Work::Chain, &[&key[..8], &key[..8]].concat());
                cryptogram::arpc(whole.in_use(), left.in_use(), arqc, &answer)
            };
            let made = made.expect("an answer");
            assert_eq!(made.as_bytes(), hex(vector.text("tag_91")), "{}", vector.id());
            let arpc = hex(vector.text("arpc"));
            assert_eq!(made.as_bytes()[..arpc.len()], arpc, "{}", vector.id());
        }
    });
}

#[test]
fn whole_macs_under_given_keys() {
    tokens::run("card::given_keys::whole_macs_under_given_keys", |hsm| {
        let token = open(hsm);
        for vector in vectors("mac_alg3") {
            let (key, data) = (hex(vector.input("key")), hex(vector.input("data")));
            let whole = token.given(Cipher::TripleDes, Work::Encrypt, &key);
            let left = token.given(Cipher::TripleDes, Work::Chain, &hex(vector.input("key_left_twice")));
            let method = if vector.number("padding_method") == 1 { Padding::Zeros } else { Padding::OneBit };
            let made = algorithm3::mac(whole.in_use(), left.in_use(), &padded(&data, method)).expect("a MAC");
            assert_eq!(made.as_slice(), hex(vector.text("mac")), "{}", vector.id());
        }
        let given = |cipher, vector: &Vector| token.given(cipher, Work::Mac, &hex(vector.input("key")));
        for vector in vectors("mac_cmac_tdes") {
            let made = given(Cipher::TripleDes, &vector).in_use().mac::<8>(&hex(vector.input("data")));
            assert_eq!(made.expect("a MAC").as_slice(), hex(vector.text("mac")), "{}", vector.id());
        }
        for vector in vectors("mac_cmac_aes") {
            let made = given(Cipher::Aes, &vector).in_use().mac::<16>(&hex(vector.input("data")));
            assert_eq!(made.expect("a MAC").as_slice(), hex(vector.text("mac")), "{}", vector.id());
        }
        for vector in vectors("mac_hmac_sha256") {
            // HMAC fills a key up with zeros by itself; SoftHSM2 takes none below 32 bytes.
            let mut key = hex(vector.input("key"));
            key.resize(32, 0);
            let made =
                token.given(Cipher::Hmac, Work::Mac, &key).in_use().mac::<32>(&hex(vector.input("data")));
            assert_eq!(made.expect("a MAC").as_slice(), hex(vector.text("mac")), "{}", vector.id());
        }
    });
}

#[test]
fn cvc3_under_a_given_key() {
    tokens::run("card::given_keys::cvc3_under_a_given_key", |hsm| {
        let token = open(hsm);
        let given = |vector: &Vector| vector.given("kd_cvc3").is_some();
        let track2 = vectors("cvc3_track2").into_iter().filter(given);
        let of_track2 = track2.map(|vector| (hex(vector.input("track2_template")), vector));
        let track1 = vectors("cvc3_track1").into_iter();
        let of_track1 =
            track1.map(|vector| (vector.input("track1_template_ascii").as_bytes().to_vec(), vector));
        for (track, vector) in of_track2.chain(of_track1) {
            let udk = hex(vector.input("kd_cvc3"));
            let whole = token.given(Cipher::TripleDes, Work::Encrypt, &udk);
            let left = token.given(Cipher::TripleDes, Work::Chain, &[&udk[..8], &udk[..8]].concat());
            let track = TrackData::new(track).expect("a track");
            let ivcvc3 = cvc3::enrol_with(whole.in_use(), left.in_use(), &track).expect("a constant");
            assert_eq!(ivcvc3.0.as_slice(), hex(vector.text("ivcvc3")), "{}", vector.id());
            let atc = u16::from_str_radix(vector.input("atc"), 16).expect("an ATC");
            let mut asked = code_of_whole_number(&vector, ivcvc3, atc, vector.text("cvc3_decimal"));
            assert_eq!(
                cvc3::check_with(whole.in_use(), &asked),
                Ok(Answer::RightFor(atc)),
                "{}",
                vector.id()
            );
            asked.atcs = Candidates::new(&[atc + 1]).expect("one");
            assert_eq!(cvc3::check_with(whole.in_use(), &asked), Ok(Answer::Wrong), "{}", vector.id());
        }
    });
}

fn code_of_whole_number(vector: &Vector, ivcvc3: Ivcvc3, atc: u16, decimal: &str) -> Cvc3 {
    // The card is not looked at where its key is given.
    let card = Card { pan: Pan::parse(b"00000000").expect("a number"), psn: Psn::ABSENT };
    Cvc3 {
        key: KeyId(0),
        card,
        derivation: Derivation::OptionA,
        ivcvc3,
        un: UnpredictableNumber::parse(vector.input("un_numeric").as_bytes()).expect("digits"),
        atcs: Candidates::new(&[atc]).expect("one"),
        presented: Code::parse(format!("{decimal:0>5}").as_bytes()).expect("digits"),
        length: CodeLength::new(5).expect("five digits"),
    }
}

#[test]
fn dynamic_cvv_under_a_given_key() {
    tokens::run("card::given_keys::dynamic_cvv_under_a_given_key", |hsm| {
        let token = open(hsm);
        for vector in vectors("dcvv").into_iter().filter(|vector| vector.given("imk").is_none()) {
            let udk = hex(vector.input("udk"));
            let whole = token.given(Cipher::TripleDes, Work::Encrypt, &udk);
            let left = token.given(Cipher::TripleDes, Work::Chain, &[&udk[..8], &udk[..8]].concat());
            let expiry = vector.digits("expiry_as_encoded");
            let mut asked = DynamicCvv {
                key: KeyId(0),
                card: card(&vector),
                printed: Printed::stripe(expiry, vector.digits("service_code")).expect("digits"),
                atc: vector.input("atc_digits_4").parse().expect("an ATC"),
                presented: Code::parse(vector.text("dcvv").as_bytes()).expect("digits"),
                length: CodeLength::new(3).expect("three digits"),
            };
            assert_eq!(
                dynamic_cvv::check_with(whole.in_use(), left.in_use(), &asked),
                Ok(Answer::Right),
                "{}",
                vector.id()
            );
            asked.atc += 1;
            assert_eq!(
                dynamic_cvv::check_with(whole.in_use(), left.in_use(), &asked),
                Ok(Answer::Wrong),
                "{}",
                vector.id()
            );
        }
    });
}

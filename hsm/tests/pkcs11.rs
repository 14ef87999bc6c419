//! The calls and mechanisms below the questions: same answers and same refusals from every token there is. A test
//! here names the return code that our code, or that of a custodian, may come to rely on.

mod tokens;

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use hsm::Secret;
use hsm::token::{OpenError, Token};
use std::path::Path;

use tokens::{AES_DERIVE, AES_ECB, DES3_ECB, allowed, but, hex};

/// Names what reaches the development token, so that it is linked into this program.
#[used]
static LINKED: fn(&Path, &str, &Secret) -> Result<Token, OpenError> = Token::open;

/// What a call was refused with.
fn refused<T>(outcome: Result<T, Error>) -> RvError {
    match outcome {
        Err(Error::Pkcs11(code, _)) => code,
        Err(other) => panic!("no refusal of the module: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

const AES_VALUE: &str = "000102030405060708090A0B0C0D0E0F";
const DES_VALUE: &str = "0123456789ABCDEFFEDCBA9876543210";

/// A session key that may do one thing.
fn key(session: &Session, key_type: KeyType, value: &str, may: &[Attribute]) -> ObjectHandle {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(key_type),
        Attribute::Token(false),
        Attribute::Value(hex(value)),
    ];
    template.extend_from_slice(may);
    session.create_object(&template).expect("a key")
}

#[test]
fn blocks_and_chains() {
    tokens::run("blocks_and_chains", |token| {
        let session = token.session();
        let may = [Attribute::Encrypt(true), Attribute::Decrypt(true)];
        let aes = key(session, KeyType::AES, AES_VALUE, &may);
        let des = key(session, KeyType::DES2, DES_VALUE, &may);
        let clear = hex("00112233445566778899AABBCCDDEEFF");
        let iv8 = [7; 8];
        let iv16 = [9; 16];
        // FIPS 197 C.1 for the first; all four also come out of OpenSSL 3.
        let cases = [
            (Mechanism::AesEcb, aes, "69C4E0D86A7B0430D8CDB78070B4C55A"),
            (Mechanism::AesCbc(iv16), aes, "DF033C48A9F2C74C4BE5E14486A83494"),
            (Mechanism::Des3Ecb, des, "31A7364CAC91CA39C0489F69BEC54FA2"),
            (Mechanism::Des3Cbc(iv8), des, "240930A7DE1CD56711BE9D5E0916F8FD"),
        ];
        for (mechanism, key, expected) in cases {
            let made = session.encrypt(&mechanism, key, &clear).expect("blocks");
            assert_eq!(made, hex(expected), "{mechanism:?}");
            assert_eq!(session.decrypt(&mechanism, key, &made).expect("blocks"), clear, "{mechanism:?}");
            // In pieces that are no blocks: what is whole comes out at once.
            session.encrypt_init(&mechanism, key).expect("a start");
            let mut pieces = Vec::new();
            for piece in [&clear[..3], &clear[3..11], &clear[11..]] {
                pieces.extend(session.encrypt_update(piece).expect("a piece"));
            }
            pieces.extend(session.encrypt_final().expect("an end"));
            assert_eq!(pieces, made, "{mechanism:?} in pieces");
            session.decrypt_init(&mechanism, key).expect("a start");
            let mut pieces = Vec::new();
            for piece in made.chunks(5) {
                pieces.extend(session.decrypt_update(piece).expect("a piece"));
            }
            pieces.extend(session.decrypt_final().expect("an end"));
            assert_eq!(pieces, clear, "{mechanism:?} in pieces");
        }
    });
}

#[test]
fn macs() {
    tokens::run("macs", |token| {
        let session = token.session();
        let may = [Attribute::Sign(true), Attribute::Verify(true)];
        let aes = key(session, KeyType::AES, "2B7E151628AED2A6ABF7158809CF4F3C", &may);
        let secret = key(session, KeyType::GENERIC_SECRET, &"0B".repeat(32), &may);
        // RFC 4493 examples 1 and 2; HMAC by OpenSSL 3.
        let cases = [
            (Mechanism::AesCMac, aes, "", "BB1D6929E95937287FA37D129B756746"),
            (Mechanism::AesCMac, aes, "6BC1BEE22E409F96E93D7E117393172A", "070A16B46B4D4144F79BDD9DD04A287C"),
            (
                Mechanism::Sha256Hmac,
                secret,
                "4869205468657265",
                "198A607EB44BFBC69903A0F1CF2BBDC5BA0AA3F3D9AE3C1C7A3B1696A0B68CF7",
            ),
        ];
        for (mechanism, key, data, expected) in cases {
            let made = session.sign(&mechanism, key, &hex(data)).expect("a MAC");
            assert_eq!(made, hex(expected), "{mechanism:?}");
            session.verify(&mechanism, key, &hex(data), &made).expect("its own");
            let mut other = made.clone();
            other[0] ^= 1;
            let refusal = refused(session.verify(&mechanism, key, &hex(data), &other));
            assert_eq!(refusal, RvError::SignatureInvalid, "{mechanism:?}");
        }
    });
}

#[test]
fn what_a_key_may_not_do_it_does_not() {
    tokens::run("what_a_key_may_not_do_it_does_not", |token| {
        let session = token.session();
        let idle =
            key(session, KeyType::AES, AES_VALUE, &[Attribute::Encrypt(false), Attribute::Sign(false)]);
        let block = [0; 16];
        assert_eq!(
            refused(session.encrypt(&Mechanism::AesEcb, idle, &block)),
            RvError::KeyFunctionNotPermitted
        );
        assert_eq!(
            refused(session.sign(&Mechanism::AesCMac, idle, &block)),
            RvError::KeyFunctionNotPermitted
        );
        let bound = key(session, KeyType::AES, AES_VALUE, &[allowed(&[AES_ECB])]);
        session.encrypt(&Mechanism::AesEcb, bound, &block).expect("its one mechanism");
        let refusal = refused(session.encrypt(&Mechanism::AesCbc([0; 16]), bound, &block));
        assert_eq!(refusal, RvError::MechanismInvalid);
        assert_eq!(refused(session.sign(&Mechanism::AesCMac, bound, &block)), RvError::MechanismInvalid);
        let short = key(session, KeyType::GENERIC_SECRET, "0B0B0B0B0B0B0B0B", &[Attribute::Sign(true)]);
        assert_eq!(refused(session.sign(&Mechanism::Sha256Hmac, short, &block)), RvError::KeySizeRange);
        // A key that is gone is gone for every use.
        session.destroy_object(bound).expect("destroyed");
        assert_eq!(refused(session.encrypt(&Mechanism::AesEcb, bound, &block)), RvError::ObjectHandleInvalid);
        assert_eq!(refused(session.destroy_object(bound)), RvError::ObjectHandleInvalid);
    });
}

#[test]
fn one_thing_at_a_time() {
    tokens::run("one_thing_at_a_time", |token| {
        let session = token.session();
        let aes = key(session, KeyType::AES, AES_VALUE, &[]);
        assert_eq!(refused(session.encrypt_update(&[0; 16])), RvError::OperationNotInitialized);
        session.encrypt_init(&Mechanism::AesEcb, aes).expect("a start");
        assert_eq!(refused(session.encrypt_init(&Mechanism::AesEcb, aes)), RvError::OperationActive);
        assert_eq!(refused(session.sign_init(&Mechanism::AesCMac, aes)), RvError::OperationActive);
        session.encrypt_final().expect("an end");
        // Half a block is no block, and the operation is over after it.
        assert_eq!(refused(session.encrypt(&Mechanism::AesEcb, aes, &[0; 9])), RvError::DataLenRange);
        session.encrypt(&Mechanism::AesEcb, aes, &[0; 16]).expect("the session is free");
    });
}

#[test]
fn a_copy_opens_nothing_that_is_shut() {
    tokens::run("a_copy_opens_nothing_that_is_shut", |token| {
        let session = token.session();
        let master = but(tokens::master("m", &hex(AES_VALUE), AES_DERIVE), Attribute::Modifiable(true));
        let original = session.create_object(&master).expect("a key");
        let value = session.get_attributes(original, &[AttributeType::Value]).expect("attributes");
        assert_eq!(value, [], "a sensitive value is not told");
        for loose in [Attribute::Sensitive(false), Attribute::Extractable(true)] {
            let refusal = refused(session.copy_object(original, &[Attribute::Token(false), loose.clone()]));
            assert_eq!(refusal, RvError::AttributeReadOnly, "{loose:?}");
        }
        let refusal = refused(session.copy_object(original, &[Attribute::Private(false)]));
        assert_eq!(refusal, RvError::TemplateInconsistent);
        let copy = session.copy_object(original, &[Attribute::Token(false)]).expect("a copy");
        let wanted = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::Private];
        let found = session.get_attributes(copy, &wanted).expect("attributes");
        let kept = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Private(true)];
        assert_eq!(found, kept);
    });
}

#[test]
fn keys_are_found_by_what_they_are_and_told_by_their_check_value() {
    tokens::run("keys_are_found_by_what_they_are_and_told_by_their_check_value", |token| {
        let session = token.session();
        let made = session.create_object(&tokens::master("cvk", &hex(DES_VALUE), DES3_ECB)).expect("a key");
        let _temporary = key(session, KeyType::DES2, DES_VALUE, &[Attribute::Label(b"cvk".to_vec())]);
        let find = |template: &[Attribute]| session.find_objects(template).expect("a search");
        assert_eq!(find(&[Attribute::Label(b"cvk".to_vec()), Attribute::Token(true)]), [made]);
        assert_eq!(find(&[Attribute::Label(b"cvk".to_vec())]).len(), 2);
        assert_eq!(find(&[Attribute::Label(b"other".to_vec())]), []);
        let found = session.get_attributes(made, &[AttributeType::CheckValue]).expect("attributes");
        assert_eq!(found, [Attribute::CheckValue(vec![0x08, 0xD7, 0xB4])]);
        session.destroy_object(made).expect("destroyed");
        assert_eq!(find(&[Attribute::Label(b"cvk".to_vec()), Attribute::Token(true)]), []);
    });
}

#[test]
fn what_was_logged_out_of_is_shut() {
    tokens::run("what_was_logged_out_of_is_shut", |token| {
        let session = token.session();
        let private = key(session, KeyType::AES, AES_VALUE, &[]);
        let open = session.copy_object(private, &[]).expect("a copy");
        token.log_out();
        let refusal = refused(session.encrypt(&Mechanism::AesEcb, private, &[0; 16]));
        assert_eq!(refusal, RvError::ObjectHandleInvalid);
        let refusal = refused(session.encrypt(&Mechanism::AesEcb, open, &[0; 16]));
        assert_eq!(refusal, RvError::ObjectHandleInvalid);
        let template = tokens::master("late", &hex(AES_VALUE), AES_DERIVE);
        assert_eq!(refused(session.create_object(&template)), RvError::UserNotLoggedIn);
    });
}

#[test]
fn keys_are_generated_where_nobody_sees_them() {
    tokens::run("keys_are_generated_where_nobody_sees_them", |token| {
        let session = token.session();
        let mut values = Vec::new();
        for (mechanism, length) in [
            (Mechanism::AesKeyGen, Some(16)),
            (Mechanism::AesKeyGen, Some(16)),
            (Mechanism::Des2KeyGen, None),
        ] {
            let mut template = vec![Attribute::Token(false), Attribute::Encrypt(true)];
            template.extend(length.map(|bytes: u64| Attribute::ValueLen(bytes.into())));
            let made = session.generate_key(&mechanism, &template).expect("a key");
            let told = [AttributeType::CheckValue, AttributeType::Local, AttributeType::Value];
            let found = session.get_attributes(made, &told).expect("attributes");
            assert_eq!(found.len(), 2, "no value: {found:?}");
            assert_eq!(found[1], Attribute::Local(true));
            values.push(found[0].clone());
        }
        assert_ne!(values[0], values[1], "a key comes once");
        let random = [session.generate_random_vec(32), session.generate_random_vec(32)];
        let [one, other] = random.map(|bytes| bytes.expect("random bytes"));
        assert_ne!(one, other);
    });
}

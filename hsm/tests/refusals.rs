//! What must be refused: weak keys, other keys, other tokens, and answers when the token is lost.

mod bench;
mod tokens;

use std::path::Path;

use hsm::token::{Capability, Exposure, KeyFlaw, KeySpec, OpenError, Token, Verdict, Weakness};
use hsm::{
    Answer, Cause, Device, HsmError, KeyRequest, Kind, MasterUsage, Plan, Purpose, Retry, Secret, Verifier,
};

use bench::{Bench, EXPOSURES, open, pin, response, spec, static_code};
use cryptoki::object::{Attribute, KeyType};
use tokens::{AES_DERIVE, AES_ECB, DES3_DERIVE, DES3_ECB, LABEL, allowed, but, free, hex, master, vectors};

#[test]
fn a_key_answers_only_its_own_questions() {
    tokens::run("a_key_answers_only_its_own_questions", |hsm| {
        let mut bench = Bench::new(hsm);
        let cvv = vectors("cvv").remove(0);
        let vector = vectors("dd_response_dynamic").remove(0);
        let cvk = bench.cvk(cvv.input("cvk"));
        let counter = bench.master(vector.input("master_key"), MasterUsage::Counter);
        let wrong = |question| Err(HsmError { question, cause: Cause::NotThatKey, retry: Retry::Never });
        assert_eq!(bench.ask(response(cvk, &vector)), wrong(Kind::Response));
        assert_eq!(bench.ask(response(counter, &vector)), wrong(Kind::Response));
        assert_eq!(bench.ask(static_code(counter, &cvv, "561")), wrong(Kind::StaticCode));
    });
}

#[test]
fn a_token_that_was_not_there_is_found_when_it_is() {
    tokens::run("a_token_that_was_not_there_is_found_when_it_is", |hsm| {
        let check_value = hsm.create(&master("counters", &[7; 16], AES_DERIVE));
        let key = KeyRequest {
            spec: spec("counters", check_value),
            purpose: Purpose::Master(MasterUsage::Counter, Exposure::None),
        };
        let plan = Plan {
            module: hsm.module.clone(),
            token: LABEL.to_owned(),
            pin: pin(),
            card_keys: 1,
            keys: vec![key],
        };
        let mut device = Device::open(plan, true).expect("a token");
        hsm.shut_down();
        let show = hsm.hide();
        for _ in 0..2 {
            assert_eq!(device.probe(), Err("no token is labelled \"signalbox-test\""));
        }
        show();
        assert_eq!(device.probe(), Ok(()));
    });
}

#[test]
fn a_token_that_is_lost_makes_errors_and_no_answers() {
    tokens::run("a_token_that_is_lost_makes_errors_and_no_answers", |hsm| {
        let mut bench = Bench::new(hsm);
        let cvv = vectors("cvv").remove(0);
        let vector = vectors("dd_response_dynamic").remove(0);
        let cvk = bench.cvk(cvv.input("cvk"));
        let master = bench.master(vector.input("master_key"), MasterUsage::Response);
        hsm.log_out();
        let error = bench.ask(response(master, &vector)).expect_err("nobody is logged in");
        assert_eq!(error.question, Kind::Response);
        // Modules differ in what they miss first: the login, or the keys that it shows. A fresh session has both.
        assert!(matches!(error.retry, Retry::FreshSession | Retry::FreshToken), "{error}");
        hsm.shut_down();
        for (question, kind) in
            [(response(master, &vector), Kind::Response), (static_code(cvk, &cvv, "561"), Kind::StaticCode)]
        {
            let error = bench.ask(question).expect_err("the module is shut down");
            assert_eq!(
                error,
                HsmError { question: kind, cause: Cause::DeviceLost, retry: Retry::FreshToken }
            );
        }
        // What needs no token gets its answer all the same.
        assert_eq!(bench.ask(static_code(cvk, &cvv, "56")), Ok(Answer::WrongLength));
        // Opened anew, it answers again.
        let labels = [format!("cvk-{}", cvv.input("cvk")), format!("cvk-{}-left", cvv.input("cvk"))];
        let known = [[0x08, 0xD7, 0xB4], [0xD5, 0xD4, 0x4F]];
        let [whole, left] = [0, 1].map(|at| spec(&labels[at], known[at]));
        let mut verifier = Verifier::new(open(hsm));
        let cvk = verifier.load_card_verification(&whole, &left).expect("a CVK");
        assert_eq!(verifier.answer(&[static_code(cvk, &cvv, "561")]), [Ok(Answer::Right)]);
    });
}

#[test]
fn keys_that_could_do_more_are_refused() {
    tokens::run("keys_that_could_do_more_are_refused", |hsm| {
        let value = hex("0123456789ABCDEFFEDCBA9876543210");
        let good = |label: &str| master(label, &value, DES3_DERIVE);
        let aes = master("aes", &value, AES_DERIVE);
        let cases = [
            ("sensitive", but(good("sensitive"), Attribute::Sensitive(false)), Weakness::NotSensitive),
            ("extractable", but(good("extractable"), Attribute::Extractable(true)), Weakness::Extractable),
            ("private", but(good("private"), Attribute::Private(false)), Weakness::NotPrivate),
            ("modifiable", but(good("modifiable"), Attribute::Modifiable(true)), Weakness::Modifiable),
            ("encrypt", but(good("encrypt"), Attribute::Encrypt(true)), Weakness::May("encrypt")),
            ("decrypt", but(good("decrypt"), Attribute::Decrypt(true)), Weakness::May("decrypt")),
            ("sign", but(good("sign"), Attribute::Sign(true)), Weakness::May("sign")),
            ("verify", but(good("verify"), Attribute::Verify(true)), Weakness::May("verify")),
            ("wrap", but(good("wrap"), Attribute::Wrap(true)), Weakness::May("wrap")),
            ("unwrap", but(good("unwrap"), Attribute::Unwrap(true)), Weakness::May("unwrap")),
            ("derive", but(good("derive"), Attribute::Derive(false)), Weakness::MayNot("derive")),
            ("any", free(good("any")), Weakness::AnyMechanism),
            ("two", but(good("two"), allowed(&[DES3_DERIVE, DES3_ECB])), Weakness::OtherMechanism),
            ("other", but(good("other"), allowed(&[AES_DERIVE])), Weakness::OtherMechanism),
            ("aes", but(aes, allowed(&[DES3_DERIVE])), Weakness::OtherType),
        ];
        let mut verifier = Verifier::new(open(hsm));
        for (label, template, weakness) in cases {
            let check_value = hsm.create(&template);
            let error = verifier.load_master(&spec(label, check_value), MasterUsage::Cvc3, Exposure::None);
            let error = error.expect_err("a weak key");
            let KeyFlaw::Weak(found) = &error.flaw else { panic!("{error}") };
            assert_eq!(found.as_slice(), [weakness], "{label}");
            let said = format!("key {label:?} (usage cvc3): refused, because it {weakness}");
            assert_eq!(error.to_string(), said);
        }
        let key = hsm.create(&good("good"));
        verifier.load_master(&spec("good", key), MasterUsage::Cvc3, Exposure::None).expect("a good key");
    });
}

#[test]
fn a_key_of_one_exposure_is_none_of_another() {
    tokens::run("a_key_of_one_exposure_is_none_of_another", |hsm| {
        let value = hex("0123456789ABCDEFFEDCBA9876543210");
        let mut verifier = Verifier::new(open(hsm));
        let families = [
            (MasterUsage::Cvc3, DES3_DERIVE, DES3_ECB),
            (MasterUsage::DynamicCvv, DES3_DERIVE, DES3_ECB),
            (MasterUsage::Cryptogram, DES3_DERIVE, DES3_ECB),
            (MasterUsage::AesCryptogram, AES_DERIVE, AES_ECB),
            (MasterUsage::Response, AES_DERIVE, AES_ECB),
            (MasterUsage::Counter, AES_DERIVE, AES_ECB),
        ];
        for (usage, shut, open) in families {
            let make = |label: &str, mechanism| {
                let label = format!("{label}-{usage:?}");
                let check_value = hsm.create(&master(&label, &value, mechanism));
                spec(&label, check_value)
            };
            let (shut, open) = (make("shut", shut), make("open", open));
            let least = if usage == MasterUsage::Counter { Exposure::Session } else { Exposure::Card };
            for exposure in EXPOSURES {
                let (good, bad) = if exposure < least { (&shut, &open) } else { (&open, &shut) };
                verifier.load_master(good, usage, exposure).expect("made for it");
                let error = verifier.load_master(bad, usage, exposure).expect_err("made for another");
                assert!(matches!(error.flaw, KeyFlaw::Weak(_)), "{usage:?}, {exposure:?}: {error}");
            }
        }
    });
}

#[test]
fn a_key_is_copied_where_the_token_copies_it() {
    tokens::run("a_key_is_copied_where_the_token_copies_it", |hsm| {
        let vector = vectors("dd_response_dynamic").remove(0);
        let value = hex(vector.input("master_key"));
        let mut verifier = Verifier::new(open(hsm));
        let firm = hsm.create(&master("firm", &value, AES_DERIVE));
        let loose = but(master("loose", &value, AES_DERIVE), Attribute::Modifiable(true));
        let loose = KeySpec { danger_modifiable: true, ..spec("loose", hsm.create(&loose)) };
        let firm =
            verifier.load_master(&spec("firm", firm), MasterUsage::Response, Exposure::None).expect("a key");
        let loose = verifier.load_master(&loose, MasterUsage::Response, Exposure::None).expect("a key");
        // SoftHSM2 copies no key that is not modifiable: such a key is used in place.
        assert_eq!([firm, loose].map(|key| verifier.is_copied(key)), [false, true]);
        let questions = [firm, loose].map(|key| response(key, &vector));
        assert_eq!(verifier.answer(&questions), [Ok(Answer::Right), Ok(Answer::Right)]);
    });
}

#[test]
fn a_key_must_be_there_once_and_be_the_one_written_down() {
    tokens::run("a_key_must_be_there_once_and_be_the_one_written_down", |hsm| {
        let value = hex("0123456789ABCDEFFEDCBA9876543210");
        let check_value = hsm.create(&master("once", &value, DES3_DERIVE));
        // The usual check value: three bytes of zeros under the key.
        assert_eq!(check_value, [0x08, 0xD7, 0xB4]);
        hsm.create(&master("twice", &value, DES3_DERIVE));
        hsm.create(&master("twice", &value, DES3_DERIVE));
        let mut verifier = Verifier::new(open(hsm));
        let mut load = |label, check_value| {
            verifier.load_master(&spec(label, check_value), MasterUsage::Cvc3, Exposure::None)
        };
        assert!(matches!(load("never", check_value).expect_err("none").flaw, KeyFlaw::Absent));
        assert!(matches!(load("twice", check_value).expect_err("two").flaw, KeyFlaw::Ambiguous));
        let error = load("once", [1, 2, 3]).expect_err("another key");
        assert!(matches!(error.flaw, KeyFlaw::OtherKey { found } if found.0 == check_value));
        assert_eq!(error.to_string(), "key \"once\" (usage cvc3): another key, with check value 08D7B4");
        load("once", check_value).expect("the key");
    });
}

#[test]
fn a_token_must_be_there_and_let_us_in() {
    tokens::run("a_token_must_be_there_and_let_us_in", |hsm| {
        let open = |module: &Path, label: &str, pin: &Secret| {
            Token::open(module, label, pin).err().expect("refused")
        };
        let refused = open(&hsm.module, "another", &pin());
        assert!(matches!(refused, OpenError::NoToken { .. }), "{refused}");
        assert_eq!(refused.to_string(), "no token is labelled \"another\"");
        let refused = open(Path::new("no-such-module.so"), LABEL, &pin());
        assert!(matches!(refused, OpenError::Load { .. }), "{refused}");
        let refused = open(Path::new("libm.so.6"), LABEL, &pin());
        assert!(matches!(refused, OpenError::Load { .. }), "{refused}");
        hsm.log_out();
        let refused = open(&hsm.module, LABEL, &Secret::from("0000-0000".to_owned()));
        assert!(matches!(refused, OpenError::Login { .. }), "{refused}");
        assert!(!refused.to_string().contains("0000-0000"), "{refused}");
        Token::open(&hsm.module, LABEL, &pin()).expect("the right PIN");
    });
}

#[test]
fn everything_works() {
    tokens::run("everything_works", |hsm| {
        let token = open(hsm);
        let names: Vec<_> = token.findings().iter().map(|finding| finding.capability.to_string()).collect();
        let all = [
            "3DES-ECB",
            "3DES-ECB stream",
            "3DES-ECB decryption",
            "3DES-CBC",
            "3DES-CMAC",
            "3DES-ECB derivation",
            "AES-ECB",
            "AES-ECB stream",
            "AES-ECB decryption",
            "AES-CBC",
            "AES-ECB derivation",
            "AES-CMAC",
            "HMAC-SHA-256",
        ];
        assert_eq!(names, all);
        let works = token.findings().iter().all(|finding| finding.verdict == Verdict::Works);
        assert!(works, "{:?}", token.findings());
    });
}

#[test]
fn what_is_missing_is_named() {
    let without = "CKM_AES_CMAC,CKM_DES3_ECB_ENCRYPT_DATA";
    tokens::run_without("what_is_missing_is_named", without, |hsm| {
        let token = open(hsm);
        let broken = token.findings().iter().filter(|finding| finding.verdict != Verdict::Works);
        let broken: Vec<_> = broken.map(|finding| (finding.capability, finding.verdict)).collect();
        let missing = [Capability::TripleDesDerivation, Capability::AesCmac];
        assert_eq!(broken, missing.map(|capability| (capability, Verdict::Fails(Cause::Refused))));
        let mut bench = Bench { verifier: Verifier::new(token), ..Bench::new(hsm) };
        let cvv = vectors("cvv").remove(0);
        let value = cvv.input("cvk");
        for (usage, mechanism, said) in [
            (MasterUsage::Cvc3, DES3_DERIVE, "key \"Cvc3\" (usage cvc3): needs 3DES-ECB derivation"),
            (MasterUsage::Response, AES_DERIVE, "key \"Response\" (usage challenge): needs AES-CMAC"),
        ] {
            let key = bench.make(&format!("{usage:?}"), &hex(value), mechanism);
            let error = bench.verifier.load_master(&key, usage, Exposure::None).expect_err("cannot be used");
            assert_eq!(error.to_string(), format!("{said}, which fails (refused by the device)"));
        }
        // What needs neither goes on.
        let key = bench.cvk(value);
        assert_eq!(bench.ask(static_code(key, &cvv, cvv.text("cvv"))), Ok(Answer::Right));
        bench.master(value, MasterUsage::Counter);
    });
}

#[test]
fn a_key_of_the_wrong_cipher_is_no_cvk() {
    tokens::run("a_key_of_the_wrong_cipher_is_no_cvk", |hsm| {
        let value = hex("0123456789ABCDEFFEDCBA9876543210");
        let template = but(master("cvk", &value, DES3_ECB), Attribute::KeyType(KeyType::AES));
        let key = spec("cvk", hsm.create(&template));
        let error = Verifier::new(open(hsm)).load_card_verification(&key, &key).expect_err("an AES key");
        assert!(matches!(&error.flaw, KeyFlaw::Weak(found) if *found == [Weakness::OtherType]), "{error}");
    });
}

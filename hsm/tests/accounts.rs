//! Vectors of accounts and purchases, through every token there is: responses that were enrolled, rotating ATCs on
//! ordinary terminals, application cryptograms; and that kept keys of cards change no answer.

mod bench;
mod tokens;

use cryptoki::object::{Attribute, KeyType};
use hsm::token::Exposure;
use hsm::{
    Answer, Card, CardStatus, Challenge, Code, CodeLength, Cryptogram, CryptogramVersion, Derivation,
    EnrolCvc3, EnrolResponse, EnrolledResponse, IssuerAnswer, KeyId, MasterUsage, Psn, Question, ResponseTag,
    RotatingCvc3, TrackData,
};

use bench::{Bench, EXPOSURES, card, length, pan, un};
use tokens::{AES_ECB, HMAC, Vector, hex, vectors};

/// Both kinds of enrolled responses: enrolled, and recognised by what was stored.
fn enrolled(
    bench: &mut Bench<'_>,
    key: KeyId,
    (account, reference, right): (&str, &str, &str),
    tag: ResponseTag,
) {
    let challenge = || Challenge::parse(reference.as_bytes()).expect("digits");
    let enrol = EnrolResponse {
        key,
        pan: pan(account),
        challenge: challenge(),
        response: Code::parse(right.as_bytes()).expect("digits"),
        length: length(right),
    };
    assert_eq!(bench.ask(Question::EnrolResponse(enrol)), Ok(Answer::Tag(tag)), "{account}");
    bench.judges(account, right, Answer::Right, |presented| {
        let (pan, challenge, length) = (pan(account), challenge(), length(right));
        Question::EnrolledResponse(EnrolledResponse { key, pan, challenge, tag, presented, length })
    });
    let short = EnrolResponse {
        key,
        pan: pan(account),
        challenge: challenge(),
        response: Code::parse(&right.as_bytes()[1..]).expect("digits"),
        length: length(right),
    };
    assert_eq!(bench.ask(Question::EnrolResponse(short)), Ok(Answer::WrongLength), "{account}");
}

#[test]
fn responses_under_a_pepper() {
    tokens::run("responses_under_a_pepper", |hsm| {
        let mut bench = Bench::new(hsm);
        for vector in vectors("dd_response_static") {
            let key = bench.once("pepper", |bench| {
                let spec = bench.make("pepper", &hex(vector.input("pepper_key")), AES_ECB);
                bench.verifier.load_pepper(&spec).expect("a pepper")
            });
            let tag = ResponseTag::Aes(hex(vector.text("tag")).try_into().expect("sixteen bytes"));
            let reference = vector.number("challenge_id").to_string();
            enrolled(&mut bench, key, (vector.input("account"), &reference, vector.input("response")), tag);
        }
    });
}

#[test]
fn responses_by_hmac() {
    tokens::run("responses_by_hmac", |hsm| {
        let mut bench = Bench::new(hsm);
        for vector in vectors("dd_response_hmac") {
            let kind = (KeyType::GENERIC_SECRET, Attribute::Sign(true), HMAC);
            let spec = bench.make_for("hmac", &hex(vector.input("hmac_key")), kind);
            let key = bench.verifier.load_response_hmac(&spec).expect("a key");
            let parts: Vec<_> = vector.input("message_ascii").split('|').collect();
            let tag = ResponseTag::Hmac(hex(vector.text("tag")).try_into().expect("32 bytes"));
            enrolled(&mut bench, key, (parts[1], parts[2], parts[3]), tag);
        }
    });
}

#[test]
fn rotating_codes_of_ordinary_terminals() {
    tokens::run("rotating_codes_of_ordinary_terminals", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            for keeps in [false, true] {
                if keeps {
                    bench.verifier.keep_card_keys(10).expect("random numbers");
                }
                for vector in vectors("ratc_cvc3") {
                    let counters = bench.exposed_counters(vector.input("bundle_key"));
                    let key = bench.master(vector.input("imk_cvc3"), MasterUsage::Cvc3);
                    let derivation = Derivation::OptionA;
                    let track = TrackData::new(hex(vector.input("track2_template"))).expect("a track");
                    let enrol = EnrolCvc3 { key, card: card(&vector), derivation, track };
                    let Ok(Answer::Ivcvc3(ivcvc3)) = bench.ask(Question::EnrolCvc3(enrol)) else {
                        panic!("{}: no constant", vector.id())
                    };
                    assert_eq!(ivcvc3.0.as_slice(), hex(vector.text("ivcvc3")), "{}", vector.id());
                    for right in [vector.text("code_3_digits"), vector.text("code_decimal")] {
                        bench.judges(vector.id(), right, Answer::Right, |presented| {
                            Question::RotatingCvc3(RotatingCvc3 {
                                counters,
                                key,
                                card: card(&vector),
                                derivation,
                                ivcvc3,
                                account: hex(vector.input("account_id_8")).try_into().expect("eight bytes"),
                                bundle: vector.number("bundle") as u32,
                                index: vector.number("index") as u32,
                                un: un(vector.input("un_numeric")),
                                presented,
                                length: length(right),
                            })
                        });
                    }
                }
            }
        }
    });
}

fn version(vector: &Vector) -> CryptogramVersion {
    match vector.input("cvn") {
        "visa_cvn10" => CryptogramVersion::Visa10,
        "visa_cvn18" => CryptogramVersion::Visa18,
        "visa_cvn22" => CryptogramVersion::Visa22,
        "mastercard_cvn_0x10" => CryptogramVersion::Mastercard10,
        "mastercard_cvn_0x14" => CryptogramVersion::Mastercard14,
        _ => CryptogramVersion::Aes,
    }
}

/// 9F10: the vector's, or what a Mastercard card makes of its CVR.
fn iad(vector: &Vector) -> Vec<u8> {
    vector.given("9F10").map(hex).unwrap_or_else(|| {
        let number = if version(vector) == CryptogramVersion::Mastercard10 { 0x10 } else { 0x14 };
        [&[0x01, number][..], &hex(vector.input("CVR")), &[0; 2]].concat()
    })
}

fn asked(
    key: KeyId,
    vector: &Vector,
    presented: Option<[u8; 8]>,
    answers: [Option<IssuerAnswer>; 2],
) -> Option<Cryptogram> {
    let psn = Psn::new(vector.input("psn").parse().expect("a number")).expect("below 100");
    let card = Card { pan: pan(vector.input("pan")), psn };
    let signed = *hex(vector.input("mac_data")).first_chunk().expect("what all versions sign");
    Cryptogram::new((key, version(vector)), card, signed, &iad(vector), presented, answers)
}

fn cryptogram_key(bench: &mut Bench<'_>, vector: &Vector) -> KeyId {
    let is_aes = version(vector).is_aes();
    let usage = if is_aes { MasterUsage::AesCryptogram } else { MasterUsage::Cryptogram };
    bench.master(vector.input("imk_ac"), usage)
}

#[test]
fn cryptograms() {
    tokens::run("cryptograms", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            for keeps in [false, true] {
                if keeps {
                    bench.verifier.keep_card_keys(10).expect("random numbers");
                }
                for vector in vectors("arqc") {
                    let key = cryptogram_key(&mut bench, &vector);
                    let mut ask = |presented| {
                        let question = asked(key, &vector, presented, [None, None]).expect("a question");
                        bench.ask(Question::Cryptogram(Box::new(question)))
                    };
                    let right: [u8; 8] = hex(vector.text("arqc")).try_into().expect("eight bytes");
                    let good = Answer::RightCryptogram { approved: None, declined: None };
                    assert_eq!(ask(Some(right)), Ok(good), "{}", vector.id());
                    for at in 0..8 {
                        let mut wrong = right;
                        wrong[at] ^= 1;
                        assert_eq!(ask(Some(wrong)), Ok(Answer::Wrong), "{}: byte {at}", vector.id());
                    }
                    assert_eq!(ask(None), Ok(Answer::WrongLength), "{}", vector.id());
                }
            }
            assert_eq!(bench.verifier.card_keys() > 0, exposure < Exposure::Card, "none is in the token");
        }
    });
}

#[test]
fn cryptograms_are_answered_in_the_same_visit() {
    tokens::run("cryptograms_are_answered_in_the_same_visit", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            // Which cryptogram and which answer are of one purchase.
            for (arqc, arpc) in [("arqc-01", "arpc-01"), ("arqc-10", "arpc-11"), ("arqc-11", "arpc-13")] {
                let find = |scheme, id| {
                    let found = vectors(scheme).into_iter().find(|vector| vector.id() == id);
                    found.expect("the vector")
                };
                let (vector, answer) = (find("arqc", arqc), find("arpc", arpc));
                let key = cryptogram_key(&mut bench, &vector);
                let reply = |is_approved: bool| match answer.given("arc") {
                    Some(code) if is_approved => IssuerAnswer::Code(hex(code).try_into().expect("two bytes")),
                    Some(_) => IssuerAnswer::Code(*b"05"),
                    None => {
                        let update = hex(answer.input("csu")).try_into().expect("four bytes");
                        let update = if is_approved { update } else { [0; 4] };
                        IssuerAnswer::Status(CardStatus::new(update, &[]).expect("a status"))
                    }
                };
                let right = hex(vector.text("arqc")).try_into().ok();
                let question = asked(key, &vector, right, [Some(reply(true)), Some(reply(false))]);
                let answered = bench.ask(Question::Cryptogram(Box::new(question.expect("a question"))));
                let Ok(Answer::RightCryptogram { approved: Some(approved), declined: Some(declined) }) =
                    answered
                else {
                    panic!("{arqc}: {answered:?}")
                };
                assert_eq!(approved.as_bytes(), hex(answer.text("tag_91")), "{arpc}");
                assert_ne!(approved, declined, "{arpc}");
                // Nothing is answered to a wrong one.
                let wrong = asked(key, &vector, Some([0; 8]), [Some(reply(true)), None]).expect("a question");
                assert_eq!(bench.ask(Question::Cryptogram(Box::new(wrong))), Ok(Answer::Wrong), "{arqc}");
            }
        }
    });
}

#[test]
fn a_cryptogram_is_asked_whole_or_not_at_all() {
    tokens::run("a_cryptogram_is_asked_whole_or_not_at_all", |hsm| {
        let mut bench = Bench::new(hsm);
        let vector = vectors("arqc").remove(0);
        let key = cryptogram_key(&mut bench, &vector);
        let card = || Card { pan: pan(vector.input("pan")), psn: Psn::ABSENT };
        let ask = |version, iad: &str, answer| {
            Cryptogram::new((key, version), card(), [0; 33], &hex(iad), Some([0; 8]), [answer, None])
                .is_some()
        };
        let (code, status) = (
            Some(IssuerAnswer::Code(*b"00")),
            Some(IssuerAnswer::Status(CardStatus::new([0; 4], &[0; 8]).expect("a status"))),
        );
        assert!(CardStatus::new([0; 4], &[0; 9]).is_none());
        assert!(ask(CryptogramVersion::Visa10, "06010A03A0B800", code));
        assert!(!ask(CryptogramVersion::Visa10, "06010A03A0B800", status), "another method");
        assert!(!ask(CryptogramVersion::Visa10, "06011203A0B800", code), "another version");
        assert!(!ask(CryptogramVersion::Visa10, "06010A03A0", code), "too short");
        assert!(!ask(CryptogramVersion::Visa18, "06010A03A0B800", status), "another version");
        assert!(ask(CryptogramVersion::Mastercard15, "0115A500000000000000AAAAAAAAAAAAAAAA", code));
        assert!(!ask(CryptogramVersion::Mastercard15, "0115A500000000000000", code), "no counters");
        assert!(!ask(CryptogramVersion::Aes, "", status), "nothing");
    });
}

#[test]
fn kept_keys_make_room_and_change_no_answer() {
    tokens::run("kept_keys_make_room_and_change_no_answer", |hsm| {
        let mut bench = Bench::new(hsm);
        bench.verifier.keep_card_keys(8).expect("random numbers");
        let vector = vectors("dd_response_dynamic").remove(0);
        let key = bench.master(vector.input("master_key"), MasterUsage::Response);
        let question = |at: u64| hsm::Response {
            key,
            pan: pan(&(4_000_000_000_000_000 + at).to_string()),
            challenge: Challenge::parse(b"08154711").expect("digits"),
            presented: Code::parse(b"000000").expect("digits"),
            length: CodeLength::new(6).expect("six"),
        };
        for at in (0..40).chain(0..40) {
            assert!(bench.ask(Question::Response(question(at))).is_ok());
            let right = bench.ask(bench::response(key, &vector));
            assert_eq!(right, Ok(Answer::Right), "after {at} others");
        }
        assert_eq!(bench.verifier.card_keys(), 8);
    });
}

//! Every vector of the questions that can be asked, through every token there is.

mod bench;
mod tokens;

use hsm::{
    Answer, Candidates, Challenge, Cvc3, Derivation, DynamicCvv, EnrolCvc3, Ivcvc3, MasterUsage, Printed,
    Question, Response, RotatingCode, StaticCode, TrackData,
};

use bench::{Bench, EXPOSURES, atc, card, expiry, length, pan, response, static_code, un};
use tokens::{hex, vectors};

#[test]
fn static_codes() {
    tokens::run("static_codes", |hsm| {
        let mut bench = Bench::new(hsm);
        for vector in vectors("cvv") {
            let key = bench.cvk(vector.input("cvk"));
            let printed = match vector.given("service_code").unwrap_or("101") {
                "000" => Printed::on_the_card(expiry(&vector)),
                "999" => Printed::in_the_chip(expiry(&vector)),
                stripe => Printed::stripe(expiry(&vector), stripe.as_bytes().try_into().expect("three")),
            };
            let (printed, right) = (printed.expect("digits"), vector.text("cvv"));
            bench.judges(vector.id(), right, Answer::Right, |presented| {
                let pan = pan(vector.input("pan"));
                Question::StaticCode(StaticCode { key, pan, printed, presented, length: length(right) })
            });
        }
    });
}

#[test]
fn cvc3_of_track_2() {
    tokens::run("cvc3_of_track_2", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            for vector in vectors("cvc3_track2").iter().filter(|vector| vector.given("imk_cvc3").is_some()) {
                let key = bench.master(vector.input("imk_cvc3"), MasterUsage::Cvc3);
                let track = TrackData::new(hex(vector.input("track2_template"))).expect("a track");
                let derivation = Derivation::OptionA;
                let enrol = EnrolCvc3 { key, card: card(vector), derivation, track };
                let Ok(Answer::Ivcvc3(ivcvc3)) = bench.ask(Question::EnrolCvc3(enrol)) else {
                    panic!("{}: no constant", vector.id())
                };
                assert_eq!(ivcvc3.0.as_slice(), hex(vector.text("ivcvc3")), "{}", vector.id());
                let right = vector.expected(&["parsed", "cvc3_digits"]).as_str().expect("digits");
                let atc = atc(vector);
                bench.judges(vector.id(), right, Answer::RightFor(atc), |presented| {
                    let atcs = Candidates::new(&[atc]).expect("one");
                    let un = un(vector.input("un_numeric"));
                    let (card, length) = (card(vector), length(right));
                    Question::Cvc3(Cvc3 { key, card, derivation, ivcvc3, un, atcs, presented, length })
                });
            }
        }
    });
}

#[test]
fn cvc3_for_several_atcs() {
    tokens::run("cvc3_for_several_atcs", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            // The card key that the vector gives is the one that this vector derives.
            let derived = vectors("cvc3_track2").into_iter().find(|vector| vector.id() == "cvc3_track2-03");
            let derived = derived.expect("the vector");
            let key = bench.master(derived.input("imk_cvc3"), MasterUsage::Cvc3);
            for vector in vectors("cvc3_window_batch") {
                assert_eq!(vector.input("kd_cvc3"), derived.text("kd_cvc3"));
                let numbers = vector.expected(&["candidate_atcs"]).as_array().expect("ATCs").iter();
                let atcs: Vec<u16> = numbers.map(|atc| atc.as_u64().expect("an ATC") as u16).collect();
                let codes = vector.expected(&["cvc3_decimal"]).as_array().expect("codes").iter();
                let iv = hex(vector.input("ivcvc3"));
                for (atc, code) in atcs.iter().zip(codes.map(|code| code.as_str().expect("digits"))) {
                    let right = &format!("{code:0>5}")[2..];
                    bench.judges(vector.id(), right, Answer::RightFor(*atc), |presented| {
                        Question::Cvc3(Cvc3 {
                            key,
                            card: card(&derived),
                            derivation: Derivation::OptionB,
                            ivcvc3: Ivcvc3([iv[0], iv[1]]),
                            un: un(vector.input("un_numeric")),
                            atcs: Candidates::new(&atcs).expect("some"),
                            presented,
                            length: length(right),
                        })
                    });
                }
            }
        }
    });
}

#[test]
fn dynamic_cvvs() {
    tokens::run("dynamic_cvvs", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            for vector in vectors("dcvv").iter().filter(|vector| vector.given("imk").is_some()) {
                let key = bench.master(vector.input("imk"), MasterUsage::DynamicCvv);
                let printed = Printed::stripe(expiry(vector), vector.digits("service_code")).expect("digits");
                let (right, atc) = (vector.text("dcvv"), vector.number("atc") as u16);
                bench.judges(vector.id(), right, Answer::Right, |presented| {
                    let (card, length) = (card(vector), length(right));
                    Question::DynamicCvv(DynamicCvv { key, card, printed, atc, presented, length })
                });
            }
        }
    });
}

#[test]
fn rotating_codes() {
    tokens::run("rotating_codes", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            for vector in vectors("ratc_aes") {
                let key = bench.master(vector.input("bundle_key"), MasterUsage::Counter);
                let block = hex(vector.input("derivation_block"));
                let number =
                    |at: usize| u32::from_be_bytes(block[at..at + 4].try_into().expect("four bytes"));
                let right = vector.text("code_4_digits");
                bench.judges(vector.id(), right, Answer::Right, |presented| {
                    Question::RotatingCode(RotatingCode {
                        key,
                        account: block[..8].try_into().expect("eight bytes"),
                        bundle: number(8),
                        index: number(12),
                        un: un(vector.input("un_bcd")),
                        presented,
                        length: length(right),
                    })
                });
            }
        }
    });
}

#[test]
fn responses() {
    tokens::run("responses", |hsm| {
        for exposure in EXPOSURES {
            let mut bench = Bench::exposing(hsm, exposure);
            for vector in vectors("dd_response_dynamic") {
                let key = bench.master(vector.input("master_key"), MasterUsage::Response);
                let right = vector.text("response_5_digits");
                bench.judges(vector.id(), right, Answer::Right, |presented| {
                    let challenge =
                        Challenge::parse(vector.input("challenge_digits").as_bytes()).expect("digits");
                    let pan = pan(vector.input("account"));
                    Question::Response(Response { key, pan, challenge, presented, length: length(right) })
                });
            }
        }
    });
}

#[test]
fn many_questions_are_answered_in_their_order() {
    tokens::run("many_questions_are_answered_in_their_order", |hsm| {
        let mut bench = Bench::new(hsm);
        let other = "34C2230DF257DC54FE834352C4B3947A";
        let codes: Vec<_> =
            vectors("cvv").into_iter().filter(|vector| vector.input("cvk") != other).collect();
        let response_vector = vectors("dd_response_dynamic").remove(0);
        let response_key = bench.master(response_vector.input("master_key"), MasterUsage::Response);
        let (mut questions, mut expected) = (Vec::new(), Vec::new());
        // More than one batch, of two keys in turn, with every kind of answer among them.
        for at in 0..1_000 {
            let vector = &codes[at % codes.len()];
            let right = vector.text("cvv");
            let (key, presented, answer) = match at % 7 {
                0 => (bench.cvk(other), right, Answer::Wrong),
                1 => (bench.cvk(vector.input("cvk")), "", Answer::WrongLength),
                2 => (bench.cvk(vector.input("cvk")), "000", Answer::Wrong),
                _ => (bench.cvk(vector.input("cvk")), right, Answer::Right),
            };
            questions.push(static_code(key, vector, presented));
            expected.push(Ok(answer));
            if at % 50 == 0 {
                questions.push(response(response_key, &response_vector));
                expected.push(Ok(Answer::Right));
            }
        }
        assert_eq!(bench.verifier.answer(&questions), expected);
        assert_eq!(bench.verifier.answer(&[]), []);
    });
}

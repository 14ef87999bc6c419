//! Every kind goes there and back; nothing else is believed.

use super::*;
use crate::algorithm3::Padding;
use crate::derive::{Card, Derivation};
use crate::digits::{Challenge, Code, CodeLength, Pan, Psn};
use crate::error::Cause;
use crate::plan::{KeyRequest, Purpose};
use crate::question::{
    Candidates, CardStatus, CheckMac, Cryptogram, CryptogramVersion, Cvc3, DynamicCvv, EnrolCvc3,
    EnrolResponse, EnrolledResponse, IssuerAnswer, IssuerAuthentication, Ivcvc3, KeyId, Kind, MakeMac,
    PinBlock, PinFormat, Printed, Response, ResponseTag, RotatingCode, RotatingCvc3, StaticCode, TrackData,
    TranslatePin, UnpredictableNumber,
};
use crate::secret::Secret;
use crate::token::{CheckValue, Exposure, KeySpec};
use crate::verifier::MasterUsage;
use cryptoki::error::RvError;

/// One question of each kind.
fn sample(kind: Kind) -> Question {
    let key = KeyId(0x0102);
    let pan = Pan::parse(b"9999150000000015").expect("a number");
    let card = Card { pan: pan.clone(), psn: Psn::new(17).expect("a number") };
    let printed = Printed::stripe(*b"2912", *b"201").expect("digits");
    let un = UnpredictableNumber::parse(b"731").expect("digits");
    let presented = Code::parse(b"4785").expect("digits");
    let derivation = Derivation::OptionB;
    let length = CodeLength::new(4).expect("a length");
    match kind {
        Kind::StaticCode => Question::StaticCode(StaticCode { key, pan, printed, presented, length }),
        Kind::EnrolCvc3 => {
            let track = TrackData::new(vec![0x5A; 79]).expect("a track");
            Question::EnrolCvc3(EnrolCvc3 { key, card, derivation, track })
        }
        Kind::Cvc3 => {
            let atcs = Candidates::new(&[7; crate::MAX_CANDIDATES]).expect("candidates");
            let ivcvc3 = Ivcvc3([0xEB, 6]);
            Question::Cvc3(Cvc3 { key, card, derivation, ivcvc3, un, atcs, presented, length })
        }
        Kind::DynamicCvv => {
            Question::DynamicCvv(DynamicCvv { key, card, printed, atc: 999, presented, length })
        }
        Kind::RotatingCode => Question::RotatingCode(RotatingCode {
            key,
            account: *b"\x99\x10\x00\x00\x00\x00\x10\x01",
            bundle: 0x0102_0304,
            index: 42,
            un,
            presented: Code::absent(),
            length: CodeLength::new(12).expect("a length"),
        }),
        Kind::RotatingCvc3 => Question::RotatingCvc3(RotatingCvc3 {
            counters: KeyId(7),
            key,
            card,
            derivation,
            ivcvc3: Ivcvc3([0xEB, 6]),
            account: *b"\x99\x10\x00\x00\x00\x00\x10\x01",
            bundle: 7,
            index: 42,
            un,
            presented,
            length: CodeLength::new(3).expect("a length"),
        }),
        Kind::Response => Question::Response(Response {
            key,
            pan,
            challenge: challenge(),
            presented,
            length: CodeLength::new(6).expect("a length"),
        }),
        Kind::EnrolResponse => Question::EnrolResponse(EnrolResponse {
            key,
            pan,
            challenge: challenge(),
            response: presented,
            length: CodeLength::new(6).expect("a length"),
        }),
        Kind::EnrolledResponse => Question::EnrolledResponse(EnrolledResponse {
            key,
            pan,
            challenge: challenge(),
            tag: ResponseTag::Hmac([0xA5; 32]),
            presented,
            length: CodeLength::new(6).expect("a length"),
        }),
        Kind::Cryptogram => {
            let status = CardStatus::new([1, 2, 3, 4], &[5; 8]).map(IssuerAnswer::Status);
            let version = CryptogramVersion::Visa18;
            let iad = [&[6, 1, 0x12][..], &[9; 29]].concat();
            let asked = Cryptogram::new((key, version), card, [3; 33], &iad, Some([8; 8]), [status, None]);
            Question::Cryptogram(Box::new(asked.expect("a question")))
        }
        Kind::TranslatePin => Question::TranslatePin(TranslatePin {
            from: key,
            to: KeyId(9),
            from_format: PinFormat::Iso3,
            to_format: PinFormat::Iso4,
            other_pan: Pan::parse(b"9999600000000019"),
            pan,
            block: PinBlock::new(&[0x5A; 8]).expect("a block"),
        }),
        Kind::MakeMac => Question::MakeMac(MakeMac { key, message: covered(300) }),
        Kind::CheckMac => {
            Question::CheckMac(CheckMac { key, message: covered(40), presented: Some([0xAC; 8]) })
        }
    }
}

fn challenge() -> Challenge {
    Challenge::parse(b"08154711").expect("digits")
}

fn covered(bytes: usize) -> Covered {
    Covered::new(vec![0x31; bytes]).expect("short enough")
}

#[test]
fn the_longest_message_fits() {
    let whole = Covered::MAX_BYTES;
    let asked = asked(&Question::CheckMac(CheckMac {
        key: KeyId(1),
        message: covered(whole),
        presented: Some([1; 8]),
    }));
    assert!(asked.len() - HEADER_BYTES - 8 <= QUESTION_BYTES_MAX);
    assert!(Covered::new(vec![0; whole + 1]).is_none());
}

fn asked(question: &Question) -> Vec<u8> {
    let mut bytes = Vec::new();
    let begun = begin_questions(&mut bytes);
    put_question(&mut bytes, 99, question);
    end(&mut bytes, begun);
    bytes
}

#[test]
fn every_question_arrives_as_it_was() {
    for kind in Kind::ALL {
        let bytes = asked(&sample(kind));
        assert!(bytes.len() - HEADER_BYTES - 8 <= QUESTION_BYTES_MAX, "{kind}");
        let Ok(Some((Order::Ask(mut questions), taken))) = order(&bytes) else { panic!("{kind}") };
        assert_eq!(taken, bytes.len());
        let (number, arrived) = questions.next().expect("one").expect("sound");
        assert!(questions.next().is_none());
        // A question cannot be printed or compared; its form can.
        assert_eq!((number, arrived.kind(), asked(&arrived)), (99, kind, bytes));
    }
}

#[test]
fn a_question_cut_short_or_spoiled_is_no_question() {
    for kind in Kind::ALL {
        let bytes = asked(&sample(kind));
        for len in HEADER_BYTES + 1..bytes.len() {
            assert!(matches!(order(&bytes[..len]), Ok(None)), "not whole yet");
            let mut cut = bytes[..len].to_vec();
            end(&mut cut, Begun(0));
            let Ok(Some((Order::Ask(mut questions), _))) = order(&cut) else { panic!("a frame") };
            assert!(questions.next().expect("a record").is_err(), "{kind} of {len} bytes");
            assert!(questions.next().is_none(), "nothing is read behind it");
        }
        for at in HEADER_BYTES..bytes.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut spoiled = bytes.clone();
                spoiled[at] = value;
                let Ok(Some((Order::Ask(questions), _))) = order(&spoiled) else { panic!("a frame") };
                // Sound or not: no panic, and it ends.
                assert!(questions.count() <= bytes.len());
            }
        }
    }
}

#[test]
fn every_answer_arrives_as_it_was() {
    let causes = [
        Cause::NotThatKey,
        Cause::Busy,
        Cause::SessionLost,
        Cause::LoggedOut,
        Cause::KeyLost,
        Cause::DeviceLost,
        Cause::Refused,
        Cause::WrongLength,
        Cause::WrongAnswer,
        Cause::Module,
        Cause::Other(RvError::PinLocked),
        Cause::Other(RvError::VendorDefined(0x8000_0042)),
    ];
    let answers = [
        Answer::Right,
        Answer::RightFor(0xFEDC),
        Answer::Wrong,
        Answer::WrongLength,
        Answer::Ivcvc3(Ivcvc3([1, 2])),
        Answer::Tag(ResponseTag::Aes([7; 16])),
        Answer::Tag(ResponseTag::Hmac([7; 32])),
        Answer::RightCryptogram { approved: None, declined: None },
        Answer::RightCryptogram { approved: IssuerAuthentication::read(&[4; 16]), declined: None },
        Answer::RightCryptogram { approved: None, declined: IssuerAuthentication::read(&[4; 10]) },
        Answer::PinBlock(PinBlock::new(&[3; 16]).expect("a block")),
        Answer::PinBlock(PinBlock::new(&[3; 8]).expect("a block")),
        Answer::Refused,
        Answer::Mac([5; 8]),
    ];
    let errors = Kind::ALL.into_iter().zip(causes.into_iter().cycle());
    let errors = errors.chain(causes.map(|cause| (Kind::Cvc3, cause)));
    let all: Vec<_> = answers
        .into_iter()
        .map(Ok)
        .chain(errors.map(|(kind, cause)| Err(HsmError::new(kind, cause))))
        .collect();
    let mut bytes = Vec::new();
    let begun = begin_answers(&mut bytes, 1_000_000);
    all.iter().enumerate().for_each(|(at, answer)| put_answer(&mut bytes, at as u64, answer));
    end(&mut bytes, begun);
    let Ok(Some((Word::Answers(answers), taken))) = word(&bytes) else { panic!("answers") };
    assert_eq!((taken, answers.derivations), (bytes.len(), 1_000_000));
    let heard: Vec<_> = answers.map(|answer| answer.expect("sound")).collect();
    assert_eq!(heard, (0..).zip(all).collect::<Vec<_>>());
}

#[test]
fn words_and_orders_arrive_as_they_were() {
    let mut bytes = Vec::new();
    let words = [
        Word::Ready,
        Word::Refused { blame: Blame::Token, why: "no token is labelled \"x\"" },
        Word::Refused { blame: Blame::Plan, why: "login refused" },
        Word::Refused { blame: Blame::Key(KeyId::of_place(700)), why: "" },
        Word::Standing { probe: 7, fault: "" },
        Word::Standing { probe: u64::MAX, fault: "device lost" },
        Word::Lost("login refused"),
    ];
    words.iter().for_each(|word| put_word(&mut bytes, word));
    let mut rest = &bytes[..];
    for expected in &words {
        let (heard, taken) = word(rest).expect("sound").expect("whole");
        assert_eq!(format!("{heard:?}"), format!("{expected:?}"));
        rest = &rest[taken..];
    }
    assert!(rest.is_empty());
    let mut probe = Vec::new();
    put_probe(&mut probe, 3);
    assert!(matches!(order(&probe), Ok(Some((Order::Probe(3), 13)))));
}

#[test]
fn a_plan_arrives_as_it_was() {
    let spec = |label: &str| KeySpec {
        label: label.to_owned(),
        check_value: CheckValue([1, 2, 3]),
        danger_modifiable: label == "left",
    };
    let usages = [
        MasterUsage::Cvc3,
        MasterUsage::DynamicCvv,
        MasterUsage::Counter,
        MasterUsage::Response,
        MasterUsage::Cryptogram,
        MasterUsage::AesCryptogram,
    ];
    let exposures = [Exposure::None, Exposure::Session, Exposure::Card];
    let purposes =
        usages.into_iter().flat_map(|usage| exposures.map(|exposure| Purpose::Master(usage, exposure)));
    let purposes = purposes.chain([
        Purpose::CardVerification { left: spec("left") },
        Purpose::Pepper,
        Purpose::ResponseHmac,
        Purpose::PinIn(PinFormat::Iso4),
        Purpose::PinOut { format: PinFormat::Iso0, danger_changes_pan: true },
        Purpose::MacAlgorithm3 { left: spec("left"), padding: Padding::OneBit },
        Purpose::MacAlgorithm3 { left: spec("left"), padding: Padding::Zeros },
        Purpose::MacTripleDesCmac,
        Purpose::MacAesCmac,
    ]);
    let keys: Vec<_> = purposes.map(|purpose| KeyRequest { spec: spec("whole"), purpose }).collect();
    let plan = Plan {
        module: "/usr/lib/module.so".into(),
        token: "switch".to_owned(),
        pin: Secret::from("4711".to_owned()),
        keys: keys.clone(),
        card_keys: 10_000,
    };
    let mut bytes = Vec::new();
    put_set_up(&mut bytes, &plan);
    let Ok(Some((Order::SetUp(arrived), taken))) = order(&bytes) else { panic!("a plan") };
    assert_eq!(
        (taken, arrived.module, arrived.token, arrived.keys),
        (bytes.len(), plan.module, plan.token, keys)
    );
    assert_eq!((arrived.pin.danger_clear_bytes(), arrived.card_keys), (&b"4711"[..], 10_000));
}

#[test]
fn what_is_no_frame_ends_the_conversation() {
    assert!(matches!(word(&[]), Ok(None)));
    assert!(matches!(word(&[ANSWERS, 9, 0, 0]), Ok(None)));
    for bytes in [
        // Longer than any frame; a kind that is not; too short, and too long, for its kind; no text; no UTF-8.
        &[ANSWERS, 0xFF, 0xFF, 0xFF, 0x7F][..],
        &[99, 0, 0, 0, 0],
        &[ANSWERS, 1, 0, 0, 0, 1],
        &[READY, 1, 0, 0, 0, 1],
        &[LOST, 1, 0, 0, 0, 77],
        &[REFUSED, 3, 0, 0, 0, 1, 0, 0xFF],
        &[ASK, 0, 0, 0, 0],
    ] {
        assert!(matches!(word(bytes), Err(Broken)), "{bytes:?}");
    }
    assert!(matches!(order(&[READY, 0, 0, 0, 0]), Err(Broken)));
}

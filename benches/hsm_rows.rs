//! What is asked in each row, and the calls of PKCS#11 behind it.
//!
//! Where a code needs something of this process that no token does (an AES block under a counter that is good for one
//! purchase, a SHA-256), a second loop does exactly that beside the same calls, in the shortest way there is: room for the
//! blocks is there already, what is hashed stands in one block with its padding, and nothing is read from a question.

use std::hint::black_box;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes128Enc};
use cmac::{Cmac, Mac};
use des::{Des, TdesEde2};
use hsm::token::{Ceremony, Exposure, KeySpec, Usage};
use hsm::{
    Answer, Candidates, Card, Challenge, CheckMac, Code, CodeLength, Covered, Cryptogram, CryptogramVersion,
    Cvc3, Derivation, DynamicCvv, EnrolResponse, EnrolledResponse, Ivcvc3, KeyId, MacKeySpec, MakeMac,
    MasterUsage, Padding, Pan, PinBlock, PinFormat, Printed, Psn, Question, Response, RotatingCode, Secret,
    StaticCode, TranslatePin, UnpredictableNumber, Verifier,
};
use sha2::block_api::compress256;

use crate::BATCH;
use crate::bare::{AES_CMAC, AES_ECB, Bare, DES3_CBC, DES3_DERIVE, DES3_ECB, Work, derived};

/// The keys of the run, of known value, so that the right codes are known: a wrong one costs a known answer more.
pub(crate) struct Keys {
    pub(crate) ceremony: Ceremony,
}

impl Keys {
    fn make(&self, label: &str, usage: Usage, value: u128) -> KeySpec {
        let value = Secret::new(value.to_be_bytes().to_vec());
        let made = self.ceremony.danger_import_clear(label, usage, &value).expect("a key");
        KeySpec { label: label.to_owned(), check_value: made[0].1, danger_modifiable: false }
    }

    /// The key that was made with another: of its left half, twice.
    fn left_of(&self, label: &str) -> KeySpec {
        let label = format!("{label}-left");
        let listed = self.ceremony.list().expect("keys").into_iter().find(|key| key.label == label);
        let check_value = listed.and_then(|key| key.check_value).expect("a key");
        KeySpec { label, check_value, danger_modifiable: false }
    }
}

/// One row: what is asked, and the calls behind it, once for so many questions; and the calls with the work that they
/// need beside them, where they need some.
pub(crate) struct Row<'a> {
    pub(crate) name: &'static str,
    pub(crate) question: Box<dyn Fn() -> Question + 'a>,
    pub(crate) bare: Box<dyn FnMut(usize) + 'a>,
    pub(crate) worked: Option<Box<dyn FnMut(usize) + 'a>>,
}

fn code(digits: &str) -> Code {
    Code::parse(digits.as_bytes()).expect("digits")
}

fn pan(digits: &str) -> Pan {
    Pan::parse(digits.as_bytes()).expect("a number")
}

/// An open encryption, fed with blocks of zeros.
fn stream<'a>(bare: &'a Bare, label: &str, mechanism: u64) -> impl FnMut(usize) + 'a {
    let block = if mechanism == AES_ECB { 16 } else { 8 };
    worked_stream(bare, label, (mechanism, block), |_| (), |_| ())
}

/// The same, with something done to each block before the call, and with each that came of it.
fn worked_stream<'a>(
    bare: &'a Bare,
    label: &str,
    (mechanism, block): (u64, usize),
    before: impl Fn(&mut [u8]) + 'a,
    after: impl Fn(&[u8]) + 'a,
) -> impl FnMut(usize) + 'a {
    let (session, key) = (bare.session(), bare.find(label));
    bare.encrypt_init(&session, mechanism, &[], key);
    let (mut data, mut out) = (vec![0; BATCH * block], vec![0; BATCH * block]);
    move |count| {
        let (data, out) = (&mut data[..count * block], &mut out[..count * block]);
        data.chunks_exact_mut(block).for_each(&before);
        bare.encrypt_update(&session, data, out);
        out.chunks_exact(block).for_each(&after);
    }
}

pub(crate) fn rotating<'a>(keys: &Keys, verifier: &mut Verifier, bare: &'a Bare) -> Vec<Row<'a>> {
    let value = 0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F;
    let strict = keys.make("counters", Usage::CounterMaster, value);
    let exposed = keys.make("exposed", Usage::ExposedCounterMaster, value);
    let strict = verifier.load_master(&strict, MasterUsage::Counter, Exposure::None).expect("a key");
    let exposed = verifier.load_master(&exposed, MasterUsage::Counter, Exposure::Session).expect("a key");
    let question = |key: KeyId| {
        move || {
            Question::RotatingCode(RotatingCode {
                key,
                account: *b"\x99\x10\x00\x00\x00\x00\x10\x01",
                bundle: 1,
                index: 42,
                un: UnpredictableNumber::parse(b"731").expect("digits"),
                presented: code("4785"),
                length: CodeLength::new(4).expect("a length"),
            })
        }
    };
    let (base, template) = (bare.find("counters"), derived(AES_ECB, Work::Encrypt));
    let one = move || {
        let key = bare.derive(base, &[1; 16], &template);
        bare.encrypt_init(bare.own(), AES_ECB, &[], key);
        bare.encrypt(bare.own(), &[2; 16], &mut [0; 16]);
        bare.destroy(key);
    };
    vec![
        Row {
            name: "rotating ATC, exposure none",
            question: Box::new(question(strict)),
            bare: Box::new(move |count| (0..count).for_each(|_| one())),
            worked: None,
        },
        Row {
            name: "rotating ATC, exposure session",
            question: Box::new(question(exposed)),
            bare: Box::new(stream(bare, "exposed", AES_ECB)),
            // The purchase's block under its counter.
            worked: Some(Box::new(worked_stream(
                bare,
                "exposed",
                (AES_ECB, 16),
                |_| (),
                |counter| {
                    let (counter, mut block) = (counter.try_into().expect("a key"), black_box([2; 16]));
                    Aes128Enc::new(counter).encrypt_block((&mut block).into());
                    black_box(block);
                },
            ))),
        },
    ]
}

pub(crate) fn responses<'a>(keys: &Keys, verifier: &mut Verifier, bare: &'a Bare) -> Vec<Row<'a>> {
    let computed = keys.make("responses", Usage::ResponseMaster, 0x1011_1213_1415_1617_1819_1A1B_1C1D_1E1F);
    let pepper = keys.make("pepper", Usage::ResponsePepper, 0x2BC4_471B_9C6E_4FA6_4CB7_7816_99A0_F0EE);
    let computed = verifier.load_master(&computed, MasterUsage::Response, Exposure::None).expect("a key");
    let pepper = verifier.load_pepper(&pepper).expect("a key");
    let challenge = || Challenge::parse(b"08154711").expect("digits");
    let (account, length) = ("9999150000000015", CodeLength::new(6).expect("a length"));
    let enrol = EnrolResponse {
        key: pepper,
        pan: pan(account),
        challenge: challenge(),
        response: code("984747"),
        length,
    };
    let Some(Ok(Answer::Tag(tag))) = verifier.answer(&[Question::EnrolResponse(enrol)]).pop() else {
        panic!("a tag")
    };
    let (base, template) = (bare.find("responses"), derived(AES_CMAC, Work::Sign));
    let one = move || {
        let key = bare.derive(base, &[1; 16], &template);
        bare.sign_init(bare.own(), AES_CMAC, key);
        bare.sign(bare.own(), b"DDCR2|08154711", &mut [0; 16]);
        bare.destroy(key);
    };
    vec![
        Row {
            name: "challenge response, computed, exposure none",
            question: Box::new(move || {
                let (pan, challenge, presented) = (pan(account), challenge(), code("984747"));
                Question::Response(Response { key: computed, pan, challenge, presented, length })
            }),
            bare: Box::new(move |count| (0..count).for_each(|_| one())),
            worked: None,
        },
        Row {
            name: "challenge response, enrolled",
            question: Box::new(move || {
                let (key, pan, challenge, presented) = (pepper, pan(account), challenge(), code("984747"));
                Question::EnrolledResponse(EnrolledResponse { key, pan, challenge, tag, presented, length })
            }),
            bare: Box::new(stream(bare, "pepper", AES_ECB)),
            // The hash of what the tag is made over.
            worked: Some(Box::new(worked_stream(
                bare,
                "pepper",
                (AES_ECB, 16),
                |block| {
                    let mut state = [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0, 0, 0, 0];
                    compress256(&mut state, black_box(&[[b'1'; 64]]));
                    for (bytes, word) in block.as_chunks_mut().0.iter_mut().zip(state) {
                        *bytes = word.to_be_bytes();
                    }
                },
                |_| (),
            ))),
        },
    ]
}

pub(crate) fn hosts<'a>(keys: &Keys, verifier: &mut Verifier, bare: &'a Bare) -> Vec<Row<'a>> {
    let zone_in = keys.make("zone-in", Usage::PinIn, 0x3DDA_DFB0_DC76_5404_9D89_B96E_048A_E3EC);
    let zone_out = keys.make("zone-out", Usage::PinOut, 0xC186_8F08_CEE9_940E_3197_6D97_4068_5EE3);
    let from = verifier.load_pin_in(&zone_in, PinFormat::Iso0).expect("a key");
    let to = verifier.load_pin_out(&zone_out, PinFormat::Iso0, false).expect("a key");
    let whole = keys.make("mac", Usage::MacAlgorithm3, 0x6189_A40D_7386_D976_5B25_FE8C_7FF4_8629);
    let left = keys.left_of("mac");
    let cmac = keys.make("cmac", Usage::MacAes, 0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C);
    let padding = Padding::Zeros;
    let mac = MacKeySpec::Algorithm3 { whole: &whole, left: &left, padding };
    let mac = verifier.load_mac(&mac).expect("a key");
    let cmac = verifier.load_mac(&MacKeySpec::AesCmac(&cmac)).expect("a key");
    let message = || Covered::new(vec![0x31; 304]).expect("short");
    let mut check = |key: KeyId| {
        let made = verifier.answer(&[Question::MakeMac(MakeMac { key, message: message() })]).pop();
        let Some(Ok(Answer::Mac(made))) = made else { panic!("a MAC") };
        move || Question::CheckMac(CheckMac { key, message: message(), presented: Some(made) })
    };
    let (check_mac, check_cmac) = (check(mac), check(cmac));
    let (session, key) = (bare.session(), bare.find("zone-in"));
    bare.decrypt_init(&session, DES3_ECB, key);
    let mut encrypts = stream(bare, "zone-out", DES3_ECB);
    let (whole, left, cmac) = (bare.find("mac"), bare.find("mac-left"), bare.find("cmac"));
    vec![
        Row {
            name: "PIN block, format 0 to 0",
            question: Box::new(move || {
                Question::TranslatePin(TranslatePin {
                    from,
                    to,
                    from_format: PinFormat::Iso0,
                    to_format: PinFormat::Iso0,
                    pan: pan("4761739001010010"),
                    other_pan: None,
                    block: PinBlock::new(&0xF967_128C_DE83_55FE_u64.to_be_bytes()).expect("a block"),
                })
            }),
            bare: Box::new(move |count| {
                let mut out = [0; 8 * BATCH];
                bare.decrypt_update(&session, &[1; 8 * BATCH][..8 * count], &mut out[..8 * count]);
                encrypts(count);
            }),
            worked: None,
        },
        Row {
            name: "MAC, algorithm 3, 304 bytes",
            question: Box::new(check_mac),
            bare: Box::new(move |count| {
                for _ in 0..count {
                    bare.encrypt_init(bare.own(), DES3_CBC, &[0; 8], left);
                    bare.encrypt(bare.own(), &[1; 296], &mut [0; 296]);
                    bare.encrypt_init(bare.own(), DES3_ECB, &[], whole);
                    bare.encrypt(bare.own(), &[1; 8], &mut [0; 8]);
                }
            }),
            worked: None,
        },
        Row {
            name: "MAC, AES-CMAC, 304 bytes",
            question: Box::new(check_cmac),
            bare: Box::new(move |count| {
                for _ in 0..count {
                    bare.sign_init(bare.own(), AES_CMAC, cmac);
                    bare.sign(bare.own(), &[1; 304], &mut [0; 16]);
                }
            }),
            worked: None,
        },
    ]
}

pub(crate) fn cards<'a>(keys: &Keys, verifier: &mut Verifier, bare: &'a Bare) -> Vec<Row<'a>> {
    let cvk = keys.make("cvk", Usage::CardVerification, 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210);
    let left = keys.left_of("cvk");
    let cvk = verifier.load_card_verification(&cvk, &left).expect("a key");
    let imk = keys.make("imk-cvc3", Usage::Cvc3Master, 0x7A3D_46AE_E952_3DEF_D53E_B640_3B70_7625);
    let imk = verifier.load_master(&imk, MasterUsage::Cvc3, Exposure::None).expect("a key");
    let dcvv = keys.make("imk-dcvv", Usage::DynamicCvvMaster, 0x9DC7_61E9_AD98_1F83_0861_7968_85E5_D976);
    let dcvv = verifier.load_master(&dcvv, MasterUsage::DynamicCvv, Exposure::None).expect("a key");
    let ac = keys.make("imk-ac", Usage::CryptogramMaster, 0x32C7_25EF_752C_6B10_971F_9E19_E6BA_F280);
    let ac = verifier.load_master(&ac, MasterUsage::Cryptogram, Exposure::None).expect("a key");
    let (mut under_left, mut under_whole) =
        (stream(bare, "cvk-left", DES3_ECB), stream(bare, "cvk", DES3_ECB));
    let card_key = bare.derive(bare.find("imk-cvc3"), &[1; 16], &derived(DES3_ECB, Work::Encrypt));
    let whole = bare.derive(bare.find("imk-dcvv"), &[1; 16], &derived(DES3_ECB, Work::Encrypt));
    let chain = derived(DES3_CBC, Work::Encrypt);
    let left = bare.derive(bare.find("imk-dcvv"), &[2; 16], &chain);
    let udk = bare.derive(bare.find("imk-ac"), &[1; 16], &derived(DES3_DERIVE, Work::Derive));
    let session_key = derived(DES3_ECB, Work::Encrypt);
    vec![
        Row {
            name: "static CVV",
            question: Box::new(move || {
                Question::StaticCode(StaticCode {
                    key: cvk,
                    pan: pan("4123456789012345"),
                    printed: Printed::stripe(*b"8701", *b"101").expect("digits"),
                    presented: code("561"),
                    length: CodeLength::new(3).expect("a length"),
                })
            }),
            bare: Box::new(move |count| {
                under_left(count);
                under_whole(count);
            }),
            worked: None,
        },
        Row {
            name: "CVC3, card key kept",
            question: Box::new(move || cvc3(imk)),
            bare: Box::new(move |count| {
                for _ in 0..count {
                    bare.encrypt_init(bare.own(), DES3_ECB, &[], card_key);
                    bare.encrypt(bare.own(), &[1; 8], &mut [0; 8]);
                }
            }),
            worked: None,
        },
        Row {
            name: "dynamic CVV, card keys kept",
            question: Box::new(move || {
                Question::DynamicCvv(DynamicCvv {
                    key: dcvv,
                    card: Card { pan: pan("4761739001010010"), psn: Psn::ABSENT },
                    printed: Printed::stripe(*b"2812", *b"201").expect("digits"),
                    atc: 1,
                    presented: code("606"),
                    length: CodeLength::new(3).expect("a length"),
                })
            }),
            bare: Box::new(move |count| {
                for _ in 0..count {
                    bare.encrypt_init(bare.own(), DES3_CBC, &[0; 8], left);
                    bare.encrypt(bare.own(), &[1; 8], &mut [0; 8]);
                    bare.encrypt_init(bare.own(), DES3_ECB, &[], whole);
                    bare.encrypt(bare.own(), &[1; 8], &mut [0; 8]);
                }
            }),
            worked: None,
        },
        Row {
            name: "ARQC CVN 22, card key kept, session keys not",
            question: Box::new(move || arqc(ac)),
            bare: Box::new(move |count| {
                for _ in 0..count {
                    let whole = bare.derive(udk, &[1; 16], &session_key);
                    let left = bare.derive(udk, &[2; 16], &chain);
                    bare.encrypt_init(bare.own(), DES3_CBC, &[0; 8], left);
                    bare.encrypt(bare.own(), &[1; 40], &mut [0; 40]);
                    bare.encrypt_init(bare.own(), DES3_ECB, &[], whole);
                    bare.encrypt(bare.own(), &[1; 8], &mut [0; 8]);
                    bare.destroy(whole);
                    bare.destroy(left);
                }
            }),
            worked: None,
        },
    ]
}

/// What may be seen of the keys of cards: the token makes them, what is left is done here.
pub(crate) fn exposed<'a>(keys: &Keys, verifier: &mut Verifier, bare: &'a Bare) -> Vec<Row<'a>> {
    let load = |verifier: &mut Verifier, label: &str, (usage, value), (of, exposure)| {
        let spec = keys.make(label, usage, value);
        verifier.load_master(&spec, of, exposure).expect("a key")
    };
    let (imk, value) = (MasterUsage::Cvc3, 0x7A3D_46AE_E952_3DEF_D53E_B640_3B70_7625);
    let imk = load(verifier, "seen-cvc3", (Usage::ExposedCvc3Master, value), (imk, Exposure::Card));
    let (ac, value) = (MasterUsage::Cryptogram, 0x32C7_25EF_752C_6B10_971F_9E19_E6BA_F280);
    let shut = load(verifier, "told-ac", (Usage::CryptogramMaster, value), (ac, Exposure::Session));
    let open = load(verifier, "seen-ac", (Usage::ExposedCryptogramMaster, value), (ac, Exposure::Card));
    let (of, value) = (MasterUsage::Response, 0x1011_1213_1415_1617_1819_1A1B_1C1D_1E1F);
    let responses =
        load(verifier, "seen-responses", (Usage::ExposedResponseMaster, value), (of, Exposure::Card));
    let udk = bare.derive(bare.find("told-ac"), &[1; 16], &derived(DES3_ECB, Work::Encrypt));
    let told = move |count: usize| {
        for _ in 0..2 * count {
            bare.encrypt_init(bare.own(), DES3_ECB, &[], udk);
            bare.encrypt(bare.own(), &[1; 16], &mut [0; 16]);
        }
    };
    let under = |label, mechanism| one_by_one(bare, label, mechanism);
    vec![
        Row {
            name: "CVC3, exposure card",
            question: Box::new(move || cvc3(imk)),
            bare: Box::new(under("seen-cvc3", DES3_ECB)),
            worked: Some(Box::new(both(under("seen-cvc3", DES3_ECB), || blocks_of_3des(1)))),
        },
        Row {
            name: "ARQC CVN 22, exposure session, card key kept",
            question: Box::new(move || arqc(shut)),
            bare: Box::new(told),
            worked: Some(Box::new(both(told, || {
                chain_of_des(5);
                blocks_of_3des(1);
            }))),
        },
        Row {
            name: "ARQC CVN 22, exposure card",
            question: Box::new(move || arqc(open)),
            bare: Box::new(under("seen-ac", DES3_ECB)),
            worked: Some(Box::new(both(under("seen-ac", DES3_ECB), || {
                // Two keys of the purchase, of two blocks each, under the card's; then the code.
                blocks_of_3des(4);
                chain_of_des(5);
                blocks_of_3des(1);
            }))),
        },
        Row {
            name: "challenge response, computed, exposure card",
            question: Box::new(move || {
                let (pan, challenge) = (pan("9999150000000015"), Challenge::parse(b"08154711"));
                let (challenge, presented) = (challenge.expect("digits"), code("984747"));
                let length = CodeLength::new(6).expect("a length");
                Question::Response(Response { key: responses, pan, challenge, presented, length })
            }),
            bare: Box::new(under("seen-responses", AES_ECB)),
            worked: Some(Box::new(both(under("seen-responses", AES_ECB), || {
                let mut mac = <Cmac<Aes128> as KeyInit>::new(&black_box([1; 16]).into());
                mac.update(black_box(b"DDCR2|08154711"));
                black_box(mac.finalize());
            }))),
        },
    ]
}

/// An open encryption, fed with the two blocks of 3DES, or the one of AES, that make one key; one call for each.
fn one_by_one<'a>(bare: &'a Bare, label: &str, mechanism: u64) -> impl FnMut(usize) + use<'a> {
    let (session, key) = (bare.session(), bare.find(label));
    bare.encrypt_init(&session, mechanism, &[], key);
    move |count| (0..count).for_each(|_| bare.encrypt_update(&session, &[1; 16], &mut [0; 16]))
}

/// The calls, and something of this process for each.
fn both(mut calls: impl FnMut(usize), work: impl Fn()) -> impl FnMut(usize) {
    move |count| {
        calls(count);
        (0..count).for_each(|_| work());
    }
}

fn blocks_of_3des(blocks: usize) {
    let key = TdesEde2::new(&black_box([1; 16]).into());
    let mut block = black_box([2; 8]).into();
    (0..blocks).for_each(|_| key.encrypt_block(&mut block));
    black_box(block);
}

fn chain_of_des(blocks: usize) {
    let key = Des::new(&black_box([1; 8]).into());
    let mut block = black_box([2; 8]).into();
    (0..blocks).for_each(|_| key.encrypt_block(&mut block));
    black_box(block);
}

fn cvc3(key: KeyId) -> Question {
    Question::Cvc3(Cvc3 {
        key,
        card: Card { pan: pan("5413123456784800"), psn: Psn::ABSENT },
        derivation: Derivation::OptionA,
        ivcvc3: Ivcvc3([0xEB, 0x06]),
        un: UnpredictableNumber::parse(b"12").expect("digits"),
        atcs: Candidates::new(&[0x1E47]).expect("one"),
        presented: code("967"),
        length: CodeLength::new(3).expect("a length"),
    })
}

fn arqc(key: KeyId) -> Question {
    let card = Card { pan: pan("12345678901234567"), psn: Psn::new(1).expect("a number") };
    let arqc = 0x14B0_39C1_32CB_C319_u64.to_be_bytes();
    let version = (key, CryptogramVersion::Visa22);
    let asked = Cryptogram::new(version, card, SIGNED, &IAD, Some(arqc), [None, None]);
    Question::Cryptogram(Box::new(asked.expect("a question")))
}

/// What the card of vector arqc-05 signed.
const SIGNED: [u8; 33] =
    *b"\x00\x00\x00\x00\x99\x99\x00\x00\x00\x00\x00\x00\x08\x40\x80\x00\x04\x80\x00\x08\x40\x99\x12\x31\
    \x01\x52\xBF\x45\x85\x18\x00\x00\xA1";
const IAD: [u8; 7] = [0x06, 0x01, 0x16, 0x03, 0xA0, 0xB8, 0x00];

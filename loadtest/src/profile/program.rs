//! What messages prove themselves with, checked: programs, PIN blocks, cryptograms and MACs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codecs::discretionary::Layout;

use super::ProfileError;
use super::check::{expiry, is_digits, require};
use super::raw::{RawCodes, RawKey, RawKind, RawLayout, RawMacAlgorithm, RawProfile, RawProgram};
use crate::proof::cryptogram::Cryptograms;
use crate::proof::key::TestKey;
use crate::proof::mac::{MessageMac, RetailMac};
use crate::proof::pin::PinBlocks;
use crate::proof::supply::{ATC_DIGITS, Grant};
use crate::proof::{Kind, Program, Seals};
use crate::template::discretionary_digits;

/// Programs of a profile.
const PROGRAMS_MAX: usize = 16;
/// Cards of a program.
const CARDS_MAX: u64 = 1_000_000;

pub(super) fn check_programs(raw: &[RawProgram], folder: &Path) -> Result<Vec<Arc<Program>>, ProfileError> {
    require(raw.len() <= PROGRAMS_MAX, || format!("at most {PROGRAMS_MAX} [[program]] tables"))?;
    let mut programs: Vec<Arc<Program>> = Vec::new();
    for raw in raw {
        let named = |error: ProfileError| ProfileError(format!("program `{}`: {error}", raw.name));
        let program = check_program(raw, folder).map_err(named)?;
        require(programs.iter().all(|other| other.name != program.name), || {
            format!("program `{}` stands there twice", raw.name)
        })?;
        let meets =
            |other: &Program| other.iin.starts_with(&program.iin) || program.iin.starts_with(&other.iin);
        require(!programs.iter().any(|other| meets(other)), || {
            format!("program `{}`: iin: another program has cards in it", raw.name)
        })?;
        programs.push(Arc::new(program));
    }
    Ok(programs)
}

fn key(value: &Option<RawKey>, file: &Option<PathBuf>, folder: &Path) -> Result<TestKey, ProfileError> {
    let key = match (value, file) {
        (Some(key), None) => TestKey::parse(&key.0).map_err(|error| format!("test_key: {error}")),
        (None, Some(file)) => TestKey::read(&folder.join(file)),
        _ => Err("test_key or test_key_file: one of them is needed".to_string()),
    };
    key.map_err(ProfileError)
}

/// PIN blocks, cryptograms and MACs.
pub(super) fn check_seals(raw: &RawProfile, folder: &Path) -> Result<Seals, ProfileError> {
    let at = |table: &'static str| move |error: ProfileError| ProfileError(format!("{table}: {error}"));
    let pin = raw.pin.as_ref().map(|pin| {
        let key = key(&pin.test_key, &pin.test_key_file, folder)?;
        require(pin.format == 0 || pin.format == 3, || "format: 0 or 3".to_string())?;
        require(is_digits(&pin.test_pin.0, 4..=12), || "test_pin: 4 to 12 digits are expected".to_string())?;
        Ok(PinBlocks::new(&key, pin.format == 3, &pin.test_pin.0))
    });
    let cryptogram = raw.cryptogram.as_ref().map(|cryptogram| {
        Ok(Cryptograms::new(&key(&cryptogram.test_key, &cryptogram.test_key_file, folder)?))
    });
    let mac = raw.mac.as_ref().map(|mac| {
        let key = key(&mac.test_key, &mac.test_key_file, folder)?;
        Ok(match mac.algorithm {
            RawMacAlgorithm::Retail => MessageMac::Retail(RetailMac::new(&key)),
            RawMacAlgorithm::Cmac => MessageMac::cmac(&key),
        })
    });
    Ok(Seals {
        pin: pin.transpose().map_err(at("pin"))?,
        cryptogram: cryptogram.transpose().map_err(at("cryptogram"))?,
        mac: mac.transpose().map_err(at("mac"))?,
    })
}

/// The second key of profile `cvc3`.
fn check_card_key(raw: &RawProgram, kind: Kind, folder: &Path) -> Result<Option<TestKey>, ProfileError> {
    let is_cvc3 = raw.profile == RawCodes::Cvc3;
    let has_more = raw.card_test_key.is_some() || raw.card_test_key_file.is_some() || raw.bitmaps.is_some();
    require(is_cvc3 || !has_more, || "card_test_key, bitmaps: they are for profile cvc3".to_string())?;
    require(!is_cvc3 || kind == Kind::RotatingAtc, || "profile: cvc3 is for rotating_atc".to_string())?;
    let key = is_cvc3.then(|| key(&raw.card_test_key, &raw.card_test_key_file, folder)).transpose();
    key.map_err(|error| ProfileError(format!("cards: {error}")))
}

/// Where the digits stand, and how many a card number has.
fn check_layout(raw: &RawProgram, kind: Kind) -> Result<(Layout, usize), ProfileError> {
    if let Some(bitmaps) = &raw.bitmaps {
        let bits = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| text.len() == 4);
        let (Some(pcvc3), Some(punatc)) = (bits(&bitmaps.pcvc3), bits(&bitmaps.punatc)) else {
            return Err(ProfileError("bitmaps: four hexadecimal digits each are expected".to_string()));
        };
        let layout = Layout::Bitmaps { pcvc3, punatc, natc: bitmaps.natc };
        let fits = (pcvc3 | punatc) >> discretionary_digits(16) == 0;
        require(raw.layout.is_none() && layout.is_sound() && fits && bitmaps.natc == ATC_DIGITS, || {
            "bitmaps: no digit serves twice, all lie in the track, natc is 4, and there is no layout beside them"
                .to_string()
        })?;
        return Ok((layout, 16));
    }
    let usual = if kind == Kind::Challenge { RawLayout::Q } else { RawLayout::R };
    match (kind, raw.layout.unwrap_or(usual)) {
        (Kind::RotatingAtc, RawLayout::R) => Ok((Layout::ROTATING, 16)),
        (Kind::RotatingAtc, RawLayout::R19) => Ok((Layout::ROTATING_19, 19)),
        (Kind::Challenge, RawLayout::Q) => Ok((Layout::QUESTION, 16)),
        _ => Err(ProfileError("layout: R and R19 are for rotating_atc, Q is for challenge".to_string())),
    }
}

fn check_program(raw: &RawProgram, folder: &Path) -> Result<Program, ProfileError> {
    let key = key(&raw.test_key, &raw.test_key_file, folder)?;
    let kind = match raw.kind {
        RawKind::RotatingAtc => Kind::RotatingAtc,
        RawKind::Challenge => Kind::Challenge,
    };
    let card_key = check_card_key(raw, kind, folder)?;
    let (layout, card_digits) = check_layout(raw, kind)?;
    for (name, iin) in [("iin", Some(&raw.iin)), ("funding_iin", raw.funding_iin.as_ref())] {
        require(iin.is_none_or(|iin| is_digits(iin, 4..=9) && iin.starts_with("9999")), || {
            format!("{name}: 4 to 9 digits of the test range 9999 are expected")
        })?;
    }
    require(raw.psn <= 99, || "psn: 0 to 99".to_string())?;
    let cards_max = CARDS_MAX.min(10_u64.pow((16 - raw.iin.len() - 1) as u32) - 1);
    require((1..=cards_max).contains(&raw.cards), || format!("cards: 1 to {cards_max}"))?;
    let grants = raw.grants.as_ref().map(|file| Grant::read(&folder.join(file)));
    let grants = grants.transpose().map_err(ProfileError)?;
    let fits = |grant: &Grant| grant.pan.len() == card_digits && grant.pan.starts_with(&raw.iin);
    let of_kind = |grant: &Grant| grant.challenge.is_some() == (kind == Kind::Challenge);
    require(grants.iter().flatten().all(of_kind), || {
        "grants: bundles are for rotating_atc, challenges for challenge".to_string()
    })?;
    require(grants.iter().flatten().all(fits), || {
        format!("grants: every card begins with iin and has {card_digits} digits")
    })?;
    Ok(Program {
        name: raw.name.clone(),
        kind,
        key,
        card_key,
        expiry: expiry(false),
        layout,
        iin: raw.iin.clone(),
        cards: raw.cards,
        card_digits,
        psn: raw.psn,
        funding_iin: raw.funding_iin.clone(),
        grants: grants.map(Arc::new),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{CaseMessage, Overrides, Profile};

    const KEY: &str = "test_key = '000102030405060708090a0b0c0d0e0f'";
    const CASE: &str = "[[case]]\nname = 'tap'\nweight = 1\nprogram = 'wallet'\n";

    fn profile(program: &str, case: &str) -> Result<Profile, String> {
        let head = "name = 'x'\n[[program]]\nname = 'wallet'\nkind = 'rotating_atc'";
        let text = format!("{head}\n{program}\n{CASE}{case}");
        Profile::parse(&text, &Overrides::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_case_has_the_cards_of_its_program() {
        let profile = profile(&format!("{KEY}\niin = '999910'\nlayout = 'R19'"), "").unwrap();
        let CaseMessage::First(first) = &profile.cases[0].message else { panic!() };
        assert_eq!((first.program, first.card_digits, first.iin.as_str()), (Some(0), 19, "999910"));
        // Ten seconds at a thousand a second, and some more.
        assert!((10_001..11_000).contains(&profile.codes_wanted(0)), "{}", profile.codes_wanted(0));
        assert!(!format!("{profile:?}").contains("0c0d"), "a key can be seen");
    }

    #[test]
    fn faults_name_their_place() {
        let iin = "iin = '999910'";
        for (program, case, part) in [
            (iin.to_string(), "", "program `wallet`: test_key or test_key_file"),
            (format!("{iin}\ntest_key = '0001'"), "", "test_key: 32 hexadecimal"),
            (format!("{KEY}\niin = '411111'"), "", "iin: 4 to 9 digits"),
            (format!("{KEY}\n{iin}\nfunding_iin = '4'"), "", "funding_iin"),
            (format!("{KEY}\n{iin}\ncards = 0"), "", "cards: 1 to"),
            (format!("{KEY}\n{iin}\nprofile = 'cvc3'"), "", "cards: test_key or test_key_file"),
            (
                format!("{KEY}\n{iin}\nbitmaps = {{ pcvc3 = '0038', punatc = '03C6', natc = 4 }}"),
                "",
                "profile cvc3",
            ),
            (
                format!(
                    "{KEY}\n{iin}\nprofile = 'cvc3'\ncard_{KEY}\nbitmaps = {{ pcvc3 = '0038', punatc = '03F8', natc = 4 }}"
                ),
                "",
                "no digit serves twice",
            ),
            (format!("{KEY}\n{iin}"), "iin = '99996'", "case `tap`: program"),
            (format!("{KEY}\n{iin}"), "track2 = false", "case `tap`: program"),
            (format!("{KEY}\n{iin}\n[link]\ndialect = 'iso93-ascii'"), "", "1987"),
            (
                format!("{KEY}\n{iin}\n[[case]]\nname='r'\nweight=1\nreplay=true\niin='99996'"),
                "",
                "case `r`: a replay",
            ),
        ] {
            let said = profile(&program, case).expect_err(part);
            assert!(said.contains(part) && !said.contains("0001"), "{program}: {said}");
        }
        let said =
            profile(&format!("{KEY}\n{iin}"), "[[case]]\nname='b'\nweight=1\nprogram='purse'").unwrap_err();
        assert!(said.contains("no [[program]] has that name"), "{said}");
        let plain = "name = 'x'\n[[case]]\nname='a'\nweight=1\niin='99996'\nflaw='code'";
        let said = Profile::parse(plain, &Overrides::default()).unwrap_err().to_string();
        assert!(said.contains("flaw"), "{said}");
    }
}

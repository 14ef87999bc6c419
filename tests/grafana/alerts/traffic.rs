//! Taps with proxy cards: right codes, wrong ones, used ones.

use tests::rig::acquirer::Acquirer;
use tests::{Rig, Setup, TestToken, purchase};

const KEY: &str = "000102030405060708090A0B0C0D0E0F";
/// Public ATC 0042, unpredictable number 731, code 4785.
const GOOD: &str = "9999100000000010=29122017004273147853";
/// Public ATC 0043 and a code that is not the one.
const OPEN: &str = "9999100000000010=29122017004373147853";
/// An ATC that was never given out.
const NEVER: &str = "9999100000000010=29122017009973147853";

/// The setup with a program of rotating counters on this token.
pub(crate) fn with_program(setup: Setup, token: &TestToken) -> Setup {
    let check_value = token.import("counters", "rotating-atc", KEY);
    let program = format!(
        "name = \"wallet\"\nkind = \"rotating_atc\"\niins = [\"99991\"]\nkey = \"counters\"\ncheck_value = \"{check_value}\""
    );
    setup.token(token).table("program", &program)
}

/// A connection over which a proxy card is tapped.
pub(crate) struct Taps {
    acquirer: Acquirer,
    stan: u32,
}

impl Taps {
    /// Enrols the card and its bundle.
    pub(crate) fn enrol(rig: &Rig) -> Taps {
        rig.change(
            "/v1/cards",
            r#"{"pan":"9999100000000010","psn":1,"funding":{"pan":"9999600000000019","expiry":"3011"}}"#,
        );
        let bundle = r#"{"pan":"9999100000000010","id":1,"first":40,"count":10,"ttl_ms":86400000}"#;
        rig.change("/v1/bundles", bundle);
        rig.change("/v1/bundles/confirm", r#"{"pan":"9999100000000010","id":1}"#);
        Taps { acquirer: rig.acquirer("north"), stan: 0 }
    }

    fn tap(&mut self, track: &str) {
        self.stan += 1;
        let request = purchase(&format!("2=9999100000000010 11={:06} 14=2912 22=910 35={track}", self.stan));
        self.acquirer.send(&request);
        let _ = self.acquirer.receive();
    }

    /// Some of everything: the first is right and from then on a replay; now and then a wrong one, each for another
    /// ATC and not so many that the card is blocked; a guess.
    pub(crate) fn of_every_kind(&mut self, round: usize) {
        self.tap(GOOD);
        if round.is_multiple_of(20) && round < 160 {
            self.tap(&OPEN.replace("0043", &format!("004{}", 3 + round / 20 % 7)));
        }
        self.tap(NEVER);
    }

    /// One for an ATC that was never given out.
    pub(crate) fn guess(&mut self) {
        self.tap(NEVER);
    }

    /// One that was used before, or is right.
    pub(crate) fn replay(&mut self) {
        self.tap(GOOD);
    }

    /// One that the token must be asked about.
    pub(crate) fn question(&mut self) {
        self.tap(OPEN);
    }
}

//! What the production profile does not forgive: each convenience of development is a fault where it is written.
//!
//! Like the relations these steps look at the settings as written, so that a fault elsewhere hides none of them.

use std::ops::Range;

use toml::Spanned;

use super::Check;
use crate::config::given::Given;
use crate::config::raw::{Hsm, Program, Raw};

impl Check<'_, '_> {
    pub(super) fn production(&mut self, raw: &Raw) {
        let profile = raw.switch.profile.as_ref().and_then(|given| given.value.as_deref().ok());
        if profile != Some("production") {
            return;
        }
        let of_acquirers = raw.acquirer.iter().map(|peer| &peer.get_ref().plain_tcp_beyond_loopback);
        let of_issuers = raw.issuer.iter().map(|peer| &peer.get_ref().plain_tcp_beyond_loopback);
        for given in of_acquirers.chain(of_issuers).flatten() {
            self.refuse_true(given, "plain_tcp_beyond_loopback", "tls where others could listen");
        }
        if let Some(hsm) = &raw.hsm {
            self.production_token(hsm.get_ref());
        }
        if let Some(given) = raw.journal.as_ref().and_then(|journal| journal.get_ref().key_file.as_ref()) {
            self.refuse(&given.at, "key_file", "key and check_value: a key on the token");
        }
        for program in &raw.program {
            if let Some(given) = &program.get_ref().modifiable_key {
                self.refuse_true(given, "modifiable_key", "a key whose uses nobody can widen");
            }
        }
        if let (Some(first), None) = (raw.program.first(), &raw.journal) {
            self.forgetful(first);
        }
    }

    fn production_token(&mut self, raw: &Hsm) {
        if let Some(given) = &raw.module
            && given.value.as_deref() == Ok(hsm::token::DEVTOKEN)
        {
            self.refuse(&given.at, "the development token", "the library of a token that keeps its keys");
        }
        if let Some(given) = &raw.placement
            && given.value.as_deref() == Ok("inline")
        {
            self.refuse(
                &given.at,
                "placement \"inline\"",
                "\"worker\": a module that cannot take the switch along",
            );
        }
    }

    /// Used ATCs would be good again after a restart.
    fn forgetful(&mut self, program: &Spanned<Program>) {
        self.refuse(
            &program.span(),
            "a program and no [journal]",
            "used ATCs, challenges and tries on a disk",
        );
    }

    fn refuse_true(&mut self, given: &Given<bool>, key: &str, expected: &str) {
        if given.value == Ok(true) {
            self.refuse(&given.at, &format!("{key} = true"), expected);
        }
    }

    fn refuse(&mut self, at: &Range<usize>, found: &str, expected: &str) {
        self.report.fault(at, format!("{found} in profile \"production\""), expected);
    }
}

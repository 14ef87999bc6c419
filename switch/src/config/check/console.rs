//! `[console]`: on loopback, and only with a token and an audit log may it change anything.

use std::net::{Ipv4Addr, SocketAddr};

use toml::Spanned;

use super::Check;
use crate::config::checked::Console;
use crate::config::given::Given;
use crate::config::raw;

impl Check<'_, '_> {
    pub(super) fn console(&mut self, raw: &Option<Spanned<raw::Console>>) -> Option<Option<Console>> {
        let Some(raw) = raw else { return Some(None) };
        let at = raw.span();
        let raw = raw.get_ref();
        let listen = self.console_listen(&raw.listen);
        let token_file = self.token_file(&raw.token_file);
        let control = match &raw.control {
            Some(control) => self.report.sound(control),
            None => Some(false),
        };
        let audit_log = raw.audit_log.as_ref().and_then(|given| self.report.sound(given));
        if control == Some(true) {
            for (is_missing, key) in
                [(raw.token_file.is_none(), "token_file"), (raw.audit_log.is_none(), "audit_log")]
            {
                if is_missing {
                    let found = "console.control without console.".to_owned() + key;
                    self.report.fault(
                        &at,
                        found,
                        format!("{key}: who changes something is known and written down"),
                    );
                }
            }
        }
        Some(Some(Console {
            listen: listen?,
            token_file: token_file?,
            control: control?,
            audit_log: audit_log.map(|path| self.folder.join(path)),
        }))
    }

    fn console_listen(&mut self, given: &Option<Given<String>>) -> Option<SocketAddr> {
        let Some(given) = given else { return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9465))) };
        let listen = self.report.address(given)?;
        if !listen.ip().to_canonical().is_loopback() {
            let expected = "a loopback address: from another machine it is reached through a tunnel";
            self.report.wrong(&given.at, &format!("{:?}", listen.to_string()), expected);
            return None;
        }
        self.claim(listen, &given.at, "console");
        Some(listen)
    }
}

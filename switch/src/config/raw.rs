//! The configuration as written. Every setting may be absent here; its default and its bounds are in
//! [`super::check`].

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::given::{Given, List, Period, Size};

/// The whole file.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Raw {
    #[serde(default)]
    pub(super) switch: Switch,
    #[serde(default)]
    pub(super) admin: Admin,
    pub(super) console: Option<Spanned<Console>>,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) timers: Timers,
    pub(super) journal: Option<Spanned<Journal>>,
    #[serde(default)]
    pub(super) acquirer: Vec<Spanned<Acquirer>>,
    #[serde(default)]
    pub(super) issuer: Vec<Spanned<Issuer>>,
    #[serde(default)]
    pub(super) route: Vec<Spanned<Route>>,
    pub(super) hsm: Option<Spanned<Hsm>>,
    #[serde(default)]
    pub(super) program: Vec<Spanned<Program>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Switch {
    pub(super) profile: Option<Given<String>>,
    pub(super) shards: Option<Given<u64>>,
    pub(super) pending_max: Option<Given<u64>>,
    pub(super) recent_entries: Option<Given<u64>>,
    pub(super) recent_window: Option<Given<Period>>,
    pub(super) drain_grace: Option<Given<Period>>,
    pub(super) approval_codes: Option<List<String>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Admin {
    pub(super) listen: Option<Given<String>>,
    pub(super) token_file: Option<Given<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Console {
    pub(super) listen: Option<Given<String>>,
    pub(super) token_file: Option<Given<String>>,
    pub(super) control: Option<Given<bool>>,
    pub(super) audit_log: Option<Given<String>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Log {
    pub(super) every_nth_payment: Option<Given<u64>>,
    pub(super) otlp: Option<Given<String>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Limits {
    pub(super) connections_max: Option<Given<u64>>,
    pub(super) connections_per_address_max: Option<Given<u64>>,
    pub(super) accepts_per_second: Option<Given<u64>>,
    pub(super) handshakes_max: Option<Given<u64>>,
    pub(super) output_bytes_max: Option<Given<Size>>,
    pub(super) glitches_max: Option<Given<u64>>,
    pub(super) cards_max: Option<Given<u64>>,
    pub(super) reversals_max: Option<Given<u64>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Timers {
    pub(super) frame: Option<Given<Period>>,
    pub(super) tls_handshake: Option<Given<Period>>,
    pub(super) sign_on: Option<Given<Period>>,
    pub(super) echo_every: Option<Given<Period>>,
    pub(super) echo_wait: Option<Given<Period>>,
    pub(super) reconnect_min: Option<Given<Period>>,
    pub(super) reconnect_max: Option<Given<Period>>,
    pub(super) user_timeout: Option<Given<Period>>,
    pub(super) reversal_retry_min: Option<Given<Period>>,
    pub(super) reversal_retry_max: Option<Given<Period>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Acquirer {
    pub(super) name: Option<Given<String>>,
    pub(super) listen: Option<Given<String>>,
    pub(super) connect: Option<List<String>>,
    pub(super) dialect: Option<Given<String>>,
    #[serde(default)]
    pub(super) framing: Framing,
    pub(super) plain_tcp: Option<Given<bool>>,
    pub(super) plain_tcp_beyond_loopback: Option<Given<bool>>,
    pub(super) tls: Option<Spanned<Tls>>,
    pub(super) sign_on: Option<Given<bool>>,
    pub(super) connections_max: Option<Given<u64>>,
    pub(super) window: Option<Given<u64>>,
    pub(super) requests_per_second: Option<Given<u64>>,
    pub(super) partial_approvals: Option<Given<bool>>,
    pub(super) acquirer_ids: Option<List<String>>,
    pub(super) forwarder_ids: Option<List<String>>,
    pub(super) mtis: Option<List<String>>,
    pub(super) iins: Option<List<String>>,
    pub(super) terminals: Option<List<String>>,
    pub(super) patience: Option<Given<Period>>,
    pub(super) mac: Option<Spanned<Mac>>,
    #[serde(default)]
    pub(super) response_codes: BTreeMap<Spanned<String>, Given<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Issuer {
    pub(super) name: Option<Given<String>>,
    pub(super) listen: Option<Given<String>>,
    pub(super) connect: Option<List<String>>,
    pub(super) links_per_address: Option<Given<u64>>,
    pub(super) dialect: Option<Given<String>>,
    #[serde(default)]
    pub(super) framing: Framing,
    pub(super) plain_tcp: Option<Given<bool>>,
    pub(super) plain_tcp_beyond_loopback: Option<Given<bool>>,
    pub(super) tls: Option<Spanned<Tls>>,
    pub(super) timeout: Option<Given<Period>>,
    pub(super) window: Option<Given<u64>>,
    pub(super) sign_on: Option<Given<bool>>,
    pub(super) echo: Option<Given<bool>>,
    pub(super) mac: Option<Spanned<Mac>>,
    pub(super) stand_in: Option<Spanned<StandIn>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct StandIn {
    pub(super) iins: Option<List<String>>,
    pub(super) currency: Option<Given<String>>,
    pub(super) floor: Option<Given<u64>>,
    pub(super) card_per_day: Option<Given<u64>>,
    pub(super) per_day: Option<Given<u64>>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Framing {
    pub(super) length: Option<Given<String>>,
    pub(super) inclusive: Option<Given<bool>>,
    pub(super) header_bytes: Option<Given<u64>>,
    pub(super) max: Option<Given<Size>>,
    pub(super) keep_alive: Option<Given<bool>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Tls {
    pub(super) certificate: Option<Given<String>>,
    pub(super) key: Option<Given<String>>,
    pub(super) ca: Option<Given<String>>,
    pub(super) crl: Option<Given<String>>,
    pub(super) peer_name: Option<Given<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Mac {
    pub(super) algorithm: Option<Given<String>>,
    pub(super) padding: Option<Given<u64>>,
    pub(super) key: Option<Given<String>>,
    pub(super) check_value: Option<Given<String>>,
    pub(super) left_check_value: Option<Given<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Route {
    pub(super) iin: Option<Given<String>>,
    pub(super) issuer: Option<Given<String>>,
    pub(super) alternates: Option<List<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Journal {
    pub(super) dir: Option<Given<String>>,
    pub(super) key_file: Option<Given<String>>,
    pub(super) key: Option<Given<String>>,
    pub(super) check_value: Option<Given<String>>,
    pub(super) level: Option<Given<String>>,
    pub(super) flush: Option<Given<Period>>,
    pub(super) segment: Option<Given<Size>>,
    pub(super) snapshot: Option<Given<Size>>,
    pub(super) retention: Option<Given<Period>>,
    pub(super) mark_file: Option<Given<String>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Hsm {
    pub(super) module: Option<Given<String>>,
    pub(super) token: Option<Given<String>>,
    pub(super) pin_file: Option<Given<String>>,
    pub(super) placement: Option<Given<String>>,
    pub(super) workers: Option<Given<u64>>,
    pub(super) recycle_after: Option<Given<u64>>,
    pub(super) deadline: Option<Given<Period>>,
    pub(super) decline_floor: Option<Given<Period>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Program {
    pub(super) name: Option<Given<String>>,
    pub(super) kind: Option<Given<String>>,
    pub(super) iins: Option<List<String>>,
    pub(super) layout: Option<Given<String>>,
    pub(super) key: Option<Given<String>>,
    pub(super) check_value: Option<Given<String>>,
    pub(super) modifiable_key: Option<Given<bool>>,
    pub(super) exposure: Option<Given<String>>,
    pub(super) profile: Option<Given<String>>,
    pub(super) cvc3_key: Option<Given<String>>,
    pub(super) cvc3_check_value: Option<Given<String>>,
    pub(super) derivation: Option<Given<String>>,
    pub(super) pcvc3: Option<Given<String>>,
    pub(super) punatc: Option<Given<String>>,
    pub(super) atc_digits: Option<Given<u64>>,
    pub(super) atc_ahead: Option<Given<u64>>,
    pub(super) atc_behind: Option<Given<u64>>,
    pub(super) response: Option<Given<String>>,
    pub(super) tries_per_secret: Option<Given<u64>>,
    pub(super) tries_per_card: Option<Given<u64>>,
    pub(super) tries_window: Option<Given<Period>>,
    pub(super) guess_ceiling: Option<Given<f64>>,
    pub(super) required_above: Option<Given<u64>>,
    pub(super) currency: Option<Given<String>>,
    pub(super) challenge_ttl: Option<Given<Period>>,
}

//! Every setting that is in force, one line each: its path, its value as it would be written, and whether a reload
//! changes it. What `signalbox config` shows and what a reload compares.
//!
//! No value here is a secret: keys, PINs and tokens are in files, and only their paths are settings.

use std::fmt::{Debug, Display};
use std::hash::Hasher;
use std::path::Path;

use codecs::discretionary::Layout;
use codecs::frame::{FrameFormat, LengthForm};
use hsm::{Derivation, Padding};
use siphasher::sip::SipHasher13;

use super::checked::{
    Acquirer, Config, Door, Hsm, Issuer, Journal, JournalKey, Mac, MacAlgorithm, Program, ProgramKind,
    ResponseKind, Way,
};
use super::given::{Period, Size};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its place in the file, peers and programs by their names: `issuer.maple.timeout`.
    pub path: String,
    /// Its value as it would be written.
    pub value: String,
    /// What has to happen before another value is in force.
    pub changed_by: ChangedBy,
}

/// What puts another value of a setting in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedBy {
    /// SIGHUP, or `POST /v1/reload`.
    Reload,
    /// Stopping the switch and starting it again.
    Restart,
}

use ChangedBy::{Reload, Restart};

/// Every setting, in the order of the example file.
#[must_use]
pub fn settings(config: &Config) -> Vec<Setting> {
    let mut list = List { prefix: String::new(), settings: Vec::new() };
    list.below("switch", |list| {
        let switch = &config.switch;
        list.put(Restart, "profile", quoted(switch.profile.name()));
        list.put(Restart, "shards", switch.shards);
        list.put(Restart, "pending_max", switch.pending_max);
        list.put(Restart, "recent_entries", switch.recent_entries);
        list.put(Restart, "recent_window", Period(switch.recent_window));
        list.put(Reload, "drain_grace", Period(switch.drain_grace));
        let codes = switch.approval_codes.iter().map(|code| code.as_bytes());
        list.put(Reload, "approval_codes", texts(codes.map(String::from_utf8_lossy)));
    });
    list.below("admin", |list| {
        list.put(Restart, "listen", quoted(config.admin.listen));
        list.path(Restart, "token_file", config.admin.token_file.as_deref());
    });
    if let Some(console) = &config.console {
        list.below("console", |list| {
            list.put(Restart, "listen", quoted(console.listen));
            list.path(Restart, "token_file", console.token_file.as_deref());
            list.put(Restart, "control", console.control);
            list.path(Restart, "audit_log", console.audit_log.as_deref());
        });
    }
    list.put(Reload, "log.every_nth_payment", config.log_every_nth_payment);
    if let Some(collector) = config.log_otlp {
        list.put(Restart, "log.otlp", quoted(collector));
    }
    limits(&mut list, config);
    timers(&mut list, config);
    if let Some(settings) = &config.journal {
        list.below("journal", |list| journal(list, settings));
    }
    for (name, dialect) in &config.dialects {
        list.put(Reload, &format!("dialect.{name}"), quoted(fingerprint(dialect)));
    }
    for settings in &config.acquirers {
        list.below(&format!("acquirer.{}", settings.name), |list| acquirer(list, config, settings));
    }
    for settings in &config.issuers {
        list.below(&format!("issuer.{}", settings.name), |list| issuer(list, config, settings));
    }
    for route in &config.routes {
        let names = route.issuers.iter().map(|issuer| config.issuers[*issuer].name.as_str());
        list.put(Reload, &format!("route.{}", route.iin), texts(names));
    }
    if let Some(settings) = &config.hsm {
        list.below("hsm", |list| hsm(list, settings));
    }
    for settings in &config.programs {
        list.below(&format!("program.{}", settings.name), |list| program(list, settings));
    }
    list.settings
}

fn limits(list: &mut List, config: &Config) {
    let limits = &config.limits;
    list.below("limits", |list| {
        list.put(Reload, "connections_max", limits.connections_max);
        list.put(Reload, "connections_per_address_max", limits.connections_per_address_max);
        list.put(Reload, "accepts_per_second", limits.accepts_per_second);
        list.put(Restart, "handshakes_max", limits.handshakes_max);
        list.put(Reload, "output_bytes_max", Size(limits.output_bytes_max as u64));
        list.put(Reload, "glitches_max", limits.glitches_max);
        list.put(Restart, "cards_max", limits.cards_max);
        list.put(Restart, "reversals_max", limits.reversals_max);
    });
}

fn timers(list: &mut List, config: &Config) {
    let timers = &config.timers;
    let rows = [
        ("frame", timers.frame),
        ("tls_handshake", timers.tls_handshake),
        ("sign_on", timers.sign_on),
        ("echo_every", timers.echo_every),
        ("echo_wait", timers.echo_wait),
        ("reconnect_min", timers.reconnect_min),
        ("reconnect_max", timers.reconnect_max),
        ("user_timeout", timers.user_timeout),
        ("reversal_retry_min", timers.reversal_retry_min),
        ("reversal_retry_max", timers.reversal_retry_max),
    ];
    list.below("timers", |list| rows.into_iter().for_each(|(key, time)| list.put(Reload, key, Period(time))));
}

fn journal(list: &mut List, journal: &Journal) {
    list.path(Restart, "dir", Some(&journal.dir));
    match &journal.key {
        JournalKey::File(path) => list.path(Restart, "key_file", Some(path)),
        JournalKey::Token { label, check_value } => {
            list.put(Restart, "key", quoted(label));
            list.put(Restart, "check_value", check_value_text(check_value));
        }
    }
    list.put(Restart, "level", quoted(journal.level.name()));
    list.put(Restart, "flush", Period(journal.flush));
    list.put(Restart, "segment", Size(journal.segment_bytes));
    list.put(Restart, "snapshot", Size(journal.snapshot_bytes));
    list.put(Restart, "retention", Period(journal.retention));
    list.path(Restart, "mark_file", Some(&journal.mark_file));
}

fn check_value_text([a, b, c]: &[u8; 3]) -> String {
    quoted(format!("{a:02X}{b:02X}{c:02X}"))
}

fn acquirer(list: &mut List, config: &Config, acquirer: &Acquirer) {
    door(list, &acquirer.door);
    list.put(Reload, "dialect", quoted(&config.dialects[acquirer.dialect].0));
    framing(list, &acquirer.framing);
    list.put(Reload, "sign_on", acquirer.sign_on);
    list.put(Reload, "connections_max", acquirer.connections_max);
    list.put(Reload, "window", acquirer.window);
    list.put(Reload, "requests_per_second", acquirer.requests_per_second);
    list.put(Reload, "partial_approvals", acquirer.partial_approvals);
    list.put(Reload, "acquirer_ids", texts(acquirer.acquirer_ids.iter().map(|id| id.number())));
    list.put(Reload, "forwarder_ids", texts(acquirer.forwarder_ids.iter().map(|id| id.number())));
    let digits = acquirer.mtis.iter().map(|mti| mti.digits());
    list.put(Reload, "mtis", texts(digits.map(|digits| String::from_utf8_lossy(&digits).into_owned())));
    list.put(Reload, "iins", texts(&acquirer.iins));
    list.put(Reload, "terminals", texts(&acquirer.terminals));
    list.put(Reload, "patience", Period(acquirer.patience));
    mac(list, acquirer.mac.as_ref());
    for (reason, code) in &acquirer.response_codes {
        let code = String::from_utf8_lossy(code.as_bytes());
        list.put(Reload, &format!("response_codes.{reason}"), quoted(code));
    }
}

fn issuer(list: &mut List, config: &Config, issuer: &Issuer) {
    door(list, &issuer.door);
    list.put(Restart, "links_per_address", issuer.links_per_address);
    list.put(Reload, "dialect", quoted(&config.dialects[issuer.dialect].0));
    framing(list, &issuer.framing);
    list.put(Reload, "timeout", Period(issuer.timeout));
    list.put(Reload, "window", issuer.window);
    list.put(Reload, "sign_on", issuer.sign_on);
    list.put(Reload, "echo", issuer.echo);
    mac(list, issuer.mac.as_ref());
    if let Some(agreed) = &issuer.stand_in {
        let iins = agreed.iins.iter().map(|iin| String::from_utf8_lossy(iin.digits()));
        let currency = agreed.currency.digits();
        list.put(Restart, "stand_in.iins", texts(iins));
        list.put(Restart, "stand_in.currency", quoted(String::from_utf8_lossy(&currency)));
        list.put(Restart, "stand_in.floor", agreed.floor_minor);
        list.put(Restart, "stand_in.card_per_day", agreed.card_daily_minor);
        list.put(Restart, "stand_in.per_day", agreed.daily_minor);
    }
}

fn mac(list: &mut List, mac: Option<&Mac>) {
    let Some(mac) = mac else { return };
    list.put(Restart, "mac.key", quoted(&mac.key));
    list.put(Restart, "mac.check_value", check_value_text(&mac.check_value));
    match &mac.algorithm {
        MacAlgorithm::Algorithm3 { left_check_value, padding } => {
            list.put(Restart, "mac.algorithm", quoted("algorithm-3"));
            list.put(Restart, "mac.left_check_value", check_value_text(left_check_value));
            list.put(Restart, "mac.padding", if *padding == Padding::Zeros { 1 } else { 2 });
        }
        MacAlgorithm::AesCmac => list.put(Restart, "mac.algorithm", quoted("aes-cmac")),
    }
}

fn door(list: &mut List, door: &Door) {
    match &door.way {
        Way::Listen(address) => list.put(Restart, "listen", quoted(address)),
        Way::Connect(addresses) => list.put(Restart, "connect", texts(addresses)),
    }
    // From plain to secured, and back, is for a restart; files are read anew for the connections that follow.
    list.put(Restart, "plain_tcp", door.tls.is_none());
    if let Some(tls) = &door.tls {
        list.path(Reload, "tls.certificate", Some(&tls.certificate));
        list.path(Reload, "tls.key", Some(&tls.key));
        list.path(Reload, "tls.ca", Some(&tls.ca));
        list.path(Reload, "tls.crl", tls.crl.as_deref());
        list.put(Reload, "tls.peer_name", quoted(&tls.peer_name));
    }
}

fn framing(list: &mut List, framing: &FrameFormat) {
    let length = match framing.length {
        LengthForm::Binary2 => "binary2",
        LengthForm::Binary4 => "binary4",
        LengthForm::Bcd2 => "bcd2",
        LengthForm::Ascii4 => "ascii4",
    };
    list.put(Restart, "framing.length", quoted(length));
    list.put(Restart, "framing.inclusive", framing.inclusive);
    list.put(Restart, "framing.header_bytes", framing.header_bytes);
    list.put(Restart, "framing.max", Size(framing.max_bytes.into()));
    list.put(Restart, "framing.keep_alive", framing.keep_alive);
}

fn hsm(list: &mut List, hsm: &Hsm) {
    list.path(Restart, "module", Some(&hsm.module));
    list.put(Restart, "token", quoted(&hsm.token));
    list.path(Restart, "pin_file", Some(&hsm.pin_file));
    list.put(Restart, "placement", quoted(hsm.placement.name()));
    list.put(Restart, "workers", hsm.workers);
    list.put(Restart, "recycle_after", hsm.recycle_after);
    list.put(Reload, "deadline", Period(hsm.deadline));
    list.put(Reload, "decline_floor", Period(hsm.decline_floor));
}

fn program(list: &mut List, program: &Program) {
    list.put(Reload, "iins", texts(&program.iins));
    list.put(Restart, "layout", quoted(fingerprint(&program.layout)));
    list.put(Restart, "key", quoted(&program.key));
    list.put(Restart, "check_value", check_value_text(&program.check_value));
    if let Some(cvc3) = &program.cvc3 {
        list.put(Restart, "cvc3_key", quoted(&cvc3.key));
        list.put(Restart, "cvc3_check_value", check_value_text(&cvc3.check_value));
        list.put(Restart, "derivation", quoted(derivation_text(cvc3.derivation)));
    }
    if let Layout::Bitmaps { pcvc3, punatc, .. } = program.layout {
        list.put(Restart, "pcvc3", quoted(format!("{pcvc3:04X}")));
        list.put(Restart, "punatc", quoted(format!("{punatc:04X}")));
    }
    list.put(Restart, "exposure", quoted(program.exposure));
    list.put(Restart, "modifiable_key", program.modifiable_key);
    if !matches!(program.kind, ProgramKind::Contactless { .. }) {
        list.put(Reload, "tries_per_secret", program.tries_per_secret);
    }
    list.put(Reload, "tries_per_card", program.tries_per_card);
    list.put(Reload, "tries_window", Period(program.tries_window));
    // With a point or an exponent, as a number that is none of the whole ones is written.
    list.put(Reload, "guess_ceiling", format_args!("{:?}", program.guess_ceiling));
    match program.kind {
        ProgramKind::RotatingAtc => {
            list.put(Restart, "kind", quoted("rotating_atc"));
            list.put(Restart, "profile", quoted(if program.cvc3.is_some() { "cvc3" } else { "aes" }));
        }
        ProgramKind::Challenge { required_above, ttl, response } => {
            list.put(Restart, "kind", quoted("challenge"));
            list.put(
                Restart,
                "response",
                quoted(match response {
                    ResponseKind::Computed => "computed",
                    ResponseKind::Enrolled => "enrolled",
                    ResponseKind::EnrolledByHmac => "enrolled-hmac",
                }),
            );
            if let Some(above) = required_above {
                list.put(Reload, "required_above", above.minor());
                let currency = above.currency().digits();
                list.put(Reload, "currency", quoted(String::from_utf8_lossy(&currency)));
            }
            list.put(Reload, "challenge_ttl", Period(ttl));
        }
        ProgramKind::Contactless { derivation, atc_digits, reach } => {
            list.put(Restart, "kind", quoted("contactless"));
            list.put(Restart, "derivation", quoted(derivation_text(derivation)));
            list.put(Restart, "atc_digits", atc_digits);
            list.put(Reload, "atc_ahead", reach.ahead);
            list.put(Reload, "atc_behind", reach.behind);
        }
    }
}

fn derivation_text(derivation: Derivation) -> &'static str {
    if derivation == Derivation::OptionB { "B" } else { "A" }
}

/// `old`, with everything of `new` that a reload may change. Nothing where they do not name the same peers and
/// programs in the same order.
pub(crate) fn merged(old: &Config, new: &Config) -> Option<Config> {
    if names(old) != names(new) {
        return None;
    }
    let mut merged = old.clone();
    merged.switch.drain_grace = new.switch.drain_grace;
    merged.switch.approval_codes.clone_from(&new.switch.approval_codes);
    merged.log_every_nth_payment = new.log_every_nth_payment;
    let (limits, others) = (&mut merged.limits, &new.limits);
    limits.connections_max = others.connections_max;
    limits.connections_per_address_max = others.connections_per_address_max;
    limits.accepts_per_second = others.accepts_per_second;
    limits.output_bytes_max = others.output_bytes_max;
    limits.glitches_max = others.glitches_max;
    merged.timers = new.timers.clone();
    merged.dialects.clone_from(&new.dialects);
    merged.routes.clone_from(&new.routes);
    merged.warnings.clone_from(&new.warnings);
    for (mine, other) in merged.acquirers.iter_mut().zip(&new.acquirers) {
        let kept = std::mem::replace(mine, other.clone());
        (mine.door, mine.framing) = (door_of(&kept.door, &other.door), kept.framing);
        mine.mac = kept.mac;
    }
    for (mine, other) in merged.issuers.iter_mut().zip(&new.issuers) {
        let kept = std::mem::replace(mine, other.clone());
        (mine.door, mine.framing) = (door_of(&kept.door, &other.door), kept.framing);
        mine.mac = kept.mac;
        mine.links_per_address = kept.links_per_address;
    }
    if let (Some(mine), Some(other)) = (&mut merged.hsm, &new.hsm) {
        mine.deadline = other.deadline;
        mine.decline_floor = other.decline_floor;
    }
    for (mine, other) in merged.programs.iter_mut().zip(&new.programs) {
        mine.iins.clone_from(&other.iins);
        // They were checked beside the new digits.
        if mine.layout == other.layout {
            mine.tries_per_secret = other.tries_per_secret;
            mine.tries_per_card = other.tries_per_card;
            mine.tries_window = other.tries_window;
            mine.guess_ceiling = other.guess_ceiling;
        }
        match (&mut mine.kind, other.kind) {
            (
                ProgramKind::Challenge { required_above, ttl, .. },
                ProgramKind::Challenge { required_above: above, ttl: of_new, .. },
            ) => (*required_above, *ttl) = (above, of_new),
            // As above.
            (ProgramKind::Contactless { reach, .. }, ProgramKind::Contactless { reach: of_new, .. })
                if mine.layout == other.layout =>
            {
                *reach = of_new;
            }
            _ => {}
        }
    }
    Some(merged)
}

/// Who takes part: peers and programs.
pub(crate) fn names(config: &Config) -> Vec<String> {
    let acquirers = config.acquirers.iter().map(|peer| format!("acquirer.{}", peer.name));
    let issuers = config.issuers.iter().map(|peer| format!("issuer.{}", peer.name));
    let programs = config.programs.iter().map(|program| format!("program.{}", program.name));
    acquirers.chain(issuers).chain(programs).collect()
}

fn door_of(kept: &Door, other: &Door) -> Door {
    let tls = if kept.tls.is_some() && other.tls.is_some() { &other.tls } else { &kept.tls };
    Door { way: kept.way.clone(), tls: tls.clone() }
}

struct List {
    prefix: String,
    settings: Vec<Setting>,
}

impl List {
    fn below(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.prefix, format!("{name}."));
        fill(self);
        self.prefix = outer;
    }

    fn put(&mut self, changed_by: ChangedBy, key: &str, value: impl Display) {
        let path = format!("{}{key}", self.prefix);
        self.settings.push(Setting { path, value: value.to_string(), changed_by });
    }

    fn path(&mut self, changed_by: ChangedBy, key: &str, path: Option<&Path>) {
        if let Some(path) = path {
            self.put(changed_by, key, quoted(path.display()));
        }
    }
}

fn quoted(text: impl Display) -> String {
    format!("{:?}", text.to_string())
}

fn texts<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

/// Stands for something that is too long for a line: it differs when the thing does.
fn fingerprint(thing: &impl Debug) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(format!("{thing:?}").as_bytes());
    format!("#{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toml::{Table, Value};

    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    /// Every setting of the example, those in comments too.
    fn keys(table: &Table, into: &mut BTreeSet<String>) {
        for (key, value) in table {
            match value {
                Value::Table(table) => keys(table, into),
                Value::Array(list) if list.iter().any(Value::is_table) => {
                    list.iter().filter_map(Value::as_table).for_each(|table| keys(table, into));
                }
                _ => drop(into.insert(key.clone())),
            }
        }
    }

    #[test]
    fn every_setting_of_the_example_is_listed() {
        let config = crate::config::parse(EXAMPLE, Path::new("f.toml"), std::iter::empty()).expect("sound");
        let mut written = BTreeSet::new();
        keys(&EXAMPLE.parse().expect("TOML"), &mut written);
        let listed = settings(&config);
        let listed: BTreeSet<&str> =
            listed.iter().filter_map(|setting| setting.path.rsplit('.').next()).collect();
        // The names of peers and the parts of a route are in the paths; the second flag of plain TCP is a consent.
        let told_otherwise = ["name", "iin", "issuer", "alternates", "plain_tcp_beyond_loopback"];
        let missing: Vec<&String> = written
            .iter()
            .filter(|key| !listed.contains(key.as_str()) && !told_otherwise.contains(&key.as_str()))
            .collect();
        assert!(missing.is_empty(), "not listed: {missing:?}");
    }
}

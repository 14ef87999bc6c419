//! The tables of which there is one each: `[switch]`, `[admin]`, `[limits]`, `[timers]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use codecs::value::ResponseCode;

use crate::config::checked::{Limits, Profile, Switch, Timers};
use crate::config::fault::Report;
use crate::config::given::{List, Period};
use crate::config::raw;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const HOUR: Duration = seconds(3_600);

/// Bounds of a timer: short enough for tests, long enough for any link.
pub(super) const TIMER: RangeInclusive<Duration> = ms(1)..=HOUR;

/// Approved and approved in part: response codes of 1987, action codes of 1993.
const APPROVAL_CODES: [ResponseCode; 4] =
    [ResponseCode::of(b"00"), ResponseCode::of(b"10"), ResponseCode::of(b"000"), ResponseCode::of(b"002")];

const PROFILES: [(&str, Profile); 2] =
    [("development", Profile::Development), ("production", Profile::Production)];

pub(super) fn switch(raw: &raw::Switch, report: &mut Report<'_>) -> Option<Switch> {
    let profile = match &raw.profile {
        Some(profile) => report.one_of(profile, "profile", &PROFILES),
        None => Some(Profile::Development),
    };
    let shards = report.count(&raw.shards, 1, 1..=64);
    let pending_max = report.count(&raw.pending_max, 65_536, 1..=16_777_216);
    let recent_entries = report.count(&raw.recent_entries, 1_048_576, 1..=67_108_864);
    let recent_window = report.period(&raw.recent_window, HOUR * 72, ms(1)..=HOUR * 72);
    let drain_grace = report.period(&raw.drain_grace, seconds(15), ms(0)..=HOUR);
    let approval_codes = approval_codes(&raw.approval_codes, report);
    Some(Switch {
        profile: profile?,
        shards: shards?,
        pending_max: pending_max?,
        recent_entries: recent_entries?,
        recent_window: recent_window?,
        drain_grace: drain_grace?,
        approval_codes,
    })
}

fn approval_codes(given: &Option<List<String>>, report: &mut Report<'_>) -> Vec<ResponseCode> {
    let Some(list) = given else {
        return APPROVAL_CODES.to_vec();
    };
    if list.get_ref().is_empty() {
        report.wrong(&list.span(), "[]", "at least one code, or nothing would ever be approved");
    }
    report.each(given, "a response code of two or three letters or digits", |code| {
        ResponseCode::parse(code.as_bytes())
    })
}

pub(super) fn admin_listen(raw: &raw::Admin, report: &mut Report<'_>) -> Option<SocketAddr> {
    let Some(given) = &raw.listen else {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)));
    };
    let listen = report.address(given)?;
    if !listen.ip().to_canonical().is_loopback() {
        let expected = "a loopback address: this door asks nobody who they are";
        report.wrong(&given.at, &format!("{:?}", listen.to_string()), expected);
        return None;
    }
    Some(listen)
}

pub(super) fn limits(raw: &raw::Limits, report: &mut Report<'_>) -> Option<Limits> {
    let connections_max = report.count(&raw.connections_max, 10_000, 1..=65_535);
    let per_address_max = report.count(&raw.connections_per_address_max, 10_000, 1..=65_535);
    let accepts_per_second = report.count(&raw.accepts_per_second, 500, 1..=1_000_000);
    let handshakes_max = report.count(&raw.handshakes_max, 64, 1..=100_000);
    let output_bytes_max = report.bytes(&raw.output_bytes_max, 1 << 20, 4 << 10..=64 << 20);
    let glitches_max = report.count(&raw.glitches_max, 3, 0..=1_000_000);
    let cards_max = report.count(&raw.cards_max, 1_000_000, 0..=100_000_000);
    let reversals_max = report.count(&raw.reversals_max, 100_000, 1..=10_000_000);
    Some(Limits {
        reversals_max: reversals_max?,
        connections_max: connections_max?,
        connections_per_address_max: per_address_max?,
        accepts_per_second: accepts_per_second?,
        handshakes_max: handshakes_max?,
        output_bytes_max: usize::try_from(output_bytes_max?).ok()?,
        glitches_max: glitches_max?,
        cards_max: cards_max?,
    })
}

pub(super) fn timers(raw: &raw::Timers, report: &mut Report<'_>) -> Option<Timers> {
    let frame = report.period(&raw.frame, seconds(5), TIMER);
    let tls_handshake = report.period(&raw.tls_handshake, seconds(5), TIMER);
    let sign_on = report.period(&raw.sign_on, seconds(10), TIMER);
    let echo_every = report.period(&raw.echo_every, seconds(30), TIMER);
    let echo_wait = report.period(&raw.echo_wait, seconds(10), TIMER);
    let reconnect_min = report.period(&raw.reconnect_min, ms(100), TIMER);
    let reconnect_max = report.period(&raw.reconnect_max, seconds(10), TIMER);
    let user_timeout = report.period(&raw.user_timeout, seconds(20), TIMER);
    let reversal_retry_min = report.period(&raw.reversal_retry_min, seconds(1), TIMER);
    let reversal_retry_max = report.period(&raw.reversal_retry_max, seconds(60), TIMER);
    let reconnect = (&raw.reconnect_min, reconnect_min, &raw.reconnect_max, reconnect_max);
    ascending("reconnect", reconnect, report);
    let retry = (&raw.reversal_retry_min, reversal_retry_min, &raw.reversal_retry_max, reversal_retry_max);
    ascending("reversal_retry", retry, report);
    Some(Timers {
        reversal_retry_min: reversal_retry_min?,
        reversal_retry_max: reversal_retry_max?,
        frame: frame?,
        tls_handshake: tls_handshake?,
        sign_on: sign_on?,
        echo_every: echo_every?,
        echo_wait: echo_wait?,
        reconnect_min: reconnect_min?,
        reconnect_max: reconnect_max?,
        user_timeout: user_timeout?,
    })
}

type Given = Option<crate::config::given::Given<Period>>;

/// The shortest of two pauses is not the longer one.
fn ascending(
    name: &str,
    (given_min, min, given_max, max): (&Given, Option<Duration>, &Given, Option<Duration>),
    report: &mut Report<'_>,
) {
    if let (Some(min), Some(max)) = (min, max)
        && min > max
        && let Some(given) = given_max.as_ref().or(given_min.as_ref())
    {
        let found = format!("{name}_min {} above {name}_max {}", Period(min), Period(max));
        report.fault(&given.at, found, format!("{name}_min no longer than {name}_max"));
    }
}

/// Where traces go: to a collector on this machine, which sends them on as it likes.
pub(super) fn collector(
    given: &Option<crate::config::given::Given<String>>,
    report: &mut Report<'_>,
) -> Option<Option<SocketAddr>> {
    let Some(given) = given else { return Some(None) };
    let address = report.address(given)?;
    if !cfg!(feature = "otel") {
        report.wrong(
            &given.at,
            &format!("{:?}", address.to_string()),
            "a binary built with the feature otel",
        );
        return None;
    }
    if !address.ip().to_canonical().is_loopback() {
        let expected = "a loopback address: a collector beside the switch sends on what it gets";
        report.wrong(&given.at, &format!("{:?}", address.to_string()), expected);
        return None;
    }
    Some(Some(address))
}

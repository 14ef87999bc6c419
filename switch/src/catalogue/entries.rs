//! The list. One entry is one metric; nothing else is needed for it to be on the page, in the reference table and
//! known to the checks of dashboards and rules.

use std::sync::atomic::Ordering;

use authorizer::decision::DeclineReason;
use authorizer::event::{AcquirerId, IssuerId};
use authorizer::request::Class;

use super::Label::{
    self, Acquirer, Certificate, Code, Currency, Ending, Issuer, Outcome, Peer, Program, Reason, Refusal,
    SecuredPeer, Shard, Transmission, Version,
};
use super::Read::{self, Count, CountOfAll, Level, LevelOfAll, SecondsOfAll, Times};
use super::{At, Entry, World};
use crate::board::{links_connected, links_up};
use crate::config::Way;
use crate::metrics::MacOutcome;
use crate::metrics::Snapshot;
use crate::token::Figures;
use crate::wire::Goodbye;

/// Every metric, by what it is about.
pub(super) static ALL: [&[Entry]; 9] =
    [&LINE, &ACQUIRERS, &ISSUERS, &SAF, &PROGRAMS, &JOURNAL, &SECURITY, &BOUNDS, &PROCESS];

const fn entry(name: &'static str, help: &'static str, labels: &'static [Label], read: Read) -> Entry {
    Entry { name, help, labels, read }
}

static LINE: [Entry; 11] = [
    entry("signalbox_received_total", "Requests read.", &[Acquirer, Label::Class], Count(received)),
    entry(
        "signalbox_approved_total",
        "Requests approved, repeats apart.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].approved),
    ),
    entry(
        "signalbox_approved_minor_units_total",
        "Approved amounts, added up in minor units; `other` is a sum over several currencies.",
        &[Currency],
        Count(|shard, at| shard.counters.approved_minor[at[0]]),
    ),
    entry(
        "signalbox_declined_total",
        "Requests declined, repeats apart.",
        &[Acquirer, Reason],
        Count(|shard, at| declined(shard, at[0], at[1])),
    ),
    entry(
        "signalbox_responses_total",
        "Answers sent, by DE 39, repeats included.",
        &[Acquirer, Code],
        Count(|shard, at| shard.tally.acquirers[at[0]].codes[at[1]]),
    ),
    entry(
        "signalbox_duplicates_total",
        "Repeats answered from memory.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].duplicates),
    ),
    entry(
        "signalbox_joined_total",
        "Repeats joined to the request in flight.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].joined),
    ),
    entry(
        "signalbox_undeliverable_total",
        "Outcomes that no link of the acquirer was there to carry.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].undeliverable),
    ),
    entry(
        "signalbox_transaction_seconds",
        "From a request's last byte to its answer.",
        &[Acquirer],
        Times(|shard, at| shard.tally.acquirers[at[0]].whole.view()),
    ),
    entry(
        "signalbox_switch_seconds",
        "The same, less the time an issuer took.",
        &[],
        Times(|shard, _| shard.tally.own.view()),
    ),
    entry(
        "signalbox_in_flight",
        "Requests that wait for their issuer or for the token.",
        &[],
        Level(|shard, _| shard.in_flight as u64),
    ),
];

static ACQUIRERS: [Entry; 8] = [
    entry("signalbox_connections", "Connections of a peer.", &[Peer], LevelOfAll(connections)),
    entry(
        "signalbox_signed_on",
        "Connections of an acquirer over which it may ask.",
        &[Acquirer],
        Level(|shard, at| shard.connections[at[0]].1),
    ),
    entry(
        "signalbox_connections_total",
        "Connections accepted.",
        &[Peer],
        CountOfAll(|world, at| world.doors.accepted[at[0]].load(Ordering::Relaxed)),
    ),
    entry(
        "signalbox_advices_total",
        "Advices of acquirers that were taken.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].advices),
    ),
    entry(
        "signalbox_reversals_total",
        "Reversals of acquirers that were taken, whatever they undid.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].reversals),
    ),
    entry(
        "signalbox_tombstones_total",
        "Reversals of requests that were never seen.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].tombstones),
    ),
    entry(
        "signalbox_reversal_exceptions_total",
        "Reversals that undo nothing and should be looked into.",
        &[Acquirer],
        Count(|shard, at| shard.counters.acquirers[at[0]].reversal_exceptions),
    ),
    entry("signalbox_glitches_total", "Messages that could not be identified.", &[Peer], Count(glitches)),
];

static ISSUERS: [Entry; 13] = [
    entry(
        "signalbox_links_up",
        "Links of an issuer that may carry requests.",
        &[Issuer],
        LevelOfAll(|world, at| links_up(world.setup, IssuerId(at[0] as u16)) as f64),
    ),
    entry(
        "signalbox_forwarded_total",
        "Requests sent to an issuer.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].forwarded),
    ),
    entry(
        "signalbox_answered_total",
        "Valid answers of an issuer, in time.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].answered),
    ),
    entry(
        "signalbox_issuer_seconds",
        "From a request sent to its answer, of those that came in time.",
        &[Issuer],
        Times(|shard, at| shard.counters.issuers[at[0]].round_trips.view()),
    ),
    entry(
        "signalbox_timed_out_total",
        "Requests an issuer did not answer in time, or whose link broke.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].timed_out),
    ),
    entry(
        "signalbox_late_total",
        "Answers that came after the end of their request.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].late),
    ),
    entry(
        "signalbox_late_left_standing_total",
        "Of these, approvals that were not undone, because neither memory nor the index could say what they approve.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].left_standing),
    ),
    entry(
        "signalbox_unmatched_total",
        "Answers to nothing that was asked.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].unmatched + shard.tally.issuers[at[0]].unmatched),
    ),
    entry(
        "signalbox_invalid_total",
        "Answers that fit a request's keys but not its content.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].invalid),
    ),
    entry(
        "signalbox_stood_in_total",
        "Purchases approved for an issuer that could not be asked.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].stood_in),
    ),
    entry(
        "signalbox_stand_in_refused_total",
        "Purchases that would have been, but for their amount.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].stand_in_refused),
    ),
    entry(
        "signalbox_issuer_in_flight",
        "Requests that wait for an issuer.",
        &[Issuer],
        Level(|shard, at| shard.in_flight_of[at[0]]),
    ),
    entry(
        "signalbox_issuer_window",
        "Requests that may wait for an issuer, over the links that are up.",
        &[Issuer],
        LevelOfAll(|world, at| {
            let issuer = IssuerId(at[0] as u16);
            links_up(world.setup, issuer) as f64 * f64::from(world.setup.rules().issuer(issuer).window)
        }),
    ),
];

static SAF: [Entry; 7] = [
    entry(
        "signalbox_saf_depth",
        "Reversals and advices an issuer has not acknowledged.",
        &[Issuer],
        Level(|shard, at| shard.saf[at[0]].waiting as u64),
    ),
    entry(
        "signalbox_saf_parked",
        "Of these, ones it refuses: an operator must look.",
        &[Issuer],
        Level(|shard, at| shard.saf[at[0]].parked as u64),
    ),
    entry("signalbox_saf_oldest_seconds", "Age of the oldest of them.", &[Issuer], LevelOfAll(oldest)),
    entry(
        "signalbox_saf_limit",
        "Reversals and advices that may wait for one issuer; with so many it is asked nothing new.",
        &[],
        LevelOfAll(|world, _| {
            f64::from(world.setup.start.limits.reversals_max) * f64::from(world.setup.shards())
        }),
    ),
    entry(
        "signalbox_saf_sent_total",
        "Reversals and advices sent to an issuer.",
        &[Issuer, Transmission],
        Count(|shard, at| {
            let issuer = &shard.counters.issuers[at[0]];
            [issuer.saf_sent, issuer.saf_repeated][at[1]]
        }),
    ),
    entry(
        "signalbox_saf_done_total",
        "Reversals and advices an issuer has acknowledged.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].saf_done),
    ),
    entry(
        "signalbox_saf_untraced_total",
        "Of these, reversals to which the issuer had no original.",
        &[Issuer],
        Count(|shard, at| shard.counters.issuers[at[0]].saf_untraced),
    ),
];

static PROGRAMS: [Entry; 18] = [
    entry(
        "signalbox_programs",
        "Programs that are configured.",
        &[],
        LevelOfAll(|world, _| world.setup.start.programs.len() as f64),
    ),
    entry(
        "signalbox_proofs_total",
        "Codes the token was asked about, and what it said.",
        &[Program, Outcome],
        Count(|shard, at| {
            let program = &shard.counters.programs[at[0]];
            [program.right, program.wrong, program.unknown][at[1]]
        }),
    ),
    entry(
        "signalbox_proof_seconds",
        "From a question to the token to what it said.",
        &[Program],
        Times(|shard, at| shard.counters.programs[at[0]].waits.view()),
    ),
    entry(
        "signalbox_proofs_waiting",
        "Requests that wait for the token.",
        &[],
        Level(|shard, _| shard.proving as u64),
    ),
    entry(
        "signalbox_program_declined_total",
        "Declines of a program's cards made here.",
        &[Program, Reason],
        Count(|shard, at| shard.counters.programs[at[0]].declined[at[1]]),
    ),
    entry("signalbox_cards", "Cards of programs, in memory.", &[], Level(|shard, _| shard.cards as u64)),
    entry(
        "signalbox_cards_limit",
        "Cards of programs that there may be.",
        &[],
        LevelOfAll(|world, _| {
            f64::from(world.setup.start.limits.cards_max) * f64::from(world.setup.shards())
        }),
    ),
    entry(
        "signalbox_token_up",
        "Whether the token answers on every shard: 1 or 0; 0 where nothing is asked of it.",
        &[],
        LevelOfAll(|world, _| {
            let is_up = world.shards().all(|shard| shard.token_up);
            truth(world.setup.start.asks_token() && is_up)
        }),
    ),
    entry(
        "signalbox_token_workers_up",
        "Token workers that are there and asked.",
        &[],
        Level(|shard, _| of_workers(shard, |worker| worker.is_up.into())),
    ),
    entry(
        "signalbox_token_spare",
        "Whether a token worker is warm beside those that work: 1 or 0.",
        &[],
        LevelOfAll(|world, _| truth(world.setup.has_spare.load(Ordering::Relaxed))),
    ),
    entry(
        "signalbox_token_breakers_open",
        "Token workers that are there and not asked: their breaker is open.",
        &[],
        Level(|shard, _| of_workers(shard, |worker| worker.is_open.into())),
    ),
    entry(
        "signalbox_token_restarts_total",
        "Token workers that took the place of another.",
        &[],
        Count(|shard, _| of_workers(shard, |worker| worker.restarts)),
    ),
    entry(
        "signalbox_token_lost_total",
        "Of these, ones whose predecessor hung, ended or said what cannot be.",
        &[],
        Count(|shard, _| of_workers(shard, |worker| worker.lost)),
    ),
    entry(
        "signalbox_token_asked_total",
        "Questions put to token workers.",
        &[],
        Count(|shard, _| of_workers(shard, |worker| worker.asked)),
    ),
    entry(
        "signalbox_token_batches_total",
        "Writes that put them: those of one turn go together.",
        &[],
        Count(|shard, _| of_workers(shard, |worker| worker.batches)),
    ),
    entry(
        "signalbox_token_given_up_total",
        "Questions that a token worker did not answer in time, or ended with.",
        &[],
        Count(|shard, _| of_workers(shard, |worker| worker.given_up)),
    ),
    entry(
        "signalbox_token_late_total",
        "Answers of token workers to questions that were given up.",
        &[],
        Count(|shard, _| of_workers(shard, |worker| worker.late)),
    ),
    entry(
        "signalbox_token_derivations",
        "Keys derived by the present token workers.",
        &[],
        Level(|shard, _| of_workers(shard, |worker| worker.derivations)),
    ),
];

static JOURNAL: [Entry; 11] = [
    entry(
        "signalbox_journal_facts_total",
        "Facts written to the journal.",
        &[],
        Count(|shard, _| shard.journal.facts),
    ),
    entry(
        "signalbox_journal_bytes_total",
        "Bytes written to the journal.",
        &[],
        Count(|shard, _| shard.journal.bytes),
    ),
    entry(
        "signalbox_journal_syncs_total",
        "Times the journal was made durable.",
        &[],
        Count(|shard, _| {
            let syncs = shard.journal.syncs.view();
            syncs.counts.iter().sum::<u64>() + syncs.beyond
        }),
    ),
    entry(
        "signalbox_journal_sync_seconds",
        "How long making the journal durable took.",
        &[],
        Times(|shard, _| shard.journal.syncs.view()),
    ),
    entry(
        "signalbox_journal_low",
        "Whether there is no room for another journal segment: 1 or 0.",
        &[],
        LevelOfAll(|world, _| truth(world.shards().any(|shard| shard.journal.is_low))),
    ),
    entry(
        "signalbox_index_rows",
        "Requests that the index of the journal tells of.",
        &[],
        LevelOfAll(|world, _| world.setup.index.rows.load(Ordering::Relaxed) as f64),
    ),
    entry(
        "signalbox_index_behind_facts",
        "Facts on the disk that are not in the index yet.",
        &[],
        LevelOfAll(|world, _| world.setup.index.behind.load(Ordering::Relaxed) as f64),
    ),
    entry(
        "signalbox_index_whole",
        "Whether the index was level with the journal since it was opened: 1 or 0.",
        &[],
        LevelOfAll(|world, _| truth(world.setup.index.is_whole.load(Ordering::Relaxed))),
    ),
    entry(
        "signalbox_index_rebuilds_total",
        "Times the index was built anew from the journal.",
        &[],
        CountOfAll(|world, _| world.setup.index.rebuilds.load(Ordering::Relaxed)),
    ),
    entry(
        "signalbox_index_asked_total",
        "Times a shard asked the index for what its memory has forgotten.",
        &[],
        CountOfAll(|world, _| world.setup.recalls.asked.load(Ordering::Relaxed)),
    ),
    entry(
        "signalbox_index_unsaid_total",
        "Of these, times that nothing could be said: the message was answered 96 and comes again; of a late approval see signalbox_late_left_standing_total.",
        &[],
        CountOfAll(|world, _| world.setup.recalls.unsaid.load(Ordering::Relaxed)),
    ),
];

static SECURITY: [Entry; 6] = [
    entry("signalbox_connections_refused_total", "Connections refused.", &[Refusal], CountOfAll(refused)),
    entry(
        "signalbox_links_ended_total",
        "Links that ended.",
        &[Ending],
        Count(|shard, at| shard.tally.ended[at[0]]),
    ),
    entry(
        "signalbox_misdirected_total",
        "Responses from acquirers and requests from issuers, dropped.",
        &[],
        Count(|shard, _| shard.tally.misdirected),
    ),
    entry(
        "signalbox_macs_total",
        "Codes of messages that came (DE 64, 128) and were checked, on links that have them.",
        &[Peer, Outcome],
        Count(|shard, at| shard.tally.macs[at[0]][at[1]]),
    ),
    entry(
        "signalbox_macs_unmade_total",
        "Messages that were not sent because the token made no code for them.",
        &[Peer],
        Count(|shard, at| shard.tally.macs[at[0]][MacOutcome::Unmade as usize]),
    ),
    entry(
        "signalbox_certificate_expiry_timestamp_seconds",
        "When the first certificate of a peer's links ends, in seconds since 1970.",
        &[SecuredPeer, Certificate],
        LevelOfAll(certificate_end),
    ),
];

static BOUNDS: [Entry; 6] = [
    entry(
        "signalbox_shed_total",
        "Requests refused because more was running than may be.",
        &[Acquirer],
        Count(|shard, at| {
            let shed = [DeclineReason::Overloaded, DeclineReason::Draining, DeclineReason::IssuerWindowFull];
            shed.iter().map(|reason| declined(shard, at[0], reason.index())).sum()
        }),
    ),
    entry(
        "signalbox_in_flight_limit",
        "Requests that may be in flight.",
        &[],
        LevelOfAll(|world, _| {
            f64::from(world.setup.start.switch.pending_max) * f64::from(world.setup.shards())
        }),
    ),
    entry(
        "signalbox_hop_queue_depth",
        "Hops that wait for a shard.",
        &[Shard],
        LevelOfAll(|world, at| world.setup.mailboxes[at[0]].len() as f64),
    ),
    entry(
        "signalbox_shard_silence_seconds",
        "How long ago a shard last looked around.",
        &[Shard],
        LevelOfAll(|world, at| {
            let seen_us = world.setup.gauges[at[0]].seen_us.load(Ordering::Relaxed);
            world.setup.now_us().saturating_sub(seen_us) as f64 / 1e6
        }),
    ),
    entry(
        "signalbox_recent_entries",
        "Requests remembered for repeats.",
        &[],
        Level(|shard, _| shard.remembered as u64),
    ),
    entry(
        "signalbox_recent_evicted_total",
        "Ended requests forgotten before their time, for want of room.",
        &[],
        Count(|shard, _| shard.evicted),
    ),
];

static PROCESS: [Entry; 12] = [
    entry(
        "signalbox_traces_sent_total",
        "Traces of payments that a collector took; zero in a build without `otel`.",
        &[],
        CountOfAll(|world, _| world.setup.traces.sent.load(Ordering::Relaxed)),
    ),
    entry(
        "signalbox_traces_lost_total",
        "Traces that found no room, or that no collector took.",
        &[],
        CountOfAll(|world, _| world.setup.traces.lost.load(Ordering::Relaxed)),
    ),
    entry("signalbox_build_info", "1, with the version of the binary.", &[Version], LevelOfAll(|_, _| 1.0)),
    entry(
        "signalbox_config_generation",
        "How many configurations this process has taken.",
        &[],
        // A reload is over when every shard works by it.
        LevelOfAll(|world, _| world.shards().map(|shard| shard.generation).min().unwrap_or(1) as f64),
    ),
    entry(
        "signalbox_config_last_reload_ok",
        "Whether the last reload was made: 1 or 0. 1 when there was none.",
        &[],
        LevelOfAll(|world, _| truth(!world.setup.reload_failed.load(Ordering::Relaxed))),
    ),
    entry(
        "signalbox_draining",
        "Whether the switch is being stopped: 1 or 0.",
        &[],
        LevelOfAll(|world, _| truth(world.setup.is_draining())),
    ),
    entry(
        "process_resident_memory_bytes",
        "Resident memory.",
        &[],
        LevelOfAll(|world, _| world.process.resident_bytes as f64),
    ),
    entry(
        "process_cpu_seconds_total",
        "Processor time of the process.",
        &[],
        SecondsOfAll(|world, _| world.process.cpu_seconds),
    ),
    entry("process_open_fds", "Open files.", &[], LevelOfAll(|world, _| world.process.open_files as f64)),
    entry(
        "process_max_fds",
        "Files that may be open.",
        &[],
        LevelOfAll(|world, _| world.process.open_files_max as f64),
    ),
    entry("process_threads", "Threads.", &[], LevelOfAll(|world, _| world.process.threads as f64)),
    entry(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        &[],
        LevelOfAll(|world, _| world.process.started_seconds),
    ),
];

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn received(shard: &Snapshot, [acquirer, class]: At) -> u64 {
    let edge = &shard.tally.acquirers[acquirer];
    match class.checked_sub(Class::ALL.len()) {
        None => shard.counters.acquirers[acquirer].received[class],
        Some(0) => edge.network,
        Some(_) => edge.refused.iter().sum(),
    }
}

/// By the line and at the edge before it.
fn declined(shard: &Snapshot, acquirer: usize, reason: usize) -> u64 {
    shard.counters.acquirers[acquirer].declined[reason] + shard.tally.acquirers[acquirer].refused[reason]
}

/// Peers are the acquirers, then the issuers.
fn glitches(shard: &Snapshot, [peer, _]: At) -> u64 {
    let acquirers = &shard.tally.acquirers;
    match peer.checked_sub(acquirers.len()) {
        None => acquirers[peer].glitches,
        Some(issuer) => shard.tally.issuers[issuer].glitches,
    }
}

fn connections(world: &World<'_>, [peer, _]: At) -> f64 {
    let acquirers = &world.setup.start.acquirers;
    match peer.checked_sub(acquirers.len()) {
        Some(issuer) => links_connected(world.setup, IssuerId(issuer as u16)) as f64,
        // The door also counts those who are still shaking hands.
        None if matches!(acquirers[peer].door.way, Way::Listen(_)) => {
            f64::from(world.doors.of_acquirer(AcquirerId(peer as u16)))
        }
        None => world.shards().map(|shard| shard.connections[peer].0).sum::<u64>() as f64,
    }
}

fn oldest(world: &World<'_>, [issuer, _]: At) -> f64 {
    let since_us = world.shards().filter_map(|shard| shard.saf[issuer].oldest_us).min();
    since_us.map_or(0.0, |since_us| world.setup.now_us().saturating_sub(since_us) as f64 / 1e6)
}

fn refused(world: &World<'_>, [reason, _]: At) -> u64 {
    match world.doors.refused.get(reason) {
        Some(refused) => refused.load(Ordering::Relaxed),
        // The last reason is not the door's: the shard that shook hands did not trust the peer.
        None => world.shards().map(|shard| shard.tally.ended[Goodbye::NotTrusted.index()]).sum(),
    }
}

fn certificate_end(world: &World<'_>, [peer, which]: At) -> f64 {
    let rules = world.setup.rules();
    let links = rules.acquirer_tls.iter().chain(&rules.issuer_tls).flatten();
    links.map(|tls| tls.ends[which] as f64).nth(peer).unwrap_or(0.0)
}

/// A figure of token workers, added up.
fn of_workers(shard: &Snapshot, figure: fn(&Figures) -> u64) -> u64 {
    shard.workers.iter().map(figure).sum()
}

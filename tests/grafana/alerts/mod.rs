//! Each alert is made to fire by breaking what it watches, on the release binary, and must reach Debian's Alertmanager
//! with a runbook that exists. The rules are the checked-in ones with every duration divided by [`FASTER`].

pub(crate) mod traffic;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use grafana::rules::{self, Places, Scale};
use grafana::{alerts, boards};
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tests::rig::process::{binary, children};
use tests::rig::tls::{self, Authority};
use tests::rig::trace::Trace;
use tests::{Act, Plain, Rig, Setup, TestToken, purchase};

use crate::tools::{Alertmanager, Helper, Prometheus, grafana, load};
use traffic::Taps;

/// An hour takes this many times less.
const FASTER: f64 = 60.0;
/// How long everything together may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);
/// Requests a second at each switch.
const RATE: u32 = 20;

/// A switch, what is done to it, and which alerts must follow.
struct Scene {
    /// Breaks something, and goes on breaking it: called again and again until every alert is there.
    breaks: Box<dyn FnMut(&mut Stage) + Send>,
    stage: Stage,
}

/// What a scene plays with; strace lets go before the switch is told to stop.
struct Stage {
    trace: Option<Trace>,
    fleet: Option<Helper>,
    rig: Rig,
    /// Alerts that have not fired yet.
    expected: BTreeSet<&'static str>,
}

impl Scene {
    fn new(rig: Rig, expected: &[&'static str], breaks: impl FnMut(&mut Stage) + Send + 'static) -> Scene {
        let expected = expected.iter().copied().collect();
        let fleet = Some(load(&rig, "baseline", RATE));
        Scene { breaks: Box::new(breaks), stage: Stage { trace: None, fleet, rig, expected } }
    }

    fn is_over(&self) -> bool {
        self.stage.expected.is_empty()
    }
}

impl Stage {
    /// Whatever was broken ends first; the switch must still stop in good order.
    fn end(mut self) {
        drop(self.trace.take());
        drop(self.fleet.take());
        if self.rig.process().has_ended() {
            self.rig.start_again();
        }
        self.rig.forget_cards();
    }
}

/// Does something the first time only.
fn once(mut what: impl FnMut(&mut Stage) + Send) -> impl FnMut(&mut Stage) + Send {
    let mut is_done = false;
    move |stage| {
        if !std::mem::replace(&mut is_done, true) {
            what(stage);
        }
    }
}

#[test]
fn every_alert_fires_when_what_it_watches_breaks_and_has_its_runbook() {
    let Some(token) = TestToken::new() else { return };
    if binary().is_none() {
        return;
    }
    let Some(alertmanager) = Alertmanager::start() else { return };
    let Some(calm) = Setup::new().start() else { return };
    let fleet = load(&calm, "baseline", RATE);
    let mut scenes: Vec<Scene> = scenes(token);
    let covered: BTreeSet<_> = scenes.iter().flat_map(|scene| scene.stage.expected.clone()).collect();
    let all: BTreeSet<_> = alerts::all().iter().map(|alert| alert.name).collect();
    assert_eq!(covered, all, "each alert belongs to a scene");

    let runbooks = grafana().join("runbooks").display().to_string();
    let places = Places { runbooks: &runbooks, dashboards: "http://localhost:3000" };
    let files = [
        ("recording.yml", rules::recording_file(Scale(FASTER))),
        ("alerts.yml", rules::alert_file(Scale(FASTER), &places)),
    ];
    let targets: Vec<&Rig> = scenes.iter().map(|scene| &scene.stage.rig).chain([&calm]).collect();
    let Some(prometheus) = Prometheus::start(&targets, &files, Some(alertmanager.address)) else { return };
    drop(targets);

    // A day of traffic, a thousandth of it, in which nothing may be said of the calm one.
    thread::sleep(Duration::from_secs(8));
    let deadline = Instant::now() + PATIENCE;
    while !scenes.iter().all(Scene::is_over) {
        let missing: Vec<_> = scenes.iter().flat_map(|scene| &scene.stage.expected).collect();
        assert!(Instant::now() < deadline, "did not fire: {missing:?}; of {:?}", prometheus.query("ALERTS"));
        thread::scope(|scope| {
            for scene in scenes.iter_mut().filter(|scene| !scene.is_over()) {
                scope.spawn(|| (scene.breaks)(&mut scene.stage));
            }
        });
        for alert in alertmanager.alerts() {
            let text = |key: &str, of: &str| alert[of][key].as_str().unwrap_or_default().to_owned();
            let (name, instance) = (text("alertname", "labels"), text("instance", "labels"));
            look_at(&name, &alert);
            // On a machine that stands still for a second even a switch that is well is not reached.
            let is_calm = instance == calm.admin().to_string() && name != "SignalboxGone";
            assert!(!is_calm, "{name} fired for a switch that is well: {alert}");
            for scene in &mut scenes {
                // Budgets are of the job, everything else is of one switch.
                if instance.is_empty() || instance == scene.stage.rig.admin().to_string() {
                    scene.stage.expected.retain(|one| *one != name);
                }
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    drop(fleet);
    calm.forget_cards();
    thread::scope(|scope| {
        for scene in scenes {
            scope.spawn(|| scene.stage.end());
        }
    });
}

/// An alert as a person gets it.
fn look_at(name: &str, alert: &serde_json::Value) {
    let annotation = |key: &str| alert["annotations"][key].as_str().unwrap_or_default().to_owned();
    let runbook = annotation("runbook_url");
    assert!(Path::new(&runbook).is_file() && runbook.ends_with(&format!("/{name}.md")), "{name}: {runbook}");
    let dashboard = annotation("dashboard_url");
    let is_there = boards::all().iter().any(|board| dashboard.ends_with(&format!("/d/{}", board.uid)));
    assert!(is_there, "{name}: {dashboard}");
    for key in ["summary", "description"] {
        let text = annotation(key);
        let is_whole = !text.is_empty() && !text.contains("<no value>") && !text.contains("<error expanding");
        assert!(is_whole && !text.contains("{{"), "{name}: {text}");
    }
    assert!(matches!(alert["labels"]["severity"].as_str(), Some("page" | "ticket")), "{name}");
}

fn scenes(token: TestToken) -> Vec<Scene> {
    let makers: [fn() -> Scene; 11] = [
        silent_issuer,
        full_window,
        killed_again_and_again,
        peers_gone,
        contradicting_issuer,
        late_issuer,
        slow_disk,
        full_disk,
        hanging_shard,
        worn_out,
        refused_reload,
    ];
    let mut scenes: Vec<Scene> = makers.into_iter().map(|maker| maker()).collect();
    scenes.push(lost_token(token));
    scenes
}

fn rig(setup: Setup) -> Rig {
    setup.set("switch.drain_grace", "300ms").start().expect("there is a binary")
}

/// An issuer that says nothing, to requests and reversals.
fn silent_issuer() -> Scene {
    let setup = Setup::new().set("issuer.maple.timeout", "300ms").set("limits.reversals_max", 300);
    let expected = [
        "SignalboxIssuerTimesOut",
        "SignalboxReversalsOld",
        "SignalboxReversalsFill",
        "SignalboxSafPilesUp",
        "SignalboxErrorBudgetBurnsFast",
        "SignalboxErrorBudgetBurnsSlowly",
        "SignalboxApprovalsDropped",
    ];
    Scene::new(
        rig(setup),
        &expected,
        once(|stage| {
            let rig = &stage.rig;
            rig.issuer("maple").hold();
            rig.issuer("maple").on_reversal(|_| Act::Hold);
        }),
    )
}

/// An issuer that takes its time, with hardly any room for what waits.
fn full_window() -> Scene {
    let setup = Setup::new()
        .set("issuer.maple.window", 9)
        .set("switch.pending_max", 10)
        .set("issuer.maple.timeout", "8s");
    let expected = ["SignalboxNearFull", "SignalboxIssuerWindowFull"];
    Scene::new(rig(setup), &expected, once(|stage| stage.rig.issuer("maple").hold()))
}

/// A process that dies, and when that was noticed is started and dies again, twice.
fn killed_again_and_again() -> Scene {
    Scene::new(rig(Setup::new()), &["SignalboxGone", "SignalboxRestarts"], |stage| {
        drop(stage.fleet.take());
        if stage.expected.contains("SignalboxGone") {
            if !stage.rig.process().has_ended() {
                stage.rig.crash();
            }
            return;
        }
        stage.rig.start_again();
        // Long enough for two scrapes.
        thread::sleep(Duration::from_millis(1_200));
        if stage.expected.contains("SignalboxRestarts") {
            stage.rig.crash();
        }
    })
}

/// An issuer whose host is down and is stood in for, and then an acquirer that hangs up.
fn peers_gone() -> Scene {
    let setup = Setup::new()
        .stand_in([1_000_000, 1_000_000_000, 1_000_000_000])
        .set("issuer.maple.stand_in.iins", vec!["99996"]);
    let expected =
        ["SignalboxIssuerDown", "SignalboxStandsIn", "SignalboxAcquirerGone", "SignalboxAcquirerSilent"];
    let mut is_down = false;
    Scene::new(rig(setup), &expected, move |stage| {
        if !std::mem::replace(&mut is_down, true) {
            stage.rig.issuer("maple").go_down();
        }
        if !stage.expected.contains("SignalboxStandsIn") {
            drop(stage.fleet.take());
        }
    })
}

/// An issuer that approves another amount, and refuses to undo it.
fn contradicting_issuer() -> Scene {
    let setup =
        Setup::new().set("timers.reversal_retry_min", "50ms").set("timers.reversal_retry_max", "50ms");
    Scene::new(
        rig(setup),
        &["SignalboxIssuerContradicts", "SignalboxReversalsParked"],
        once(|stage| {
            let rig = &stage.rig;
            rig.issuer("maple").on(|_| Act::answer("4=999999"));
            rig.issuer("maple").on_reversal(|_| Act::answer("39=30"));
        }),
    )
}

/// An issuer that approves again and again what timed out long ago, and somebody has taken out of the index.
fn late_issuer() -> Scene {
    let setup = Setup::new().set("issuer.maple.timeout", "300ms").set("switch.recent_entries", 50);
    let mut late = None;
    Scene::new(rig(setup), &["SignalboxApprovalStands"], move |stage| {
        let rig = &stage.rig;
        let maple = rig.issuer("maple");
        let late = late.get_or_insert_with(|| {
            let is_late = |request: &Plain| request.get(37) == "000000000777";
            maple.on(move |request| if is_late(request) { Act::Hold } else { Act::answer("") });
            rig.acquirer("north").ask(&purchase("11=000777 37=000000000777"), "0110 39=91");
            let since = rig.metric("forwarded_total{issuer=maple}");
            rig.await_that("others", || rig.metric("forwarded_total{issuer=maple}") > since + 60.0);
            maple.seen().into_iter().find(|one| is_late(one.plain())).expect("it was asked")
        });
        let index = Connection::open(rig.folder().join("journal/index.sqlite")).expect("a file of SQLite");
        index.busy_timeout(Duration::from_secs(5)).expect("a file");
        index.execute("DELETE FROM payment WHERE de37 = '000000000777'", []).expect("a row");
        maple.answer(late, "39=00 38=L12345");
        thread::sleep(Duration::from_millis(500));
    })
}

/// Every sync takes a quarter of a second.
fn slow_disk() -> Scene {
    let expected =
        ["SignalboxJournalSlow", "SignalboxLatencyBudgetBurnsFast", "SignalboxLatencyBudgetBurnsSlowly"];
    let mut scene = Scene::new(
        rig(Setup::new().set("journal.level", "sync")),
        &expected,
        once(|stage| {
            let slow = ["trace=fdatasync", "inject=fdatasync:delay_enter=250000"];
            stage.trace = Trace::of(&stage.rig, &slow);
        }),
    );
    // The budget is that of all switches together, and this one must weigh in it.
    scene.stage.fleet = Some(load(&scene.stage.rig, "baseline", 300));
    scene
}

/// No file may grow to the size of a segment any more, which is what a full disk looks like to whoever makes one.
fn full_disk() -> Scene {
    let mut scene = Scene::new(
        rig(Setup::new().ignoring_size_limit()),
        &["SignalboxJournalFull"],
        once(|stage| {
            let pid = Pid::from_raw(stage.rig.process().id());
            let limit = Rlimit { current: Some((1 << 20) - 1), maximum: None };
            prlimit(pid, Resource::Fsize, limit).expect("our own child can be limited");
        }),
    );
    // The segment in use and the one made ready must be used up first.
    scene.stage.fleet = Some(load(&scene.stage.rig, "baseline", 300));
    scene
}

/// A thread that decides comes back late from every wait.
fn hanging_shard() -> Scene {
    Scene::new(
        rig(Setup::new().set("switch.shards", 1)),
        &["SignalboxShardHangs"],
        once(|stage| {
            let thread = stage.rig.process().thread("shard-0").expect("a shard");
            let late = ["trace=epoll_wait", "inject=epoll_wait:delay_exit=6000000"];
            stage.trace = Trace::of_thread(&stage.rig, thread, &late);
        }),
    )
}

/// Little memory, few files, a certificate near its end, and strangers at the door.
fn worn_out() -> Scene {
    let authority = Authority::new("acquirers");
    let switch = authority.identity_for_days("switch.example", 1, 10);
    let stranger = Authority::new("strangers").identity("south.example", 2);
    let setup = Setup::new().set("switch.recent_entries", 50).acquirer("south").secured(
        "acquirer.south",
        &authority,
        &switch,
    );
    let expected = [
        "SignalboxMemoryShort",
        "SignalboxFilesRunOut",
        "SignalboxCertificateEnds",
        "SignalboxStrangersKnock",
    ];
    let mut is_limited = false;
    Scene::new(rig(setup), &expected, move |stage| {
        let rig = &stage.rig;
        if !std::mem::replace(&mut is_limited, true) {
            let open = rig.process().open_files() as u64;
            rig.process().limit_files(open * 100 / 88);
        }
        for _ in 0..5 {
            let (address, wire) = (rig.address("south"), rig.wire("south"));
            let said = tls::ask(
                address,
                &authority,
                "switch.example",
                Some(&stranger),
                wire,
                &purchase("11=000001"),
            );
            assert!(said.is_err(), "a stranger was let in");
        }
    })
}

/// A configuration that is none.
fn refused_reload() -> Scene {
    Scene::new(
        rig(Setup::new()),
        &["SignalboxReloadRefused"],
        once(|stage| {
            fs::write(stage.rig.folder().join("signalbox.toml"), "[switch]\nshards = \"many\"\n")
                .expect("a file");
            stage.rig.process().signal(Signal::HUP);
        }),
    )
}

/// A token whose workers are killed again and again, and whose files are taken away, after somebody guessed and replayed.
fn lost_token(token: TestToken) -> Scene {
    let rig = rig(traffic::with_program(Setup::new(), &token));
    let mut taps = Taps::enrol(&rig);
    let expected = [
        "SignalboxCodesWrong",
        "SignalboxCodesReplayed",
        "SignalboxTokenWorkersLost",
        "SignalboxTokenBreakerOpen",
        "SignalboxTokenDown",
        "SignalboxTokenDoesNotSay",
    ];
    let mut is_hidden = false;
    Scene::new(rig, &expected, move |stage| {
        let is_attacked = |name: &&str| name.starts_with("SignalboxCodes");
        if stage.expected.iter().any(is_attacked) {
            for _ in 0..20 {
                taps.guess();
                taps.replay();
            }
            return;
        }
        if stage.expected.contains("SignalboxTokenWorkersLost") {
            let launcher = children(stage.rig.process().id());
            for worker in launcher.into_iter().flat_map(children) {
                let _ = kill_process(Pid::from_raw(worker).expect("a process"), Signal::KILL);
            }
            // Time for others to take their places.
            return thread::sleep(Duration::from_millis(1_000));
        }
        if !std::mem::replace(&mut is_hidden, true) {
            token.hide(true);
        }
        taps.question();
    })
}

#[test]
fn the_rules_of_the_test_are_those_of_the_files_but_faster() {
    let text = fs::read_to_string(grafana().join("rules/alerts.yml")).expect("the file");
    let faster = rules::alert_file(Scale(FASTER), &rules::PLACES);
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&text), lines(&faster));
    let is_same = |(a, b): (&str, &str)| a == b || a.contains("expr:") || a.contains("for:");
    assert!(text.lines().zip(faster.lines()).all(is_same));
}

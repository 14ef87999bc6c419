//! `loadtest run`: one run of a profile, or as many as a search for the highest rate takes; its report and its
//! files.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::outputs::Outputs;
use super::{exit, fail, overrides, stop_on_signals};
use crate::acquirer::{self, RunError};
use crate::agents::controller::Agents;
use crate::capacity::{Capacity, Verdict};
use crate::cli::RunArgs;
use crate::profile::{Drive, Overrides, Profile};
use crate::proof::provision::Admin;
use crate::report::Report;
use crate::report::conditions::Conditions;
use crate::report::live::Live;
use crate::report::metrics::Metrics;
use crate::report::series::SecondRow;
use crate::report::text::{self, Ink};
use crate::report::threshold::Threshold;
use crate::report::view::{State, View};
use crate::second::Second;

/// `loadtest run`.
pub fn run(args: &RunArgs) -> ExitCode {
    match measure(args) {
        Ok(code) => ExitCode::from(code),
        Err((code, error)) => fail(code, &error),
    }
}

/// What the runs of one command share: where they write, and whether they should stop.
struct Desk<'a> {
    args: &'a RunArgs,
    stop: Arc<AtomicBool>,
    outputs: Outputs,
    out: Box<dyn Write>,
    terminal: bool,
    ink: Ink,
    metrics: Option<Metrics>,
    /// Where cards are enrolled before each run.
    admin: Option<Admin>,
}

fn measure(args: &RunArgs) -> Result<u8, (u8, String)> {
    let set = Overrides {
        listen: args.listen.clone(),
        replay: args.replay.clone(),
        speed: args.speed,
        ..overrides(&args.connect, &args.load)
    };
    let profile = match &args.profile {
        Some(profile) => Profile::load(profile, &set),
        None => Profile::of_recording(&set),
    };
    let profile = profile.map_err(|error| (exit::CONFIG, error.to_string()))?;
    if args.speed.is_some() && profile.recording.is_none() {
        return Err((
            exit::USAGE,
            "--speed: only a recording has one; --rate is for everything else".to_string(),
        ));
    }
    let own_pace = args.find_capacity.is_some() || !args.agents.is_empty();
    if profile.recording.is_some() && own_pace {
        return Err((
            exit::USAGE,
            "a recording has its own pace: no --find-capacity, no --agents".to_string(),
        ));
    }
    known_cases(&profile, &args.threshold).map_err(|error| (exit::USAGE, error))?;
    let admin = match (&args.provision, &args.token_file) {
        (Some(url), Some(file)) => Some(Admin::new(url, file).map_err(|error| (exit::USAGE, error))?),
        _ => None,
    };
    if args.find_capacity.is_some() && admin.is_none() && !profile.programs.is_empty() {
        let why =
            "--find-capacity: every run needs codes of its own, so a profile with programs needs --provision";
        return Err((exit::USAGE, why.to_string()));
    }
    let stop = stop_on_signals().map_err(failed)?;
    let outputs = Outputs::open(args).map_err(failed)?;
    let (out, terminal): (Box<dyn Write>, bool) = if outputs.take_stdout() {
        (Box::new(io::stderr()), io::stderr().is_terminal())
    } else {
        (Box::new(io::stdout()), io::stdout().is_terminal())
    };
    let metrics = args
        .metrics
        .as_ref()
        .map(|address| Metrics::listen(address).map_err(|error| failed(format!("{address}: {error}"))));
    let metrics = metrics.transpose()?;
    if let Some(metrics) = &metrics {
        eprintln!("loadtest: http://{}/metrics", metrics.address());
    }
    let mut desk = Desk { args, stop, outputs, out, terminal, ink: Ink::new(terminal), metrics, admin };
    let report = match args.find_capacity {
        None => desk.run(&profile, !args.quiet)?,
        Some(searches) => desk.find_capacity(profile, usize::from(searches))?,
    };
    let _ = write!(desk.out, "{}", text::render(&report, desk.ink)).and_then(|()| desk.out.flush());
    desk.outputs.finish(&report).map_err(failed)?;
    Ok(match (report.interrupted, report.passed()) {
        (true, _) => exit::INTERRUPTED,
        (false, false) => exit::THRESHOLD,
        (false, true) => exit::CLEAN,
    })
}

fn failed(error: impl std::fmt::Display) -> (u8, String) {
    (exit::FAILED, error.to_string())
}

impl Desk<'_> {
    /// One run.
    fn run(&mut self, profile: &Profile, show: bool) -> Result<Report, (u8, String)> {
        let provisioned = self.provisioned(profile, show)?;
        let profile = provisioned.as_ref().unwrap_or(profile);
        let agents = self.agents(profile)?;
        let machines = agents.as_ref().map_or(Vec::new(), |agents| agents.conditions.clone());
        let mut rows = Vec::new();
        let mut shown = if show { self.open_view(profile) } else { None };
        let mut live = Live::new(&mut self.out, self.terminal, self.ink);
        let (outputs, metrics) = (&mut self.outputs, &self.metrics);
        let on_second = |second: &Second| {
            let row = SecondRow::of(second);
            outputs.second(second);
            if let Some(metrics) = metrics {
                metrics.add(second, &row);
            }
            // Whoever looks may go away; the run goes on.
            let _ = match &mut shown {
                Some(view) => view.show(&row),
                None if show => live.show(&row),
                None => Ok(()),
            };
            rows.push(row);
        };
        let outcome = match agents {
            Some(agents) => agents.run(profile, &self.stop, on_second),
            None => acquirer::run(profile, &self.stop, on_second),
        };
        if shown.take().is_none() && show {
            let _ = live.end();
        }
        let outcome = outcome.map_err(|error| match error {
            RunError::Mix(_) => (exit::CONFIG, error.to_string()),
            RunError::Start(_) => failed(error),
        })?;
        let mut report = Report::new(profile, &outcome, rows, &self.args.threshold, Conditions::here());
        report.agents = machines;
        Ok(report)
    }

    /// The profile with codes that a switch was just told about, where one is to be told.
    fn provisioned(&mut self, profile: &Profile, show: bool) -> Result<Option<Profile>, (u8, String)> {
        let Some(admin) = &self.admin else { return Ok(None) };
        let mut profile = profile.clone();
        let cards = admin.provision(&mut profile).map_err(failed)?;
        if show {
            let _ = writeln!(self.out, "{cards} cards are enrolled at the switch, with unused codes");
        }
        Ok(Some(profile))
    }

    /// The agents that were asked for, ready; each has at least one link per worker.
    fn agents(&self, profile: &Profile) -> Result<Option<Agents>, (u8, String)> {
        let addresses = &self.args.agents;
        if addresses.is_empty() {
            return Ok(None);
        }
        let least = profile.load.workers * addresses.len();
        if profile.load.connections < least {
            let error = format!("--connections: {least} at least, one for each worker of each agent");
            return Err((exit::CONFIG, error));
        }
        let text = Profile::text(self.args.profile.as_deref().unwrap_or_default());
        let text = text.map_err(|error| (exit::CONFIG, error.to_string()))?;
        let overrides = overrides(&self.args.connect, &self.args.load);
        Agents::prepare(addresses, (&text, &overrides), profile).map(Some).map_err(failed)
    }

    /// Takes the terminal, where there is one to take and nobody wants lines. Where it cannot be taken there are lines.
    fn open_view(&self, profile: &Profile) -> Option<View> {
        let wanted = self.terminal && !self.args.plain && !self.outputs.take_stdout();
        let closed = matches!(profile.load.drive, Drive::Closed { .. });
        let state =
            State::new(&profile.name, profile.load.describe(), profile.load.length.as_secs_f64(), closed);
        if wanted { View::open(state).ok() } else { None }
    }

    /// Runs at rate after rate. The report is that of the highest rate that held in any search, or of the
    /// last trial when none did.
    fn find_capacity(&mut self, mut profile: Profile, searches: usize) -> Result<Report, (u8, String)> {
        let Drive::Open { rate: start, arrivals } = profile.load.drive else {
            return Err((exit::USAGE, "--find-capacity: a closed loop has no rate".to_string()));
        };
        let mut best: Option<(f64, Report)> = None;
        let mut last = None;
        let mut error = None;
        let capacity = Capacity::find(start, searches, |rate| {
            profile.load.drive = Drive::Open { rate, arrivals };
            let report = match self.run(&profile, false) {
                Ok(report) => report,
                Err(why) => {
                    error = Some(why);
                    return Verdict::Interrupted;
                }
            };
            let verdict = verdict(&report);
            let _ = writeln!(self.out, "{}", trial_line(rate, verdict, &report));
            if verdict == Verdict::Held && best.as_ref().is_none_or(|(held, _)| rate > *held) {
                best = Some((rate, report));
            } else {
                last = Some(report);
            }
            // The host gets a moment to forget what it was asked.
            std::thread::sleep(BETWEEN_TRIALS);
            verdict
        });
        if let Some(error) = error {
            return Err(error);
        }
        let interrupted = self.stop.load(Ordering::Relaxed);
        let report = best.map(|(_, report)| report).or(last);
        let mut report = report.ok_or_else(|| failed("no trial took place"))?;
        report.interrupted |= interrupted;
        report.capacity = Some(capacity);
        Ok(report)
    }
}

/// Between two trials.
const BETWEEN_TRIALS: Duration = Duration::from_millis(200);

fn verdict(report: &Report) -> Verdict {
    // A trial in which nothing was answered shows nothing, whatever was promised.
    let held = report.passed() && report.counts.answered > 0;
    match (report.interrupted, report.generator.generator_bound, held) {
        (true, ..) => Verdict::Interrupted,
        (false, true, _) => Verdict::GeneratorBound,
        (false, false, true) => Verdict::Held,
        (false, false, false) => Verdict::Broken,
    }
}

fn trial_line(rate: f64, verdict: Verdict, report: &Report) -> String {
    let word = match verdict {
        Verdict::Held => "held".to_string(),
        Verdict::Broken => {
            let broken = report.thresholds.iter().filter(|checked| !checked.passed);
            if report.counts.answered == 0 {
                return format!("{:>10}/s  nothing was answered", text::count(rate as u64));
            }
            let broken: Vec<String> =
                broken.map(|checked| format!("{} ({})", checked.text, checked.seen)).collect();
            format!("broken: {}", broken.join(", "))
        }
        Verdict::GeneratorBound => format!("GENERATOR-BOUND: {}", report.generator.reasons.join("; ")),
        Verdict::Interrupted => "interrupted".to_string(),
    };
    format!("{:>10}/s  p99 {:>8}  {word}", text::count(rate as u64), text::time(report.response.p99_ns))
}

/// Refuses promises about cases that the profile does not have.
fn known_cases(profile: &Profile, thresholds: &[Threshold]) -> Result<(), String> {
    let names: Vec<&str> = profile.cases.iter().map(|case| case.name.as_str()).collect();
    match thresholds.iter().filter_map(Threshold::case).find(|case| !names.contains(case)) {
        Some(case) => Err(format!(
            "threshold: `{case}` is neither response, service nor lag, nor a case: {}",
            names.join(", ")
        )),
        None => Ok(()),
    }
}

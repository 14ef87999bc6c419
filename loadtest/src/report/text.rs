//! A report for people: aligned, calm, in the words of payments.

use std::fmt::{self, Write};

use super::Report;
use super::figures::{CaseRow, LAG_LIMIT_NS, LoadFacts, Percentiles};
use crate::codes::Code;

/// Colour, where it is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ink {
    on: bool,
}

impl Ink {
    /// Colour on terminals unless `NO_COLOR` is set.
    pub fn new(terminal: bool) -> Ink {
        Ink { on: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// For files and pipes.
    pub const PLAIN: Ink = Ink { on: false };

    fn paint(self, code: &str, text: impl fmt::Display) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    pub(crate) fn strong(self, text: impl fmt::Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn faint(self, text: impl fmt::Display) -> String {
        self.paint("2", text)
    }

    pub(crate) fn good(self, text: impl fmt::Display) -> String {
        self.paint("32", text)
    }

    pub(crate) fn warn(self, text: impl fmt::Display) -> String {
        self.paint("33", text)
    }

    pub(crate) fn bad(self, text: impl fmt::Display) -> String {
        self.paint("1;31", text)
    }
}

/// A count with thousands apart: 12,345.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time with three digits and the unit that suits it.
pub fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => three_digits(ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => three_digits(ns as f64 / 1e6, "ms"),
        _ => three_digits(ns as f64 / 1e9, "s"),
    }
}

fn three_digits(value: f64, unit: &str) -> String {
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

/// Part of a whole in percent.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_string() } else { format!("{:.2} %", part as f64 * 100.0 / whole as f64) }
}

/// The whole report.
pub fn render(report: &Report, ink: Ink) -> String {
    let mut out = String::new();
    let sections: [fn(&mut String, &Report, Ink) -> fmt::Result; 9] =
        [head, counts, outcomes, cases, differences, times, verdicts, capacity, conditions];
    for section in sections {
        // Writing into a string cannot fail.
        let _ = section(&mut out, report, ink);
    }
    out
}

fn head(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    let load = &report.load;
    writeln!(out, "\n{}  {}", ink.strong(&load.profile), load.description)?;
    writeln!(out, "{}", ink.faint(describe(load)))?;
    if report.interrupted {
        writeln!(out, "{}", ink.warn("stopped before its end: this report is partial"))?;
    }
    if report.counts.cut_off > 0 {
        let (cut, warm, cool) = (count(report.counts.cut_off), load.warm_up_seconds, load.cool_down_seconds);
        let note =
            format!("without warm-up ({warm} s) and cool-down ({cool} s): {cut} messages are in no figure");
        writeln!(out, "{}", ink.faint(note))?;
    }
    Ok(())
}

/// What was asked for, in a sentence.
pub fn describe(load: &LoadFacts) -> String {
    let drive = match (load.rate, &load.arrivals, load.window) {
        (Some(rate), Some(arrivals), _) => {
            let shape = load.shape.as_deref().filter(|shape| *shape != "constant");
            let shape = shape.map_or(String::new(), |shape| format!(", {shape}"));
            format!("open loop, {arrivals}, {}/s{shape}", rate_text(rate))
        }
        (Some(rate), None, _) if load.replay.is_some() => {
            let speed = load.replay.as_ref().map_or(1.0, |replay| replay.speed);
            format!("replay, {speed} times as fast, {}/s on average", rate_text(rate))
        }
        (_, _, Some(window)) => format!("closed loop, {window} in flight on each link"),
        _ => load.mode.to_string(),
    };
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "{drive}, {} s over {} link{}, {} worker{}, {}, seed {}",
        hundredths(load.seconds),
        load.connections,
        plural(load.connections),
        load.workers,
        plural(load.workers),
        load.dialect,
        load.seed
    )
}

/// Seconds as people say them: recordings end at any microsecond.
pub(super) fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

fn rate_text(rate: f64) -> String {
    if rate >= 10.0 { count(rate.round() as u64) } else { rate.to_string() }
}

fn counts(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    let counts = &report.counts;
    let sent = if counts.not_sent == 0 {
        "everything planned".to_string()
    } else {
        ink.bad(format!("{} planned and not sent", count(counts.not_sent)))
    };
    let answered = match (counts.missing, counts.late) {
        (0, 0) => ink.good("sent = answered"),
        (0, late) => ink.warn(format!("and {} late; nothing is missing", count(late))),
        (missing, 0) => ink.bad(format!("{} missing", count(missing))),
        (missing, late) => ink.bad(format!("{} missing, {} late", count(missing), count(late))),
    };
    let rate = format!("{}/s", count(report.answered_rate().round() as u64));
    writeln!(out)?;
    writeln!(out, "  sent      {:>12}   {sent}", count(counts.sent))?;
    writeln!(out, "  answered  {:>12}   {answered}, {rate}", count(counts.answered))?;
    writeln!(
        out,
        "  approved  {:>12}   {}",
        count(counts.approved),
        share(counts.approved, counts.answered)
    )?;
    writeln!(out)?;
    write!(out, " ")?;
    for (name, value) in [
        ("late", counts.late),
        ("missing", counts.missing),
        ("duplicate", counts.duplicate),
        ("unmatched", counts.unmatched),
        ("mangled", counts.mangled),
        ("contradicting", counts.contradicting),
        ("unexpected", counts.unexpected),
        ("links lost", counts.links_lost),
    ] {
        let item = format!("{name} {}", count(value));
        write!(out, " {} ", if value == 0 { ink.faint(item) } else { ink.warn(item) })?;
    }
    writeln!(out)?;
    if counts.reversals > 0 {
        let (sent, repeats) = (count(counts.reversals), count(counts.reversal_repeats));
        let (refused, open) = (counts.reversals_refused, counts.reversals_open);
        let end = match (refused, open) {
            (0, 0) => ink.good("all acknowledged"),
            _ => ink.bad(format!("{} refused, {} never acknowledged", count(refused), count(open))),
        };
        writeln!(out, "  reversals {sent:>12}   {end}, {repeats} repeats")?;
    }
    Ok(())
}

fn outcomes(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    if report.outcomes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  {}", ink.faint(format!("{:<4} {:>12} {:>9}", "code", "answers", "share")))?;
    for row in &report.outcomes {
        let bar = bar(row.share, 24);
        let bar = if row.approval { ink.good(bar) } else { ink.warn(bar) };
        let share = share(row.count, report.counts.answered);
        writeln!(out, "  {:<4} {:>12} {share:>9}  {bar}  {}", row.code, count(row.count), row.meaning)?;
    }
    Ok(())
}

/// A share as a bar of blocks, always `width` wide.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    // What is there at all can be seen.
    let rest = if eighths == 0 && share > 0.0 { 1 } else { eighths % 8 };
    if rest > 0 {
        bar.push(EIGHTHS[rest - 1]);
    }
    format!("{bar:<width$}")
}

fn cases(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    if report.cases.len() < 2 && report.counts.unexpected == 0 {
        return Ok(());
    }
    let width = report.cases.iter().map(|case| case.name.chars().count()).max().unwrap_or(0).max(4);
    let title = format!("{:<width$} {:>12} {:>12}  answers by code", "case", "sent", "answered");
    writeln!(out, "\n  {}", ink.faint(title))?;
    for case in &report.cases {
        writeln!(
            out,
            "  {:<width$} {:>12} {:>12}  {}",
            case.name,
            count(case.sent),
            count(case.answered),
            codes_of(case, report.load.replay.is_some(), ink)
        )?;
    }
    Ok(())
}

/// The codes of a case, those outside its expectations marked.
fn codes_of(case: &CaseRow, recorded: bool, ink: Ink) -> String {
    let mut codes: Vec<(&String, &u64)> = case.codes.iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words = codes.into_iter().map(|(code, answers)| {
        let word = format!("{code} {}", count(*answers));
        let expected = case.expect.is_empty() || case.expect.contains(code);
        if expected { word } else { ink.bad(format!("{word} (unexpected)")) }
    });
    let mut words: Vec<String> = words.collect();
    words.extend(verdict_of(case, ink));
    if case.expect.is_empty() && case.unexpected > 0 {
        let then = if recorded { "as recorded" } else { "as the first time" };
        words.push(ink.bad(format!("{} not {then}", count(case.unexpected))));
    }
    words.join("  ")
}

/// Whether a case whose answers are to be of one kind got them: codes alone do not say that a refusal is what was wanted.
fn verdict_of(case: &CaseRow, ink: Ink) -> Option<String> {
    let is_approval = |code: &String| Code::parse(code.as_bytes()).is_some_and(|code| code.is_approval());
    let approvals = case.expect.iter().filter(|code| is_approval(code)).count();
    let wanted = match approvals {
        _ if case.expect.is_empty() || case.answered == 0 => return None,
        0 => "refused",
        all if all == case.expect.len() => "approved",
        _ => return None,
    };
    if case.unexpected == 0 {
        return Some(ink.good(format!("all {wanted}, as they must be")));
    }
    let approved: u64 = case.codes.iter().filter(|(code, _)| is_approval(code)).map(|(_, count)| count).sum();
    let wrong = if wanted == "refused" { approved } else { case.answered - approved };
    let other = if wanted == "refused" { "APPROVED" } else { "refused" };
    (wrong > 0).then(|| ink.bad(format!("{} {other}, and none may be", count(wrong))))
}

/// What a replay found to be other than it was.
fn differences(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    let Some(replay) = &report.load.replay else { return Ok(()) };
    let [requests, compared] = [replay.requests, replay.compared].map(|value| count(value as u64));
    let left_out = count(replay.left_out);
    writeln!(
        out,
        "\n  recording {requests:>12}   requests, {compared} with a recorded answer; {left_out} other messages were not sent"
    )?;
    if report.differences.is_empty() {
        return writeln!(out, "  {:<22}   {}", "", ink.good("every answer has its recorded code"));
    }
    for row in &report.differences {
        let words = format!("recorded {}, now {}", row.recorded, row.now);
        writeln!(out, "  differ    {:>12}   {}", count(row.count), ink.bad(words))?;
    }
    Ok(())
}

fn times(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    let title = format!("{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}", "time", "p50", "p90", "p99", "p99.9", "max");
    writeln!(out, "\n  {}", ink.faint(title))?;
    for (name, times, meaning) in [
        ("response", &report.response, "answered - planned"),
        ("service", &report.service, "answered - sent"),
        ("send lag", &report.lag, "sent - planned"),
    ] {
        writeln!(out, "  {name:<10}{}   {}", percentiles(times), ink.faint(meaning))?;
    }
    if report.counts.missing > 0 {
        let note = format!("without the {} that were never answered", count(report.counts.missing));
        writeln!(out, "  {:<10}{}", "", ink.warn(note))?;
    }
    Ok(())
}

fn percentiles(times: &Percentiles) -> String {
    let all = [times.p50_ns, times.p90_ns, times.p99_ns, times.p99_9_ns, times.max_ns];
    let show = |ns: &u64| if times.count == 0 { "-".to_string() } else { time(*ns) };
    all.iter().map(|ns| format!("{:>10}", show(ns))).collect()
}

fn verdicts(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    writeln!(out)?;
    let lag = time(report.lag.p99_ns);
    if report.generator.generator_bound {
        let words = "GENERATOR-BOUND";
        writeln!(out, "  generator   {}: these figures are not about the host", ink.bad(words))?;
        for reason in &report.generator.reasons {
            writeln!(out, "              {reason}")?;
        }
    } else if report.load.window.is_some() {
        let words = "closed loop: the answers set the pace, and a host that stalls looks better than it is";
        writeln!(out, "  generator   {}", ink.warn(words))?;
    } else {
        let limit = time(LAG_LIMIT_NS);
        writeln!(out, "  generator   {}: send lag p99 {lag}, at most {limit}", ink.good("kept up"))?;
    }
    for (index, checked) in report.thresholds.iter().enumerate() {
        let title = if index == 0 { "thresholds" } else { "" };
        let verdict = if checked.passed { ink.good("held  ") } else { ink.bad("FAILED") };
        writeln!(out, "  {title:<10}  {verdict}  {:<28} {}", checked.text, checked.seen)?;
    }
    Ok(())
}

fn capacity(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    let Some(capacity) = &report.capacity else { return Ok(()) };
    let (Some(median), [lowest, .., highest] | [lowest @ highest]) = (capacity.median(), &capacity.rates[..])
    else {
        return writeln!(
            out,
            "  capacity    {}",
            ink.bad("no rate was found at which everything promised held")
        );
    };
    let rate = |rate: f64| count(rate.round() as u64);
    let searches = capacity.rates.len();
    let found = ink.strong(format!("{}/s", rate(median)));
    let (low, high) = (rate(*lowest), rate(*highest));
    writeln!(out, "  capacity    {found}, {low} to {high} in {searches} searches; within 5 % each")?;
    if capacity.limited_by_generator {
        writeln!(out, "              {}", ink.warn("at least: above it the generator was the limit"))?;
    }
    Ok(())
}

fn conditions(out: &mut String, report: &Report, ink: Ink) -> fmt::Result {
    let here = &report.conditions;
    let plural = if here.cores == 1 { "" } else { "s" };
    writeln!(
        out,
        "  conditions  {} core{plural}, {}, {}, loadtest {}, {}",
        here.cores, here.processor, here.kernel, here.version, report.load.started
    )?;
    for agent in &report.agents {
        let (cores, processor, version) = (agent.cores, &agent.processor, &agent.version);
        writeln!(out, "  agent       {cores} cores, {processor}, {}, loadtest {version}", agent.kernel)?;
    }
    if here.debug_build || report.agents.iter().any(|agent| agent.debug_build) {
        writeln!(out, "              {}", ink.warn("built without optimization: figures mean little"))?;
    }
    writeln!(out, "              {}", ink.faint(&here.command_line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (value, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), shown);
        }
        for (ns, shown) in [
            (7, "7 ns"),
            (1_500, "1.50 us"),
            (99_960, "100 us"),
            (182_400, "182 us"),
            (9_996_000, "10.0 ms"),
            (2_500_000_000, "2.50 s"),
        ] {
            assert_eq!(time(ns), shown);
        }
        assert_eq!((share(1, 3), share(0, 0)), ("33.33 %".to_string(), "-".to_string()));
    }

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.0001, 4), "▏   ");
        assert_eq!(bar(0.0, 4), "    ");
    }

    #[test]
    fn no_colour_where_none_is_wanted() {
        assert_eq!(Ink::PLAIN.bad("x"), "x");
        assert_eq!(Ink { on: true }.good("x"), "\x1b[32mx\x1b[0m");
    }
}

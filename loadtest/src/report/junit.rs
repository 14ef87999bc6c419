//! The promises of a run as a JUnit file: a test case for each, for build servers that show nothing else.

use std::fmt::Write as _;

use super::Report;
use super::text::describe;

/// The whole file. Whether the generator kept up is a case too: it is skipped, not failed, when it did not,
/// because the figures then say nothing about the host.
pub fn render(report: &Report) -> String {
    let failures = report.thresholds.iter().filter(|checked| !checked.passed).count();
    let skipped = u32::from(report.generator.generator_bound);
    let (suite, time) = (escape(&report.load.profile), report.load.elapsed_seconds);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let tests = report.thresholds.len() + 1;
    // Writing into a string cannot fail.
    let _ = writeln!(
        out,
        "<testsuite name=\"loadtest {suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skipped}\" time=\"{time:.3}\" timestamp=\"{}\">",
        report.load.started
    );
    let open = |name: &str| format!("  <testcase classname=\"loadtest.{suite}\" name=\"{}\"", escape(name));
    out.push_str(&open("the generator kept up"));
    if report.generator.generator_bound {
        let why = escape(&report.generator.reasons.join("; "));
        let _ = writeln!(out, "><skipped message=\"GENERATOR-BOUND: {why}\"/></testcase>");
    } else {
        out.push_str("/>\n");
    }
    for checked in &report.thresholds {
        out.push_str(&open(&checked.text));
        if checked.passed {
            out.push_str("/>\n");
        } else {
            let _ = writeln!(out, "><failure message=\"seen: {}\"/></testcase>", escape(&checked.seen));
        }
    }
    let _ = writeln!(out, "  <system-out>{}</system-out>\n</testsuite>", escape(&describe(&report.load)));
    out
}

/// Text as XML and HTML want it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to say these.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(escape("p99<5 & \"x\" 'y'\u{1}"), "p99&lt;5 &amp; &quot;x&quot; &#39;y&#39;\u{fffd}");
    }
}

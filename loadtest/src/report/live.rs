//! What is shown while a run is under way: one line that is written over each second on a terminal, a plain
//! line a second anywhere else.

use std::io::{self, Write};

use super::series::SecondRow;
use super::text::{Ink, count, time};

/// The line of figures.
#[derive(Debug)]
pub struct Live<W> {
    out: W,
    terminal: bool,
    ink: Ink,
}

/// Clears the line; long lines are cut instead of wrapped, or writing over them would leave their ends.
const REWRITE: &str = "\r\x1b[2K\x1b[?7l";
/// Wraps long lines again.
const WRAP: &str = "\x1b[?7h";

impl<W: Write> Live<W> {
    /// Writes to `out`.
    pub fn new(out: W, terminal: bool, ink: Ink) -> Live<W> {
        Live { out, terminal, ink }
    }

    /// Shows a second.
    pub fn show(&mut self, row: &SecondRow) -> io::Result<()> {
        let line = self.line(row);
        if self.terminal {
            write!(self.out, "{REWRITE}{line}{WRAP}")?;
        } else {
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }

    /// Leaves the terminal as the report wants it.
    pub fn end(&mut self) -> io::Result<()> {
        if self.terminal {
            write!(self.out, "\r\x1b[2K")?;
        }
        self.out.flush()
    }

    fn line(&self, row: &SecondRow) -> String {
        let ink = self.ink;
        let (p50, p99, approved) = if row.answered == 0 {
            ("-".to_string(), "-".to_string(), "-".to_string())
        } else {
            let approved = format!("{:.1} %", row.approved as f64 * 100.0 / row.answered as f64);
            (time(row.p50_ns), time(row.p99_ns), approved)
        };
        let (second, planned) = (ink.strong(format!("{:>4} s", row.second)), count(row.planned));
        let (sent, answered, in_flight) = (count(row.sent), count(row.answered), count(row.in_flight));
        let name = |text| ink.faint(text);
        format!(
            "{second}  {} {planned:>7}  {} {sent:>7}  {} {answered:>7}  {} {approved:>7}  \
             {} {p50:>7}  {} {p99:>7}  {} {in_flight}",
            name("planned"),
            name("sent"),
            name("answered"),
            name("approved"),
            name("p50"),
            name("p99"),
            name("in flight"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SecondRow {
        SecondRow {
            second: 3,
            planned: 1_000,
            sent: 1_000,
            answered: 998,
            approved: 930,
            in_flight: 2,
            p50_ns: 180_000,
            p99_ns: 2_100_000,
            ..SecondRow::default()
        }
    }

    fn shown(terminal: bool, row: &SecondRow) -> String {
        let mut out = Vec::new();
        Live::new(&mut out, terminal, Ink::PLAIN).show(row).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_a_second() {
        let line = shown(false, &row());
        assert_eq!(
            line,
            "   3 s  planned   1,000  sent   1,000  answered     998  approved  93.2 %  \
             p50  180 us  p99 2.10 ms  in flight 2\n"
        );
    }

    #[test]
    fn a_terminal_is_written_over() {
        let line = shown(true, &SecondRow { answered: 0, ..row() });
        assert!(line.starts_with("\r\x1b[2K") && !line.ends_with('\n'));
        assert!(line.contains("p99       -"));
    }
}

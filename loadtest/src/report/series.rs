//! The course of a run: a row per second, the cells of its heat map, and the distributions as curves.
//!
//! Rows are small whatever the rate is, so that a run of a day can keep all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::second::Second;

/// One second. Times are response times where nothing else is said, in nanoseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SecondRow {
    /// 1 is the first.
    pub second: u64,
    /// Messages that became due.
    pub planned: u64,
    /// Messages sent.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
    /// Approvals among them.
    pub approved: u64,
    /// Answers that came when the terminal had given up.
    pub late: u64,
    /// Without an answer at its end.
    pub in_flight: u64,
    /// Half of the answers took no longer.
    pub p50_ns: u64,
    /// All but a tenth.
    pub p90_ns: u64,
    /// All but a hundredth.
    pub p99_ns: u64,
    /// All but a thousandth.
    pub p99_9_ns: u64,
    /// The slowest.
    pub max_ns: u64,
    /// Service time (answered - sent), all but a hundredth.
    pub service_p99_ns: u64,
    /// Send lag (sent - planned), all but a hundredth.
    pub lag_p99_ns: u64,
    /// Answers in time by code.
    pub codes: BTreeMap<String, u64>,
    /// Cells of the heat map that are not empty: cell (see [`cell`]) and answers.
    pub heat: Vec<(u8, u64)>,
}

impl SecondRow {
    /// The row of a second.
    pub fn of(second: &Second) -> SecondRow {
        let response = &second.times.response;
        let at = |times: &Histogram<u64>, quantile| {
            if times.is_empty() { 0 } else { times.value_at_quantile(quantile).min(times.max()) }
        };
        SecondRow {
            second: second.number,
            planned: second.planned,
            sent: second.sent,
            answered: second.answered,
            approved: second.approved,
            late: second.late,
            in_flight: second.in_flight,
            p50_ns: at(response, 0.5),
            p90_ns: at(response, 0.9),
            p99_ns: at(response, 0.99),
            p99_9_ns: at(response, 0.999),
            max_ns: response.max(),
            service_p99_ns: at(&second.times.service, 0.99),
            lag_p99_ns: at(&second.times.lag, 0.99),
            codes: second.codes.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
            heat: heat(response),
        }
    }
}

/// Cells that a tenfold time is divided into.
pub const CELLS_PER_DECADE: u32 = 8;
/// The last cell, which has no upper end: from 100 seconds.
const LAST_CELL: u8 = 8 * CELLS_PER_DECADE as u8;

/// The cell of the heat map that a time belongs to. Cell 0 ends above a microsecond; eight cells make a factor of
/// ten.
pub fn cell(ns: u64) -> u8 {
    let place = (ns.max(1_000) as f64 / 1e3).log10() * f64::from(CELLS_PER_DECADE);
    (place as u8).min(LAST_CELL)
}

fn heat(times: &Histogram<u64>) -> Vec<(u8, u64)> {
    let mut cells: Vec<(u8, u64)> = Vec::new();
    for value in times.iter_recorded() {
        let cell = cell(value.value_iterated_to());
        match cells.last_mut() {
            Some((last, count)) if *last == cell => *count += value.count_since_last_iteration(),
            _ => cells.push((cell, value.count_since_last_iteration())),
        }
    }
    cells
}

/// One point of a distribution: `fraction` of the values are at most `ns`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct CurvePoint {
    /// From 0 to 1.
    pub fraction: f64,
    /// Nanoseconds.
    pub ns: u64,
}

/// A distribution as a curve that is as fine at its slow end as anywhere else: eight points for each halving
/// of what is left, up to the slowest value.
pub fn curve(times: &Histogram<u64>) -> Vec<CurvePoint> {
    let mut points: Vec<CurvePoint> = Vec::new();
    for value in times.iter_quantiles(8) {
        let point = CurvePoint {
            fraction: value.quantile_iterated_to(),
            ns: value.value_iterated_to().min(times.max()),
        };
        if points.last().is_none_or(|last| last.ns != point.ns || point.fraction >= 1.0) {
            points.push(point);
        }
    }
    points
}

/// Writes the rows as CSV, a column for each code at the end.
pub fn write_csv(rows: &[SecondRow], generator_bound: bool, out: &mut dyn Write) -> io::Result<()> {
    let codes: BTreeSet<&String> = rows.iter().flat_map(|row| row.codes.keys()).collect();
    write!(
        out,
        "second,planned,sent,answered,approved,late,in_flight,p50_ns,p90_ns,p99_ns,p99_9_ns,max_ns,\
         service_p99_ns,lag_p99_ns,generator_bound"
    )?;
    codes.iter().try_for_each(|code| write!(out, ",rc_{code}"))?;
    writeln!(out)?;
    for row in rows {
        let figures = [
            row.second,
            row.planned,
            row.sent,
            row.answered,
            row.approved,
            row.late,
            row.in_flight,
            row.p50_ns,
            row.p90_ns,
            row.p99_ns,
            row.p99_9_ns,
            row.max_ns,
            row.service_p99_ns,
            row.lag_p99_ns,
            // Of the whole run: a file that is cut apart still says it.
            u64::from(generator_bound),
        ];
        let counts = codes.iter().map(|code| row.codes.get(*code).copied().unwrap_or(0));
        let cells: Vec<String> = figures.into_iter().chain(counts).map(|figure| figure.to_string()).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;

    fn second() -> Second {
        let mut second = Second::new(2);
        for (ns, code) in [(900, "00"), (1_000_000, "00"), (1_100_000, "51"), (2_000_000_000, "00")] {
            second.answered += 1;
            second.answer(Code::parse(code.as_bytes()).unwrap());
            second.times.response.record(ns).unwrap();
        }
        second
    }

    #[test]
    fn a_row_has_all_answers_in_its_heat() {
        let row = SecondRow::of(&second());
        assert_eq!((row.answered, row.approved, row.codes["51"]), (4, 3, 1));
        assert_eq!(row.heat, [(0, 1), (24, 2), (50, 1)]);
        assert!(row.p99_ns >= 1_990_000_000, "{row:?}");
    }

    #[test]
    fn cells_are_a_log_scale() {
        for (ns, expected) in [(0, 0), (1_000, 0), (1_400, 1), (10_000, 8), (1_000_000, 24), (u64::MAX, 64)] {
            assert_eq!(cell(ns), expected, "{ns}");
        }
    }

    #[test]
    fn a_curve_rises_to_the_slowest() {
        let points = curve(&second().times.response);
        assert!(points.is_sorted_by(|one, other| one.ns <= other.ns && one.fraction <= other.fraction));
        assert_eq!(points.last().unwrap().fraction, 1.0);
        assert!(curve(&crate::tally::new_histogram()).is_empty());
    }

    #[test]
    fn csv_has_a_column_for_each_code() {
        let mut out = Vec::new();
        write_csv(&[SecondRow::of(&second()), SecondRow::default()], false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("lag_p99_ns,generator_bound,rc_00,rc_51"), "{text}");
        assert!(lines[1].starts_with("2,0,0,4,3,0,0,") && lines[1].ends_with(",3,1"), "{text}");
        assert!(lines[2].ends_with(",0,0"), "{text}");
    }
}

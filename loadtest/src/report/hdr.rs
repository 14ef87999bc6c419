//! The histograms of each second as an HDR interval log (format 1.3), which HdrHistogram's own tools read.
//!
//! Written while the run goes on: a whole histogram per second would not fit in memory for long.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::figures::Verdict;
use crate::second::Second;

/// A log that grows by three histograms a second.
pub struct HdrLog<W> {
    out: W,
    /// Seconds since 1970.
    started: u64,
    serializer: V2DeflateSerializer,
    begun: bool,
}

impl<W: Write> HdrLog<W> {
    /// A log of a run that starts in this second since 1970, written to `out`.
    pub fn new(out: W, started: u64) -> HdrLog<W> {
        HdrLog { out, started, serializer: V2DeflateSerializer::new(), begun: false }
    }

    /// Appends a second.
    pub fn add(&mut self, second: &Second) -> io::Result<()> {
        let mut text = Vec::new();
        let start = UNIX_EPOCH + Duration::from_secs(self.started);
        let builder = &mut IntervalLogWriterBuilder::new();
        if !self.begun {
            self.begun = true;
            builder.add_comment("[Logged with loadtest: all values in nanoseconds]");
            builder.add_comment("[Histogram log format version 1.3]");
            builder.with_start_time(start).with_base_time(start);
        }
        let mut log = builder.begin_log_with(&mut text, &mut self.serializer)?;
        for (name, times) in [
            ("response", &second.times.response),
            ("service", &second.times.service),
            ("lag", &second.times.lag),
        ] {
            write_one(&mut log, name, times, second.number)?;
        }
        self.out.write_all(&text)
    }

    /// Ends the log, with a remark where the generator fell behind, and hands everything to the file.
    pub fn finish(&mut self, verdict: &Verdict) -> io::Result<()> {
        if verdict.generator_bound {
            writeln!(self.out, "#[GENERATOR-BOUND: {}]", verdict.reasons.join("; "))?;
        }
        self.out.flush()
    }
}

type Log<'a, 'b> =
    hdrhistogram::serialization::interval_log::IntervalLogWriter<'a, 'b, Vec<u8>, V2DeflateSerializer>;

fn write_one(log: &mut Log<'_, '_>, name: &str, times: &Histogram<u64>, second: u64) -> io::Result<()> {
    let since_start = Duration::from_secs(second - 1);
    log.write_histogram(times, since_start, Duration::from_secs(1), Tag::new(name))
        .map_err(|error| io::Error::other(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    /// Reads a log back, as another program would.
    fn read(log: &[u8]) -> Vec<(String, f64, Histogram<u64>)> {
        let entries = IntervalLogIterator::new(log).filter_map(|entry| match entry.unwrap() {
            LogEntry::Interval(interval) => {
                let bytes = base64_decoded(interval.encoded_histogram());
                let histogram = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                let tag = interval.tag().unwrap().as_str().to_string();
                Some((tag, interval.start_timestamp().as_secs_f64(), histogram))
            }
            _ => None,
        });
        entries.collect()
    }

    fn base64_decoded(text: &str) -> Vec<u8> {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Vec::new();
        let (mut bits, mut count) = (0_u32, 0);
        for value in text.bytes().filter_map(|byte| ALPHABET.iter().position(|&known| known == byte)) {
            (bits, count) = (bits << 6 | value as u32, count + 6);
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count) as u8);
            }
        }
        bytes
    }

    #[test]
    fn what_is_read_back_is_what_was_measured() {
        let mut out = Vec::new();
        let mut log = HdrLog::new(&mut out, 1_795_392_061);
        for number in 1..=2 {
            let mut second = Second::new(number);
            second.times.response.record_n(5_000_000 * number, 10).unwrap();
            log.add(&second).unwrap();
        }
        log.finish(&Verdict { generator_bound: true, reasons: vec!["late".to_string()] }).unwrap();
        let text = String::from_utf8(out.clone()).unwrap();
        assert_eq!(text.matches("StartTime").count(), 1, "{text}");
        let entries = read(&out);
        let tags: Vec<&str> = entries.iter().map(|(tag, ..)| tag.as_str()).collect();
        assert_eq!(tags, ["response", "service", "lag", "response", "service", "lag"]);
        assert_eq!((entries[3].1, entries[3].2.len()), (1.0, 10));
        assert!(entries[3].2.equivalent(entries[3].2.max(), 10_000_000));
    }
}

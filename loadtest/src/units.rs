//! Durations and framings as people write them on a command line and in a profile.

use std::time::Duration;

use codecs::frame::{FrameFormat, LengthForm};

/// Reads a duration with its unit: `250ms`, `1.5s`, `80us`, `15m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{text}` is no duration: a number with ns, us, ms, s, m or h is")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no duration: no number in front"))?;
    Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| format!("`{text}` is too long"))
}

/// Reads a framing: `binary2`, `binary4`, `bcd2` or `ascii4`, then any of `inclusive`, `header=N`, `max=N`
/// and `keep_alive`, separated by commas.
pub fn framing(text: &str) -> Result<FrameFormat, String> {
    let mut parts = text.split(',').map(str::trim);
    let length = match parts.next().unwrap_or_default() {
        "binary2" => LengthForm::Binary2,
        "binary4" => LengthForm::Binary4,
        "bcd2" => LengthForm::Bcd2,
        "ascii4" => LengthForm::Ascii4,
        other => return Err(format!("`{other}` is no length form: binary2, binary4, bcd2 or ascii4 is")),
    };
    let mut format =
        FrameFormat { length, inclusive: false, header_bytes: 0, max_bytes: 4096, keep_alive: false };
    for part in parts {
        let (word, value) = part.split_once('=').unwrap_or((part, ""));
        let bad = |_| format!("`{part}`: `{value}` is no number that fits");
        match word {
            "inclusive" if value.is_empty() => format.inclusive = true,
            "keep_alive" if value.is_empty() => format.keep_alive = true,
            "header" => format.header_bytes = value.parse().map_err(bad)?,
            "max" => format.max_bytes = value.parse().map_err(bad)?,
            _ => return Err(format!("`{part}` is unknown: inclusive, header=N, max=N, keep_alive are")),
        }
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, micros) in
            [("250ms", 250_000), ("1.5s", 1_500_000), ("80us", 80), ("2m", 120_000_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "5", "ms", "1.2.3s", "-1s", "5 s", "1e400s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn framings() {
        let plain = framing("binary2").unwrap();
        assert_eq!((plain.length, plain.inclusive, plain.header_bytes), (LengthForm::Binary2, false, 0));
        let full = framing("ascii4, inclusive, header=5, max=999, keep_alive").unwrap();
        assert_eq!((full.length, full.inclusive, full.header_bytes), (LengthForm::Ascii4, true, 5));
        assert_eq!((full.max_bytes, full.keep_alive), (999, true));
        for text in ["", "binary3", "binary2,header", "binary2,header=256", "binary2,exclusive"] {
            assert!(framing(text).is_err(), "{text}");
        }
    }
}

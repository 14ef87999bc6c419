//! How the rate changes in the course of a run: straight pieces, in parts of the rate that was asked for.
//!
//! Planning needs the time at which the n-th message is due, so a shape is walked by the work done under it: the
//! messages due up to a moment. Knows nothing of messages, links or chance.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::SECOND_NS;
use crate::units;

/// A shape as it is written. Percentages are of the rate.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Shape {
    /// The rate, all the time.
    #[default]
    Constant,
    /// From one level to another, evenly: `ramp 10%..100%`.
    Ramp(f64, f64),
    /// Levels that last equally long: `steps 25%,50%,100%`.
    Steps(Vec<f64>),
    /// The rate, and another level for a while: `spike 500% at 10s for 2s`.
    Spike {
        /// The other level.
        level: f64,
        /// When it begins.
        at: Duration,
        /// How long it lasts.
        length: Duration,
    },
    /// Up to the rate, a long time at it, and down again: `soak 30s`, the time that up and down take.
    Soak(Duration),
    /// Straight from point to point: `curve 0s=20%,30s=100%,60s=40%`.
    Curve(Vec<(Duration, f64)>),
}

/// Levels above this are a slip of the pen.
const LEVEL_MAX: f64 = 1000.0;

/// One straight piece.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Piece {
    start_ns: f64,
    length_ns: f64,
    /// Messages a nanosecond at its beginning and end.
    from: f64,
    to: f64,
}

impl Piece {
    fn work(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.length_ns
    }

    /// The time into the piece by which `work` messages are due.
    fn time_of(&self, work: f64) -> f64 {
        let slope = (self.to - self.from) / self.length_ns;
        // The root of slope/2 t^2 + from t - work, in the form that does not cancel.
        let root = (self.from * self.from + 2.0 * slope * work).max(0.0).sqrt();
        if self.from + root > 0.0 { 2.0 * work / (self.from + root) } else { self.length_ns }
    }
}

/// Walks a shape from its beginning: how much work is done, and when.
#[derive(Clone, Debug)]
pub struct Walk {
    pieces: Vec<Piece>,
    /// The piece that was reached, and the work done before it.
    at: usize,
    done: f64,
}

impl Walk {
    /// A walk through `shape` at `rate` messages a second for `length_ns`.
    pub fn new(shape: &Shape, rate: f64, length_ns: u64) -> Walk {
        let per_ns = rate / SECOND_NS as f64;
        let points = shape.points(length_ns as f64);
        let pieces = points.windows(2).filter(|pair| pair[1].0 > pair[0].0).map(|pair| Piece {
            start_ns: pair[0].0,
            length_ns: pair[1].0 - pair[0].0,
            from: pair[0].1 * per_ns,
            to: pair[1].1 * per_ns,
        });
        Walk { pieces: pieces.collect(), at: 0, done: 0.0 }
    }

    /// When `work` messages are due, in nanoseconds; nothing when the shape does not have so many. Asked for
    /// rising values.
    #[inline]
    pub fn time_of(&mut self, work: f64) -> Option<f64> {
        loop {
            let piece = self.pieces.get(self.at)?;
            let rest = work - self.done;
            // A hair's breadth more, so that a whole number at the very end is not lost to rounding.
            if rest <= piece.work() + 1e-6 {
                return Some(piece.start_ns + piece.time_of(rest).min(piece.length_ns));
            }
            self.done += piece.work();
            self.at += 1;
        }
    }
}

impl Shape {
    /// The highest level, 1 being the rate.
    pub fn highest(&self) -> f64 {
        match self {
            Shape::Constant | Shape::Soak(_) => 1.0,
            Shape::Ramp(from, to) => from.max(*to),
            Shape::Steps(levels) => levels.iter().copied().fold(0.0, f64::max),
            Shape::Spike { level, .. } => level.max(1.0),
            Shape::Curve(points) => points.iter().map(|(_, level)| *level).fold(0.0, f64::max),
        }
    }

    /// The mean level over a run of this length.
    pub fn mean(&self, length: Duration) -> f64 {
        let length_ns = length.as_nanos() as f64;
        let points = self.points(length_ns);
        let area: f64 = points
            .windows(2)
            .map(|pair| {
                let [(from, low), (to, high)] = [pair[0], pair[1]];
                let end = to.min(length_ns);
                if to <= from || end <= from {
                    return 0.0;
                }
                let at_end = low + (high - low) * (end - from) / (to - from);
                (end - from) * (low + at_end) / 2.0
            })
            .sum();
        area / length_ns
    }

    /// Time in nanoseconds and level; between two points it goes straight, at equal times it jumps.
    fn points(&self, length_ns: f64) -> Vec<(f64, f64)> {
        let cut = |time: Duration| (time.as_nanos() as f64).min(length_ns);
        match self {
            Shape::Constant => vec![(0.0, 1.0), (length_ns, 1.0)],
            Shape::Ramp(from, to) => vec![(0.0, *from), (length_ns, *to)],
            Shape::Steps(levels) => {
                let step_ns = length_ns / levels.len() as f64;
                let ends = |(at, level): (usize, &f64)| {
                    [(at as f64 * step_ns, *level), ((at + 1) as f64 * step_ns, *level)]
                };
                levels.iter().enumerate().flat_map(ends).collect()
            }
            Shape::Spike { level, at, length } => {
                let (from, to) = (cut(*at), cut(*at + *length));
                vec![(0.0, 1.0), (from, 1.0), (from, *level), (to, *level), (to, 1.0), (length_ns, 1.0)]
            }
            Shape::Soak(slope) => {
                let slope_ns = (slope.as_nanos() as f64).min(length_ns / 2.0);
                vec![(0.0, 0.0), (slope_ns, 1.0), (length_ns - slope_ns, 1.0), (length_ns, 0.0)]
            }
            Shape::Curve(points) => {
                let mut all: Vec<(f64, f64)> =
                    points.iter().map(|(time, level)| (time.as_nanos() as f64, *level)).collect();
                let last = all.last().map_or(0.0, |point| point.1);
                all.insert(0, (0.0, all.first().map_or(0.0, |point| point.1)));
                all.push((length_ns.max(all.last().map_or(0.0, |point| point.0)), last));
                all
            }
        }
    }
}

fn level(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|digits| digits.trim().parse::<f64>().ok());
    match number.map(|percent| percent / 100.0) {
        Some(level) if (0.0..=LEVEL_MAX).contains(&level) => Ok(level),
        _ => Err(format!("`{text}` is no level: a percentage of the rate, for example 50%, is")),
    }
}

fn point(text: &str) -> Result<(Duration, f64), String> {
    let (time, at) = text.split_once('=').ok_or_else(|| format!("`{text}`: TIME=LEVEL is expected"))?;
    Ok((units::duration(time.trim())?, level(at)?))
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        let shape = match word {
            "constant" if rest.is_empty() => Shape::Constant,
            "ramp" => {
                let (from, to) =
                    rest.split_once("..").ok_or("`ramp FROM..TO`, for example `ramp 10%..100%`")?;
                Shape::Ramp(level(from)?, level(to)?)
            }
            "steps" => Shape::Steps(rest.split(',').map(level).collect::<Result<_, _>>()?),
            "spike" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
                [high, "at", at, "for", length] => Shape::Spike {
                    level: level(high)?,
                    at: units::duration(at)?,
                    length: units::duration(length)?,
                },
                _ => {
                    return Err(
                        "`spike LEVEL at TIME for TIME`, for example `spike 500% at 10s for 2s`".into()
                    );
                }
            },
            "soak" => Shape::Soak(units::duration(rest)?),
            "curve" => Shape::Curve(rest.split(',').map(point).collect::<Result<_, _>>()?),
            _ => {
                return Err(format!(
                    "`{text}` is no shape: constant, ramp, steps, spike, soak and curve are"
                ));
            }
        };
        if let Shape::Curve(points) = &shape
            && !points.is_sorted_by(|one, other| one.0 < other.0)
        {
            return Err(format!("`{text}`: the times of a curve rise"));
        }
        if shape.highest() <= 0.0 { Err(format!("`{text}` is nothing at all")) } else { Ok(shape) }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |level: &f64| format!("{}%", (level * 1e4).round() / 100.0);
        let list = |levels: &[f64]| levels.iter().map(percent).collect::<Vec<_>>().join(",");
        match self {
            Shape::Constant => f.write_str("constant"),
            Shape::Ramp(from, to) => write!(f, "ramp {}..{}", percent(from), percent(to)),
            Shape::Steps(levels) => write!(f, "steps {}", list(levels)),
            Shape::Spike { level, at, length } => {
                write!(f, "spike {} at {at:?} for {length:?}", percent(level))
            }
            Shape::Soak(slope) => write!(f, "soak {slope:?}"),
            Shape::Curve(points) => {
                let points = points.iter().map(|(time, level)| match time.is_zero() {
                    true => format!("0s={}", percent(level)),
                    false => format!("{time:?}={}", percent(level)),
                });
                write!(f, "curve {}", points.collect::<Vec<_>>().join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages due in each of the ten seconds at 1000 a second.
    fn seconds(shape: &str) -> Vec<usize> {
        let shape: Shape = shape.parse().unwrap();
        let mut walk = Walk::new(&shape, 1000.0, 10 * SECOND_NS);
        let mut counts = vec![0; 10];
        let mut last = 0.0;
        for number in 1.. {
            let Some(due_ns) = walk.time_of(f64::from(number)) else { break };
            assert!(due_ns >= last, "{shape}: {number}");
            last = due_ns;
            counts[((due_ns - 1.0).max(0.0) / SECOND_NS as f64) as usize] += 1;
        }
        counts
    }

    #[test]
    fn shapes_have_the_work_they_should() {
        for (shape, expected) in [
            ("constant", [1000; 10]),
            ("ramp 0%..100%", [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]),
            ("ramp 100%..0%", [950, 850, 750, 650, 550, 450, 350, 250, 150, 50]),
            ("steps 20%,50%", [200, 200, 200, 200, 200, 500, 500, 500, 500, 500]),
            ("steps 0%,100%", [0, 0, 0, 0, 0, 1000, 1000, 1000, 1000, 1000]),
            ("spike 500% at 3s for 1s", [1000, 1000, 1000, 5000, 1000, 1000, 1000, 1000, 1000, 1000]),
            ("soak 1s", [500, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 500]),
            ("curve 2s=20%,4s=100%", [200, 200, 400, 800, 1000, 1000, 1000, 1000, 1000, 1000]),
        ] {
            let seen = seconds(shape);
            assert!(
                seen.iter().zip(expected).all(|(seen, want)| seen.abs_diff(want) <= 1),
                "{shape}: {seen:?}"
            );
            let mean = shape.parse::<Shape>().unwrap().mean(Duration::from_secs(10));
            assert!((mean * 10_000.0 - expected.iter().sum::<usize>() as f64).abs() < 2.0, "{shape}: {mean}");
        }
        let cut: Shape = "curve 0s=0%,20s=100%".parse().unwrap();
        assert!((cut.mean(Duration::from_secs(10)) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn shapes_are_read_and_shown() {
        for text in [
            "constant",
            "ramp 10%..100%",
            "steps 25%,50%,100%",
            "spike 500% at 10s for 2s",
            "soak 30s",
            "curve 0s=20%,1.5s=40%",
        ] {
            assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
        }
        for text in ["", "ramp 1..2", "steps", "spike 500%", "curve 5s=1%,4s=2%", "steps 0%,0%", "saw 1%"] {
            assert!(text.parse::<Shape>().is_err(), "{text}");
        }
    }
}

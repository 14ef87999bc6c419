//! Lines that repeat. Whoever is at the other end of a link can make the switch say the same thing as often as it
//! likes, and a full disk stops payments. So of one kind of line about one peer a few may come at once, then one a
//! second; what is left out is told each second by its number.
//!
//! Never left out: lines below `info`, which somebody asked for, and those of payments that are followed.

use std::fmt::{Debug, Write as _};
use std::sync::LazyLock;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, callsite};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::registry::Registry;

/// Lines of one kind about one peer that may come at once: every connection of an acquirer, after a loss of the network.
const AT_ONCE: u32 = 64;

/// Where a line is written, and about whom: both are few.
type Kind = (callsite::Identifier, String);

/// Kinds of which there were lines in the last minute or so.
static KINDS: LazyLock<Registry<Kind, Lines>> = LazyLock::new(Registry::new);

/// Lines of one kind.
struct Lines {
    /// Written; one less each second.
    written: u32,
    /// Left out since it was last told.
    left_out: u64,
    message: String,
}

/// Leaves lines out.
pub(super) struct Repeats;

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_kept = |name| metadata.fields().field(name).is_some();
        *metadata.level() > Level::INFO || is_kept("trace") || is_kept("left_out") || may_be_written(event)
    }
}

fn may_be_written(event: &Event<'_>) -> bool {
    let mut line = Line::default();
    event.record(&mut line);
    let new = || Lines { written: 0, left_out: 0, message: line.message };
    let mut lines = KINDS.entry((event.metadata().callsite(), line.peer)).or_insert_with(new);
    if lines.written < AT_ONCE {
        lines.written += 1;
        return true;
    }
    lines.left_out += 1;
    false
}

/// A second has passed: tells what was left out in it.
pub(crate) fn second() {
    let mut told = Vec::new();
    KINDS.retain(|(_, peer), lines| {
        if lines.left_out > 0 {
            told.push((peer.clone(), lines.message.clone(), std::mem::take(&mut lines.left_out)));
        }
        lines.written -= 1;
        lines.written > 0
    });
    // Written when no part of the map is held: a line looks into it.
    for (peer, like, left_out) in told {
        let name = Some(&*peer).filter(|peer| !peer.is_empty());
        tracing::warn!(left_out, like, name, "lines were left out");
    }
}

/// What a line says, and about whom.
#[derive(Default)]
struct Line {
    message: String,
    peer: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let into = match field.name() {
            "message" => &mut self.message,
            "acquirer" | "issuer" | "name" => &mut self.peer,
            _ => return,
        };
        let _ = write!(into, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

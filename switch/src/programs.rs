//! Which program serves a card, and where its layout has things in a track: what the edge must know of
//! programs to read their messages.

use authorizer::iin_table::IinTable;
use authorizer::programs::ProgramId;
use authorizer::request::Presented;
use codecs::discretionary::{DynamicData, Layout};
use codecs::track::Track2;
use codecs::value::Pan;

use crate::config::{Config, Program};

/// Programs by card range.
#[derive(Default)]
pub struct Programs {
    by_iin: IinTable<ProgramId>,
    layouts: Vec<Layout>,
}

impl Programs {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let rows = (0_u16..)
            .zip(&config.programs)
            .flat_map(|(id, program)| program.iins.iter().map(move |iin| (*iin, ProgramId(id))));
        Self {
            by_iin: IinTable::new(rows.collect()),
            layouts: config.programs.iter().map(|program: &Program| program.layout).collect(),
        }
    }

    /// The program that serves a card.
    pub fn of(&self, pan: &Pan) -> Option<ProgramId> {
        if self.layouts.is_empty() { None } else { self.by_iin.route(pan).copied() }
    }

    /// What a track presents to a program. The code stays where it is.
    pub fn presented(&self, program: ProgramId, track: Option<&Track2>) -> Presented {
        let Some(track) = track else { return Presented::Nothing };
        // The defined form of "no code": all zeros, in a layout's length.
        if is_absent(self.layout(program), track.discretionary()) {
            return Presented::Absent;
        }
        let Some(data) = self.read(program, track) else { return Presented::Broken };
        let label = if data.atc.is_empty() { data.reference } else { data.atc };
        u16::try_from(label.number()).map_or(Presented::Broken, Presented::Label)
    }

    /// Everything that a track says in a program's layout.
    pub fn read(&self, program: ProgramId, track: &Track2) -> Option<DynamicData> {
        self.layout(program)?.extract(track.discretionary()).ok()
    }

    fn layout(&self, program: ProgramId) -> Option<&Layout> {
        self.layouts.get(usize::from(program.0))
    }
}

fn is_absent(layout: Option<&Layout>, discretionary: &[u8]) -> bool {
    let Some(Layout::Fixed { len, .. }) = layout else { return false };
    discretionary.len() == usize::from(*len) && discretionary.iter().all(|digit| *digit == b'0')
}

//! The quick way over a message: most messages of a neighbour have the same elements, and everything that follows from these
//! and the dialect is worked out once.
//!
//! A [`Plan`] belongs to one set of elements in one dialect. Elements of fixed length lie where their neighbour ends, so their
//! places are known but for one number; what is left to do for each message is to read the length prefixes and to check the
//! content. A message that the plan cannot vouch for is walked over with care, which alone says what is wrong.
//!
//! A message that is as long as one before it too, element by element, has not even that left to do: see [`mould`](super::mould).

use core::fmt;

use super::Dialect;
use super::mould::Moulds;
use super::stride::{Form, Stride};
use crate::error::ParseError;
use crate::iso8583::index::{Place, Span, position};
use crate::iso8583::{De, DeSet, Index};
use crate::reader::Reader;
use crate::text::{self, Repertoire};

/// Plans for the sets of elements that were met last, of any number of dialects, and moulds of whole messages. About 200 KiB:
/// one for each thread that reads messages.
pub struct Plans {
    plans: [Plan; PLANS],
    moulds: Moulds,
}

/// Enough for the requests, reversals and answers of a few neighbours; sets that meet in one place take turns.
const PLANS: usize = 16;

/// Groups of a plan. A set of elements with more has no plan.
const GROUPS: usize = 40;

struct Plan {
    /// Whose elements these are: [`Dialect::likeness`].
    likeness: u64,
    announced: DeSet,
    groups: [Group; GROUPS],
    used: usize,
    /// The elements of fixed length, and where they lie, counted from the end of what is in front of their group's.
    places: [(De, Span); 128],
}

/// At most one element whose length must be read, then some whose lengths are known.
#[derive(Clone, Copy)]
struct Group {
    /// The element with a length prefix, and what is to be known of it.
    head: Option<(De, Stride)>,
    /// The others in `places`, and the bytes they have together.
    first: u8,
    end: u8,
    bytes: u16,
    /// What is checked together begins with its first value.
    begins_run: bool,
    /// And ends with it, if it has this content.
    ends_run: Option<Repertoire>,
    /// Its only element is padded or signed, and checked by itself.
    is_alone: bool,
}

impl Plans {
    /// No plan yet.
    pub const fn new() -> Plans {
        Plans { plans: [const { Plan::NONE }; PLANS], moulds: Moulds::NONE }
    }

    /// Does what [`Dialect::parse`] does, quicker where a message has the elements of one before it.
    ///
    /// # Errors
    /// The same.
    #[inline]
    pub fn parse(&mut self, dialect: &Dialect, bytes: &[u8], index: &mut Index) -> Result<(), ParseError> {
        match self.moulds.fill(dialect, bytes, index) {
            Some(()) => Ok(()),
            None => self.parse_anew(dialect, bytes, index),
        }
    }

    /// A message of a shape that was not met lately.
    #[inline(never)]
    fn parse_anew(&mut self, dialect: &Dialect, bytes: &[u8], index: &mut Index) -> Result<(), ParseError> {
        if self.quick(dialect, bytes, index).is_none() {
            self.learn(dialect, bytes, index)?;
        }
        self.moulds.keep(dialect, bytes, index);
        Ok(())
    }

    #[inline(always)]
    fn quick(&mut self, dialect: &Dialect, bytes: &[u8], index: &mut Index) -> Option<()> {
        index.end = u16::try_from(bytes.len()).ok()?;
        let mut reader = Reader::new(bytes, 0);
        if !matches!(dialect.message_type(&mut reader, index), Ok(None)) {
            return None;
        }
        let announced = dialect.bitmaps(&mut reader).ok()?;
        let plan = self.of(dialect, announced)?;
        if plan.likeness != dialect.likeness || plan.announced != announced {
            return None;
        }
        plan.follow(dialect, bytes, reader.at(), index)?;
        index.present = announced;
        index.is_whole = true;
        Some(())
    }

    /// The careful way. What it found sound gets a plan.
    #[inline(never)]
    fn learn(&mut self, dialect: &Dialect, bytes: &[u8], index: &mut Index) -> Result<(), ParseError> {
        dialect.parse(bytes, index)?;
        if let Some(plan) = self.of(dialect, index.present) {
            plan.make(dialect, index.present);
        }
        Ok(())
    }

    #[inline(always)]
    fn of(&mut self, dialect: &Dialect, announced: DeSet) -> Option<&mut Plan> {
        let [low, high] = announced.halves();
        // Fibonacci hashing: the high bits of the product depend on all of the factor's.
        let mixed = (low ^ high.rotate_left(32) ^ dialect.likeness).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let [.., top] = mixed.to_le_bytes();
        self.plans.get_mut(usize::from(top >> 4))
    }
}

impl Default for Plans {
    fn default() -> Plans {
        Plans::new()
    }
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans").finish_non_exhaustive()
    }
}

impl Plan {
    const NONE: Plan = Plan {
        likeness: 0,
        announced: DeSet::EMPTY,
        groups: [Group::EMPTY; GROUPS],
        used: 0,
        places: [(De::MTI, Span::NOWHERE); 128],
    };

    /// Fills the index with the elements from the offset `at` on; nothing where the message is not sound, or not certainly.
    #[inline(always)]
    fn follow(&self, dialect: &Dialect, bytes: &[u8], mut at: usize, index: &mut Index) -> Option<()> {
        let mut run = at;
        for group in self.groups.get(..self.used)? {
            let start = at;
            let mut value = at;
            let mut units = 0;
            if let Some((de, stride)) = group.head {
                (value, units) = dialect.units(bytes, de, stride, at).ok()?;
                at = value.wrapping_add(usize::from(stride.bytes_of(units)));
                index.put(Place::of(de), Span::new(start, value, at, units));
            }
            if group.begins_run {
                run = value;
            }
            let end = at.wrapping_add(usize::from(group.bytes));
            if end > bytes.len() {
                return None;
            }
            for (de, place) in self.places.get(usize::from(group.first)..usize::from(group.end))? {
                index.put(Place::of(*de), place.moved_by(position(at)));
            }
            at = end;
            if group.is_alone && !group.is_sound(self, dialect, bytes.get(value..end)?, units) {
                return None;
            }
            if group.ends_run.is_some_and(|content| !bytes.get(run..end).is_some_and(|run| content.has(run)))
            {
                return None;
            }
        }
        (at == bytes.len()).then_some(())
    }

    /// Plans the elements of a set, all of which the dialect has.
    #[inline(never)]
    fn make(&mut self, dialect: &Dialect, announced: DeSet) {
        self.announced = DeSet::EMPTY;
        self.likeness = dialect.likeness;
        self.used = 0;
        let mut placed = 0_u8;
        let mut run: Option<Repertoire> = None;
        for de in announced {
            let stride = dialect.strides.over(de.number());
            let is_alone = stride.is_alone();
            let joins =
                !is_alone && run == Some(stride.content) && (stride.has_joint || stride.form == Form::Fixed);
            let head = if stride.form == Form::Fixed { None } else { Some((de, stride)) };
            if !joins {
                self.end_run(run.take());
            }
            if head.is_some() || !joins {
                let Some(group) = self.groups.get_mut(self.used) else { return };
                let begins_run = !joins && !is_alone;
                *group = Group { head, first: placed, end: placed, begins_run, is_alone, ..Group::EMPTY };
                self.used = self.used.wrapping_add(1);
            }
            run = if is_alone { None } else { Some(stride.content) };
            let (None, Some(group)) = (head, self.last_group()) else { continue };
            let start = usize::from(group.bytes);
            let end = start.saturating_add(usize::from(stride.bytes));
            group.bytes = position(end);
            group.end = placed.wrapping_add(1);
            if let Some(place) = self.places.get_mut(usize::from(placed)) {
                *place = (de, Span::new(start, start, end, stride.units));
            }
            placed = placed.wrapping_add(1);
        }
        self.end_run(run);
        self.announced = announced;
    }

    fn end_run(&mut self, run: Option<Repertoire>) {
        // Every byte is good where any is.
        let checked = run.filter(|content| *content != Repertoire::Any);
        if let (Some(content), Some(group)) = (checked, self.last_group()) {
            group.ends_run = Some(content);
        }
    }

    fn last_group(&mut self) -> Option<&mut Group> {
        self.groups.get_mut(self.used.checked_sub(1)?)
    }
}

impl Group {
    const EMPTY: Group =
        Group { head: None, first: 0, end: 0, bytes: 0, begins_run: false, ends_run: None, is_alone: false };

    /// Whether the only element is what it should be.
    #[inline(never)]
    fn is_sound(&self, plan: &Plan, dialect: &Dialect, value: &[u8], units: u16) -> bool {
        let fixed = || plan.places.get(usize::from(self.first)).map(|(de, place)| (*de, place.units()));
        let element = self.head.map(|(de, _)| (de, units)).or_else(fixed);
        element.is_some_and(|(de, units)| {
            dialect.field(de).is_some_and(|spec| text::is_sound(spec, value, units))
        })
    }
}

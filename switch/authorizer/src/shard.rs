//! The turn: everything that came is decided, the facts are made durable, then what follows from them is
//! seen. This is all the threading there is: one thread, one authorizer, no lock.
//!
//! Batching falls out. One turn makes one journal write, one submission to the token, one write per link,
//! however many messages it decided.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::cards::Refused;
use crate::effect::Effects;
use crate::event::Event;
use crate::planted::Planted;
use crate::ports::{Ports, Position};
use crate::provision::{Asker, Told};
use crate::{AHEAD, Authorizer, Effect};

/// One shard of the switch.
pub struct Shard {
    authorizer: Authorizer,
    events: Vec<Event>,
    effects: Effects,
    /// Visible effects and the position the journal must have passed before they may be performed.
    held: VecDeque<(Position, Effect)>,
    /// The same for those who changed cards or were told of what is stored.
    told: VecDeque<(Position, Asker, Result<Told, Refused>)>,
}

impl Shard {
    /// A shard that has not turned yet.
    pub fn new(authorizer: Authorizer) -> Self {
        Self {
            authorizer,
            events: Vec::new(),
            effects: Effects::default(),
            held: VecDeque::new(),
            told: VecDeque::new(),
        }
    }

    /// Decides everything that has happened, and lets out what may be seen.
    pub fn turn(&mut self, ports: &mut impl Ports) {
        let now = ports.now();
        ports.take(&mut self.events);
        for (nth, event) in self.events.iter().enumerate() {
            for (later, after) in self.events.iter().skip(nth.saturating_add(1)).zip(1..=AHEAD) {
                self.authorizer.expect(later, after);
            }
            self.authorizer.step(event, now, &mut self.effects);
        }
        self.events.clear();
        self.authorizer.step(&Event::Tick, now, &mut self.effects);

        for effect in self.effects.free.drain(..) {
            ports.perform(effect);
        }
        ports.submit();
        let position = ports.append(&self.effects.facts);
        self.effects.facts.clear();
        self.told.extend(self.effects.told.drain(..).map(|(asker, told)| (position, asker, told)));
        let durable = match self.authorizer.has_planted(Planted::SeenBeforeDurable) {
            true => Position::MAX,
            false => ports.durable_up_to(),
        };
        while let Some((_, effect)) = self.held.pop_front_if(|(position, _)| *position <= durable) {
            ports.perform(effect);
        }
        // Whatever is still held was decided before, and has a lower position or the same.
        if position <= durable {
            self.effects.visible.drain(..).for_each(|effect| ports.perform(effect));
        } else {
            self.held.extend(self.effects.visible.drain(..).map(|effect| (position, effect)));
        }
        while let Some((_, asker, told)) = self.told.pop_front_if(|(position, ..)| *position <= durable) {
            ports.tell(asker, told);
        }
    }

    /// Whether something was decided that may not be seen yet.
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty() || !self.told.is_empty()
    }

    /// The authorizer, to be read.
    pub fn authorizer(&self) -> &Authorizer {
        &self.authorizer
    }
}

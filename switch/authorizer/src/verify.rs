//! A request of a program's card: what must be proven first, and what the token's answer leads to.
//!
//! While the token is asked the request waits here, under a deadline of its own, and a repeat joins it. What
//! the token says late is for nobody. Only a right code goes on; a token that cannot say is a decline that
//! uses nothing up and counts nothing.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Authorizer;
use crate::counters::{add_at, add_one};
use crate::decision::DeclineReason;
use crate::effect::{Effect, Effects};
use crate::event::Now;
use crate::fact::Fact;
use crate::intake::entry_of;
use crate::memory::State;
use crate::planted::{Planted, is_planted};
use crate::programs::{Need, ProgramId, Question};
use crate::request::Request;

/// Names a request that waits for the token. A place is used again, a serial number is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProofId {
    place: u32,
    serial: u32,
}

/// What the token says of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the right one.
    Right,
    /// It is the right one of this ATC, of those that were asked about.
    RightFor(u16),
    /// It is not.
    Wrong,
    /// The token did not say.
    Unknown,
}

/// A request that waits for the token.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The request; ticket and link are those of its newest copy.
    pub request: Request,
    /// Which program asks.
    pub program: ProgramId,
    /// What.
    pub question: Question,
    /// The request's place in the memory of identities.
    pub memory: u32,
    /// When the token was asked, monotonic microseconds.
    pub asked_us: u64,
    /// It is declined for this, and only waits for its time: how long a decline takes must not tell why.
    pub verdict: Option<DeclineReason>,
    serial: u32,
}

/// The requests that wait for the token: a slab, and their deadlines in order, for all wait equally long. And those
/// that wait for the time at which they are declined.
#[derive(Debug, Default)]
pub struct Proofs {
    slots: Vec<Option<Proof>>,
    free: Vec<u32>,
    due: VecDeque<(u64, ProofId)>,
    held: VecDeque<(u64, ProofId)>,
    serial: u32,
    waiting: usize,
    holding: usize,
}

impl Proofs {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.saturating_add(self.holding)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait for the token.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, id: ProofId) -> Option<&Proof> {
        let slot = self.slots.get(usize::try_from(id.place).ok()?)?;
        slot.as_ref().filter(|proof| proof.serial == id.serial)
    }

    /// The one of this name, to be changed.
    pub fn get_mut(&mut self, id: ProofId) -> Option<&mut Proof> {
        let slot = self.slots.get_mut(usize::try_from(id.place).ok()?)?;
        slot.as_mut().filter(|proof| proof.serial == id.serial)
    }

    /// When the next one falls due, monotonic microseconds. It may have ended meanwhile.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        self.due.front().into_iter().chain(self.held.front()).map(|(due_us, _)| *due_us).min()
    }

    fn next_id(&mut self) -> ProofId {
        self.serial = self.serial.wrapping_add(1);
        let fresh = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        ProofId { place: self.free.last().copied().unwrap_or(fresh), serial: self.serial }
    }

    fn insert(&mut self, id: ProofId, due_us: u64, proof: Proof) {
        if proof.verdict.is_none() {
            self.waiting = self.waiting.saturating_add(1);
            self.due.push_back((due_us, id));
        } else {
            self.holding = self.holding.saturating_add(1);
            // One whose token took a while is put before those that needed none.
            let later = self.held.iter().rev().take_while(|(other_us, _)| *other_us > due_us).count();
            self.held.insert(self.held.len().saturating_sub(later), (due_us, id));
        }
        match self.free.pop().and_then(|place| self.slots.get_mut(usize::try_from(place).ok()?)) {
            Some(slot) => *slot = Some(proof),
            None => self.slots.push(Some(proof)),
        }
    }

    fn remove(&mut self, id: ProofId) -> Option<Proof> {
        self.get_mut(id)?;
        let proof = self.slots.get_mut(usize::try_from(id.place).ok()?)?.take();
        self.free.push(id.place);
        if proof.as_ref().is_some_and(|proof| proof.verdict.is_some()) {
            self.holding = self.holding.saturating_sub(1);
            return proof;
        }
        self.waiting = self.waiting.saturating_sub(1);
        while self.due.front().is_some_and(|(_, id)| self.is_over(*id)) {
            self.due.pop_front();
        }
        proof
    }

    fn is_over(&self, id: ProofId) -> bool {
        let slot = usize::try_from(id.place).ok().and_then(|place| self.slots.get(place));
        slot.is_none_or(|slot| slot.as_ref().is_none_or(|proof| proof.serial != id.serial))
    }

    /// Takes one that is to be declined by now.
    fn take_held(&mut self, now_us: u64) -> Option<Proof> {
        while let Some((_, id)) = self.held.pop_front_if(|(due_us, _)| *due_us <= now_us) {
            // Some were undone meanwhile.
            if let Some(proof) = self.remove(id) {
                return Some(proof);
            }
        }
        None
    }

    fn due(&self, now_us: u64) -> Option<ProofId> {
        self.due.front().filter(|(due_us, _)| *due_us < now_us).map(|(_, id)| *id)
    }
}

impl Authorizer {
    /// A new request of a card that a program serves: asks the token, goes on without, or declines.
    pub(crate) fn prove(&mut self, request: &Request, program: ProgramId, now: Now, out: &mut Effects) {
        let Some(pan) = request.pan else {
            return self.declined(request, DeclineReason::FormatError, now, out);
        };
        let Some(card) = self.cards.get(request.account, &pan) else {
            // Whether a number was enrolled is told by time no more than the rest.
            return self.refuse(request, program, DeclineReason::UnknownCard, now, out);
        };
        let Some(settings) = self.tables.programs.get(usize::from(program.0)) else {
            return self.declined(request, DeclineReason::NoRoute, now, out);
        };
        let funding = card.funding;
        match settings.as_program().questions(request, card, now.monotonic_us) {
            Need::Nothing => self.forward(request, funding, None, now, out),
            Need::Proof(question) => self.ask(request, program, question, now, out),
            Need::Decline(reason) => self.refuse(request, program, reason, now, out),
            Need::DeclineAndChallenge(reason) => {
                out.free.push(Effect::Challenge { program, account: request.account, pan });
                self.refuse(request, program, reason, now, out);
            }
        }
    }

    /// Declines without the token, when a decline with it would be told.
    fn refuse(
        &mut self,
        request: &Request,
        program: ProgramId,
        reason: DeclineReason,
        now: Now,
        out: &mut Effects,
    ) {
        if self.tables.decline_floor_us == 0 {
            return self.declined(request, reason, now, out);
        }
        let id = self.proofs.next_id();
        let Ok(memory) = self.memory.insert(entry_of(request, State::Proving(id), now)) else {
            return self.declined_stateless(request, DeclineReason::Overloaded, out);
        };
        let (request, question, asked_us) = (request.clone(), Question::NONE, now.monotonic_us);
        let verdict = Some(reason);
        let proof = Proof { request, program, question, memory, asked_us, verdict, serial: id.serial };
        self.proofs.insert(id, asked_us.saturating_add(self.tables.decline_floor_us), proof);
    }

    /// Declines what the token was asked about: not before the time at which every decline is told.
    fn refuse_judged(&mut self, proof: Proof, reason: DeclineReason, now: Now, out: &mut Effects) {
        let due_us = proof.asked_us.saturating_add(self.tables.decline_floor_us);
        if due_us <= now.monotonic_us {
            return self.declined_known(&proof.request, Some(proof.memory), reason, now, out);
        }
        let id = self.proofs.next_id();
        self.memory.conclude(proof.memory, State::Proving(id));
        self.proofs.insert(id, due_us, Proof { verdict: Some(reason), serial: id.serial, ..proof });
    }

    fn ask(
        &mut self,
        request: &Request,
        program: ProgramId,
        question: Question,
        now: Now,
        out: &mut Effects,
    ) {
        let id = self.proofs.next_id();
        let Ok(memory) = self.memory.insert(entry_of(request, State::Proving(id), now)) else {
            return self.declined_stateless(request, DeclineReason::Overloaded, out);
        };
        let due_us = now.monotonic_us.saturating_add(self.tables.proof_timeout_us);
        let proof = Proof {
            request: request.clone(),
            program,
            question,
            memory,
            asked_us: now.monotonic_us,
            verdict: None,
            serial: id.serial,
        };
        self.proofs.insert(id, due_us, proof);
        self.counters.program(program, |counters| add_one(&mut counters.asked));
        out.free.push(Effect::Ask { proof: id, ticket: request.ticket, program, question });
    }

    /// The token said something about a code.
    pub(crate) fn judged(&mut self, id: ProofId, judgement: Judgement, now: Now, out: &mut Effects) {
        let Some(mut proof) = self.proofs.remove(id) else { return };
        let waited_us = now.monotonic_us.saturating_sub(proof.asked_us);
        self.counters.program(proof.program, |counters| counters.waits.observe(waited_us));
        let judgement = self.misheard(&proof, judgement);
        // What the token cannot have found is not believed.
        let Some((question, is_right)) = proof.question.settled(judgement) else {
            return self.unproven(&proof, now, out);
        };
        proof.question = question;
        self.counters.program(proof.program, |counters| {
            add_one(if is_right { &mut counters.right } else { &mut counters.wrong });
        });
        match self.claimed(&proof, is_right, now) {
            Ok(()) => {
                out.facts.push(judged_fact(&proof, true));
                let funding = self.funding_of(&proof.request);
                self.forward(&proof.request, funding, Some(proof.memory), now, out);
            }
            Err(reason) => {
                if reason.is_wrong_code() {
                    out.facts.push(judged_fact(&proof, false));
                }
                self.refuse_judged(proof, reason, now, out);
            }
        }
    }

    /// What the token says, by a switch with a mistake.
    fn misheard(&mut self, proof: &Proof, said: Judgement) -> Judgement {
        let asked = match &proof.question {
            Question::CardCode { atcs, .. } => atcs.as_slice(),
            _ => &[],
        };
        match said {
            Judgement::Wrong if self.has_planted(Planted::WrongCodePasses) => Judgement::Right,
            Judgement::Unknown if self.has_planted(Planted::UnknownPasses) => Judgement::Right,
            Judgement::RightFor(atc) if self.has_planted(Planted::LastCounterUsed) => {
                Judgement::RightFor(asked.last().copied().unwrap_or(atc))
            }
            Judgement::Wrong if self.has_planted(Planted::WrongCodeMoves) => {
                let card = proof.request.pan.and_then(|pan| self.cards.get_mut(proof.request.account, &pan));
                if let (Some(card), Some(atc)) = (card, asked.last()) {
                    card.window.claim(*atc);
                }
                said
            }
            said => said,
        }
    }

    fn claimed(&mut self, proof: &Proof, is_right: bool, now: Now) -> Result<(), DeclineReason> {
        let program = self.tables.programs.get(usize::from(proof.program.0));
        let pan = proof.request.pan.ok_or(DeclineReason::FormatError)?;
        if is_right && is_planted(&self.tables, Planted::CodeNotClaimed) {
            return Ok(());
        }
        let card = self.cards.get_mut(proof.request.account, &pan);
        let (program, card) = program.zip(card).ok_or(DeclineReason::UnknownCard)?;
        program.as_program().judged(&proof.question, is_right, card, now.monotonic_us)
    }

    fn funding_of(&self, request: &Request) -> Option<crate::cards::Funding> {
        self.cards.get(request.account, request.pan.as_ref()?)?.funding
    }

    /// The acquirer undid a request that waits for the token: what the token says is for nobody. The raw message of
    /// its newest copy.
    pub(crate) fn proof_cancelled(&mut self, id: ProofId) -> Option<crate::event::Ticket> {
        self.proofs.remove(id).map(|proof| proof.request.ticket)
    }

    fn unproven(&mut self, proof: &Proof, now: Now, out: &mut Effects) {
        self.counters.program(proof.program, |counters| add_one(&mut counters.unknown));
        self.declined_known(&proof.request, Some(proof.memory), DeclineReason::TokenUnavailable, now, out);
    }

    /// Requests that the token did not answer in time, and those whose time to be declined has come.
    pub(crate) fn proofs_expired(&mut self, now_us: u64, now: Now, out: &mut Effects) {
        while let Some(Proof { request, memory, verdict: Some(reason), .. }) = self.proofs.take_held(now_us) {
            self.declined_known(&request, Some(memory), reason, now, out);
        }
        while let Some(id) = self.proofs.due(now_us) {
            let Some(proof) = self.proofs.remove(id) else { break };
            self.unproven(&proof, now, out);
        }
    }

    /// Counts a decline of a program's card by its reason, which DE 39 does not tell.
    pub(crate) fn count_program_decline(&mut self, request: &Request, reason: DeclineReason) {
        if let Some(program) = request.program {
            self.counters.program(program, |counters| add_at(&mut counters.declined, reason.index()));
        }
    }
}

fn judged_fact(proof: &Proof, is_right: bool) -> Fact {
    Fact::Judged {
        identity: proof.request.identity,
        account: proof.request.account,
        program: proof.program,
        question: proof.question,
        is_right,
    }
}

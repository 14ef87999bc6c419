//! Names of the configuration have numbers in facts. What was written down under one numbering is read under another.

use authorizer::event::{AcquirerId, IssuerId};
use authorizer::fact::Fact;
use authorizer::programs::ProgramId;
use authorizer::saf::{Reversal, Stored};
use authorizer::snapshot::Piece;
use authorizer::transaction::Sent;

use super::Fault;
use super::segment::Names;

/// A program that is no more.
const NO_PROGRAM: ProgramId = ProgramId(u16::MAX);

/// Turns the numbers that names had when a fact was written into those they have now.
pub(super) struct Renumber<'a> {
    now: &'a Names,
    /// The first name that is gone although something depends on it.
    missing: Option<String>,
}

impl<'a> Renumber<'a> {
    pub(super) fn new(now: &'a Names) -> Self {
        Self { now, missing: None }
    }

    /// The fact under today's numbers; `None` where nothing depends on it any more.
    pub(super) fn fact(&mut self, mut fact: Fact, then: &Names) -> Option<Fact> {
        if then == self.now {
            return Some(fact);
        }
        match &mut fact {
            Fact::Intent(sent) => self.sent(sent, then)?,
            Fact::Advised(advice) => self.sent(&mut advice.sent, then)?,
            Fact::Timeout { undo, .. } | Fact::Reversed { undo, .. } => {
                self.undo(undo.as_deref_mut(), then)?
            }
            Fact::Result { .. } | Fact::Provisioned(_) => {}
            Fact::Tombstone { acquirer, .. } => self.acquirer(acquirer, then)?,
            Fact::ReversalDone { issuer, .. }
            | Fact::ReversalParked { issuer, .. }
            | Fact::ReversalReleased { issuer, .. } => self.issuer(issuer, then)?,
            Fact::Declined { asked, .. } => self.acquirer(&mut asked.acquirer, then)?,
            // What was used stays used, and what was wrong stays counted, also where the program is gone, or has another name.
            Fact::Judged { program, .. } => {
                let name = then.programs.get(usize::from(program.0));
                let place = name.and_then(|name| self.now.programs.iter().position(|known| known == name));
                *program = place.map_or(NO_PROGRAM, |place| ProgramId(place as u16));
            }
            Fact::Late { issuer, undo, .. } => {
                self.issuer(issuer, then)?;
                self.undo(undo.as_deref_mut(), then)?;
            }
        }
        Some(fact)
    }

    /// The piece under today's numbers; `None` where nothing depends on it any more.
    pub(super) fn piece(&mut self, mut piece: Piece, then: &Names) -> Option<Piece> {
        if then == self.now {
            return Some(piece);
        }
        match &mut piece {
            // An issuer that is gone needs no numbers.
            Piece::Newest(issuer, _) => {
                let name = then.issuers.get(issuer.index())?;
                *issuer = IssuerId(self.now.issuers.iter().position(|known| known == name)? as u16);
            }
            Piece::Remembered(entry, _) => {
                entry.sent.as_mut().map_or(Some(()), |sent| self.sent(sent, then))?
            }
            Piece::Stored(waiting) => match &mut waiting.message {
                Stored::Reversal(reversal) => self.sent(&mut reversal.sent, then)?,
                Stored::Advice(advice) => self.sent(&mut advice.sent, then)?,
            },
            // What was approved for an issuer that is gone counts for nothing.
            Piece::StoodIn(issuer, ..) => {
                let name = then.issuers.get(issuer.index())?;
                *issuer = IssuerId(self.now.issuers.iter().position(|known| known == name)? as u16);
            }
            Piece::Card(..) => {}
        }
        Some(piece)
    }

    fn sent(&mut self, sent: &mut Sent, then: &Names) -> Option<()> {
        self.issuer(&mut sent.to.issuer, then)?;
        self.acquirer(&mut sent.asked.acquirer, then)
    }

    fn undo(&mut self, undo: Option<&mut Reversal>, then: &Names) -> Option<()> {
        undo.map_or(Some(()), |reversal| self.sent(&mut reversal.sent, then))
    }

    fn issuer(&mut self, issuer: &mut IssuerId, then: &Names) -> Option<()> {
        *issuer = IssuerId(self.number(&then.issuers, issuer.index(), |names| &names.issuers)?);
        Some(())
    }

    fn acquirer(&mut self, acquirer: &mut AcquirerId, then: &Names) -> Option<()> {
        *acquirer = AcquirerId(self.number(&then.acquirers, acquirer.index(), |names| &names.acquirers)?);
        Some(())
    }

    fn number(&mut self, then: &[String], index: usize, of: fn(&Names) -> &Vec<String>) -> Option<u16> {
        let name = then.get(index)?;
        let place = of(self.now).iter().position(|known| known == name);
        if place.is_none() && self.missing.is_none() {
            self.missing = Some(name.clone());
        }
        place.map(|place| place as u16)
    }

    pub(super) fn insist(self) -> Result<(), Fault> {
        match self.missing {
            None => Ok(()),
            Some(name) => Err(Fault::Config(format!(
                "the journal has payments of {name:?}, which the configuration does not name any more; \
                 keep it without links until its journal is archived"
            ))),
        }
    }
}

//! What the decisions are made from: acquirers, issuers and routes. Swapped whole, never edited.

use alloc::vec::Vec;

use codecs::value::ResponseCode;

use crate::decision::{CodeSet, DeclineReason};
use crate::event::AcquirerId;
use crate::iin_table::IinTable;
use crate::programs::{CardProgram, ProgramId, Question};
use crate::rights::Rights;
use crate::saf::Retry;
use crate::stand_in::StandIn;

/// Everything configured that a decision depends on.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By [`AcquirerId`].
    pub acquirers: Vec<Acquirer>,
    /// By [`crate::event::IssuerId`].
    pub issuers: Vec<Issuer>,
    /// Card ranges to issuers.
    pub iins: IinTable,
    /// The DE 39 values of an issuer that count as an approval; every other one is a decline.
    pub approval_codes: Vec<ResponseCode>,
    /// By [`crate::programs::ProgramId`].
    pub programs: Vec<CardProgram>,
    /// How long a request waits for the token, microseconds.
    pub proof_timeout_us: u64,
    /// A decline that the state of a program's card or its code caused is told this long after the request came, not
    /// sooner, microseconds; 0: at once.
    pub decline_floor_us: u64,
    /// Facts are kept: what is promised can be kept too, such as a reversal.
    pub has_journal: bool,
    /// How long a reversal waits before it is sent again.
    pub retry: Retry,
    /// A mistake that the tests must find; looked at only with the feature `planted`.
    pub planted: Option<crate::planted::Planted>,
}

/// A principal that sends requests.
#[derive(Clone, Debug)]
pub struct Acquirer {
    /// What it may use.
    pub rights: Rights,
    /// It takes an approval of a part of what it asked for.
    pub takes_parts: bool,
    /// Which list its DE 39 is from.
    pub codes: CodeSet,
    /// Rows of the response-code table that are different for it.
    pub overrides: Vec<(DeclineReason, ResponseCode)>,
}

/// A principal that answers for cards.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// From the receipt of a request to the end of waiting for this issuer, microseconds.
    pub timeout_us: u64,
    /// Requests in flight per link, over all shards.
    pub window: u32,
    /// How many links are configured.
    pub links: u16,
    /// What was agreed on for the time when it cannot be asked, if anything was.
    pub stand_in: Option<StandIn>,
}

impl Tables {
    /// DE 39 of a decline made here, as this acquirer wants it.
    #[must_use]
    pub fn response_code(&self, acquirer: AcquirerId, reason: DeclineReason) -> ResponseCode {
        let Some(acquirer) = self.acquirers.get(acquirer.index()) else {
            return reason.code(CodeSet::Response1987);
        };
        let own = acquirer.overrides.iter().find(|(of, _)| *of == reason);
        own.map_or_else(|| reason.code(acquirer.codes), |(_, code)| *code)
    }

    /// Which list the acquirer's DE 39 is from.
    #[must_use]
    pub fn code_set(&self, acquirer: AcquirerId) -> CodeSet {
        self.acquirers.get(acquirer.index()).map_or(CodeSet::Response1987, |acquirer| acquirer.codes)
    }

    /// Whether an acquirer takes an approval of a part of what it asked for.
    #[must_use]
    pub fn takes_parts(&self, acquirer: AcquirerId) -> bool {
        self.acquirers.get(acquirer.index()).is_some_and(|acquirer| acquirer.takes_parts)
    }

    /// By whose limits a wrong code of an earlier process counts: those of its program. Where that has another name now, or
    /// is no more, the strictest of those that ask such questions: a name must not give tries back.
    #[must_use]
    pub fn program_counting(&self, program: ProgramId, question: &Question) -> Option<&CardProgram> {
        let asks = |program: &&CardProgram| program.asks(question);
        let strictest = || self.programs.iter().filter(asks).min_by_key(|program| program.tries());
        self.programs.get(usize::from(program.0)).filter(asks).or_else(strictest)
    }

    /// Whether an issuer's DE 39 counts as an approval.
    #[must_use]
    pub fn is_approval(&self, code: ResponseCode) -> bool {
        self.approval_codes.contains(&code)
    }

    /// Whether an issuer says yes in a way that was not agreed on, or neither yes nor no: it may have approved, and its answer
    /// is none that may be told.
    #[must_use]
    pub fn is_unheard_of(&self, code: ResponseCode) -> bool {
        (code.approves() && !self.is_approval(code)) || code == ResponseCode::NONE
    }
}

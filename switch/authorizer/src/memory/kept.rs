//! An [`Entry`] as it lies in memory: four lines of a cache. A million of them are more than any cache holds, so what is
//! looked at most stands in the first line, and nothing is there twice.

use codecs::value::{Amount, Currency, MerchantId, Pan, PartyId, ProcessingCode, Rrn, Stan, TerminalId};

use super::ring::Known;
use super::{Entry, State, Undo};
use crate::event::{AcquirerId, IssuerLink};
use crate::near::near;
use crate::request::{Asked, Class, Fingerprint, Identity, MatchKeys};
use crate::transaction::Sent;

/// One entry.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Kept {
    // The first line: who it is, how old, and what became of it.
    identity: Identity,
    pub(super) state: State,
    pub(super) since_us: u64,
    track: u64,
    // What it said.
    content: u128,
    sent: Over,
    // What came after it.
    left_minor: u64,
    undo: Option<Undo>,
}

/// A [`Sent`] without what the entry says anyway. Nothing of it means anything where there is no link.
#[derive(Clone, Copy, Debug)]
struct Over {
    link: Option<IssuerLink>,
    stan: Stan,
    received_us: u64,
    moment: u64,
    local_time: u64,
    local_date: u64,
    minor: u64,
    acquirer_id: Option<PartyId>,
    forwarder: Option<PartyId>,
    own_stan: Stan,
    currency: Currency,
    acquirer: AcquirerId,
    pan: Option<Pan>,
    rrn: Option<Rrn>,
    terminal: Option<TerminalId>,
    merchant: Option<MerchantId>,
    processing_code: Option<ProcessingCode>,
    class: Class,
    is_funded: bool,
}

const LINE_BYTES: usize = 64;
const _: () =
    assert!(size_of::<Kept>() == 4 * LINE_BYTES && core::mem::offset_of!(Kept, content) == LINE_BYTES);

/// No number that is kept here is as large.
const NOTHING: u64 = u64::MAX;

const fn packed(number: Option<u64>) -> u64 {
    match number {
        Some(number) => number,
        None => NOTHING,
    }
}

fn unpacked(number: u64) -> Option<u64> {
    (number != NOTHING).then_some(number)
}

impl Known for Kept {
    const NOBODY: Self = Kept::of(&Entry::new(Identity(0), 0, State::Forgotten));

    #[inline]
    fn identity(&self) -> Identity {
        self.identity
    }

    #[inline]
    fn since_us(&self) -> u64 {
        self.since_us
    }

    #[inline]
    fn is_running(&self) -> bool {
        self.state.is_running()
    }

    fn near(&self) {
        near(&self.identity);
        near(&self.content);
        near(&self.sent);
        near(&self.undo);
    }
}

impl Kept {
    /// Takes less room.
    #[inline]
    pub(super) const fn of(entry: &Entry) -> Self {
        let Entry { identity, fingerprint, since_us, state, left_minor, undo, .. } = *entry;
        Self {
            identity,
            state,
            since_us,
            track: packed(fingerprint.track),
            content: fingerprint.content,
            sent: match &entry.sent {
                Some(sent) => Over::of(sent),
                None => Over::NOTHING,
            },
            left_minor: packed(left_minor),
            undo,
        }
    }

    /// As everybody else knows it.
    pub(super) fn entry(&self) -> Entry {
        let Self { identity, state, since_us, left_minor, undo, .. } = *self;
        let fingerprint = self.fingerprint();
        Entry {
            identity,
            fingerprint,
            since_us,
            state,
            sent: self.sent(),
            left_minor: unpacked(left_minor),
            undo,
        }
    }

    /// What an issuer was asked, if one was.
    #[inline]
    pub(super) fn sent(&self) -> Option<Sent> {
        let to = self.sent.link?;
        Some(Sent {
            to,
            stan: self.sent.stan,
            pan: self.sent.pan,
            is_funded: self.sent.is_funded,
            received_us: self.sent.received_us,
            asked: Asked {
                identity: self.identity,
                fingerprint: self.fingerprint(),
                acquirer: self.sent.acquirer,
                class: self.sent.class,
                stan: self.sent.own_stan,
                amount: Amount::new(self.sent.minor, self.sent.currency),
                processing_code: self.sent.processing_code,
                forwarder: self.sent.forwarder,
                local_time: unpacked(self.sent.local_time),
                local_date: unpacked(self.sent.local_date),
                keys: MatchKeys {
                    moment: self.sent.moment,
                    acquirer: self.sent.acquirer_id,
                    rrn: self.sent.rrn,
                    terminal: self.sent.terminal,
                    merchant: self.sent.merchant,
                },
            },
        })
    }

    /// Whether it is what this acquirer asked an issuer under this trace number of its own.
    #[inline]
    pub(super) fn is_asked_under(&self, acquirer: AcquirerId, stan: Stan) -> bool {
        self.sent.own_stan == stan && self.sent.acquirer == acquirer && self.sent.link.is_some()
    }

    /// The trace number of the advice that its issuer was sent, where it was one.
    pub(super) fn advised_as(&self) -> Option<Stan> {
        self.sent.link.filter(|_| self.sent.class.is_advice()).map(|_| self.sent.stan)
    }

    #[inline]
    pub(super) fn send(&mut self, sent: &Sent) {
        self.sent = Over::of(sent);
    }

    pub(super) fn leave(&mut self, left_minor: u64) {
        self.left_minor = left_minor;
    }

    /// Writes down a reversal, and says which was written down before.
    pub(super) fn undo(&mut self, undo: Undo) -> Option<Undo> {
        self.undo.replace(undo)
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint { content: self.content, track: unpacked(self.track) }
    }
}

impl Over {
    const NOTHING: Over = Over {
        link: None,
        stan: Stan::ZERO,
        received_us: 0,
        moment: 0,
        local_time: NOTHING,
        local_date: NOTHING,
        minor: 0,
        acquirer_id: None,
        forwarder: None,
        own_stan: Stan::ZERO,
        currency: Currency::NONE,
        acquirer: AcquirerId(0),
        pan: None,
        rrn: None,
        terminal: None,
        merchant: None,
        processing_code: None,
        class: Class::Authorization,
        is_funded: false,
    };

    #[inline]
    const fn of(sent: &Sent) -> Over {
        let asked = &sent.asked;
        Over {
            link: Some(sent.to),
            stan: sent.stan,
            received_us: sent.received_us,
            moment: asked.keys.moment,
            local_time: packed(asked.local_time),
            local_date: packed(asked.local_date),
            minor: asked.amount.minor(),
            acquirer_id: asked.keys.acquirer,
            forwarder: asked.forwarder,
            own_stan: asked.stan,
            currency: asked.amount.currency(),
            acquirer: asked.acquirer,
            pan: sent.pan,
            rrn: asked.keys.rrn,
            terminal: asked.keys.terminal,
            merchant: asked.keys.merchant,
            processing_code: asked.processing_code,
            class: asked.class,
            is_funded: sent.is_funded,
        }
    }
}

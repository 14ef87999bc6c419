//! The codes that the messages of a link bear, DE 64 or 128. What comes in is used for nothing before the token has found
//! its code right; what goes out is handed to its link when the token has made its code, after everything it promises is
//! durable. A link without codes comes through none of this.
//!
//! Unknown means no: what the token says nothing about is as if it had never come, and what it makes no code for is not
//! sent. A 96 would need a code too.
//!
//! Messages wait here in their order until the token has room for them, so that a burst is slower and not lost. They are
//! bounded by what links let in, and by the transactions that run. One link's are put to one worker, so that they keep
//! their order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use authorizer::event::{Leg, Unsent};
use codecs::iso8583::MacPlace;
use hsm::{Answer, CheckMac, Covered, KeyId, MakeMac, Question};
use zeroize::Zeroizing;

use crate::acquirer::link::{AcquirerConversation, AcquirerPort};
use crate::crypto::{Said, Waits};
use crate::edge::Edge;
use crate::envelope::Envelope;
use crate::issuer::link::{IssuerConversation, IssuerPort};
use crate::metrics::MacOutcome;
use crate::wire::Goodbye;

/// Messages of an issuer's link whose codes are being checked; with so many the link is not read.
pub(crate) const CHECKS_MAX: u32 = 1_024;

/// A message whose code the token is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MacTicket(pub(crate) u32);

/// A message that waits for the token.
struct Unproven {
    /// The key of its link's codes.
    key: KeyId,
    what: What,
}

enum What {
    /// It came over this link, which may have ended meanwhile.
    Came(Box<Envelope>, End),
    /// It is to go out.
    Goes(Frame),
}

/// A link that has codes.
#[derive(Clone)]
pub(crate) enum End {
    /// Of an acquirer.
    Acquirer(Rc<AcquirerPort>),
    /// Of an issuer.
    Issuer(Rc<IssuerPort>),
}

/// A frame that is whole but for the code at its end.
struct Frame {
    to: End,
    /// The request that it is, to an issuer: whether it was sent matters.
    leg: Option<Leg>,
    bytes: Zeroizing<Vec<u8>>,
    /// Where its message begins.
    message_at: usize,
    place: Option<MacPlace>,
}

/// What the token said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong,
    Made([u8; 8]),
    Unknown,
}

/// One shard's messages that wait for the token, and those that it has said something about.
#[derive(Default)]
pub(crate) struct Macs {
    /// Until the token has room for them, and since when.
    waiting: RefCell<VecDeque<(u64, Unproven)>>,
    /// Those that it was asked about, by their tickets.
    asked: RefCell<Vec<Option<Unproven>>>,
    free: RefCell<Vec<u32>>,
    told: RefCell<Vec<(Unproven, Verdict)>>,
    /// Those that were told, while they are used: memory to be used again.
    using: Cell<Vec<(Unproven, Verdict)>>,
}

impl Edge {
    /// A message came over a link whose codes are of this key.
    pub(crate) fn check_mac(&self, key: KeyId, envelope: Box<Envelope>, end: End) {
        self.unproven(key, What::Came(envelope, end));
    }

    /// A frame with room for its code goes out over such a link. A request bears its leg.
    pub(crate) fn make_mac(&self, key: KeyId, bytes: Vec<u8>, to: End, leg: Option<Leg>) {
        let (framing, place) = {
            let rules = self.rules_now();
            match &to {
                End::Acquirer(port) => {
                    (rules.acquirer(port.acquirer).framing, rules.acquirer_dialect(port.acquirer).mac_place())
                }
                End::Issuer(port) => (
                    rules.issuer(port.link.issuer).framing,
                    rules.issuer_dialect(port.link.issuer).mac_place(),
                ),
            }
        };
        let (bytes, message_at) = (Zeroizing::new(bytes), framing.overhead_bytes());
        self.unproven(key, What::Goes(Frame { to, leg, bytes, message_at, place }));
    }

    fn unproven(&self, key: KeyId, what: What) {
        let message = Unproven { key, what };
        self.macs.waiting.borrow_mut().push_back((self.setup.now_us(), message));
        self.kick.set();
    }

    /// Puts to the token what it has room for, and gives up what has waited too long.
    pub(crate) fn put_macs(&self, now_us: u64) {
        let Some((mut since_us, mut message)) = self.macs.waiting.borrow_mut().pop_front() else { return };
        let deadline_us =
            self.rules_now().config.hsm.as_ref().map_or(0, |hsm| hsm.deadline.as_micros() as u64);
        loop {
            let is_late = now_us.saturating_sub(since_us) >= deadline_us;
            if !is_late && !self.crypto.borrow().has_room(message.link()) {
                return self.macs.waiting.borrow_mut().push_front((since_us, message));
            }
            match message.question() {
                _ if is_late => self.mac_told(message, Verdict::Unknown),
                Some(question) => {
                    let link = message.link();
                    let waits = Waits::Mac(self.macs.keep(message));
                    let put = self.crypto.borrow_mut().put(waits, question, link, now_us);
                    if let Err(waits) = put {
                        self.said(waits, None);
                    }
                }
                // Too short for a code, or what stands in its place is none.
                None => self.mac_told(message, Verdict::Wrong),
            }
            match self.macs.waiting.borrow_mut().pop_front() {
                Some(next) => (since_us, message) = next,
                None => return,
            }
        }
    }

    /// The token said something of a code, or will not. It is being asked at this moment, so the message is used in the next
    /// turn.
    pub(crate) fn mac_said(&self, ticket: MacTicket, said: Said<'_>) {
        let Some(message) = self.macs.take(ticket) else { return };
        let verdict = match said {
            Some(Ok(Answer::Mac(code))) => Verdict::Made(*code),
            Some(Ok(Answer::Wrong)) => Verdict::Wrong,
            Some(Ok(answer)) if answer.is_right() => Verdict::Right,
            _ => Verdict::Unknown,
        };
        self.mac_told(message, verdict);
    }

    fn mac_told(&self, message: Unproven, verdict: Verdict) {
        self.macs.told.borrow_mut().push((message, verdict));
        self.kick.set();
    }

    /// Reads what has a right code, and sends what was given one.
    pub(crate) fn use_macs(self: &Rc<Self>) {
        if self.macs.told.borrow().is_empty() {
            return;
        }
        let mut told = self.macs.using.take();
        std::mem::swap(&mut *self.macs.told.borrow_mut(), &mut told);
        for (message, verdict) in told.drain(..) {
            match message.what {
                What::Came(envelope, end) => self.came(envelope, &end, verdict),
                What::Goes(frame) => self.goes(frame, verdict),
            }
        }
        self.macs.using.set(told);
    }

    fn came(self: &Rc<Self>, envelope: Box<Envelope>, end: &End, verdict: Verdict) {
        let outcome = match verdict {
            Verdict::Right => MacOutcome::Right,
            Verdict::Wrong => MacOutcome::Wrong,
            Verdict::Made(_) | Verdict::Unknown => MacOutcome::Unknown,
        };
        self.tally.borrow_mut().mac(end.peer(self), outcome);
        match end {
            End::Acquirer(port) => port.finished(),
            End::Issuer(port) => port.checked(),
        }
        if outcome == MacOutcome::Unknown {
            return self.envelopes.borrow_mut().recycle(envelope);
        }
        let (edge, is_right) = (self.clone(), outcome == MacOutcome::Right);
        // As where a link reads: a fault met in a message costs its own connection and no other.
        let used = catch_unwind(AssertUnwindSafe(|| match end {
            End::Acquirer(port) => {
                let mut conversation = AcquirerConversation { edge, port: port.clone() };
                if is_right { conversation.authentic(envelope) } else { conversation.forged(envelope) }
            }
            End::Issuer(port) => {
                let mut conversation = IssuerConversation { edge, port: port.clone() };
                if is_right { conversation.authentic(envelope) } else { conversation.forged(envelope) }
            }
        }));
        if let Err(why) = used.unwrap_or(Err(Goodbye::Fault)) {
            match end {
                End::Acquirer(port) => port.wire.close(why),
                End::Issuer(port) => port.wire.close(why),
            }
        }
    }

    fn goes(&self, frame: Frame, verdict: Verdict) {
        let Frame { to, leg, mut bytes, message_at, place } = frame;
        let is_made = match (verdict, place) {
            (Verdict::Made(code), Some(place)) => {
                place.put(code, &mut bytes[message_at..]);
                true
            }
            _ => false,
        };
        if !is_made {
            self.tally.borrow_mut().mac(to.peer(self), MacOutcome::Unmade);
        }
        match (to, leg) {
            (End::Acquirer(port), _) => port.made(is_made.then_some(&bytes[..])),
            (End::Issuer(port), None) => port.made(is_made.then_some(&bytes[..])),
            (End::Issuer(port), Some(leg)) => {
                // The request of a link that ended meanwhile was said to be unsent by then.
                if port.made_leg(leg, is_made.then_some(&bytes[..])) && !is_made {
                    self.unsent(leg, Unsent::NoMac);
                }
            }
        }
    }
}

impl Macs {
    fn keep(&self, message: Unproven) -> MacTicket {
        let mut asked = self.asked.borrow_mut();
        let number = self.free.borrow_mut().pop().unwrap_or_else(|| {
            asked.push(None);
            u32::try_from(asked.len() - 1).expect("fewer than 2^32: the token has room for few")
        });
        asked[number as usize] = Some(message);
        MacTicket(number)
    }

    fn take(&self, MacTicket(number): MacTicket) -> Option<Unproven> {
        let message = self.asked.borrow_mut().get_mut(number as usize)?.take()?;
        self.free.borrow_mut().push(number);
        Some(message)
    }
}

impl Unproven {
    /// What the token is asked; nothing for what has no code.
    fn question(&self) -> Option<Question> {
        let key = self.key;
        match &self.what {
            What::Came(envelope, end) => {
                let rules = envelope.rules()?;
                let dialect = match end {
                    End::Acquirer(port) => rules.acquirer_dialect(port.acquirer),
                    End::Issuer(port) => rules.issuer_dialect(port.link.issuer),
                };
                let (covered, presented) = dialect.mac_place()?.split(envelope.message())?;
                let message = Covered::new(covered.to_vec())?;
                Some(Question::CheckMac(CheckMac { key, message, presented: Some(presented) }))
            }
            What::Goes(frame) => {
                let end = frame.bytes.len().checked_sub(frame.place?.bytes())?;
                let message = Covered::new(frame.bytes.get(frame.message_at..end)?.to_vec())?;
                Some(Question::MakeMac(MakeMac { key, message }))
            }
        }
    }

    /// The same for all messages of a link.
    fn link(&self) -> u64 {
        match &self.what {
            What::Came(_, end) => end.link(),
            What::Goes(frame) => frame.to.link(),
        }
    }
}

impl End {
    fn link(&self) -> u64 {
        match self {
            End::Acquirer(port) => u64::from(port.link.slot),
            End::Issuer(port) => u64::from(port.link.link),
        }
    }

    /// Its place among acquirers, then issuers.
    fn peer(&self, edge: &Edge) -> usize {
        match self {
            End::Acquirer(port) => port.acquirer.index(),
            End::Issuer(port) => edge.setup.start.acquirers.len() + port.link.issuer.index(),
        }
    }
}

//! The life of one link: sign-on, echo when idle, sign-off. One small machine per link, fed with what was
//! heard and with the time; it says what to send and when to give up.
//!
//! Not here: sockets, message bytes, key changes (they come with the token).

use codecs::value::NetworkFunction;

/// Which end of the conversation we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer sends us requests; it signs on to us.
    TowardsAcquirer,
    /// We send the peer requests; we sign on to it.
    TowardsIssuer,
}

/// What a link is told by its configuration. All times in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct LinkRules {
    /// Which end we are.
    pub role: Role,
    /// Nothing may be asked before a sign-on was accepted.
    pub sign_on: bool,
    /// How long a sign-on may take.
    pub sign_on_us: u64,
    /// Idle time after which the link is tested with an echo; `None` for no test.
    pub echo_every_us: Option<u64>,
    /// How long the answer to an echo may take.
    pub echo_wait_us: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Send a network management request.
    Send(NetworkFunction),
    /// The link may now carry requests.
    Up,
    /// The link may carry no new requests.
    SignedOff,
    /// Close the connection.
    Close(CloseReason),
}

/// Why a link gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// No sign-on in time.
    SignOnTimedOut,
    /// The issuer refused our sign-on.
    SignOnRefused,
    /// Two echo tests in a row were not answered.
    EchoTimedOut,
}

/// Unanswered echo tests after which a link is down.
const ECHO_MISSES_MAX: u8 = 2;

/// The state of one connected link.
#[derive(Clone, Copy, Debug)]
pub struct LinkLife {
    rules: LinkRules,
    since_us: u64,
    heard_us: u64,
    echo_sent_us: Option<u64>,
    echo_misses: u8,
    signed_on: bool,
    /// The first sign-on is still to come.
    awaiting: bool,
}

impl LinkLife {
    /// A link that was connected just now, and what to do first.
    #[must_use]
    pub fn connected(rules: LinkRules, now_us: u64) -> (Self, Action) {
        let signed_on = !rules.sign_on;
        let life = Self {
            rules,
            since_us: now_us,
            heard_us: now_us,
            echo_sent_us: None,
            echo_misses: 0,
            signed_on,
            awaiting: rules.sign_on,
        };
        let action = match (signed_on, rules.role) {
            (true, _) => Action::Up,
            (false, Role::TowardsIssuer) => Action::Send(NetworkFunction::SignOn),
            (false, Role::TowardsAcquirer) => Action::Nothing,
        };
        (life, action)
    }

    /// Whether requests may be sent or taken.
    #[must_use]
    pub fn is_signed_on(&self) -> bool {
        self.signed_on
    }

    /// Any message came.
    pub fn heard(&mut self, now_us: u64) {
        self.heard_us = now_us;
        self.echo_sent_us = None;
        self.echo_misses = 0;
    }

    /// The peer sent a network management request, which is answered with approval whatever it is for.
    pub fn asked(&mut self, function: NetworkFunction) -> Action {
        match function {
            NetworkFunction::SignOn => self.sign_on(),
            NetworkFunction::SignOff => {
                self.signed_on = false;
                Action::SignedOff
            }
            _ => Action::Nothing,
        }
    }

    /// The peer answered a network management request of ours.
    pub fn answered(&mut self, function: NetworkFunction, approved: bool) -> Action {
        match function {
            NetworkFunction::SignOn if self.signed_on => Action::Nothing,
            NetworkFunction::SignOn if approved => self.sign_on(),
            NetworkFunction::SignOn => Action::Close(CloseReason::SignOnRefused),
            _ => Action::Nothing,
        }
    }

    fn sign_on(&mut self) -> Action {
        self.signed_on = true;
        self.awaiting = false;
        Action::Up
    }

    /// Time has passed.
    pub fn tick(&mut self, now_us: u64) -> Action {
        if self.awaiting && now_us.saturating_sub(self.since_us) > self.rules.sign_on_us {
            return Action::Close(CloseReason::SignOnTimedOut);
        }
        if self.awaiting {
            // The sign-on is test enough, and its answer is the one to wait for.
            return Action::Nothing;
        }
        let Some(echo_every_us) = self.rules.echo_every_us else { return Action::Nothing };
        match self.echo_sent_us {
            Some(sent_us) if now_us.saturating_sub(sent_us) > self.rules.echo_wait_us => {
                self.echo_misses = self.echo_misses.saturating_add(1);
                if self.echo_misses >= ECHO_MISSES_MAX {
                    return Action::Close(CloseReason::EchoTimedOut);
                }
                self.echo_sent_us = Some(now_us);
                Action::Send(NetworkFunction::Echo)
            }
            Some(_) => Action::Nothing,
            None if now_us.saturating_sub(self.heard_us) >= echo_every_us => {
                self.echo_sent_us = Some(now_us);
                Action::Send(NetworkFunction::Echo)
            }
            None => Action::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: LinkRules = LinkRules {
        role: Role::TowardsIssuer,
        sign_on: true,
        sign_on_us: 1_000,
        echo_every_us: Some(10_000),
        echo_wait_us: 500,
    };

    #[test]
    fn an_issuer_is_signed_on_to_before_it_is_asked() {
        let (mut life, first) = LinkLife::connected(RULES, 0);
        assert_eq!(first, Action::Send(NetworkFunction::SignOn));
        assert!(!life.is_signed_on());
        assert_eq!(life.answered(NetworkFunction::SignOn, true), Action::Up);
        assert!(life.is_signed_on());
    }

    #[test]
    fn a_refused_or_silent_sign_on_closes() {
        let (mut life, _) = LinkLife::connected(RULES, 0);
        assert_eq!(life.tick(1_000), Action::Nothing);
        assert_eq!(life.tick(1_001), Action::Close(CloseReason::SignOnTimedOut));
        assert_eq!(life.answered(NetworkFunction::SignOn, false), Action::Close(CloseReason::SignOnRefused));
    }

    #[test]
    fn no_echo_while_a_sign_on_waits_for_its_answer() {
        let (mut life, _) = LinkLife::connected(LinkRules { sign_on_us: 50_000, ..RULES }, 0);
        assert_eq!(life.tick(20_000), Action::Nothing);
        life.answered(NetworkFunction::SignOn, true);
        assert_eq!(life.tick(20_001), Action::Send(NetworkFunction::Echo));
    }

    #[test]
    fn an_acquirer_that_must_sign_on_is_waited_for() {
        let rules = LinkRules { role: Role::TowardsAcquirer, ..RULES };
        let (mut life, first) = LinkLife::connected(rules, 0);
        assert_eq!(first, Action::Nothing);
        assert_eq!(life.asked(NetworkFunction::SignOn), Action::Up);
        assert_eq!(life.asked(NetworkFunction::SignOff), Action::SignedOff);
        assert!(!life.is_signed_on());
    }

    #[test]
    fn two_unanswered_echoes_are_the_end_and_any_message_is_an_answer() {
        let rules = LinkRules { sign_on: false, ..RULES };
        let (mut life, first) = LinkLife::connected(rules, 0);
        assert_eq!(first, Action::Up);
        assert_eq!(life.tick(9_999), Action::Nothing);
        assert_eq!(life.tick(10_000), Action::Send(NetworkFunction::Echo));
        assert_eq!(life.tick(10_400), Action::Nothing);
        life.heard(10_400);
        assert_eq!(life.tick(20_400), Action::Send(NetworkFunction::Echo));
        assert_eq!(life.tick(20_901), Action::Send(NetworkFunction::Echo));
        assert_eq!(life.tick(21_402), Action::Close(CloseReason::EchoTimedOut));
    }
}

//! A token that is looked after: what a failure says is tried against it, and nothing more is thrown away than that.
//!
//! A question that met a lost session is asked once more in a fresh one; what that does not cure is tried against a
//! module that was shut down, started and logged in to anew. An error about one key or one question leaves the rest as
//! it is. Nothing here waits: whoever asks has the clock, and probes a token that stays lost.

use std::time::{Duration, Instant};

use crate::error::{Cause, HsmError, Retry};
use crate::plan::{Plan, PlanError};
use crate::question::{Answer, Question};
use crate::verifier::Verifier;

/// How long a token is left as it is after something was tried against an error: a key that stays lost must not make
/// every question pay for a fresh session.
const TEND: Duration = Duration::from_secs(1);

/// A token with its keys, opened again when it must be.
pub struct Device {
    plan: Plan,
    /// None while the token is lost.
    verifier: Option<Verifier>,
    /// Why it is.
    fault: String,
    /// Whether the module is this one's alone, so that it may be shut down.
    is_alone: bool,
    tended: Option<Instant>,
    /// The PIN was refused: tokens count that, and lock.
    is_shut_out: bool,
    /// Keys derived through modules that were shut down.
    derivations: u64,
}

impl Device {
    /// Opens the token and loads the keys. `is_alone` says that nothing else in this process uses the module.
    pub fn open(plan: Plan, is_alone: bool) -> Result<Device, PlanError> {
        let verifier = Some(plan.open()?);
        Ok(Device {
            plan,
            verifier,
            fault: String::new(),
            is_alone,
            tended: None,
            is_shut_out: false,
            derivations: 0,
        })
    }

    /// Answers each question, in their order.
    pub fn answer(&mut self, questions: &[Question]) -> Vec<Result<Answer, HsmError>> {
        let Some(verifier) = &mut self.verifier else {
            return questions
                .iter()
                .map(|asked| Err(HsmError::new(asked.kind(), Cause::DeviceLost)))
                .collect();
        };
        let mut answers = verifier.answer(questions);
        if self.tend(worst(&answers)) {
            self.ask_again(questions, &mut answers);
        }
        answers
    }

    /// Tries what helps against an error, unless that was done a moment ago. Whether questions may be asked again.
    fn tend(&mut self, retry: Retry) -> bool {
        let can_help = matches!(retry, Retry::FreshSession | Retry::FreshToken);
        if !can_help || self.tended.is_some_and(|tended| tended.elapsed() < TEND) {
            return false;
        }
        self.tended = Some(Instant::now());
        (retry == Retry::FreshSession && self.renew()) || self.reopen()
    }

    /// Asks the questions once more that met something which a fresh session or token may have cured. What still fails
    /// then is either about them alone, or the token is lost.
    fn ask_again(&mut self, questions: &[Question], answers: &mut [Result<Answer, HsmError>]) {
        let Some(verifier) = &mut self.verifier else { return };
        let is_open: Vec<bool> = answers.iter().map(|answer| can_help(retry_of(answer))).collect();
        verifier.answer_some(questions, |place| is_open[place], answers);
        if can_help(worst(answers))
            && self.verifier.as_mut().is_some_and(|verifier| verifier.probe().is_err())
        {
            self.reopen();
        }
    }

    /// Keys in a fresh session. The module stays as it is.
    fn renew(&mut self) -> bool {
        let renewed = self.verifier.as_ref().and_then(|old| self.plan.renew(old).ok());
        let is_renewed = renewed.is_some();
        if is_renewed {
            self.verifier = renewed;
        }
        is_renewed
    }

    /// The module shut down and started, the token logged in to, its keys loaded.
    fn reopen(&mut self) -> bool {
        if self.is_shut_out {
            return false;
        }
        // Its sessions are closed before the module is shut down.
        self.derivations += self.verifier.take().map_or(0, |verifier| verifier.derivations());
        if self.is_alone {
            // After an attempt that failed too: some modules look for their tokens only as they start, and what was left
            // started without one would never find it.
            self.plan.shut_down();
        }
        match self.plan.open() {
            Ok(verifier) => {
                self.verifier = Some(verifier);
                self.fault.clear();
                true
            }
            Err(why) => {
                self.is_shut_out = why.is_refused_pin();
                self.fault = why.to_string();
                false
            }
        }
    }

    /// Looks after the token: opens one that is lost, and asks one that is not for known answers.
    pub fn probe(&mut self) -> Result<(), &str> {
        match self.verifier.as_mut().map(Verifier::probe) {
            Some(Ok(())) => return Ok(()),
            Some(Err(cause)) => {
                if !(cause.retry() == Retry::FreshSession && self.renew()) {
                    self.reopen();
                }
            }
            None => _ = self.reopen(),
        }
        match self.verifier.as_mut().map(Verifier::probe) {
            Some(Ok(())) => Ok(()),
            Some(Err(cause)) => {
                self.fault = cause.to_string();
                Err(&self.fault)
            }
            None => Err(&self.fault),
        }
    }

    /// Why the token is lost, if it is.
    pub fn fault(&self) -> Option<&str> {
        self.verifier.is_none().then_some(&self.fault)
    }

    /// How many keys were derived in it, in whatever module.
    pub fn derivations(&self) -> u64 {
        self.derivations + self.verifier.as_ref().map_or(0, Verifier::derivations)
    }
}

fn can_help(retry: Retry) -> bool {
    matches!(retry, Retry::FreshSession | Retry::FreshToken)
}

fn retry_of(answer: &Result<Answer, HsmError>) -> Retry {
    answer.as_ref().map_or_else(|error| error.retry, |_| Retry::Never)
}

/// What helps against the worst of the errors: a fresh token cures what a fresh session does.
fn worst(answers: &[Result<Answer, HsmError>]) -> Retry {
    let retries = || answers.iter().map(retry_of);
    [Retry::FreshToken, Retry::FreshSession]
        .into_iter()
        .find(|wanted| retries().any(|retry| retry == *wanted))
        .unwrap_or(Retry::Never)
}

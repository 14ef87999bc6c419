//! What can go wrong with a token, and what to do about it. None of it says anything about a code: a wrong
//! code is an [`Answer`](crate::Answer), an error is about us.

use std::fmt;

use cryptoki::error::{Error, RvError};

use crate::question::Kind;

/// A question that got no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HsmError {
    /// What was asked.
    pub question: Kind,
    /// Why there is no answer.
    pub cause: Cause,
    /// What may help.
    pub retry: Retry,
}

impl HsmError {
    pub(crate) fn new(question: Kind, cause: Cause) -> HsmError {
        HsmError { question, cause, retry: cause.retry() }
    }
}

impl fmt::Display for HsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.question, self.cause)
    }
}

impl std::error::Error for HsmError {}

/// Why the token gave no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The question names a key that was never loaded, or one that serves another purpose.
    NotThatKey,
    /// The device has no memory or no sessions left.
    Busy,
    /// The session, or the operation that was open in it, is gone.
    SessionLost,
    /// Nobody is logged in any more.
    LoggedOut,
    /// A key is gone: session objects die with their session and at log-out.
    KeyLost,
    /// The device does not answer, was removed, or its module was shut down.
    DeviceLost,
    /// The device may not use this key, or this mechanism with it.
    Refused,
    /// The module reported success and returned another number of bytes than the mechanism makes.
    WrongLength,
    /// A known answer came out differently: nothing this session says can be believed.
    WrongAnswer,
    /// Anything else, as the module called it.
    Other(RvError),
    /// A fault between the module and us: a function it lacks, a number that does not fit.
    Module,
}

impl Cause {
    /// What may help against it.
    pub fn retry(self) -> Retry {
        match self {
            Cause::SessionLost | Cause::KeyLost | Cause::WrongLength | Cause::WrongAnswer => {
                Retry::FreshSession
            }
            Cause::LoggedOut | Cause::DeviceLost => Retry::FreshToken,
            Cause::Busy | Cause::Other(_) => Retry::OtherDevice,
            Cause::NotThatKey | Cause::Refused | Cause::Module => Retry::Never,
        }
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Cause {
        match error {
            Error::Pkcs11(code, _) => of_code(code),
            _ => Cause::Module,
        }
    }
}

/// The return codes of PKCS#11 by what they mean for a question that is under way.
fn of_code(code: RvError) -> Cause {
    match code {
        RvError::HostMemory | RvError::DeviceMemory | RvError::SessionCount => Cause::Busy,
        RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::OperationNotInitialized
        | RvError::OperationActive => Cause::SessionLost,
        RvError::UserNotLoggedIn => Cause::LoggedOut,
        RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid => Cause::KeyLost,
        RvError::GeneralError
        | RvError::DeviceError
        | RvError::DeviceRemoved
        | RvError::SlotIdInvalid
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::CryptokiNotInitialized => Cause::DeviceLost,
        RvError::KeyFunctionNotPermitted
        | RvError::KeyTypeInconsistent
        | RvError::KeySizeRange
        | RvError::MechanismInvalid
        | RvError::MechanismParamInvalid
        | RvError::FunctionNotSupported
        | RvError::ArgumentsBad
        | RvError::DataInvalid
        | RvError::DataLenRange
        | RvError::AttributeReadOnly
        | RvError::AttributeSensitive
        | RvError::AttributeTypeInvalid
        | RvError::AttributeValueInvalid
        | RvError::TemplateIncomplete
        | RvError::TemplateInconsistent
        | RvError::ActionProhibited
        | RvError::KeyUnextractable
        | RvError::KeyNotWrappable => Cause::Refused,
        other => Cause::Other(other),
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Cause::NotThatKey => "no such key for this question",
            Cause::Busy => "device busy",
            Cause::SessionLost => "session lost",
            Cause::LoggedOut => "logged out",
            Cause::KeyLost => "key lost",
            Cause::DeviceLost => "device lost",
            Cause::Refused => "refused by the device",
            Cause::WrongLength => "answer of a wrong length",
            Cause::WrongAnswer => "wrong known answer",
            Cause::Other(code) => return write!(f, "device error {code:?}"),
            Cause::Module => "module unusable",
        };
        f.write_str(text)
    }
}

/// What may help against an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Nothing: the question or the set-up is wrong.
    Never,
    /// The same question again, in a new session.
    FreshSession,
    /// The same question again, after the token was opened anew.
    FreshToken,
    /// The same question to another device, or later.
    OtherDevice,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    #[test]
    fn codes_lead_to_what_helps() {
        for (code, cause, retry) in [
            (RvError::SessionHandleInvalid, Cause::SessionLost, Retry::FreshSession),
            (RvError::DeviceRemoved, Cause::DeviceLost, Retry::FreshToken),
            (RvError::SessionCount, Cause::Busy, Retry::OtherDevice),
            (RvError::MechanismInvalid, Cause::Refused, Retry::Never),
            (RvError::PinLocked, Cause::Other(RvError::PinLocked), Retry::OtherDevice),
        ] {
            let found = Cause::from(Error::Pkcs11(code, Function::Encrypt));
            assert_eq!((found, found.retry()), (cause, retry));
        }
        assert_eq!(Cause::from(Error::NullFunctionPointer), Cause::Module);
    }

    /// Every code that the standard names, and some that it does not: none is anything but a failure, and what helps
    /// against it is not more than it needs.
    #[test]
    fn every_code_of_the_standard_has_what_helps_against_it() {
        use cryptoki::error::Rv;
        let of = |code: u64| match Rv::from(code) {
            Rv::Error(code) => of_code(code).retry(),
            Rv::Ok => panic!("{code:#x} is no error"),
        };
        // Sessions, operations and keys: these are loaded again in a fresh session.
        let fresh_session = [0x60, 0x82, 0x90, 0x91, 0xB0, 0xB3];
        // Device, token, slot, module and login that are gone.
        let fresh_token = [0x03, 0x05, 0x30, 0x32, 0xE0, 0xE1, 0x101, 0x190];
        // About the key or the question itself.
        let never = [
            0x07, 0x10, 0x11, 0x12, 0x13, 0x1B, 0x20, 0x21, 0x54, 0x62, 0x63, 0x68, 0x69, 0x6A, 0x70, 0x71,
            0xD0, 0xD1,
        ];
        for code in (1..=0x300).chain([0x8000_0000, 0x8000_0042, u64::from(u32::MAX)]) {
            let expected = match code {
                code if fresh_session.contains(&code) => Retry::FreshSession,
                code if fresh_token.contains(&code) => Retry::FreshToken,
                code if never.contains(&code) => Retry::Never,
                _ => Retry::OtherDevice,
            };
            assert_eq!(of(code), expected, "{code:#x}");
        }
    }

    #[test]
    fn says_what_was_asked_and_why_it_failed() {
        let error = HsmError::new(Kind::StaticCode, Cause::KeyLost);
        assert_eq!(error.to_string(), "static code: key lost");
        assert_eq!(error.retry, Retry::FreshSession);
    }
}

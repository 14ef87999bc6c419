//! What a network management message is about: DE 70 in 1987, DE 24 in 1993.

use core::fmt;

/// A network management information code, DE 70, 0 to 999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkCode(u16);

impl NetworkCode {
    /// Sign-on.
    pub const SIGN_ON: NetworkCode = NetworkCode(1);
    /// Sign-off.
    pub const SIGN_OFF: NetworkCode = NetworkCode(2);
    /// Key change.
    pub const KEY_CHANGE: NetworkCode = NetworkCode(101);
    /// Cut-over to the next business day.
    pub const CUT_OVER: NetworkCode = NetworkCode(201);
    /// Echo test.
    pub const ECHO: NetworkCode = NetworkCode(301);

    /// 0 to 999.
    pub const fn new(number: u16) -> Option<NetworkCode> {
        if number <= 999 { Some(NetworkCode(number)) } else { None }
    }

    /// 0 to 999.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Three ASCII digits.
    pub fn digits(self) -> [u8; 3] {
        super::digits(u64::from(self.0))
    }

    /// What it asks for.
    pub const fn function(self) -> NetworkFunction {
        match self {
            NetworkCode::SIGN_ON => NetworkFunction::SignOn,
            NetworkCode::SIGN_OFF => NetworkFunction::SignOff,
            NetworkCode::KEY_CHANGE => NetworkFunction::KeyChange,
            NetworkCode::CUT_OVER => NetworkFunction::CutOver,
            NetworkCode::ECHO => NetworkFunction::Echo,
            NetworkCode(other) => NetworkFunction::Other(other),
        }
    }
}

impl fmt::Debug for NetworkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// What a network management message asks for, whatever its edition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NetworkFunction {
    /// Traffic may flow.
    SignOn,
    /// No traffic from here on.
    SignOff,
    /// Are you there?
    Echo,
    /// A new key for PINs or MACs.
    KeyChange,
    /// The next business day begins.
    CutOver,
    /// A code without a meaning here, as it came.
    Other(u16),
}

impl NetworkFunction {
    /// From a function code of 1993 (DE 24; 801 to 831).
    pub const fn from_function_code(code: u16) -> NetworkFunction {
        match code {
            801 => NetworkFunction::SignOn,
            802 => NetworkFunction::SignOff,
            811 => NetworkFunction::KeyChange,
            821 => NetworkFunction::CutOver,
            831 => NetworkFunction::Echo,
            other => NetworkFunction::Other(other),
        }
    }

    /// DE 24 of 1993.
    pub const fn function_code(self) -> u16 {
        match self {
            NetworkFunction::SignOn => 801,
            NetworkFunction::SignOff => 802,
            NetworkFunction::KeyChange => 811,
            NetworkFunction::CutOver => 821,
            NetworkFunction::Echo => 831,
            NetworkFunction::Other(code) => code,
        }
    }

    /// DE 70 of 1987.
    pub const fn network_code(self) -> u16 {
        match self {
            NetworkFunction::SignOn => NetworkCode::SIGN_ON.0,
            NetworkFunction::SignOff => NetworkCode::SIGN_OFF.0,
            NetworkFunction::KeyChange => NetworkCode::KEY_CHANGE.0,
            NetworkFunction::CutOver => NetworkCode::CUT_OVER.0,
            NetworkFunction::Echo => NetworkCode::ECHO.0,
            NetworkFunction::Other(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_editions_mean_the_same() {
        for (code_1987, code_1993) in [(1, 801), (2, 802), (101, 811), (201, 821), (301, 831), (170, 170)] {
            let function = NetworkCode::new(code_1987).unwrap().function();
            assert_eq!(function, NetworkFunction::from_function_code(code_1993));
            assert_eq!((function.network_code(), function.function_code()), (code_1987, code_1993));
        }
    }
}

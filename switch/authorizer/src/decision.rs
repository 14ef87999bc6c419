//! Outcomes: approved, or declined for one of a closed list of reasons. One table turns a reason into
//! DE 39, and an acquirer may override it row by row.

use codecs::value::{ApprovalCode, ResponseCode};

/// Why a request was declined, in order of precedence: the first that applies is the one told.
///
/// Richer than DE 39 on purpose. What the acquirer sees is [`DeclineReason::code`]; operators see the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeclineReason {
    /// The message does not say what it must, or contradicts itself.
    FormatError,
    /// The class or function is not one this switch serves.
    NotSupported,
    /// The principal may not use this DE 32, DE 33, MTI, card range or terminal.
    NotAllowed,
    /// The card number's check digit is wrong.
    LuhnFailed,
    /// The identity is known with other content.
    DuplicateOtherContent,
    /// A reversal of this request came before it, or it was undone since: an approval is not told again.
    Tombstoned,
    /// A reversal that names no original it could undo: another amount or card, or a reversal.
    ReversalMismatch,
    /// A partial reversal that would leave more than there was.
    OverReversal,
    /// The switch is being stopped.
    Draining,
    /// More is running than the switch may hold.
    Overloaded,
    /// The card has expired.
    ExpiredCard,
    /// A purchase over nothing.
    InvalidAmount,
    /// The card's data came in a way its program does not allow.
    SecurityViolation,
    /// No such card was enrolled.
    UnknownCard,
    /// The card was blocked, by an operator or by too many wrong codes.
    CardBlocked,
    /// Expiry or service code are not those of the proxy. Of a challenge: [`Self::ChallengeUnknown`].
    TrackMismatch,
    /// No such public ATC was given to the card's device, or the card's own cannot have come so far.
    AtcUnknown,
    /// A purchase was made with this ATC before.
    AtcUsed,
    /// Too many wrong codes came for this ATC.
    AtcDead,
    /// The ATC's bundle is not confirmed, is over or was revoked.
    AtcExpired,
    /// The code is not the one this ATC makes.
    CodeMismatch,
    /// A response to a challenge is required, and none is there.
    ChallengeRequired,
    /// No such challenge is open for the card, or its track says what the card's does not.
    ChallengeUnknown,
    /// The response came too late.
    ChallengeExpired,
    /// The challenge was answered before.
    ChallengeConsumed,
    /// The response is not the right one.
    ResponseMismatch,
    /// Too many wrong responses came for this challenge.
    ChallengeLocked,
    /// The token could not say whether the code is right.
    TokenUnavailable,
    /// No issuer serves the card's range.
    NoRoute,
    /// No link of the issuer or its alternates is up and signed on.
    IssuerDown,
    /// Every link of the issuer carries as much as it may, or this acquirer has more under way than is left for the others.
    IssuerWindowFull,
    /// The issuer did not answer in time, or its link broke with the request on it.
    IssuerTimedOut,
    /// The issuer's answer fits the request's keys but not its content.
    InvalidAnswer,
    /// What the answer would promise cannot be kept, because there is no journal to keep it in.
    StoreUnavailable,
    /// The issuer said no; its own DE 39 is passed on.
    IssuerDeclined,
}

impl DeclineReason {
    /// Every reason, in order of precedence.
    pub const ALL: [Self; 35] = [
        Self::FormatError,
        Self::NotSupported,
        Self::NotAllowed,
        Self::LuhnFailed,
        Self::DuplicateOtherContent,
        Self::Tombstoned,
        Self::ReversalMismatch,
        Self::OverReversal,
        Self::Draining,
        Self::Overloaded,
        Self::ExpiredCard,
        Self::InvalidAmount,
        Self::SecurityViolation,
        Self::UnknownCard,
        Self::CardBlocked,
        Self::TrackMismatch,
        Self::AtcUnknown,
        Self::AtcUsed,
        Self::AtcDead,
        Self::AtcExpired,
        Self::CodeMismatch,
        Self::ChallengeRequired,
        Self::ChallengeUnknown,
        Self::ChallengeExpired,
        Self::ChallengeConsumed,
        Self::ResponseMismatch,
        Self::ChallengeLocked,
        Self::TokenUnavailable,
        Self::NoRoute,
        Self::IssuerDown,
        Self::IssuerWindowFull,
        Self::IssuerTimedOut,
        Self::InvalidAnswer,
        Self::StoreUnavailable,
        Self::IssuerDeclined,
    ];

    /// It is told of the request alone, by rules that hardly ever change: a repeat is told the same.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        matches!(
            self,
            Self::NotAllowed | Self::LuhnFailed | Self::ExpiredCard | Self::InvalidAmount | Self::NoRoute
        )
    }

    /// The name that configuration, metrics and logs use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FormatError => "format_error",
            Self::NotSupported => "not_supported",
            Self::NotAllowed => "not_allowed",
            Self::LuhnFailed => "luhn_failed",
            Self::DuplicateOtherContent => "duplicate_other_content",
            Self::Tombstoned => "tombstoned",
            Self::ReversalMismatch => "reversal_mismatch",
            Self::OverReversal => "over_reversal",
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::ExpiredCard => "expired_card",
            Self::InvalidAmount => "invalid_amount",
            Self::SecurityViolation => "security_violation",
            Self::UnknownCard => "unknown_card",
            Self::CardBlocked => "card_blocked",
            Self::TrackMismatch => "track_mismatch",
            Self::AtcUnknown => "atc_unknown",
            Self::AtcUsed => "atc_used",
            Self::AtcDead => "atc_dead",
            Self::AtcExpired => "atc_expired",
            Self::CodeMismatch => "code_mismatch",
            Self::ChallengeRequired => "challenge_required",
            Self::ChallengeUnknown => "challenge_unknown",
            Self::ChallengeExpired => "challenge_expired",
            Self::ChallengeConsumed => "challenge_consumed",
            Self::ResponseMismatch => "response_mismatch",
            Self::ChallengeLocked => "challenge_locked",
            Self::TokenUnavailable => "token_unavailable",
            Self::NoRoute => "no_route",
            Self::IssuerDown => "issuer_down",
            Self::IssuerWindowFull => "issuer_window_full",
            Self::IssuerTimedOut => "issuer_timed_out",
            Self::InvalidAnswer => "invalid_answer",
            Self::StoreUnavailable => "store_unavailable",
            Self::IssuerDeclined => "issuer_declined",
        }
    }

    /// Whether it says that a code was wrong, and one try is gone.
    #[must_use]
    pub const fn is_wrong_code(self) -> bool {
        matches!(self, Self::CodeMismatch | Self::ResponseMismatch)
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|reason| *reason == self).unwrap_or(0)
    }

    /// DE 39 by default: ISO 8583:1987 response codes, or 1993 action codes.
    #[must_use]
    pub const fn code(self, codes: CodeSet) -> ResponseCode {
        let (two, three) = match self {
            Self::FormatError => (b"30", b"904"),
            Self::NotSupported => (b"40", b"115"),
            Self::NotAllowed => (b"58", b"120"),
            Self::LuhnFailed => (b"14", b"111"),
            Self::DuplicateOtherContent | Self::Tombstoned => (b"94", b"913"),
            Self::ReversalMismatch => (b"12", b"902"),
            Self::OverReversal => (b"13", b"110"),
            Self::Draining | Self::Overloaded | Self::IssuerWindowFull => (b"91", b"907"),
            Self::ExpiredCard => (b"54", b"101"),
            Self::InvalidAmount => (b"13", b"110"),
            Self::SecurityViolation => (b"63", b"122"),
            Self::UnknownCard => (b"14", b"111"),
            Self::CardBlocked => (b"62", b"104"),
            // One code for all: a terminal must not learn which of them it was.
            Self::TrackMismatch
            | Self::AtcUnknown
            | Self::AtcUsed
            | Self::AtcDead
            | Self::AtcExpired
            | Self::CodeMismatch => (b"82", b"122"),
            // 1993 has no code for it: one that is left for private use.
            Self::ChallengeRequired
            | Self::ChallengeUnknown
            | Self::ChallengeExpired
            | Self::ChallengeConsumed => (b"1A", b"192"),
            Self::ResponseMismatch => (b"55", b"117"),
            Self::ChallengeLocked => (b"75", b"106"),
            Self::NoRoute => (b"92", b"908"),
            Self::IssuerDown => (b"91", b"912"),
            Self::IssuerTimedOut => (b"91", b"911"),
            Self::InvalidAnswer | Self::StoreUnavailable | Self::TokenUnavailable => (b"96", b"909"),
            Self::IssuerDeclined => (b"05", b"100"),
        };
        match codes {
            CodeSet::Response1987 => ResponseCode::of(two),
            CodeSet::Action1993 => ResponseCode::of(three),
        }
    }
}

/// Which of the standard's two lists DE 39 is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSet {
    /// Two characters, ISO 8583:1987.
    Response1987,
    /// Three digits, ISO 8583:1993.
    Action1993,
}

/// How a request ended, from the acquirer's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The issuer approved it, whole or in part.
    Approved,
    /// It was declined.
    Declined(DeclineReason),
    /// A reversal was taken: what it names is undone, or will be, or never was. Or an advice: its issuer will be told.
    Taken,
}

/// What is told of a request, once and to every repeat of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Approved, or declined and why.
    pub verdict: Verdict,
    /// DE 39.
    pub response_code: ResponseCode,
    /// DE 38: only of approvals.
    pub approval_code: Option<ApprovalCode>,
    /// DE 4 of the answer when it differs from what was asked: the amount of a partial approval, minor
    /// units.
    pub approved_minor: Option<u64>,
}

impl Outcome {
    /// A decline made here.
    #[must_use]
    pub fn declined(reason: DeclineReason, response_code: ResponseCode) -> Self {
        Self { verdict: Verdict::Declined(reason), response_code, approval_code: None, approved_minor: None }
    }

    /// A reversal that was taken: 00 in 1987, 400 in 1993.
    #[must_use]
    pub fn taken(codes: CodeSet) -> Self {
        let response_code = match codes {
            CodeSet::Response1987 => ResponseCode::of(b"00"),
            CodeSet::Action1993 => ResponseCode::of(b"400"),
        };
        Self { verdict: Verdict::Taken, response_code, approval_code: None, approved_minor: None }
    }

    /// An advice that was taken: 00 in 1987; 900 in 1993, acknowledged without a word on who is liable, which only its
    /// issuer can say.
    #[must_use]
    pub fn taken_advice(codes: CodeSet) -> Self {
        let response_code = match codes {
            CodeSet::Response1987 => ResponseCode::of(b"00"),
            CodeSet::Action1993 => ResponseCode::of(b"900"),
        };
        Self { response_code, ..Self::taken(codes) }
    }

    /// An approval of the switch's own.
    #[must_use]
    pub fn stood_in(codes: CodeSet, approval_code: Option<ApprovalCode>) -> Self {
        let response_code = match codes {
            CodeSet::Response1987 => ResponseCode::of(b"00"),
            CodeSet::Action1993 => ResponseCode::of(b"000"),
        };
        Self { verdict: Verdict::Approved, response_code, approval_code, approved_minor: None }
    }

    /// Whether it is an approval.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.verdict == Verdict::Approved
    }

    /// The reason, if it was declined.
    #[must_use]
    pub fn decline_reason(&self) -> Option<DeclineReason> {
        match self.verdict {
            Verdict::Approved | Verdict::Taken => None,
            Verdict::Declined(reason) => Some(reason),
        }
    }
}

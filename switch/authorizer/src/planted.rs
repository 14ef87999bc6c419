//! Wrong versions of the switch, for tests of the tests: a checker that has found none of these has proven nothing by
//! its silence. Each is a mistake that somebody could make, or that was made.
//!
//! They exist only with the feature `planted`; without it every question here is answered *no* when the crate is built,
//! and nothing of them is left in the switch.

use crate::Authorizer;

macro_rules! planted {
    ($($(#[doc = $doc:literal])* $variant:ident;)*) => {
        /// A planted mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &'static [Planted] = &[$(Planted::$variant,)*];
        }
    };
}

planted! {
    /// A reversal of nothing leaves no tombstone.
    NoTombstone;
    /// A tombstone is there and refuses nothing.
    TombstoneIgnored;
    /// After a restart there are no tombstones.
    TombstoneForgotten;
    /// Effects are seen before their facts are durable.
    SeenBeforeDurable;
    /// An answer is matched by its trace number alone.
    MatchedByStanAlone;
    /// An answer's content is not looked at.
    ContentIgnored;
    /// What timed out is not undone.
    TimeoutNotUndone;
    /// What had an invalid answer is not undone.
    InvalidNotUndone;
    /// An approval that could not be delivered is not undone.
    UndeliverableNotUndone;
    /// What was in doubt at a restart is not undone.
    DoubtNotUndone;
    /// A late approval is left to the reversal that was sent before it.
    LateLeftToEarlier;
    /// A late approval after the acknowledgement is only counted.
    LateOnlyCounted;
    /// A late approval of what memory has forgotten is only counted.
    LateForgottenCounted;
    /// Each copy of a late approval is undone.
    LateUndoneAgain;
    /// After a restart trace numbers go on behind the newest answer instead of the newest request.
    StanGoesBack;
    /// A reversal that is sent again says that it is the first.
    AlwaysFirst;
    /// A reversal is dropped after three attempts.
    DroppedAfterThree;
    /// Every answer to a reversal acknowledges it.
    AnyAnswerAcknowledges;
    /// A reversal that finds the window full is forgotten.
    WindowForgets;
    /// A snapshot leaves out the reversals that wait.
    SnapshotWithoutReversals;
    /// A snapshot leaves out what only a reversal has told of.
    SnapshotWithoutTombstones;
    /// What ended is forgotten: a repeat is a new request.
    RepeatIsNew;
    /// What memory has forgotten never was.
    IndexUnasked;
    /// A repeat with other content is told the stored answer.
    OtherContentTold;
    /// A reversal of what waits for its issuer tells the issuer and lets the request go on.
    CancelledGoesOn;
    /// Each reversal of an approval is told to the issuer again.
    ReversedTwice;
    /// A part is undone as if it were the whole.
    PartIsWhole;
    /// A reversal over another amount undoes.
    MismatchUndoes;
    /// After a restart what was reversed stands again.
    ReversedForgotten;
    /// A right code is not used up.
    CodeNotClaimed;
    /// After a restart used codes are good again.
    ClaimForgotten;
    /// A snapshot leaves out which counters of a card were accepted.
    SnapshotWithoutCounters;
    /// A wrong code moves the counter of its card.
    WrongCodeMoves;
    /// A card's counter is used whichever of several the token has named.
    LastCounterUsed;
    /// A wrong code passes.
    WrongCodePasses;
    /// What the token does not say counts as right.
    UnknownPasses;
    /// A repeat that joins leaks the older message.
    JoinLeaks;
    /// An answer goes to another acquirer's link.
    OtherAcquirer;
    /// A request is sent twice.
    ForwardedTwice;
    /// What was on a lost link is sent again on another.
    ResentAfterLoss;
    /// No INTENT is written.
    NoIntent;
    /// No RESULT is written.
    NoResult;
    /// Declines are not written.
    NoDecline;
    /// An advice is acknowledged, and its issuer is not told.
    AdviceNotTold;
    /// The switch approves for an issuer and does not tell it.
    StandInNotTold;
    /// The switch approves whatever the amount.
    FloorIgnored;
    /// The switch approves as often as it is asked.
    CapIgnored;
    /// After a restart nothing was approved today.
    CapForgotten;
    /// The switch approves for an issuer that could be asked.
    StandInWhileUp;
    /// The reversal of an advice goes out beside it.
    ReversalOvertakesAdvice;
    /// After a restart what was parked is gone.
    ParkedForgotten;
    /// What an operator releases goes out as if for the first time.
    ReleasedAsFirst;
}

impl Authorizer {
    /// Whether this mistake was planted here.
    #[inline(always)]
    #[must_use]
    pub fn has_planted(&self, mistake: Planted) -> bool {
        is_planted(&self.tables, mistake)
    }
}

/// The same, where only the tables are at hand.
#[cfg(feature = "planted")]
pub(crate) fn is_planted(tables: &crate::tables::Tables, mistake: Planted) -> bool {
    tables.planted == Some(mistake)
}

/// Without the feature there are none.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) fn is_planted(_: &crate::tables::Tables, _: Planted) -> bool {
    false
}

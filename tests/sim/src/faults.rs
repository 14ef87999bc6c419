//! Everything that can go wrong in the simulated world. Each seed switches a random half of it on and draws how often
//! each happens (swarm testing): a world with every fault at once would never get far enough to break in a new way.

use super::dice::Dice;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident = $variant:ident up to $most:literal;)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Fault {
            /// Every kind, with its name and how often it may happen at most, in a million chances.
            pub const ALL: &'static [(Fault, &'static str, u32)] =
                &[$((Fault::$variant, stringify!($name), $most),)*];
        }
    };
}

faults! {
    /// A request is lost on its way to the switch.
    request_lost = RequestLost up to 300_000;
    /// An answer is lost on its way to the acquirer.
    reply_lost = ReplyLost up to 300_000;
    /// A request is lost on its way to the issuer.
    forward_lost = ForwardLost up to 300_000;
    /// An issuer's answer is lost.
    answer_lost = AnswerLost up to 300_000;
    /// A reversal is lost on its way to the issuer.
    reversal_lost = ReversalLost up to 300_000;
    /// The acknowledgement of a reversal is lost.
    acknowledgement_lost = AcknowledgementLost up to 300_000;
    /// A message to or from an acquirer is slow.
    slow_acquirer = SlowAcquirer up to 300_000;
    /// A message to or from an issuer is slow.
    slow_issuer = SlowIssuer up to 300_000;
    /// A message is delivered twice by whatever is between.
    doubled_answer = DoubledAnswer up to 200_000;
    /// An acquirer's link is cut.
    acquirer_cut = AcquirerCut up to 20_000;
    /// An issuer's link is cut with what is on it.
    issuer_cut = IssuerCut up to 20_000;
    /// An issuer's link is cut again as soon as it is up.
    issuer_flap = IssuerFlap up to 300_000;
    /// What was queued for a link that is cut was not begun.
    unsent_on_cut = UnsentOnCut up to 500_000;
    /// An issuer signs its link off for a while.
    signed_off = SignedOff up to 10_000;
    /// An issuer takes everything and says nothing for a while.
    black_hole = BlackHole up to 5_000;
    /// An issuer does not answer a request.
    silent = Silent up to 200_000;
    /// An issuer answers after everybody has given up.
    late = Late up to 200_000;
    /// An issuer answers twice.
    double = Double up to 200_000;
    /// An issuer answers twice, and not the same.
    contradicting = Contradicting up to 100_000;
    /// An issuer answers with other keys.
    wrong_keys = WrongKeys up to 100_000;
    /// An issuer answers with a higher amount.
    wrong_amount = WrongAmount up to 100_000;
    /// An issuer answers for another card.
    wrong_card = WrongCard up to 100_000;
    /// An issuer declines.
    declined = Declined up to 300_000;
    /// An issuer approves a part.
    partial = Partial up to 200_000;
    /// An issuer answers over another of its links.
    other_link = OtherLink up to 200_000;
    /// An issuer forgets reversals of requests that it has not seen, and approves these later.
    no_tombstones = NoTombstones up to 1_000_000;
    /// An issuer does not want a reversal now.
    later = Later up to 300_000;
    /// An acquirer repeats while it waits.
    impatient = Impatient up to 300_000;
    /// An acquirer repeats what was answered.
    repeats = Repeats up to 300_000;
    /// An acquirer reverses what was approved.
    reverses = Reverses up to 200_000;
    /// An acquirer reverses a part of what was approved.
    reverses_part = ReversesPart up to 100_000;
    /// An acquirer reverses while it waits.
    cancels = Cancels up to 100_000;
    /// An acquirer sends an original again that it has reversed.
    stray = Stray up to 200_000;
    /// An acquirer's reversal overtakes its original.
    overtaken = Overtaken up to 50_000;
    /// An acquirer sends another content under a name it has used.
    other_content = OtherContent up to 50_000;
    /// An acquirer reverses what is another's.
    foreign_reversal = ForeignReversal up to 50_000;
    /// An acquirer reverses with another amount.
    wrong_reversal = WrongReversal up to 50_000;
    /// Many requests come at once.
    burst = Burst up to 50_000;
    /// An issuer refuses a reversal or an advice for what it says, until somebody has seen to it.
    refused = Refused up to 30_000;
    /// An operator releases what is parked twice, or what is not parked.
    released_twice = ReleasedTwice up to 300_000;
    /// All links to all issuers are cut at once.
    issuers_gone = IssuersGone up to 5_000;
    /// The switch may stand in for its issuers.
    stand_in = StandIn up to 1_000_000;
    /// An advice instead of a request.
    advice = Advice up to 200_000;
    /// The process ends without a word.
    crash = Crash up to 3_000;
    /// And again while it recovers.
    crash_in_recovery = CrashInRecovery up to 400_000;
    /// Of what was not synced, a part reaches the disk all the same.
    torn = Torn up to 1_000_000;
    /// The process is stopped in order.
    stop = Stop up to 1_000;
    /// The process is frozen for longer than anybody waits.
    freeze = Freeze up to 1_000;
    /// The disk is slow.
    slow_disk = SlowDisk up to 300_000;
    /// A sync fails, and the process ends itself.
    sync_fails = SyncFails up to 1_000;
    /// There is no room for another segment for a while.
    store_low = StoreLow up to 2_000;
    /// The token is slow.
    slow_token = SlowToken up to 300_000;
    /// The token does not say.
    token_gone = TokenGone up to 200_000;
    /// A code is wrong.
    wrong_code = WrongCode up to 200_000;
    /// A code comes again.
    replayed_code = ReplayedCode up to 200_000;
    /// A card counts on without a payment.
    left_out = LeftOut up to 300_000;
    /// The wall clock jumps.
    clock_jumps = ClockJumps up to 2_000;
    /// A snapshot is begun, and segments that it stands for are removed. The process may end before it is whole.
    snapshot = Snapshot up to 2_000;
    /// The newest snapshot cannot be read, and what it stood for is read instead.
    snapshot_damaged = SnapshotDamaged up to 300_000;
}

/// How often each fault happens in one world, in a million chances.
#[derive(Clone, Debug)]
pub(super) struct Faults(Vec<u32>);

impl Faults {
    /// Half of them, each as often as the dice say.
    pub(super) fn draw(dice: &mut Dice) -> Faults {
        let rate = |most: u32, dice: &mut Dice| {
            let on = dice.happens(500_000);
            let rate = dice.within(u64::from(most) / 50, u64::from(most)) as u32;
            if on { rate } else { 0 }
        };
        Faults(Fault::ALL.iter().map(|(_, _, most)| rate(*most, dice)).collect())
    }

    /// None of them: the world heals.
    #[must_use]
    pub(super) fn none() -> Faults {
        Faults(vec![0; Fault::ALL.len()])
    }

    /// One of them never happens.
    pub(super) fn leave_out(&mut self, fault: Fault) {
        self.0[fault as usize] = 0;
    }

    /// How often one happens.
    #[must_use]
    pub(super) fn rate(&self, fault: Fault) -> u32 {
        self.0[fault as usize]
    }

    /// The names of those that are on.
    #[must_use]
    pub(super) fn names(&self) -> Vec<&'static str> {
        Fault::ALL.iter().zip(&self.0).filter(|(_, rate)| **rate > 0).map(|((_, name, _), _)| *name).collect()
    }
}

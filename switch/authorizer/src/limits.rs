//! Every bound of one shard, in one place.

/// How much one shard may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Running transactions.
    pub pending_max: u32,
    /// Identities remembered for repeats, running and ended.
    pub recent_entries: u32,
    /// How long an ended one is remembered, microseconds.
    pub recent_window_us: u64,
    /// Cards of programs.
    pub cards_max: u32,
    /// Reversals and advices that one issuer has not acknowledged. When there are so many, it is asked nothing new.
    pub reversals_max: u32,
}

/// The least room for legs an issuer gets per shard: the late answers of that many are still recognised.
pub const LEGS_MIN: u32 = 4_096;
/// Legs remembered for each one that may be in flight.
pub const LEGS_PER_WINDOW: u32 = 8;
/// The most room for legs an issuer gets per shard.
pub const LEGS_MAX: u32 = 1 << 18;
/// Reversals and advices under way to one issuer at a time, per shard.
pub const STORED_IN_FLIGHT: usize = 64;
/// How many occupied places are passed over in search of a free trace number before giving up.
pub const STAN_SEARCH_MAX: u32 = 64;

/// Bundles of one card; ones that are over make room.
pub const BUNDLES_MAX: usize = 8;
/// Challenges of one card that are remembered, so that each is told apart from one that never was.
pub const CHALLENGES_MAX: usize = 16;

const _: () = assert!(LEGS_MIN.is_power_of_two() && LEGS_MAX.is_power_of_two() && LEGS_MIN < LEGS_MAX);

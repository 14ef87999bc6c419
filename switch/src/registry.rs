//! Maps that several threads read and write beside the path: links for the health page, connections by address, who
//! waits for an answer of `/v1`. No payment comes by here.

/// A map in parts, each behind a lock of its own.
#[expect(
    clippy::disallowed_types,
    reason = "the one place where a lock has a name; nothing on the path uses it"
)]
pub(crate) type Registry<K, V> = dashmap::DashMap<K, V>;

//! Memory that will be needed, asked for before it is. Changes nothing but the time that it takes.

/// Asks for the memory behind a reference, one line of a cache, without waiting for it.
#[inline]
pub fn near<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(what);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

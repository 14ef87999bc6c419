//! Memory for keys that a process must hold: not swapped out, not dumped, wiped.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;

use rustix::mm::{Advice, madvise, mlock, munlock};

/// A value on pages of its own, which are locked into memory, left out of dumps, and wiped when it is dropped.
///
/// A limit of locked memory (`RLIMIT_MEMLOCK`) that is too low is no error: [`Locked::is_locked`] says so.
pub struct Locked<T> {
    pages: Box<Pages<T>>,
    is_locked: bool,
}

/// So large that nothing else is on these pages.
#[repr(C, align(4096))]
struct Pages<T>(ManuallyDrop<T>);

impl<T> Locked<T> {
    /// Moves the value there.
    pub fn new(value: T) -> Locked<T> {
        let mut pages = Box::new(Pages(ManuallyDrop::new(value)));
        let start = ptr::from_mut(&mut *pages).cast();
        let length = size_of::<Pages<T>>();
        // SAFETY: the range is the box's own, and lives until `drop` takes both back. Neither call changes what is in it.
        let is_locked =
            unsafe { mlock(start, length).is_ok() && madvise(start, length, Advice::LinuxDontDump).is_ok() };
        Locked { pages, is_locked }
    }

    /// Whether the system has agreed to keep it in memory and out of dumps.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.pages.0
    }
}

impl<T> DerefMut for Locked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.pages.0
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        let start: *mut u8 = ptr::from_mut(&mut *self.pages).cast();
        let length = size_of::<Pages<T>>();
        // SAFETY: the value is dropped once, here, and not looked at again. The range is the box's own; after it was wiped
        // only its memory is given back, of which nothing is read.
        unsafe {
            ManuallyDrop::drop(&mut self.pages.0);
            ptr::write_bytes(start, 0, length);
            // Keeps the compiler from leaving out a write to something that is not read again.
            std::hint::black_box(start);
            let _ = madvise(start.cast(), length, Advice::LinuxDoDump);
            let _ = munlock(start.cast(), length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn is_on_pages_of_its_own_that_are_locked_and_not_dumped() {
        let key = Locked::new([7_u8; 32]);
        assert_eq!((key[0], key[31]), (7, 7));
        assert!(key.is_locked());
        let start = ptr::from_ref(&*key) as usize;
        assert_eq!(start % 4_096, 0);
        let maps = fs::read_to_string("/proc/self/smaps").expect("Linux");
        let of = |line: &str| {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
            Some((from..to).contains(&start))
        };
        let mut lines = maps.lines().skip_while(|line| of(line) != Some(true));
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:")).expect("flags");
        assert!(flags.contains(" lo") && flags.contains(" dd"), "{flags}");
    }

    #[test]
    fn drops_what_is_in_it_once() {
        let shared = std::rc::Rc::new(());
        drop(Locked::new(shared.clone()));
        assert_eq!(std::rc::Rc::strong_count(&shared), 1);
    }
}

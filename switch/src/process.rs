//! This process as the kernel sees it, by the names every Prometheus client uses.

use std::fs;

use rustix::param::clock_ticks_per_second;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// From here on the process leaves no dump of its memory, and others of its user cannot read it.
pub(crate) fn keep_memory_to_itself() -> std::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Overwrites what earlier calls left behind on this thread's stack. A value that was wiped, or never written down, may have
/// been copied there on its way.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut left_behind = [0_u8; STACK_BYTES];
    // What is never looked at would not be written.
    std::hint::black_box(&mut left_behind);
}

/// Many times the largest buffer on it: ten KiB, where an element is translated.
const STACK_BYTES: usize = 128 * 1024;

/// From here on this thread takes the processor only when nobody else wants it, the line of payments before all. Where it
/// may not, it runs like any other.
pub(crate) fn let_payments_first() {
    // On Linux this is of the calling thread alone.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

const NICENESS: i32 = 19;

/// At one moment. What the kernel does not tell is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) resident_bytes: u64,
    pub(crate) open_files: u64,
    /// The limit of them.
    pub(crate) open_files_max: u64,
    pub(crate) threads: u64,
    /// Processor time, its own and the kernel's for it.
    pub(crate) cpu_seconds: f64,
    /// Since 1970.
    pub(crate) started_seconds: f64,
}

impl Figures {
    /// Reads them.
    pub(crate) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // What stands before is the program's name in brackets, which may hold anything.
        let fields: Vec<u64> = stat
            .rsplit(") ")
            .next()
            .map(|rest| rest.split(' ').skip(1).map(|word| word.trim().parse().unwrap_or(0)).collect())
            .unwrap_or_default();
        // Numbered as in proc(5), where the first behind the state is the fourth.
        let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0);
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
        Self {
            resident_bytes: field(24) * rustix::param::page_size() as u64,
            open_files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
            open_files_max: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            threads: field(20),
            cpu_seconds: seconds(field(14) + field(15)),
            started_seconds: booted_seconds() + seconds(field(22)),
        }
    }
}

fn booted_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let booted = stat.lines().find_map(|line| line.strip_prefix("btime "));
    booted.and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::Wall;

    #[test]
    fn what_keeps_its_memory_to_itself_is_not_dumped() {
        keep_memory_to_itself().expect("nobody needs a right for less");
        assert_eq!(rustix::process::dumpable_behavior().expect("Linux"), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }

    #[test]
    fn the_kernel_tells_all_of_them() {
        let figures = Figures::read();
        assert!(figures.resident_bytes > 1_000_000 && figures.threads >= 1, "{figures:?}");
        assert!(figures.open_files >= 3 && figures.open_files_max >= figures.open_files, "{figures:?}");
        let age = Wall::now().micros() as f64 / 1e6 - figures.started_seconds;
        assert!((-2.0..3_600.0).contains(&age), "{figures:?}");
        let before = figures.cpu_seconds;
        while Figures::read().cpu_seconds <= before {}
    }
}

//! What a transaction takes of the operating system and of the heap, counted in a run of its own for each subject and load:
//! system calls by the kernel's own counters (`perf stat`, which needs the right to), allocations by a few lines of C that are
//! preloaded. Threads on the path and those beside it are told apart. What cannot be counted here is "-".

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{self, Load};
use crate::rounds::{Plan, insist_on_approvals};
use crate::subject::{Stand, Subject};
use crate::system::{self, Thread, is_on_path};
use crate::table::print_row;

/// Something counted for each answer: on the path, and beside it.
type Count = Option<(f64, f64)>;

/// What one run showed.
struct Counts {
    calls: Count,
    futex_calls: Count,
    allocations: Count,
}

const CALLS: &str = "raw_syscalls:sys_enter";
const FUTEX_CALLS: &str = "syscalls:sys_enter_futex";
/// A counter is attached by then.
const ATTACHING: Duration = Duration::from_millis(300);

const TITLES: [&str; 7] = [
    "system calls each",
    ": floor",
    "beside the path",
    "futex calls of 1,000",
    "beside the path",
    "allocations each",
    "beside the path",
];

/// Runs all of it and prints a table per load.
pub fn run(mut plan: Plan) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("relay-counts-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let heap = Heap::build(&folder)?;
    if let Some(heap) = &heap {
        plan.stand.environment = heap.environment();
    }
    for (name, load) in &plan.loads()? {
        println!("\n### {name}\n");
        print_row("", TITLES.map(str::to_owned).into_iter());
        print_row("---", std::iter::repeat_n("---".to_owned(), TITLES.len()));
        let mut floor = None;
        for subject in plan.subjects(load) {
            let counts = once(&plan.stand, subject, load, heap.as_ref())?;
            let calls = counts.calls.map(|(path, _)| path);
            let floor = *floor.get_or_insert(calls.unwrap_or(f64::NAN));
            let of_floor = calls.map_or("-".to_owned(), |calls| format!("{:.2}", calls / floor));
            let [calls, beside_calls] = cells(counts.calls, 1.0, 3);
            let [futex, beside_futex] = cells(counts.futex_calls, 1_000.0, 2);
            let [allocations, beside_allocations] = cells(counts.allocations, 1.0, 4);
            let cells = [calls, of_floor, beside_calls, futex, beside_futex, allocations, beside_allocations];
            print_row(&subject.name(), cells.into_iter());
        }
    }
    Ok(fs::remove_dir_all(&folder)?)
}

fn cells(count: Count, times: f64, digits: usize) -> [String; 2] {
    let told = |count: f64| format!("{:.digits$}", count * times);
    count.map_or(["-".to_owned(), "-".to_owned()], |(path, beside)| [told(path), told(beside)])
}

fn once(stand: &Stand, subject: Subject, load: &Load, heap: Option<&Heap>) -> io::Result<Counts> {
    if let Some(heap) = heap {
        heap.empty()?;
    }
    let requests = stand.requests(subject);
    stand.with(subject, &requests, |process, at| {
        let threads = system::threads(process);
        let calls = Calls::begin(&threads)?;
        let mut heaps = Vec::new();
        let seen = client::run(at, load, &requests, &mut || heaps.extend(heap.map(Heap::read)))?;
        let calls = calls.end()?;
        insist_on_approvals(&seen)?;
        let of = |name| sum(&calls, name, &threads).map(|count| each(count, seen.all_answers));
        let allocations = match &heaps[..] {
            [before, after] => Some(each(allocated(before, after, &threads), seen.answers)),
            _ => None,
        };
        Ok(Counts { calls: of(CALLS), futex_calls: of(FUTEX_CALLS), allocations })
    })
}

fn each((path, beside): (u64, u64), answers: u64) -> (f64, f64) {
    (path as f64 / answers as f64, beside as f64 / answers as f64)
}

/// A running `perf stat`.
struct Calls(Option<Child>);

impl Calls {
    fn begin(threads: &[Thread]) -> io::Result<Self> {
        let mut processes: Vec<String> = threads.iter().map(|thread| thread.process.to_string()).collect();
        processes.sort_unstable();
        processes.dedup();
        let mut command = Command::new("perf");
        command.args(["stat", "--per-thread", "-x", ";", "-e", CALLS, "-e", FUTEX_CALLS, "-p"]);
        let started = command.arg(processes.join(",")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        std::thread::sleep(ATTACHING);
        Ok(Self(started.ok()))
    }

    /// What it tells: lines of thread, count, unit, event. Nothing where it could not count.
    fn end(self) -> io::Result<Option<String>> {
        let Some(child) = self.0 else { return Ok(None) };
        system::signal(child.id(), Signal::INT);
        let output = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(told.contains(&format!(";{CALLS};")).then_some(told))
    }
}

/// The counts of an event, on the path and beside it. A thread that did not run has none.
fn sum(told: &Option<String>, event: &str, threads: &[Thread]) -> Option<(u64, u64)> {
    let mut sums = (0, 0);
    for line in told.as_ref()?.lines() {
        let mut fields = line.split(';');
        let (Some(thread), Some(count), _, Some(name)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if name == event {
            let count = count.parse().unwrap_or(0);
            *if is_on_path(thread, threads) { &mut sums.0 } else { &mut sums.1 } += count;
        }
    }
    Some(sums)
}

/// Counts of allocations, which a preloaded library writes.
struct Heap {
    library: PathBuf,
    counts: PathBuf,
}

impl Heap {
    /// Bytes of the file: 256 slots of thread and count.
    const BYTES: usize = 256 * 16;

    /// Nothing where there is no C compiler.
    fn build(folder: &Path) -> io::Result<Option<Self>> {
        let source = folder.join("allocations.c");
        fs::write(&source, include_str!("../allocations.c"))?;
        let library = folder.join("allocations.so");
        let built =
            Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
        let is_built = built.is_ok_and(|output| output.status.success());
        Ok(is_built.then(|| Self { library, counts: folder.join("counts") }))
    }

    fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("LD_PRELOAD", self.library.clone()), ("ALLOCATIONS", self.counts.clone())]
    }

    fn empty(&self) -> io::Result<()> {
        fs::write(&self.counts, [0; Self::BYTES])
    }

    /// Threads and their allocations so far.
    fn read(&self) -> Vec<(u64, u64)> {
        let bytes = fs::read(&self.counts).unwrap_or_default();
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        let slots = bytes.chunks_exact(16).skip(1).map(|slot| (number(&slot[..8]), number(&slot[8..])));
        slots.filter(|(thread, _)| *thread != 0).collect()
    }
}

fn allocated(before: &[(u64, u64)], after: &[(u64, u64)], threads: &[Thread]) -> (u64, u64) {
    let mut sums = (0, 0);
    for (id, count) in after {
        let earlier = before.iter().find(|(earlier, _)| earlier == id).map_or(0, |(_, count)| *count);
        let thread = threads.iter().find(|thread| u64::from(thread.id) == *id);
        let is_on_path = thread.is_some_and(|thread| is_on_path(&thread.name, threads));
        *if is_on_path { &mut sums.0 } else { &mut sums.1 } += count - earlier;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_apart_by_thread() {
        let thread = |name: &str| Thread { process: 1, id: 1, name: name.to_owned() };
        let threads = [thread("signalbox"), thread("shard-0"), thread("journal")];
        let told = format!(
            "shard-0-12;70;;{CALLS};1;100.00;;\njournal-13;5;;{CALLS};1;100.00;;\nshard-0-12;<not counted>;;{FUTEX_CALLS};0;100.00;;\n"
        );
        assert_eq!(sum(&Some(told.clone()), CALLS, &threads), Some((70, 5)));
        assert_eq!(sum(&Some(told), FUTEX_CALLS, &threads), Some((0, 0)));
        assert_eq!(sum(&None, CALLS, &threads), None);
        assert_eq!(allocated(&[(1, 5)], &[(1, 9)], &threads[1..2]), (4, 0));
    }
}

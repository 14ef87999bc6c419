//! Loops that are compared, a few milliseconds of each in turns, by the processor time of their thread: what others do on the
//! machine takes none of it, and what slows a processor down meets all of them.

#![allow(unsafe_code, reason = "the standard library has no clock of a thread's processor time")]

use std::time::Duration;

/// How long each is measured at a time, and how often.
const SLICE: Duration = Duration::from_millis(2);
const ROUNDS: usize = 101;

/// The processor time of each loop's turn, in microseconds, and the part that it is of the first one's: medians.
pub(crate) fn in_turns<const LOOPS: usize>(mut loops: [&mut dyn FnMut(); LOOPS]) -> [(f64, f64); LOOPS] {
    let times = loops.each_mut().map(|work| turns_in(SLICE, work));
    let mut found = [const { (Vec::new(), Vec::new()) }; LOOPS];
    for _ in 0..ROUNDS {
        let mut first = None;
        for ((work, times), found) in loops.iter_mut().zip(times).zip(&mut found) {
            let each = micros(times, work);
            found.0.push(each);
            found.1.push(each / *first.get_or_insert(each));
        }
    }
    found.map(|(each, of_first)| (median(each), median(of_first)))
}

/// How many turns take so long; at least one.
fn turns_in(span: Duration, work: &mut dyn FnMut()) -> u32 {
    let mut times = 1;
    loop {
        let each = micros(times, work);
        let needed = (span.as_secs_f64() * 1e6 / each) as u32;
        if needed <= times {
            return times;
        }
        times = needed.min(10 * times);
    }
}

fn micros(times: u32, work: &mut dyn FnMut()) -> f64 {
    let started = processor_time();
    (0..times).for_each(|_| work());
    (processor_time() - started).as_secs_f64() * 1e6 / f64::from(times)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is one that Linux has, and the pointer is valid for the call.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(code, 0, "a clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

//! When a shard turns although nothing happened: at its next deadline, to the microsecond.
//!
//! The runtime's own timers count milliseconds from the moment at which it went to sleep. A decline that waits for its time
//! would come later or earlier by what woke the shard in between, which is the token where a code was wrong: whoever takes
//! the mean of many would learn the reason.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Rings once each time it was set.
pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// One that was not set, within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "what replaces it asks the caller to swear that the descriptor stays, as an owned one does"
        )]
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Sets it to ring after so many microseconds, and no more when it would have rung otherwise.
    pub(crate) fn set(&self, after_us: u64) -> io::Result<()> {
        // Zero would take it back.
        let nanoseconds = after_us.max(1).saturating_mul(1_000);
        let second = 1_000_000_000;
        let it_value = Timespec {
            tv_sec: i64::try_from(nanoseconds / second).unwrap_or(i64::MAX),
            tv_nsec: (nanoseconds % second) as _,
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        Ok(())
    }

    /// Whether it has rung; the task is woken when it does.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let mut rung = [0; 8];
            let read = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut rung)?));
            match read {
                Ok(read) => return Poll::Ready(read.map(|_| ())),
                // It was set anew meanwhile.
                Err(_) => continue,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn rings_once_for_the_last_time_it_was_set() {
        let alarm = Alarm::new().expect("a timer");
        let rings = || poll_fn(|context| alarm.poll(context));
        let started = Instant::now();
        alarm.set(0).expect("set");
        rings().await.expect("rung");
        alarm.set(60_000_000).expect("set");
        alarm.set(3_000).expect("set");
        rings().await.expect("rung");
        assert!(started.elapsed() >= Duration::from_millis(3));
        assert!(tokio::time::timeout(Duration::from_millis(30), rings()).await.is_err());
    }
}

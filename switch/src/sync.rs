//! What threads share on the path of a payment, named in one place: `models` runs the code that uses it with stand-ins
//! that try every order. None of it takes a lock.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
pub(crate) use std::thread;

pub(crate) use atomic_waker::AtomicWaker;
pub(crate) use crossbeam_queue::ArrayQueue;

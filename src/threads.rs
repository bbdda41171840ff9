//! Threads with small stacks, and timed parking.

use std::io;
use std::thread::{Builder, Thread, park_timeout};
use std::time::Duration;

use crate::clock::monotonic_ns;

/// Address space of a stack; what is resident of it is a few pages.
const STACK_BYTES: usize = 128 << 10;

/// Starts a detached thread; returns its handle for unparking. Its name shows in `ps -L` and `top -H`.
///
/// # Errors
/// Where the system refuses one (a limit on processes, no memory for the stack).
pub(crate) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let builder = Builder::new().name(format!("workload-{name}")).stack_size(STACK_BYTES);
    builder.spawn(body).map(|handle| handle.thread().clone())
}

/// Sleeps until a time on the monotonic clock, or until `come` is true: it is checked when the thread is unparked.
pub(crate) fn park_until(time_ns: u64, come: impl Fn() -> bool) {
    while !come() {
        match time_ns.saturating_sub(monotonic_ns()) {
            0 => return,
            left_ns => park_timeout(Duration::from_nanos(left_ns)),
        }
    }
}

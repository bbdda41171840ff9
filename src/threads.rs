//! Threads that cost little.

use std::io;
use std::thread::{Builder, Thread};

/// Address space of a stack; what is resident of it is a few pages.
const STACK_BYTES: usize = 128 << 10;

/// Starts a thread that nobody waits for; gives what wakes it up. Its name shows in `ps -L` and `top -H`.
///
/// # Errors
/// Where the system refuses one (a limit on processes, no memory for the stack).
pub(crate) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let builder = Builder::new().name(format!("workload-{name}")).stack_size(STACK_BYTES);
    builder.spawn(body).map(|handle| handle.thread().clone())
}

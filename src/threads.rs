//! Threads with small stacks, and timed parking.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Thread, park_timeout};
use std::time::Duration;

use nix::errno::Errno;

use crate::arena::refuse_call;
use crate::clock::monotonic_ns;

/// Address space of a stack; what is resident of it is a few pages.
const STACK_BYTES: usize = 128 << 10;

/// Starts a detached thread; returns its handle for unparking. Its name shows in `ps -L` and `top -H`.
///
/// # Errors
/// Where the system refuses one (a limit on processes, no memory for the stack, a seccomp profile).
pub(crate) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let body = Arc::new(Mutex::new(Some(body)));
    let spawn = || -> io::Result<Thread> {
        let its = Arc::clone(&body);
        let builder = Builder::new().name(format!("workload-{name}")).stack_size(STACK_BYTES);
        let handle = builder.spawn(move || {
            let body = its.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(body) = body {
                body();
            }
        })?;
        Ok(handle.thread().clone())
    };
    match spawn() {
        // Seccomp profiles that answer so to clone3 are those of Docker before 20.10.10; the C library falls back on
        // clone for `ENOSYS` alone.
        Err(error)
            if error.raw_os_error() == Some(Errno::EPERM as i32)
                && refuse_call(libc::SYS_clone3, Errno::ENOSYS).is_ok() =>
        {
            spawn()
        }
        result => result,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn where_a_seccomp_profile_refuses_clone3_threads_are_started_all_the_same() {
        // Filters are those of one thread.
        let test = std::thread::spawn(|| {
            refuse_call(libc::SYS_clone3, Errno::EPERM).unwrap();
            let plain = Builder::new().spawn(|| ()).map(drop).unwrap_err();
            assert_eq!(
                plain.raw_os_error(),
                Some(Errno::EPERM as i32),
                "or the C library does not use clone3"
            );
            let (done, is_done) = channel();
            start("test", move || done.send(7).unwrap()).unwrap();
            assert_eq!(is_done.recv(), Ok(7));
            start("again", || ()).unwrap();
        });
        test.join().unwrap();
    }

    #[test]
    fn where_it_refuses_clone_as_well_the_error_is_the_profiles() {
        let test = std::thread::spawn(|| {
            for call in [libc::SYS_clone3, libc::SYS_clone] {
                refuse_call(call, Errno::EPERM).unwrap();
            }
            assert_eq!(start("test", || ()).unwrap_err().raw_os_error(), Some(Errno::EPERM as i32));
        });
        test.join().unwrap();
    }
}

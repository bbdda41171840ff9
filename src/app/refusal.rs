//! Refusals of the system: what was being done, and which limit refused it.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use tracing::warn;

use crate::host::thread_limit;

/// Descriptors that are enough, whatever is asked for and however deep the cgroup is.
const ENOUGH_DESCRIPTORS: u64 = 24;

/// Threads of the program itself: the main one, and those that write reports and messages.
pub(super) const PROGRAM_THREADS: u64 = 3;

/// Adds to an error what was being done, its likely cause, and the way out.
pub(super) fn in_context(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        let text = match cause(&error) {
            Some(cause) => format!("{what}: {error}: {cause}"),
            None => format!("{what}: {error}"),
        };
        io::Error::new(error.kind(), text)
    }
}

/// The same of a thread, one of `threads` of this process.
pub(super) fn thread_refused(what: &str, threads: u64) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {}", thread_refusal(&error, threads)))
}

/// Why the system refuses one of `threads` of this process, as far as that can be told.
pub(super) fn thread_refusal(error: &io::Error, threads: u64) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        // The C library gives it also where there is no address space for the stack.
        Some(Errno::EAGAIN) => format!("{error}: {}", too_many_threads(threads)),
        _ => cause(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    }
}

/// Warns where the limit on descriptors is so low that files of the kernel may not be read.
pub(super) fn warn_of_few_descriptors() {
    if let Some(limit) = soft_limit(Resource::RLIMIT_NOFILE).filter(|limit| *limit < ENOUGH_DESCRIPTORS) {
        warn!(
            "the limit on open files is {limit} (RLIMIT_NOFILE, ulimit -n), {ENOUGH_DESCRIPTORS} are enough: some values \
             may be missing in reports"
        );
    }
}

fn cause(error: &io::Error) -> Option<String> {
    match error.raw_os_error().map(Errno::from_raw)? {
        Errno::EMFILE => {
            let limit = soft_limit(Resource::RLIMIT_NOFILE)?;
            Some(format!(
                "the limit on open files is {limit} (RLIMIT_NOFILE, ulimit -n); {ENOUGH_DESCRIPTORS} are enough"
            ))
        }
        Errno::ENFILE => {
            Some("the machine's limit on open files is reached (/proc/sys/fs/file-max)".to_owned())
        }
        Errno::EPERM => Some(
            "a seccomp profile or another security policy refuses the system call (that of Docker before 20.10.10 refuses clone3): \
             use a newer container runtime or another profile, or --security-opt seccomp=unconfined (Kubernetes: seccompProfile type \
             Unconfined)"
                .to_owned(),
        ),
        Errno::ENOSYS => {
            Some("the kernel lacks the system call, or a seccomp profile hides it: Linux 4.14 and later have it".to_owned())
        }
        _ => None,
    }
}

/// What is needed, and all limits on threads that there are.
fn too_many_threads(threads: u64) -> String {
    let processes = soft_limit(Resource::RLIMIT_NPROC)
        .map(|limit| format!("RLIMIT_NPROC (ulimit -u) is {limit} for all processes of this user"));
    let cgroup = match thread_limit(Path::new("/")) {
        Some((limit, cgroup)) => format!("pids.max (podman --pids-limit) is {limit} in cgroup {cgroup}"),
        None => "a cgroup out of sight may set pids.max (podPidsLimit of the kubelet)".to_owned(),
    };
    let address_space =
        soft_limit(Resource::RLIMIT_AS).map(|limit| format!("RLIMIT_AS (ulimit -v) is {limit} bytes"));
    let limits: Vec<_> = processes.into_iter().chain([cgroup]).chain(address_space).collect();
    format!("this process needs {threads} threads; {}: raise the limit that is reached", limits.join(", "))
}

/// The limit in force; `None` where there is none.
fn soft_limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).ok().map(|(soft, _)| soft).filter(|soft| *soft != RLIM_INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: Errno) -> String {
        in_context("cannot create a timer")(io::Error::from(errno)).to_string()
    }

    #[test]
    fn what_was_being_done_is_told_with_the_likely_cause_and_the_way_out() {
        assert!(
            told(Errno::EPERM).contains("cannot create a timer: ") && told(Errno::EPERM).contains("seccomp")
        );
        assert!(told(Errno::ENOSYS).contains("seccomp profile hides it"));
        assert!(told(Errno::EMFILE).contains("(RLIMIT_NOFILE, ulimit -n); 24 are enough"));
        assert!(told(Errno::ENFILE).contains("file-max"));
        for unknown in [Errno::EAGAIN, Errno::ENOMEM] {
            assert!(!told(unknown).contains("thread"), "{}", told(unknown));
        }
    }

    #[test]
    fn a_refused_thread_is_told_with_how_many_are_needed_and_the_limits() {
        let words = thread_refused("cannot start", 6)(io::Error::from(Errno::EAGAIN)).to_string();
        assert!(words.contains("needs 6 threads") && words.contains("pids.max"), "{words}");
        let words = thread_refused("cannot start", 6)(io::Error::from(Errno::EPERM)).to_string();
        assert!(words.contains("clone3") && !words.contains("6 threads"), "{words}");
    }
}

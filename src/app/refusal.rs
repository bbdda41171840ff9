//! Refusals of the system: what was being done, and which limit refused it.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use tracing::warn;

use crate::host::thread_limit;

/// Descriptors that are enough, whatever is asked for and however deep the cgroup is.
const ENOUGH_DESCRIPTORS: u64 = 24;

/// Adds to an error what was being done, the limit that is likely to be the cause, and the way out.
pub(super) fn in_context(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        let text = match cause(&error) {
            Some(cause) => format!("{what}: {error}: {cause}"),
            None => format!("{what}: {error}"),
        };
        io::Error::new(error.kind(), text)
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
        // The C library gives the first also where there is no address space for the stack.
        Errno::EAGAIN | Errno::ENOMEM => too_many_threads(),
        Errno::EPERM => Some(
            "the seccomp profile refuses clone3, and clone as well: use a newer container runtime, or \
             --security-opt seccomp=unconfined (Kubernetes: seccompProfile type Unconfined)"
                .to_owned(),
        ),
        _ => None,
    }
}

/// All limits that there are on threads.
fn too_many_threads() -> Option<String> {
    let processes = soft_limit(Resource::RLIMIT_NPROC)
        .map(|limit| format!("at most {limit} threads of this user (RLIMIT_NPROC, ulimit -u)"));
    let cgroup = thread_limit(Path::new("/"))
        .map(|(limit, cgroup)| format!("at most {limit} threads in cgroup {cgroup} (pids.max)"));
    let address_space = soft_limit(Resource::RLIMIT_AS)
        .map(|limit| format!("at most {limit} bytes of address space (RLIMIT_AS, ulimit -v)"));
    let limits: Vec<_> = processes.into_iter().chain(cgroup).chain(address_space).collect();
    (!limits.is_empty()).then(|| {
        let needs = "it takes one thread each for the program, its reports, its messages and its memory, and one per \
                     core of --cpu";
        format!("the limits are: {}; {needs}", limits.join(", "))
    })
}

/// The limit in force; `None` where there is none.
fn soft_limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).ok().map(|(soft, _)| soft).filter(|soft| *soft != RLIM_INFINITY)
}

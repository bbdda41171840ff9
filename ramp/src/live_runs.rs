//! Live runs of this machine: each holds an abstract Unix socket with its ID and the PID of its process in the name (unix(7)), which
//! the kernel removes with the process.
//!
//! Unlike a label or a file it cannot be left behind, and it needs no permission.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// The names begin with it.
const PREFIX: &str = "ramp/run/";

/// Marks a run as live for as long as it exists.
#[derive(Debug)]
pub(crate) struct LiveRun {
    _socket: UnixDatagram,
}

impl LiveRun {
    /// # Errors
    /// Where no socket can be made. The run is not found by other processes then.
    pub(crate) fn begin(run: &str) -> io::Result<Self> {
        let address = SocketAddr::from_abstract_name(format!("{PREFIX}{run}/{}", std::process::id()))?;
        Ok(Self { _socket: UnixDatagram::bind_addr(&address)? })
    }
}

/// Another process than this one that runs a run.
pub(crate) fn other_process_of(run: &str) -> Option<u32> {
    processes_in(&sockets(), run).find(|process| *process != std::process::id())
}

/// The process that runs a run on this machine, in its own PID namespace; none where none does. Runs in other network namespaces are
/// not seen.
pub(crate) fn process_of(run: &str) -> Option<u32> {
    processes_in(&sockets(), run).next()
}

fn sockets() -> String {
    String::from_utf8_lossy(&fs::read(Path::new("/proc/net/unix")).unwrap_or_default()).into_owned()
}

fn processes_in<'s>(sockets: &'s str, run: &'s str) -> impl Iterator<Item = u32> + 's {
    let names = sockets.lines().filter_map(|line| line.rsplit_once(" @")?.1.strip_prefix(PREFIX));
    let of_run = names.filter_map(|name| name.rsplit_once('/')).filter(move |(id, _)| *id == run);
    of_run.filter_map(|(_, process)| process.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_live_for_as_long_as_its_socket_is_open() {
        let run = format!("live-{}", std::process::id());
        assert_eq!(process_of(&run), None);
        let live = LiveRun::begin(&run).unwrap();
        assert_eq!(process_of(&run), Some(std::process::id()));
        assert_eq!(process_of("live"), None, "another one");
        assert_eq!(other_process_of(&run), None, "it is this one");
        drop(live);
        assert_eq!(process_of(&run), None);
    }

    #[test]
    fn names_are_read_as_the_kernel_lists_them() {
        let sockets = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 16163 /run/dbus/system_bus_socket\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 16170\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 40001 @ramp/run/20261129-100648-f9d2/5774\n";
        assert_eq!(processes_in(sockets, "20261129-100648-f9d2").collect::<Vec<_>>(), [5774]);
        assert_eq!(processes_in(sockets, "20261129-100648").next(), None);
    }
}

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

/// The process that runs a run on this machine, in its own PID namespace; none where none does. Runs in other network namespaces are
/// not seen.
pub(crate) fn process_of(run: &str) -> Option<u32> {
    let sockets = fs::read(Path::new("/proc/net/unix")).unwrap_or_default();
    process_in(&String::from_utf8_lossy(&sockets), run)
}

fn process_in(sockets: &str, run: &str) -> Option<u32> {
    let names = sockets.lines().filter_map(|line| line.rsplit_once(" @")?.1.strip_prefix(PREFIX));
    names.filter_map(|name| name.rsplit_once('/')).find(|(id, _)| *id == run)?.1.parse().ok()
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
        drop(live);
        assert_eq!(process_of(&run), None);
    }

    #[test]
    fn names_are_read_as_the_kernel_lists_them() {
        let sockets = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 16163 /run/dbus/system_bus_socket\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 16170\n\
            0000000000000000: 00000002 00000000 00000000 0002 01 40001 @ramp/run/20261129-100648-f9d2/5774\n";
        assert_eq!(process_in(sockets, "20261129-100648-f9d2"), Some(5774));
        assert_eq!(process_in(sockets, "20261129-100648"), None);
    }
}

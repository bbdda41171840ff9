//! Socket of Podman or Docker: from --socket, `DOCKER_HOST`, or the usual places.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::engine::Failure;

/// What selects the socket.
#[derive(Clone, Debug, Default)]
pub(super) struct SocketChoice {
    /// `--socket`.
    pub(super) asked: Option<PathBuf>,
    /// `DOCKER_HOST`.
    pub(super) docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub(super) runtime_dir: Option<PathBuf>,
}

impl SocketChoice {
    /// Those of this process's environment.
    pub(super) fn of_environment(asked: Option<PathBuf>) -> Self {
        Self::of(asked, |name| env::var_os(name))
    }

    /// An empty variable counts as unset, as for Docker and Podman.
    fn of(asked: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            asked,
            docker_host: set("DOCKER_HOST").and_then(|host| host.into_string().ok()),
            runtime_dir: set("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }

    /// `--socket`, else `DOCKER_HOST`, else the first of the usual ones that exists.
    pub(super) fn socket(&self, is_there: impl Fn(&Path) -> bool) -> Result<PathBuf, Failure> {
        if let Some(asked) = &self.asked {
            return one(asked, "--socket", is_there);
        }
        if let Some(host) = &self.docker_host {
            let Some(path) = host.strip_prefix("unix://").filter(|path| !path.is_empty()) else {
                return Err(Failure::permanent(format!(
                    "DOCKER_HOST is {host:?} (expected: unix:///PATH, as only sockets of this machine are supported; or pass --socket)"
                )));
            };
            return one(Path::new(path), "DOCKER_HOST", is_there);
        }
        let usual = self.usual();
        usual.iter().find(|path| is_there(path)).cloned().ok_or_else(|| {
            let tried: Vec<_> = usual.iter().map(|path| path.display().to_string()).collect();
            Failure::permanent(format!(
                "no socket of Podman or Docker: none of {} exists; {HOW}",
                tried.join(", ")
            ))
        })
    }

    fn usual(&self) -> Vec<PathBuf> {
        let own = self.runtime_dir.iter().map(|dir| dir.join("podman/podman.sock"));
        own.chain(["/run/podman/podman.sock", "/var/run/docker.sock"].map(PathBuf::from)).collect()
    }
}

/// How to start a service.
pub(super) const HOW: &str = "start one with `systemctl --user start podman.socket` or `podman system service \
                              --time 0 unix:///PATH/podman.sock`, and pass its path with --socket if it is elsewhere";

fn one(path: &Path, source: &str, is_there: impl Fn(&Path) -> bool) -> Result<PathBuf, Failure> {
    // It may be spelled as in DOCKER_HOST.
    let path = path.to_str().and_then(|text| text.strip_prefix("unix://")).map_or(path, Path::new);
    if is_there(path) {
        return Ok(path.to_owned());
    }
    Err(Failure::permanent(format!("{source}: the socket {} does not exist; {HOW}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_goes_before_docker_host_and_that_before_the_usual_ones() {
        let mut wishes = SocketChoice {
            asked: Some("/a.sock".into()),
            docker_host: Some("unix:///b.sock".into()),
            runtime_dir: Some("/run/user/1000".into()),
        };
        let found = |wishes: &SocketChoice| wishes.socket(|_| true).unwrap();
        assert_eq!(found(&wishes), Path::new("/a.sock"));
        wishes.asked = Some("unix:///a.sock".into());
        assert_eq!(found(&wishes), Path::new("/a.sock"));
        wishes.asked = None;
        assert_eq!(found(&wishes), Path::new("/b.sock"));
        wishes.docker_host = None;
        assert_eq!(found(&wishes), Path::new("/run/user/1000/podman/podman.sock"));
        let docker = wishes.socket(|path| path.ends_with("docker.sock")).unwrap();
        assert_eq!(docker, Path::new("/var/run/docker.sock"));
    }

    #[test]
    fn an_empty_variable_is_none() {
        let choice = SocketChoice::of(None, |_| Some(OsString::new()));
        let mut tried = choice.usual().into_iter();
        assert!(choice.docker_host.is_none() && tried.all(|path| path.is_absolute()), "{choice:?}");
        let empty = SocketChoice { docker_host: Some("unix://".into()), ..SocketChoice::default() };
        assert!(empty.socket(|_| true).unwrap_err().message.contains("expected: unix:///PATH"));
    }

    #[test]
    fn where_there_is_none_all_that_were_tried_are_named_and_what_to_do() {
        let wishes = SocketChoice { runtime_dir: Some("/run/user/1000".into()), ..SocketChoice::default() };
        let message = wishes.socket(|_| false).unwrap_err().message;
        for part in [
            "/run/user/1000/podman/podman.sock",
            "/run/podman/podman.sock",
            "/var/run/docker.sock",
            "podman system service --time 0 unix:///",
            "systemctl --user start podman.socket",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn another_machine_and_a_missing_socket_are_refused() {
        let wishes = SocketChoice { docker_host: Some("tcp://h:2375".into()), ..SocketChoice::default() };
        assert!(wishes.socket(|_| true).unwrap_err().message.contains("\"tcp://h:2375\""));
        let wishes = SocketChoice { asked: Some("/a.sock".into()), ..SocketChoice::default() };
        assert!(
            wishes
                .socket(|_| false)
                .unwrap_err()
                .message
                .contains("--socket: the socket /a.sock does not exist")
        );
    }
}

//! Servers that accept connections and never answer: what is waited for is said within seconds, and the wait ends.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::Place;

/// Exit status and standard error.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn a_server_that_never_answers_is_named_within_seconds_and_ends_each_command() {
    // The kernel accepts.
    let (listener, place) = (TcpListener::bind("127.0.0.1:0").unwrap(), Place::new());
    let url = format!("http://{}", listener.local_addr().unwrap());
    let socket = place.path().join("podman.sock");
    let _service = UnixListener::bind(&socket).unwrap();
    place.put(&url, json!({}));
    let api = format!("the API server {url} (context \"test\")");
    let podman = format!("podman at {}", socket.display());
    let of_podman = ["--engine", "podman", "--socket", socket.to_str().unwrap()];
    let no_version =
        format!("cannot get the version of the API server: {url} (context \"test\"): no answer within 10 s");
    let negotiation = format!(
        "{}: negotiate the API version: no answer within 10 s; check that the service runs",
        socket.display()
    );
    let cases = [
        (vec!["plan", "--engine", "kubernetes"], format!("{api}: preflight"), no_version.clone()),
        (vec!["run", "--engine", "kubernetes"], format!("{api}: preflight"), no_version),
        (
            vec!["clean"],
            format!("{api}, namespace workload: list of leftovers"),
            format!(
                "{url} (context \"test\"), user \"test\" of the kubeconfig: listing deployments of workload"
            ),
        ),
        (
            [&["run", "--memory", "5M"][..], &of_podman].concat(),
            format!("{podman}: preflight"),
            negotiation.clone(),
        ),
        ([&["clean"][..], &of_podman].concat(), format!("{podman}: list of leftovers"), negotiation),
    ];
    // All at once: each takes 10 s.
    let children = cases.map(|(arguments, waits_for, error)| {
        let child = place.ramp(&arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        (arguments, child, waits_for, error)
    });
    for (arguments, child, waits_for, error) in children {
        let (status, said) = ended(child);
        assert_eq!(status, Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with(&format!("  ! waiting for {waits_for} (3 s)\n")), "{arguments:?}: {said}");
        assert!(said.contains(&format!("error: {error}")), "{arguments:?}: {said}");
    }
}

#[test]
fn an_interrupt_ends_a_preflight_that_is_not_answered() {
    let (listener, place) = (TcpListener::bind("127.0.0.1:0").unwrap(), Place::new());
    place.put(&format!("http://{}", listener.local_addr().unwrap()), json!({}));
    let mut child = place.ramp(&["run", "--engine", "kubernetes"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let (mut first, mut rest) = (String::new(), String::new());
    stderr.read_line(&mut first).unwrap();
    assert!(first.contains("waiting for the API server http://127.0.0.1:"), "{first}");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), rest.as_str()),
        (Some(130), "  ! interrupted: nothing was created\n")
    );
}

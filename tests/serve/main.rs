//! HTTP endpoints served with `--listen`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{ChildStderr, Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use support::{Records, Running, started, wait_for};
use workload::report::{Kind, NodeReport, Record, Unit, WorkloadReport};

/// The program, listening on a port that was free.
struct Serving {
    running: Running,
    /// From behind the line that says where it listens.
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Serving {
    fn start(args: &[&str]) -> Self {
        Self::writing_to(Stdio::null(), args)
    }

    fn writing_to(stdout: Stdio, args: &[&str]) -> Self {
        Self::listening_on("127.0.0.1:0", stdout, args)
    }

    fn listening_on(address: &str, stdout: Stdio, args: &[&str]) -> Self {
        let mut command = support::workload();
        command.args(args).args(["--listen", address, "--duration", "60s"]);
        let mut running = started(command.stdout(stdout).stderr(Stdio::piped())).expect("the program starts");
        let mut stderr = BufReader::new(running.child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("listening on http://") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("UTF-8") > 0, "it says where it listens");
        }
        let address = line.trim().rsplit("http://").next().expect("an address");
        let address = address.parse().expect("IP and port");
        Self { running, stderr, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
        stream
    }

    /// Status line and headers, and the body.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers, whole, and hangs up");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }
}

/// The names as metrics of all fields that records have told.
fn metric_names<K: Kind>(prefix: &str, records: &[Value]) -> BTreeSet<String> {
    let fields = K::FIELDS.iter().filter(|field| field.is_in(Record::Start));
    let fields = fields.filter(|field| !matches!(field.name, "record" | "time" | "settings"));
    let told = fields.filter(|field| records.iter().any(|record| !record[field.name].is_null()));
    told.map(|field| {
        let info = if matches!(field.unit, Unit::None) { "_info" } else { "" };
        format!("{prefix}_{}{info}", field.name)
    })
    .collect()
}

/// The names of all samples of a text.
fn sample_names(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().expect("a name").to_owned()).collect()
}

/// Compares the metrics with the first record and the first one that has `last`, which is what comes last.
fn metrics_are_what_records_tell<K: Kind>(prefix: &str, last: &str, args: &[&str]) {
    const LIMIT: Duration = Duration::from_secs(20);
    let args = [args, &["--format", "json", "--report-every", "300ms"]].concat();
    let mut serving = Serving::writing_to(Stdio::piped(), &args);
    let mut records = Records::of(&mut serving.running.child);
    let first = records.next().expect("a record");
    let later =
        records.wait_for(last, LIMIT, |record| record["record"] == "report" && !record[last].is_null());
    let told = metric_names::<K>(prefix, &[first, later]);
    // Shortly after a report there are no rates.
    let served = wait_for(last, LIMIT, || {
        let names = sample_names(&serving.get("/metrics").1);
        names.contains(&format!("{prefix}_{last}")).then_some(names)
    });
    assert!(told.len() > 20, "{told:?}");
    let (lost, unknown) = (told.difference(&served), served.difference(&told));
    let (lost, unknown): (Vec<_>, Vec<_>) = (lost.collect(), unknown.collect());
    assert!(lost.is_empty() && unknown.is_empty(), "no metrics: {lost:?}, in no record: {unknown:?}");
}

#[test]
fn all_addresses_are_those_of_ipv4_and_ipv6() {
    let mut serving = Serving::listening_on("[::]:0", Stdio::null(), &["--memory", "5M"]);
    for address in ["127.0.0.1", "::1"] {
        serving.address.set_ip(address.parse().unwrap());
        assert!(serving.get("/healthz").0.starts_with("HTTP/1.1 200"), "{address}");
    }
}

#[test]
fn metrics_are_the_fields_of_the_records() {
    let args = ["--memory", "10M", "--growth-rate", "instant", "--cpu", "0.1"];
    metrics_are_what_records_tell::<WorkloadReport>("workload", "work_rate_of_best_ratio", &args);
}

#[test]
fn metrics_of_a_node_are_the_fields_of_its_records() {
    metrics_are_what_records_tell::<NodeReport>("workload_node", "memory_available_bytes", &["node"]);
}

#[test]
fn metrics_come_as_openmetrics_with_units() {
    let serving = Serving::start(&["--memory", "10M", "--growth-rate", "instant"]);
    let (head, body) = serving.get("/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(body.contains("# UNIT workload_memory_resident_bytes bytes\n"), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[test]
fn a_node_is_ready_at_once() {
    assert!(Serving::start(&["node"]).get("/readyz").0.starts_with("HTTP/1.1 200"));
}

#[test]
fn it_is_ready_when_all_memory_is_held_and_says_why_not_before() {
    let serving = Serving::start(&["--memory", "30M", "--growth-rate", "20M/s"]);
    let (head, body) = serving.get("/readyz");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(body.starts_with("growing: ") && body.ends_with(" of 30.00 MB\n"), "{body}");
    assert!(serving.get("/healthz").0.starts_with("HTTP/1.1 200"), "it lives all the same");
    let ready = wait_for("it to be ready", Duration::from_secs(20), || {
        let (head, body) = serving.get("/readyz");
        head.starts_with("HTTP/1.1 200").then_some(body)
    });
    assert!(ready.starts_with("holding 30.0"), "{ready}");
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_refused_with_a_way_out() {
    let serving = Serving::start(&[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n".to_owned(), "405"),
        ("\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
        (format!("GET /healthz HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(5000)), "431"),
        (format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: a\r\n".repeat(65)), "431"),
    ] {
        let (head, body) = serving.ask(&request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {head}");
        assert!(body.contains("/metrics"), "{body}");
    }
    let (head, body) = serving.ask("HEAD /healthz HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{head} {body}");
}

#[test]
fn a_long_token_and_many_header_fields_are_taken() {
    let serving = Serving::start(&[]);
    let token = format!("Authorization: Bearer {}\r\n", "a".repeat(3500));
    for fields in [token, "A: a\r\n".repeat(64)] {
        let (head, _) = serving.ask(&format!("GET /healthz HTTP/1.1\r\n{fields}\r\n"));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

#[test]
fn a_request_may_come_in_pieces() {
    let serving = Serving::start(&[]);
    let mut stream = serving.connect();
    for piece in ["GET /hea", "lthz HT", "TP/1.1\r\nHost: a\r\n", "\r\n"] {
        stream.write_all(piece.as_bytes()).expect("it reads");
        std::thread::sleep(Duration::from_millis(30));
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn an_address_that_cannot_be_had_ends_it_with_what_to_do() {
    let serving = Serving::start(&[]);
    for taken in [serving.address.to_string(), format!(":{}", serving.address.port())] {
        for mode in [&[][..], &["node"]] {
            let mut command = support::workload();
            let output = command.args(mode).args(["--listen", &taken]).output().expect("the program starts");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{words}");
            assert!(words.contains(&format!("--listen {taken}: ")) && words.contains("in use"), "{words}");
        }
    }
}

/// Whether it answers at one of the loopback addresses.
fn answers(serving: &Serving, address: IpAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect((address, serving.address.port())) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).is_ok() && text.starts_with("HTTP/1.1 200")
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

#[test]
fn a_port_alone_is_served_on_every_protocol_that_the_host_has() {
    for (address, on) in [(":0", LOOPBACK.to_vec()), ("127.0.0.1:0", LOOPBACK[..1].to_vec())] {
        let serving = Serving::listening_on(address, Stdio::null(), &[]);
        for loopback in LOOPBACK {
            // A machine may have no IPv6.
            let is_expected = on.contains(&loopback) && TcpListener::bind((loopback, 0)).is_ok();
            assert_eq!(answers(&serving, loopback), is_expected, "{address} at {loopback}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn where_ipv6_is_disabled_it_serves_on_ipv4() {
    // A network namespace is that of one thread and its children.
    let test = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("root can");
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("iproute2 is installed").success());
        std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").expect("root can");
        for address in [":0", "0.0.0.0:0", "[::]:0"] {
            let serving = Serving::listening_on(address, Stdio::null(), &[]);
            assert_eq!(LOOPBACK.map(|loopback| answers(&serving, loopback)), [true, false], "{address}");
        }
        let output = support::workload().args(["--listen", "[::1]:0"]).output().expect("the program starts");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(
            words.contains("--listen [::1]:0: ") && words.contains("its protocol is disabled"),
            "{words}"
        );
    });
    test.join().expect("it serves on IPv4");
}

#[test]
#[ignore = "needs Python's prometheus_client"]
fn a_strict_parser_takes_the_metrics() {
    const SCRIPT: &str = "import sys; from prometheus_client.openmetrics.parser import \
                          text_string_to_metric_families as p; print(len(list(p(sys.stdin.read()))))";
    for serving in [Serving::start(&["--memory", "10M", "--cpu", "0.1"]), Serving::start(&["node"])] {
        // The second time there are rates as well.
        std::thread::sleep(Duration::from_millis(1500));
        let (_, body) = serving.get("/metrics");
        let mut python = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed");
        python.stdin.take().expect("a pipe").write_all(body.as_bytes()).expect("it reads");
        let output = python.wait_with_output().expect("it is ours");
        assert!(output.status.success(), "{body}");
        let families = String::from_utf8_lossy(&output.stdout).trim().parse::<usize>().expect("a number");
        assert!(families > 30, "{families} families: {body}");
    }
}

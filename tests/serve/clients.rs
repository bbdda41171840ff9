//! Hostile and excessive HTTP clients.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::Serving;
use super::support::{Records, rollup, wait_for};

/// So long may a request take.
const DEADLINE: Duration = Duration::from_secs(2);
/// What keeps a program busy that has no load.
const IDLE: [&str; 6] = ["--memory", "0", "--cpu", "0", "--report-every", "1h"];

impl Serving {
    fn pid(&self) -> u32 {
        self.running.child.id()
    }

    fn resident(&self) -> u64 {
        rollup(self.pid(), "Rss").expect("it runs")
    }

    /// CPU time of all its threads.
    fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let used = threads.map(|thread| {
            let path = thread.expect("it runs").path().join("schedstat");
            let text = fs::read_to_string(path).expect("no thread ends");
            text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).expect("documented")
        });
        Duration::from_nanos(used.sum())
    }

    /// How often its first thread, which serves, has gone to sleep.
    fn sleeps(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).expect("documented")
    }

    /// Waits until it holds so many connections.
    fn wait_for_connections(&self, count: usize) {
        let descriptors = format!("/proc/{}/fd", self.pid());
        wait_for("connections", Duration::from_secs(10), || {
            let links =
                fs::read_dir(&descriptors).ok()?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
            (sockets == count + 1).then_some(())
        });
    }

    /// Lets it have so many connections at once; gives the limit for none.
    fn leave_descriptors(&self, connections: u32) {
        // It runs, and nobody is connected.
        assert!(self.get("/healthz").0.starts_with("HTTP/1.1 200"));
        self.wait_for_connections(0);
        let is_used = |number: &u32| fs::read_link(format!("/proc/{}/fd/{number}", self.pid())).is_ok();
        let used = (0..).take_while(is_used).count();
        self.limit_descriptors(u32::try_from(used).expect("few") + connections);
    }

    fn limit_descriptors(&self, count: u32) {
        let pid = self.pid().to_string();
        let limit = format!("--nofile={count}:");
        let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(status.expect("util-linux is installed").success());
    }
}

/// Waits until the server has hung up.
fn is_hung_up_on(stream: &mut TcpStream) {
    match stream.read(&mut [0; 16]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("nothing was asked, and that came: {other:?}"),
    }
}

#[test]
fn who_asks_nothing_is_hung_up_on_at_the_deadline() {
    let serving = Serving::start(&[]);
    let begin = Instant::now();
    is_hung_up_on(&mut serving.connect());
    let waited = begin.elapsed();
    assert!(waited >= DEADLINE && waited < 2 * DEADLINE, "{waited:?}");
}

#[test]
fn clients_that_never_end_are_hung_up_on_and_cost_no_memory() {
    let mut serving = Serving::writing_to(Stdio::piped(), &["--format", "json"]);
    let mut records = Records::of(&mut serving.running.child);
    records.wait_for("report", Duration::from_secs(10), |record| record["record"] == "report");
    let before = serving.resident();
    let begin = Instant::now();
    let mut silent: Vec<_> = (0..40).map(|_| serving.connect()).collect();
    // Asks, and never reads; and never ends to ask.
    let mut deaf: Vec<_> = (0..40).map(|_| serving.connect()).collect();
    for (index, stream) in deaf.iter_mut().enumerate() {
        let end = if index % 2 == 0 { "\r\n\r\n".into() } else { "a".repeat(4000) };
        // It may have been hung up on already.
        let _ = write!(stream, "GET /metrics HTTP/1.1\r\nA: {end}");
    }
    let asked = Instant::now();
    assert!(serving.get("/healthz").0.starts_with("HTTP/1.1 200"), "others are served");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    silent.iter_mut().for_each(is_hung_up_on);
    assert!(begin.elapsed() < 2 * DEADLINE, "{:?}", begin.elapsed());
    let grown = serving.resident().saturating_sub(before);
    assert!(grown <= 64 << 10, "{grown} bytes more");
}

#[test]
fn where_no_cpu_was_asked_for_clients_cost_next_to_none() {
    const TIME: Duration = Duration::from_secs(3);
    for args in [&IDLE, &["node", "--report-every", "1h"][..]] {
        let serving = Serving::start(args);
        let _ = serving.get("/metrics");
        let (before, begin) = (serving.cpu_time(), Instant::now());
        let insist = |path| {
            while begin.elapsed() < TIME {
                assert!(serving.get(path).0.starts_with("HTTP/1.1 200"));
            }
        };
        std::thread::scope(|scope| {
            for path in ["/metrics", "/metrics", "/readyz", "/readyz"] {
                scope.spawn(move || insist(path));
            }
        });
        let cores = (serving.cpu_time() - before).div_duration_f64(begin.elapsed());
        assert!(cores < 0.02, "{args:?}: {cores} cores");
    }
}

#[test]
fn with_no_descriptors_left_it_says_so_once_and_waits_for_some() {
    let mut serving = Serving::start(&IDLE);
    for _ in 0..2 {
        serving.leave_descriptors(0);
        let mut stream = serving.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").expect("the kernel takes it");
        stream.set_read_timeout(Some(Duration::from_millis(2500))).expect("a socket");
        let before = serving.sleeps();
        let error = stream.read(&mut [0; 16]).expect_err("nobody can be served");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        let sleeps = serving.sleeps() - before;
        assert!(sleeps < 20, "{sleeps} wake-ups in 2.5 s");
        serving.limit_descriptors(1000);
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, whole");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    serving.running.signal(Signal::SIGTERM);
    let mut said = String::new();
    serving.stderr.read_to_string(&mut said).expect("UTF-8");
    assert_eq!(said.matches("cannot accept connections").count(), 2, "once each time: {said}");
    assert!(said.contains("Too many open files"), "{said}");
}

#[test]
fn with_no_descriptors_left_the_oldest_connection_makes_room() {
    let serving = Serving::start(&IDLE);
    serving.leave_descriptors(1);
    let begin = Instant::now();
    let mut silent = serving.connect();
    serving.wait_for_connections(1);
    assert!(serving.get("/healthz").0.starts_with("HTTP/1.1 200"));
    is_hung_up_on(&mut silent);
    assert!(begin.elapsed() < DEADLINE, "not at the deadline: {:?}", begin.elapsed());
}

#[test]
fn with_no_descriptors_left_a_connection_stays_where_nobody_else_waits() {
    let serving = Serving::start(&["--report-every", "50ms"]);
    serving.leave_descriptors(1);
    let mut stream = serving.connect();
    for piece in ["GET /healthz", " HTTP/1.1\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).expect("it reads");
        // Each report is an occasion to look for connections.
        std::thread::sleep(Duration::from_millis(300));
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, whole");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

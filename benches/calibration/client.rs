//! Well-behaved HTTP client of the program's server. It runs in threads of this process, so its CPU time is not
//! charged to the program.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::table::{Row, Table};

/// Longer than any answer may take: what takes this long is an answer that did not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Asks for a path and gives the body of the answer, which must be of status 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let told = |error: std::io::Error| format!("GET {path}: {error}");
    let mut stream = connect(address).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(told)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("GET {path}: no end of the head in {answer:?}"))?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(body.to_owned())
    } else {
        Err(format!("GET {path}: {status:?}"))
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let begin = Instant::now();
    loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            // All ports of this side are in use, by a flood of our own: not the server's doing.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable && begin.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// Ends what goes on beside a measurement, also where that panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `other` in a thread of its own, told to end when `measure` has ended; gives what both gave.
pub(crate) fn beside<R: Send, T>(
    other: impl FnOnce(&AtomicBool) -> R + Send,
    measure: impl FnOnce() -> T,
) -> (R, T) {
    let ended = AtomicBool::new(false);
    scope(|scope| {
        let other = scope.spawn(|| other(&ended));
        let ends = Ends(&ended);
        let had = measure();
        drop(ends);
        (other.join().expect("it does not panic"), had)
    })
}

/// How requests for one path, made at a regular pace, were answered.
#[derive(Default)]
pub(crate) struct Answers {
    good: usize,
    failures: Vec<String>,
    slowest: Duration,
}

impl Answers {
    /// Asks at this pace until told to end; `check` says what is wrong with a body.
    pub(crate) fn ask(
        &mut self,
        address: SocketAddr,
        path: &str,
        every: Duration,
        check: fn(&str) -> Result<(), String>,
        ended: &AtomicBool,
    ) {
        let mut at = Instant::now();
        while !ended.load(Ordering::Relaxed) {
            let begin = Instant::now();
            match get(address, path).and_then(|body| check(&body)) {
                Ok(()) => self.good += 1,
                Err(error) => self.failures.push(error),
            }
            self.slowest = self.slowest.max(begin.elapsed());
            at += every;
            sleep(at.saturating_duration_since(Instant::now()));
        }
    }

    /// Shows how they were answered.
    ///
    /// # Errors
    ///
    /// Where more than a few were not: then the other figures are not of a program that is being asked.
    pub(crate) fn add(self, table: &mut Table, path: &str, attacked: bool) -> Outcome<()> {
        let (all, failed) = (self.good + self.failures.len(), self.failures.len());
        let slowest =
            Row::new(format!("slowest of {all} answers to {path}"), "ms", self.slowest.as_secs_f64() * 1e3);
        table.add(slowest);
        let unanswered = Row::new("  without a good answer", "requests", failed as f64);
        // Under attack that is up to the kernel: it drops a connect when its queue is full.
        table.add(if attacked { unanswered } else { unanswered.bound(0.0) });
        if failed > if attacked { all / 2 } else { 3 } {
            let first = self.failures.first().map(String::as_str).unwrap_or_default();
            return Err(
                format!("{failed} of {all} requests without a good answer, the first: {first}").into()
            );
        }
        Ok(())
    }
}

/// Reads /metrics at 10 Hz while something is measured.
pub(crate) fn scraped<T>(answers: &mut Answers, address: SocketAddr, measure: impl FnOnce() -> T) -> T {
    let scrape = |ended: &AtomicBool| {
        answers.ask(address, "/metrics", Duration::from_millis(100), open_metrics, ended);
    };
    beside(scrape, measure).1
}

fn open_metrics(body: &str) -> Result<(), String> {
    if body.trim_end().ends_with("# EOF") {
        return Ok(());
    }
    Err(format!("a body of {} bytes that does not end in `# EOF`", body.len()))
}

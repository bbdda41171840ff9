//! Ends of the program `ramp` itself: its terminal is closed, or it is killed at any moment.
//!
//! `RAMP_TEST_ROUNDS` sets the number of rounds of each test, `RAMP_TEST_SEED` the moments, which are random otherwise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the seed, to repeat a test that fails")]

mod session;
mod study;

#[path = "../support/podman.rs"]
mod service;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use session::{Engine, Session, Terminal};

/// Rounds of a test.
fn rounds() -> u32 {
    std::env::var("RAMP_TEST_ROUNDS").map_or(3, |rounds| rounds.parse().expect("a number"))
}

fn random() -> Pcg64 {
    let chosen = std::env::var("RAMP_TEST_SEED").map(|seed| seed.parse().expect("a number"));
    let seed: u64 = chosen.unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        now.as_secs()
    });
    println!("RAMP_TEST_SEED={seed}");
    Pcg64::seed_from_u64(seed)
}

/// The terminal of a ramp with three instances is closed, as that of ramp itself, and as that of a shell with ramp in it.
fn closed_terminals(engine: &Engine) {
    for round in 0..rounds() {
        let session = Session::new(engine);
        let through = if round % 2 == 0 { Terminal::OfRamp } else { Terminal::OfShell };
        let mut ramp = session
            .on_terminal(through, &["--to", "6", "--pace", "500ms", "--settle", "500ms", "--hold", "30s"]);
        session.until_rows("steps.csv", 3, &mut ramp);
        ramp.hang_up();
        session.until_ended();
        session.is_whole("interrupted");
        assert_eq!(
            engine.left(&session.run_id().expect("it has begun")),
            Vec::<String>::new(),
            "round {round}"
        );
    }
}

/// SIGKILL at a random moment; then either `ramp clean` removes everything, or `ramp run --resume` goes on to the end.
fn killed_at_any_moment(engine: &Engine) {
    /// Longer than a whole run takes.
    const LONGEST: u64 = 7_000;
    let mut random = random();
    let mut seen = [0; 4];
    for round in 0..rounds() {
        let moment = Duration::from_millis(random.random_range(0..LONGEST));
        let session = Session::new(engine);
        let before = engine.trials();
        let options =
            ["--to", "6", "--pace", "300ms", "--settle", "500ms", "--hold", "2s", "--stop", "never"];
        session.killed_after(moment, &options);
        let what = format!("round {round}, killed after {moment:?}");
        let Some(run) = session.run_id() else {
            seen[0] += 1;
            engine.clean_trials(&before);
            continue;
        };
        if session.has_ended() {
            seen[1] += 1;
            assert_eq!(engine.left(&run), Vec::<String>::new(), "{what}");
            continue;
        }
        if round % 2 == 0 {
            seen[2] += 1;
            let (status, text) = session.ramp(&["clean"]);
            assert_eq!(status, Some(0), "{what}: {text}");
        } else {
            seen[3] += 1;
            let (status, text) = session.ramp(&["run", "--resume"]);
            assert_eq!(status, Some(0), "{what}: {text}");
            let hold = session.last_row("steps.csv", "part", "hold");
            let count = |column: &str| hold[column].parse::<u32>().expect("a number");
            assert_eq!(count("ready_instances") + count("running_instances"), 6, "{what}: {text}");
        }
        session.is_whole("");
        assert_eq!(engine.left(&run), Vec::<String>::new(), "{what}");
    }
    println!("before the run directory, after the end, cleaned, resumed: {seen:?}");
}

/// `ramp clean` by ID and by directory, and `ramp run --resume`, while the run is under way.
fn clean_leaves_a_live_run_alone(engine: &Engine) {
    let session = Session::new(engine);
    let mut ramp =
        session.on_terminal(Terminal::OfRamp, &["--to", "2", "--settle", "500ms", "--hold", "60s"]);
    session.until_rows("steps.csv", 2, &mut ramp);
    let run = session.run_id().expect("it has begun");
    let before = engine.left(&run).len();
    assert!(before > 0);
    let (status, text) = engine.clean(&run);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(&format!("run {run} is under way (process ")), "{text}");
    for words in [&["clean"][..], &["run", "--resume"]] {
        let (status, text) = session.ramp(words);
        assert!(status.is_some_and(|status| status > 0), "{words:?}: {text}");
    }
    assert_eq!(engine.left(&run).len(), before);
    ramp.hang_up();
    session.until_ended();
    session.is_whole("interrupted");
    assert_eq!(engine.left(&run), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and cgroups"]
fn local_clean_leaves_a_live_run_alone() {
    clean_leaves_a_live_run_alone(&Engine::Local);
}

#[test]
#[ignore = "needs podman"]
fn podman_clean_leaves_a_live_run_alone() {
    with_podman(clean_leaves_a_live_run_alone);
}

#[test]
#[ignore = "needs root and cgroups"]
fn local_closed_terminal() {
    closed_terminals(&Engine::Local);
}

#[test]
#[ignore = "needs root and cgroups"]
fn local_killed_at_any_moment() {
    killed_at_any_moment(&Engine::Local);
}

/// Runs a test with a service of Podman.
fn with_podman(test: fn(&Engine)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let service = runtime.block_on(service::Service::start());
    let socket: PathBuf = service.socket();
    test(&Engine::Podman(socket));
}

#[test]
#[ignore = "needs podman"]
fn podman_closed_terminal() {
    with_podman(closed_terminals);
}

#[test]
#[ignore = "needs podman"]
fn podman_killed_at_any_moment() {
    with_podman(killed_at_any_moment);
}

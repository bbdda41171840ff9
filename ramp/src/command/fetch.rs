//! `ramp fetch`: copies the results of a Job in the cluster, also while it runs, and reports on them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use workload::quantity::Bytes;

use super::error::{CommandError, INTERRUPTED};
use super::interrupts::{self, unless_interrupted};
use super::report::report_of_directory;
use super::single_run::waiting;
use crate::cli::results::FetchArgs;
use crate::engine::Failure;
use crate::engine::kubernetes::results::{JobState, ResultsJob, ResultsSource, STARTS_WITHIN};
use crate::engine::kubernetes::{self, ServerIdentity};
use crate::fetch::ResultsCopy;
use crate::serve::ResultsIndex;
use crate::ui::{error, notice, out};
use ramp_format::plan::EngineOptions;
use ramp_format::text::count;

/// Between two fetches of `--follow`, and between two looks at what does not serve yet.
const EVERY: Duration = Duration::from_secs(5);
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// How long a Job that is followed may wait until the reason is told.
const TOLD_AFTER: Duration = Duration::from_secs(10);
/// How often a transfer that fails is tried again.
const ATTEMPTS: u32 = 5;

/// What has been fetched.
#[derive(Clone, Copy, Debug, Default)]
struct Fetched {
    files: u64,
    bytes: u64,
    /// Whether the study or run has ended: there will be no more.
    ended: bool,
}

/// Fetches, and reports.
///
/// # Errors
/// If the Job or its results cannot be reached, or the copy cannot be written. What was fetched stays, and the next attempt adds to it.
pub(super) async fn fetch(args: &FetchArgs) -> Result<ExitCode, CommandError> {
    let directory = args.out.clone().unwrap_or_else(|| PathBuf::from(&args.job));
    let mut copy = ResultsCopy::open(&directory).map_err(|error| copying(&error))?;
    let interrupts = interrupts::count();
    let fetched = match &args.from {
        Some(url) => {
            unless_interrupted(&interrupts, fetch_from_url(args, url, &mut copy)).await.transpose()?
        }
        None => fetch_from_job(args, &mut copy, &interrupts).await?,
    };
    let Some(fetched) = fetched else {
        notice(&format!("interrupted: run it again to add what is missing to {}", directory.display()));
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let state = if fetched.ended { "complete" } else { "still under way; run it again to add what is new" };
    let (files, bytes) = (count(fetched.files, "file"), Bytes(fetched.bytes).rounded());
    out(&format!("{}: {files}, {bytes} fetched ({state})", directory.display()));
    if args.no_report || !copy.has_results() {
        return Ok(ExitCode::SUCCESS);
    }
    out("");
    Ok(report_of_directory(&directory))
}

async fn fetch_from_url(
    args: &FetchArgs,
    url: &str,
    copy: &mut ResultsCopy,
) -> Result<Fetched, CommandError> {
    let source = ResultsSource::at(url).await?;
    let mut all = Fetched::default();
    loop {
        all = all.and(with_retries(&source, copy).await?);
        if all.ended || !args.follow {
            return Ok(all);
        }
        sleep(EVERY).await;
    }
}

/// None if it is interrupted.
async fn fetch_from_job(
    args: &FetchArgs,
    copy: &mut ResultsCopy,
    interrupts: &watch::Receiver<u32>,
) -> Result<Option<Fetched>, CommandError> {
    let options = EngineOptions { context: args.context.clone(), ..EngineOptions::default() };
    let (client, server) = kubernetes::connect(&options).await?;
    let job = ResultsJob::new(client, args.namespace.clone(), args.job.clone());
    let running = unless_interrupted(interrupts, fetch_while_running(args, &job, &server, copy)).await;
    let Some((all, has_ended)) = running.transpose()? else { return Ok(None) };
    if !has_ended {
        return Ok(Some(all));
    }
    Ok(fetch_again(&job, copy, interrupts).await?.map(|last| all.and(last)))
}

/// What the Job's own pod serves, and whether the Job has ended.
async fn fetch_while_running(
    args: &FetchArgs,
    job: &ResultsJob,
    server: &ServerIdentity,
    copy: &mut ResultsCopy,
) -> Result<(Fetched, bool), CommandError> {
    let (name, namespace) = (&args.job, &args.namespace);
    let mut all = Fetched::default();
    let mut said = String::new();
    // Once for as long as it is so.
    let mut tell = |why: String| {
        if said != why {
            notice(&why);
            said = why;
        }
    };
    let patience = if args.follow { TOLD_AFTER } else { STARTS_WITHIN };
    loop {
        match served(job, patience).await.map_err(|failure| server.failed(failure))? {
            JobState::Served { pod, port } => match with_retries(&job.source(&pod, port), copy).await {
                Ok(fetched) => {
                    all = all.and(fetched);
                    if !args.follow {
                        return Ok((all, false));
                    }
                }
                // It has ended, or moved to another node, meanwhile.
                Err(failure) if args.follow => tell(failure.message),
                Err(failure) => return Err(failure.into()),
            },
            JobState::Waiting(why) if args.follow => tell(format!("job/{name}: {why}")),
            JobState::Waiting(why) => return Err(CommandError::Failed(format!("job/{name}: {why}"))),
            JobState::Complete => return Ok((all, true)),
            JobState::Failed(why) => {
                error(&format!(
                    "job/{name} has failed: {why}; see: kubectl --namespace {namespace} logs job/{name}"
                ));
                return Ok((all, true));
            }
        }
        sleep(EVERY).await;
    }
}

/// Where the Job stands, once it serves or has ended; what it waits for where that takes too long.
async fn served(job: &ResultsJob, patience: Duration) -> Result<JobState, Failure> {
    let end = Instant::now() + patience;
    loop {
        let state = job.state().await?;
        if !matches!(state, JobState::Waiting(_)) || Instant::now() >= end {
            return Ok(state);
        }
        sleep(LOOKED_AT_EVERY).await;
    }
}

/// From a pod of its own, which is removed afterwards. None if it is interrupted.
async fn fetch_again(
    job: &ResultsJob,
    copy: &mut ResultsCopy,
    interrupts: &watch::Receiver<u32>,
) -> Result<Option<Fetched>, CommandError> {
    let (pod, port) = job.serve_again().await?;
    let fetching = async {
        let what = format!("pod/{pod}, which serves the results");
        let starting = waiting(&what, until_serving(job, &pod));
        timeout(STARTS_WITHIN, starting).await.unwrap_or_else(|_| {
            Err(Failure::transient(format!("pod/{pod} has not started within {} s", STARTS_WITHIN.as_secs())))
        })?;
        with_retries(&job.source(&pod, port), copy).await
    };
    let fetched = unless_interrupted(interrupts, fetching).await;
    let removed = job.remove(&pod).await;
    let fetched = fetched.transpose()?;
    removed?;
    Ok(fetched)
}

async fn until_serving(job: &ResultsJob, pod: &str) -> Result<(), Failure> {
    loop {
        if job.is_serving(pod).await? {
            return Ok(());
        }
        sleep(LOOKED_AT_EVERY).await;
    }
}

/// Tries again where a connection is lost, from where it was lost.
async fn with_retries(source: &ResultsSource, copy: &mut ResultsCopy) -> Result<Fetched, Failure> {
    let mut attempt = 1;
    loop {
        match fetch_once(source, copy).await {
            Err(failure) if failure.transient && attempt < ATTEMPTS => {
                attempt += 1;
                sleep(LOOKED_AT_EVERY).await;
            }
            other => return other,
        }
    }
}

async fn fetch_once(source: &ResultsSource, copy: &mut ResultsCopy) -> Result<Fetched, Failure> {
    let permanent = |error: io::Error| Failure::permanent(error.to_string());
    let text = source.text("/files").await?;
    let index: ResultsIndex = serde_json::from_str(&text)
        .map_err(|error| Failure::permanent(format!("/files: {error}; expected the answer of ramp serve")))?;
    let mut fetched = Fetched { ended: index.ended, ..Fetched::default() };
    for transfer in copy.missing(&index).map_err(permanent)? {
        let mut file = copy.begin(&transfer).map_err(permanent)?;
        let write = |chunk: &[u8]| {
            fetched.bytes += chunk.len() as u64;
            file.write_all(chunk)
        };
        source.file(&transfer.file.path, transfer.from, write).await?;
        copy.end(&transfer).map_err(permanent)?;
        fetched.files += 1;
    }
    copy.remove_others(&index).map_err(permanent)?;
    Ok(fetched)
}

impl Fetched {
    fn and(self, later: Self) -> Self {
        Self { files: self.files + later.files, bytes: self.bytes + later.bytes, ended: later.ended }
    }
}

fn copying(error: &io::Error) -> CommandError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => CommandError::Input(error.to_string()),
        _ => CommandError::Failed(error.to_string()),
    }
}

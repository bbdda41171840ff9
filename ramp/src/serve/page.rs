//! The page of results that are still written: made anew when it is asked for and something has changed, but not often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::files::ResultsIndex;

/// Between two pages.
const LEAST_AGE: Duration = Duration::from_secs(5);
/// Between two pages, per time that one takes: a twentieth of a core at most.
const AGE_PER_COST: u32 = 20;

/// Makes the page of a directory; why there is none.
pub(crate) type PageOf = fn(&Path) -> Result<String, String>;

/// The page, and what makes it.
#[derive(Debug)]
pub(super) struct LivePage {
    page_of: PageOf,
    /// The one that was made last.
    last: Mutex<Option<MadePage>>,
}

#[derive(Clone, Debug)]
struct MadePage {
    html: String,
    version: u64,
    ended: bool,
    /// When another one may be made.
    until: Instant,
}

/// Answer to `GET /state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PageState {
    /// Of the page that would be served now.
    version: u64,
    /// Whether nothing changes any more.
    ended: bool,
}

impl LivePage {
    pub(super) fn of(page_of: PageOf) -> Self {
        Self { page_of, last: Mutex::new(None) }
    }

    /// The page of a directory.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(&self, directory: &Path) -> Result<String, String> {
        let mut last = self.last.lock().await;
        if let Some(made) = last.as_ref().filter(|made| Instant::now() < made.until) {
            return Ok(made.html.clone());
        }
        let index = index_of(directory).await;
        let version = index.version();
        if let Some(made) = last.as_ref().filter(|made| made.version == version) {
            return Ok(made.html.clone());
        }
        let (begin, path, page_of) = (Instant::now(), directory.to_owned(), self.page_of);
        let made = spawn_blocking(move || page_of(&path)).await;
        let html = made.map_err(|error| error.to_string()).and_then(|made| made)?;
        let ended = index.ended;
        let html = live(&html, version, ended);
        let until = Instant::now() + LEAST_AGE.max(begin.elapsed() * AGE_PER_COST);
        *last = Some(MadePage { html: html.clone(), version, ended, until });
        Ok(html)
    }

    /// What page there is.
    pub(super) async fn state(&self, directory: &Path) -> PageState {
        let last = self.last.lock().await.as_ref().map(|made| (made.version, made.ended, made.until));
        match last {
            Some((version, ended, until)) if Instant::now() < until => PageState { version, ended },
            _ => {
                let index = index_of(directory).await;
                PageState { version: index.version(), ended: index.ended }
            }
        }
    }
}

/// Off the thread of the run: a disk may be slow.
pub(super) async fn index_of(directory: &Path) -> ResultsIndex {
    let path: PathBuf = directory.to_owned();
    let read = spawn_blocking(move || ResultsIndex::read(&path)).await;
    read.unwrap_or(ResultsIndex { ended: false, results: None, files: Vec::new() })
}

/// The page as that of a report, with what asks for the next one. Its policy allows no request; this one to its own server.
fn live(html: &str, version: u64, ended: bool) -> String {
    let policy = "default-src 'none';";
    let html = html.replacen(policy, &format!("{policy} connect-src 'self'; script-src 'unsafe-inline';"), 1);
    let state = if ended { "ended" } else { "under way" };
    let script = format!(
        "<p id=\"live\" role=\"status\" style=\"margin:0;padding:.3rem 1rem;text-align:center;font-size:.85rem\">{state}</p>\n\
         <script>{}</script>\n</body>",
        include_str!("live.js").replace("VERSION", &version.to_string()).replace("ENDED", &ended.to_string())
    );
    html.replacen("</body>", &script, 1)
}

//! `ramp serve`: the page and the files of a directory of results by HTTP.

use std::process::ExitCode;

use tokio::time::sleep;

use super::CommandError;
use super::interrupts::{self, unless_interrupted};
use super::report::page_of;
use crate::cli::results::ServeArgs;
use crate::serve::BoundServer;
use crate::ui::out;

/// Serves until it is interrupted, or its time is over.
///
/// # Errors
/// If there is no such directory, or the address cannot be bound.
pub(super) async fn serve(args: &ServeArgs) -> Result<ExitCode, CommandError> {
    let at = args.directory.display();
    if !args.directory.is_dir() {
        return Err(CommandError::Input(format!(
            "{at}: no such directory; expected that of a run or a study"
        )));
    }
    let interrupts = interrupts::count();
    let server = BoundServer::bind(args.listen).await?.serve(&args.directory, page_of);
    out(&format!("{at}: {}", server.url));
    let over = async {
        match args.duration {
            Some(duration) => sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    // Either way it has done what it was asked.
    let _ = unless_interrupted(&interrupts, over).await;
    Ok(ExitCode::SUCCESS)
}

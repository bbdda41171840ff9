//! The server of the results of a run or a study, while it goes on.

use std::path::Path;

use super::CommandError;
use super::report::page_of;
use crate::cli::results::ServeOption;
use crate::serve::{BoundServer, ResultsServer};
use crate::ui::View;

/// The server of a run or a study, if one is asked for: what cannot be bound is told before anything begins.
pub(super) async fn bound(option: &ServeOption) -> Result<Option<BoundServer>, CommandError> {
    match option.serve {
        Some(address) => Ok(Some(BoundServer::bind(address).await?)),
        None => Ok(None),
    }
}

/// Serves a directory, and says where.
pub(super) fn serve_results(server: BoundServer, directory: &Path, view: &View) -> ResultsServer {
    let server = server.serve(directory, page_of);
    view.say(&format!("page: {}", server.url));
    server
}

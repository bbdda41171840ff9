//! What there is before the first step.

use kube::Client;

use crate::engine::{Failure, Order, Survey};

/// TODO
pub(super) async fn survey(_client: &Client, _namespace: &str, _order: &Order) -> Result<Survey, Failure> {
    Ok(Survey::default())
}

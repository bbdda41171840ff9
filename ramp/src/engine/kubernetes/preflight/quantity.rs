//! Quantities of the API: numbers of resources, and amounts of CPU and memory.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use ramp_format::scenario::resources::Amount;
use workload::quantity::{Bytes, Cores};

/// Amounts by the name of their resource.
pub(super) type Amounts = Option<BTreeMap<String, Quantity>>;

/// An amount of a resource: billionths of a core for CPU, bytes or a count for all others.
pub(super) fn number(resource: &str, text: &str) -> Result<u64, String> {
    let number = if resource.ends_with("cpu") {
        Cores::from_manifest(text).map(Cores::as_nano)
    } else {
        Bytes::from_manifest(text).map(|bytes| bytes.0)
    };
    number.map_err(|error| error.to_string())
}

/// CPU and memory of a list of resources; those that it does not name are 0.
pub(super) fn amount(amounts: &Amounts) -> Result<Amount, String> {
    let named = |name: &str| {
        let quantity = amounts.as_ref().and_then(|amounts| amounts.get(name));
        quantity.map_or(Ok(0), |quantity| number(name, &quantity.0))
    };
    Ok(Amount { memory: named("memory")?, nano_cores: named("cpu")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_writes_is_parsed() {
        assert_eq!(number("memory", "128974848000m"), Ok(128_974_848));
        assert_eq!(number("pods", "1e3"), Ok(1000));
        assert_eq!(number("memory", "1500m"), Ok(2), "a fraction rounds up");
        assert_eq!(number("requests.cpu", "100m"), Ok(100_000_000));
        assert_eq!(number("cpu", "1k"), Ok(1_000_000_000_000));
        assert!(number("memory", "1GB").unwrap_err().contains("did you mean 1G"));
        assert!(number("cpu", "x").is_err());
    }
}

//! Quantities of the API: those of `workload`, and a few more spellings that the API server writes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use workload::quantity::{Bytes, Cores};

/// Amounts by the name of their resource.
pub(super) type Amounts = Option<BTreeMap<String, Quantity>>;

/// Bytes, or any count. The API server writes a fraction of a byte in thousandths (`128974848000m`); rounded up, as
/// there.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<Bytes>().map(|bytes| bytes.0.div_ceil(1000)),
        None => text.parse::<Bytes>().map(|bytes| bytes.0),
    }
    .map_err(|error| error.to_string())
}

/// Cores. The API server writes a thousand of them as `1k`.
pub(super) fn cores(text: &str) -> Result<Cores, String> {
    let whole = || text.parse::<Bytes>().ok().map(|count| Cores::from_whole(count.0));
    text.parse::<Cores>().or_else(|error| whole().ok_or_else(|| error.to_string()))
}

/// An amount of a resource: billionths of a core for CPU, bytes or a count for all others.
pub(super) fn number(resource: &str, text: &str) -> Result<u64, String> {
    if resource.ends_with("cpu") { cores(text).map(Cores::as_nano) } else { bytes(text) }
}

/// CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    /// Bytes.
    pub(super) memory: u64,
    /// Billionths of a core.
    pub(super) nano_cores: u64,
}

impl Amount {
    /// From a list of resources; those that it does not name are 0.
    pub(super) fn of(amounts: &Amounts) -> Result<Self, String> {
        let named = |name: &str| amounts.as_ref().and_then(|amounts| amounts.get(name));
        Ok(Self {
            memory: named("memory").map_or(Ok(0), |quantity| bytes(&quantity.0))?,
            nano_cores: named("cpu").map_or(Ok(Cores::default()), |quantity| cores(&quantity.0))?.as_nano(),
        })
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            nano_cores: self.nano_cores.saturating_add(other.nano_cores),
        }
    }

    /// The larger of each.
    pub(super) fn max(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), nano_cores: self.nano_cores.max(other.nano_cores) }
    }

    /// The CPU in cores.
    pub(super) fn cores(self) -> f64 {
        Cores::from_nano(self.nano_cores).as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_writes_is_parsed() {
        assert_eq!(bytes("1Gi"), Ok(1 << 30));
        assert_eq!(bytes("1e3"), Ok(1000));
        assert_eq!(bytes("128974848000m"), Ok(128_974_848));
        assert_eq!(bytes("1500m"), Ok(2), "a fraction rounds up");
        assert_eq!(cores("100m"), Ok(Cores::from_nano(100_000_000)));
        assert_eq!(cores("1k"), Ok(Cores::from_whole(1000)));
        assert!(bytes("1GB").unwrap_err().contains("did you mean 1G"));
        assert!(cores("x").is_err());
    }
}

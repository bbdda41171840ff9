//! Overhead by size and podFixed in `ramp study report --json`, as types.

use schemars::JsonSchema;
use serde::Serialize;

use super::value_document::ValueDocument;

/// A runtime over the sizes of a scenario.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SizesDocument<'r> {
    /// The scenario.
    pub scenario: &'r str,
    /// Runtime of the base.
    pub base: &'r str,
    /// The other runtime.
    pub other: &'r str,
    /// In sentences.
    pub sentences: &'r [String],
    /// Overhead without a limit, in bytes.
    pub fixed: Option<ValueDocument>,
    /// Overhead by memory limit, in bytes a byte.
    pub per_limit: Option<ValueDocument>,
    /// Overhead by CPU limit, in bytes a core.
    pub per_cpu: Option<ValueDocument>,
    /// Whether the line fits.
    pub fit: Option<FitDocument>,
    /// Blocks.
    pub blocks: usize,
    /// Each size, and the usual limits.
    pub sizes: Vec<SizeDocument<'r>>,
    /// podFixed of the RuntimeClass; `null` where the pods have none.
    pub pod_fixed: Option<PodFixedDocument<'r>>,
    /// Why there is no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'r str>,
}

/// Whether a line fits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FitDocument {
    /// `fits`, `not_linear` or `not_checked`.
    pub answer: &'static str,
    /// The size that lies farthest from the line.
    #[serde(flatten)]
    pub farthest: Option<FarthestDocument>,
}

/// The size that lies farthest from a line.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FarthestDocument {
    /// p-value of a line.
    pub p: f64,
    /// Its memory limit.
    pub limit_bytes: Option<u64>,
    /// How far it lies above the line, in bytes.
    pub deviation: ValueDocument,
}

/// A size.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SizeDocument<'r> {
    /// What it is called.
    pub name: &'r str,
    /// Its memory limit.
    pub limit_bytes: Option<u64>,
    /// How its overhead is known: `measured`, `interpolated` or `extrapolated`.
    pub source: &'static str,
    /// Overhead in bytes.
    pub overhead: ValueDocument,
    /// What the podFixed in place is to it.
    pub pod_fixed_in_place: Option<PodFixedVerdictDocument>,
    /// Memory as seen by guests, where the loads run in some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestDocument>,
    /// What was measured beside.
    #[serde(flatten)]
    pub measured: Option<MeasuredSizeDocument<'r>>,
}

/// What was measured of a size.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MeasuredSizeDocument<'r> {
    /// Peak of the overhead, in bytes.
    pub peak: ValueDocument,
    /// CPU at rest, in cores.
    pub cpu_at_rest: ValueDocument,
    /// podFixed that it needs.
    pub needs: NeedsDocument,
    /// Pods that fit.
    pub pods: PodsDocument<'r>,
}

/// podFixed that a size needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NeedsDocument {
    /// Memory.
    pub memory_bytes: u64,
    /// CPU, in thousandths of a core.
    pub cpu_milli_cores: Option<u64>,
}

/// Pods that fit with the podFixed in place and with that which was measured.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PodsDocument<'r> {
    /// By requests of memory alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_memory_requests: Option<PodCountsDocument>,
    /// By all requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_all_requests: Option<PodCountsDocument>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'r str>,
}

/// Numbers of pods.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PodCountsDocument {
    /// With the podFixed in place.
    pub in_place: u64,
    /// With that which was measured.
    pub as_measured: u64,
}

/// Memory as guests see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GuestDocument {
    /// What the load sees as its machine.
    pub machine: &'static str,
    /// Memory of the guest.
    pub memory_total_bytes: f64,
    /// Limit and podFixed less the memory of the guest.
    pub limit_and_pod_fixed_less_memory_total: ValueDocument,
    /// What is used in the guest beyond the load.
    pub used_beyond_load: ValueDocument,
    /// What is used outside of it.
    pub outside: ValueDocument,
}

/// What a podFixed is to what is used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PodFixedVerdictDocument {
    /// `more_than_used`, `less_than_used`, `less_than_peak` or `as_used`.
    pub answer: &'static str,
    /// By how much.
    pub bytes: Option<f64>,
}

/// podFixed of a RuntimeClass.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PodFixedDocument<'r> {
    /// Its name.
    pub runtime_class: Option<&'r str>,
    /// What is known of it.
    #[serde(flatten)]
    pub found: Option<ClassDocument<'r>>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'r str>,
}

/// A RuntimeClass.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ClassDocument<'r> {
    /// Its handler.
    pub handler: &'r str,
    /// Its podFixed.
    pub in_place: InPlaceDocument,
    /// What the largest size needs.
    pub as_measured: Option<AsMeasuredDocument<'r>>,
}

/// podFixed in place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InPlaceDocument {
    /// Memory.
    pub memory_bytes: u64,
    /// CPU, in cores.
    pub cpu_cores: f64,
}

/// podFixed that the largest size needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AsMeasuredDocument<'r> {
    /// The size.
    pub size: &'r str,
    /// Memory.
    pub memory_bytes: u64,
    /// `peak`, or `mean` where no peak is known.
    pub from: &'static str,
    /// CPU, in thousandths of a core.
    pub cpu_milli_cores: Option<u64>,
    /// Why that is not known.
    pub cpu_reason: Option<&'r str>,
}

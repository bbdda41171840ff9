//! Analysis of datasets: pure estimates, each with its inputs and its interval, or why it is unavailable.

pub mod capacity;
pub mod causes;
pub mod comparison;
pub mod components;
pub mod cpu_cost;
pub mod drift;
mod estimate;
mod estimates;
pub mod exhaustion;
pub mod external_changes;
pub mod failure_modes;
pub mod goodput;
pub mod guest_memory;
pub mod instance_losses;
pub mod latency;
pub mod limits;
mod marginal_cost;
pub mod memory_parts;
pub mod mixed;
pub mod repeats;
pub mod requests;
mod resource;
pub mod results;
mod saturation;
pub mod search;
pub mod startup_burst;
pub mod startup_phases;
mod swap;
pub mod teardown;

pub(crate) use estimate::unavailable;
pub use estimate::{Estimate, Unavailable, mib};
use estimate::{NO_INSTANCES, recorded, timed};
pub use estimates::{Counted, Estimates, PerContainer, Usage};
pub use marginal_cost::{MarginalCost, SystematicError, marginal_cost};
pub use saturation::{FULL_BELOW_BYTES, IN_A_ROW, Saturation, SaturationRule, SaturationVerdict};
pub use swap::{Swapped, SwappedPerInstance, swapped_per_instance};

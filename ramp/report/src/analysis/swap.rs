//! Swapped-out memory per instance.

use rand::SeedableRng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::marginal_cost::{DRAWS, MarginalCost, interval};
use super::{Estimate, unavailable};
use crate::dataset::{Costs, KernelSwap, SwapCourse, SwappedMemory};
use crate::stats::{CONFIDENCE_PERCENT, Interval, PAGE_BYTES, SEED, mean};

/// Memory that nodes have swapped out for each instance, its own or that of others which made room for it, in bytes. Means with the
/// most instances that held their memory at once, less those before the first.
#[derive(Clone, Debug, PartialEq)]
pub struct SwappedPerInstance {
    /// On a disk.
    pub on_disk: Swapped,
    /// What compressed memory takes.
    pub compressed: Swapped,
    /// What compression saves.
    pub saved: Swapped,
    /// The instances.
    pub instances: u32,
    /// What it rests on.
    pub inputs: String,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Swapped {
    /// Bytes.
    pub bytes: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// What was drawn of what it may be.
    drawn: Vec<f64>,
}

/// Less of the cost of an instance is not worth a word.
pub(super) const MATTERS: f64 = 0.01;

impl Swapped {
    fn nothing() -> Self {
        Self { bytes: 0.0, interval: Interval { low: 0.0, high: 0.0 }, drawn: vec![0.0; DRAWS] }
    }
}

impl SwappedPerInstance {
    fn nothing(instances: u32, inputs: &str) -> Self {
        let [on_disk, compressed, saved] = std::array::from_fn(|_| Swapped::nothing());
        Self { on_disk, compressed, saved, instances, inputs: inputs.into() }
    }

    /// Whether an instance of this cost has some of it swapped out.
    #[must_use]
    pub fn matters(&self, cost: f64) -> bool {
        self.on_disk.bytes.max(self.compressed.bytes) > MATTERS * cost
    }
}

/// What nodes have swapped out for each instance. What they swap out and in besides is taken as a random walk, whose steps are those
/// between the samples before the first instance and between those with the most of them.
///
/// # Errors
/// Where samples do not tell.
pub fn swapped_per_instance(costs: &Costs) -> Estimate<SwappedPerInstance> {
    const NOT_TOLD: &str = "the samples of the nodes do not tell how much memory is swapped out";
    let kernels = match &costs.swap {
        SwapCourse::Reported(bytes) if *bytes > 0.0 => {
            let each = costs.measure.text(*bytes);
            return unavailable(format!(
                "instances report {each} of swapped-out memory each, and {NOT_TOLD}"
            ));
        }
        SwapCourse::Reported(_) if costs.measure.is_charged => {
            return Ok(SwappedPerInstance::nothing(0, "by the instances' own reports"));
        }
        SwapCourse::Reported(_) => return unavailable(NOT_TOLD),
        SwapCourse::OfKernels(kernels) => kernels,
    };
    let instances: u32 = kernels.iter().map(|kernel| kernel.instances).sum();
    if instances == 0 {
        return unavailable("no sample was taken while all instances of a node held their memory");
    }
    let all = || kernels.iter().flat_map(|kernel| kernel.before.iter().chain(&kernel.with_most));
    if all().all(|(_, swapped)| *swapped == SwappedMemory::default()) {
        return Ok(SwappedPerInstance::nothing(instances, "nothing was swapped out"));
    }
    let part = |of: fn(&SwappedMemory) -> f64, seed: u64| part(kernels, instances, of, seed);
    Ok(SwappedPerInstance {
        on_disk: part(|swapped| swapped.on_disk() as f64, SEED)?,
        compressed: part(|swapped| swapped.pool as f64, SEED + 1)?,
        saved: part(|swapped| swapped.stored as f64 - swapped.pool as f64, SEED + 2)?,
        instances,
        inputs: format!(
            "{CONFIDENCE_PERCENT}% CI; swapped out with {instances} instances, less that before the first; {} samples",
            all().count()
        ),
    })
}

fn part(
    kernels: &[KernelSwap],
    instances: u32,
    of: fn(&SwappedMemory) -> f64,
    seed: u64,
) -> Estimate<Swapped> {
    let (mut sum, mut seconds, mut squares, mut steps) = (0.0, 0.0, 0.0, 0.0);
    for kernel in kernels {
        let values = |samples: &[(f64, SwappedMemory)]| -> Vec<(f64, f64)> {
            samples.iter().map(|(at, swapped)| (*at, of(swapped))).collect()
        };
        let (before, with) = (values(&kernel.before), values(&kernel.with_most));
        if before.is_empty() || with.is_empty() {
            return unavailable("a node has no sample from before its first instance");
        }
        sum += mean(&with) - mean(&before);
        seconds += (middle(&with) - middle(&before)).max(0.0);
        for pair in before.windows(2).chain(with.windows(2)) {
            let [(from, one), (to, other)] = pair else { continue };
            if to > from {
                squares += (other - one).powi(2) / (to - from);
                steps += 1.0;
            }
        }
    }
    if steps < 2.0 {
        return unavailable("too few samples before the first instance and with the most of them");
    }
    let number = f64::from(instances);
    let error = (squares / steps * seconds + kernels.len() as f64 * PAGE_BYTES * PAGE_BYTES).sqrt() / number;
    let bytes = sum / number;
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut draw = || {
        let normal: f64 = StandardNormal.sample(&mut random);
        let spread = ChiSquared::new(steps).map_or(1.0, |chi| (chi.sample(&mut random) / steps).sqrt());
        bytes + error * normal / spread.max(1e-9)
    };
    let drawn: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
    Ok(Swapped { bytes, interval: interval(&drawn)?, drawn })
}

/// The mean of the times.
fn middle(values: &[(f64, f64)]) -> f64 {
    values.iter().map(|(at, _)| at).sum::<f64>() / values.len().max(1) as f64
}

impl MarginalCost {
    /// The cost with compressed memory at its compressed size: until here memory that is swapped out counts as what it was before.
    pub(super) fn with_swap(self, swap: &SwapCourse, swapped: &Estimate<SwappedPerInstance>) -> Self {
        match (swapped, swap) {
            (Ok(swapped), _) if swapped.matters(self.bytes) => {
                let saved = &swapped.saved;
                let Interval { low, high } = self.interval;
                let drawn = self.drawn.iter().zip(saved.drawn.iter().cycle());
                Self {
                    bytes: self.bytes - saved.bytes,
                    interval: Interval { low: low - saved.interval.high, high: high - saved.interval.low },
                    drawn: drawn.map(|(cost, saved)| cost - saved).collect(),
                    inputs: format!(
                        "{}; with swapped-out memory, and compressed memory at its compressed size ({} less)",
                        self.inputs,
                        self.measure.text(saved.bytes)
                    ),
                    ..self
                }
            }
            (Err(why), SwapCourse::Reported(bytes)) if *bytes > 0.0 => {
                Self { inputs: format!("{}; {}", self.inputs, why.0), ..self }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::UNRECLAIMABLE;

    const MB: u64 = 1_000_000;

    fn costs(swap: SwapCourse) -> Costs {
        Costs { measure: &UNRECLAIMABLE, of: String::new(), series: Vec::new(), beyond: None, swap }
    }

    fn samples(from: u32, swapped: SwappedMemory) -> Vec<(f64, SwappedMemory)> {
        (from..from + 5).map(|second| (second.into(), swapped)).collect()
    }

    #[test]
    fn it_is_what_is_swapped_out_more_than_before_the_first_by_instances() {
        let before = SwappedMemory { out: 50 * MB, stored: 0, pool: 0 };
        let with = SwappedMemory { out: 450 * MB, stored: 300 * MB, pool: 100 * MB };
        let kernel = KernelSwap { instances: 10, before: samples(0, before), with_most: samples(60, with) };
        let found = swapped_per_instance(&costs(SwapCourse::OfKernels(vec![kernel]))).unwrap();
        let parts = [&found.on_disk, &found.compressed, &found.saved].map(|part| part.bytes / 1e6);
        assert_eq!(parts, [10.0, 10.0, 20.0]);
        assert!(
            found.on_disk.interval.half_width() < PAGE_BYTES,
            "nothing else was swapped out or in: {found:?}"
        );
        assert!(found.matters(100e6));
    }

    #[test]
    fn what_others_swap_widens_the_interval() {
        let moving = |from: u32| -> Vec<(f64, SwappedMemory)> {
            let out = |second: u32| u64::from(second * 7 % 5) * MB;
            (from..from + 10)
                .map(|second| (second.into(), SwappedMemory { out: out(second), stored: 0, pool: 0 }))
                .collect()
        };
        let kernel = KernelSwap { instances: 10, before: moving(0), with_most: moving(100) };
        let found = swapped_per_instance(&costs(SwapCourse::OfKernels(vec![kernel]))).unwrap();
        assert!(
            found.on_disk.interval.contains(0.0) && found.on_disk.interval.half_width() > 2e6,
            "{found:?}"
        );
    }

    #[test]
    fn without_swap_it_is_nothing_and_where_samples_do_not_tell_it_is_unavailable() {
        let nothing = samples(0, SwappedMemory::default());
        let kernel = KernelSwap { instances: 3, before: nothing.clone(), with_most: nothing };
        let found = swapped_per_instance(&costs(SwapCourse::OfKernels(vec![kernel]))).unwrap();
        assert!(found.on_disk.interval.high.abs() < 1.0 && !found.matters(1.0), "{found:?}");
        let why = swapped_per_instance(&costs(SwapCourse::Reported(0.0))).unwrap_err().0;
        assert!(why.contains("do not tell"), "{why}");
        let why = swapped_per_instance(&costs(SwapCourse::Reported(5_242_880.0))).unwrap_err().0;
        assert!(why.contains("5.0 MiB of swapped-out memory each"), "{why}");
    }
}

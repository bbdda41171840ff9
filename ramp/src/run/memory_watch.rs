//! Memory of each kernel before the first step and after the last instance: whether it has stopped changing.

use std::collections::BTreeMap;

use crate::statistics::{STEADY_FOR_SECONDS, is_steady, last, matters, mean};

/// Seconds since the run began, and bytes that nobody else can have.
type Values = Vec<(f64, f64)>;

/// Samples of quiet times, by the boot ids of their kernels.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryWatch {
    quiet: BTreeMap<String, Values>,
    after: BTreeMap<String, Values>,
    is_after: bool,
}

impl MemoryWatch {
    /// A sample of a kernel.
    pub(super) fn see(&mut self, kernel: &str, seconds: f64, bytes: f64) {
        let of = if self.is_after { &mut self.after } else { &mut self.quiet };
        match of.get_mut(kernel) {
            Some(values) => values.push((seconds, bytes)),
            None => drop(of.insert(kernel.to_owned(), vec![(seconds, bytes)])),
        }
    }

    /// The last instance is gone.
    pub(super) fn begin_after(&mut self) {
        self.is_after = true;
        self.after.clear();
    }

    /// Whether there is nothing more to wait for: that of each kernel has stopped changing, and is about what it was before. What has not
    /// come back may yet, or belong to others who go soon.
    pub(super) fn is_back(&self) -> bool {
        let is = |(kernel, quiet): (&String, &Values)| {
            let after = self.after.get(kernel).map_or(&[][..], Vec::as_slice);
            is_steady(after, quiet) == Some(true)
                && mean(last(after, STEADY_FOR_SECONDS)) - mean(quiet) <= matters(quiet)
        };
        !self.quiet.is_empty() && self.quiet.iter().all(is)
    }

    /// Whether that of each kernel which told of itself before has stopped changing; none where too little is known to tell.
    pub(super) fn is_steady(&self) -> Option<bool> {
        let each = self.quiet.iter().map(|(kernel, quiet)| is_steady(self.after.get(kernel)?, quiet));
        let known: Option<Vec<bool>> = each.collect();
        known.filter(|known| !known.is_empty()).map(|known| known.into_iter().all(|steady| steady))
    }
}

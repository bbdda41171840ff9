//! Swap of a simulated kernel: memory of its instances that is swapped out, some of it compressed.

use std::time::Duration;

use super::random::Random;
use super::world::NodeKind;

/// Memory that a kernel keeps free, as a share of all: short of it, it swaps out.
const KEPT_FREE: f64 = 0.02;
/// The most of its memory that compressed memory takes (zswap.max_pool_percent).
const POOL_AT_MOST: f64 = 0.2;
/// The most of the instances' anonymous memory that it swaps out: the rest is in use.
const SWAPPED_AT_MOST: f64 = 0.9;
/// The share of what is swapped out that has been read since and is in memory as well.
const CACHED: f64 = 0.05;
/// Memory of its own programs that is swapped out before the first instance, as a share of the swap space.
const OWN: f64 = 0.02;
/// How far that walks in a second, as a share of how far the machine's own memory does.
const OWN_WALKS: f64 = 0.1;

/// Of a record of `workload node`.
pub(super) const SWAP_FIELDS: [&str; 5] =
    ["swap_total_bytes", "swap_free_bytes", "swap_cached_bytes", "zswap_bytes", "zswapped_bytes"];

/// Memory of instances that is swapped out, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SwappedOut {
    /// All of it, at its size in memory, without what has been read since and is in memory as well.
    pub(super) all: f64,
    /// Of that: compressed, and so not on a disk.
    pub(super) stored: f64,
    /// Memory that the compressed takes.
    pub(super) pool: f64,
    /// The share of their anonymous memory that is swapped out.
    pub(super) share: f64,
}

impl SwappedOut {
    /// Memory that is free because of it.
    pub(super) fn freed(&self) -> f64 {
        self.all - self.pool
    }

    /// What has been read since.
    pub(super) fn cached(&self) -> f64 {
        CACHED * (self.all - self.stored)
    }
}

/// The swap space of a kernel.
#[derive(Clone, Debug)]
pub(super) struct SwapSpace {
    size: f64,
    cold: f64,
    ratio: Option<f64>,
    draw: Random,
    /// The random walk of what is swapped out of the machine's own programs, and when it was drawn.
    walked: (f64, Duration),
    out: SwappedOut,
}

impl SwapSpace {
    pub(super) fn of(kind: &NodeKind, draw: Random) -> Option<Self> {
        let size = kind.swap.0 as f64;
        (size > 0.0).then(|| Self {
            size,
            cold: kind.swapped,
            ratio: kind.zswap,
            draw,
            walked: (OWN * size, Duration::ZERO),
            out: SwappedOut::default(),
        })
    }

    /// Swaps out what is cold of so much anonymous memory of the instances, and what of all that is needed the memory has no room for.
    pub(super) fn swap_out(&mut self, anon: f64, needed: f64, memory: f64) -> SwappedOut {
        let gain = 1.0 - self.ratio.unwrap_or(0.0);
        let cold = self.cold * anon;
        let missing = needed - cold * gain - memory * (1.0 - KEPT_FREE);
        let room = (self.size - self.walked.0) / (1.0 + CACHED);
        let all = (cold + missing.max(0.0) / gain).min(room).min(SWAPPED_AT_MOST * anon).max(0.0);
        let stored = self.ratio.map_or(0.0, |ratio| all.min(POOL_AT_MOST * memory / ratio.max(1e-6)));
        let pool = stored * self.ratio.unwrap_or(0.0);
        self.out = SwappedOut { all, stored, pool, share: all / anon.max(1.0) };
        self.out
    }

    /// What was swapped out when it was last looked at.
    pub(super) fn out(&self) -> SwappedOut {
        self.out
    }

    /// What meminfo says, of [`SWAP_FIELDS`].
    pub(super) fn meminfo(&mut self, wander: f64, now: Duration) -> [f64; 5] {
        let (own, since) = self.walked;
        let far = OWN_WALKS * wander * now.saturating_sub(since).as_secs_f64().sqrt();
        let own = (own + far * self.draw.normal()).clamp(0.0, self.size);
        self.walked = (own, now);
        let free = (self.size - own - self.out.all - self.out.cached()).max(0.0);
        [self.size, free, self.out.cached(), self.out.pool, self.out.stored]
    }
}

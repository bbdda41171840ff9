//! State shared between the memory load's thread and its readers: the plan, the phase, the counters.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::fill::Fill;
use crate::clock::{ThreadClock, monotonic_ns};
use crate::host::Correction;
use crate::quantity::{Bytes, Rate};
use crate::target::GrowthSchedule;

/// What the memory load is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlan {
    /// Final resident set of the process; `None` grows without end.
    pub target: Option<Bytes>,
    /// How fast it gets there.
    pub rate: Rate,
    /// Step size; `None` grows smoothly.
    pub step: Option<Bytes>,
    /// What pages are filled with.
    pub fill: Fill,
    /// Every page is rewritten at least this often; `None` for never.
    pub touch_every: Option<Duration>,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Makes the pages differ from those of every other instance.
    pub seed: u64,
    /// Size of a page in bytes.
    pub page_size: usize,
    /// CPUs that may help to free everything at the end.
    pub cpus: u64,
}

/// The state of the memory load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// On its way to the target.
    Growing,
    /// It has what was asked for, and keeps it.
    Holding,
    /// The last attempt to allocate failed; it tries again.
    Limited,
}

impl Phase {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Holding => "holding",
            Self::Limited => "limited",
        }
    }

    /// Whether all memory of this target is held, where `None` is as much as there is: what `/readyz` and the field `ready`
    /// report.
    #[must_use]
    pub fn is_ready(self, target: Option<Bytes>) -> bool {
        self == Self::Holding || (self == Self::Limited && target.is_none())
    }

    fn load(from: &AtomicU8) -> Self {
        const ALL: [Phase; 3] = [Phase::Growing, Phase::Holding, Phase::Limited];
        let number = from.load(Ordering::Relaxed);
        // Only phases are ever stored.
        ALL.into_iter().find(|phase| *phase as u8 == number).unwrap_or(Self::Growing)
    }
}

/// What the thread and its readers share.
#[derive(Debug)]
pub(super) struct MemoryState {
    pub(super) clock: OnceLock<ThreadClock>,
    /// The schedule and when it began, once the program's own size is known.
    growth: Mutex<Option<(GrowthSchedule, u64)>>,
    /// The final target; `NO_TARGET` for none.
    target: AtomicU64,
    /// The process was found in another cgroup, and nobody has asked yet.
    pub(super) moved: AtomicBool,
    /// Reports that growth has waited for, and the last of them that has been written.
    pub(super) reports_asked: AtomicU64,
    pub(super) reports_out: AtomicU64,
    pub(super) populated: AtomicU64,
    /// By how much the cheap count of the resident set was off at the last exact measurement.
    correction: Mutex<Correction>,
    phase: AtomicU8,
    /// When it first held all of its memory; 0 before.
    held_ns: AtomicU64,
    pub(super) failed_allocations: AtomicU64,
    /// Even a single page was refused.
    pub(super) stuck: AtomicBool,
    pub(super) changed: EventFd,
    /// Time to give everything back.
    pub(super) ended: AtomicBool,
}

/// Stands for `--memory max`.
const NO_TARGET: u64 = u64::MAX;

impl MemoryState {
    pub(super) fn new(target: Option<Bytes>) -> io::Result<Self> {
        Ok(Self {
            clock: OnceLock::new(),
            growth: Mutex::new(None),
            target: AtomicU64::new(target.map_or(NO_TARGET, |target| target.0)),
            moved: AtomicBool::new(false),
            reports_asked: AtomicU64::new(0),
            reports_out: AtomicU64::new(0),
            populated: AtomicU64::new(0),
            correction: Mutex::default(),
            phase: AtomicU8::new(Phase::Growing as u8),
            held_ns: AtomicU64::new(0),
            failed_allocations: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            changed: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            ended: AtomicBool::new(false),
        })
    }

    /// The final target; `None` for as much as possible.
    pub(super) fn target(&self) -> Option<Bytes> {
        let target = self.target.load(Ordering::Relaxed);
        (target != NO_TARGET).then_some(Bytes(target))
    }

    pub(super) fn growth(&self) -> MutexGuard<'_, Option<(GrowthSchedule, u64)>> {
        // Nobody panics while holding it.
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn correction(&self) -> MutexGuard<'_, Correction> {
        // Nor this one.
        self.correction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_target(&self, target: Bytes) {
        self.target.store(target.0, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::load(&self.phase)
    }

    /// Moves to a phase, and signals `changed` where it is a new one.
    pub(super) fn enter(&self, phase: Phase) {
        if phase.is_ready(self.target()) && self.held_ns.load(Ordering::Relaxed) == 0 {
            // Before the phase: whoever sees that it is ready sees since when.
            self.held_ns.store(monotonic_ns(), Ordering::Release);
        }
        let before = self.phase.swap(phase as u8, Ordering::Relaxed);
        if before != phase as u8 {
            self.signal();
        }
    }

    /// Makes `changed` readable.
    pub(super) fn signal(&self) {
        // Full only after 2^64 - 2 changes; and a report comes at the next interval anyway.
        let _ = self.changed.write(1);
    }

    /// What the load has done so far.
    pub(super) fn counters(&self) -> MemoryCounters {
        let growth = *self.growth();
        // Read after the growth, as the thread changes the phase first.
        let phase = match self.phase() {
            // It holds what was asked for before.
            Phase::Holding if growth.is_none_or(|(growth, _)| growth.target != self.target()) => {
                Phase::Growing
            }
            phase => phase,
        };
        MemoryCounters {
            phase,
            wanted: growth.map(|(growth, began_ns)| {
                growth.wanted(Duration::from_nanos(monotonic_ns().saturating_sub(began_ns)))
            }),
            populated: Bytes(self.populated.load(Ordering::Relaxed)),
            correction: *self.correction(),
            failed_allocations: self.failed_allocations.load(Ordering::Relaxed),
            stuck: self.stuck.load(Ordering::Relaxed),
            held_ns: Some(self.held_ns.load(Ordering::Acquire)).filter(|held_ns| *held_ns > 0),
        }
    }
}

/// What the memory load has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryCounters {
    /// Its state.
    pub phase: Phase,
    /// Resident set that the schedule wants now; `None` until it begins.
    pub wanted: Option<Bytes>,
    /// Bytes of pages populated beyond the program itself.
    pub populated: Bytes,
    /// By how much the cheap count of the resident set was off at the last exact measurement.
    pub correction: Correction,
    /// Attempts to allocate that failed.
    pub failed_allocations: u64,
    /// Even a single page is refused at the moment.
    pub stuck: bool,
    /// When it first held all of its memory (`CLOCK_MONOTONIC`), whatever its target was then.
    pub held_ns: Option<u64>,
}

//! Memory worker thread: at each tick it grows, measures the resident set, and touches pages.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use nix::errno::Errno;
use tracing::{debug, info, warn};

use super::chunk_sizer::ChunkSizer;
use super::fill::Filler;
use super::headroom::{Headroom, HostMemory};
use super::rss_meter::RssMeter;
use super::state::{MemoryPlan, MemoryState, Phase};
use super::touch_schedule::TouchSchedule;
use crate::arena::{Arena, HUGE_PAGE};
use crate::clock::{monotonic_ns, nanos, next_point_ns};
use crate::quantity::Bytes;
use crate::target::GrowthSchedule;
use crate::threads::park_until;

/// Memory is populated in chunks of this size: one takes 0.6 to 3.6 ms and cannot be interrupted.
const CHUNK: usize = 1 << 20;
/// How much a tick may add, so that growth is smooth.
const GRAIN: Bytes = Bytes(128 << 10);
/// How often pages are touched and the resident set is looked at when nothing grows.
const HOLD_TICK: Duration = Duration::from_millis(100);
/// Waking up more often would cost too much.
const SHORTEST_TICK: Duration = Duration::from_millis(1);
/// How long growth waits for a report at most: who reads them may be slow.
const REPORT_PATIENCE: Duration = Duration::from_millis(50);
/// Freeing is bound by the kernel's locks: more threads than this do not help.
const MOST_HELPERS: u64 = 4;

/// The state of the thread.
pub(super) struct MemoryWorker<'a> {
    plan: MemoryPlan,
    headroom: Headroom,
    shared: &'a MemoryState,
    filler: Filler,
    chunk_sizer: ChunkSizer,
    /// Resident set of the program itself.
    own: Bytes,
    rss_meter: RssMeter,
    /// `None` for `--touch-every never`.
    touch_schedule: Option<TouchSchedule>,
}

impl<'a> MemoryWorker<'a> {
    pub(super) fn new(plan: MemoryPlan, host: HostMemory, shared: &'a MemoryState) -> Self {
        Self {
            filler: Filler::new(plan.fill, plan.page_size, plan.seed),
            chunk_sizer: ChunkSizer::new(plan.page_size, if plan.huge_pages { HUGE_PAGE } else { CHUNK }),
            plan,
            headroom: Headroom::new(host, plan.target),
            shared,
            own: Bytes(0),
            rss_meter: RssMeter::default(),
            touch_schedule: plan.touch_every.map(|every| TouchSchedule::new(every, monotonic_ns())),
        }
    }

    /// Runs until the end; signals `tell` when it begins to free everything.
    pub(super) fn run(mut self, tell: &SyncSender<()>) {
        let Some(mut arena) = self.first_page() else { return };
        let process = self.headroom.process();
        self.own = process.resident_exactly().map_or(Bytes(0), |set| set.total);
        *self.shared.correction() = process.correction();
        let MemoryPlan { target, rate, step, .. } = self.plan;
        let mut growth = GrowthSchedule { start: self.own, target, rate, step };
        let mut began_ns = monotonic_ns();
        *self.shared.growth() = Some((growth, began_ns));
        debug!(own_bytes = self.own.0, "growing");
        let mut wake_ns = began_ns;
        while !self.has_ended() {
            let now_ns = monotonic_ns();
            self.follow_target(&mut growth, &mut began_ns, now_ns);
            self.tick(&mut arena, &growth, began_ns, now_ns);
            let tick_ns = nanos(self.tick_length(&growth));
            wake_ns = next_point_ns(wake_ns, tick_ns, monotonic_ns());
            self.sleep_until(wake_ns);
        }
        // Without memory to allocate there is none for helper threads either.
        let threads =
            if self.shared.phase() == Phase::Limited { 1 } else { self.plan.cpus.min(MOST_HELPERS) };
        // Nobody may be listening any more.
        let _ = tell.try_send(());
        arena.discard(threads as usize);
    }

    fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Relaxed)
    }

    /// Sleeps until a time or the end.
    fn sleep_until(&self, time_ns: u64) {
        park_until(time_ns, || self.has_ended());
    }

    /// Begins a new schedule where the target has changed.
    fn follow_target(&mut self, growth: &mut GrowthSchedule, began_ns: &mut u64, now_ns: u64) {
        let target = self.shared.target();
        if target == growth.target {
            return;
        }
        let reached = growth.wanted(Duration::from_nanos(now_ns - *began_ns));
        let start = target.map_or(reached, |target| target.min(reached)).max(self.own);
        *growth = GrowthSchedule { start, target, ..*growth };
        *began_ns = now_ns;
        self.headroom.aim_at(target);
        self.chunk_sizer.retry();
        self.shared.stuck.store(false, Ordering::Relaxed);
        // Before the schedule is published: a reader must not take what was held before for the new target.
        self.shared.enter(Phase::Growing);
        *self.shared.growth() = Some((*growth, *began_ns));
    }

    fn tick(&mut self, arena: &mut Arena, growth: &GrowthSchedule, began_ns: u64, now_ns: u64) {
        let wanted = growth.wanted(Duration::from_nanos(now_ns - began_ns));
        let complete = growth.target.is_some_and(|target| wanted >= target);
        if self.shared.phase() != Phase::Holding && now_ns >= self.chunk_sizer.next_try_ns() {
            let reached = self.grow_to(arena, wanted.0.saturating_sub(self.own.0), complete);
            if reached && complete {
                self.true_up(arena, wanted.0);
            } else if reached {
                self.shared.enter(Phase::Growing);
            }
        } else if self.shared.phase() == Phase::Holding
            && self.rss_meter.has_drifted(self.headroom.process(), now_ns)
        {
            self.true_up(arena, wanted.0);
        }
        self.touch(arena, now_ns);
    }

    /// Grows to `wanted` bytes; whether it got there. Only the last chunk may be smaller than a huge page.
    fn grow_to(&mut self, arena: &mut Arena, wanted: u64, complete: bool) -> bool {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let grain = if self.plan.huge_pages && !complete { HUGE_PAGE } else { self.plan.page_size };
        while wanted.saturating_sub(arena.len()) >= grain && !self.has_ended() {
            let left = wanted - arena.len();
            let mut bytes = self.chunk_sizer.chunk().min(left - left % self.plan.page_size);
            if self.plan.huge_pages {
                // After a refusal the end may lie within a huge page: align it again.
                bytes = bytes.min(HUGE_PAGE - arena.len() % HUGE_PAGE);
            }
            let Some(bytes) = self.allowed(bytes, grain) else { continue };
            match arena.grow(bytes) {
                Ok(words) => self.filler.fill(words),
                Err(error) => {
                    if bytes <= self.plan.page_size {
                        // Before it is logged: that takes memory as well.
                        self.leave_room(arena);
                    }
                    if !self.refused(error, bytes, arena.len() as u64) {
                        return false;
                    }
                    continue;
                }
            }
            self.granted(arena.len() as u64);
            self.headroom.added(bytes as u64);
        }
        true
    }

    /// How much of a chunk may be added without a report; `None` after a report that had to come first.
    fn allowed(&mut self, bytes: usize, grain: usize) -> Option<usize> {
        let allowed = self.headroom.allow(bytes, grain, monotonic_ns);
        if self.headroom.take_moved() {
            self.shared.moved.store(true, Ordering::Release);
        }
        if allowed.is_none() {
            self.report_first();
        }
        allowed
    }

    /// Waits until a report with the present size is out, as the next page may be the last.
    fn report_first(&mut self) {
        let asked = self.shared.reports_asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.shared.signal();
        let deadline_ns = monotonic_ns() + nanos(REPORT_PATIENCE);
        let is_out = || self.shared.reports_out.load(Ordering::Acquire) >= asked;
        park_until(deadline_ns, || self.has_ended() || is_out());
        self.headroom.reported();
    }

    fn granted(&mut self, held: u64) {
        self.shared.populated.store(held, Ordering::Relaxed);
        if self.shared.stuck.swap(false, Ordering::Relaxed) {
            info!("memory can be allocated again");
        }
        self.chunk_sizer.granted();
    }

    /// Counts a failed allocation; whether to try a smaller chunk at once.
    fn refused(&mut self, error: Errno, bytes: usize, held: u64) -> bool {
        self.shared.failed_allocations.fetch_add(1, Ordering::Relaxed);
        if self.chunk_sizer.refused(bytes, monotonic_ns()) {
            return true;
        }
        self.shared.stuck.store(true, Ordering::Relaxed);
        if self.chunk_sizer.is_news(held) {
            warn!("no more memory can be allocated ({error}): keeping {}, retrying", Bytes(held).rounded());
        }
        self.shared.enter(Phase::Limited);
        false
    }

    /// Frees some pages where reports could not be written any more.
    fn leave_room(&mut self, arena: &mut Arena) {
        let shortage = self.headroom.shortage_for_reports(monotonic_ns);
        // Less than a page would not help.
        let shortage = usize::try_from(shortage).unwrap_or(0).next_multiple_of(self.plan.page_size);
        if shortage > 0 && shortage < arena.len() {
            self.give_back(arena, shortage);
        }
    }

    /// Frees the last `bytes`; whether that succeeded.
    fn give_back(&mut self, arena: &mut Arena, bytes: usize) -> bool {
        let before = arena.len();
        let done = arena.shrink(bytes).is_ok();
        self.headroom.gave_back((before - arena.len()) as u64);
        self.shared.populated.store(arena.len() as u64, Ordering::Relaxed);
        done
    }

    /// Measures, and corrects the resident set to the target by whole pages.
    fn true_up(&mut self, arena: &mut Arena, target: u64) {
        const ATTEMPTS: u32 = 4;
        for _ in 0..ATTEMPTS {
            let Some(resident) = self.measure() else { break };
            let page = self.plan.page_size as u64;
            if resident.abs_diff(target) < page {
                break;
            }
            if resident < target {
                let wanted = arena.len() as u64 + (target - resident);
                if !self.grow_to(arena, wanted, true) {
                    return;
                }
            } else {
                let excess = usize::try_from(resident - target).unwrap_or(usize::MAX);
                if arena.is_empty() || !self.give_back(arena, excess) {
                    break;
                }
            }
        }
        self.shared.enter(Phase::Holding);
    }

    /// The exact resident set, swapped pages included: they are held as well.
    fn measure(&mut self) -> Option<u64> {
        let (exact, correction) = self.rss_meter.measure(self.headroom.process())?;
        *self.shared.correction() = correction;
        Some(exact)
    }

    /// Rewrites the pages that are due.
    fn touch(&mut self, arena: &mut Arena, now_ns: u64) {
        let Some(schedule) = &mut self.touch_schedule else { return };
        let words_per_page = self.plan.page_size / size_of::<u64>();
        let turn = schedule.due(arena.len() / self.plan.page_size, now_ns);
        let words = turn.start * words_per_page..turn.end * words_per_page;
        self.filler.touch(&mut arena.words_mut()[words]);
    }

    /// Maps the arena; retries until that succeeds. `None` when the end came first.
    fn first_page(&mut self) -> Option<Arena> {
        while !self.has_ended() {
            match Arena::new(self.plan.page_size, self.plan.huge_pages) {
                Ok(arena) => return Some(arena),
                Err(error) => {
                    self.refused(error, self.plan.page_size, 0);
                    self.sleep_until(self.chunk_sizer.next_try_ns());
                }
            }
        }
        None
    }

    fn tick_length(&self, growth: &GrowthSchedule) -> Duration {
        let tick = if self.shared.phase() == Phase::Growing { growth.tick(GRAIN) } else { HOLD_TICK };
        // As often as the schedule asks for.
        self.plan.touch_every.map_or(tick, |every| tick.min(every / 10)).max(SHORTEST_TICK)
    }
}

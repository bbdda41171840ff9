//! Arena: anonymous pages in one growing address range. All `unsafe` of the crate is here.
//!
//! The range grows in place by mapping right behind its end. Nothing is reserved ahead: a reservation would
//! count against `RLIMIT_AS` in full before the first page is used, while this way a limit of any kind is met
//! exactly where it lies, and growth goes on by itself when it is raised.
#![allow(unsafe_code)] // The one file for it: mapping memory has no safe interface.

use std::ffi::{c_long, c_void};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use nix::sys::prctl;

/// Where the range begins: far from anything that the kernel places by itself, and aligned for huge pages.
/// The first fits 47 bits of user address space, the second the 39 bits of small arm64 kernels.
const BASES: [usize; 2] = [0x1000_0000_0000, 0x10_0000_0000];

/// Size of a huge page on the machines that matter here (x86-64, and arm64 with 4 KiB pages).
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Anonymous memory in one piece that grows and shrinks at its end.
///
/// # Guarantees
/// - `len` bytes from the base are mapped, readable, writable, and belong to nobody else.
/// - A failed call changes nothing.
#[derive(Debug)]
pub(crate) struct Arena {
    base: NonNull<u64>,
    len: usize,
    page_size: usize,
    huge_pages: bool,
}

// SAFETY: the arena owns its pages like a `Vec` does; the pointer is never handed out but as a borrow.
unsafe impl Send for Arena {}

impl Arena {
    /// An empty arena. With `huge_pages`, pages are advised to be huge ones; without, it is up to the caller
    /// to have them turned off for the process.
    ///
    /// # Errors
    /// Where not even one page can be mapped at any of the places known.
    pub(crate) fn new(page_size: usize, huge_pages: bool) -> Result<Self, Errno> {
        let mut last_error = Errno::ENOMEM;
        for base in BASES {
            match map(base, page_size) {
                Ok(base) => {
                    let mut arena = Self { base: base.cast(), len: page_size, page_size, huge_pages };
                    arena.shrink(page_size)?;
                    return Ok(arena);
                }
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    /// Bytes mapped.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Nothing is mapped.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `bytes` (rounded up to whole pages) at the end, populated with zeros, and returns them.
    ///
    /// # Errors
    /// `ENOMEM` where a limit on address space or on commitment is met, or there is no memory to populate
    /// with. At a memory cgroup's limit the kernel reclaims, then kills; where it must not or cannot, this is
    /// `ENOMEM` too.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<&mut [u64], Errno> {
        let bytes = bytes.checked_next_multiple_of(self.page_size).ok_or(Errno::ENOMEM)?;
        let old_len = self.len;
        let new_len = old_len.checked_add(bytes).ok_or(Errno::ENOMEM)?;
        let address = self.base.as_ptr() as usize;
        let end = address.checked_add(old_len).ok_or(Errno::ENOMEM)?;
        let start = map(end, bytes)?;
        self.len = new_len;
        let populated = self.populate(start, bytes);
        if let Err(error) = populated {
            self.shrink(bytes)?;
            return Err(error);
        }
        let word = size_of::<u64>();
        Ok(&mut self.words_mut()[old_len / word..])
    }

    /// Gives the last `bytes` (rounded down to whole pages) back to the kernel.
    ///
    /// # Errors
    /// Where the kernel refuses to unmap, which it has no reason to.
    pub(crate) fn shrink(&mut self, bytes: usize) -> Result<(), Errno> {
        let bytes = (bytes - bytes % self.page_size).min(self.len);
        if bytes == 0 {
            return Ok(());
        }
        let new_len = self.len - bytes;
        // In bounds, so it does not wrap to null.
        let Some(start) = NonNull::new(self.base.as_ptr().wrapping_byte_add(new_len)) else { return Ok(()) };
        // SAFETY: the last `bytes` bytes are mapped and ours; no slice of them lives, since `self` is borrowed
        // mutably, and none can be made afterwards, since `len` no longer counts them.
        unsafe { munmap(start.cast(), bytes)? };
        self.len = new_len;
        Ok(())
    }

    /// Everything that is held.
    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: `len` bytes from `base` are mapped for reading and writing, page-aligned, initialised (anonymous
        // memory reads as zero), and owned by `self`, which stays mutably borrowed as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len / size_of::<u64>()) }
    }

    /// Frees all pages, with `threads` at once: as much work as a process's exit does with one, which
    /// is 70 ns a page or 30 to 45 ms for 500 MB. What is held reads as zeros afterwards.
    pub(crate) fn discard(&mut self, threads: usize) {
        let words_per_page = self.page_size / size_of::<u64>();
        let pages = self.len / self.page_size;
        if pages == 0 {
            return;
        }
        let share = pages.div_ceil(threads.max(1)) * words_per_page;
        std::thread::scope(|scope| {
            let mut parts = self.words_mut().chunks_mut(share);
            let own = parts.next();
            for part in parts {
                let _ = std::thread::Builder::new().spawn_scoped(scope, || discard_part(part));
            }
            if let Some(part) = own {
                discard_part(part);
            }
        });
    }

    /// Makes the kernel give the pages now rather than fault by fault.
    fn populate(&self, start: NonNull<c_void>, bytes: usize) -> Result<(), Errno> {
        if self.huge_pages {
            // Refused by kernels without huge pages: then there are none to be had.
            // SAFETY: advice on memory of ours changes none of its contents.
            let _ = unsafe { madvise(start, bytes, MmapAdvise::MADV_HUGEPAGE) };
        }
        // SAFETY: populating memory that was just mapped changes none of its contents.
        match unsafe { madvise(start, bytes, MmapAdvise::MADV_POPULATE_WRITE) } {
            // Linux before 5.14 and sandbox kernels do not know it, and a seccomp profile may refuse all advice: the fill faults the
            // pages in.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => Ok(()),
            result => result,
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // Nothing can be done where it fails, and nothing is lost.
        let _ = self.shrink(self.len);
    }
}

/// Gives the pages of a part of an arena back. Where the kernel refuses (locked pages), they go with the process.
fn discard_part(words: &mut [u64]) {
    let Some(start) = NonNull::new(words.as_mut_ptr()) else { return };
    // SAFETY: the slice is a part of an arena, whole pages of anonymous memory, and borrowed mutably; discarding
    // makes it read as zeros, which is a valid value of its type.
    let _ = unsafe { madvise(start.cast(), size_of_val(words), MmapAdvise::MADV_DONTNEED) };
}

/// Maps `bytes` of anonymous memory at exactly `address`, or nothing.
fn map(address: usize, bytes: usize) -> Result<NonNull<c_void>, Errno> {
    let length = NonZeroUsize::new(bytes).ok_or(Errno::EINVAL)?;
    let wanted = NonZeroUsize::new(address).ok_or(Errno::EINVAL)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE never replaces a mapping that exists, so no memory in use is touched.
    let mapped = unsafe { mmap_anonymous(Some(wanted), length, protection, flags)? };
    if mapped.as_ptr() as usize != address {
        // Linux before 4.17 takes the address for a hint: give back what is not where it should be.
        // SAFETY: it was mapped by the call above and nobody else knows of it.
        unsafe { munmap(mapped, bytes)? };
        return Err(Errno::EEXIST);
    }
    Ok(mapped)
}

/// Keeps the C library's allocator in one piece: a pool per thread would reserve 64 MiB of address space each,
/// which counts against `RLIMIT_AS`. And lets it keep what is freed: to give it back it would have to wait for the
/// address space, which the thread that grows may hold for seconds where the kernel throttles it.
pub(crate) fn use_one_malloc_arena() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [(libc::M_ARENA_MAX, 1), (libc::M_TRIM_THRESHOLD, i32::MAX)] {
        // SAFETY: sets a parameter of the allocator; it takes two integers and keeps no pointer.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Makes the kernel answer `errno` to a system call, for this thread and all that it starts later. Of several seccomp filters
/// that refuse a call the one installed last gives the error (seccomp(2)).
///
/// # Errors
/// Where the kernel has no seccomp filters, or a profile refuses them.
pub(crate) fn refuse_call(number: c_long, errno: Errno) -> Result<(), Errno> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut steps = [
        // The number of the call is the first field of `seccomp_data`.
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number as u32),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // What an unprivileged process has to promise; this one never executes another.
    prctl::set_no_new_privs()?;
    // SAFETY: the kernel checks the program and copies it, and it outlives the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    Errno::result(result).map(drop)
}

/// Ends the process without any clean-up: that would unmap memory, and have to wait as well.
pub(crate) fn exit_at_once(status: u8) -> ! {
    // SAFETY: it does nothing but end the process, whose records have been written.
    unsafe { libc::_exit(status.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard};

    const PAGE: usize = 4096;

    /// There is one place in a process for an arena, so tests take turns.
    fn turn() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[test]
    fn it_grows_in_place_and_keeps_what_it_holds() {
        let _turn = turn();
        let mut arena = Arena::new(PAGE, false).unwrap();
        assert!(arena.is_empty());
        arena.grow(PAGE).unwrap().fill(7);
        arena.grow(3 * PAGE).unwrap().fill(9);
        assert_eq!(arena.len(), 4 * PAGE);
        let words = arena.words_mut();
        assert!(words[..512].iter().all(|w| *w == 7));
        assert!(words[512..].iter().all(|w| *w == 9));
    }

    #[test]
    fn sizes_round_to_whole_pages() {
        let _turn = turn();
        let mut arena = Arena::new(PAGE, false).unwrap();
        assert_eq!(arena.grow(1).unwrap().len(), 512);
        arena.shrink(PAGE - 1).unwrap();
        assert_eq!(arena.len(), PAGE);
        arena.shrink(usize::MAX).unwrap();
        assert!(arena.is_empty());
    }

    #[test]
    fn what_cannot_be_had_changes_nothing() {
        let _turn = turn();
        let mut arena = Arena::new(PAGE, false).unwrap();
        arena.grow(PAGE).unwrap().fill(7);
        assert!(arena.grow(1 << 60).is_err());
        assert!(arena.grow(usize::MAX).is_err());
        assert_eq!(arena.len(), PAGE);
        assert_eq!(arena.words_mut()[0], 7);
    }

    #[test]
    fn discarding_leaves_zeros() {
        let _turn = turn();
        for threads in [0, 1, 3, 100] {
            let mut arena = Arena::new(PAGE, false).unwrap();
            arena.grow(7 * PAGE).unwrap().fill(7);
            arena.discard(threads);
            assert!(arena.words_mut().iter().all(|w| *w == 0), "{threads} threads");
        }
    }

    #[test]
    fn two_arenas_never_share_a_page() {
        let _turn = turn();
        let mut first = Arena::new(PAGE, false).unwrap();
        first.grow(PAGE).unwrap().fill(7);
        // The second finds the first place taken and uses the next one.
        let mut second = Arena::new(PAGE, false).unwrap();
        second.grow(PAGE).unwrap().fill(9);
        assert_eq!(first.words_mut()[0], 7);
    }
}

//! Cgroup of a run or of an instance, in each hierarchy that is needed: its limits, usage and OOM kills.
//!
//! Sources: Documentation/admin-guide/cgroup-v2.rst, Documentation/admin-guide/cgroup-v1/memory.rst and
//! Documentation/scheduler/sched-bwc.rst. Only this module knows the files and units of
//! each version.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use workload::host::Version;
use workload::host::parse::{flat_keyed, number};
use workload::quantity::{Bytes, Cores};

use super::cgroup_removal::{explained, remove};
use super::process_spec::Limits;
use crate::engine::kubelet::cpu_shares;

/// A cgroup's directory in one hierarchy, and the controllers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupDirectory {
    pub(super) version: Version,
    pub(super) directory: PathBuf,
    pub(super) memory: bool,
    pub(super) cpu: bool,
}

/// A cgroup: one directory, or one in each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    pub(super) places: Vec<CgroupDirectory>,
}

/// Length of a period of a CPU quota in microseconds: the kernel's and Kubernetes' default.
const PERIOD_US: u64 = 100_000;

impl Cgroup {
    /// The cgroup of that name inside this one; it is not created.
    pub(super) fn inside(&self, name: &str) -> Self {
        let places = self.places.iter();
        Self {
            places: places
                .map(|place| CgroupDirectory { directory: place.directory.join(name), ..place.clone() })
                .collect(),
        }
    }

    /// Creates its directories. Existing ones are taken over.
    ///
    /// # Errors
    /// Of the first directory that cannot be created, with its path.
    pub(super) fn make(&self) -> io::Result<()> {
        for CgroupDirectory { directory, .. } in &self.places {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(explained(&error, format_args!("cannot create {}", directory.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Enables its controllers for the cgroups inside it.
    ///
    /// # Errors
    /// Where a controller cannot be enabled.
    pub(super) fn delegate(&self) -> io::Result<()> {
        for place in &self.places {
            match place.version {
                Version::V2 => {
                    for controller in place.controllers() {
                        write(&place.directory, "cgroup.subtree_control", &format!("+{controller}"))?;
                    }
                }
                // Counts the cgroups inside as well: always so since Linux 5.11, and without this file.
                Version::V1 if place.memory => {
                    let _ = write(&place.directory, "memory.use_hierarchy", "1");
                }
                Version::V1 => {}
            }
        }
        Ok(())
    }

    /// Sets limits, and where the kernel has it that on swap, so that memory above the limit is not swapped out.
    ///
    /// # Errors
    /// Where a limit cannot be set.
    pub(super) fn limit(&self, limits: &Limits) -> io::Result<()> {
        self.places.iter().try_for_each(|place| place.limit(limits))
    }

    /// The files that a process writes to to join it.
    pub(super) fn procs_files(&self) -> impl Iterator<Item = PathBuf> {
        self.places.iter().map(|place| place.directory.join("cgroup.procs"))
    }

    /// Kills the processes in it, and removes its directories.
    ///
    /// # Errors
    /// Where one is still there after ten seconds, with its path.
    pub(super) async fn remove(&self) -> io::Result<()> {
        for place in &self.places {
            remove(&place.directory).await?;
        }
        Ok(())
    }

    /// Memory charged to it and the cgroups inside, page cache included: what its limit applies to.
    pub(super) fn used(&self) -> Option<Bytes> {
        let (place, file) = self.memory_file("memory.usage_in_bytes", "memory.current")?;
        number(&fs::read_to_string(place.directory.join(file)).ok()?).map(Bytes)
    }

    /// Processes in it that the OOM killer has killed, at its own limit, at an enclosing one, or for want of memory of the machine. v1
    /// counts where the process was; `memory.events` of v2 counts the cgroups inside as well.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        let (place, file) = self.memory_file("memory.oom_control", "memory.events")?;
        flat_keyed(&fs::read_to_string(place.directory.join(file)).ok()?, "oom_kill")
    }

    fn memory_file<'a>(&'a self, v1: &'a str, v2: &'a str) -> Option<(&'a CgroupDirectory, &'a str)> {
        let place = self.places.iter().find(|place| place.memory)?;
        Some((place, if place.version == Version::V1 { v1 } else { v2 }))
    }
}

impl CgroupDirectory {
    /// Its controllers, by the kernel's names.
    pub(super) fn controllers(&self) -> impl Iterator<Item = &'static str> {
        [("memory", self.memory), ("cpu", self.cpu)].into_iter().filter(|(_, has)| *has).map(|(name, _)| name)
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        let put = |file: &str, value: u64| write(&self.directory, file, &value.to_string());
        let is_v1 = self.version == Version::V1;
        if let (true, Some(Bytes(bytes))) = (self.memory, limits.memory) {
            let (memory, (swap, swap_bytes)) = match self.version {
                // v1 limits memory and swap together.
                Version::V1 => ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", bytes)),
                Version::V2 => ("memory.max", ("memory.swap.max", 0)),
            };
            put(memory, bytes)?;
            // Missing where swap is not accounted (swapaccount=0).
            let _ = put(swap, swap_bytes);
        }
        match limits.cpu.map(quota_us).filter(|_| self.cpu) {
            Some(quota) if is_v1 => {
                put("cpu.cfs_period_us", PERIOD_US)?;
                put("cpu.cfs_quota_us", quota)?;
            }
            Some(quota) => write(&self.directory, "cpu.max", &format!("{quota} {PERIOD_US}"))?,
            None => {}
        }
        match limits.cpu_share.map(cpu_shares).filter(|_| self.cpu) {
            Some(shares) if is_v1 => put("cpu.shares", shares),
            Some(shares) => put("cpu.weight", weight(shares)),
            None => Ok(()),
        }
    }
}

/// CPU time per period; the kernel accepts a millisecond or more (`min_cfs_quota_period`).
fn quota_us(limit: Cores) -> u64 {
    let quota = u128::from(limit.as_nano()) * u128::from(PERIOD_US) / 1_000_000_000;
    u64::try_from(quota).unwrap_or(u64::MAX).max(1_000)
}

/// As runtimes do (`ConvertCPUSharesToCgroupV2Value` of opencontainers/cgroups, before 2025): 2 to 262144 shares
/// become a weight of 1 to 10000.
fn weight(shares: u64) -> u64 {
    1 + shares.saturating_sub(2) * 9_999 / 262_142
}

/// Writes to an existing file of the kernel.
pub(super) fn write(directory: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = directory.join(file);
    let written =
        OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| explained(&error, format_args!("cannot write {text:?} to {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cgroup made of files that are there and empty.
    fn group(version: Version, files: &[&str]) -> (tempfile::TempDir, Cgroup) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(directory.path().join(file), "").unwrap();
        }
        let path = directory.path().to_owned();
        (
            directory,
            Cgroup { places: vec![CgroupDirectory { version, directory: path, memory: true, cpu: true }] },
        )
    }

    fn text(directory: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(directory.path().join(file)).unwrap()
    }

    const LIMITS: Limits = Limits {
        memory: Some(Bytes(50_000_000)),
        cpu: Some(Cores::from_nano(250_000_000)),
        cpu_share: Some(Cores::from_whole(1)),
    };

    #[test]
    fn v1_limits_are_in_its_files_and_units() {
        let files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.cfs_period_us"];
        let (directory, group) =
            group(Version::V1, &[&files[..], &["cpu.cfs_quota_us", "cpu.shares"]].concat());
        group.limit(&LIMITS).unwrap();
        assert_eq!(files.map(|file| text(&directory, file)), ["50000000", "50000000", "100000"]);
        assert_eq!(
            (text(&directory, "cpu.cfs_quota_us"), text(&directory, "cpu.shares")),
            ("25000".into(), "1024".into())
        );
    }

    #[test]
    fn v2_limits_are_in_its_files_and_units() {
        let files = ["memory.max", "memory.swap.max", "cpu.max", "cpu.weight", "cgroup.subtree_control"];
        let (directory, group) = group(Version::V2, &files);
        group.limit(&LIMITS).unwrap();
        assert_eq!(
            files[..4].iter().map(|file| text(&directory, file)).collect::<Vec<_>>(),
            ["50000000", "0", "25000 100000", "39"]
        );
        group.delegate().unwrap();
        assert!(text(&directory, "cgroup.subtree_control").contains("cpu"));
    }

    #[test]
    fn a_limit_that_cannot_be_set_is_told_with_its_file_and_one_on_swap_may_be_missing() {
        let (_directory, lacking) = group(Version::V2, &["memory.max"]);
        assert!(lacking.limit(&LIMITS).unwrap_err().to_string().contains("cpu.max"));
        let memory_alone = Limits { memory: LIMITS.memory, ..Limits::default() };
        lacking.limit(&memory_alone).unwrap();
        lacking.limit(&Limits::default()).unwrap();
    }

    #[test]
    fn usage_and_oom_kills_are_read_from_the_files_of_the_version() {
        let (v1, group_v1) = group(Version::V1, &[]);
        assert_eq!((group_v1.used(), group_v1.oom_kills()), (None, None), "what is not told is missing");
        fs::write(v1.path().join("memory.usage_in_bytes"), "4096\n").unwrap();
        fs::write(v1.path().join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .unwrap();
        assert_eq!((group_v1.used(), group_v1.oom_kills()), (Some(Bytes(4096)), Some(3)));
        let (v2, group_v2) = group(Version::V2, &[]);
        fs::write(v2.path().join("memory.current"), "8192\n").unwrap();
        fs::write(v2.path().join("memory.events"), "low 0\noom 7\noom_kill 1\n").unwrap();
        assert_eq!((group_v2.used(), group_v2.oom_kills()), (Some(Bytes(8192)), Some(1)));
    }

    #[test]
    fn shares_and_quotas_stay_within_what_the_kernel_takes() {
        assert_eq!((cpu_shares(Cores::from_nano(1)), cpu_shares(Cores::from_whole(u64::MAX))), (2, 262_144));
        assert_eq!((weight(2), weight(262_144)), (1, 10_000));
        assert_eq!((quota_us(Cores::from_nano(1)), quota_us(Cores::from_whole(3))), (1_000, 300_000));
    }

    #[test]
    fn one_inside_is_inside_in_every_hierarchy() {
        let place = |at: &str, memory| CgroupDirectory {
            version: Version::V1,
            directory: at.into(),
            memory,
            cpu: !memory,
        };
        let group = Cgroup { places: vec![place("/m/a", true), place("/c", false)] };
        let files: Vec<_> = group.inside("ramp-x").procs_files().collect();
        assert_eq!(files, [Path::new("/m/a/ramp-x/cgroup.procs"), Path::new("/c/ramp-x/cgroup.procs")]);
    }
}

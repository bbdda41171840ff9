//! Cgroup hierarchies of this process: found per controller, as hybrid hosts need it.
//!
//! Formats: `/proc/self/cgroup` in cgroups(7), `/proc/self/mountinfo` in proc(5).

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// The version of the cgroup interface that a controller is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy of its own.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A cgroup that is visible from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its path as `/proc/self/cgroup` would give it.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
}

/// The cgroup of this process for one controller, and those around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which interface its files follow.
    pub version: Version,
    /// The own cgroup first, the outermost visible one last; never empty.
    pub levels: Vec<Level>,
    /// The mount shows a part of the hierarchy only: there are cgroups above the outermost level.
    pub is_partial: bool,
}

impl Hierarchy {
    /// Finds the hierarchy of a controller from the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
    ///
    /// `None` where the process is in none or no mount shows its cgroup: a mount of other cgroups says nothing about this
    /// process.
    #[must_use]
    pub fn find(controller: &str, membership: &str, mounts: &str) -> Option<Self> {
        Self::at(controller, own_path(controller, membership)?, mounts)
    }

    /// Finds the unified hierarchy, which a process is in also where every controller is elsewhere.
    #[must_use]
    pub fn unified(membership: &str, mounts: &str) -> Option<Self> {
        let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
        Self::at("", (Version::V2, path), mounts)
    }

    fn at(controller: &str, (version, path): (Version, &str), mounts: &str) -> Option<Self> {
        let mounts = visible(mounts).into_iter().filter(|mount| match version {
            Version::V1 => mount.kind == "cgroup" && mount.options.split(',').any(|o| o == controller),
            Version::V2 => mount.kind == "cgroup2",
        });
        // Of several mounts the one that shows the most cgroups around ours.
        let (mount, inside) = mounts
            .filter_map(|mount| {
                let inside = Path::new(path).strip_prefix(&mount.root).ok()?.to_owned();
                // `/..` is outside of the own cgroup namespace: below the mount are other cgroups.
                let shown = inside.components().all(|part| matches!(part, Component::Normal(_)));
                shown.then_some((mount, inside))
            })
            .max_by_key(|(_, inside)| inside.components().count())?;
        let name_of = |ancestor: &Path| {
            let hidden = inside.components().count() - ancestor.components().count();
            let name = Path::new(path).ancestors().nth(hidden).unwrap_or(Path::new("/"));
            name.to_string_lossy().into_owned()
        };
        let levels = inside
            .ancestors()
            .map(|ancestor| Level { name: name_of(ancestor), directory: mount.point.join(ancestor) })
            .collect();
        Some(Self { version, levels, is_partial: mount.root != Path::new("/") })
    }
}

/// The controller's line in `/proc/self/cgroup`: `id:controllers:path`, the path may hold colons.
fn own_path<'a>(controller: &str, membership: &'a str) -> Option<(Version, &'a str)> {
    let mut unified = None;
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if controllers.is_empty() {
            unified = Some((Version::V2, path));
        } else if controllers.split(',').any(|c| c == controller) {
            return Some((Version::V1, path));
        }
    }
    unified
}

/// The mounts that are not covered: by one at the same mount point whose parent it is.
fn visible(mounts: &str) -> Vec<Mount<'_>> {
    let all: Vec<_> = mounts.lines().filter_map(Mount::parse).collect();
    let covered: HashSet<_> = all.iter().map(|above| (above.parent, above.point.clone())).collect();
    all.into_iter().filter(|mount| !covered.contains(&(mount.id, mount.point.clone()))).collect()
}

/// A line of `mountinfo`, as far as it matters here.
struct Mount<'a> {
    id: &'a str,
    /// The mount on which it lies.
    parent: &'a str,
    /// The directory of its file system that is mounted.
    root: PathBuf,
    point: PathBuf,
    kind: &'a str,
    /// The file system's own options, the controllers of a v1 hierarchy among them.
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, source) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let (id, parent, _device) = (mount.next()?, mount.next()?, mount.next()?);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut source = source.split(' ');
        let (kind, _device, options) = (source.next()?, source.next()?, source.next()?);
        Some(Self { id, parent, root: unescape(root).into(), point: unescape(point).into(), kind, options })
    }
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(start) = rest.find('\\') {
        text.push_str(&rest[..start]);
        let code = rest.get(start + 1..start + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                text.push(char::from(code));
                rest = &rest[start + 4..];
            }
            _ => {
                text.push('\\');
                rest = &rest[start + 1..];
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1_MOUNT: &str = "33 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
    const V2_MOUNT: &str = "34 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    fn names(hierarchy: &Hierarchy) -> Vec<&str> {
        hierarchy.levels.iter().map(|level| level.name.as_str()).collect()
    }

    #[test]
    fn a_v1_controller_of_a_hybrid_host_is_found_in_its_own_hierarchy() {
        let mounts = format!("{V1_MOUNT}{V2_MOUNT}");
        let found = Hierarchy::find("memory", "4:memory:/a/b\n1:name=systemd:/x\n0::/c\n", &mounts).unwrap();
        assert_eq!(found.version, Version::V1);
        assert_eq!(names(&found), ["/a/b", "/a", "/"]);
        assert_eq!(found.levels[0].directory, Path::new("/sys/fs/cgroup/memory/a/b"));
        let unified = Hierarchy::find("cpu", "4:memory:/a/b\n0::/c\n", &mounts).unwrap();
        assert_eq!((unified.version, names(&unified)), (Version::V2, vec!["/c", "/"]));
    }

    #[test]
    fn a_container_sees_its_own_cgroup_at_the_mount_point() {
        // Docker on v1 without a cgroup namespace: path and root of the mount are the same.
        let mounts = "9 8 0:27 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let found = Hierarchy::find("memory", "4:memory:/docker/1f\n", mounts).unwrap();
        assert_eq!(names(&found), ["/docker/1f"]);
        assert_eq!(found.levels[0].directory, Path::new("/sys/fs/cgroup/memory/"));
    }

    #[test]
    fn a_controller_whose_mount_is_out_of_sight_is_not_found() {
        assert_eq!(Hierarchy::find("memory", "4:memory:/a\n0::/\n", V2_MOUNT), None);
        assert_eq!(Hierarchy::find("memory", "", V2_MOUNT), None);
        assert_eq!(Hierarchy::find("memory", "0::/\n", ""), None);
    }

    #[test]
    fn names_with_spaces_and_colons_are_kept() {
        let mounts = r"9 8 0:28 / /mnt/my\040cgroups rw - cgroup2 none rw";
        let found = Hierarchy::find("cpu", "0::/a b:c\n", mounts).unwrap();
        assert_eq!(found.levels[0].directory, Path::new("/mnt/my cgroups/a b:c"));
        assert_eq!(names(&found), ["/a b:c", "/"]);
    }

    #[test]
    fn a_mount_that_shows_other_cgroups_says_nothing_of_ours() {
        // A cgroup namespace of its own, with the host's mount bound in from outside of it.
        let mounts = "9 8 0:28 /.. /sys/fs/cgroup ro - cgroup2 none rw\n";
        assert_eq!(Hierarchy::find("memory", "0::/\n", mounts), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(
            membership in "(([0-9]:)?[a-z]{0,3}:(/[a-z.]{0,3}){0,3}\n|\\PC{0,9}\n){0,4}",
            mounts in "(1 2 0:3 (/[a-z.]{0,2}){0,2} /m\\\\?[0-7]{0,4} rw - cgroup2? c rw,[a-z]{0,2}\n|\\PC{0,9}\n){0,4}",
            controller in "[a-z]{0,3}",
        ) {
            if let Some(found) = Hierarchy::find(&controller, &membership, &mounts) {
                prop_assert!(!found.levels.is_empty());
            }
        }
    }
}

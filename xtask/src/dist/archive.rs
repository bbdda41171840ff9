//! Archives of the same bytes wherever and whenever they are packed: sorted, one time, no owner, no umask.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell::{Outcome, output};

/// Packs the files below `files` into `archive`, in a directory of the name `root`.
///
/// # Errors
/// Where tar or gzip fails.
pub(super) fn pack(files: &Path, root: &str, archive: &Path, epoch: u64) -> Outcome {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    tar.args(["--mode=u+rw,go=rX", &format!("--mtime=@{epoch}")]);
    // Without -n gzip writes a time; symbolic links keep their targets (S).
    tar.args(["--use-compress-program=gzip -9n", &format!("--transform=flags=rSH;s,^[.],{root},")]);
    output(tar.arg("--file").arg(archive).arg("--directory").arg(files).arg(".")).map(drop)
}

/// The Helm chart, as `helm package` names its directory.
///
/// # Errors
/// Those of [`pack`].
pub(super) fn chart(archive: &Path, epoch: u64) -> Outcome {
    pack(Path::new("deploy/chart"), "ramp", archive, epoch)
}

/// The SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// Where sha256sum fails.
pub(super) fn sha256(path: &Path) -> Outcome<String> {
    let line = output(Command::new("sha256sum").arg(path))?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

/// Lines for `sha256sum --check` of the files in a directory, by name.
///
/// # Errors
/// Where one cannot be read.
pub(super) fn checksums(directory: &Path) -> Outcome<String> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut files: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let line = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("{}  {name}\n", sha256(path)?))
    };
    files.iter().map(line).collect()
}

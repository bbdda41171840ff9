//! Image of `workload` from the binary built before; size limits of both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, output, run, run_command, say, step};

/// The binary of the profile `image`.
const BINARY: &str = "target/image-context/workload";
const LARGEST_BINARY_BYTES: u64 = 2_100_000;
const LARGEST_IMAGE_BYTES: u64 = 2_300_000;

/// Builds the binary as it is in the image: whole-program optimization, for size, static.
///
/// # Errors
/// Where it is not static or too large.
pub(crate) fn binary() -> Outcome<PathBuf> {
    step("the binary of the image");
    run("cargo build --profile image --locked -p workload")?;
    let built = built("image", "workload")?;
    let kind = output(command("file --brief").arg(&built))?;
    if !kind.contains("static-pie linked") && !kind.contains("statically linked") {
        return Err(format!("{}: expected a static binary: {kind}", built.display()));
    }
    let bytes = fs::metadata(&built).map_err(|error| format!("{}: {error}", built.display()))?.len();
    within("the binary", bytes, LARGEST_BINARY_BYTES)?;
    Ok(built)
}

/// Where cargo has put a program of a profile: the directory between is the target's, which is the host's.
///
/// # Errors
/// Where it is not there, or for several targets.
pub(crate) fn built(profile: &str, program: &str) -> Outcome<PathBuf> {
    let targets = fs::read_dir("target").map_err(|error| format!("target: {error}"))?.flatten();
    let mut found: Vec<PathBuf> =
        targets.map(|entry| entry.path().join(profile).join(program)).filter(|path| path.is_file()).collect();
    let [path] = &mut found[..] else {
        return Err(format!("expected one target/*/{profile}/{program}, found {}", found.len()));
    };
    fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn within(what: &str, bytes: u64, most: u64) -> Outcome {
    say(&format!("{what} has {bytes} bytes, of at most {most}"));
    if bytes <= most { Ok(()) } else { Err(format!("{what} has {bytes} bytes, more than {most}")) }
}

/// Builds the image from that binary by the last stage of the Containerfile; gives its name.
///
/// # Errors
/// Where podman cannot, or the image is too large.
pub(crate) fn build() -> Outcome<String> {
    let binary = binary()?;
    step("the image");
    // In place of the Containerfile's stage of this name.
    let context = Path::new(BINARY).parent().unwrap_or(Path::new("."));
    let copied = fs::create_dir_all(context).and_then(|()| fs::copy(&binary, BINARY));
    copied.map_err(|error| format!("{BINARY}: {error}"))?;
    let image = format!("localhost/workload:{}", version()?);
    let mut podman = command("podman build --isolation chroot --quiet --build-context");
    podman.arg(format!("build={}", context.display())).args(["--tag", &image, "."]);
    run_command(&mut podman)?;
    let bytes = output(command("podman image inspect --format {{.Size}}").arg(&image))?;
    let bytes = bytes.parse().map_err(|_| format!("{image}: expected its size in bytes, found {bytes:?}"))?;
    within("the image", bytes, LARGEST_IMAGE_BYTES)?;
    Ok(image)
}

/// Of the workspace.
///
/// # Errors
/// Where cargo fails.
pub(crate) fn version() -> Outcome<String> {
    let id = output(&mut command("cargo pkgid --locked -p workload"))?;
    let version = id.rsplit(['@', '#']).next().unwrap_or_default();
    Ok(version.to_owned())
}

//! Images of `workload` and `ramp` from binaries built before; size limits.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, output, run, run_command, say, step};

const LARGEST_BINARY_BYTES: u64 = 2_100_000;
const LARGEST_IMAGE_BYTES: u64 = 2_300_000;
const LARGEST_RAMP_IMAGE_BYTES: u64 = 14_000_000;

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
    fs::copy(&binary, context("workload")?.join("workload")).map_err(|error| error.to_string())?;
    let image = tagged("workload", "build", &[])?;
    within("the image", bytes_of(&image)?, LARGEST_IMAGE_BYTES)?;
    Ok(image)
}

/// Builds the image of `ramp` from the binary that the tests have, without its symbols; gives its name. As users build it,
/// for size, it takes minutes to build: [`build_ramp`].
///
/// # Errors
/// Where there is none, or podman cannot.
pub(crate) fn build_ramp_of_tests() -> Outcome<String> {
    step("the image of ramp, as the tests have it");
    run("cargo build --locked -p ramp")?;
    let built = built("debug", "ramp")?;
    run_command(command("strip -o").arg(context("ramp")?.join("ramp")).arg(built))?;
    tagged("ramp", "build-ramp", &["--target", "ramp"])
}

/// Builds the image of `ramp` as users have it, optimized for size.
///
/// # Errors
/// Where it cannot be built, or is too large.
pub(crate) fn build_ramp() -> Outcome {
    step("the image of ramp");
    run("cargo build --profile image --locked -p ramp")?;
    fs::copy(built("image", "ramp")?, context("ramp")?.join("ramp")).map_err(|error| error.to_string())?;
    let image = tagged("ramp", "build-ramp", &["--target", "ramp"])?;
    within("the image of ramp", bytes_of(&image)?, LARGEST_RAMP_IMAGE_BYTES)
}

/// What stands in for a build stage of the Containerfile: a directory with the program.
fn context(program: &str) -> Outcome<PathBuf> {
    let context = Path::new("target/image-context").join(program);
    fs::create_dir_all(&context).map_err(|error| format!("{}: {error}", context.display()))?;
    Ok(context)
}

/// The image of a program, from the directory in place of a stage of the Containerfile; its name.
fn tagged(program: &str, stage: &str, options: &[&str]) -> Outcome<String> {
    let image = format!("localhost/{program}:{}", version()?);
    let mut podman = command("podman build --isolation chroot --quiet --build-context");
    podman.arg(format!("{stage}={}", context(program)?.display())).args(options).args(["--tag", &image, "."]);
    run_command(&mut podman)?;
    Ok(image)
}

fn bytes_of(image: &str) -> Outcome<u64> {
    let bytes = output(command("podman image inspect --format {{.Size}}").arg(image))?;
    bytes.parse().map_err(|_| format!("{image}: expected its size in bytes, found {bytes:?}"))
}

fn version() -> Outcome<String> {
    let id = output(&mut command("cargo pkgid --locked -p workload"))?;
    let version = id.rsplit(['@', '#']).next().unwrap_or_default();
    Ok(version.to_owned())
}

//! Images of `workload` and `ramp` from binaries built before; size limits.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, output, run_command, say, step};

const LARGEST_BINARY_BYTES: u64 = 2_100_000;
const LARGEST_IMAGE_BYTES: u64 = 2_300_000;
const LARGEST_RAMP_IMAGE_BYTES: u64 = 14_000_000;

/// Builds the binary as it is in the image: whole-program optimization, for size, static.
///
/// # Errors
/// Where it is not static or too large.
pub(crate) fn binary() -> Outcome<PathBuf> {
    step("the binary of the image");
    build_program("workload", &host()?)?;
    let built = built(profile("workload"), "workload")?;
    let kind = output(command("file --brief").arg(&built))?;
    if !kind.contains("static-pie linked") && !kind.contains("statically linked") {
        return Err(format!("{}: expected a static binary: {kind}", built.display()));
    }
    let bytes = fs::metadata(&built).map_err(|error| format!("{}: {error}", built.display()))?.len();
    within("the binary", bytes, LARGEST_BINARY_BYTES)?;
    Ok(built)
}

/// The profile with which a program of an image is built.
pub(crate) fn profile(program: &str) -> &'static str {
    if program == "ramp" { "ramp-image" } else { "image" }
}

/// Builds a program with the profile of its image. Where the sources of dependencies are on this machine is not in it: the same sources
/// give the same program wherever they are built.
///
/// # Errors
/// Where cargo fails.
pub(crate) fn build_program(package: &str, target: &str) -> Outcome {
    let mut cargo = command("cargo build --locked --profile");
    cargo.args([profile(package), "--package", package, "--target", target]);
    if target != host()? {
        cargo.arg("--config").arg(format!("target.{target}.linker='{}'", cross_linker(target)));
    }
    let home =
        std::env::var("CARGO_HOME").or_else(|_| Ok::<_, String>(format!("{}/.cargo", home_directory()?)))?;
    // Beside those of .cargo/config.toml: variables such as RUSTFLAGS would replace them.
    let flags = format!("rustflags=['--remap-path-prefix={home}=/cargo']");
    cargo.arg("--config").arg(format!("target.'cfg(target_os = \"linux\")'.{flags}"));
    // The same of what ring has in C.
    cargo.env("CFLAGS", format!("-ffile-prefix-map={home}=/cargo"));
    run_command(&mut cargo)
}

fn home_directory() -> Outcome<String> {
    std::env::var("HOME").map_err(|error| format!("HOME: {error}"))
}

/// The target of this machine.
///
/// # Errors
/// Where rustc cannot be started.
pub(crate) fn host() -> Outcome<String> {
    output(&mut command("rustc --print host-tuple"))
}

/// Program that links for a target of another machine.
pub(crate) fn cross_linker(target: &str) -> String {
    let machine = target.split('-').next().unwrap_or_default();
    format!("{machine}-linux-gnu-gcc")
}

/// Where cargo has put a program of a profile.
///
/// # Errors
/// Where it is not there.
pub(crate) fn built(profile: &str, program: &str) -> Outcome<PathBuf> {
    let path = Path::new("target").join(host()?).join(profile).join(program);
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
    // As `cargo nextest` has built it: with `-p ramp`, libraries would have other features, and be built once more.
    run_command(&mut command("cargo build --locked --workspace --tests --bins"))?;
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
    build_program("ramp", &host()?)?;
    fs::copy(built(profile("ramp"), "ramp")?, context("ramp")?.join("ramp"))
        .map_err(|error| error.to_string())?;
    let image = tagged("ramp", "build-ramp", &["--target", "ramp"])?;
    within("the image of ramp", bytes_of(&image)?, LARGEST_RAMP_IMAGE_BYTES)
}

/// What stands in for a build stage of the Containerfile: a directory with the program.
fn context(program: &str) -> Outcome<PathBuf> {
    let context = Path::new("target/image-contexts").join(program);
    fs::create_dir_all(&context).map_err(|error| format!("{}: {error}", context.display()))?;
    Ok(context)
}

/// The image of a program, from the directory in place of a stage of the Containerfile; its name.
fn tagged(program: &str, stage: &str, options: &[&str]) -> Outcome<String> {
    let image = format!("localhost/{program}:{}", version()?);
    let mut podman = command("podman build --isolation chroot --quiet --build-context");
    podman.arg(format!("{stage}={}", context(program)?.display()));
    // The same program at the same commit is the same image, which one made of cached layers is not: these have the time of their own.
    podman
        .args(["--no-cache", "--timestamp", &epoch()?.to_string()])
        .args(options)
        .args(["--tag", &image, "."]);
    run_command(&mut podman)?;
    Ok(image)
}

/// The time of everything in an image or an archive, in seconds since 1970: that of the commit, unless the environment says another.
///
/// # Errors
/// Where neither tells.
pub(crate) fn epoch() -> Outcome<u64> {
    let (name, text) = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => ("SOURCE_DATE_EPOCH", text),
        Err(_) => ("the time of the last commit", output(&mut command("git log -1 --format=%ct"))?),
    };
    text.parse().map_err(|_| format!("{name}: expected seconds since 1970, found {text:?}"))
}

fn bytes_of(image: &str) -> Outcome<u64> {
    let bytes = output(command("podman image inspect --format {{.Size}}").arg(image))?;
    bytes.parse().map_err(|_| format!("{image}: expected its size in bytes, found {bytes:?}"))
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

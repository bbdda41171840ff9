//! Image of `workload` from the binary built before; size limits of both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, output, run_command, say, step};

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
    build_program("workload", &host()?)?;
    let built = built("image", "workload")?;
    let kind = output(command("file --brief").arg(&built))?;
    if !kind.contains("static-pie linked") && !kind.contains("statically linked") {
        return Err(format!("{}: expected a static binary: {kind}", built.display()));
    }
    let bytes = fs::metadata(&built).map_err(|error| format!("{}: {error}", built.display()))?.len();
    within("the binary", bytes, LARGEST_BINARY_BYTES)?;
    Ok(built)
}

/// Builds a program with the profile of the image. Where the sources of dependencies are on this machine is not in it: the same sources
/// give the same program wherever they are built.
///
/// # Errors
/// Where cargo fails.
pub(crate) fn build_program(package: &str, target: &str) -> Outcome {
    let mut cargo = command("cargo build --profile image --locked --package");
    cargo.args([package, "--target", target]);
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

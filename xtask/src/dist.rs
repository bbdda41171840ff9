//! Release archives: static programs with their manual pages and completion scripts, the Helm chart, a software bill of materials, a krew
//! manifest and checksums. The same commit gives the same bytes.

mod archive;
mod contents;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};

use crate::image;
use crate::manifests::fill;
use crate::shell::{Outcome, command, output, run_command, say, step};

/// Everything that a release consists of, but for the files that are packed.
const DIRECTORY: &str = "target/dist";
/// What is packed, as below a prefix such as /usr/local. (`[package.metadata.deb]` of ramp/Cargo.toml takes its files from here.)
const FILES: &str = "target/dist/files";
/// In place of an address that nobody has given.
const URL_PLACEHOLDER: &str = "https://example.com/ramp/releases/download";

/// Options of `cargo xtask dist`.
#[derive(Debug, Default)]
pub(crate) struct DistOptions {
    /// Directory of programs that are built already.
    binaries: Option<PathBuf>,
    /// Address of the releases, for the krew manifest.
    url: Option<String>,
}

impl DistOptions {
    /// # Errors
    /// Where there is another option, or a value is missing.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("dist {word}: expected a value after it"));
            match word.as_str() {
                "--binaries" => options.binaries = Some(value()?.into()),
                "--url" => options.url = Some(value()?),
                _ => return Err(format!("dist: expected --binaries DIR or --url URL, found {word:?}")),
            }
        }
        Ok(options)
    }
}

/// Builds the programs of each target that this machine can build for, and packs them.
///
/// # Errors
/// Where a build or a packer fails.
pub(crate) fn run_dist(options: &DistOptions) -> Outcome {
    let epoch = image::epoch()?;
    let _ = fs::remove_dir_all(DIRECTORY);
    let host = image::host()?;
    let mut archives = Vec::new();
    if let Some(binaries) = &options.binaries {
        archives.push(pack(binaries, binaries, &host, epoch)?);
    } else {
        // The host's last: what is in target/dist/files afterwards is what a Debian package of this machine is made of.
        for target in TARGETS.into_iter().filter(|target| *target != host) {
            match missing(target) {
                None => archives.push(pack(&built_for(target)?, &built_for(&host)?, target, epoch)?),
                Some(reason) => say(&format!("skipped {target}: {reason}")),
            }
        }
        let built = built_for(&host)?;
        archives.push(pack(&built, &built, &host, epoch)?);
    }
    let version = image::version()?;
    write(&format!("ramp-{version}.cdx.json"), &sbom::generate(Path::new("."), &host, epoch)?)?;
    archive::chart(&at(&format!("ramp-chart-{version}.tgz")), epoch)?;
    let krew = archives.iter().find(|name| name.contains("x86_64")).map(|name| krew(options, name, &version));
    krew.transpose()?.map_or(Ok(()), |manifest| write("ramp.yaml", &manifest))?;
    debian_package(epoch)?;
    let sums = archive::checksums(Path::new(DIRECTORY))?;
    write("SHA256SUMS", &sums)?;
    say(&format!("\nin {DIRECTORY}:\n{sums}"));
    Ok(())
}

const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Why programs for another machine cannot be built here.
fn missing(target: &str) -> Option<String> {
    let library = output(command("rustc --print target-libdir --target").arg(target)).unwrap_or_default();
    if !Path::new(&library).is_dir() {
        return Some(format!("no standard library for it (rustup target add {target})"));
    }
    let linker = image::cross_linker(target);
    let found = command(&linker).arg("--version").output().is_ok();
    (!found).then(|| format!("no linker for it: {linker}"))
}

/// Builds both programs as in the images; gives their directory.
fn built_for(target: &str) -> Outcome<PathBuf> {
    step(&format!("the programs for {target}"));
    // One after the other: with `ramp` beside it, `workload` would get features of libraries that it does not need.
    let built = Path::new("target").join(target);
    let together = built.join("dist");
    fs::create_dir_all(&together).map_err(|error| format!("{}: {error}", together.display()))?;
    for program in contents::PROGRAMS.iter().rev() {
        image::build_program(program, target)?;
        let path = built.join(image::profile(program)).join(program);
        fs::copy(&path, together.join(program)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(together)
}

/// Lays out the files of an archive and packs them; gives its name. `runnable` has a `ramp` that runs here.
fn pack(binaries: &Path, runnable: &Path, target: &str, epoch: u64) -> Outcome<String> {
    step(&format!("the archive for {target}"));
    contents::lay_out(Path::new("."), Path::new(FILES), binaries, &runnable.join("ramp"))?;
    let root = format!("ramp-{}-{target}", image::version()?);
    let name = format!("{root}.tar.gz");
    archive::pack(Path::new(FILES), &root, &at(&name), epoch)?;
    Ok(name)
}

fn krew(options: &DistOptions, archive: &str, version: &str) -> Outcome<String> {
    let base = options.url.clone().unwrap_or_else(|| {
        say(&format!("ramp.yaml: its address is a placeholder ({URL_PLACEHOLDER}); give --url URL"));
        format!("{URL_PLACEHOLDER}/v{version}")
    });
    Ok(krew_manifest(&base, archive, version, &archive::sha256(&at(archive))?))
}

fn krew_manifest(base: &str, archive: &str, version: &str, sha256: &str) -> String {
    let url = format!("{}/{archive}", base.trim_end_matches('/'));
    fill(
        include_str!("../../deploy/krew/ramp.yaml"),
        &[("version", version), ("url", &url), ("sha256", sha256)],
    )
}

/// The Debian package, where cargo-deb is installed.
fn debian_package(epoch: u64) -> Outcome {
    if command("cargo deb --version").output().is_ok_and(|output| output.status.success()) {
        step("the Debian package");
        let mut deb = command("cargo deb --quiet --package ramp --no-build --no-strip --output");
        return run_command(deb.arg(DIRECTORY).env("SOURCE_DATE_EPOCH", epoch.to_string()));
    }
    say("skipped the Debian package: cargo-deb is not installed (cargo install --locked cargo-deb)");
    Ok(())
}

fn at(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

fn write(name: &str, text: &str) -> Outcome {
    let path = at(name);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;

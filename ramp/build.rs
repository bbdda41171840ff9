//! Links the program of the image of `ramp` without tables for unwinding, a tenth of it: on a panic it aborts, and nothing unwinds.

use std::env;

fn main() {
    const SCRIPT: &str = "without-unwind-tables.ld";
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SCRIPT}");
    // Of profile `ramp-image` alone, where rustc links with lld. (CARGO_CFG_PANIC is that of the target, not of the profile.)
    let expected = [
        ("OPT_LEVEL", "z"),
        ("CARGO_CFG_TARGET_OS", "linux"),
        ("CARGO_CFG_TARGET_ENV", "gnu"),
        ("CARGO_CFG_TARGET_ARCH", "x86_64"),
    ];
    if expected.iter().all(|(name, value)| env::var(name).is_ok_and(|found| found == *value))
        && let Ok(directory) = env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{directory}/{SCRIPT}");
    }
}

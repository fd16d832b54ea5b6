//! Hands the kernel object, built beforehand with a toolchain of its own, to `include_bytes!`.
//!
//! `MONITOR_BPF_OBJECT` names another object than the one `cargo xtask build` leaves in the
//! workspace's target folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MONITOR_BPF_OBJECT");
    let object = env::var_os("MONITOR_BPF_OBJECT").map_or_else(default_object, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("monitor.o");
    let Err(error) = fs::copy(&object, &target) else {
        return;
    };
    // An empty file in its place keeps the compiler from adding errors of its own.
    if let Err(error) = fs::write(&target, []) {
        println!("cargo::error=cannot write `{}`: {error}", target.display());
    }
    println!(
        "cargo::error=no kernel object at `{}` ({error}): run `cargo xtask build` first",
        object.display()
    );
}

fn default_object() -> PathBuf {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    manifest
        .parent()
        .unwrap_or(Path::new(".."))
        .join("target/bpf/monitor.o")
}

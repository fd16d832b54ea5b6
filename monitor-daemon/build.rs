//! Hands the kernel object, built beforehand with a toolchain of its own, to `include_bytes!`:
//! compressed, and without the lines of source that each instruction came from, which the kernel
//! would keep and nobody reads. What is in the binary is in the daemon's memory too.
//!
//! `MONITOR_BPF_OBJECT` names another object than the one `cargo xtask build` leaves in the
//! workspace's target folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

use object::{Object as _, ObjectSection as _};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name| env::var(format!("CARGO_CFG_TARGET_{name}"));
    if target("ENV").as_deref() == Ok("musl") && target("ARCH").as_deref() == Ok("x86_64") {
        // The addresses that are set at the start are listed in a bit each, and not in 24 bytes.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    println!("cargo::rerun-if-env-changed=MONITOR_BPF_OBJECT");
    let object = env::var_os("MONITOR_BPF_OBJECT").map_or_else(default_object, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("monitor.o");
    let read = fs::read(&object).map_err(|error| error.to_string());
    let smaller = read.and_then(|mut bytes| {
        drop_lines(&mut bytes)?;
        Ok(lz4_flex::compress_prepend_size(&bytes))
    });
    let (bytes, error) = match smaller {
        Ok(bytes) => (bytes, None),
        // An empty file in its place keeps the compiler from adding errors of its own.
        Err(error) => (Vec::new(), Some(error)),
    };
    if let Err(error) = fs::write(&target, bytes) {
        println!("cargo::error=cannot write `{}`: {error}", target.display());
    }
    if let Some(error) = error {
        println!(
            "cargo::error=no kernel object at `{}` ({error}): run `cargo xtask build` first",
            object.display()
        );
    }
}

/// Makes the part on lines of source of the section `.BTF.ext` empty.
fn drop_lines(object: &mut [u8]) -> Result<(), String> {
    /// Where its length is in the section (`struct btf_ext_header` of libbpf).
    const LENGTH: usize = 20;
    let file = object::File::parse(&*object).map_err(|error| error.to_string())?;
    let range = file
        .section_by_name(".BTF.ext")
        .and_then(|section| section.file_range());
    let at = range.map_or(0, |(start, _)| start as usize) + LENGTH;
    let length = object.get_mut(at..at + size_of::<u32>());
    let (true, Some(length)) = (range.is_some(), length) else {
        return Err("it has no section `.BTF.ext`".to_owned());
    };
    length.fill(0);
    Ok(())
}

fn default_object() -> PathBuf {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    manifest
        .parent()
        .unwrap_or(Path::new(".."))
        .join("target/bpf/monitor.o")
}

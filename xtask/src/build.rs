//! `build-ebpf` and `build`: the kernel programs with Debian's compiler, then the daemon, which
//! embeds them, with the caller's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::setup::{self, DEBIAN_CARGO, DEBIAN_CLIPPY, DEBIAN_RUSTC};
use crate::{shell, workspace};

/// How the daemon is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As delivered.
    Release,
    /// Quick to build.
    Debug,
}

/// Builds the kernel programs, then the daemon.
pub(crate) fn build(profile: Profile) -> Result<()> {
    build_ebpf()?;
    match profile {
        Profile::Release => build_static(),
        Profile::Debug => shell::run(&mut cargo_build()),
    }
}

/// Leaves the program that is delivered at `target/release/monitor-daemon`, so that it is the one
/// that is tried and tested too.
///
/// It is linked with musl, whose resolver reads `/etc/hosts` and `/etc/resolv.conf` itself: glibc's,
/// in a static program, loads modules of whatever glibc the host has.
fn build_static() -> Result<()> {
    let (target, flag) = setup::static_target()?;
    let mut flags = without_paths();
    flags.extend(flag.map(str::to_owned));
    let mut command = cargo_build();
    command
        .args(["--release", "--target", target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    shell::run(&mut command)?;
    let built = workspace::target()
        .join(target)
        .join("release/monitor-daemon");
    refuse_dynamic(&built)?;
    let program = workspace::daemon();
    fs::create_dir_all(program.parent().context("the program has no folder")?)?;
    // A new file: the old one may be running.
    let fresh = program.with_extension("new");
    fs::copy(&built, &fresh).with_context(|| format!("cannot write `{}`", fresh.display()))?;
    fs::rename(&fresh, &program).with_context(|| format!("cannot write `{}`", program.display()))
}

/// A program that names an interpreter would need it, and libraries, on the host.
fn refuse_dynamic(program: &Path) -> Result<()> {
    let listing = shell::query(Command::new("ldd").arg(program))?.unwrap_or_default();
    // Other words for the two kinds of static programs; `ldd` fails for one of them.
    ensure!(
        listing.is_empty() || listing.contains("statically linked"),
        "`{}` is not static: {listing}",
        program.display()
    );
    Ok(())
}

fn cargo_build() -> Command {
    let mut command = shell::cargo();
    command.args(["build", "--locked", "--package", "monitor-daemon"]);
    command
}

/// Builds the kernel programs, then the daemon for aarch64, static and with what `profile` needs:
/// `target/aarch64-unknown-linux-musl/PROFILE/monitor-daemon`.
pub(crate) fn build_arm(profile: Profile) -> Result<()> {
    build_ebpf()?;
    setup::arm_target()?;
    let mut command = shell::cargo();
    command.args(["build", "--locked", "--package", "monitor-daemon"]);
    command.args(["--target", setup::ARM_TARGET]);
    // The compiler's own linker and musl do.
    let linker = format!("target.{}.linker=\"rust-lld\"", setup::ARM_TARGET);
    command.args(["--config", &linker]);
    arm_compiler(&mut command)?;
    // Most of the file, and guests hold it in memory.
    command.args(["--config", "profile.dev.strip=\"debuginfo\""]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    shell::run(&mut command)
}

/// `SQLite` is C: Debian has a compiler for aarch64, but with the headers of another library.
fn arm_compiler(command: &mut Command) -> Result<()> {
    let mut ask = Command::new(setup::ARM_COMPILER);
    let own = shell::query(ask.arg("-print-file-name=include"))?;
    let own = own.with_context(|| format!("`{}` is missing", setup::ARM_COMPILER))?;
    let headers = setup::arm_headers()?;
    let flags = format!(
        "-nostdinc -isystem {} -isystem {}",
        headers.display(),
        own.trim()
    );
    command
        .env("CC_aarch64_unknown_linux_musl", setup::ARM_COMPILER)
        .env("AR_aarch64_unknown_linux_musl", "aarch64-linux-gnu-ar")
        .env("CFLAGS_aarch64_unknown_linux_musl", flags);
    Ok(())
}

/// Builds the kernel programs into `target/bpf/monitor.o`.
///
/// The file is only written when its content changes, so that the daemon is not built again for
/// nothing.
pub(crate) fn build_ebpf() -> Result<()> {
    let folder = workspace::root().join("monitor-ebpf");
    if !fs::exists(DEBIAN_CARGO)? || !fs::exists(DEBIAN_RUSTC)? {
        bail!("Debian's compiler for the kernel programs is missing; run `cargo xtask setup`");
    }
    shell::run(debian_cargo(DEBIAN_CARGO, "build")?.current_dir(&folder))?;
    let built = folder.join("target/bpfel-unknown-none/release/monitor");
    let stripped = built.with_extension("stripped");
    // Debug information has done its part, the BTF; it would be five sixths of the object, which
    // the daemon holds in memory.
    shell::run(
        Command::new(setup::llvm_programs()?.join("llvm-objcopy"))
            .arg("--strip-debug")
            .args([&built, &stripped]),
    )?;
    let built = stripped;
    let built = fs::read(&built).with_context(|| format!("cannot read `{}`", built.display()))?;
    let object = workspace::bpf_object();
    if fs::read(&object).is_ok_and(|present| present == built) {
        return Ok(());
    }
    fs::create_dir_all(object.parent().context("the object has no folder")?)?;
    fs::write(&object, built).with_context(|| format!("cannot write `{}`", object.display()))
}

/// Prints what this machine's verifier says of each program of the object, where it may be asked, and
/// how long it took: the daemon loads them, so it is built first.
pub(crate) fn verify() -> Result<()> {
    if !shell::is_root() {
        println!("not loaded: that takes root");
        return Ok(());
    }
    shell::run(&mut cargo_build())?;
    let daemon = workspace::target().join("debug/monitor-daemon");
    shell::run(Command::new(daemon).args(["doctor", "--programs"]))
}

/// Lints the kernel programs, with the compiler that builds them.
pub(crate) fn lint_ebpf() -> Result<()> {
    // By path: cargo would look for its `clippy` among rustup's programs first.
    let mut command = debian_cargo(DEBIAN_CLIPPY, "clippy")?;
    command
        .args(["--", "-D", "warnings"])
        .env("CARGO", DEBIAN_CARGO)
        .current_dir(workspace::root().join("monitor-ebpf"));
    shell::run(&mut command)
}

/// Flags that cut the paths of this machine off what is built, so that it is the same elsewhere.
pub(crate) fn without_paths() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let cut = |path: &Path, name| format!("--remap-path-prefix={}={name}", path.display());
    std::iter::once(cut(workspace::root(), "monitor"))
        .chain(home.map(|home| cut(&home, "cargo")))
        .collect()
}

fn debian_cargo(program: &str, action: &str) -> Result<Command> {
    let mut command = shell::without_outer_cargo(program);
    // Settings for the workspace's own compiler mean nothing to this one, or harm.
    for (name, _) in std::env::vars_os() {
        let foreign = name.to_str().is_some_and(|name| {
            [
                "CARGO_BUILD_",
                "CARGO_TARGET_",
                "CARGO_PROFILE_",
                "RUSTUP_",
                "RUSTC",
                "RUSTFLAGS",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        });
        if foreign {
            command.env_remove(name);
        }
    }
    let mut flags = without_paths();
    let wanted = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
    ];
    flags.extend(wanted.map(str::to_owned));
    command
        .args([
            action,
            "--release",
            "--locked",
            "--target",
            "bpfel-unknown-none",
        ])
        .args(["-Z", "build-std=core"])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("PATH", path_with_linker()?)
        // Building `core` from source is not stable; this allows it in a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", DEBIAN_RUSTC);
    Ok(command)
}

fn path_with_linker() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(setup::bpf_linker()?).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(folders)?)
}

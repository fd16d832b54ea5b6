//! `setup`: makes a Debian machine able to build, and to test.
//!
//! Nothing is remembered between calls: what is there is looked at each time (package database,
//! files, versions), what is missing is installed. Nothing is removed from the machine and no
//! package that is new enough is touched.

mod apt;
mod kernel;
mod linker;
mod source;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;
use apt::Need;

pub(crate) use kernel::{
    ARM_SUFFIX, DEFAULT as DEFAULT_KERNEL, NEWEST, arm_headers, install as guest_kernel,
};
pub(crate) use linker::installed as bpf_linker;
pub(crate) use tools::{CARGO_DENY, CARGO_FUZZ, tool};

/// What the machine shall be able to do.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Level {
    /// Build the kernel programs and the daemon.
    Build,
    /// Build, and run every test: dockerd, virtual machines, Prometheus, lints.
    Test,
    /// All that, fuzz, look at dependencies, and lint the kernel programs.
    Ci,
    /// Build, count instructions, and read the statistics of kernel programs.
    Bench,
}

/// The kernel programs' compiler: a stable rustc cannot build `core` for the BPF target from
/// source that rustup serves without a nightly, Debian's can, and comes with the LLVM it uses.
const BUILD: &[Need] = &[
    Need::package("gcc"),
    Need::package("libc6-dev"),
    Need::program("musl-gcc", "musl-tools"),
    Need::at_least("rustc-web", "1.96"),
    Need::at_least("cargo-web", "1.96"),
    Need::at_least("rust-web-src", "1.96"),
    Need::package("zlib1g-dev"),
    Need::package("libzstd-dev"),
    Need::package("libxml2-dev"),
    Need::package("pkg-config"),
];

/// Programs where any installation will do, Debian's or another, and packages where it must be
/// Debian's.
const TEST: &[Need] = &[
    Need::program("dockerd", "docker.io"),
    Need::program("docker", "docker.io"),
    Need::program("iptables", "iptables"),
    Need::program("qemu-system-x86_64", "qemu-system-x86"),
    Need::program("cpio", "cpio"),
    Need::program("prometheus", "prometheus"),
    Need::program("promtool", "prometheus"),
    Need::program("docker-registry", "docker-registry"),
    Need::program("rsyslogd", "rsyslog"),
    // Two libraries for TLS, of which each has its own habits.
    Need::package("rsyslog-gnutls"),
    Need::package("rsyslog-openssl"),
    Need::program("nats-server", "nats-server"),
    Need::package("librdkafka-dev"),
    Need::program("ip", "iproute2"),
    Need::program("bpftool", "bpftool"),
    Need::program("logrotate", "logrotate"),
    Need::program("rpmbuild", "rpm"),
    Need::program("systemd-analyze", "systemd"),
    Need::package("busybox-static"),
];

const CI: &[Need] = &[
    Need::program("g++", "g++"),
    Need::program("qemu-system-aarch64", "qemu-system-arm"),
    Need::program(ARM_COMPILER, "gcc-aarch64-linux-gnu"),
    Need::at_least("rust-web-clippy", "1.96"),
];
const BENCH: &[Need] = &[
    Need::program("valgrind", "valgrind"),
    Need::program("bpftool", "bpftool"),
];

/// Debian's compiler, by path: rustup's is first on the search path.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The target of static programs.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";
/// Compiles C for aarch64.
pub(crate) const ARM_COMPILER: &str = "aarch64-linux-gnu-gcc";
/// The target of static programs for aarch64.
pub(crate) const ARM_TARGET: &str = "aarch64-unknown-linux-musl";
/// Debian's cargo, by path.
pub(crate) const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// Debian's clippy, by path.
pub(crate) const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// Installs what is missing for `level`.
///
/// # Errors
///
/// When something is missing and cannot be installed; the message says what to do by hand.
pub(crate) fn setup(level: Level) -> Result<()> {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        bail!("only Linux on x86_64 is supported");
    }
    let wanted = match level {
        Level::Build => BUILD.to_vec(),
        Level::Test => [BUILD, TEST].concat(),
        Level::Ci => [BUILD, TEST, CI].concat(),
        Level::Bench => [BUILD, BENCH].concat(),
    };
    apt::install(&wanted)?;
    // Only the installed compiler knows its LLVM, so this is a second step.
    let llvm = llvm_major()?;
    apt::install(&[
        Need::named(format!("llvm-{llvm}-dev")),
        Need::named(format!("libpolly-{llvm}-dev")),
    ])?;
    let tests = matches!(level, Level::Test | Level::Ci);
    // The one waits for the network, the other for the compiler.
    std::thread::scope(|scope| {
        let kernels = tests.then(|| scope.spawn(kernel::install_all));
        linker::install(llvm)?;
        let Some(kernels) = kernels else {
            return Ok(());
        };
        rustup_components()?;
        let fetched = kernels.join();
        fetched.unwrap_or_else(|_| bail!("kernels cannot be fetched"))
    })?;
    if level == Level::Ci {
        kernel::install_arm()?;
        arm_target()?;
        tools::install(&CARGO_FUZZ)?;
        tools::install(&CARGO_DENY)?;
    }
    Ok(())
}

/// Makes rustup's compiler able to build static programs, and says for which target and with which
/// flags.
///
/// Where rustup cannot fetch musl's library, the glibc that is there serves for tests.
pub(crate) fn static_target() -> Result<(&'static str, Option<&'static str>)> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut ask = shell::without_outer_cargo(rustc);
    ask.args(["--print", "target-libdir", "--target", STATIC_TARGET]);
    let folder = shell::query(&mut ask)?.context("`rustc` does not run")?;
    let mut add = shell::without_outer_cargo("rustup");
    add.args(["target", "add", STATIC_TARGET]);
    if Path::new(folder.trim()).is_dir() || shell::run(&mut add).is_ok() {
        return Ok((STATIC_TARGET, None));
    }
    println!(
        "warning: rustup cannot fetch the library for {STATIC_TARGET}: the program is linked with \
         glibc, statically, and not fit to be given away (docs/adr/0009)"
    );
    Ok((
        "x86_64-unknown-linux-gnu",
        Some("-Ctarget-feature=+crt-static"),
    ))
}

/// Makes rustup's compiler able to build static programs for aarch64.
pub(crate) fn arm_target() -> Result<()> {
    let mut add = shell::without_outer_cargo("rustup");
    shell::run(add.args(["target", "add", ARM_TARGET]))
}

/// The LLVM major version behind Debian's compiler; it moves with the distribution.
fn llvm_major() -> Result<u32> {
    let version = shell::query(shell::without_outer_cargo(DEBIAN_RUSTC).arg("-vV"))?
        .with_context(|| format!("`{DEBIAN_RUSTC}` does not run"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .and_then(|version| version.split('.').next()?.trim().parse().ok())
        .with_context(|| format!("`{DEBIAN_RUSTC} -vV` names no LLVM version"))
}

/// The folder of LLVM's programs that fit Debian's compiler.
pub(crate) fn llvm_programs() -> Result<PathBuf> {
    Ok(PathBuf::from(format!(
        "/usr/lib/llvm-{}/bin",
        llvm_major()?
    )))
}

/// A minimal rustup profile lacks what the lint steps call.
fn rustup_components() -> Result<()> {
    let present = |program| match std::env::var_os("CARGO") {
        Some(cargo) => Path::new(&cargo).with_file_name(program).is_file(),
        None => shell::find(program).is_some(),
    };
    let missing: Vec<_> = [("clippy", "cargo-clippy"), ("rustfmt", "cargo-fmt")]
        .into_iter()
        .filter(|(_, program)| !present(*program))
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell::run(
        shell::without_outer_cargo("rustup")
            .args(["component", "add"])
            .args(missing),
    )
}

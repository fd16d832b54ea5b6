//! `vm`: a command inside of a virtual machine that boots another kernel.
//!
//! The machine itself is built by the tests' own harness (`tests/support/vm`); this task makes
//! sure that all it needs is there, and starts it.

use anyhow::Result;

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Series of the guest's kernel; `6.1-arm64` and `6.12-arm64` emulate aarch64
    #[arg(long, default_value = setup::DEFAULT_KERNEL)]
    kernel: String,
    /// File to put into the guest's /bin, with the libraries it needs; may be repeated
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<String>,
    /// Shell command for the guest
    #[arg(trailing_var_arg = true, default_value = "monitor-daemon doctor")]
    command: Vec<String>,
}

/// Boots the guest and passes its exit status on as success or failure.
pub(crate) fn vm(options: &Options) -> Result<()> {
    if options.kernel.ends_with(setup::ARM_SUFFIX) {
        setup::setup(Level::Ci)?;
        build::build_arm(Profile::Debug)?;
    } else {
        setup::setup(Level::Test)?;
        setup::guest_kernel(&options.kernel)?;
        build::build(Profile::Release)?;
    }
    let mut guest = shell::cargo();
    guest.args([
        "run",
        "--quiet",
        "--package",
        "monitor-tests",
        "--bin",
        "vm",
        "--",
    ]);
    guest
        .arg(&options.kernel)
        .arg(options.command.join(" "))
        .args(&options.files);
    shell::run(&mut guest)
}

//! `soak`: the daemon under mixed load for a while; see `tests/soak`.

use anyhow::Result;

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long; the first 3 minutes are not judged
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(9..))]
    minutes: u64,
}

/// Builds the daemon as delivered and watches it; fails when it grows or loses anything.
pub(crate) fn soak(options: &Options) -> Result<()> {
    setup::setup(Level::Test)?;
    build::build(Profile::Release)?;
    let mut soak = shell::cargo();
    soak.args(["run", "--quiet", "--locked", "--package", "monitor-tests"])
        .args(["--bin", "soak", "--"])
        .arg(options.minutes.to_string());
    shell::run(&mut soak)
}

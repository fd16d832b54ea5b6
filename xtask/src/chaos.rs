//! `chaos`: what goes wrong around the daemon, a hundred times; see `tests/chaos`.

use std::process::Command;

use anyhow::Result;

use crate::build::{self, Profile};
use crate::setup::{self, Level};
use crate::shell;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many times something goes wrong
    #[arg(long, default_value_t = ROUNDS)]
    rounds: usize,
    /// Have the clock of this host jump by 400 days too, there and back
    #[arg(long)]
    clock: bool,
}

const ROUNDS: usize = 100;

/// Builds the daemon as delivered and has it killed; fails when an alert is lost.
pub(crate) fn chaos(options: &Options) -> Result<()> {
    setup::setup(Level::Test)?;
    build::build(Profile::Release)?;
    shell::run(&mut command(options))
}

/// The rounds alone, of the daemon that was built last.
pub(crate) fn rounds() -> Command {
    command(&Options {
        rounds: ROUNDS,
        clock: false,
    })
}

fn command(options: &Options) -> Command {
    let mut chaos = shell::cargo();
    chaos
        .args(["run", "--quiet", "--locked", "--package", "monitor-tests"])
        .args(["--bin", "chaos", "--"])
        .arg(options.rounds.to_string())
        .args(options.clock.then_some("clock"));
    chaos
}

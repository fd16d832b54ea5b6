//! `config`: the configuration in effect.

use std::path::PathBuf;

use clap::Args;

use super::error::Error;
use super::print::print;
use crate::config::{Config, DEFAULT_PATH};

const HELP: &str = "\
All keys are printed, also those that no file sets. The output is a valid configuration.

Examples:
  monitor-daemon config
  monitor-daemon config --config my.yaml > whole.yaml";

/// Print the configuration in effect as YAML: defaults, the file, and conf.d beside it.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[arg(
        long,
        value_name = "FILE",
        help = format!("Configuration; without it {DEFAULT_PATH} if it exists, else defaults")
    )]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::load(arguments.config.as_deref())?;
    print(&config.to_yaml()?)
}

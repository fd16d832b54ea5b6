//! `reload`: asks the running daemon to load its rules anew, and says what came of it.

use std::path::PathBuf;

use clap::Args;

use super::Format;
use super::error::Error;
use super::print::print;
use crate::config::{Config, DEFAULT_PATH};
use crate::reload::{self, Outcome};

const HELP: &str = "\
The rules are read and compiled beside the running ones, which stay in force if anything is wrong.
The change happens between two events, and nothing is missed. Of the configuration, a reload takes
what decides about rules; what takes effect at the next start only is named.

Changed files are loaded without being asked for, unless `reload_on_change` is off. SIGHUP asks too,
but does not say what came of it.

Examples:
  sudo monitor-daemon reload
  sudo monitor-daemon reload --format json | jq .changed";

/// Load the rules of the running daemon anew, without missing an event.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[arg(
        long,
        value_name = "FILE",
        help = format!(
            "Configuration of the running daemon, for its `control.socket`; without it \
             {DEFAULT_PATH}"
        )
    )]
    config: Option<PathBuf>,
    /// How the result is printed; json: an object on one line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::load(arguments.config.as_deref())?;
    let socket = config.control.ok_or(Error::NoControl)?;
    let answer = reload::ask(&socket)?;
    match arguments.format {
        Format::Text => print(&answer.text())?,
        Format::Json => print(&(serde_json::to_string(&answer)? + "\n"))?,
    }
    match answer.result {
        Outcome::Loaded | Outcome::Unchanged => Ok(()),
        Outcome::Refused => Err(Error::NotReloaded {
            cause: answer.cause,
        }),
    }
}

//! `schema`: the form of rules files, for editors.

use clap::Args;

use super::error::Error;
use super::print::print;

const HELP: &str = "\
Examples:
  monitor-daemon schema > rules.schema.json
Then, for editors with the YAML language server, as the first line of a rules file:
  # yaml-language-server: $schema=rules.schema.json";

/// Print a JSON Schema (draft 2020-12) of rules files.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<(), Error> {
    let schema = monitor_policy::schema();
    print(&format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

//! `selftest`: does what evading programs do, as far as that is harmless, and says what was seen.
//!
//! A watcher of its own (`run` as a child, with rules for these acts alone) sees acts of further
//! children in a temporary folder; a daemon that runs already is not disturbed. Of each act it has to
//! tell as often as it was done, with the right process, and nothing of the act's twin: the same in
//! a folder that the rule does not name. What would load the host, or what its kernel does not have,
//! is listed as not tried. Nothing is left behind. What the host refuses shows nothing, so that it
//! fails the test as what is not seen does, unless `doctor` says that this kernel does not show it.

mod acts;
mod done;
mod reader;
mod report;
mod trials;
mod watcher;

use std::path::PathBuf;

use clap::Args;

use super::Format;
use super::doctor;
use super::error::Error;
use super::print::print;
use report::{Finding, Outcome};
use trials::{Plan, TRIALS};
use watcher::Watcher;
pub(super) use watcher::WatcherError;

const HELP: &str = "\
Takes half a minute. Acts in a temporary folder, on the loopback interface, in a mount namespace and
cgroups of its own, and on its own processes. A daemon that runs already goes on undisturbed, and
alerts as ever of what its rules name. Exit code 5 when something was not seen that `doctor` does not
list as unseen, or the host refused to let it be done.

Examples:
  sudo monitor-daemon selftest
  sudo monitor-daemon selftest --format json | jq '.cases[] | select(.outcome == \"blind\")'";

/// Try on this host what hides from monitors, as far as it is harmless, and say what is seen.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What the children of `selftest` are started with.
#[derive(Args, Debug)]
pub(super) struct ActArguments {
    name: String,
    folder: PathBuf,
    /// What an act starts itself with, for others to see.
    #[arg(allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    doctor::check_privileges()?;
    let mut watcher = Watcher::start(TRIALS)?;
    let mut findings = Vec::new();
    for trial in TRIALS {
        let outcome = match &trial.plan {
            Plan::NotTried(reason) => Outcome::NotTried {
                reason: (*reason).to_owned(),
            },
            Plan::Act(plan) => watcher.judge(trial, plan)?,
        };
        findings.push(Finding { trial, outcome });
    }
    watcher.stop()?;
    print(&match arguments.format {
        Format::Text => report::text(&findings),
        Format::Json => format!(
            "{}\n",
            serde_json::to_string_pretty(&report::json(&findings))?
        ),
    })?;
    let (blind, refused) = (
        report::unseen(&findings),
        report::count(&findings, "refused"),
    );
    match (blind, refused) {
        (0, 0) => Ok(()),
        (0, refused) => Err(Error::Undone { refused }),
        (blind, _) => Err(Error::Unseen { blind }),
    }
}

/// One act, in a process of its own.
pub(super) fn act(arguments: &ActArguments) -> Result<(), Error> {
    acts::act(&arguments.name, &arguments.folder, &arguments.rest).map_err(|source| Error::Act {
        name: arguments.name.clone(),
        source,
    })
}

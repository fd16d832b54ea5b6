//! `test`: runs the tests beside rules, without watching anything.

mod files;
mod report;

use std::path::PathBuf;

use clap::Args;
use monitor_policy::{Case, Matching, Options, Policy, Scratch, SuggestedOutput, read_cases};

use super::error::Error;
use super::print::{color, print};
use super::{Format, policies};
use crate::config::Config;
use files::{Files, Text};
use report::{FileOutcome, Outcome, Report};

const HELP: &str = "\
The tests of NAME.yaml are in NAME.test.yaml beside it: a sequence of
  - test: a web server starts a shell
    event: {evt.type: execve, proc.name: sh, proc.pname: nginx}
    fires: Shell started by a server    # a rule, [several], or none
    silent: Another rule                # a rule or [several]
    output: nginx started sh            # all that the rule prints
    unless:                             # each change alone makes it silent
      - {proc.pname: cron}
  - test: a login starts a shell
    like: a web server starts a shell   # the event of that test, changed
    event: {proc.pname: sshd, proc.tty: ~}
    fires: none
Events are as `eval` reads them. All paths are loaded together, as `run --policy` does.

Exit codes: 0 all tests pass, 5 one does not, 1 rules or tests cannot be read.

Examples:
  monitor-daemon test my-rules/
  monitor-daemon test falco_rules.yaml my_rules.yaml
  monitor-daemon test --format json | jq '.[].cases[] | select(.ok | not)'";

/// Run the tests beside rules (NAME.test.yaml beside NAME.yaml), and say what decided each failure.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Rules files, or folders of them; without any the policies that `run` would load.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Configuration file, for its policies, limits and static fields; see `run`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the result is printed; json: an array with one object a file of tests.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::load(arguments.config.as_deref())?;
    let paths = if arguments.paths.is_empty() {
        &config.policies
    } else {
        &arguments.paths
    };
    let files = Files::read(paths)?;
    if files.tests.is_empty() {
        return Err(Error::NoTests);
    }
    let options = Options {
        matching: Matching::All,
        suggested_output: SuggestedOutput::Omit,
        static_fields: config.rules.static_fields,
        limits: config.rules.limits,
        ..Options::default()
    };
    let rules = files.rules();
    let policy = policies::finish(monitor_policy::load(&rules, &options))?;
    let cases = cases(&files.tests, &policy)?;
    let outcomes: Vec<FileOutcome<'_>> = files
        .tests
        .iter()
        .zip(&cases)
        .map(|(file, cases)| judge(&file.name, cases, &policy))
        .collect();
    let report = Report {
        files: &outcomes,
        rules: &rules,
        limits: options.limits,
    };
    print(&match arguments.format {
        Format::Text => report.text(color(&std::io::stdout())),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&report.to_json())?),
    })?;
    let failed = outcomes.iter().map(FileOutcome::failed).sum();
    match failed {
        0 => Ok(()),
        failed => Err(Error::TestsFailed { failed }),
    }
}

/// The cases of each file. Whatever is wrong with any of them is printed.
fn cases(files: &[Text], policy: &Policy) -> Result<Vec<Vec<Case>>, Error> {
    let mut all = Vec::new();
    let mut refused = false;
    for file in files {
        match read_cases(file.as_rules(), policy) {
            Ok(cases) => all.push(cases),
            Err(report) => {
                refused = true;
                let text = report.render(color(&std::io::stderr()));
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            }
        }
    }
    if refused {
        Err(Error::TestsRefused)
    } else {
        Ok(all)
    }
}

fn judge<'c>(name: &'c str, cases: &'c [Case], policy: &Policy) -> FileOutcome<'c> {
    let mut scratch = Scratch::default();
    let outcomes = cases.iter().map(|case| Outcome {
        case,
        mismatches: case.judge(policy, &mut scratch),
    });
    FileOutcome {
        name,
        outcomes: outcomes.collect(),
    }
}

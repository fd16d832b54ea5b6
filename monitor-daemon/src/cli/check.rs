//! `check`: do these rules files load, and what is wrong with them.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use monitor_policy::{
    Code, FileReport, LintGroup, LintOptions, Options, RulesFile, Severity, Told, nearest,
};

use super::Format;
use super::error::Error;
use super::policies::{self, Source};
use super::print::{color, print};
use crate::event::{UNFILLED, told};

const HELP: &str = "\
Files are loaded together in the given order, as the daemon would: a later file may change what an
earlier one defines, so give a file of overrides after the file it overrides.

Each warning has a code. It is silenced by --allow, or for one item by a comment above the item:
  # monitor: allow LINT_REDEFINED

Examples:
  monitor-daemon check my_rules.yaml
  monitor-daemon check my_rules.yaml --allow LINT_REDEFINED --allow LOAD_UNUSED_MACRO
  monitor-daemon check falco_rules.yaml falco_rules.local.yaml --format json";

/// Say whether rules files load: errors and warnings with file, line and column.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Rules files, or folders of them.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Configuration file, for its limits and static fields; see `run`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the result is printed; json: an array with one entry a file, in Falco's shape.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What is warned of beyond what Falco warns of.
    #[arg(long, value_enum, default_value_t)]
    lint: Lint,
    /// Warning that is not reported; may be repeated.
    #[arg(long, value_name = "CODE", value_parser = warning)]
    allow: Vec<Code>,
}

/// Which lints are on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Lint {
    /// Nothing: the warnings are Falco's.
    None,
    /// What is hardly ever meant.
    #[default]
    Likely,
    /// Also what is a matter of taste.
    All,
}

/// The warning of a name.
fn warning(name: &str) -> Result<Code, String> {
    let warnings = Code::ALL
        .iter()
        .filter(|code| code.severity() == Severity::Warning);
    if let Some(code) = Code::from_name(name) {
        return match code.severity() {
            Severity::Warning => Ok(code),
            Severity::Error => Err("an error cannot be silenced".to_owned()),
        };
    }
    let near = nearest(name, warnings.map(|code| code.name()));
    Err(match near {
        Some(near) => format!("no such warning; did you mean {near}?"),
        None => "no such warning; `docs/reference/diagnostics.md` has all".to_owned(),
    })
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let options = Options {
        lint: lint(arguments.lint),
        ..policies::options(arguments.config.as_deref())?
    };
    let mut reports = check(
        policies::read(&arguments.files, options.limits.file_bytes)?,
        &options,
    );
    for report in &mut reports {
        report.allow(&arguments.allow);
    }
    match arguments.format {
        Format::Text => print(&text(&reports))?,
        Format::Json => {
            let array: Vec<serde_json::Value> = reports.iter().map(FileReport::to_json).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&array)?))?;
        }
    }
    if reports.iter().all(FileReport::is_successful) {
        Ok(())
    } else {
        Err(Error::Refused)
    }
}

fn lint(lint: Lint) -> LintOptions {
    let group = match lint {
        Lint::None => LintGroup::None,
        Lint::Likely => LintGroup::Likely,
        Lint::All => LintGroup::All,
    };
    LintOptions {
        group,
        unfilled: UNFILLED,
        told: Some(Told(told)),
    }
}

/// One report a file, in order; files that cannot be read are left out of the load.
fn check(sources: Vec<Source>, options: &Options) -> Vec<FileReport> {
    let named: Vec<(String, io::Result<String>)> = sources
        .into_iter()
        .map(|source| (source.path.display().to_string(), source.text))
        .collect();
    let readable: Vec<RulesFile<'_>> = named
        .iter()
        .filter_map(|(name, text)| text.as_ref().ok().map(|text| RulesFile { name, text }))
        .collect();
    let mut loaded = monitor_policy::load(&readable, options).files.into_iter();
    let reports = named.iter().filter_map(|(name, text)| match text {
        Ok(_) => loaded.next(),
        Err(error) => Some(policies::unreadable(name, error)),
    });
    reports.collect()
}

fn text(reports: &[FileReport]) -> String {
    let color = color(&io::stdout());
    let parts = reports.iter().map(|report| {
        format!(
            "{}{}: {}\n",
            report.render(color),
            report.name(),
            verdict(report)
        )
    });
    parts.collect::<Vec<_>>().concat()
}

fn verdict(report: &FileReport) -> String {
    let more = match report.omitted() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let count = |number: usize, noun| match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    };
    let told = match (report.errors().len(), report.warnings().len()) {
        (0, 0) => "ok".to_owned(),
        (0, warnings) => format!("ok, {}", count(warnings, "warning")),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => {
            format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
        }
    };
    told + &more
}

#[cfg(test)]
mod tests {
    use monitor_policy::Color;

    use super::*;

    fn likely() -> Options {
        Options {
            lint: lint(Lint::Likely),
            ..Options::default()
        }
    }

    #[test]
    fn the_built_in_policies_have_nothing_to_mend() {
        for file in crate::default_policies::FILES {
            let loaded = monitor_policy::load(&[*file], &likely());
            let said: String = loaded
                .files
                .iter()
                .map(|file| file.render(Color::Never))
                .collect();
            assert_eq!(said, "", "{}", file.name);
        }
    }

    #[test]
    fn a_rule_that_needs_what_is_never_filled_is_warned_of() {
        let text = "- rule: R\n  desc: d\n  priority: notice\n  output: o\n  condition: evt.type = \
                    openat and evt.infra.docker.name exists\n";
        let file = RulesFile { name: "r", text };
        let mut report = monitor_policy::load(&[file], &likely()).files.remove(0);
        let codes = |report: &FileReport| -> Vec<_> {
            report.warnings().iter().map(|found| found.code).collect()
        };
        assert_eq!(codes(&report), [Code::LintUnfilledField]);
        assert_eq!(verdict(&report), "ok, 1 warning");
        report.allow(&[Code::LintUnfilledField]);
        assert_eq!(verdict(&report), "ok");
    }

    #[test]
    fn a_rule_on_a_parameter_that_its_events_do_not_have_is_warned_of() {
        let codes = |condition: &str| -> Vec<Code> {
            let text = format!(
                "- rule: R\n  desc: d\n  priority: notice\n  output: o\n  condition: {condition}\n"
            );
            let file = RulesFile {
                name: "r",
                text: &text,
            };
            let report = monitor_policy::load(&[file], &likely()).files.remove(0);
            assert!(report.is_successful(), "{condition}");
            report.warnings().iter().map(|found| found.code).collect()
        };
        // Falco's table has all of these.
        for condition in [
            "evt.type = pidfd_getfd and evt.arg.pid_fd = 3 and evt.rawarg.target_fd = 1",
            "evt.type in (mlock, mlock2) and evt.rawarg.len > 4096",
            "evt.type = umount and evt.arg.name startswith /proc",
            "evt.type in (openat, setns) and evt.arg.nstype contains CLONE_NEWNS",
        ] {
            assert_eq!(codes(condition), [], "{condition}");
        }
        for condition in [
            "evt.type = io_uring_setup and evt.arg.flags contains IORING_SETUP_SQPOLL",
            "evt.type = openat2 and evt.arg.resolve contains RESOLVE_BENEATH",
            "evt.type = setsockopt and evt.arg.optname = SO_MARK",
            "evt.type = init_module and evt.arg.img exists",
            "evt.type = recvmsg and evt.arg.msgcontrol exists",
            "evt.type = openat and (proc.name = a or evt.arg.sig = SIGKILL)",
        ] {
            assert_eq!(codes(condition), [Code::LintUntoldParameter], "{condition}");
        }
    }

    #[test]
    fn only_warnings_can_be_allowed() {
        let refused = |name| warning(name).unwrap_err();
        assert_eq!(warning("LINT_NEVER_TRUE"), Ok(Code::LintNeverTrue));
        assert_eq!(refused("LOAD_ERR_VALIDATE"), "an error cannot be silenced");
        assert_eq!(
            refused("LINT_NEVER_TRU"),
            "no such warning; did you mean LINT_NEVER_TRUE?"
        );
    }
}

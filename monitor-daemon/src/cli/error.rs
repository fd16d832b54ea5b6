//! Why a command failed, and the exit code that says so: the one place where codes are given.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::alert_log::LogError;
use crate::config::ConfigError;
use crate::metrics::ServeError;
use crate::output::OutputError;
use crate::reload::{AskError, Cause, TriggerError};
use crate::watch::WatchError;

const POLICY: u8 = 1;
pub(super) const USAGE: u8 = 2;
const ENVIRONMENT: u8 = 3;
const CONFIGURATION: u8 = 4;
const TESTS: u8 = 5;
const INTERNAL: u8 = 70;

/// Every exit code with its meaning, for the documentation.
pub(super) const EXIT_CODES: &[(u8, &str)] = &[
    (0, "Done; for `run`: stopped by SIGTERM or SIGINT."),
    (
        POLICY,
        "A policy or a file of tests does not load, or what `eval` reads is no event.",
    ),
    (USAGE, "The command line is wrong."),
    (
        ENVIRONMENT,
        "The machine lacks something: root, a kernel feature, a file, an address, a running daemon \
         (`top`, `reload`).",
    ),
    (CONFIGURATION, "The configuration is wrong."),
    (
        TESTS,
        "A test beside rules fails, `selftest` did something that was not seen or could not do it, or `alerts verify` \
         finds that the log was changed.",
    ),
    (INTERNAL, "A bug of ours."),
];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Diagnostics have been printed and say it all.
    #[error("the policies do not load")]
    Refused,
    #[error("cannot read `{}`: {source}", path.display())]
    ReadPolicy { path: PathBuf, source: io::Error },
    #[error("the folder `{}` has no rules file (*.yaml, *.yml)", path.display())]
    EmptyFolder { path: PathBuf },
    #[error("there are no tests: the tests of NAME.yaml are in NAME.test.yaml beside it")]
    NoTests,
    /// Diagnostics have been printed.
    #[error("the tests cannot be read")]
    TestsRefused,
    #[error("{failed} of the tests failed")]
    TestsFailed { failed: usize },
    #[error("the condition does not compile: {0}")]
    Condition(Box<monitor_policy::Diagnostic>),
    #[error("no rule has the name `{name}`{}", nearest(near))]
    UnknownRule { name: String, near: Vec<String> },
    #[error("cannot read the events from `{name}`: {source}")]
    ReadEvents { name: String, source: io::Error },
    #[error("{name}:{line}: {reason}")]
    Event {
        name: String,
        line: usize,
        reason: String,
    },
    #[error(
        "watching the kernel needs root: run `sudo monitor-daemon run` (missing: {}; a unit gives \
         another user those by `AmbientCapabilities=`)",
        missing.join(", ")
    )]
    Privileges { missing: Vec<&'static str> },
    #[error("this machine cannot be watched; the lines marked FAIL above say why")]
    Unfit,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Top(#[from] super::top::FetchError),
    #[error(transparent)]
    Watcher(#[from] super::selftest::WatcherError),
    #[error("{blind} of the acts were not seen; `doctor` says what this kernel lets us see")]
    Unseen { blind: usize },
    #[error("this host refused {refused} of the acts, so that nothing is known of them")]
    Undone { refused: usize },
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(
        "the daemon cannot be asked: `control.socket` is off; send it SIGHUP instead, and see its log"
    )]
    NoControl,
    #[error("no alerts are kept: `alerts.log.path` is off")]
    NoLog,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("alert {sequence} of the log is not what was written, or was taken away")]
    LogChanged { sequence: u64 },
    #[error("the new rules are not in force")]
    NotReloaded { cause: Option<Cause> },
    #[error(transparent)]
    Triggers(#[from] TriggerError),
    #[error("`{name}`: {source}")]
    Act { name: String, source: io::Error },
    #[error("cannot write into the folder `{}`: {source}", folder.display())]
    WriteFiles { folder: PathBuf, source: io::Error },
    #[error("cannot write `{}`: {source}", path.display())]
    WriteReport { path: PathBuf, source: io::Error },
    #[error("cannot write the result: {0}")]
    Print(#[source] io::Error),
    #[error("metrics are inconsistent: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
}

fn nearest(near: &[String]) -> String {
    if near.is_empty() {
        "; `rules` lists those that are loaded".to_owned()
    } else {
        format!("; did you mean {}?", near.join(", "))
    }
}

impl Error {
    fn code(&self) -> u8 {
        match self {
            Self::NotReloaded {
                cause: Some(Cause::Policy),
            }
            | Self::Refused
            | Self::ReadPolicy { .. }
            | Self::EmptyFolder { .. }
            | Self::NoTests
            | Self::TestsRefused
            | Self::Condition(_)
            | Self::UnknownRule { .. }
            | Self::ReadEvents { .. }
            | Self::Event { .. } => POLICY,
            Self::Privileges { .. }
            | Self::Unfit
            | Self::Output(
                OutputError::Open { .. } | OutputError::Tls { .. } | OutputError::Http { .. },
            )
            | Self::Serve(ServeError::Listen { .. })
            | Self::Watch(_)
            | Self::Top(_)
            | Self::Watcher(_)
            | Self::Ask(_)
            | Self::Log(_)
            | Self::NotReloaded {
                cause: Some(Cause::Machine) | None,
            }
            | Self::Triggers(_)
            | Self::Act { .. }
            | Self::WriteFiles { .. }
            | Self::WriteReport { .. }
            | Self::Print(_) => ENVIRONMENT,
            Self::Config(_)
            | Self::NoControl
            | Self::NoLog
            | Self::NotReloaded {
                cause: Some(Cause::Configuration),
            } => CONFIGURATION,
            Self::TestsFailed { .. }
            | Self::Unseen { .. }
            | Self::Undone { .. }
            | Self::LogChanged { .. } => TESTS,
            Self::Output(OutputError::Thread(_))
            | Self::Serve(ServeError::Start(_))
            | Self::Metrics(_)
            | Self::Json(_)
            | Self::Yaml(_) => INTERNAL,
        }
    }

    /// Prints the error to standard error and gives its exit code.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            // `monitor-daemon check … | head`: whoever read has had enough.
            Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => {
                let _ = io::Write::write_fmt(
                    &mut io::stderr(),
                    format_args!("monitor-daemon: {self}\n"),
                );
                ExitCode::from(self.code())
            }
        }
    }
}

//! New rules for a running daemon, seen from outside: who asks for them ([`Triggers`]), where they
//! come from ([`Source`]) and what is answered ([`Answer`]). The daemon's loop takes them over in
//! `watch`, and knows nothing of files or sockets.

mod answer;
mod control;
mod files;
mod triggers;

use std::fmt;

use monitor_policy::Policy;
use tokio::sync::{mpsc, oneshot};

pub use answer::{Answer, Cause, Names, Outcome, Refusal};
pub use control::{AskError, ask};
pub use files::Watched;
pub use triggers::{TriggerError, Triggers};

use crate::config::Config;

/// Requests that may wait; more of the same are of no use.
const WAITING: usize = 64;

/// Somebody wants the rules to be loaded anew.
#[derive(Debug)]
pub struct Asked {
    /// Who.
    pub by: Trigger,
    /// Where the answer goes, if somebody waits for it.
    pub answer: Option<oneshot::Sender<Answer>>,
}

/// What makes the daemon load its rules anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// `monitor-daemon reload`.
    Command,
    /// SIGHUP.
    Signal,
    /// A file is another.
    Files,
}

impl Trigger {
    /// For the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Signal => "signal",
            Self::Files => "files",
        }
    }
}

/// Rules that have been read and compiled, and could be run.
#[derive(Debug)]
pub struct Candidate {
    /// The configuration as it is now.
    pub config: Config,
    /// The rules.
    pub policy: Policy,
    /// SHA-256 of the rules files' texts one after the other, in hexadecimal digits.
    pub checksum: String,
    /// Warnings, as `check` prints them.
    pub warnings: String,
}

/// Reads configuration and rules.
pub struct Source(pub Box<dyn FnMut() -> Result<Candidate, Refusal> + Send>);

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Source")
    }
}

/// What a daemon needs to take over new rules.
#[derive(Debug)]
pub struct Reload {
    /// Where they come from.
    pub source: Source,
    /// Checksum of the rules at the start, as in [`Candidate::checksum`].
    pub checksum: String,
    /// Who asks for them.
    pub asked: mpsc::Receiver<Asked>,
}

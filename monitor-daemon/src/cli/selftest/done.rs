//! An act that was done, and whose alerts are told from those of others.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::acts;
use super::trials::{Act, By, Trial};
use crate::watch::TAMPERED;

/// What is known of an act that was done.
#[derive(Debug)]
pub(super) struct Done {
    /// Its process, as it knows itself.
    pub(super) pid: String,
    /// What it told, and what it would be called with if the watcher's number were told to it.
    pub(super) facts: BTreeMap<String, String>,
    /// Why it could not be done.
    pub(super) refused: Option<String>,
}

impl Done {
    /// Whether an alert is that of the trial's rule, and about this.
    pub(super) fn made(&self, alert: &Value, trial: &Trial, act: &Act) -> bool {
        let is = |name: &str| field(alert, name).as_ref() == Some(&self.pid);
        let (rule, by) = match act.by {
            By::Itself => (trial.name, is("proc.vpid")),
            By::Children => (trial.name, is("proc.pvpid")),
            By::Daemon => (TAMPERED, true),
        };
        by && alert.get("rule").and_then(Value::as_str) == Some(rule)
    }

    /// Puts in what the act told.
    pub(super) fn expand(&self, text: &str) -> String {
        let put = |text: String, (name, value): (&String, &String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        self.facts.iter().fold(text.to_owned(), put)
    }
}

/// The command that does an act.
pub(super) fn act_in(program: &Path, trial: &Trial, place: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([acts::COMMAND, trial.name]).arg(place);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A text of the trials with its places put in.
pub(super) fn expand(text: &str, place: &Path, program: &Path) -> String {
    text.replace("$D", &place.display().to_string())
        .replace("$E", &program.display().to_string())
        .replace("$C", acts::CONTAINER)
}

/// An alert's field, in words.
pub(super) fn field(alert: &Value, name: &str) -> Option<String> {
    match alert.get("output_fields")?.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

//! Why a configuration cannot run, said to whoever wrote it: file, line, column, and what to write
//! instead.

use std::fmt::{self, Display, Write as _};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A configuration that cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is not YAML, a key is unknown, or a value is of the wrong kind.
    #[error("{}{place}: {message}", file.display())]
    Text {
        /// The file.
        file: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Metrics would be served to other hosts, and nobody said that this is meant.
    #[error(
        "{}: `metrics.listen` is {address}, which other hosts can reach: use a loopback address \
         such as 127.0.0.1:{}, or set `metrics.allow_remote: true`",
        file.display(), address.port()
    )]
    NotLoopback {
        /// The file.
        file: PathBuf,
        /// The address asked for.
        address: SocketAddr,
    },
    /// An output cannot be as it is described.
    #[error("{}: {problem}", file.display())]
    Output {
        /// The file.
        file: PathBuf,
        /// Which, and what is wrong.
        problem: String,
    },
    /// `hostname` is blank.
    #[error("{}: `hostname` is empty: give a name, or leave the key out", file.display())]
    EmptyHostname {
        /// The file.
        file: PathBuf,
    },
}

/// Line and column, both from 1, if known; prints as `:3:7`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place(pub Option<(usize, usize)>);

impl Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(formatter, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl ConfigError {
    pub(super) fn from_yaml(file: &Path, error: &serde_yaml::Error) -> Self {
        let place = error
            .location()
            .map(|location| (location.line(), location.column()));
        Self::Text {
            file: file.to_owned(),
            place: Place(place),
            message: explain(&without_place(&error.to_string())),
        }
    }
}

/// The YAML crate ends its messages with a place; ours stands in front.
fn without_place(message: &str) -> String {
    match message.rsplit_once(" at line ") {
        Some((text, place)) if place.contains(" column ") => text.to_owned(),
        _ => message.to_owned(),
    }
}

/// Rewrites serde's message about an unknown or duplicate key, which quotes all valid ones, to one
/// that names the nearest.
fn explain(message: &str) -> String {
    if let Some((section, name)) = message.split_once("duplicate field ") {
        return format!("{section}{name} is given twice");
    }
    let Some((section, rest)) = message.split_once("unknown field `") else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    let valid: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let section = section.trim_end_matches(": ");
    let mut text = format!("unknown key `{unknown}`");
    if !section.is_empty() {
        let _ = write!(text, " in `{section}`");
    }
    match monitor_policy::nearest(unknown, valid.iter().copied()) {
        Some(name) => _ = write!(text, "; did you mean `{name}`?"),
        None => _ = write!(text, "; valid keys are `{}`", valid.join("`, `")),
    }
    text
}

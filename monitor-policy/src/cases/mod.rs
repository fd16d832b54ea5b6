//! Tests beside rules: events as flat maps, and the rules that have to fire or to stay silent.
//!
//! A file of tests is a sequence:
//!
//! ```yaml
//! - test: a web server starts a shell
//!   event: {evt.type: execve, proc.name: sh, proc.pname: nginx}
//!   fires: Shell started by a server
//!   output: sh below nginx
//!   unless:
//!     - {proc.pname: cron}
//! - test: a shell in a login
//!   like: a web server starts a shell
//!   event: {proc.pname: sshd}
//!   fires: none
//! ```

mod event;
mod judge;
mod read;

#[cfg(test)]
mod tests;

pub use judge::Mismatch;

use crate::flat::FlatEvent;
use crate::load::RulesFile;
use crate::policy::Policy;
use crate::report::FileReport;

/// An event and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Line of the file that tells it from others, from 1.
    pub line: usize,
    /// The event.
    pub event: FlatEvent,
    /// The rules that have to fire.
    pub fires: Vec<String>,
    /// The rules that must not.
    pub silent: Silent,
    /// What the only rule of `fires` has to print, without the fields that are appended to every
    /// output.
    pub output: Option<String>,
}

/// Which rules must not fire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Silent {
    /// These; of others nothing is said.
    These(Vec<String>),
    /// All.
    All,
}

/// Reads a file of tests for a policy that was loaded with
/// [`Matching::All`](crate::Matching::All). A test with changes under `unless` gives a case for
/// itself and one for each of them.
///
/// # Errors
///
/// A report of everything that is wrong with the file, with its places: no YAML, an unknown key,
/// field or rule, a value that does not fit, a test that expects nothing.
pub fn read_cases(file: RulesFile<'_>, policy: &Policy) -> Result<Vec<Case>, Box<FileReport>> {
    read::read(file.text, policy.rules()).map_err(|findings| {
        let files = [file];
        let found = findings.iter().map(|finding| finding.locate(&files));
        Box::new(FileReport::new(0, &files, found.collect()))
    })
}

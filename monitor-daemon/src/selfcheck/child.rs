//! The short-lived child that does the acts, and what it says of them.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use super::acts::{Act, Room, named};

/// The hidden command by which the daemon starts itself as this child.
pub const COMMAND: &str = "self-check";

/// How an act went: its name, and why it could not be done, if so.
pub type Outcome = (String, Option<String>);

/// The line behind all outcomes.
pub const DONE: &str = ".";

/// This very program, also where its file has been replaced.
pub const SELF: &str = "/proc/self/exe";

/// Starts the daemon's `program` as a child that does `acts`. It ends by itself within
/// milliseconds; the caller reaps it and reads its standard output with [`outcomes`].
pub fn start<'a>(program: &str, acts: impl IntoIterator<Item = &'a Act>) -> io::Result<Child> {
    Command::new(program)
        .arg(COMMAND)
        .args(acts.into_iter().map(|act| act.name))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Does acts, in order, and says how each went: a line each, `NAME` or `NAME: WHY NOT`.
///
/// # Errors
/// The lines cannot be written.
pub fn perform<'a>(
    names: impl IntoIterator<Item = &'a str>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut names = names.into_iter().peekable();
    // The canary does nothing but start.
    if names.peek().is_none() {
        return Ok(());
    }
    let room = Room::new();
    for name in names {
        let done = match (named(name), &room) {
            (None, _) => Err(io::Error::other("no such act")),
            (Some(act), Ok(room)) => act.run(room),
            (Some(_), Err(error)) => Err(io::Error::other(format!("no folder: {error}"))),
        };
        match done {
            Ok(()) => writeln!(out, "{name}")?,
            Err(error) => writeln!(out, "{name}: {error}")?,
        }
    }
    writeln!(out, "{DONE}")
}

/// What [`perform`] said.
pub fn outcomes(text: &str) -> impl Iterator<Item = Outcome> {
    let lines = text.lines().filter(|line| *line != DONE);
    lines.map(|line| match line.split_once(": ") {
        Some((name, reason)) => (name.to_owned(), Some(reason.to_owned())),
        None => (line.to_owned(), None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_act_by_act() {
        let mut told = Vec::new();
        perform(["mkdir", "nonsense", "open"], &mut told).unwrap();
        let told = String::from_utf8(told).unwrap();
        assert_eq!(told.lines().last(), Some(DONE));
        let outcomes: Vec<Outcome> = outcomes(&told).collect();
        let expected = [
            ("mkdir".to_owned(), None),
            ("nonsense".to_owned(), Some("no such act".to_owned())),
            ("open".to_owned(), None),
        ];
        assert_eq!(outcomes, expected);
    }
}

//! Running other programs: each command line is printed before it runs, and a failure names it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Runs `command` to its end; an exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| starting(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// What `command` writes to standard output, or `None` when the program does not exist or fails.
pub(crate) fn query(command: &mut Command) -> Result<Option<String>> {
    announce(command);
    let output = match command.stderr(Stdio::null()).stdin(Stdio::null()).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| starting(command))?,
    };
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8(output.stdout);
    Ok(Some(text.with_context(|| {
        format!("output of `{}`", line(command))
    })?))
}

/// Prints the command line.
pub(crate) fn announce(command: &Command) {
    eprintln!("+ {}", line(command));
}

/// The cargo that runs this task, for crates of the workspace.
pub(crate) fn cargo() -> Command {
    in_workspace(without_outer_cargo(cargo_program()))
}

/// The same, for what makes room for others: that much nicer, as `nice` has it.
pub(crate) fn nice_cargo(niceness: &str) -> Command {
    let mut command = without_outer_cargo("nice");
    command.args(["-n", niceness]).arg(cargo_program());
    in_workspace(command)
}

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn in_workspace(mut command: Command) -> Command {
    command.current_dir(workspace::root());
    command.env("CARGO_TARGET_DIR", workspace::target());
    command
}

/// A command that does not inherit what `cargo run` set for this process: the variables of this
/// package make build scripts run again, and the library path loads a wrong compiler's parts.
pub(crate) fn without_outer_cargo(program: impl AsRef<OsStr>) -> Command {
    const OF_THIS_PACKAGE: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let set_by_cargo = name.to_str().is_some_and(|name| {
            OF_THIS_PACKAGE
                .iter()
                .any(|prefix| name.starts_with(prefix))
                || [
                    "CARGO",
                    "CARGO_CRATE_NAME",
                    "CARGO_PRIMARY_PACKAGE",
                    "OUT_DIR",
                ]
                .contains(&name)
        });
        if set_by_cargo {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Where `program` is on the search path, with the folders of system programs added: those are
/// often missing from it outside of login shells.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
    std::env::split_paths(&path)
        .chain(system.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Whether this process may install packages and load kernel programs.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            setting(name, value?)
        ))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quoted(&relative(word)));
    set.chain(words).collect::<Vec<_>>().join(" ")
}

/// A variable's value; additions to the search path are shown as such.
fn setting(name: &OsStr, value: &OsStr) -> String {
    let inherited = std::env::var(name).unwrap_or_default();
    match value
        .to_str()
        .and_then(|value| value.strip_suffix(&inherited))
    {
        Some(added) if !inherited.is_empty() && !added.is_empty() => {
            format!("{}${}", quoted(added), name.display())
        }
        _ => quoted(&relative(value)),
    }
}

fn starting(command: &Command) -> String {
    format!("cannot start `{}`", line(command))
}

/// Paths inside of the repository, shortened for reading.
fn relative(word: &OsStr) -> String {
    let path = Path::new(word);
    let path = path.strip_prefix(workspace::root()).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else if word.chars().any(|c| c.is_ascii_control()) {
        format!(
            "$'{}'",
            word.replace('\'', "\\'")
                .replace('\x1f', "\\x1f")
                .replace('\n', "\\n")
        )
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_line_can_be_typed_again() {
        let mut command = Command::new("cargo");
        command
            .args(["build", "--config", "a = 'b'", ""])
            .env("FLAGS", "-C\x1fopt");
        assert_eq!(
            line(&command),
            r"FLAGS=$'-C\x1fopt' cargo build --config 'a = '\''b'\''' ''"
        );
    }
}

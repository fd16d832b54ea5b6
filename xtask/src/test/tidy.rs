//! `tidy`: formatting, lints, and the rules for files and modules that no lint knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::boundaries;
use super::tally::Tally;
use crate::{shell, workspace};

/// A longer source file is reported, not refused: some have a cause.
const LONG: usize = 500;

/// Runs every check and counts each as one test.
pub(super) fn check(tally: &mut Tally) -> Result<()> {
    let mut format = shell::cargo();
    format.args(["fmt", "--all", "--check"]);
    tally.check("format", succeeds(&mut format));
    for (name, manifest) in [
        ("format of the kernel programs", "monitor-ebpf/Cargo.toml"),
        ("format of the fuzz targets", "tests/fuzz/Cargo.toml"),
    ] {
        let mut format = shell::cargo();
        format
            .args(["fmt", "--check", "--manifest-path"])
            .arg(workspace::root().join(manifest));
        tally.check(name, succeeds(&mut format));
    }
    let mut lints = shell::cargo();
    lints.args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    tally.check("lints", succeeds(&mut lints));

    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    tally.check("files", findings.is_empty());
    let findings = boundaries::findings_between_crates()?;
    for finding in &findings {
        println!("{finding}");
    }
    tally.check("dependencies between crates", findings.is_empty());
    Ok(())
}

pub(super) fn succeeds(command: &mut Command) -> bool {
    shell::run(command)
        .inspect_err(|error| eprintln!("error: {error:#}"))
        .is_ok()
}

/// What is wrong with the files under version control.
fn findings() -> Result<Vec<String>> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z"]).current_dir(workspace::root());
    let Some(list) = shell::query(&mut list)? else {
        println!("no git here: files are not checked");
        return Ok(Vec::new());
    };
    let here = workspace::root().to_string_lossy();
    let mut findings = Vec::new();
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let path = workspace::root().join(name);
        // A file that was deleted and not committed yet, or a link.
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let content = fs::read(&path).with_context(|| format!("cannot read `{name}`"))?;
        if let Ok(text) = std::str::from_utf8(&content) {
            findings.extend(findings_in(Path::new(name), text, &here));
        }
    }
    Ok(findings)
}

fn findings_in(path: &Path, text: &str, here: &str) -> Vec<String> {
    let name = path.display();
    let mut findings = Vec::new();
    if path.extension().is_some_and(|extension| extension == "rs") {
        if !text.starts_with("//!") && !text.starts_with("#![") {
            findings.push(format!("{name}:1: starts with no `//!` paragraph"));
        }
        let lines = text.lines().count();
        if lines > LONG {
            println!("{name}: {lines} lines; a file over {LONG} needs a cause");
        }
        findings.extend(boundaries::findings_in(path, text));
    }
    for (number, line) in (1..).zip(text.lines()) {
        // Such a path makes no sense on any other machine.
        if names(line, here) {
            findings.push(format!(
                "{name}:{number}: names the folder of this checkout"
            ));
        }
    }
    findings
}

/// Whether `line` has the path `here` or one below it, and not merely as a part of another path.
fn names(line: &str, here: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.*}>".contains(c);
    line.match_indices(here).any(|(start, _)| {
        let (before, found) = line.split_at(start);
        let after = found.strip_prefix(here).unwrap_or_default();
        !before.ends_with(part_of_name) && !after.starts_with(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_file_opens_with_its_paragraph() {
        let findings = findings_in(Path::new("a.rs"), "use std::fs;\n", "/x");
        assert_eq!(findings, ["a.rs:1: starts with no `//!` paragraph"]);
        assert!(findings_in(Path::new("a.rs"), "//! Ends worlds.\n", "/x").is_empty());
    }

    #[test]
    fn paths_of_this_checkout_are_found() {
        let text = "ok\ncd /a/checkout/x\n../a/checkout\n/a/checkouts\n";
        let findings = findings_in(Path::new("a.md"), text, "/a/checkout");
        assert_eq!(findings, ["a.md:2: names the folder of this checkout"]);
    }
}

//! The page of the documentation, made from the cases and their expected outcomes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use monitor_tests::paths;

use crate::case::{BEYOND, ROWS};
use crate::cases;
use crate::expectation::{self, Expectation, Tier};

const HEAD: &str = "\
# Evasions

<!-- Made by the suite `evasions` (`EVASIONS_BLESS=1 cargo xtask test evasions`); do not edit. -->

How a workload hides from a monitor, and whether it does from this one. Each case is a small \
program or a few lines of shell in `tests/evasions`; what it does is *detected* when the alert is \
there with the right process, container and path, and an innocent twin of it causes none. A case is \
*blind* when something of that is missing, *counted* when only a loss is told, with its container \
and kind, and *untried* where the kernel has no such thing. The techniques are those of a list of \
38; one counts as detected if a case of it is, and none is blind or only counted. What else was found is \
marked with +. The object tier is Debian 12's kernel in a virtual machine, the syscall tier a kernel that refuses \
trampolines.

";

/// Where the page is.
pub(crate) fn path() -> PathBuf {
    paths::root().join("docs/reference/evasions.md")
}

/// Writes the page.
///
/// # Errors
///
/// When the expectation cannot be read or the page written.
pub(crate) fn write() -> Result<()> {
    Ok(fs::write(path(), page(&expectation::read()?))?)
}

/// The page's text.
pub(crate) fn page(expectation: &Expectation) -> String {
    let mut text = HEAD.to_owned();
    for tier in Tier::ALL {
        let rows = detected_rows(expectation, tier).len();
        let name = tier.name();
        let _ = writeln!(text, "- {name} tier: {rows} of {ROWS} techniques detected");
    }
    text.push_str(
        "\n| # | Case | What is tried | Syscall tier | Object tier |\n|---|---|---|---|---|\n",
    );
    let mut all = cases::all();
    all.sort_by_key(|case| case.row);
    for case in all {
        let cell = |tier| {
            let expected = expectation.get(&(case.name.to_owned(), tier));
            match expected {
                None => "not run".to_owned(),
                Some(expected) if expected.reason.is_empty() => expected.outcome.clone(),
                Some(expected) => {
                    format!(
                        "**{}**: {}",
                        expected.outcome,
                        expected.reason.replace('|', "\\|")
                    )
                }
            }
        };
        let number = if case.row == BEYOND {
            "+".to_owned()
        } else {
            case.row.to_string()
        };
        let _ = writeln!(
            text,
            "| {number} | `{}` | {} | {} | {} |",
            case.name,
            case.technique,
            cell(Tier::Syscall),
            cell(Tier::Object)
        );
    }
    text
}

/// The rows of which a case is detected, and none is blind or only counted.
pub(crate) fn detected_rows(expectation: &Expectation, tier: Tier) -> BTreeSet<u8> {
    let with = |outcome: &'static str| {
        let is = move |case: &str| {
            let expected = expectation.get(&(case.to_owned(), tier));
            expected.is_some_and(|expected| expected.outcome == outcome)
        };
        cases::all()
            .into_iter()
            .filter(move |case| is(case.name))
            .map(|case| case.row)
            .collect::<BTreeSet<u8>>()
    };
    let (blind, counted) = (with("blind"), with("counted"));
    let mut rows = with("detected");
    rows.retain(|row| *row <= ROWS && !blind.contains(row) && !counted.contains(row));
    rows
}

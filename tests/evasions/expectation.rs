//! The committed expectation: the outcome of each case on each tier, with the reason where it is
//! not *detected*. A run must come to the same outcomes, reasons aside.
//!
//! `EVASIONS_BLESS=1` writes what the run found instead, with the reasons that are there already;
//! new ones say what was missing and want a better text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::paths;

use crate::cases;
use crate::judge::Outcome;

/// Where the kernel side hooks in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Tier {
    Syscall,
    Object,
}

impl Tier {
    pub(crate) const ALL: [Self; 2] = [Self::Syscall, Self::Object];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Syscall => "syscall",
            Self::Object => "object",
        }
    }
}

/// An outcome's name, and why it is not *detected*.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Expected {
    pub(crate) outcome: String,
    pub(crate) reason: String,
}

/// By case and tier.
pub(crate) type Expectation = BTreeMap<(String, Tier), Expected>;

fn path() -> PathBuf {
    paths::root().join("tests/evasions/expected.tsv")
}

/// The committed one.
///
/// # Errors
///
/// When it cannot be read or a line has not four columns.
pub(crate) fn read() -> Result<Expectation> {
    let text = fs::read_to_string(path()).context("tests/evasions/expected.tsv")?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [case, tier, outcome, reason] = columns[..] else {
                anyhow::bail!("expected.tsv: not four columns: {line}");
            };
            let tier = Tier::ALL.into_iter().find(|known| known.name() == tier);
            let tier = tier.with_context(|| format!("expected.tsv: no such tier: {line}"))?;
            let expected = Expected {
                outcome: outcome.to_owned(),
                reason: reason.to_owned(),
            };
            Ok(((case.to_owned(), tier), expected))
        })
        .collect()
}

/// Whether this run writes the expectation.
pub(crate) fn blesses() -> bool {
    std::env::var_os("EVASIONS_BLESS").is_some()
}

/// Writes what a tier's run found, or compares it.
///
/// # Errors
///
/// When the outcomes differ, each difference in a line.
pub(crate) fn settle(tier: Tier, found: &[(&str, Outcome)]) -> Result<()> {
    if blesses() {
        return bless(tier, found);
    }
    let expected = read()?;
    let mut differences = String::new();
    for (case, outcome) in found {
        let wanted = expected.get(&((*case).to_owned(), tier));
        let wanted = wanted.map_or("nothing", |wanted| wanted.outcome.as_str());
        if wanted != outcome.name() {
            let _ = writeln!(
                differences,
                "{case}: {wanted} was expected, and not {outcome:?}"
            );
        }
    }
    let chosen = cases::chosen().len() < cases::all().len();
    for ((case, _), _) in expected.iter().filter(|((_, of), _)| *of == tier) {
        if !chosen && !found.iter().any(|(name, _)| name == case) {
            let _ = writeln!(differences, "{case}: expected, and no case is called so");
        }
    }
    ensure!(
        differences.is_empty(),
        "outcomes on the {} tier; EVASIONS_BLESS=1 accepts them:\n{differences}",
        tier.name()
    );
    Ok(())
}

fn bless(tier: Tier, found: &[(&str, Outcome)]) -> Result<()> {
    ensure!(
        std::env::var_os("CI").is_none(),
        "nothing is blessed where CI is set"
    );
    let old = read().unwrap_or_default();
    let known: Vec<&str> = cases::all().iter().map(|case| case.name).collect();
    let chosen = cases::chosen().len() < known.len();
    let mut all: Expectation = old
        .iter()
        .filter(|((case, of), _)| *of != tier || chosen && known.contains(&case.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for (case, outcome) in found {
        let key = ((*case).to_owned(), tier);
        let kept = old.get(&key).filter(|old| old.outcome == outcome.name());
        let reason = match (kept, outcome) {
            (Some(old), _) => old.reason.clone(),
            (None, Outcome::Detected | Outcome::Counted) => String::new(),
            (None, Outcome::Blind { missing }) => missing.chars().take(120).collect(),
            (None, Outcome::Untried { reason }) => reason.clone(),
        };
        all.insert(
            key,
            Expected {
                outcome: outcome.name().to_owned(),
                reason,
            },
        );
    }
    let mut text = String::from(
        "# Case, tier, outcome, and the reason where it is not detected. See expectation.rs.\n",
    );
    for ((case, tier), Expected { outcome, reason }) in &all {
        let _ = writeln!(text, "{case}\t{}\t{outcome}\t{reason}", tier.name());
    }
    fs::write(path(), text)?;
    crate::table::write()
}

//! The alert file, rotated as logrotate does it, and what the pieces hold together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

const EVERY: Duration = Duration::from_mins(1);
const NAME: &str = "Soak needle";

/// Matches what the load does to be found again.
pub(crate) const RULE: &str = r"
- rule: Soak needle
  desc: an action of the load
  condition: evt.type in (execve, execveat) and proc.name = echo and proc.args startswith soak-
  output: needle | args=%proc.args name=%container.name image=%container.image.repository
  priority: NOTICE
";

pub(crate) struct AlertFiles {
    path: PathBuf,
    folder: PathBuf,
    rotated: Vec<PathBuf>,
    last: Instant,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The needles by what they end with a number after, each with how many different ones came.
    pub(crate) needles: BTreeMap<String, BTreeSet<u64>>,
    /// Needles that came more than once.
    pub(crate) repeated: u64,
    /// Needles of containers without the container's name and image.
    pub(crate) nameless: u64,
    /// Lines that are no JSON.
    pub(crate) torn: u64,
    /// Alerts by rule.
    by_rule: BTreeMap<String, u64>,
    files: usize,
}

impl AlertFiles {
    /// The file at `path`; what is rotated goes to `folder`.
    pub(crate) fn new(path: PathBuf, folder: &Path) -> Self {
        Self {
            path,
            folder: folder.to_owned(),
            rotated: Vec::new(),
            last: Instant::now(),
        }
    }

    /// Renames the file once a minute; the daemon goes on in a new one.
    pub(crate) fn rotate_when_due(&mut self) -> Result<()> {
        if self.last.elapsed() < EVERY || !self.path.exists() {
            return Ok(());
        }
        self.last = Instant::now();
        let rotated = self.next();
        fs::rename(&self.path, &rotated)?;
        self.rotated.push(rotated);
        Ok(())
    }

    /// Gives the last file a second name, since its folder goes when the daemon is stopped.
    pub(crate) fn keep_last(&mut self) -> Result<()> {
        if self.path.exists() {
            let last = self.next();
            fs::hard_link(&self.path, &last)?;
            self.rotated.push(last);
        }
        Ok(())
    }

    fn next(&self) -> PathBuf {
        self.folder.join(format!("alerts.{}", self.rotated.len()))
    }

    /// Adds up all files.
    pub(crate) fn tally(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        for path in &self.rotated {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            tally.files += 1;
            text.lines().for_each(|line| tally.add(line));
        }
        Ok(tally)
    }
}

impl Tally {
    fn add(&mut self, line: &str) {
        let Ok(alert) = serde_json::from_str::<Value>(line) else {
            self.torn += 1;
            return;
        };
        let rule = alert["rule"].as_str().unwrap_or_default();
        *self.by_rule.entry(rule.to_owned()).or_default() += 1;
        if rule != NAME {
            return;
        }
        let fields = &alert["output_fields"];
        let needle = fields["proc.args"].as_str().unwrap_or_default();
        let (kind, number) = needle.rsplit_once('-').unwrap_or((needle, ""));
        let number = number.parse().unwrap_or(u64::MAX);
        let in_container = kind != "soak-needle";
        let named = ["container.name", "container.image.repository"];
        if in_container && named.iter().any(|name| !fields[*name].is_string()) {
            self.nameless += 1;
        }
        if !self
            .needles
            .entry(kind.to_owned())
            .or_default()
            .insert(number)
        {
            self.repeated += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.by_rule.values().sum();
        write!(f, "{all} in {} files", self.files)?;
        for (rule, count) in &self.by_rule {
            write!(f, "\n  {count:7} {rule}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_told_apart() {
        let mut tally = Tally::default();
        let line = |args: &str, name: &str| {
            format!(
                "{{\"rule\":\"{NAME}\",\"output_fields\":{{\"proc.args\":\"{args}\",\
                 \"container.name\":{name},\"container.image.repository\":\"i\"}}}}"
            )
        };
        for line in [
            line("soak-needle-1", "null"),
            line("soak-needle-1", "null"),
            line("soak-boxed-1", "\"c\""),
            line("soak-boxed-2", "null"),
            "{\"rule\":\"other\"}".to_owned(),
            "{\"rule\":".to_owned(),
        ] {
            tally.add(&line);
        }
        let counts = (tally.repeated, tally.nameless, tally.torn);
        assert_eq!(counts, (1, 1, 1));
        assert_eq!(tally.needles["soak-boxed"].len(), 2);
        assert_eq!(tally.by_rule["other"], 1);
    }
}

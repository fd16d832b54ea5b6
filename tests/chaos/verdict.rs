//! What had to come, and what came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use monitor_tests::wait;
use serde_json::Value;

use crate::counter::{NAME, Needle};

/// What a program did just before the daemon is killed may be in no log yet.
const SETTLED: Duration = Duration::from_millis(200);

/// The same here, where it may take longer.
fn settled() -> Duration {
    wait::longer(SETTLED)
}

/// While a daemon watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// The alerts of each needle that came: how often, by their ids.
pub(crate) type Came = BTreeMap<usize, BTreeMap<String, usize>>;

#[derive(Debug)]
pub(crate) struct Verdict {
    run: usize,
    due: usize,
    /// Run just before a kill or beside a start.
    at_edges: usize,
    came: usize,
    lost: Vec<usize>,
    /// Alerts that came again as the same.
    again: usize,
    /// Needles that came as more than one alert, or with the id of another.
    mixed_up: Vec<usize>,
}

/// Numbers of the needles that must come: of which a log had the alert, and which a daemon had the
/// time to see.
pub(crate) fn due(
    needles: &[Needle],
    watched: &[Watched],
    kept: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let is_due = |needle: &Needle| {
        watched
            .iter()
            .any(|time| time.from <= needle.begin && needle.end + settled() <= time.until)
    };
    let numbered = needles.iter().enumerate();
    numbered
        .filter_map(|(number, needle)| is_due(needle).then_some(number))
        .chain(kept.iter().copied())
        .collect()
}

/// Where these needles are between the start and the end of the daemon that watched, for who looks
/// for the cause: of a daemon that was too slow, or of what its log has lost.
pub(crate) fn places(
    missing: &[usize],
    needles: &[Needle],
    watched: &[Watched],
    kept: &BTreeSet<usize>,
) -> String {
    let place = |number: &usize| {
        let needle = needles.get(*number)?;
        let mut numbered = watched.iter().enumerate();
        let (daemon, time) = numbered.find(|(_, time)| time.until >= needle.end)?;
        let after = needle.begin.saturating_duration_since(time.from);
        let before = time.until.saturating_duration_since(needle.end);
        let place = if kept.contains(number) {
            "in"
        } else {
            "not in"
        };
        Some(format!(
            "{number} ({after:?} after the start of daemon {daemon}, {before:?} before its end, \
             {place} its log)"
        ))
    };
    let places: Vec<String> = missing.iter().filter_map(place).collect();
    places.join(", ")
}

/// What is in the server's file.
pub(crate) fn read(path: &Path) -> Result<Came> {
    let mut came = Came::new();
    let content = fs::read(path)?;
    for line in content.split(|byte| *byte == b'\n') {
        // A line that a kill cut was not acknowledged.
        let Ok(alert) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        let arguments = alert["output_fields"]["proc.args"].as_str();
        let number = arguments.and_then(|text| text.strip_prefix(NAME)?.parse().ok());
        if let (Some(number), Some(id)) = (number, alert["uuid"].as_str()) {
            let ids: &mut BTreeMap<_, _> = came.entry(number).or_default();
            *ids.entry(id.to_owned()).or_default() += 1;
        }
    }
    Ok(came)
}

pub(crate) fn judge(
    needles: &[Needle],
    watched: &[Watched],
    kept: &BTreeSet<usize>,
    came: &Came,
) -> Verdict {
    let due = due(needles, watched, kept);
    let at_edges = needles.iter().enumerate().filter(|(number, needle)| {
        let touches = |time: &Watched| needle.end >= time.from && needle.begin <= time.until;
        !due.contains(number) && watched.iter().any(touches)
    });
    let mut owners = BTreeMap::new();
    let mut mixed_up = Vec::new();
    for (number, ids) in came {
        let others = ids.keys().filter(|id| owners.insert(*id, number).is_some());
        if others.count() > 0 || ids.len() > 1 {
            mixed_up.push(*number);
        }
    }
    let times = came.values().flat_map(BTreeMap::values);
    Verdict {
        run: needles.len(),
        due: due.len(),
        at_edges: at_edges.count(),
        came: came.len(),
        lost: due
            .into_iter()
            .filter(|number| !came.contains_key(number))
            .collect(),
        again: times.map(|times| times - 1).sum(),
        mixed_up,
    }
}

impl Verdict {
    pub(crate) fn holds(&self) -> bool {
        self.due > 0 && self.lost.is_empty() && self.mixed_up.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            due,
            at_edges,
            came,
            again,
            ..
        } = self;
        write!(
            to,
            "{run} needles, {due} while a daemon watched, {at_edges} within {} ms before a kill or \
             beside a start, the others while none ran; {came} came, {} of those due lost, {again} \
             came again with the same id, {} with two or that of another",
            settled().as_millis(),
            self.lost.len(),
            self.mixed_up.len()
        )?;
        for (what, numbers) in [("lost", &self.lost), ("mixed up", &self.mixed_up)] {
            if !numbers.is_empty() {
                write!(to, "\n{what}: {numbers:?}")?;
            }
        }
        Ok(())
    }
}

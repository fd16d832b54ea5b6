//! Cost as the work grows: more rules, more containers, more events.

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::containers::Containers;
use super::cost::{Column, added, mib};
use super::figures::{number, table};
use super::loops::{Length, Program, Timing};
use super::needle;
use super::part::Part;
use super::plot::Plot;
use super::rules::Rules;
use super::subject::{Subject, now};

const CONTAINERS: [u32; 3] = [1, 100, 1000];
/// Opens and closes a second.
const RATES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Processes that make them.
const MAKERS: u64 = 2;

/// What was measured at one size.
type Figures = Vec<f64>;

/// A table with plots of some of its columns.
struct Growth {
    name: &'static str,
    title: &'static str,
    /// What grows.
    across: &'static str,
    columns: &'static [&'static str],
    rows: Vec<(f64, Figures)>,
}

const COLUMNS: &[&str] = &[
    "open: added, ns",
    "open: monitor's CPU, ns",
    "exec: added, ns",
    "exec: monitor's CPU, ns",
    "start, ms",
    "memory, MiB",
    "lost",
];

/// More rules.
pub(super) fn rules(loops: &Program, rounds: (u32, Length), folder: &Path) -> Result<Part> {
    let mut rows = Vec::new();
    for rules in Rules::EACH {
        let figures = measure(loops, &Subject::Ours(rules), rounds)?;
        rows.push((f64::from(rules.count()), figures));
    }
    let growth = Growth {
        name: "growth-rules",
        title: "More rules",
        across: "rules",
        columns: COLUMNS,
        rows,
    };
    growth.part(folder)
}

/// More containers: cgroups with a process each, as a runtime makes them; the loops run in one.
pub(super) fn containers(loops: &Program, rounds: (u32, Length), folder: &Path) -> Result<Part> {
    let mut rows = Vec::new();
    for count in CONTAINERS {
        let containers = Containers::make(count, loops)?;
        let inside = containers.inside(loops)?;
        let figures = measure(&inside, &Subject::Ours(Rules::All), rounds)?;
        rows.push((f64::from(count), figures));
    }
    let growth = Growth {
        name: "growth-containers",
        title: "More containers",
        across: "containers",
        columns: COLUMNS,
        rows,
    };
    growth.part(folder)
}

/// More events: opens and closes of a file that no rule asks about, at a pace.
pub(super) fn events(loops: &Program, length: Length, folder: &Path) -> Result<Part> {
    let mut monitor = Subject::Ours(Rules::All).start()?.context("nobody")?;
    needle::watching(loops, &mut monitor)?;
    let mut rows = Vec::new();
    for rate in RATES {
        let lost = monitor.lost()?.unwrap_or_default();
        let (before, start) = (monitor.settled(), now());
        let makers: Result<Vec<_>> = (0..MAKERS)
            .map(|_| loops.start("open", length, Some(rate / MAKERS)))
            .collect();
        let timings: Result<Vec<_>> = makers?.into_iter().map(Timing::of).collect();
        let seconds = (now() - start) as f64 / 1e9;
        let made: u64 = timings?.iter().map(|timing| timing.operations).sum();
        let after = monitor.settled();
        let lost = monitor.lost()?.unwrap_or_default().saturating_sub(lost);
        // A child that has ended since takes its time along until it is waited for.
        let cpu = after.cpu_ns.saturating_sub(before.cpu_ns) as f64;
        let figures = vec![
            made as f64 / seconds,
            cpu / 1e6 / seconds,
            cpu / made as f64,
            mib(after.resident_bytes),
            lost as f64,
        ];
        rows.push((rate as f64, figures));
    }
    let growth = Growth {
        name: "growth-events",
        title: "More events",
        across: "opens a second asked for",
        columns: &[
            "made a second",
            "CPU, ms/s",
            "CPU for one, ns",
            "memory, MiB",
            "lost",
        ],
        rows,
    };
    growth.part(folder)
}

/// The figures of [`COLUMNS`].
fn measure(loops: &Program, subject: &Subject, rounds: (u32, Length)) -> Result<Figures> {
    let (rounds, length) = rounds;
    let mut columns: [[Column; 2]; 2] = Default::default();
    let (mut memory, mut start) = (f64::NAN, f64::NAN);
    for _ in 0..rounds {
        for (who, columns) in [&Subject::Nobody, subject].into_iter().zip(&mut columns) {
            let mut monitor = who.start()?;
            if let Some(monitor) = &mut monitor {
                start = needle::watching(loops, monitor)?;
                start = monitor.ready_ms().unwrap_or(start);
                monitor.settled();
            }
            for (name, column) in ["open", "exec"].into_iter().zip(columns) {
                column.measure(loops, monitor.as_ref(), name, length)?;
            }
            memory = monitor.map_or(memory, |monitor| mib(monitor.settled().resident_bytes));
            thread::sleep(Duration::from_millis(100));
        }
    }
    let [off, on] = &columns;
    let mut figures = Vec::new();
    for (on, off) in on.iter().zip(off) {
        figures.extend([added(on, off)?, on.daemon.median()]);
    }
    let lost: u64 = on.iter().map(|column| column.lost).sum();
    figures.extend([start, memory, lost as f64]);
    Ok(figures)
}

impl Growth {
    fn part(self, folder: &Path) -> Result<Part> {
        let head: Vec<_> = std::iter::once(self.across)
            .chain(self.columns.iter().copied())
            .collect();
        let cells = |(at, figures): &(f64, Figures)| {
            std::iter::once(at)
                .chain(figures)
                .map(|value| number(*value))
                .collect()
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(cells).collect();
        let plots = self.plots(folder)?;
        Ok(Part {
            name: self.name,
            title: self.title,
            text: table(&head, &rows) + "\n" + &plots,
            json: self.json(),
        })
    }

    /// A plot of each column but the losses.
    fn plots(&self, folder: &Path) -> Result<String> {
        let mut text = String::new();
        let columns = self.columns.iter().enumerate();
        for (index, column) in columns.filter(|(_, name)| **name != "lost") {
            let point = |(at, figures): &(f64, Figures)| Some((*at, *figures.get(index)?));
            let points: Vec<_> = self.rows.iter().filter_map(point).collect();
            let file = format!("{}-{}.svg", self.name, index + 1);
            let plot = Plot {
                title: self.title,
                across: self.across,
                up: column,
                points: &points,
            };
            plot.write(&folder.join(&file))?;
            let _infallible = writeln!(text, "![{column}]({file})");
        }
        Ok(text)
    }

    fn json(&self) -> Value {
        let row = |(at, figures): &(f64, Figures)| {
            let pairs = self.columns.iter().zip(figures);
            let pairs = pairs.map(|(name, value)| ((*name).to_owned(), json!(value)));
            let at = (self.across.to_owned(), json!(at));
            Value::Object(std::iter::once(at).chain(pairs).collect())
        };
        self.rows.iter().map(row).collect()
    }
}

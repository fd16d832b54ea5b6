//! How long an alert takes, and whether it comes at all, while nothing else happens and while each
//! loop runs.

use std::process::Child;

use anyhow::Result;
use serde_json::{Value, json};

use super::figures::{number, table, verdict};
use super::loops::{LOOPS, Length, Program};
use super::needle::{self, Found};
use super::part::Part;
use super::subject::Subject;

/// Longer than any needles take; the loops are ended before.
const ENDLESS: Length = Length {
    slices: 600,
    slice_ms: 1000,
};

/// Of a hundred alerts all but one are there by then, ms, by how many loops run.
fn bar(count: u32) -> f64 {
    if count > 1 { 50.0 } else { 5.0 }
}

/// Loops at the side; dropped, they end.
struct Load(Vec<Child>);

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// So many needles for each monitor and each load.
pub(super) fn latency(loops: &Program, subjects: &[Subject], needles: u32) -> Result<Part> {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for subject in subjects {
        let Some(mut monitor) = subject.start()? else {
            continue;
        };
        needle::watching(loops, &mut monitor)?;
        for (name, title, count) in loads() {
            let lost = monitor.lost()?;
            let load: Result<Vec<_>> = (0..count)
                .map(|_| loops.start(name, ENDLESS, None))
                .collect();
            let load = Load(load?);
            let found = needle::find(loops, &monitor, &format!("{name}-{count}"), needles)?;
            drop(load);
            let lost = monitor
                .lost()?
                .zip(lost)
                .map(|(after, before)| after - before);
            rows.push(row(subject, (&title, count), &found, lost));
            values.push(value(subject, &title, &found, lost));
            monitor.settled();
        }
    }
    let head = [
        "Monitor",
        "Load",
        "alerts of needles",
        "bar: all",
        "median, ms",
        "p99, ms",
        "bar",
        "",
        "most, ms",
        "records lost",
        "bar 0",
    ];
    Ok(Part {
        name: "latency",
        title: "Time to an alert",
        text: table(&head, &rows),
        json: Value::Array(values),
    })
}

/// Loop, what it is called, and how many at once.
fn loads() -> Vec<(&'static str, String, u32)> {
    let idle = ("getppid", "nothing".to_owned(), 0);
    let one = LOOPS
        .iter()
        .map(|work| (work.name, work.title.to_owned(), 1));
    let two = ("open", "two of open + close".to_owned(), 2);
    std::iter::once(idle).chain(one).chain([two]).collect()
}

fn row(
    subject: &Subject,
    (load, count): (&str, u32),
    found: &Found,
    lost: Option<u64>,
) -> Vec<String> {
    let times = &found.latencies;
    let missing = f64::from(found.dropped) - times.len() as f64;
    let late = times.percentile(99);
    vec![
        subject.name(),
        load.to_owned(),
        format!("{} of {}", times.len(), found.dropped),
        verdict(missing, 0.0),
        number(times.median()),
        number(late),
        number(bar(count)),
        verdict(late, bar(count)),
        number(times.percentile(100)),
        lost.map_or_else(|| "?".to_owned(), |lost| lost.to_string()),
        verdict(lost.map_or(f64::NAN, |lost| lost as f64), 0.0),
    ]
}

fn value(subject: &Subject, load: &str, found: &Found, lost: Option<u64>) -> Value {
    json!({
        "monitor": subject.name(), "load": load, "needles": found.dropped,
        "latency_ms": found.latencies.json(), "lost": lost,
    })
}

//! What a monitor costs: each loop with each, and without one right before and right after. What is
//! added is the difference to the mean of both, so that a machine which becomes slower or faster
//! meanwhile adds nothing.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figures::{Samples, number, table, verdict};
use super::loops::{LOOPS, Length, Loop, Program, Timing};
use super::needle;
use super::part::Part;
use super::rules::Rules;
use super::subject::{Running, Subject, now};

/// Loops to which rules about execs alone may add no more than this share of what they take.
const UNTOUCHED: [&str; 2] = ["getppid", "read"];
const UNTOUCHED_SHARE: f64 = 0.02;

/// Resident memory: 30 MB.
pub(super) const MEMORY_MIB: f64 = 30e6 / (1 << 20) as f64;
/// CPU in a second in which nothing is asked for, ms.
const IDLE_MS: f64 = 1.0;
/// Less than this is nothing, where a monitor is to do nothing, ns.
const NOTHING_NS: f64 = 1.0;

/// What was measured of one subject and loop, by round.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// Of an operation, ns.
    pub(super) ns: Vec<f64>,
    /// The same without a monitor, around it.
    alone: Vec<f64>,
    /// CPU of the monitor for an operation, ns.
    pub(super) daemon: Samples,
    pub(super) lost: u64,
}

/// What was measured of one subject, whatever the loop.
#[derive(Debug, Default)]
struct Body {
    resident_mib: Samples,
    /// Each page once: a ring's first ones are mapped twice.
    own_mib: Samples,
    /// CPU in a second in which nothing was asked for, ms.
    idle: Samples,
}

/// The loops in rounds; `idle` is how long nothing is done in each.
pub(super) fn cost(
    loops: &Program,
    subjects: &[Subject],
    (rounds, length, idle): (u32, Length, Duration),
) -> Result<Part> {
    let mut columns = BTreeMap::<_, Column>::new();
    let mut bodies = BTreeMap::<_, Body>::new();
    let mut before = alone(loops, length)?;
    for round in 0..rounds {
        println!("round {} of {rounds}", round + 1);
        for subject in subjects {
            let Some(mut monitor) = subject.start()? else {
                continue;
            };
            needle::watching(loops, &mut monitor)?;
            let body = bodies.entry(subject.name()).or_default();
            body.idle.add(idle_ms(&monitor, idle));
            for work in LOOPS {
                let column = columns.entry((subject.name(), work.name)).or_default();
                column.measure(loops, Some(&monitor), work.name, of(length, work))?;
            }
            body.resident_mib.add(mib(monitor.settled().resident_bytes));
            body.own_mib.add(mib(monitor.own_bytes()));
            drop(monitor);
            let after = alone(loops, length)?;
            for ((work, before), after) in LOOPS.iter().zip(before).zip(&after) {
                let column = columns.entry((subject.name(), work.name)).or_default();
                column.alone.push(f64::midpoint(before, *after));
            }
            before = after;
        }
    }
    let names: Vec<_> = subjects.iter().map(Subject::name).collect();
    Ok(Part {
        name: "cost",
        title: "What is added to the workload, and the monitor's CPU for it",
        text: loops_text(&names, &columns) + "\n" + &bodies_text(&names, &bodies),
        json: json!({
            "unit": "ns for an operation",
            "loops": loops_json(&columns),
            "monitors": bodies.iter().map(|(name, body)| json!({
                "name": name, "resident_mib": body.resident_mib.json(),
                "own_mib": body.own_mib.json(),
                "idle_cpu_ms_per_s": body.idle.json(),
            })).collect::<Vec<_>>(),
        }),
    })
}

impl Column {
    /// Runs the loop once.
    pub(super) fn measure(
        &mut self,
        loops: &Program,
        monitor: Option<&Running>,
        name: &str,
        length: Length,
    ) -> Result<Timing> {
        let lost = |monitor: Option<&Running>| -> Result<u64> {
            let lost = monitor.map(Running::lost).transpose()?;
            Ok(lost.flatten().unwrap_or_default())
        };
        let lost_before = lost(monitor)?;
        let before = monitor.map(Running::usage);
        let timing = loops.time(name, length, None)?;
        if let Some((monitor, before)) = monitor.zip(before) {
            let cpu = monitor.settled().cpu_ns.saturating_sub(before.cpu_ns);
            self.daemon.add(cpu as f64 / timing.operations as f64);
        }
        self.lost += lost(monitor)?.saturating_sub(lost_before);
        self.ns.push(timing.ns);
        Ok(timing)
    }
}

/// What each loop takes without a monitor, ns for an operation.
fn alone(loops: &Program, length: Length) -> Result<Vec<f64>> {
    let times = LOOPS.iter().map(|work| {
        let timing = loops.time(work.name, of(length, *work), None)?;
        Ok(timing.ns)
    });
    times.collect()
}

/// How long a loop runs: that of execs, whose times differ most, for longer.
fn of(length: Length, work: Loop) -> Length {
    let times = if work.name == "exec" { 3 } else { 1 };
    Length {
        slices: length.slices * times,
        ..length
    }
}

/// CPU that a monitor takes while nothing is asked of it, ms a second.
fn idle_ms(monitor: &Running, length: Duration) -> f64 {
    let (before, start) = (monitor.settled().cpu_ns, now());
    thread::sleep(length);
    let cpu = monitor.usage().cpu_ns.saturating_sub(before);
    cpu as f64 / 1e6 / ((now() - start) as f64 / 1e9)
}

pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

type Columns = BTreeMap<(String, &'static str), Column>;

fn loops_text(names: &[String], columns: &Columns) -> String {
    let mut rows = Vec::new();
    for work in LOOPS {
        for name in names {
            let Some(on) = columns.get(&(name.clone(), work.name)) else {
                continue;
            };
            let alone = Samples::of(on.alone.clone());
            let added = Samples::differences(&on.ns, &on.alone);
            let execs_alone = *name == Subject::Ours(Rules::Execs).name();
            let most = if execs_alone && UNTOUCHED.contains(&work.name) {
                alone.median() * UNTOUCHED_SHARE
            } else {
                work.added
            };
            rows.push(vec![
                work.title.to_owned(),
                name.clone(),
                alone.spread(),
                added.spread(),
                number(most),
                verdict(added.median(), most),
                on.daemon.spread(),
                number(work.daemon),
                verdict(on.daemon.median(), work.daemon.max(NOTHING_NS)),
                on.lost.to_string(),
                verdict(on.lost as f64, 0.0),
            ]);
        }
    }
    let head = [
        "Loop",
        "Monitor",
        "alone, ns",
        "added, ns",
        "bar",
        "",
        "monitor's CPU, ns",
        "bar",
        "",
        "lost",
        "bar 0",
    ];
    table(&head, &rows)
}

fn bodies_text(names: &[String], bodies: &BTreeMap<String, Body>) -> String {
    let bodies = names
        .iter()
        .filter_map(|name| Some((name, bodies.get(name)?)));
    let rows: Vec<_> = bodies
        .map(|(name, body)| {
            vec![
                name.clone(),
                body.resident_mib.spread(),
                verdict(body.resident_mib.median(), MEMORY_MIB),
                body.own_mib.spread(),
                body.idle.spread(),
                verdict(body.idle.median(), IDLE_MS),
            ]
        })
        .collect();
    let [memory, idle] = [MEMORY_MIB, IDLE_MS].map(|bar| format!("bar {}", number(bar)));
    let head = [
        "Monitor",
        "memory after the loops, MiB",
        &memory,
        "each page once (PSS), MiB",
        "CPU when idle, ms/s",
        &idle,
    ];
    table(&head, &rows)
}

fn loops_json(columns: &Columns) -> Vec<Value> {
    columns
        .iter()
        .map(|((name, work), column)| {
            json!({
                "loop": work, "monitor": name, "ns": column.ns, "alone": column.alone,
                "lost": column.lost,
                "added": Samples::differences(&column.ns, &column.alone).json(),
                "daemon": column.daemon.json(),
            })
        })
        .collect()
}

/// The difference to nobody, checked once for a growing thing.
pub(super) fn added(on: &Column, off: &Column) -> Result<f64> {
    let samples = Samples::differences(&on.ns, &off.ns);
    (samples.len() > 0)
        .then(|| samples.median())
        .context("nothing was measured")
}

//! Time from start to watching, and the memory that is taken then.

use anyhow::Result;
use serde_json::{Value, json};

use super::cost::mib;
use super::figures::{Samples, number, table, verdict};
use super::loops::Program;
use super::needle;
use super::part::Part;
use super::subject::Subject;

const READY_MS: f64 = 400.0;

/// Starts each so often.
pub(super) fn start(loops: &Program, subjects: &[Subject], rounds: u32) -> Result<Part> {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for subject in subjects {
        let mut ready = Samples::default();
        let mut watching = Samples::default();
        let mut memory = Samples::default();
        let mut cpu = Samples::default();
        for _ in 0..rounds {
            let Some(mut monitor) = subject.start()? else {
                break;
            };
            watching.add(needle::watching(loops, &mut monitor)?);
            ready.add(monitor.ready_ms().unwrap_or(f64::NAN));
            let usage = monitor.settled();
            memory.add(mib(usage.resident_bytes));
            cpu.add(usage.cpu_ns as f64 / 1e6);
        }
        if watching.len() == 0 {
            continue;
        }
        rows.push(vec![
            subject.name(),
            ready.spread(),
            verdict(ready.median(), READY_MS),
            watching.spread(),
            cpu.spread(),
            memory.spread(),
        ]);
        values.push(json!({
            "monitor": subject.name(), "ready_ms": ready.json(), "watching_ms": watching.json(),
            "cpu_ms": cpu.json(), "resident_mib": memory.json(),
        }));
    }
    let bar = format!("bar {}", number(READY_MS));
    let head = [
        "Monitor",
        "says it is ready, ms",
        &bar,
        "first act told of, ms",
        "CPU, ms",
        "memory, MiB",
    ];
    Ok(Part {
        name: "start",
        title: "Start",
        text: table(&head, &rows),
        json: Value::Array(values),
    })
}

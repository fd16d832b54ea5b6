//! Needles: acts that upstream's rules tell of, each with a mark of its own, and the time until a
//! monitor printed the alert.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::figures::Samples;
use super::loops::Program;
use super::subject::{Running, now};

/// Between two needles.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a monitor may take to watch after its start, ns.
const START_NS: u64 = 60_000_000_000;
/// How long the last alert is waited for, ns.
const LAST_NS: u64 = 10_000_000_000;

/// A needle that was dropped.
#[derive(Debug)]
struct Needle {
    mark: String,
    ns: u64,
}

impl Needle {
    /// A program reads `/etc/shadow`.
    fn drop_one(loops: &Program, mark: String) -> Result<Self> {
        let mut command = loops.command(&["needle", &mark]);
        let output = command.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let ns = text.trim().parse().context("a needle has no time")?;
        Ok(Self { mark, ns })
    }

    /// Time to its alert, ms; none when there was no alert so far.
    fn latency_ms(&self, monitor: &Running) -> Option<f64> {
        let told = monitor.told(&[&self.mark, "/etc/shadow"])?;
        Some(told.saturating_sub(self.ns) as f64 / 1e6)
    }
}

/// What became of needles.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dropped: u32,
    /// ms, of those that were told of.
    pub(super) latencies: Samples,
}

/// Drops so many and waits for their alerts.
pub(super) fn find(loops: &Program, monitor: &Running, mark: &str, count: u32) -> Result<Found> {
    let mut needles = Vec::new();
    for number in 0..count {
        needles.push(Needle::drop_one(loops, format!("needle-{mark}-{number}."))?);
        thread::sleep(PAUSE);
    }
    let end = now() + LAST_NS;
    let missing = |needle: &Needle| needle.latency_ms(monitor).is_none();
    while needles.iter().any(missing) && now() < end {
        thread::sleep(PAUSE);
    }
    let latencies = needles
        .iter()
        .filter_map(|needle| needle.latency_ms(monitor));
    Ok(Found {
        dropped: count,
        latencies: Samples::of(latencies),
    })
}

/// Waits until a monitor tells of needles; the time from its start to the first one that it told
/// of, ms.
pub(super) fn watching(loops: &Program, monitor: &mut Running) -> Result<f64> {
    let end = now() + START_NS;
    let mut needles = Vec::new();
    while now() < end {
        let mark = format!("needle-start-{}.", needles.len());
        needles.push(Needle::drop_one(loops, mark)?);
        thread::sleep(PAUSE);
        let mut told = needles
            .iter()
            .filter(|needle| needle.latency_ms(monitor).is_some());
        if let Some(first) = told.next() {
            return Ok(monitor.since_start_ms(first.ns));
        }
        if monitor.ended() {
            break;
        }
    }
    bail!(
        "the monitor tells of no program that reads /etc/shadow; it has to print its alerts, with \
         `%proc.cmdline`, to its standard output; it said: {}",
        monitor.last_words()
    )
}

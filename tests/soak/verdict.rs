//! What a run has to show. Pure.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::alerts::Tally;
use crate::load::Done;
use crate::sample::Sample;

/// Caches fill and the allocator finds its size; not judged.
pub(crate) const WARM_UP: Duration = Duration::from_mins(3);
/// Medians are taken over this, so that a scrape in that moment is no growth.
const WINDOW: Duration = Duration::from_mins(1);

/// So many times the usual number of records is not the load's doing.
const FLOOD: u64 = 10;

/// One thing that was checked.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) holds: bool,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds { "ok" } else { "FAILED" };
        write!(f, "{verdict}: {}", self.what)
    }
}

fn finding(holds: bool, what: String) -> Finding {
    Finding { holds, what }
}

/// All checks.
pub(crate) fn judge(samples: &[Sample], done: &Done, tally: &Tally) -> Vec<Finding> {
    let mut findings = growth(samples);
    let last = samples.last().cloned().unwrap_or_default();
    findings.push(losses(samples));
    findings.push(finding(
        last.alerts_lost == 0,
        format!("{} alerts lost", last.alerts_lost),
    ));
    for (kind, count) in [
        ("soak-needle", &done.needles),
        ("soak-boxed", &done.boxed),
        ("soak-executed", &done.executed),
    ] {
        let wanted = count.load(Ordering::Relaxed);
        let came = tally.needles.get(kind).map_or(0, |came| came.len() as u64);
        // The last round may have been cut short after it acted.
        let holds = wanted > 0 && (wanted..=wanted + 1).contains(&came);
        findings.push(finding(
            holds,
            format!("{came} of {wanted} alerts of {kind}"),
        ));
    }
    for (count, what) in [
        (tally.repeated, "needles alerted twice"),
        (tally.nameless, "alerts of containers without name or image"),
        (tally.torn, "torn lines"),
    ] {
        findings.push(finding(count == 0, format!("{count} {what}")));
    }
    let failures = done.failures();
    findings.push(finding(
        failures.is_empty(),
        format!("{} rounds of load failed {failures:?}", failures.len()),
    ));
    findings
}

/// Records may only be lost where somebody else floods the host: the load itself is steady.
fn losses(samples: &[Sample]) -> Finding {
    let pairs = || samples.iter().zip(samples.iter().skip(1));
    let records = |sample: &Sample| sample.kept + sample.lost;
    let mut rates: Vec<u64> = pairs()
        .map(|(before, after)| records(after).saturating_sub(records(before)))
        .collect();
    let flood = median_of(&mut rates) * FLOOD;
    let (mut explained, mut unexplained) = (0, 0);
    for (before, after) in pairs() {
        let lost = after.lost.saturating_sub(before.lost);
        if records(after).saturating_sub(records(before)) >= flood {
            explained += lost;
        } else {
            unexplained += lost;
        }
    }
    let what = format!(
        "{unexplained} records lost, and {explained} while {FLOOD} times as many came as usual"
    );
    finding(unexplained == 0 && !samples.is_empty(), what)
}

fn growth(samples: &[Sample]) -> Vec<Finding> {
    let windows = windows(samples);
    let check = |name: &str, of: fn(&Sample) -> u64, room: fn(u64) -> u64| {
        let medians: Vec<u64> = windows.iter().map(|window| median(window, of)).collect();
        let first = medians.first().copied().unwrap_or_default();
        let highest = medians.iter().copied().max().unwrap_or_default();
        let last = medians.last().copied().unwrap_or_default();
        let all = windows.iter().flatten().copied();
        let peak = all.map(of).max().unwrap_or_default();
        let what = format!(
            "{name}: {first} after the warm-up, at most {highest}, {last} at the end \
             (medians of a minute; highest sample {peak})"
        );
        finding(medians.len() > 1 && highest <= first + room(first), what)
    };
    vec![
        check(
            "resident memory in KiB",
            |sample| sample.rss,
            |first| first / 20,
        ),
        check("descriptors", |sample| sample.descriptors, |_| 2),
        check("threads", |sample| sample.threads, |_| 0),
    ]
}

/// The samples behind the warm-up, minute by minute; a part of a minute at the end is left out.
fn windows(samples: &[Sample]) -> Vec<Vec<&Sample>> {
    let mut windows: Vec<Vec<&Sample>> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.at >= WARM_UP) {
        let number = (sample.at.saturating_sub(WARM_UP).as_secs() / WINDOW.as_secs()) as usize;
        windows.resize_with(windows.len().max(number + 1), Vec::new);
        if let Some(window) = windows.get_mut(number) {
            window.push(sample);
        }
    }
    let full = windows.iter().map(Vec::len).max().unwrap_or_default();
    windows.retain(|window| window.len() * 2 > full);
    windows
}

fn median(samples: &[&Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(|sample| of(sample)).collect();
    median_of(&mut values)
}

fn median_of(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample every 5 s for ten minutes.
    fn run(figures: impl Fn(u64) -> (u64, u64)) -> Vec<bool> {
        let samples: Vec<Sample> = (0..120)
            .map(|number| {
                let (rss, descriptors) = figures(number * 5);
                Sample {
                    at: Duration::from_secs(number * 5),
                    rss,
                    descriptors,
                    threads: 4,
                    ..Sample::default()
                }
            })
            .collect();
        growth(&samples)
            .iter()
            .map(|finding| finding.holds)
            .collect()
    }

    #[test]
    fn growth_counts_behind_the_warm_up_only() {
        assert_eq!(run(|at| (1000 + at.min(150), 20)), [true, true, true]);
        assert_eq!(run(|at| (1000 + at, 20)), [false, true, true]);
        assert_eq!(run(|at| (1000, 20 + at / 100)), [true, false, true]);
    }

    #[test]
    fn one_moment_is_no_growth() {
        let spike = |at: u64| if at == 400 { 5000 } else { 1000 };
        assert_eq!(run(|at| (spike(at), 20)), [true, true, true]);
    }

    #[test]
    fn losses_need_a_flood() {
        let lost_when = |records: u64| {
            let mut sum = Sample::default();
            let samples: Vec<Sample> = [100, 100, records, 100, 100]
                .map(|records| {
                    sum.kept += records;
                    sum.lost += u64::from(records != 100);
                    sum.clone()
                })
                .to_vec();
            losses(&samples).holds
        };
        assert!(lost_when(100) && lost_when(5000));
        assert!(!lost_when(500));
    }

    #[test]
    fn a_run_that_told_nothing_does_not_pass() {
        assert!(growth(&[]).iter().all(|finding| !finding.holds));
    }
}

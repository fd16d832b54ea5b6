//! The daemon's figures at one moment, from `/proc` and from its metrics.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use monitor_tests::http;

/// Above the lines of [`Sample`]'s display.
pub(crate) const HEADER: &str = "  time    rss   anon  fds thr     cpu      kept    lost  alerts \
                                 a-lost  procs  proc-b  conts";

/// Memory in KiB, times of the CPU in 10 ms, all else counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) rss: u64,
    pub(crate) anonymous: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) cpu: u64,
    pub(crate) kept: u64,
    pub(crate) lost: u64,
    pub(crate) alerts: u64,
    pub(crate) alerts_lost: u64,
    pub(crate) processes: u64,
    pub(crate) process_bytes: u64,
    pub(crate) containers: u64,
}

impl Sample {
    /// Asks for all of them now.
    pub(crate) fn take(pid: u32, port: u16, at: Duration) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let status = |name: &str| of_status(&status, name);
        let metrics = http::fetch(port, "/metrics")?;
        let metric = |name: &str| sum(&metrics, name);
        Ok(Self {
            at,
            rss: status("VmRSS:")?,
            anonymous: status("RssAnon:")?,
            threads: status("Threads:")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
            cpu: cpu(&fs::read_to_string(format!("/proc/{pid}/stat"))?)?,
            kept: metric("monitor_records_kept_total"),
            lost: metric("monitor_records_lost_total"),
            alerts: metric("monitor_alerts_total"),
            alerts_lost: metric("monitor_alerts_lost_total"),
            processes: metric("monitor_process_table_entries"),
            process_bytes: metric("monitor_process_table_bytes"),
            containers: metric("monitor_container_cache_entries"),
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs();
        write!(
            f,
            "{:3}:{:02} {:6} {:6} {:4} {:3} {:6.1}s {:9} {:7} {:7} {:6} {:6} {:6}k {:6}",
            seconds / 60,
            seconds % 60,
            self.rss,
            self.anonymous,
            self.descriptors,
            self.threads,
            self.cpu as f64 / 100.0,
            self.kept,
            self.lost,
            self.alerts,
            self.alerts_lost,
            self.processes,
            self.process_bytes / 1024,
            self.containers,
        )
    }
}

/// The series of losses that are not zero.
pub(crate) fn losses(port: u16) -> Result<Vec<String>> {
    let metrics = http::fetch(port, "/metrics")?;
    let lost = metrics
        .lines()
        .filter(|line| line.starts_with("monitor_") && line.contains("_lost_total{"))
        .filter(|line| !line.ends_with(" 0"));
    Ok(lost.map(str::to_owned).collect())
}

fn of_status(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .with_context(|| format!("no `{name}` in the process's status"))?
        .parse()
        .context("a figure is no number")
}

/// Fields 14 and 15: time in user and kernel mode. The name, in parentheses, may hold spaces.
fn cpu(stat: &str) -> Result<u64> {
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let times = rest.split_whitespace().skip(11).take(2);
    times.map(|time| Ok(time.parse::<u64>()?)).sum()
}

/// All series of a metric together.
fn sum(metrics: &str, name: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.parse::<f64>().ok()
    });
    values.sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_where_the_kernel_writes_them() {
        let status = "Name:\ta\nVmRSS:\t   12 kB\nThreads:\t3\n";
        assert_eq!(of_status(status, "VmRSS:").unwrap(), 12);
        assert!(of_status(status, "RssAnon:").is_err());
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13";
        assert_eq!(cpu(stat).unwrap(), 11 + 12);
    }

    #[test]
    fn series_add_up() {
        let metrics =
            "# HELP a_total x\na_total{k=\"} 7\"} 1\na_total{k=\"b\"} 2\na_total_more 4\nb 5\n";
        assert_eq!((sum(metrics, "a_total"), sum(metrics, "b")), (3, 5));
    }
}

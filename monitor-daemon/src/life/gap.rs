//! The time between two runs of the daemon, in which nothing recorded, and the alert that tells it.
//!
//! A running daemon leaves a [`Mark`] again and again; the next start finds the last one. Pure:
//! marks and times are passed in. What is told is as good as the mark: who can write the daemon's
//! files can also remove it.

use std::sync::Arc;

use monitor_policy::Priority;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::output::{Alert, INTERNAL, OWN_TAG, rfc3339};
use crate::process::Process;

/// Name of the alert, where others have the name of their rule.
pub(crate) const RULE: &str = "Monitor internal: nothing was watched";
/// Processes that an alert names.
const NAMED_MAX: usize = 20;

/// A moment of the two clocks, ns.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Moment {
    /// Since the epoch.
    pub(crate) epoch_ns: u64,
    /// `CLOCK_BOOTTIME`.
    pub(crate) boot_ns: u64,
}

/// What a run leaves behind.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Mark {
    /// Version of the daemon.
    pub(crate) version: String,
    /// The kernel's name for this boot.
    pub(crate) boot: String,
    /// When the loop last turned.
    pub(crate) alive: Moment,
    /// The run has ended as it should.
    pub(crate) ended: bool,
}

/// Why nothing was watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// The daemon was stopped as it should be.
    Stopped,
    /// It ended in another way: killed, or failed.
    Killed,
    /// The host was started anew; the daemon had been stopped before.
    HostRestarted,
    /// The host was started anew, and the daemon had not been stopped before.
    HostFailed,
}

/// The time between two runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Gap {
    pub(crate) why: Why,
    from: Moment,
    until: Moment,
    /// Version of the daemon that ran before.
    version: String,
}

impl Mark {
    /// The gap between this mark and `until`, when the programs were attached in the boot `boot`.
    pub(crate) fn gap(&self, boot: &str, until: Moment) -> Gap {
        let why = match (self.boot == boot, self.ended) {
            (true, true) => Why::Stopped,
            (true, false) => Why::Killed,
            (false, true) => Why::HostRestarted,
            (false, false) => Why::HostFailed,
        };
        Gap {
            why,
            from: self.alive,
            until,
            version: self.version.clone(),
        }
    }
}

impl Why {
    const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::HostRestarted => "host restarted",
            Self::HostFailed => "host restarted without an orderly end",
        }
    }

    /// Who kills the daemon may have wanted the gap.
    pub(crate) const fn priority(self) -> Priority {
        match self {
            Self::Stopped | Self::HostRestarted => Priority::Notice,
            Self::HostFailed => Priority::Warning,
            Self::Killed => Priority::Critical,
        }
    }

    const fn same_boot(self) -> bool {
        matches!(self, Self::Stopped | Self::Killed)
    }
}

impl Gap {
    /// Its length. Within a boot the wall clock may have been set meanwhile.
    pub(crate) fn seconds(&self) -> f64 {
        let clock = |moment: Moment| {
            if self.why.same_boot() {
                moment.boot_ns
            } else {
                moment.epoch_ns
            }
        };
        let ns = clock(self.until).saturating_sub(clock(self.from));
        (ns / 1_000_000) as f64 / 1000.0
    }

    /// Whether a process was started in it. After a restart of the host, all were.
    fn holds(&self, process: &Process) -> bool {
        let start = process.task.start;
        self.why.same_boot() && (self.from.boot_ns..self.until.boot_ns).contains(&start)
    }

    /// The alert; of the `running` processes those that were started in the gap are named.
    pub(crate) fn alert<'p>(
        &self,
        running: impl Iterator<Item = &'p Arc<Process>>,
        hostname: &Arc<str>,
    ) -> Alert {
        let mut started: Vec<_> = running.filter(|process| self.holds(process)).collect();
        started.sort_by_key(|process| process.task.start);
        let names = started.iter().take(NAMED_MAX).map(|process| {
            let name = String::from_utf8_lossy(process.name());
            format!("{name}({})", process.task.pid)
        });
        let names = names.collect::<Vec<_>>().join(",");
        let (count, names) = if self.why.same_boot() {
            (json!(started.len()), Value::from(names))
        } else {
            (Value::Null, Value::Null)
        };
        let shown = |value: &Value| match value {
            Value::Null => "<NA>".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let output = format!(
            "Nothing was watched for a time | why={} seconds={:.3} from={} until={} version={} \
             processes={} started={}",
            self.why.name(),
            self.seconds(),
            rfc3339(self.from.epoch_ns),
            rfc3339(self.until.epoch_ns),
            self.version,
            shown(&count),
            shown(&names),
        );
        let fields = [
            ("gap.why", self.why.name().into()),
            ("gap.seconds", json!(self.seconds())),
            ("gap.from", json!(self.from.epoch_ns)),
            ("gap.until", json!(self.until.epoch_ns)),
            ("gap.version", self.version.as_str().into()),
            ("gap.processes", count),
            ("gap.started", names),
        ];
        let tags: &[&str] = match self.why {
            Why::Killed => &["T1562.001", "mitre_defense_evasion", OWN_TAG],
            _ => &[OWN_TAG],
        };
        Alert {
            rule: RULE.into(),
            priority: self.why.priority(),
            source: INTERNAL.into(),
            tags: tags.iter().copied().map(str::to_owned).collect(),
            time: self.until.epoch_ns,
            hostname: Arc::clone(hostname),
            output,
            fields: fields
                .map(|(name, value): (&str, Value)| (name.to_owned(), value))
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::Task;

    use super::*;
    use crate::process::Image;

    const SECOND: u64 = 1_000_000_000;

    fn moment(epoch_s: u64, boot_s: u64) -> Moment {
        Moment {
            epoch_ns: epoch_s * SECOND,
            boot_ns: boot_s * SECOND,
        }
    }

    fn mark(ended: bool) -> Mark {
        Mark {
            version: "1.2.3".to_owned(),
            boot: "b1".to_owned(),
            alive: moment(1_000_000, 100),
            ended,
        }
    }

    fn process(pid: u32, start_s: u64) -> Arc<Process> {
        let task = Task {
            pid,
            start: start_s * SECOND,
            comm: *b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ..Task::default()
        };
        let image = Arc::new(Image::default());
        Arc::new(Process::new(task, image, b"/"[..].into(), None))
    }

    #[test]
    fn why_and_how_long() {
        // The wall clock went back by an hour within the boot, and tells the time over boots.
        let cases = [
            (
                "b1",
                true,
                moment(996_412, 112),
                "stopped",
                12.0,
                Priority::Notice,
            ),
            (
                "b1",
                false,
                moment(996_412, 112),
                "killed",
                12.0,
                Priority::Critical,
            ),
            (
                "b2",
                true,
                moment(1_000_060, 7),
                "host restarted",
                60.0,
                Priority::Notice,
            ),
            (
                "b2",
                false,
                moment(1_000_060, 7),
                "host restarted without an orderly end",
                60.0,
                Priority::Warning,
            ),
        ];
        for (boot, ended, until, why, seconds, priority) in cases {
            let gap = mark(ended).gap(boot, until);
            let alert = gap.alert([].iter(), &"h".into());
            assert_eq!(alert.field("gap.why"), Some(&json!(why)));
            assert_eq!(alert.field("gap.seconds"), Some(&json!(seconds)), "{why}");
            assert_eq!(alert.priority, priority, "{why}");
            assert_eq!(alert.time, until.epoch_ns);
        }
    }

    #[test]
    fn processes_that_were_started_meanwhile_are_named() {
        let all = [
            process(9, 111),
            process(8, 100),
            process(7, 99),
            process(6, 112),
        ];
        let alert = mark(false)
            .gap("b1", moment(1_000_012, 112))
            .alert(all.iter(), &"h".into());
        assert_eq!(
            alert.output,
            "Nothing was watched for a time | why=killed seconds=12.000 \
             from=1970-01-12T13:46:40.000000000Z until=1970-01-12T13:46:52.000000000Z \
             version=1.2.3 processes=2 started=sh(8),sh(9)"
        );
        let many: Vec<_> = (0..50).map(|pid| process(pid, 101)).collect();
        let gap = mark(false).gap("b1", moment(1_000_012, 112));
        let alert = gap.alert(many.iter(), &"h".into());
        assert_eq!(alert.field("gap.processes"), Some(&json!(50)));
        let started = alert.field("gap.started").unwrap().as_str().unwrap();
        assert_eq!(started.split(',').count(), NAMED_MAX);
        let alert = mark(true)
            .gap("b2", moment(1_000_012, 7))
            .alert(all.iter(), &"h".into());
        assert!(alert.output.ends_with("processes=<NA> started=<NA>"));
    }
}

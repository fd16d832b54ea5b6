//! What is done from time to time: looks at the programs, losses, old state, figures.

use monitor_common::Kind;

use super::super::guard::Suspect;
use super::super::losses;
use super::super::streams::Streams;
use super::super::tampering::Tampering;
use super::State;
use crate::clock;
use crate::metrics;
use crate::output::{Alert, Status};
use crate::probe::{Coverage, Loss, ProbeError, Probes, SWITCHED_OFF};

/// Time between two rounds of housekeeping, ns.
const HOUSEKEEPING_NS: u64 = 1_000_000_000;
/// Time from a loss to a new count of processes, ns.
const RECOUNT_NS: u64 = 5_000_000_000;
/// Time between two looks at what each program missed, ns: one reads a file a program.
const MISSED_NS: u64 = 10_000_000_000;
/// Time after which the filter is told again which processes are the host's, ns.
const TELL_PROCESSES_NS: u64 = 60_000_000_000;

impl State {
    pub(super) fn housekeep(&mut self, probes: &mut Probes, now: u64) {
        self.look_after(probes, now);
        if now.saturating_sub(self.housekept) >= HOUSEKEEPING_NS {
            self.housekept = now;
            self.boot_to_epoch_ns = clock::boot_to_epoch_ns();
            let lost = lost(probes, &self.streams);
            self.recount_after_loss(lost.as_deref().unwrap_or_default(), now);
            self.host.expire(now);
            self.tell_scopes(probes, now);
            if let Some(lost) = &lost {
                self.look_for_losses(probes, lost, now);
            }
            let alerts = self.losses.due(now, self.boot_to_epoch_ns, &self.hostname);
            self.tell_losses(alerts);
            self.publish(probes, lost);
        }
    }

    /// Tells the filter in the kernel whose cgroups are, once a second, and which processes are the
    /// host's: those that it does not know from their parents need not be told at once.
    fn tell_scopes(&mut self, probes: &mut Probes, now: u64) {
        let moves = |coverage: &Coverage| {
            coverage.kind == Kind::CgroupAttach && coverage.provider.is_some()
        };
        if !self.host.unified || !probes.coverage().iter().any(moves) {
            return;
        }
        let told = probes
            .tell_cgroups(self.host.index.scopes())
            .and_then(|()| {
                if now < self.tell_processes_at {
                    return Ok(false);
                }
                let processes = self.host.own_processes().into_iter();
                probes.tell_processes(self.host.attaches, processes)
            });
        match told {
            Ok(true) => self.tell_processes_at = now.saturating_add(TELL_PROCESSES_NS),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "more is recorded than the rules need"),
        }
    }

    /// Checks the probes themselves.
    fn look_after(&mut self, probes: &mut Probes, now: u64) {
        match probes.switched_off() {
            Ok(false) => {}
            Ok(true) => self.tampered(SWITCHED_OFF, None, now),
            Err(error) => {
                tracing::error!(%error, "what serves without ftrace cannot be started");
            }
        }
        for silence in self.guard.tick(probes, self.reached) {
            if silence.delivered {
                self.tampered(&silence.text(), None, now);
            }
        }
        let (found, suspect) = self.guard.look(probes, || self.host.strangers());
        for what in found {
            self.tampered(&what, suspect.as_ref(), now);
        }
        self.tell_refusals(probes, now);
    }

    /// Attempts on the daemon that were refused.
    fn tell_refusals(&mut self, probes: &mut Probes, now: u64) {
        let due = self.refusals.due(self.reached, now, || probes.refusals());
        for (refused, count) in due {
            let suspect = Suspect {
                process: self.host.named(&refused.task),
                time: refused.time,
            };
            let mut what = refused.text();
            if count > 1 {
                what = format!("{what} {count} times");
            }
            self.tampered(&what, Some(&suspect), now);
        }
        let lost = probes.refusals_lost();
        if lost > self.refusals_lost {
            let more = lost - self.refusals_lost;
            self.refusals_lost = lost;
            tracing::warn!(
                more,
                "attempts on the daemon were refused and are not told one by one"
            );
        }
    }

    fn tampered(&mut self, what: &str, suspect: Option<&Suspect>, now: u64) {
        tracing::error!(what, "somebody tampered with the daemon");
        self.metrics.tamperings.inc();
        let time = suspect.map_or(now, |suspect| suspect.time);
        let container = suspect.and_then(|suspect| self.host.container(&suspect.process, time));
        let tampering = Tampering {
            what,
            suspect,
            container: container.as_ref().map(|container| container.short_id()),
            time: time.saturating_add(self.boot_to_epoch_ns),
            hostname: &self.hostname,
        };
        // A full queue has counted the loss.
        let _lost = self.alerts.push(tampering.alert());
    }

    /// A lost exit would keep a process for ever. Processes are counted some time after a loss:
    /// what is in the rings by then may tell of more whose exits are lost.
    fn recount_after_loss(&mut self, losses: &[Loss], now: u64) {
        let kinds = [Kind::Exec, Kind::Fork, Kind::Exit];
        let of_processes = losses.iter().filter(|loss| kinds.contains(&loss.kind));
        let lost = of_processes.map(|loss| loss.count).sum();
        if lost > self.processes_lost {
            self.processes_lost = lost;
            self.recount_at
                .get_or_insert(now.saturating_add(RECOUNT_NS));
        }
        if self.recount_at.is_some_and(|time| time <= now) {
            self.recount_at = None;
            self.host.recount(now);
        }
    }

    pub(super) fn look_for_losses(&mut self, probes: &Probes, all: &[Loss], now: u64) {
        let by_cgroup = || {
            let mut losses = probes.losses_by_cgroup()?;
            self.streams.add_lost_by_cgroup(&mut losses);
            Ok::<_, ProbeError>(losses)
        };
        let looked = self.losses.look(all, by_cgroup, &mut self.host.index, now);
        if let Err(error) = looked {
            tracing::warn!(%error, "cannot read whose events were lost");
        }
    }

    pub(super) fn tell_losses(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            self.metrics.rule(losses::RULE, losses::PRIORITY).inc();
            // A full queue has counted the loss.
            let _lost = self.alerts.push(alert);
        }
    }

    /// Publishes what rules cost, and what was raised and not told one by one.
    fn publish_judgements(&mut self) {
        self.judges.flush();
        let counts = self.rollup.take_counts();
        self.metrics.rollup.publish(&counts, self.rollup.figures());
        self.metrics.policy.aged(clock::epoch_seconds());
    }

    fn accounts_cache(&self) -> metrics::Cache {
        metrics::Cache {
            entries: self.users.len() as u64,
            bytes: self.users.bytes() as u64,
            evictions: self.users.evicted(),
        }
    }

    fn process_cache(&self) -> metrics::Cache {
        metrics::Cache {
            entries: self.host.table.len() as u64,
            bytes: self.host.table.bytes() as u64,
            evictions: self.host.table.evicted(),
        }
    }

    /// Publishes figures for scrapes and the status line.
    pub(super) fn publish(&mut self, probes: &Probes, lost: Option<Vec<Loss>>) {
        self.publish_judgements();
        let stats = self.host.index.stats();
        let loads = self.loads.publish(&mut self.host.index);
        let now = clock::boot_ns();
        let stalls = self.stalls.look(self.alerts.progress(), now / 1_000_000);
        let mut figures = self.metrics.snapshot();
        if let Some(lost) = lost {
            figures.lost = lost;
        }
        match (probes.kept(), probes.filtered()) {
            (Ok(kept), Ok(filtered)) => {
                figures.kept = kept;
                figures.filtered = filtered;
                figures.filtered.retain(|(_, count)| *count > 0);
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "cannot read the kernel's counters");
            }
        }
        figures.lost_places = self.losses.places();
        if now.saturating_sub(self.asked_missed) >= MISSED_NS {
            self.asked_missed = now;
            figures.missed = probes.missed();
        }
        figures.unknown_processes = self.host.unknown_processes;
        figures.unknown_places = self.host.unknown_places;
        figures.unread_processes = self.host.unread();
        figures.coverage = probes.coverage().to_vec();
        figures.deliveries = self.guard.deliveries();
        figures.docker_up = self.docker_up;
        figures.loads = loads;
        figures.made_ms = now / 1_000_000;
        figures.canary_ms = self.canary_ms;
        figures.stalls = stalls;
        figures.containers = metrics::ContainerCache {
            cache: metrics::Cache {
                entries: stats.containers as u64,
                bytes: stats.bytes as u64,
                evictions: stats.evicted,
            },
            pending: stats.pending as u64,
            cgroups: stats.cgroups as u64,
            cgroups_dropped: stats.cgroups_dropped,
        };
        figures.accounts = self.accounts_cache();
        figures.waiting = self.waiting.figures();
        figures.processes = self.process_cache();
        let status = Status {
            at: std::time::Instant::now(),
            kept: figures.kept_total(),
            lost: figures.lost_total(),
            containers: stats.running as u64,
            rules: u64::try_from(self.metrics.rules_loaded.get()).unwrap_or(0),
        };
        drop(figures);
        self.alerts.status(status);
    }
}

/// What the kernel counted as lost. Reading takes a call for each counter, so it is done once for all
/// who want to know.
pub(super) fn lost(probes: &Probes, streams: &Streams) -> Option<Vec<Loss>> {
    let read = probes.losses().map(|mut losses| {
        streams.add_lost(&mut losses);
        losses
    });
    read.inspect_err(|error| tracing::warn!(%error, "cannot read how much was lost"))
        .ok()
}

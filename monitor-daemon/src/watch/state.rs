//! What the loop owns, and what each input does to it.

use std::sync::{Arc, Mutex};

use monitor_common::Kind;
use monitor_policy::{Event as _, Policy};

use super::canary::Canary;
use super::guard::{Guard, KIND};
use super::host::Host;
use super::judge::Judge;
use super::judges::Judges;
use super::loads::Loads;
use super::losses::Losses;
use super::refusals::Refusals;
use super::reload::Swap;
use super::services::Services;
use super::stalls::Stalls;
use super::streams::{Piece, Streams};
use super::waiting::{Deferred, Waiting};
use super::{Input, with};
use crate::clock;
use crate::config::Config;
use crate::container::index::{self, Index};
use crate::container::{Container, State as Metadata, Update};
use crate::event::{Actor, Event, World};
use crate::life::{self, Life};
use crate::metrics::Metrics;
use crate::names::{NameTable, NamesUpdate};
use crate::output::AlertQueue;
use crate::probe::{Probes, Rings};
use crate::process::{Limits, Process, Table};
use crate::record::Record;
use crate::rollup::Rollup;
use crate::selfcheck::Starter;
use crate::users::{Accounts, Place, Users};

mod canary;
mod housekeeping;
mod swap;

use housekeeping::lost;

/// Bytes of events that may wait for metadata.
const WAITING_BYTES: usize = 8 << 20;

/// The daemon's state.
#[derive(Debug)]
pub(super) struct State {
    host: Host,
    users: Users,
    names: Arc<NameTable>,
    judges: Judges,
    /// Other rules that are about to come into force.
    swap: Option<Box<Swap>>,
    /// Some rule is about moves between cgroups.
    moves_matter: bool,
    waiting: Waiting,
    loads: Loads,
    guard: Guard,
    canary: Canary,
    canary_ms: Option<u64>,
    stalls: Stalls,
    refusals: Refusals,
    /// Refused attempts not told, by the last look at the counter.
    refusals_lost: u64,
    losses: Losses,
    streams: Streams,
    life: Life,
    services: Services,
    docker_up: bool,
    rollup: Rollup,
    alerts: AlertQueue,
    metrics: Arc<Metrics>,
    hostname: Arc<str>,
    metadata_wait_ns: u64,
    boot_to_epoch_ns: u64,
    index_version: u64,
    number: u64,
    housekept: u64,
    /// When it was last asked what the kernel left out.
    asked_missed: u64,
    /// All records up to this time are read, `CLOCK_BOOTTIME` ns.
    reached: u64,
    /// Records of processes that were lost, by the last look at the counter.
    processes_lost: u64,
    /// When to count processes anew, `CLOCK_BOOTTIME` ns.
    recount_at: Option<u64>,
    /// When to tell the filter which processes are the host's, `CLOCK_BOOTTIME` ns.
    tell_processes_at: u64,
}

impl State {
    pub(super) fn new(
        config: &Config,
        policy: Policy,
        hostname: Arc<str>,
        metrics: Arc<Metrics>,
        alerts: AlertQueue,
        services: Services,
        starter: Starter,
    ) -> Self {
        let environment = policy.environment_names().clone();
        let rules = policy.rules().iter().filter(|rule| rule.enabled).count() as u64;
        metrics.rules_loaded.set(rules as i64);
        let docker = Some(services.owner);
        let index = Index::new(index::Settings {
            docker,
            ..index::Settings::default()
        });
        let host = Host::new(Table::new(Limits::default()), index, environment);
        Self {
            host,
            users: Users::new("/etc", "/proc"),
            names: Arc::default(),
            moves_matter: Judge::kinds(&policy).contains(&Kind::CgroupAttach),
            judges: Judges::new(Judge::new(policy, &metrics, Arc::clone(&hostname))),
            swap: None,
            waiting: Waiting::new(WAITING_BYTES),
            loads: Loads::default(),
            guard: Guard::new(starter.clone()),
            canary: Canary::new(starter),
            canary_ms: None,
            stalls: Stalls::default(),
            refusals: Refusals::default(),
            refusals_lost: 0,
            losses: Losses::default(),
            streams: Streams::default(),
            life: Life::begin(&config.state_file),
            services,
            docker_up: false,
            rollup: Rollup::new(config.alerts.rollup.settings()),
            alerts,
            metrics,
            hostname,
            metadata_wait_ns: config.docker.metadata_wait.as_nanos() as u64,
            boot_to_epoch_ns: clock::boot_to_epoch_ns(),
            index_version: 0,
            number: 0,
            housekept: 0,
            asked_missed: 0,
            reached: 0,
            processes_lost: 0,
            recount_at: None,
            tell_processes_at: 0,
        }
    }

    /// Takes stock of what already runs. The probes are attached, so what changes meanwhile waits
    /// in the rings.
    pub(super) fn begin(&mut self, probes: &Probes) {
        self.host.snapshot(clock::boot_ns());
        self.request_metadata();
        self.tell_gap();
        self.publish(probes, lost(probes, &self.streams));
    }

    /// Tells for how long nothing was watched before this run.
    fn tell_gap(&self) {
        let Some(gap) = self.life.gap() else { return };
        let alert = gap.alert(self.host.table.alive(), &self.hostname);
        tracing::warn!(seconds = gap.seconds(), "{}", alert.output);
        self.metrics.gap_seconds.set(gap.seconds());
        self.metrics.rule(life::RULE, alert.priority).inc();
        // A full queue has counted the loss.
        let _lost = self.alerts.push(alert);
    }

    pub(super) fn say_ready(&self) {
        self.alerts.line("ready");
    }

    /// Begins to check whether the probes deliver.
    pub(super) fn guard(&mut self, probes: &Probes) {
        self.guard.begin(probes);
    }

    pub(super) fn input(&mut self, input: Input) {
        match input {
            Input::Container(update) => {
                match update {
                    Update::Up | Update::Synced => self.docker_up = true,
                    Update::Down(_) => self.docker_up = false,
                    _ => {}
                }
                self.host.index.apply(update, clock::boot_ns());
                self.request_metadata();
                self.release_answered();
            }
            Input::Names(NamesUpdate(names)) => self.names = names,
        }
    }

    /// Takes note that all records up to a time, `CLOCK_BOOTTIME` ns, are read.
    pub(super) fn reached(&mut self, time: u64) {
        self.reached = time;
    }

    /// Whether an event waits for metadata, or a refused attempt for earlier records.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.refusals.is_empty()
    }

    /// Ends waits that are over and, once a second, publishes figures and drops old state.
    ///
    /// While the programs are being changed, figures wait.
    pub(super) fn tick(&mut self, probes: &Mutex<Probes>) {
        let now = clock::boot_ns();
        self.release_overdue(now);
        self.judges.expire(now);
        self.life.alive(now);
        self.send_canary();
        self.rollup
            .tick(now, |alert, room| self.alerts.push_into(room, alert).ok());
        with(probes, |probes| self.housekeep(probes, now));
    }

    /// Drains the rings and everything that waits.
    pub(super) fn finish(&mut self, probes: Option<&Probes>, rings: &mut Rings) {
        let until = clock::boot_ns();
        while let Some(bytes) = rings.next() {
            let time = self.record(bytes);
            if time.is_some_and(|time| time > until) {
                break;
            }
        }
        self.release_overdue(u64::MAX);
        self.rollup
            .finish(|alert, room| self.alerts.push_into(room, alert).ok());
        let lost = probes.and_then(|probes| lost(probes, &self.streams));
        if let Some((probes, lost)) = probes.zip(lost.as_ref()) {
            self.look_for_losses(probes, lost, until);
        }
        let alerts = self
            .losses
            .rest(until, self.boot_to_epoch_ns, &self.hostname);
        self.tell_losses(alerts);
        if let Some(probes) = probes {
            self.publish(probes, lost);
        }
        self.life.end();
    }

    /// Handles one record; the time it carries.
    pub(super) fn record(&mut self, bytes: &[u8]) -> Option<u64> {
        let Ok(record) = Record::parse(bytes) else {
            self.metrics.decode_errors.inc();
            return None;
        };
        let time = record.header().time;
        self.swap_before(time);
        let movement = match record.kind() {
            Kind::CgroupAttach | Kind::Fork if self.moves_matter => self.host.movement(&record),
            _ => None,
        };
        let process = self.host.apply(&record);
        if self.guard.saw(&record) || self.is_canary(&record, &process) {
            if record.kind() == Kind::Exit {
                self.host.table.exited(record.task(), time);
            }
            return Some(time);
        }
        if record.kind() == KIND {
            self.guard.suspect(&record, &process);
        }
        self.loads.count(process.origin_cgroup);
        if record.kind() == Kind::CgroupMkdir {
            self.request_metadata();
        }
        if let Some(movement) = movement {
            let actor = Actor::live(Arc::clone(&process)).with_movement(movement);
            self.event(&record, bytes, actor);
        }
        if self.judges.current().needs(record.kind()) && record.kind() != Kind::CgroupAttach {
            match self.streams.take(&record) {
                Piece::Whole => self.event(&record, bytes, Actor::live(process)),
                Piece::Completed(bytes) => {
                    if let Ok(record) = Record::parse(&bytes) {
                        self.event(&record, &bytes, Actor::live(process));
                    }
                }
                Piece::Held => {}
            }
        }
        if record.kind() == Kind::Exit {
            self.host.table.exited(record.task(), time);
        }
        Some(time)
    }

    fn event(&mut self, record: &Record<'_>, bytes: &[u8], actor: Actor) {
        self.number += 1;
        let time = record.header().time;
        let container = self.host.container(actor.process(), time);
        self.consider(record, bytes, actor, container.as_ref());
    }

    /// Judges an event now, or lets it wait for its container's metadata.
    fn consider(
        &mut self,
        record: &Record<'_>,
        bytes: &[u8],
        actor: Actor,
        container: Option<&Arc<Container>>,
    ) {
        let number = self.number;
        if let Some(container) = container
            && (container.state == Metadata::Pending || self.waiting.has(&container.id))
        {
            // By the time it is judged, its process may be gone.
            let _read = accounts(
                &mut self.users,
                &self.host.table,
                record,
                actor.process(),
                Some(container),
            );
            let time = record.header().time;
            let deferred = Deferred {
                bytes: bytes.into(),
                cgroup: actor.process().origin_cgroup,
                container: Arc::clone(container),
                actor: actor.kept(&self.host.table),
                number,
                deadline: time.saturating_add(self.metadata_wait_ns),
            };
            match self.waiting.push(&container.id, deferred) {
                Ok(()) => {}
                // No room to wait: judged on what is known.
                Err(refused) => self.judge_deferred(&refused),
            }
            return;
        }
        self.judge(record, &actor, container.map(AsRef::as_ref), number);
    }

    fn judge_deferred(&mut self, event: &Deferred) {
        if let Ok(record) = Record::parse(&event.bytes) {
            let container = self
                .host
                .container(event.actor.process(), record.header().time);
            // A container does not become the host because it was forgotten meanwhile.
            let container = container.as_ref().unwrap_or(&event.container);
            self.judge(&record, &event.actor, Some(container), event.number);
        }
    }

    fn judge(
        &mut self,
        record: &Record<'_>,
        actor: &Actor,
        container: Option<&Container>,
        number: u64,
    ) {
        let table = &self.host.table;
        let accounts = accounts(&mut self.users, table, record, actor.process(), container);
        let world = World {
            table,
            accounts,
            names: &self.names,
            hostname: &self.hostname,
            boot_to_epoch_ns: self.boot_to_epoch_ns,
        };
        let mut next = Event::join(*record, actor, container, world, number);
        let judge = self.judges.of(number);
        // Whole: users choose ids that begin alike.
        let id = container.map(|container| &*container.id);
        let now = record.header().time;
        while let Some(event) = next {
            if judge.wants(event.event_type()) {
                judge.judge(&event, |alert| {
                    // A full queue has counted the loss.
                    self.rollup.offer(alert, id, now, |alert, room| {
                        self.alerts.push_into(room, alert).ok()
                    });
                });
            }
            next = event.following();
        }
    }

    /// Judges events whose container is known by now, or known to stay unknown.
    fn release_answered(&mut self) {
        if self.waiting.is_empty() || self.index_version == self.host.index.version() {
            return;
        }
        self.index_version = self.host.index.version();
        for (container, cgroup) in self.waiting.containers() {
            if !self.host.is_pending(cgroup) {
                self.release(&container);
            }
        }
    }

    fn release_overdue(&mut self, now: u64) {
        for event in self.waiting.overdue(now) {
            self.judge_deferred(&event);
        }
    }

    fn release(&mut self, container: &str) {
        for event in self.waiting.release(container) {
            self.judge_deferred(&event);
        }
    }

    fn request_metadata(&mut self) {
        let services = &self.services;
        self.host.index.take_requests(|id| services.inspect(id));
    }
}

/// Who is called what where the event happened. A container's own files are read through its
/// first process, for any other may have changed its root.
fn accounts<'u>(
    users: &'u mut Users,
    table: &Table,
    record: &Record<'_>,
    process: &Process,
    container: Option<&Container>,
) -> Option<&'u Accounts> {
    let now = record.header().time;
    let Some(container) = container else {
        return Some(users.host(now));
    };
    if container.is_unknown() {
        return None;
    }
    let metadata = container.metadata();
    let first = metadata.and_then(|metadata| metadata.pid);
    let place = Place {
        pid: first.unwrap_or(record.task().pid),
        layers: metadata.map_or(&[], |metadata| &metadata.layers),
    };
    // A short-lived process may be gone, and the one that started it be there.
    let inside = |ancestor: &&Arc<Process>| {
        ancestor.origin_cgroup == process.origin_cgroup && table.is_alive(ancestor)
    };
    let others = table.ancestors(process).filter(inside);
    let others = others.map(|ancestor| ancestor.task.pid);
    users.container(&container.id, place, others, now)
}

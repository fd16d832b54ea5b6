//! Takes over new rules without a gap, on a thread beside the loop.
//!
//! Rules are read and compiled here. Then the kernel's programs are widened to what the old and the
//! new rules need; from that moment on the loop judges by the new ones, between two events; then
//! the programs are narrowed. At any moment everything is recorded that the rules in force need, and
//! if something fails the old ones stay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use monitor_common::Kind;
use monitor_policy::{EnvironmentNames, Policy, Priority};
use tokio::sync::{mpsc, oneshot};

use super::judge::Judge;
use super::{blind, supervisor, wish};
use crate::clock;
use crate::config::Config;
use crate::filter::Filters;
use crate::metrics::Metrics;
use crate::probe::{Probes, Wish};
use crate::reload::{Answer, Asked, Candidate, Cause, Names, Outcome, Refusal, Reload, Source};

/// Keys of the configuration that a reload takes over; those of `limits` too.
const RELOADED: [&str; 10] = [
    "policies",
    "rule_matching",
    "priority",
    "rules",
    "append_suggested_output",
    "append_output",
    "static_fields",
    "accept_blind",
    "kernel_filter",
    "limits",
];

/// What the loop does for it, one after the other.
#[derive(Debug)]
pub(super) enum Step {
    /// Keep of processes, and resolve, what old or new rules read.
    Prepare(Reads, oneshot::Sender<()>),
    /// Judge by other rules.
    Swap(Box<Swap>),
    /// Keep and resolve this only.
    Settle(Reads),
}

/// What rules read beside events.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Of the environments of processes.
    pub(super) environment: EnvironmentNames,
    /// Addresses of these.
    pub(super) host_names: Vec<Arc<str>>,
}

/// Other rules.
#[derive(Debug)]
pub(super) struct Swap {
    pub(super) judge: Box<Judge>,
    /// For what happened later than this, `CLOCK_BOOTTIME` ns: all that they need is recorded since.
    pub(super) at: u64,
    /// Kinds of events of which other calls are recorded, or which are not any more.
    pub(super) changed: Vec<Kind>,
    /// Kinds that are recorded, of which something serves.
    pub(super) served: Vec<Kind>,
    /// The rules before are done with, once they are.
    pub(super) done: oneshot::Sender<Option<Box<Judge>>>,
}

/// The daemon ends.
#[derive(Debug)]
struct Ended;

/// The thread's own.
pub(super) struct Reloader {
    source: Source,
    asked: mpsc::Receiver<Asked>,
    steps: mpsc::Sender<Step>,
    probes: Arc<Mutex<Probes>>,
    metrics: Arc<Metrics>,
    hostname: Arc<str>,
    /// The configuration that the daemon was started with.
    started: Config,
    running: Running,
}

/// What is in force.
#[derive(Debug)]
struct Running {
    config: Config,
    checksum: String,
    rules: BTreeMap<String, (u64, Priority)>,
    enabled: u64,
    reads: Reads,
    wish: Wish,
    /// What the kernel may leave out.
    filter: Option<Filters>,
}

/// What the kernel may leave out for a policy, if it may leave out something.
pub(super) fn filters(config: &Config, policy: &Policy) -> Option<Filters> {
    config.kernel_filter.then(|| Filters::new(policy))
}

impl Running {
    fn new(config: Config, checksum: String, policy: &Policy, filter: Option<Filters>) -> Self {
        let rules = policy.rules().iter();
        let digests = rules
            .clone()
            .map(|rule| (rule.name.clone(), (rule.digest, rule.priority)));
        Self {
            config,
            checksum,
            rules: digests.collect(),
            enabled: rules.filter(|rule| rule.enabled).count() as u64,
            reads: Reads {
                environment: policy.environment_names().clone(),
                host_names: policy.host_names().map(Arc::from).collect(),
            },
            wish: wish(policy),
            filter,
        }
    }
}

impl Reads {
    fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.environment.whole |= other.environment.whole;
        let names = other.environment.names.iter().cloned();
        all.environment.names.extend(names);
        let known = |name: &&Arc<str>| !self.host_names.contains(name);
        all.host_names
            .extend(other.host_names.iter().filter(known).cloned());
        all
    }
}

impl Reloader {
    /// For a daemon that runs `policy`, with its [`filters`]; also where its steps arrive.
    pub(super) fn new(
        reload: Reload,
        config: &Config,
        (policy, filter): (&Policy, Option<Filters>),
        hostname: Arc<str>,
        metrics: Arc<Metrics>,
        probes: Arc<Mutex<Probes>>,
    ) -> (Self, mpsc::Receiver<Step>) {
        let Reload {
            source,
            checksum,
            asked,
        } = reload;
        let (sender, steps) = mpsc::channel(1);
        metrics.policy.loaded(&checksum, clock::epoch_seconds());
        let reloader = Self {
            source,
            asked,
            steps: sender,
            probes,
            metrics,
            hostname,
            started: config.clone(),
            running: Running::new(config.clone(), checksum, policy, filter),
        };
        (reloader, steps)
    }

    /// Leaves out in the kernel what the rules in force cannot match.
    pub(super) fn narrow(&self) {
        let mut probes = self.lock();
        if let Err(error) = probes.filter(self.running.filter.as_ref()) {
            tracing::warn!(%error, "more is recorded than the rules need");
        }
    }

    /// Serves requests until the daemon ends. Those that come while rules are loaded are answered
    /// together, by the load after.
    pub(super) fn run(mut self) {
        while let Some(first) = self.asked.blocking_recv() {
            let mut all = vec![first];
            while let Ok(more) = self.asked.try_recv() {
                all.push(more);
            }
            supervisor::reloading();
            let answer = self.reload();
            supervisor::reloaded();
            let Ok(answer) = answer else { return };
            self.tell(&all, &answer);
            for asked in all {
                if let Some(sender) = asked.answer {
                    // Who does not wait any more needs no answer.
                    let _gone = sender.send(answer.clone());
                }
            }
        }
    }

    fn reload(&mut self) -> Result<Answer, Ended> {
        match (self.source.0)() {
            Ok(candidate) => self.take(candidate),
            Err(refusal) => Ok(self.refused(refusal)),
        }
    }

    /// Puts rules in force, unless they are.
    fn take(&mut self, candidate: Candidate) -> Result<Answer, Ended> {
        let Candidate {
            config,
            policy,
            checksum,
            warnings,
        } = candidate;
        let needs_restart = needs_restart(&self.started, &config);
        let known = &self.running;
        if checksum == known.checksum
            && config.rules == known.config.rules
            && config.accept_blind == known.config.accept_blind
            && config.kernel_filter == known.config.kernel_filter
        {
            let answer = self.answer(Outcome::Unchanged);
            return Ok(Answer {
                needs_restart,
                ..answer
            });
        }
        let filter = filters(&config, &policy);
        let new = Running::new(config, checksum, &policy, filter);
        Judge::warn(&policy);
        let judge = Judge::new(policy, &self.metrics, Arc::clone(&self.hostname));
        if let Err(refusal) = self.change(&new, Box::new(judge))? {
            self.forget(&new, &self.running);
            return Ok(self.refused(refusal));
        }
        let old = std::mem::replace(&mut self.running, new);
        self.forget(&old, &self.running);
        self.metrics.rules_loaded.set(self.running.enabled as i64);
        let checksum = &self.running.checksum;
        self.metrics.policy.loaded(checksum, clock::epoch_seconds());
        let (old, new) = (&old.rules, &self.running.rules);
        let changed = |name: &&String| {
            old.get(*name)
                .zip(new.get(*name))
                .is_some_and(|(a, b)| a != b)
        };
        Ok(Answer {
            added: new
                .keys()
                .filter(|name| !old.contains_key(*name))
                .cloned()
                .collect(),
            removed: old
                .keys()
                .filter(|name| !new.contains_key(*name))
                .cloned()
                .collect(),
            changed: new.keys().filter(changed).cloned().collect(),
            needs_restart,
            diagnostics: warnings,
            ..self.answer(Outcome::Loaded)
        })
    }

    /// Widens, swaps and narrows. Nobody else touches the programs meanwhile.
    fn change(&self, new: &Running, judge: Box<Judge>) -> Result<Result<(), Refusal>, Ended> {
        let mut probes = self.lock();
        let (sender, done) = oneshot::channel();
        let both = self.running.reads.union(&new.reads);
        self.step(Step::Prepare(both, sender))?;
        done.blocking_recv().map_err(|_| Ended)?;
        let widened = probes
            .filter(None)
            .and_then(|()| probes.widen(&new.wish))
            .map_err(|error| error.to_string())
            .and_then(|()| served(&probes, new));
        if let Err(text) = widened {
            narrow(&mut probes, &self.running);
            self.step(Step::Settle(self.running.reads.clone()))?;
            let cause = Cause::Machine;
            return Ok(Err(Refusal { cause, text }));
        }
        let (sender, done) = oneshot::channel();
        self.step(Step::Swap(Box::new(Swap {
            judge,
            at: clock::boot_ns(),
            changed: self.running.wish.changed(&new.wish),
            served: new.wish.kinds.clone(),
            done: sender,
        })))?;
        // A big policy takes a while to be dropped: not the loop's.
        drop(done.blocking_recv().map_err(|_| Ended)?);
        narrow(&mut probes, new);
        self.step(Step::Settle(new.reads.clone()))?;
        Ok(Ok(()))
    }

    fn step(&self, step: Step) -> Result<(), Ended> {
        self.steps.blocking_send(step).map_err(|_| Ended)
    }

    /// A thread that panicked in between left them as they are.
    fn lock(&self) -> MutexGuard<'_, Probes> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the figures of rules that are gone.
    fn forget(&self, gone: &Running, kept: &Running) {
        for (name, (_, priority)) in &gone.rules {
            match kept.rules.get(name) {
                Some((_, same)) if same == priority => {}
                Some(_) => self.metrics.forget_matches(name, *priority),
                None => self.metrics.forget_rule(name, *priority),
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Answer {
        Answer {
            cause: Some(refusal.cause),
            diagnostics: refusal.text,
            ..self.answer(Outcome::Refused)
        }
    }

    fn answer(&self, result: Outcome) -> Answer {
        Answer {
            result,
            cause: None,
            rules: self.running.enabled,
            checksum: self.running.checksum.clone(),
            added: Names::default(),
            removed: Names::default(),
            changed: Names::default(),
            needs_restart: Vec::new(),
            diagnostics: String::new(),
        }
    }

    /// To the log and to metrics.
    fn tell(&self, asked: &[Asked], answer: &Answer) {
        self.metrics.policy.result(answer.result);
        let mut by: Vec<&str> = asked.iter().map(|asked| asked.by.name()).collect();
        by.dedup();
        let by = by.join(", ");
        let text = answer.text();
        let text = text.trim_end();
        match answer.result {
            Outcome::Loaded => tracing::info!(by, "rules were loaded anew\n{text}"),
            Outcome::Unchanged => tracing::debug!(by, "rules were loaded anew\n{text}"),
            Outcome::Refused => tracing::error!(by, "new rules were not loaded\n{text}"),
        }
    }
}

/// Whether something serves all kinds that rules need.
fn served(probes: &Probes, new: &Running) -> Result<(), String> {
    let blind = blind(&new.wish.kinds, probes);
    if blind.is_empty() || new.config.accept_blind {
        return Ok(());
    }
    Err(super::WatchError::Blind { kinds: blind }.to_string())
}

/// What fails leaves more than needed in the kernel, which costs time but no alert.
fn narrow(probes: &mut Probes, rules: &Running) {
    let done = probes.narrow(&rules.wish);
    if let Err(error) = done.and_then(|()| probes.filter(rules.filter.as_ref())) {
        tracing::warn!(%error, "more is recorded than the rules need");
    }
}

/// Keys of the configuration that the daemon has to be started anew for.
fn needs_restart(started: &Config, now: &Config) -> Vec<String> {
    let section = |key: &str| key.split('.').next().unwrap_or(key).to_owned();
    let keys = started.differences(now).into_iter();
    keys.filter(|key| !RELOADED.contains(&section(key).as_str()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reload_does_not_take_over_is_told() {
        let parse = |text: &str| Config::parse("m.yaml".as_ref(), text).unwrap();
        let started = parse("");
        for (text, keys) in [
            (
                "policies: [a]\npriority: notice\nlimits: {regexes: 3}\n",
                &[][..],
            ),
            (
                "alerts: {file: /a}\nrules: [{disable: {tag: a}}]\nhostname: h\n",
                &["alerts.file", "hostname"],
            ),
        ] {
            assert_eq!(needs_restart(&started, &parse(text)), keys);
        }
    }

    #[test]
    fn both_sets_of_rules_find_what_they_read() {
        let reads = |environment: &str, name: &str| Reads {
            environment: EnvironmentNames {
                names: [environment.to_owned()].into(),
                whole: environment.is_empty(),
            },
            host_names: vec![name.into(), "common".into()],
        };
        let both = reads("A", "a.example").union(&reads("", "b.example"));
        assert!(both.environment.whole && both.environment.names.contains("A"));
        let names: Vec<&str> = both.host_names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["a.example", "common", "b.example"]);
    }
}

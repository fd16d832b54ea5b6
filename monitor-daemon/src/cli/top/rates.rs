//! From two looks at a daemon to what is shown: rates over the time between them, sorted.

use std::collections::HashMap;

use serde::Serialize;

use super::Sort;
use crate::metrics::{ContainerLoad, OutputLoad, RecordLoss, RuleLoad, Top};

/// What is shown, as JSON or on the screen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) version: String,
    pub(super) pid: u32,
    /// Seconds between the looks.
    pub(super) seconds: f64,
    pub(super) events: u64,
    pub(super) events_per_second: f64,
    /// Of one core.
    pub(super) cpu_percent: f64,
    pub(super) rss_bytes: u64,
    pub(super) docker_up: bool,
    pub(super) waiting_bytes: u64,
    pub(super) log_bytes: u64,
    pub(super) log_failing: bool,
    pub(super) containers: Vec<Container>,
    pub(super) rules: Vec<Rule>,
    pub(super) outputs: Vec<OutputLoad>,
    /// Records and alerts that were lost; empty without a loss.
    pub(super) losses: Vec<Loss>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) events: u64,
    pub(super) per_second: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Rule {
    #[serde(rename = "rule")]
    pub(super) name: String,
    pub(super) priority: String,
    pub(super) matches: u64,
    pub(super) matches_per_second: f64,
    /// Of one core.
    pub(super) cost_percent: f64,
    /// Of evaluation since the daemon's start.
    pub(super) seconds: f64,
}

/// Something lost for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Loss {
    /// `records` or `alerts`.
    pub(super) what: &'static str,
    /// Kind of the records, or output of the alerts.
    pub(super) of: String,
    pub(super) reason: String,
    pub(super) count: u64,
    pub(super) per_second: f64,
}

impl Rates {
    /// Rates from `before` to `now`; none when those are two different daemons.
    pub(super) fn between(before: &Top, now: &Top, sort: Sort) -> Self {
        let before = if before.pid == now.pid { before } else { now };
        let seconds = now.taken_ms.saturating_sub(before.taken_ms).max(1) as f64 / 1e3;
        let span = Span { seconds };
        Self {
            version: now.version.clone(),
            pid: now.pid,
            seconds,
            events: now.records,
            events_per_second: span.rate(before.records, now.records),
            cpu_percent: span.percent(before.cpu_seconds, now.cpu_seconds),
            rss_bytes: now.rss_bytes,
            docker_up: now.docker_up,
            waiting_bytes: now.waiting_bytes,
            log_bytes: now.log_bytes,
            log_failing: now.log_failing,
            containers: containers(before, now, span),
            rules: rules(before, now, span, sort),
            outputs: now.outputs.clone(),
            losses: losses(before, now, span),
        }
    }
}

/// The time between two looks.
#[derive(Clone, Copy)]
struct Span {
    seconds: f64,
}

impl Span {
    fn rate(self, before: u64, now: u64) -> f64 {
        rounded(now.saturating_sub(before) as f64 / self.seconds)
    }

    fn percent(self, before: f64, now: f64) -> f64 {
        rounded((now - before).max(0.0) * 100.0 / self.seconds)
    }
}

/// More places are noise.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

fn containers(before: &Top, now: &Top, span: Span) -> Vec<Container> {
    let before: HashMap<&str, u64> = before
        .containers
        .iter()
        .map(|load| (&*load.id, load.events))
        .collect();
    let shown = |load: &ContainerLoad| Container {
        id: load.id.clone(),
        name: load.name.clone(),
        image: load.image.clone(),
        events: load.events,
        per_second: span.rate(before.get(&*load.id).copied().unwrap_or(0), load.events),
    };
    let mut containers: Vec<Container> = now.containers.iter().map(shown).collect();
    containers.sort_by(|a, b| {
        b.per_second
            .total_cmp(&a.per_second)
            .then_with(|| b.events.cmp(&a.events))
            .then_with(|| a.id.cmp(&b.id))
    });
    containers
}

fn rules(before: &Top, now: &Top, span: Span, sort: Sort) -> Vec<Rule> {
    let before: HashMap<&str, &RuleLoad> = before
        .rules
        .iter()
        .map(|load| (&*load.rule, load))
        .collect();
    let shown = |load: &RuleLoad| {
        let before = before.get(&*load.rule);
        let matches = before.map_or(0, |before| before.matches);
        let seconds = before.map_or(0.0, |before| before.seconds);
        Rule {
            name: load.rule.clone(),
            priority: load.priority.clone(),
            matches: load.matches,
            matches_per_second: span.rate(matches, load.matches),
            cost_percent: span.percent(seconds, load.seconds),
            seconds: load.seconds,
        }
    };
    let mut rules: Vec<Rule> = now.rules.iter().map(shown).collect();
    rules.sort_by(|a, b| {
        let cost = || {
            let now = b.cost_percent.total_cmp(&a.cost_percent);
            now.then_with(|| b.seconds.total_cmp(&a.seconds))
        };
        let matches = || b.matches.cmp(&a.matches);
        let order = match sort {
            Sort::Cost => cost().then_with(matches),
            Sort::Matches => matches().then_with(cost),
        };
        order.then_with(|| a.name.cmp(&b.name))
    });
    rules
}

fn losses(before: &Top, now: &Top, span: Span) -> Vec<Loss> {
    let of_records = |top: &Top| -> Vec<(&'static str, String, String, u64)> {
        let of = |loss: &RecordLoss| {
            let (kind, reason) = (loss.kind.clone(), loss.reason.clone());
            ("records", kind, reason, loss.count)
        };
        top.records_lost.iter().map(of).collect()
    };
    let of_alerts = |top: &Top| -> Vec<(&'static str, String, String, u64)> {
        let of = |load: &OutputLoad| {
            let output = load.output.clone();
            let lost = load.lost.clone().into_iter();
            lost.map(move |(reason, count)| ("alerts", output.clone(), reason, count))
                .collect::<Vec<_>>()
        };
        top.outputs.iter().flat_map(of).collect()
    };
    let all = |top: &Top| [of_records(top), of_alerts(top)].concat();
    let before: HashMap<_, u64> = all(before)
        .into_iter()
        .map(|(what, of, reason, count)| ((what, of, reason), count))
        .collect();
    let now = all(now).into_iter().map(|(what, of, reason, count)| {
        let key = (what, of, reason);
        let earlier = before.get(&key).copied().unwrap_or(0);
        let (what, of, reason) = key;
        Loss {
            what,
            of,
            reason,
            count,
            per_second: span.rate(earlier, count),
        }
    });
    now.collect()
}

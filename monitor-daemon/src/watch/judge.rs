//! From an event to alerts: evaluates the policy and builds what it prints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use monitor_common::Kind;
use monitor_policy::{
    EventSet, EventType, Field, FieldArg, FieldRef, Match, Matching, Policy, Rule, Scratch,
};
use prometheus::local::LocalHistogram;
use prometheus::{Counter, IntCounter};

use crate::event::{Event, Renamed, event_types, recorded_for, told};
use crate::metrics::Metrics;
use crate::output::Alert;

mod sampler;

use sampler::Sampler;

/// One event in about this many is timed rule by rule: a clock read a rule is more than many rules
/// cost.
const SAMPLE: u32 = 128;

/// What all alerts of a rule share.
#[derive(Debug)]
struct Card {
    matches: IntCounter,
    seconds: Counter,
    /// Time sampled since it was last published, ns.
    sampled: u64,
    rule: Arc<str>,
    source: Arc<str>,
    tags: Arc<[String]>,
}

/// The loaded policy with its counters.
#[derive(Debug)]
pub(super) struct Judge {
    policy: Policy,
    scratch: Scratch,
    /// Kinds of records that some rule needs.
    kinds: Vec<Kind>,
    cards: Vec<Card>,
    evaluation: LocalHistogram,
    sampler: Sampler,
    hostname: Arc<str>,
}

impl Judge {
    /// Judges by `policy`.
    pub(super) fn new(policy: Policy, metrics: &Metrics, hostname: Arc<str>) -> Self {
        let card = |rule: &Rule| Card {
            matches: metrics.rule(&rule.name, rule.priority),
            seconds: metrics.rule_seconds(&rule.name),
            sampled: 0,
            rule: rule.name.as_str().into(),
            source: rule.source.as_str().into(),
            tags: rule.tags.iter().cloned().collect(),
        };
        let cards = policy.rules().iter().map(card).collect();
        let evaluation = metrics.evaluation.local();
        Self {
            kinds: Self::kinds(&policy),
            policy,
            scratch: Scratch::default(),
            cards,
            evaluation,
            sampler: Sampler::new(SAMPLE),
            hostname,
        }
    }

    /// Whether some rule needs records of this kind.
    pub(super) fn needs(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether some rule can match this event.
    pub(super) fn wants(&self, event: EventType) -> bool {
        self.policy.event_types().contains(event)
    }

    /// Kinds of records that some rule needs.
    pub(super) fn kinds(policy: &Policy) -> Vec<Kind> {
        let wanted = Self::named(policy);
        let needs = |kind: &Kind| {
            let mut types = event_types(*kind)
                .iter()
                .filter_map(|name| EventType::from_name(name));
            types.any(|event| wanted.contains(event))
        };
        Kind::ALL.into_iter().filter(needs).collect()
    }

    /// System calls whose events some rule needs, by their x86-64 numbers.
    pub(super) fn calls(policy: &Policy) -> Vec<u32> {
        Self::named(policy)
            .iter()
            .filter_map(EventType::syscall)
            .collect()
    }

    /// Event types that some rule needs.
    fn named(policy: &Policy) -> EventSet {
        let enabled = policy.rules().iter().filter(|rule| rule.enabled);
        enabled.fold(EventSet::EMPTY, |all, rule| {
            all.union(&recorded_for(&rule.event_types))
        })
    }

    /// Rules that this build records no event for, so that they can never match.
    pub(super) fn silent_rules(policy: &Policy) -> Vec<&str> {
        let names = Kind::ALL.into_iter().flat_map(event_types);
        let recorded: Vec<EventType> = names
            .filter_map(|name| EventType::from_name(name))
            .collect();
        let silent = |rule: &&Rule| {
            rule.enabled
                && !recorded
                    .iter()
                    .any(|event| rule.event_types.contains(*event))
        };
        policy
            .rules()
            .iter()
            .filter(silent)
            .map(|rule| &*rule.name)
            .collect()
    }

    /// Parameters that a rule tests and that no event has which it can match, with the rule's name.
    pub(super) fn untold(policy: &Policy) -> Vec<(&str, &str)> {
        let enabled = policy.rules().iter().enumerate();
        let enabled = enabled.filter(|(_, rule)| rule.enabled);
        enabled
            .flat_map(|(index, rule)| {
                let missing = |name: &&str| !rule.event_types.iter().any(|event| told(event, name));
                let names = policy.tested(index).filter_map(parameter);
                names.filter(missing).map(|name| (&*rule.name, name))
            })
            .collect()
    }

    /// Says in the log which rules cannot do what they are there for.
    pub(super) fn warn(policy: &Policy) {
        for rule in Self::silent_rules(policy) {
            tracing::warn!(rule, "this build records no event that the rule can match");
        }
        for (rule, parameter) in Self::untold(policy) {
            tracing::warn!(
                rule,
                parameter,
                "no event that the rule can match has this parameter here: the test never holds"
            );
        }
    }

    /// Tries the rules on an event and hands each alert to `emit`.
    pub(super) fn judge(&mut self, event: &Event<'_>, mut emit: impl FnMut(Alert)) {
        let started = Instant::now();
        let matches: Vec<Match> = if self.sampler.hit() {
            self.evaluate_timed(event, started)
        } else {
            self.policy.evaluate(event, &mut self.scratch).to_vec()
        };
        let renamed = event.renamed();
        let others = renamed
            .as_ref()
            .map(|renamed| self.further(renamed, &matches));
        self.evaluation.observe(started.elapsed().as_secs_f64());
        let time = event.time();
        for found in matches {
            self.alert(event, time, found).map(&mut emit);
        }
        if let Some((renamed, others)) = renamed.zip(others) {
            for found in others {
                self.alert(&renamed, time, found).map(&mut emit);
            }
        }
    }

    /// What matches by the name that a process gave itself, beside what does by its exec's.
    fn further(&mut self, event: &Renamed<'_, '_>, before: &[Match]) -> Vec<Match> {
        if !before.is_empty() && self.policy.matching() == Matching::First {
            return Vec::new();
        }
        let is_new = |found: &&Match| before.iter().all(|known| known.rule != found.rule);
        let found = self.policy.evaluate(event, &mut self.scratch).iter();
        found.filter(is_new).copied().collect()
    }

    /// Tries the rules on an event that is nobody's: no match counts.
    pub(super) fn try_out(&mut self, event: &Event<'_>) {
        let _matches = self.policy.evaluate(event, &mut self.scratch);
    }

    /// Publishes what was measured since the last call.
    pub(super) fn flush(&mut self) {
        self.evaluation.flush();
        for card in &mut self.cards {
            let sampled = Duration::from_nanos(std::mem::take(&mut card.sampled));
            card.seconds
                .inc_by(sampled.as_secs_f64() * f64::from(SAMPLE));
        }
    }

    /// Evaluates, and notes for each rule how long it took.
    fn evaluate_timed(&mut self, event: &Event<'_>, started: Instant) -> Vec<Match> {
        let cards = &mut self.cards;
        let mut before = started;
        let tested = |rule: usize| {
            let now = Instant::now();
            if let Some(card) = cards.get_mut(rule) {
                card.sampled += now.duration_since(before).as_nanos() as u64;
            }
            before = now;
        };
        self.policy
            .evaluate_observed(event, &mut self.scratch, tested)
            .to_vec()
    }

    fn alert(&self, event: &dyn monitor_policy::Event, time: u64, found: Match) -> Option<Alert> {
        let card = self.cards.get(found.rule)?;
        let rule = self.policy.rules().get(found.rule)?;
        card.matches.inc();
        let output = self.policy.format(found.rule, event, found.view);
        Some(Alert {
            rule: Arc::clone(&card.rule),
            priority: rule.priority,
            source: Arc::clone(&card.source),
            tags: Arc::clone(&card.tags),
            time,
            hostname: Arc::clone(&self.hostname),
            output: output.text,
            fields: output.fields,
        })
    }
}

/// The name of a parameter that a field reads.
fn parameter(field: &FieldRef) -> Option<&str> {
    match (field.field, &field.arg) {
        (Field::EvtArg | Field::EvtRawarg, Some(FieldArg::Key(name))) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
impl Judge {
    /// Names of its rules.
    pub(super) fn rules(&self) -> Vec<&str> {
        let rules = self.policy.rules().iter();
        rules.map(|rule| &*rule.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use monitor_policy::{Options, RulesFile};

    use super::*;

    fn policy(condition: &str) -> Policy {
        let text = format!(
            "- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n"
        );
        let file = RulesFile {
            name: "r.yaml",
            text: &text,
        };
        let loaded = monitor_policy::load(&[file], &Options::default());
        loaded.policy.unwrap()
    }

    #[test]
    fn what_a_rule_names_is_recorded_or_said_never_to_come() {
        let names = EventType::all().map(EventType::name);
        for name in names.chain(["pread64", "pwrite64", "prlimit64"]) {
            let event = EventType::from_name(name).unwrap();
            let policy = policy(&format!("evt.type = {name}"));
            assert!(policy.event_types().contains(event), "{name}");
            let warned = Judge::silent_rules(&policy) == ["r"];
            assert_eq!(Judge::kinds(&policy).is_empty(), warned, "{name}");
            if let Some(number) = event.syscall().filter(|_| !warned) {
                assert!(Judge::calls(&policy).contains(&number), "{name}");
            }
        }
    }

    #[test]
    fn a_parameter_that_no_event_of_a_rule_has_is_told() {
        let told = policy("evt.type in (openat, kill) and (evt.arg.sig = 9 or evt.arg.len = 3)");
        assert_eq!(Judge::untold(&told), [("r", "len")]);
        let any = policy("evt.rawarg.pid_fd = 3 or evt.args contains x");
        assert_eq!(Judge::untold(&any), []);
    }

    #[test]
    fn only_what_a_rule_names_is_recorded() {
        let named = policy("evt.type in (reboot, getcpu, dup3)");
        let kinds = [Kind::Dup, Kind::Call, Kind::Control];
        assert_eq!(Judge::kinds(&named), kinds);
        assert_eq!(Judge::calls(&named), [169, 292, 309]);
        for unnamed in ["proc.name = x", "not evt.type in (open, reboot)"] {
            let unnamed = policy(unnamed);
            let kinds = Judge::kinds(&unnamed);
            assert!(kinds.contains(&Kind::Accept) && kinds.contains(&Kind::Open));
            assert!(!kinds.contains(&Kind::Call) && !kinds.contains(&Kind::Control));
            let calls = Judge::calls(&unnamed);
            assert!(calls.contains(&257) && !calls.contains(&0) && !calls.contains(&169));
        }
    }
}

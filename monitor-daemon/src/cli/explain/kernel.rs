//! What the kernel decides of the rules, so that events which none can match go no further.

use std::cmp::Reverse;
use std::fmt::Write as _;

use monitor_common::Kind;
use monitor_common::filter::CLAUSES;
use monitor_policy::{Clause, EventSet, EventType, Field, Policy, ValueSet};
use serde_json::{Value, json};

use crate::event::{event_types, recorded_for};
use crate::filter::{Filter, Filters};
use crate::output::visible;

/// Longest clause that is shown, in characters.
const MAX_SHOWN: usize = 400;

/// Fields that tell of a path.
const PATHS: [Field; 4] = [
    Field::FdName,
    Field::FdDirectory,
    Field::FdFilename,
    Field::FdNameraw,
];

/// What the kernel decides of the events of one kind.
struct Decided<'f> {
    kind: Kind,
    clauses: &'f [Clause],
    /// Clauses whose paths are not looked at, for want of room.
    widened: u64,
}

impl<'f> Decided<'f> {
    /// `None` where all are recorded.
    fn of(filters: &'f Filters, kind: Kind) -> Option<Self> {
        let (clauses, widened) = match kind {
            Kind::Open => {
                let filter = filters.opens.as_ref()?;
                (&filter.clauses, filter.widened)
            }
            kind => (&filters.numbers.as_ref()?.of(kind)?.clauses, 0),
        };
        Some(Self {
            kind,
            clauses,
            widened,
        })
    }
}

/// For each kind of events that rules need, what the kernel decides.
pub(super) fn text(policy: &Policy) -> String {
    let filters = Filters::new(policy);
    let mut text = String::new();
    for kind in kinds(policy) {
        match Decided::of(&filters, kind) {
            Some(decided) => text.push_str(&of_kind(policy, &decided)),
            None => {
                let _ = writeln!(text, "{}: all are recorded", kind.name());
            }
        }
    }
    text
}

/// The same for programs.
pub(super) fn json(policy: &Policy) -> Value {
    let filters = Filters::new(policy);
    let of = |kind: Kind| {
        let decided = Decided::of(&filters, kind);
        let clauses = decided.as_ref().map(|decided| {
            let each = decided.clauses.iter();
            each.map(|clause| json!({"clause": told(kind, clause), "rules": rules(policy, clause)}))
                .collect::<Value>()
        });
        let widest = decided.as_ref().and_then(widest);
        json!({
            "kind": kind.name(),
            "clauses": clauses,
            "families": decided.as_ref().map(families),
            "widest": widest.map(|(_, clause)| rules(policy, clause)),
        })
    };
    kinds(policy).map(of).collect()
}

/// What the kernel decides for one rule, by kind of event.
pub(super) fn of_rule(policy: &Policy, rule: usize) -> String {
    let types = policy.rules().get(rule).map(|rule| rule.event_types);
    let types = types.unwrap_or(EventSet::EMPTY);
    let filters = Filters::new(policy);
    let mut text = String::new();
    for kind in Kind::ALL.into_iter().filter(|kind| is_of(*kind, &types)) {
        let name = kind.name();
        let Some(decided) = Decided::of(&filters, kind) else {
            let _ = writeln!(text, "kernel: {name}: all are recorded");
            continue;
        };
        let _ = writeln!(
            text,
            "kernel: {name}: recorded with one of these, with what other rules need:"
        );
        let own = decided.clauses.iter();
        for clause in own.filter(|clause| clause.rules.contains(&rule)) {
            let _ = writeln!(text, "    {}", shown(kind, clause));
        }
    }
    text
}

/// Kinds that enabled rules need.
fn kinds(policy: &Policy) -> impl Iterator<Item = Kind> {
    let enabled = policy.rules().iter().filter(|rule| rule.enabled);
    let wanted = enabled.fold(EventSet::EMPTY, |all, rule| {
        all.union(&recorded_for(&rule.event_types))
    });
    Kind::ALL
        .into_iter()
        .filter(move |kind| is_of(*kind, &wanted))
}

/// Whether events of a kind can be of one of these types.
fn is_of(kind: Kind, wanted: &EventSet) -> bool {
    let mut types = event_types(kind).iter();
    types.any(|name| EventType::from_name(name).is_some_and(|event| wanted.contains(event)))
}

fn of_kind(policy: &Policy, decided: &Decided<'_>) -> String {
    let mut text = format!(
        "{}: {} of at most {CLAUSES} clauses, one of which has to hold\n    decided in the kernel: {}\n",
        decided.kind.name(),
        decided.clauses.len(),
        families(decided).join(", "),
    );
    if let Some((number, clause)) = widest(decided) {
        let _ = writeln!(
            text,
            "    most is recorded for clause {}: {}",
            number + 1,
            whose(policy, clause)
        );
    }
    for (number, clause) in decided.clauses.iter().enumerate() {
        let widened = if decided.widened >> number & 1 == 1 {
            " (whatever the path: there is no room for its texts)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {:>2}. {}{widened}\n      {}",
            number + 1,
            shown(decided.kind, clause),
            whose(policy, clause)
        );
    }
    text
}

/// The fields that the kernel decides by.
fn families(decided: &Decided<'_>) -> Vec<String> {
    let fields = decided
        .clauses
        .iter()
        .flat_map(|clause| clause.fields.keys());
    let of_open = decided.kind == Kind::Open;
    let fields = fields.filter(|field| !of_open || field.field != Field::EvtType);
    let mut names: Vec<String> = fields.map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The clause by which most events are recorded, as far as it can be told: that which asks least.
fn widest<'f>(decided: &Decided<'f>) -> Option<(usize, &'f Clause)> {
    let clauses = decided.clauses.iter().enumerate();
    clauses.max_by_key(|(number, clause)| {
        let of = |field: &Field| clause.of(*field).map(|allowed| &*allowed.set);
        let named = |set: &&ValueSet| matches!(set, ValueSet::Having(_));
        let told = PATHS.iter().filter_map(of).filter(named).count();
        let texts = PATHS.iter().filter_map(of).map(|set| match set {
            ValueSet::Having(keys) => keys.len(),
            _ => 0,
        });
        let asked = if decided.kind == Kind::Open {
            told
        } else {
            clause.fields.len()
        };
        (
            decided.widened >> number & 1,
            Reverse(asked),
            texts.sum::<usize>(),
        )
    })
}

fn rules<'p>(policy: &'p Policy, clause: &Clause) -> Vec<&'p str> {
    let rules = clause.rules.iter();
    rules
        .filter_map(|rule| policy.rules().get(*rule))
        .map(|rule| rule.name.as_str())
        .collect()
}

/// The rules that a clause is for.
fn whose(policy: &Policy, clause: &Clause) -> String {
    if clause.rules.is_empty() {
        return "the daemon itself, which looks after its kernel programs".to_owned();
    }
    rules(policy, clause).join(", ")
}

/// A clause; of opens by name, which is nearly all, it is not said that they are.
fn told(kind: Kind, clause: &Clause) -> String {
    let mut told = clause.clone();
    if kind == Kind::Open && !Filter::is_by_handle(clause) {
        told.fields.remove(&Field::EvtType.into());
    }
    told.to_string()
}

fn shown(kind: Kind, clause: &Clause) -> String {
    let text = told(kind, clause);
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    visible(&shown)
}

#[cfg(test)]
mod tests {
    use monitor_policy::{Options, RulesFile};

    use super::*;

    #[test]
    fn kinds_clauses_and_who_widens_are_told() {
        let text = "\
- rule: keys
  desc: d
  priority: INFO
  output: o
  condition: evt.type = openat and evt.is_open_read = true and fd.name endswith .pem
- rule: dev
  desc: d
  priority: INFO
  output: o
  condition: evt.type = openat and evt.is_open_write = true and not fd.name startswith /dev
- rule: ran
  desc: d
  priority: INFO
  output: o
  condition: evt.type = execve and proc.name = x
- rule: inside
  desc: d
  priority: INFO
  output: o
  condition: >
    evt.type = connect and fd.rnet = 10.0.0.0/8 and fd.rport = 443 and container.id != host
    and proc.name = x
";
        let file = RulesFile {
            name: "r.yaml",
            text,
        };
        let policy = monitor_policy::load(&[file], &Options::default())
            .policy
            .unwrap();
        let told = super::text(&policy);
        for line in [
            "exec: all are recorded",
            "open: 2 of at most 64 clauses, one of which has to hold",
            "    decided in the kernel: evt.is_open_read, evt.is_open_write, fd.name",
            "evt.is_open_read 1 and fd.name *.pem",
            "connect: 1 of at most 64 clauses, one of which has to hold",
            "    decided in the kernel: container.id, fd.rnet, fd.rport",
        ] {
            assert!(told.contains(line), "{told}");
        }
        let widest = told.lines().find(|line| line.contains("most is recorded"));
        assert!(widest.is_some_and(|line| line.ends_with(": dev")), "{told}");
        assert_eq!(
            of_rule(&policy, 0),
            "kernel: open: recorded with one of these, with what other rules need:\n    \
             evt.is_open_read 1 and fd.name *.pem\n"
        );
        assert_eq!(of_rule(&policy, 2), "kernel: exec: all are recorded\n");
        assert_eq!(
            of_rule(&policy, 3),
            "kernel: connect: recorded with one of these, with what other rules need:\n    \
             fd.rport 443 and fd.rnet 10.0.0.0-10.255.255.255 and container.id not host\n"
        );
    }
}

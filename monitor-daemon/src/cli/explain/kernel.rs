//! What the kernel decides of the rules, so that events which none can match go no further.

use std::cmp::Reverse;
use std::fmt::Write as _;

use monitor_common::Kind;
use monitor_common::filter::CLAUSES;
use monitor_policy::{Clause, EventSet, EventType, Field, Policy, ValueSet};
use serde_json::{Value, json};

use crate::event::{event_types, recorded_for};
use crate::filter::Filter;
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

/// For each kind of events that rules need, what the kernel decides.
pub(super) fn text(policy: &Policy) -> String {
    let mut text = String::new();
    for kind in kinds(policy) {
        match (kind, Filter::of_opens(policy)) {
            (Kind::Open, Some(filter)) => text.push_str(&of_filter(policy, &filter)),
            _ => {
                let _ = writeln!(text, "{}: all are recorded", kind.name());
            }
        }
    }
    text
}

/// The same for programs.
pub(super) fn json(policy: &Policy) -> Value {
    let of = |kind: Kind| {
        let filter = Some(kind).filter(|kind| *kind == Kind::Open);
        let filter = filter.and_then(|_| Filter::of_opens(policy));
        let clauses = filter.as_ref().map(|filter| {
            let each = filter.clauses.iter();
            each.map(|clause| json!({"clause": told(clause), "rules": rules(policy, clause)}))
                .collect::<Value>()
        });
        let widest = filter.as_ref().and_then(widest);
        json!({
            "kind": kind.name(),
            "clauses": clauses,
            "families": filter.as_ref().map(families),
            "widest": widest.map(|(_, clause)| rules(policy, clause)),
        })
    };
    kinds(policy).map(of).collect()
}

/// What the kernel decides for one rule.
pub(super) fn of_rule(policy: &Policy, rule: usize) -> String {
    let types = policy.rules().get(rule).map(|rule| rule.event_types);
    let opens = event_types(Kind::Open).iter();
    let mut opens = opens.filter_map(|name| EventType::from_name(name));
    if !types.is_some_and(|types| opens.any(|event| types.contains(event))) {
        return "kernel: decides by the type of the event only\n".to_owned();
    }
    let filter = Filter::of_opens(policy);
    let clauses = filter.iter().flat_map(|filter| &filter.clauses);
    let mut text = String::new();
    for clause in clauses.filter(|clause| clause.rules.contains(&rule)) {
        let _ = writeln!(text, "    {}", shown(clause));
    }
    if text.is_empty() {
        return "kernel: records all opens\n".to_owned();
    }
    format!("kernel: records opens with one of these, with what other rules need:\n{text}")
}

/// Kinds that enabled rules need.
fn kinds(policy: &Policy) -> impl Iterator<Item = Kind> {
    let enabled = policy.rules().iter().filter(|rule| rule.enabled);
    let wanted = enabled.fold(EventSet::EMPTY, |all, rule| {
        all.union(&recorded_for(&rule.event_types))
    });
    Kind::ALL.into_iter().filter(move |kind| {
        let mut types = event_types(*kind).iter();
        types.any(|name| EventType::from_name(name).is_some_and(|event| wanted.contains(event)))
    })
}

fn of_filter(policy: &Policy, filter: &Filter) -> String {
    let mut text = format!(
        "open: {} of at most {CLAUSES} clauses, one of which has to hold\n    decided in the kernel: {}\n",
        filter.clauses.len(),
        families(filter).join(", "),
    );
    if let Some((number, clause)) = widest(filter) {
        let _ = writeln!(
            text,
            "    most is recorded for clause {}: {}",
            number + 1,
            rules(policy, clause).join(", ")
        );
    }
    for (number, clause) in filter.clauses.iter().enumerate() {
        let widened = if filter.widened >> number & 1 == 1 {
            " (whatever the path: there is no room for its texts)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {:>2}. {}{widened}\n      {}",
            number + 1,
            shown(clause),
            rules(policy, clause).join(", ")
        );
    }
    text
}

/// The fields that the kernel decides by.
fn families(filter: &Filter) -> Vec<String> {
    let fields = filter
        .clauses
        .iter()
        .flat_map(|clause| clause.fields.keys());
    let fields = fields.filter(|field| field.field != Field::EvtType);
    let mut names: Vec<String> = fields.map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The clause by which most opens are recorded, as far as it can be told from its texts.
fn widest(filter: &Filter) -> Option<(usize, &Clause)> {
    let clauses = filter.clauses.iter().enumerate();
    clauses.max_by_key(|(number, clause)| {
        let of = |field: &Field| clause.of(*field).map(|allowed| &*allowed.set);
        let named = |set: &&ValueSet| matches!(set, ValueSet::Having(_));
        let told = PATHS.iter().filter_map(of).filter(named).count();
        let texts = PATHS.iter().filter_map(of).map(|set| match set {
            ValueSet::Having(keys) => keys.len(),
            _ => 0,
        });
        (
            filter.widened >> number & 1,
            Reverse(told),
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

/// A clause; of opens by name, which is nearly all, it is not said that they are.
fn told(clause: &Clause) -> String {
    let mut told = clause.clone();
    if !Filter::is_by_handle(clause) {
        told.fields.remove(&Field::EvtType.into());
    }
    told.to_string()
}

fn shown(clause: &Clause) -> String {
    let text = told(clause);
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
        ] {
            assert!(told.contains(line), "{told}");
        }
        let widest = told.lines().find(|line| line.contains("most is recorded"));
        assert!(widest.is_some_and(|line| line.ends_with(": dev")), "{told}");
        assert_eq!(
            of_rule(&policy, 0),
            "kernel: records opens with one of these, with what other rules need:\n    \
             evt.is_open_read 1 and fd.name *.pem\n"
        );
        assert!(of_rule(&policy, 2).ends_with("by the type of the event only\n"));
    }
}

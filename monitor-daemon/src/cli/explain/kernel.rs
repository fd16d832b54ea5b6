//! What the kernel decides of the rules, so that events which none can match go no further.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use monitor_common::Kind;
use monitor_common::filter::CLAUSES;
use monitor_policy::{Clause, EventSet, EventType, FieldRef, Policy};
use serde_json::{Value, json};

use super::clause::Taken;
use crate::event::{event_types, recorded_for};
use crate::filter::{Filter, Filters, OfKind};
use crate::output::visible;

/// Longest set of values that is shown of many clauses, in characters.
const MAX_SHOWN: usize = 160;
/// The same, of those of one rule.
const MAX_OWN: usize = 2000;

/// What becomes of events of a kind.
#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Filtered,
    /// Nothing would be left out.
    OfNoUse,
    NoRoom,
}

/// What the kernel decides of the events of one kind.
struct Decided {
    kind: Kind,
    state: State,
    clauses: Vec<Clause>,
    /// Clauses whose paths are not looked at, or whose numbers are one with others, for want of room.
    widened: u64,
}

impl Decided {
    /// `None` where there is no filter for the kind, or no rule.
    fn of(policy: &Policy, filters: &Filters, kind: Kind) -> Option<Self> {
        let numbers = filters.numbers.as_ref();
        let (state, clauses, widened) = if kind == Kind::Open {
            let filter = Filter::new(policy)?;
            let state = match filters.opens {
                Some(_) => State::Filtered,
                None => State::OfNoUse,
            };
            (state, filter.clauses, filter.widened)
        } else {
            let filter = OfKind::new(policy, kind)?;
            let state = match numbers {
                Some(numbers) if numbers.of(kind).is_some() => State::Filtered,
                Some(numbers) if numbers.no_room.contains(&kind) => State::NoRoom,
                _ => State::OfNoUse,
            };
            (state, filter.clauses, filter.widened)
        };
        Some(Self {
            kind,
            state,
            clauses,
            widened,
        })
    }

    fn is_widened(&self, number: usize) -> bool {
        self.widened >> number & 1 == 1
    }

    fn taken<'c>(&self, number: usize, clause: &'c Clause) -> Taken<'c> {
        let no_texts = self.kind == Kind::Open && self.is_widened(number);
        Taken::new(self.kind, clause, no_texts)
    }

    /// All clauses, with their numbers.
    fn each(&self) -> impl Iterator<Item = (usize, &Clause, Taken<'_>)> {
        let clauses = self.clauses.iter().enumerate();
        clauses.map(|(number, clause)| (number, clause, self.taken(number, clause)))
    }

    /// The fields that the kernel decides by.
    fn families(&self) -> Vec<String> {
        let names: BTreeSet<String> = self
            .each()
            .flat_map(|(.., taken)| taken.families().collect::<Vec<_>>())
            .collect();
        names.into_iter().collect()
    }

    /// The clause by which most events are recorded, as far as sizes of sets tell it.
    fn widest(&self) -> Option<(usize, &Clause)> {
        let widest = self.each().max_by_key(|(number, clause, taken)| {
            (Reverse(taken.bits()), clause.rules.len(), Reverse(*number))
        });
        widest.map(|(number, clause, _)| (number, clause))
    }

    /// The rules of which a clause asks less than they do, for want of room.
    fn crowded(&self) -> BTreeSet<usize> {
        let clauses = self.clauses.iter().enumerate();
        let crowded = clauses.filter(|(number, clause)| clause.widened || self.is_widened(*number));
        crowded
            .flat_map(|(_, clause)| clause.rules.iter().copied())
            .collect()
    }

    /// In what a clause is wider than its rules, for want of room.
    fn wider(&self, number: usize, clause: &Clause) -> String {
        let texts = self.is_widened(number).then_some(match self.kind {
            Kind::Open => "the texts of its paths are not looked at",
            _ => "some of its numbers are one with others",
        });
        let merged = clause.widened.then_some("it asks less than its rules");
        let all: Vec<&str> = merged.into_iter().chain(texts).collect();
        if all.is_empty() {
            return String::new();
        }
        format!(" (for want of room {})", all.join(", "))
    }
}

/// For each kind of events that rules need, what the kernel decides.
pub(super) fn text(policy: &Policy) -> String {
    let filters = Filters::new(policy);
    let each = kinds(policy).map(|kind| match Decided::of(policy, &filters, kind) {
        Some(decided) => of_kind(policy, &decided),
        None => format!("{}: all are recorded\n", kind.name()),
    });
    each.collect()
}

/// The same for programs.
pub(super) fn json(policy: &Policy) -> Value {
    let filters = Filters::new(policy);
    let of = |kind: Kind| {
        let decided = Decided::of(policy, &filters, kind);
        let decided = decided.filter(|decided| decided.state == State::Filtered);
        let clauses = decided.as_ref().map(|decided| {
            let each = decided.each().map(|(number, clause, taken)| {
                json!({
                    "clause": taken.text(usize::MAX),
                    "rules": rules(policy, clause),
                    "widened": clause.widened || decided.is_widened(number),
                })
            });
            each.collect::<Value>()
        });
        let widest = decided.as_ref().and_then(Decided::widest);
        json!({
            "kind": kind.name(),
            "clauses": clauses,
            "families": decided.as_ref().map(Decided::families),
            "widest": widest.map(|(_, clause)| rules(policy, clause)),
        })
    };
    kinds(policy).map(of).collect()
}

/// What the kernel decides for one rule that looks at these fields, by kind of event; `alone` is the
/// policy with no other rule enabled.
pub(super) fn of_rule(
    policy: &Policy,
    alone: &Policy,
    rule: usize,
    fields: &[&FieldRef],
) -> String {
    let types = policy.rules().get(rule).map(|rule| rule.event_types);
    let types = types.unwrap_or(EventSet::EMPTY);
    let (filters, own) = (Filters::new(policy), Filters::new(alone));
    let mut text = String::new();
    for kind in Kind::ALL.into_iter().filter(|kind| is_of(*kind, &types)) {
        let name = kind.name();
        let Some(own) = Decided::of(alone, &own, kind) else {
            let _ = writeln!(text, "kernel: {name}: all are recorded");
            continue;
        };
        let whole = Decided::of(policy, &filters, kind);
        let enabled = policy.rules().get(rule).is_some_and(|rule| rule.enabled);
        let head = match whole.as_ref().map(|whole| whole.state) {
            _ if !enabled => "the rule is disabled, and would need",
            Some(State::Filtered) => "recorded if one of these holds, or what other rules need",
            Some(State::NoRoom) => "all are recorded, for want of room; this rule needs",
            _ if own.state == State::Filtered => {
                "all are recorded, for other rules need them; this one needs"
            }
            _ => "all are recorded; this rule needs",
        };
        let _ = writeln!(text, "kernel: {name}: {head}:");
        let of_rule = |clause: &&Clause| clause.rules.contains(&rule);
        let mut left: Vec<&FieldRef> = fields.to_vec();
        for (number, clause, taken) in own.each().filter(|(_, clause, _)| of_rule(clause)) {
            let (shown, wider) = (taken.text(MAX_OWN), own.wider(number, clause));
            let _ = writeln!(text, "    {shown}{wider}");
            left.retain(|field| !taken.decides(clause, field));
        }
        if !left.is_empty() {
            let left: Vec<String> = left
                .iter()
                .map(|field| visible(&field.to_string()))
                .collect();
            let left = left.join(", ");
            let _ = writeln!(text, "    left to user space, wholly or in part: {left}");
        }
        for (number, clause, taken) in whole.iter().flat_map(Decided::each) {
            if clause.widened && of_rule(&clause) {
                let others = clause.rules.len() - 1;
                let shown = taken.text(MAX_SHOWN);
                let number = number + 1;
                let _ = writeln!(
                    text,
                    "    for want of room it is in clause {number}, with {others} other rules: {shown}"
                );
            }
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

fn of_kind(policy: &Policy, decided: &Decided) -> String {
    let name = decided.kind.name();
    let mut text = match decided.state {
        State::Filtered => format!(
            "{name}: {} of at most {CLAUSES} clauses, one of which has to hold\n    decided in the kernel: {}\n",
            decided.clauses.len(),
            decided.families().join(", "),
        ),
        State::NoRoom => format!("{name}: all are recorded, for want of room\n"),
        State::OfNoUse => format!("{name}: all are recorded\n"),
    };
    if let Some((number, clause)) = decided.widest() {
        let _ = writeln!(
            text,
            "    most is recorded, by the sizes of its sets, for clause {}: {}",
            number + 1,
            whose(policy, clause)
        );
    }
    let crowded = decided.crowded().len();
    if crowded > 0 {
        let _ = writeln!(
            text,
            "    for want of room less is asked for {crowded} rules than they do"
        );
    }
    for (number, clause, taken) in decided.each() {
        let _ = writeln!(
            text,
            "  {:>2}. {}{}\n      {}",
            number + 1,
            taken.text(MAX_SHOWN),
            decided.wider(number, clause),
            whose(policy, clause)
        );
    }
    text
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

#[cfg(test)]
mod tests {
    use monitor_policy::{Field, Options, RulesFile, Switch};

    use super::*;

    fn policy(text: &str, switches: Vec<Switch>) -> Policy {
        let file = RulesFile {
            name: "r.yaml",
            text,
        };
        let options = Options {
            switches,
            ..Options::default()
        };
        monitor_policy::load(&[file], &options).policy.unwrap()
    }

    fn rule(name: &str, condition: &str) -> String {
        format!(
            "- rule: {name}\n  desc: d\n  priority: INFO\n  output: o\n  condition: {condition}\n"
        )
    }

    /// What is told of the rule of this number, which looks at these fields.
    fn of_one(text: &str, number: usize, fields: &[Field]) -> String {
        let all = policy(text, Vec::new());
        let name = &all.rules()[number].name;
        let alone = policy(text, super::super::only(name, &Options::default()).switches);
        let fields: Vec<FieldRef> = fields.iter().map(|field| (*field).into()).collect();
        of_rule(&all, &alone, number, &fields.iter().collect::<Vec<_>>())
    }

    fn line<'t>(told: &'t str, beginning: &str) -> &'t str {
        let mut lines = told.lines().map(str::trim_start);
        lines
            .find(|line| line.starts_with(beginning))
            .unwrap_or_else(|| panic!("no `{beginning}` in\n{told}"))
    }

    #[test]
    fn kinds_clauses_and_who_widens_are_told() {
        let text = [
            rule(
                "keys",
                "evt.type = openat and evt.is_open_read = true and fd.name endswith .pem",
            ),
            rule(
                "dev",
                "evt.type = openat and evt.is_open_write = true and not fd.name startswith /dev",
            ),
            rule("ran", "evt.type = execve and proc.name = x"),
            rule(
                "inside",
                "evt.type = connect and fd.rnet = 10.0.0.0/8 and fd.rport = 443
    and container.id != host and proc.name = x",
            ),
        ]
        .concat();
        let told = super::text(&policy(&text, Vec::new()));
        for line in [
            "exec: all are recorded",
            "open: 2 of at most 64 clauses, one of which has to hold",
            "    decided in the kernel: evt.is_open_read, evt.is_open_write, fd.name",
            "evt.is_open_read 1 and fd.name *.pem",
            "connect: 1 of at most 64 clauses, one of which has to hold",
            "    decided in the kernel: fd.rnet, fd.rport, whose it is (host or container)",
        ] {
            assert!(told.contains(line), "{told}");
        }
        assert!(line(&told, "most is recorded").ends_with(": dev"), "{told}");
        assert!(!told.contains("for want of room"), "{told}");
        assert_eq!(
            of_one(&text, 0, &[Field::EvtType, Field::FdName]),
            "kernel: open: recorded if one of these holds, or what other rules need:\n    \
             evt.is_open_read 1 and fd.name *.pem\n"
        );
        assert_eq!(of_one(&text, 2, &[]), "kernel: exec: all are recorded\n");
        let fields = [Field::FdRport, Field::ContainerId, Field::ProcName];
        assert_eq!(
            of_one(&text, 3, &fields),
            "kernel: connect: recorded if one of these holds, or what other rules need:\n    \
             in a container and fd.rport 443 and fd.rnet 10.0.0.0-10.255.255.255\n    \
             left to user space, wholly or in part: proc.name\n"
        );
    }

    #[test]
    fn whose_events_are_is_told_first_and_no_image() {
        let paths: Vec<String> = (0..40).map(|at| format!("/opt/of/somebody/{at}")).collect();
        let paths = paths.join(", ");
        let asked = format!(
            "evt.type = openat and evt.res = SUCCESS and fd.name in ({paths}) and container.id != host"
        );
        let text = [
            rule(
                "image",
                &format!("{asked} and container.image.repository != docker"),
            ),
            rule(
                "tag",
                "evt.type = connect and fd.rport = 1 and container.image.tag != x",
            ),
        ]
        .concat();
        let told = super::text(&policy(&text, Vec::new()));
        let clause = line(&told, "1. in a container and it succeeds and fd.name /opt");
        assert!(clause.len() < 250 && clause.contains(" more"), "{clause}");
        assert!(told.contains("  1. fd.rport 1\n"), "{told}");
        assert!(!told.contains("container.image"), "{told}");
        let fields = [
            Field::EvtRes,
            Field::FdName,
            Field::ContainerId,
            Field::ContainerImageRepository,
        ];
        let told = of_one(&text, 0, &fields);
        assert!(told.contains("/opt/of/somebody/39"), "{told}");
        let left = line(&told, "left to user space");
        assert!(left.ends_with(": container.image.repository"), "{left}");
    }

    #[test]
    fn what_has_no_room_is_told() {
        let ports = |at: usize| {
            let condition = format!("evt.type = connect and fd.rport in ({}, {})", at, at + 500);
            // Each of its own user, so that no two are the same.
            rule(
                &format!("r{at}"),
                &format!("{condition} and user.uid = {at}"),
            )
        };
        let text: String = (1..=80).map(ports).collect();
        let all = policy(&text, Vec::new());
        let told = super::text(&all);
        let widest = line(&told, "most is recorded");
        assert!(widest.contains(", r"), "of several rules: {widest}");
        assert!(line(&told, "for want of room less is asked for").contains(" rules"));
        assert!(
            told.contains("some of its numbers are one with others"),
            "{told}"
        );
        let number = widest.rsplit(", r").next().unwrap();
        let number: usize = number.parse().unwrap();
        let told = of_one(&text, number - 1, &[Field::FdRport, Field::UserUid]);
        let own = format!(
            "    user.uid {number} and fd.rport {number} | {}\n",
            number + 500
        );
        assert!(told.contains(&own), "{told}");
        assert!(
            told.contains("    for want of room it is in clause "),
            "{told}"
        );
    }

    #[test]
    fn a_rule_that_needs_all_is_told() {
        let text = [
            rule("all", "evt.type = connect and proc.name = x"),
            rule("one", "evt.type = connect and fd.rport = 1"),
        ]
        .concat();
        let told = super::text(&policy(&text, Vec::new()));
        assert!(told.starts_with("connect: all are recorded\n"), "{told}");
        assert!(line(&told, "most is recorded").contains(": all"), "{told}");
        let told = of_one(&text, 1, &[Field::FdRport]);
        assert!(told.contains("for other rules need them"), "{told}");
    }
}

//! A compiled policy.

use std::collections::{BTreeSet, HashSet};

use crate::compile::{Compiled, CompiledRule};
use crate::event::{Event, View};
use crate::event_type::{EventSet, EventType};
use crate::field::{Field, FieldArg, FieldRef};
use crate::load::Matching;
use crate::output::Template;
use crate::priority::Priority;
use crate::program::{Frame, Graph, Memory, NodeId, host_names};

/// Rules, compiled together.
#[derive(Debug)]
pub struct Policy {
    graph: Graph,
    rules: Vec<Rule>,
    /// Condition and output of each rule.
    bodies: Vec<Body>,
    /// For each event type the enabled rules that can match it.
    by_event: Vec<Box<[usize]>>,
    event_types: EventSet,
    matching: Matching,
    fields: HashSet<FieldRef>,
    environment: EnvironmentNames,
    host_names: BTreeSet<String>,
}

#[derive(Debug)]
struct Body {
    condition: NodeId,
    output: Template,
}

/// A rule of a policy.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its unique name.
    pub name: String,
    /// What it detects.
    pub description: String,
    /// How severe a match is.
    pub priority: Priority,
    /// Its tags, sorted.
    pub tags: BTreeSet<String>,
    /// The event source it reads: `syscall`.
    pub source: String,
    /// Whether it is tested.
    pub enabled: bool,
    /// The event types that it can match.
    pub event_types: EventSet,
    /// Whether a match asks for a capture, and for how many ms; 0 for the default.
    pub capture_ms: Option<u32>,
}

/// The environment variables that a policy reads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnvironmentNames {
    /// Names used as `proc.env[NAME]` or `proc.aenv[NAME]`.
    pub names: BTreeSet<String>,
    /// Whether some rule reads the whole environment.
    pub whole: bool,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Match {
    /// Its index in [`Policy::rules`].
    pub rule: usize,
    /// The view in which it matched.
    pub view: View,
}

/// What a match prints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The rule's output with values in place of fields; no time, no priority.
    pub text: String,
    /// The fields of the output as written, each once, with typed values; a missing one is null.
    pub fields: Vec<(String, serde_json::Value)>,
}

/// Memory that evaluations reuse. One a thread that evaluates; fits any policy.
#[derive(Debug, Default)]
pub struct Scratch {
    matches: Vec<Match>,
    passed: Memory,
    resolved: Memory,
}

impl Policy {
    pub(crate) fn new(compiled: Compiled, matching: Matching) -> Self {
        let Compiled {
            graph,
            rules: compiled,
            findings: _,
        } = compiled;
        let enabled = || compiled.iter().filter(|rule| rule.definition.enabled);
        let by_event = EventType::all()
            .map(|event| rules_for(event, &compiled))
            .collect();
        let event_types = enabled().fold(EventSet::EMPTY, |set, rule| set.union(&rule.event_types));
        let mut fields = HashSet::new();
        for rule in enabled() {
            let tested = rule
                .fields
                .iter()
                .filter_map(|index| graph.fields().get(*index));
            fields.extend(tested.chain(rule.output.fields()).cloned());
        }
        let environment = EnvironmentNames::of(&fields);
        let host_names = host_names(&graph, enabled().map(|rule| rule.condition));
        let (rules, bodies) = compiled.into_iter().map(split).unzip();
        Self {
            graph,
            rules,
            bodies,
            by_event,
            event_types,
            matching,
            fields,
            environment,
            host_names,
        }
    }

    /// All rules that were loaded, in the order in which they are tested; disabled ones too.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The event types that some enabled rule can match.
    pub fn event_types(&self) -> &EventSet {
        &self.event_types
    }

    /// The fields with their arguments that conditions and outputs of enabled rules use.
    pub fn fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.fields.iter()
    }

    /// Whether a condition or an output of an enabled rule uses a field.
    pub fn uses_field(&self, field: Field) -> bool {
        self.fields.iter().any(|used| used.field == field)
    }

    /// The environment variables that enabled rules read.
    pub fn environment_names(&self) -> &EnvironmentNames {
        &self.environment
    }

    /// The names that enabled rules compare addresses with, to be resolved by the caller.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.host_names.iter().map(String::as_str)
    }

    /// The rules that match an event, in the order of the rules; with first-match at most one.
    pub fn evaluate<'s>(&self, event: &dyn Event, scratch: &'s mut Scratch) -> &'s [Match] {
        self.evaluate_observed(event, scratch, |_| {})
    }

    /// Like [`Self::evaluate`], and says of each rule that it was tested as soon as it was: for
    /// whoever measures what rules cost. What rules share is tested with the first that needs it.
    pub fn evaluate_observed<'s>(
        &self,
        event: &dyn Event,
        scratch: &'s mut Scratch,
        mut tested: impl FnMut(usize),
    ) -> &'s [Match] {
        let Scratch {
            matches,
            passed,
            resolved,
        } = scratch;
        matches.clear();
        let rules = self
            .by_event
            .get(event.event_type().index())
            .map_or(&[][..], AsRef::as_ref);
        if rules.is_empty() {
            return matches;
        }
        let frame = |view, memory| Frame::new(&self.graph, event, view, memory);
        let also = event.has_resolved_view();
        let mut frames = [
            Some((View::Passed, frame(View::Passed, passed))),
            also.then(|| (View::Resolved, frame(View::Resolved, resolved))),
        ];
        for rule in rules {
            let Some(body) = self.bodies.get(*rule) else {
                continue;
            };
            let view = frames
                .iter_mut()
                .flatten()
                .find_map(|(view, frame)| frame.holds(body.condition).then_some(*view));
            tested(*rule);
            if let Some(view) = view {
                matches.push(Match { rule: *rule, view });
                if self.matching == Matching::First {
                    break;
                }
            }
        }
        for (_, frame) in frames.into_iter().flatten() {
            frame.end();
        }
        matches
    }

    /// What the match of a rule prints for an event; empty for a rule that is not there.
    pub fn format(&self, rule: usize, event: &dyn Event, view: View) -> Output {
        let Some(body) = self.bodies.get(rule) else {
            return Output::default();
        };
        Output {
            text: body.output.text(event, view),
            fields: body.output.values(event, view),
        }
    }
}

fn rules_for(event: EventType, rules: &[CompiledRule]) -> Box<[usize]> {
    let fits = |rule: &CompiledRule| rule.definition.enabled && rule.event_types.contains(event);
    rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| fits(rule))
        .map(|(index, _)| index)
        .collect()
}

fn split(rule: CompiledRule) -> (Rule, Body) {
    let CompiledRule {
        definition,
        condition,
        event_types,
        output,
        fields: _,
    } = rule;
    let public = Rule {
        name: definition.item.name,
        description: definition.desc,
        priority: definition.priority,
        tags: definition.tags,
        source: definition.source,
        enabled: definition.enabled,
        event_types,
        capture_ms: definition
            .capture
            .wanted
            .then_some(definition.capture.duration),
    };
    (public, Body { condition, output })
}

impl EnvironmentNames {
    fn of(fields: &HashSet<FieldRef>) -> Self {
        let mut names = Self::default();
        let used = fields
            .iter()
            .filter(|used| matches!(used.field, Field::ProcEnv | Field::ProcAenv));
        for field in used {
            match &field.arg {
                Some(FieldArg::Key(name)) => {
                    names.names.insert(name.to_string());
                }
                Some(FieldArg::Index(_)) | None => names.whole = true,
            }
        }
        names
    }
}

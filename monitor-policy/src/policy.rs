//! A compiled policy.

use std::collections::{BTreeSet, HashSet};

use crate::compile::{Compiled, CompiledRule};
use crate::event::{Event, View};
use crate::event_type::EventSet;
use crate::field::{Field, FieldArg, FieldRef};
use crate::index::{Candidate, Class, Classes, Matchers, RuleSet};
use crate::load::Matching;
use crate::necessary::{Clause, Search};
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
    matchers: Matchers,
    classes: Classes,
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
    /// What the condition tests.
    fields: HashSet<usize>,
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
    /// Tells rules apart: the same in two loads by one build when the rule means the same in both,
    /// with its macros, lists and exceptions and with what is appended to its output.
    pub digest: u64,
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
    /// One a view, in the order of [`View::ALL`].
    readings: [Reading; View::ALL.len()],
}

/// What an evaluation of one view reuses.
#[derive(Debug, Default)]
struct Reading {
    memory: Memory,
    /// The rules to try.
    rules: RuleSet,
}

impl Policy {
    pub(crate) fn new(compiled: Compiled, matching: Matching) -> Self {
        let Compiled {
            graph,
            rules: compiled,
            findings: _,
        } = compiled;
        let enabled = || compiled.iter().filter(|rule| rule.definition.enabled);
        let matchers = Matchers::new(&graph);
        let classes = Classes::new(&graph, &matchers, &candidates(&compiled));
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
            matchers,
            classes,
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

    /// How many rules may match an event.
    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// The fields with their arguments that conditions and outputs of enabled rules use.
    pub fn fields(&self) -> impl Iterator<Item = &FieldRef> {
        self.fields.iter()
    }

    /// The fields with their arguments that the condition of a rule tests; none for an index out
    /// of bounds.
    pub fn tested(&self, rule: usize) -> impl Iterator<Item = &FieldRef> {
        let indices = self.bodies.get(rule).map(|body| &body.fields);
        let known = self.graph.fields();
        let tested = indices.into_iter().flatten();
        tested.filter_map(|index| known.get(*index))
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

    /// Clauses of which one has to hold for an event of these types to match any enabled rule; at
    /// most `budget`, and none when no rule can match.
    ///
    /// `answers` says whether a field can be answered. It is asked with `true` for a test that has to hold, which a missing value does
    /// not, and with `false` for one that must not.
    pub fn necessary(
        &self,
        types: &EventSet,
        answers: &dyn Fn(&FieldRef, bool) -> bool,
        budget: usize,
    ) -> Vec<Clause> {
        let enabled = self.rules.iter().zip(&self.bodies).enumerate();
        let conditions = enabled
            .filter(|(_, (rule, _))| {
                rule.enabled && !rule.event_types.intersection(types).is_empty()
            })
            .map(|(index, (_, body))| (index, body.condition));
        Search::new(&self.graph, *types, answers, budget).of_rules(conditions)
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
        let Scratch { matches, readings } = scratch;
        matches.clear();
        let Some(class) = self.classes.of(event.event_type()) else {
            return matches;
        };
        let [passed, resolved, original] = readings;
        let read = |view, reading| Some(self.read(event, class, view, reading));
        let other = |view, reading| event.has_view(view).then(|| read(view, reading))?;
        let mut reads = [
            read(View::Passed, passed),
            other(View::Resolved, resolved),
            other(View::Original, original),
        ];
        let mut next = 0;
        while let Some(position) = next_position(&reads, next) {
            next = position + 1;
            let Some((rule, condition)) = class.rule(position) else {
                continue;
            };
            let view = reads.iter_mut().flatten().find_map(|read| {
                let holds = read.rules.contains(position) && read.frame.holds(condition);
                holds.then_some(read.view)
            });
            tested(rule);
            let Some(view) = view else { continue };
            matches.push(Match { rule, view });
            if self.matching == Matching::First {
                break;
            }
        }
        for read in reads.into_iter().flatten() {
            read.frame.end();
        }
        matches
    }

    /// Looks which rules an event can match in a view.
    fn read<'s, 'e>(
        &'s self,
        event: &'e dyn Event,
        class: &Class,
        view: View,
        reading: &'s mut Reading,
    ) -> Read<'s, 'e> {
        let Reading { memory, rules } = reading;
        let mut frame = Frame::with_matchers(&self.graph, &self.matchers, event, view, memory);
        rules.copy_from(class.always());
        for look in class.looks() {
            frame.look_all(look, |test| class.add(test, rules));
        }
        Read { view, frame, rules }
    }

    /// Whether an event fulfils the condition of a rule in a view, whatever the other rules say;
    /// also of a disabled rule. Tries it plainly: made for checks, not for every event.
    pub fn holds(&self, rule: usize, event: &dyn Event, view: View) -> bool {
        self.bodies.get(rule).is_some_and(|body| {
            Frame::new(&self.graph, event, view, &mut Memory::default()).holds(body.condition)
        })
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

/// One view of an event, with the rules to try.
struct Read<'s, 'e> {
    view: View,
    frame: Frame<'s, 'e>,
    rules: &'s RuleSet,
}

/// The first position from `start` at which some view has a rule to try.
fn next_position(reads: &[Option<Read<'_, '_>>], start: usize) -> Option<usize> {
    let sets = reads.iter().flatten().map(|read| read.rules);
    RuleSet::next_in_any(&sets, start)
}

fn candidates(rules: &[CompiledRule]) -> Vec<Candidate> {
    let candidate = |(index, rule): (usize, &CompiledRule)| Candidate {
        rule: index,
        condition: rule.condition,
        event_types: rule.event_types,
    };
    let enabled = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.definition.enabled);
    enabled.map(candidate).collect()
}

fn split(rule: CompiledRule) -> (Rule, Body) {
    let CompiledRule {
        definition,
        condition,
        event_types,
        output,
        fields,
        digest,
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
        digest,
    };
    let body = Body {
        condition,
        output,
        fields,
    };
    (public, body)
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

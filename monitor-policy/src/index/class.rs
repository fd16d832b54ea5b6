//! Event types with the same rules, and which of these rules an event can match.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;

use super::look::Look;
use super::matchers::{MatcherId, Matchers};
use super::needs::{Need, Needs};
use super::rule_set::RuleSet;
use crate::event_type::{EventSet, EventType};
use crate::program::{Graph, NodeId};

/// A rule as the index sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Its index in the policy.
    pub(crate) rule: usize,
    /// Its condition.
    pub(crate) condition: NodeId,
    /// The event types that it can match.
    pub(crate) event_types: EventSet,
}

/// For each event type its class.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    classes: Vec<Class>,
    /// By [`EventType::index`].
    of_event: Vec<Option<u16>>,
}

/// The rules of some event types.
#[derive(Debug)]
pub(crate) struct Class {
    /// Those that can match: index in the policy and condition, in the order of the policy.
    rules: Box<[(usize, NodeId)]>,
    /// Those of which nothing is known that they need.
    always: RuleSet,
    /// What answers the tests that the others need.
    looks: Box<[Look]>,
    /// For each such test where the positions of the rules that need it are.
    places: HashMap<NodeId, Range<u32>, FixedState>,
    positions: Vec<u32>,
}

impl Classes {
    /// Classes for the rules of a policy, in its order.
    pub(crate) fn new(graph: &Graph, matchers: &Matchers, rules: &[Candidate]) -> Self {
        let mut types: Vec<(Vec<u32>, EventSet)> = Vec::new();
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut of_event = Vec::with_capacity(EventType::count());
        for event in EventType::all() {
            let fits = |index: &usize| {
                rules
                    .get(*index)
                    .is_some_and(|rule| rule.event_types.contains(event))
            };
            let positions: Vec<u32> = (0..rules.len())
                .filter(fits)
                .map(|position| position as u32)
                .collect();
            if positions.is_empty() {
                of_event.push(None);
                continue;
            }
            let index = *known.entry(positions).or_insert_with_key(|positions| {
                types.push((positions.clone(), EventSet::EMPTY));
                types.len() - 1
            });
            if let Some((_, set)) = types.get_mut(index) {
                set.insert(event);
            }
            of_event.push(Some(index as u16));
        }
        let class = |(positions, set): &(Vec<u32>, EventSet)| {
            let rules = positions
                .iter()
                .filter_map(|position| rules.get(*position as usize));
            Class::new(graph, matchers, &rules.copied().collect::<Vec<_>>(), *set)
        };
        Self {
            classes: types.iter().map(class).collect(),
            of_event,
        }
    }

    /// The class of an event type; `None` when no rule can match.
    pub(crate) fn of(&self, event: EventType) -> Option<&Class> {
        let index = (*self.of_event.get(event.index())?)?;
        self.classes.get(usize::from(index))
    }
}

impl Class {
    fn new(graph: &Graph, matchers: &Matchers, rules: &[Candidate], event_types: EventSet) -> Self {
        let needs = settled_needs(graph, matchers, rules, event_types);
        let mut class = Self {
            rules: Box::default(),
            always: RuleSet::with_len(rules.len()),
            looks: Box::default(),
            places: HashMap::default(),
            positions: Vec::new(),
        };
        let mut kept = Vec::new();
        let mut of_test: HashMap<NodeId, Vec<u32>> = HashMap::new();
        for (rule, need) in rules.iter().zip(needs) {
            let position = kept.len();
            match need {
                Need::Never => continue,
                Need::Unknown => class.always.insert(position),
                Need::OneOf(tests) => {
                    for leaf in &tests.leaves {
                        of_test.entry(*leaf).or_default().push(position as u32);
                    }
                }
            }
            kept.push((rule.rule, rule.condition));
        }
        for (test, positions) in of_test {
            let start = class.positions.len() as u32;
            class.positions.extend(positions);
            let place = start..class.positions.len() as u32;
            class.places.insert(test, place);
        }
        class.rules = kept.into();
        let tests: Vec<NodeId> = class.places.keys().copied().collect();
        class.looks = Look::all(graph, matchers, &tests);
        class
    }

    /// The index in the policy and the condition of a rule, by its position.
    pub(crate) fn rule(&self, position: usize) -> Option<(usize, NodeId)> {
        self.rules.get(position).copied()
    }

    /// What to look at in each event.
    pub(crate) fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// The rules to try whatever the matchers find.
    pub(crate) fn always(&self) -> &RuleSet {
        &self.always
    }

    /// Adds the rules that are to be tried because a test holds.
    pub(crate) fn add(&self, test: NodeId, rules: &mut RuleSet) {
        if let Some(place) = self.places.get(&test) {
            let positions = self.positions.get(place.start as usize..place.end as usize);
            for position in positions.unwrap_or_default() {
                rules.insert(*position as usize);
            }
        }
    }
}

/// What each rule needs. In a second round fields that some rule depends on are free for the
/// others, so that few fields are looked at.
fn settled_needs(
    graph: &Graph,
    matchers: &Matchers,
    rules: &[Candidate],
    event_types: EventSet,
) -> Vec<Need> {
    let mut free = Vec::new();
    let mut needs = Vec::new();
    for _ in 0..2 {
        let mut finder = Needs::new(graph, matchers, event_types, free);
        needs = rules.iter().map(|rule| finder.of(rule.condition)).collect();
        free = common_matchers(&needs);
    }
    needs
}

/// The matchers that an eighth of the rules depend on, and at least two.
fn common_matchers(needs: &[Need]) -> Vec<MatcherId> {
    let mut uses: HashMap<MatcherId, usize> = HashMap::new();
    for need in needs {
        if let Need::OneOf(tests) = need {
            for matcher in &tests.matchers {
                *uses.entry(*matcher).or_default() += 1;
            }
        }
    }
    let enough = (needs.len() / 8).max(2);
    uses.into_iter()
        .filter(|(_, count)| *count >= enough)
        .map(|(matcher, _)| matcher)
        .collect()
}

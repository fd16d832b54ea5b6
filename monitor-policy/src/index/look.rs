//! What the events of a class are looked at for.

use std::collections::BTreeMap;

use super::keys::{self, Keys};
use super::matchers::{MatcherId, Matchers};
use super::sieve::Sieve;
use crate::program::{Graph, Node, NodeId};

/// Most keys that a sieve is made for; of more it would refuse little.
const MAX_SIEVED: usize = 1000;

/// A field that every event is looked at for.
#[derive(Debug)]
pub(crate) struct Look {
    /// Its index.
    pub(crate) slot: usize,
    /// What looks at its value, unless that is refused before.
    pub(crate) matchers: Vec<(MatcherId, Option<Sieve>)>,
}

impl Look {
    /// The fields that tests look at, each once.
    pub(super) fn all(graph: &Graph, matchers: &Matchers, tests: &[NodeId]) -> Box<[Self]> {
        let mut of_matcher: BTreeMap<MatcherId, Vec<NodeId>> = BTreeMap::new();
        for test in tests {
            if let Some(matcher) = matchers.of(*test) {
                of_matcher.entry(matcher).or_default().push(*test);
            }
        }
        let mut looks: Vec<Self> = Vec::new();
        for (matcher, tests) in of_matcher {
            let Some(slot) = matchers.slot(matcher) else {
                continue;
            };
            let one = (matcher, sieve(graph, &tests));
            match looks.iter_mut().find(|look| look.slot == slot) {
                Some(look) => look.matchers.push(one),
                None => looks.push(Self {
                    slot,
                    matchers: vec![one],
                }),
            }
        }
        looks.into()
    }
}

/// A sieve for what the tests of a matcher look for.
fn sieve(graph: &Graph, tests: &[NodeId]) -> Option<Sieve> {
    let mut texts: Vec<Box<[u8]>> = Vec::new();
    let mut kind = None;
    for test in tests {
        let Some(Node::Leaf(leaf)) = graph.nodes().get(*test) else {
            return None;
        };
        if texts.len() + keys::count(leaf) > MAX_SIEVED {
            return None;
        }
        for key in Keys::of(leaf)?.wanted {
            kind = Some(key.kind());
            texts.push(key.text()?.into());
        }
    }
    Sieve::new(kind?, &texts)
}

//! All tests of one field that look for one kind of key, answered by one look at its value.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use foldhash::fast::FixedState;

use super::affixes::{Affixes, End};
use super::keys::{Key, KeyKind};
use super::substrings::Substrings;
use crate::event::Value;
use crate::matching::Case;
use crate::program::NodeId;

/// Most bytes of substrings that are looked for together; tests beyond are made one by one.
const MAX_SUBSTRING_BYTES: usize = 1 << 20;

/// The keys of tests while they are collected, each with its tests.
pub(super) type KeyMap = BTreeMap<Key, Vec<NodeId>>;

/// Where the tests with a key are among all of a matcher.
type Place = Range<u32>;

/// Looks for the keys of tests.
#[derive(Debug)]
pub(super) struct Matcher {
    lookup: Lookup,
    /// The tests, by key.
    leaves: Vec<NodeId>,
}

#[derive(Debug)]
enum Lookup {
    Exact(HashMap<Box<[u8]>, Place, FixedState>),
    Affixes(Affixes<Place>),
    /// With the place of each substring.
    Inside(Box<Substrings>, Vec<Place>),
    /// Sorted; mostly there are a few.
    Numbers(Vec<(i128, Place)>),
}

/// A value that these tests were not made for: they have to be made one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unfit;

impl Matcher {
    /// A matcher of keys of one kind; those of another are left out. Tests whose keys are too much
    /// for it are added to `refused`.
    pub(super) fn new(kind: KeyKind, mut keys: KeyMap, refused: &mut Vec<NodeId>) -> Self {
        if let Some(case) = kind.inside() {
            return Self::inside(keys, case, refused);
        }
        let mut leaves = Vec::new();
        let mut place = |nodes: &mut Vec<NodeId>| add(&mut leaves, nodes);
        let texts = keys
            .iter_mut()
            .filter_map(|(key, nodes)| Some((key.text()?.into(), place(nodes))));
        let lookup = match kind {
            KeyKind::Prefix => Lookup::Affixes(Affixes::new(End::Start, texts)),
            KeyKind::Suffix => Lookup::Affixes(Affixes::new(End::Back, texts)),
            KeyKind::Number => {
                let numbers = keys
                    .iter_mut()
                    .filter_map(|(key, nodes)| Some((key.number()?, place(nodes))));
                let mut numbers: Vec<_> = numbers.collect();
                numbers.sort_unstable_by_key(|(number, _)| *number);
                Lookup::Numbers(numbers)
            }
            _ => Lookup::Exact(texts.collect()),
        };
        Self { lookup, leaves }
    }

    fn inside(keys: KeyMap, case: Case, refused: &mut Vec<NodeId>) -> Self {
        let mut bytes = 0;
        let (mut texts, mut nodes): (Vec<Box<[u8]>>, Vec<_>) = (Vec::new(), Vec::new());
        for (key, tests) in keys {
            let text = key.text().unwrap_or_default();
            bytes += text.len();
            if bytes > MAX_SUBSTRING_BYTES {
                refused.extend(tests);
            } else {
                texts.push(text.into());
                nodes.push(tests);
            }
        }
        let substrings = Substrings::new(&texts, case).unwrap_or_else(|| {
            refused.extend(nodes.drain(..).flatten());
            Substrings::default()
        });
        let mut leaves = Vec::new();
        let places = nodes.iter_mut().map(|nodes| add(&mut leaves, nodes));
        let lookup = Lookup::Inside(Box::new(substrings), places.collect());
        Self { lookup, leaves }
    }

    /// Gives each test that a value passes, some perhaps repeatedly.
    pub(super) fn find(
        &self,
        value: &Value<'_>,
        found: &mut impl FnMut(NodeId),
    ) -> Result<(), Unfit> {
        let number = match value {
            Value::Text(text) => {
                self.find_text(text, found);
                return Ok(());
            }
            Value::List(values) => {
                return values.iter().try_for_each(|one| self.find(one, found));
            }
            Value::Unsigned(number) => i128::from(*number),
            Value::Signed(number) => i128::from(*number),
            Value::Bool(flag) => i128::from(*flag),
            Value::Float(_) | Value::Address(_) => return Err(Unfit),
        };
        let Lookup::Numbers(numbers) = &self.lookup else {
            return Err(Unfit);
        };
        let at = numbers.binary_search_by_key(&number, |(known, _)| *known);
        let place = at.ok().and_then(|at| numbers.get(at));
        self.found(place.map(|(_, place)| place), found);
        Ok(())
    }

    fn find_text(&self, text: &[u8], found: &mut impl FnMut(NodeId)) {
        match &self.lookup {
            Lookup::Exact(texts) => self.found(texts.get(text), found),
            Lookup::Affixes(affixes) => affixes.find(text, |place| self.found(Some(place), found)),
            Lookup::Inside(substrings, places) => substrings.find(text, |number| {
                self.found(places.get(number), found);
            }),
            // A text is never equal to a number.
            Lookup::Numbers(_) => {}
        }
    }

    fn found(&self, place: Option<&Place>, found: &mut impl FnMut(NodeId)) {
        if let Some(place) = place {
            let leaves = self.leaves.get(place.start as usize..place.end as usize);
            leaves.unwrap_or_default().iter().copied().for_each(found);
        }
    }
}

/// Adds tests to all; where they are then.
fn add(leaves: &mut Vec<NodeId>, nodes: &mut Vec<NodeId>) -> Place {
    let start = leaves.len() as u32;
    leaves.append(nodes);
    start..leaves.len() as u32
}

//! All tests of one field against literals, answered by one look at its value.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use foldhash::fast::FixedState;

use super::affixes::{Affixes, End};
use super::keys::Key;
use super::substrings::Substrings;
use crate::event::Value;
use crate::matching::Case;
use crate::program::NodeId;

/// Most bytes of substrings that are looked for together; tests beyond are made one by one.
const MAX_SUBSTRING_BYTES: usize = 1 << 20;

/// Where the tests with a key are in [`Matcher::leaves`].
type Place = Range<u32>;

/// Looks for the keys of a field's tests.
#[derive(Debug)]
pub(super) struct Matcher {
    /// The tests of each key.
    leaves: Vec<NodeId>,
    exact: HashMap<Box<[u8]>, Place, FixedState>,
    prefixes: Affixes<Place>,
    suffixes: Affixes<Place>,
    inside: Substrings,
    inside_any_case: Substrings,
    /// The tests of each substring, first those of `inside`.
    inside_places: Vec<Place>,
    any_case_places: Vec<Place>,
    numbers: HashMap<i128, Place, FixedState>,
}

/// A value that these tests were not made for: they have to be made one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unfit;

/// The keys of a field while they are collected, each with its tests.
pub(super) type KeyMap = BTreeMap<Key, Vec<NodeId>>;

impl Matcher {
    /// A matcher of these keys. Tests whose keys it cannot take are added to `refused`.
    pub(super) fn new(keys: KeyMap, refused: &mut Vec<NodeId>) -> Self {
        let mut leaves = Vec::new();
        let mut place = |nodes: Vec<NodeId>| {
            let start = leaves.len() as u32;
            leaves.extend(nodes);
            start..leaves.len() as u32
        };
        let mut exact = HashMap::default();
        let mut numbers = HashMap::default();
        let (mut prefixes, mut suffixes) = (Vec::new(), Vec::new());
        let (mut inside, mut any_case) = (Vec::new(), Vec::new());
        for (key, nodes) in keys {
            match key {
                Key::Exact(text) => drop(exact.insert(text, place(nodes))),
                Key::Number(number) => drop(numbers.insert(number, place(nodes))),
                Key::Prefix(text) => prefixes.push((text, place(nodes))),
                Key::Suffix(text) => suffixes.push((text, place(nodes))),
                Key::Inside(text) => inside.push((text, nodes)),
                Key::InsideAnyCase(text) => any_case.push((text, nodes)),
            }
        }
        let (inside, inside_nodes) = substrings(inside, Case::Sensitive, refused);
        let (inside_any_case, any_case_nodes) = substrings(any_case, Case::Insensitive, refused);
        let inside_places = inside_nodes.into_iter().map(&mut place).collect();
        let any_case_places = any_case_nodes.into_iter().map(&mut place).collect();
        Self {
            leaves,
            exact,
            prefixes: Affixes::new(End::Start, prefixes.into_iter()),
            suffixes: Affixes::new(End::Back, suffixes.into_iter()),
            inside,
            inside_any_case,
            inside_places,
            any_case_places,
            numbers,
        }
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
        if !self.is_of_numbers() {
            return Err(Unfit);
        }
        self.found(self.numbers.get(&number), found);
        Ok(())
    }

    fn is_of_numbers(&self) -> bool {
        self.exact.is_empty()
            && self.prefixes.is_empty()
            && self.suffixes.is_empty()
            && self.inside_places.is_empty()
            && self.any_case_places.is_empty()
    }

    fn find_text(&self, text: &[u8], found: &mut impl FnMut(NodeId)) {
        if !self.exact.is_empty() {
            self.found(self.exact.get(text), found);
        }
        self.prefixes
            .find(text, |place| self.found(Some(place), found));
        self.suffixes
            .find(text, |place| self.found(Some(place), found));
        self.inside.find(text, |index| {
            self.found(self.inside_places.get(index), found);
        });
        self.inside_any_case.find(text, |index| {
            self.found(self.any_case_places.get(index), found);
        });
    }

    fn found(&self, place: Option<&Place>, found: &mut impl FnMut(NodeId)) {
        if let Some(place) = place {
            let leaves = self.leaves.get(place.start as usize..place.end as usize);
            leaves.unwrap_or_default().iter().copied().for_each(found);
        }
    }
}

/// What looks for substrings, and the tests of each; what cannot be taken is added to `refused`.
fn substrings(
    texts: Vec<(Box<[u8]>, Vec<NodeId>)>,
    case: Case,
    refused: &mut Vec<NodeId>,
) -> (Substrings, Vec<Vec<NodeId>>) {
    let mut bytes = 0;
    let (taken, left): (Vec<_>, Vec<_>) = texts.into_iter().partition(|(text, _)| {
        bytes += text.len();
        bytes <= MAX_SUBSTRING_BYTES
    });
    refused.extend(left.into_iter().flat_map(|(_, nodes)| nodes));
    let (texts, nodes): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    if let Some(substrings) = Substrings::new(&texts, case) {
        return (substrings, nodes);
    }
    refused.extend(nodes.into_iter().flatten());
    (Substrings::default(), Vec::new())
}

//! From single tests to sets of values.

use std::collections::BTreeSet;

use super::set::{TextKey, ValueSet};
use crate::condition::ast::Modifier;
use crate::field::Field;
use crate::matching::{NumberTest, Order, TextTest};
use crate::program::{Graph, Leaf, Operand, Predicate, Quantifier, Test};

/// Longest list of texts.
const MAX_KEYS: usize = 4096;

/// The field that a test looks at, and the set that its value has to be in for the test to have
/// this truth value. `None` where that cannot be said.
pub(super) fn set(graph: &Graph, leaf: &Leaf, truth: bool) -> Option<(Field, ValueSet)> {
    let (Operand::Slot(slot), Test::Literal(Quantifier::Any, predicate)) = (&leaf.left, &leaf.test)
    else {
        return None;
    };
    let field = graph.fields().get(*slot)?;
    if field.arg.is_some() || field.field.is_either_end() || field.field.is_ancestor() {
        return None;
    }
    Some((field.field, predicate_set(predicate, truth)?))
}

fn predicate_set(predicate: &Predicate, truth: bool) -> Option<ValueSet> {
    match predicate {
        Predicate::Text(test) => text_set(test, truth),
        Predicate::Number(test) => number_set(test, truth),
        Predicate::Count(Modifier::Any, each) if truth => each
            .iter()
            .map(|one| predicate_set(one, true))
            .reduce(|all, one| Some(all?.union(&one?)))?,
        Predicate::Count(Modifier::Any, each) => {
            each.iter()
                .map(|one| predicate_set(one, false))
                .reduce(|all, one| Some(all?.intersection(&one?)))?
        }
        _ => None,
    }
}

fn number_set(test: &NumberTest, truth: bool) -> Option<ValueSet> {
    let edges: Vec<i128> = match test {
        NumberTest::Order(_, edge) => vec![*edge],
        NumberTest::In(numbers) => numbers.to_vec(),
        NumberTest::Float(..) => return None,
    };
    Some(ValueSet::numbers(edges.into_iter(), |number| {
        test.matches(number) == truth
    }))
}

fn text_set(test: &TextTest, truth: bool) -> Option<ValueSet> {
    let (keys, exact): (BTreeSet<TextKey>, bool) = match test {
        TextTest::Order(Order::Equal, text) => ([TextKey::Exact(text.clone())].into(), true),
        TextTest::Order(Order::NotEqual, text) => {
            let keys = [TextKey::Exact(text.clone())].into();
            return Some(if truth {
                ValueSet::Lacking(keys)
            } else {
                ValueSet::Having(keys)
            });
        }
        TextTest::In(texts) if texts.len() <= MAX_KEYS => {
            (texts.iter().cloned().map(TextKey::Exact).collect(), true)
        }
        TextTest::StartsWith(text) => ([TextKey::Prefix(text.clone())].into(), true),
        TextTest::EndsWith(text) => ([TextKey::Suffix(text.clone())].into(), true),
        TextTest::Contains(finder) => ([TextKey::Inside(finder.needle().into())].into(), true),
        TextTest::Glob(glob) => (BTreeSet::from([glob.necessary()?]), false),
        TextTest::Below(paths) => (paths.keys()?, true),
        _ => return None,
    };
    match (truth, exact) {
        (true, _) => Some(ValueSet::Having(keys)),
        (false, true) => Some(ValueSet::Lacking(keys)),
        (false, false) => None,
    }
}

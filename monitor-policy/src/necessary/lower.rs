//! From single tests to sets of values.

use std::collections::BTreeSet;

use super::set::{TextKey, ValueSet};
use crate::condition::ast::Modifier;
use crate::field::{Field, FieldArg, FieldRef};
use crate::matching::{NetworkTest, NumberTest, Order, TextTest};
use crate::program::{Graph, Leaf, Operand, Predicate, Quantifier, Test};

/// Longest list of texts.
const MAX_KEYS: usize = 4096;

/// What a test says of fields.
pub(super) struct Lowered {
    /// Each field with the set that its value has to be in, or more than that.
    pub(super) each: Vec<(FieldRef, ValueSet)>,
    /// Whether one of them is enough.
    pub(super) any: bool,
    /// Whether a field may have no value.
    pub(super) or_missing: bool,
}

/// What has to hold for a test to have this truth value. `None` where that cannot be said.
pub(super) fn lower(graph: &Graph, leaf: &Leaf, truth: bool) -> Option<Lowered> {
    let (Operand::Slot(slot), Test::Literal(quantifier, predicate)) = (&leaf.left, &leaf.test)
    else {
        return None;
    };
    let field = graph.fields().get(*slot)?;
    let set = |dynamic| predicate_set(predicate, truth, dynamic);
    // A missing value fails every test.
    let single = |set| Lowered {
        each: vec![(field.clone(), set)],
        any: false,
        or_missing: !truth,
    };
    match (field.field, &field.arg) {
        (Field::EvtArg, Some(FieldArg::Key(_))) if *quantifier == Quantifier::Any => {
            Some(single(set(true)?))
        }
        (_, Some(_)) => None,
        (either, None) if let Some(ends) = ends(either) => {
            // Of a negated test no end may fulfil what is negated, or not all of them.
            let any = (*quantifier == Quantifier::Any) == truth;
            let set = set(false)?;
            Some(Lowered {
                each: ends.map(|end| (end.into(), set.clone())).into(),
                any,
                or_missing: !any || !truth,
            })
        }
        (one, None) if one.is_either_end() || one.is_ancestor() => None,
        _ if *quantifier == Quantifier::Any => Some(single(set(false)?)),
        _ => None,
    }
}

/// The fields of which one that stands for either end of a connection has the values.
const fn ends(field: Field) -> Option<[Field; 2]> {
    match field {
        Field::FdIp | Field::FdNet => Some([Field::FdLip, Field::FdRip]),
        Field::FdPort => Some([Field::FdLport, Field::FdRport]),
        _ => None,
    }
}

/// `dynamic` values are texts.
fn predicate_set(predicate: &Predicate, truth: bool, dynamic: bool) -> Option<ValueSet> {
    match predicate {
        Predicate::Text(test) => text_set(test, truth),
        Predicate::Dynamic(test, _) if dynamic => text_set(test, truth),
        Predicate::Number(test) => number_set(test, truth),
        Predicate::Network(test) => Some(network_set(test, truth)),
        Predicate::Count(Modifier::Any, each) if truth => each
            .iter()
            .map(|one| predicate_set(one, true, dynamic))
            .reduce(|all, one| Some(all?.union(&one?)))?,
        Predicate::Count(Modifier::Any, each) => each
            .iter()
            .map(|one| predicate_set(one, false, dynamic))
            .reduce(|all, one| Some(all?.intersection(&one?)))?,
        _ => None,
    }
}

fn network_set(test: &NetworkTest, truth: bool) -> ValueSet {
    let networks = match test {
        NetworkTest::Within(networks) => networks.as_ref(),
        NetworkTest::Outside(network) => std::slice::from_ref(network),
    };
    ValueSet::addresses(networks, |address| test.matches(address) == truth)
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

//! Single tests of a condition, prepared for evaluation.

use std::borrow::Cow;

use super::Operand;
use super::frame::Frame;
use super::value::as_text;
use crate::condition::ast::Modifier;
use crate::event::Value;
use crate::event_type::EventSet;
use crate::field::FieldRef;
use crate::matching::{
    Case, Glob, NetworkTest, NumberTest, Order, TextTest, contains_ignoring_case,
};

/// A test.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// What is tested.
    pub(crate) left: Operand,
    /// How.
    pub(crate) test: Test,
}

/// How a value is tested. A missing one fails every test.
#[derive(Debug)]
pub(crate) enum Test {
    /// It is there.
    Exists,
    /// The event is of one of these types; no value is fetched.
    EventType(EventSet),
    /// The address behind the field belongs to a name: of one of these, or for a negated test
    /// known not to be of the only one.
    HostName {
        field: FieldRef,
        names: Box<[Box<str>]>,
        negated: bool,
    },
    /// It passes a test against literals.
    Literal(Quantifier, Predicate),
    /// It stands in a relation to another value of the event.
    Against(Quantifier, Relation, Operand),
}

/// Which elements have to pass when a value is a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Quantifier {
    /// One of them.
    Any,
    /// All of them, and there is one.
    All,
}

/// A test of a single value against literals.
#[derive(Debug)]
pub(crate) enum Predicate {
    /// Of a text.
    Text(TextTest),
    /// Of a number.
    Number(NumberTest),
    /// Of an address.
    Network(NetworkTest),
    /// Of a value whose type shows only then.
    Dynamic(TextTest, Option<NumberTest>),
    /// As many of these as the modifier says.
    Count(Modifier, Box<[Predicate]>),
}

/// A relation between two values of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Relation {
    /// By order.
    Order(Order),
    /// The left has the right inside.
    Contains,
    /// The left has the right inside in whatever case.
    ContainsIgnoringCase,
    /// The left begins with the right.
    StartsWith,
    /// The left ends with the right.
    EndsWith,
    /// The left is of the shell pattern on the right.
    Glob(Case),
    /// The left is an element of the right.
    In,
}

impl Leaf {
    /// Whether an event passes.
    pub(crate) fn passes(&self, frame: &mut Frame<'_, '_>) -> bool {
        match &self.test {
            Test::EventType(set) => set.contains(frame.event().event_type()),
            Test::HostName {
                field,
                names,
                negated,
            } => {
                let has = |name: &str| frame.event().has_name(field, name);
                names.iter().any(|name| has(name) == Some(!negated))
            }
            Test::Exists => frame.with(&self.left, |value| match value {
                Value::List(values) => !values.is_empty(),
                _ => true,
            }),
            Test::Literal(..) => frame.with(&self.left, |value| self.accepts(value)),
            Test::Against(quantifier, relation, right) => {
                let Some(right) = frame.value(right) else {
                    return false;
                };
                frame.with(&self.left, |value| {
                    quantifier.holds(value, |left| relation.holds(left, &right))
                })
            }
        }
    }

    /// Whether a value of the left side passes a test against literals; false for other tests.
    pub(crate) fn accepts(&self, value: &Value<'_>) -> bool {
        match &self.test {
            Test::Literal(quantifier, predicate) => {
                // Each literal of `allof` may be fulfilled by another element.
                if let (Predicate::Count(Modifier::All, each), Value::List(_)) = (predicate, value)
                {
                    let holds = |one: &Predicate| quantifier.holds(value, |item| one.passes(item));
                    return !each.is_empty() && each.iter().all(holds);
                }
                quantifier.holds(value, |one| predicate.passes(one))
            }
            _ => false,
        }
    }
}

impl Quantifier {
    fn holds(self, value: &Value<'_>, passes: impl Fn(&Value<'_>) -> bool) -> bool {
        match (value, self) {
            (Value::List(values), Self::Any) => values.iter().any(passes),
            (Value::List(values), Self::All) => !values.is_empty() && values.iter().all(passes),
            (single, _) => passes(single),
        }
    }
}

impl Predicate {
    /// Whether a single value passes.
    pub(crate) fn passes(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Text(test) => match value {
                Value::Text(bytes) => test.matches(bytes),
                other => as_text(other).is_some_and(|text| test.matches(&text)),
            },
            Self::Number(test) => number_passes(test, value),
            Self::Network(test) => match value {
                Value::Address(address) => test.matches(*address),
                _ => false,
            },
            Self::Dynamic(text, number) => match (value, number) {
                (Value::Text(bytes), _) => text.matches(bytes),
                (_, Some(number)) => number_passes(number, value),
                (other, None) => as_text(other).is_some_and(|bytes| text.matches(&bytes)),
            },
            Self::Count(modifier, predicates) => {
                let mut passing = predicates
                    .iter()
                    .filter(|predicate| predicate.passes(value));
                match modifier {
                    Modifier::Any => passing.next().is_some(),
                    Modifier::One => passing.next().is_some() && passing.next().is_none(),
                    Modifier::All => !predicates.is_empty() && passing.count() == predicates.len(),
                }
            }
        }
    }
}

fn number_passes(test: &NumberTest, value: &Value<'_>) -> bool {
    match value {
        Value::Float(number) => test.matches_float(*number),
        other => whole(other).is_some_and(|number| test.matches(number)),
    }
}

fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Unsigned(number) => Some(i128::from(*number)),
        Value::Signed(number) => Some(i128::from(*number)),
        Value::Bool(flag) => Some(i128::from(*flag)),
        _ => None,
    }
}

impl Relation {
    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        if let Value::List(values) = right {
            return values.iter().any(|value| self.holds(left, value));
        }
        let order = match self {
            Self::Order(order) => order,
            Self::In => Order::Equal,
            _ => return text_relation(self, left, right),
        };
        if let (Value::Address(left), Value::Address(right)) = (left, right) {
            return order.holds(left, right);
        }
        if let (Some(left), Some(right)) = (whole(left), whole(right)) {
            return order.holds(&left, &right);
        }
        if let (Some(left), Some(right)) = (float(left), float(right)) {
            return order.holds(&left, &right);
        }
        both_texts(left, right).is_some_and(|(left, right)| order.holds(&left, &right))
    }
}

fn float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        other => whole(other).map(|number| number as f64),
    }
}

type Texts<'v> = (Cow<'v, [u8]>, Cow<'v, [u8]>);

fn both_texts<'v>(left: &'v Value<'_>, right: &'v Value<'_>) -> Option<Texts<'v>> {
    Some((as_text(left)?, as_text(right)?))
}

fn text_relation(relation: Relation, left: &Value<'_>, right: &Value<'_>) -> bool {
    both_texts(left, right).is_some_and(|(left, right)| match relation {
        Relation::Contains => memchr::memmem::find(&left, &right).is_some(),
        Relation::ContainsIgnoringCase => contains_ignoring_case(&left, &right),
        Relation::StartsWith => left.starts_with(&right),
        Relation::EndsWith => left.ends_with(&right),
        Relation::Glob(case) => Glob::new(&right, case).matches(&left),
        Relation::Order(_) | Relation::In => left == right,
    })
}

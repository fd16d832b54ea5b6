//! Compiles single tests: checks types, prepares literals, says for which event types they hold.

use std::collections::HashSet;

use memchr::memmem::Finder;

use super::field::is_field;
use super::operand::{Operands, Side, Typed};
use super::types::{Type, check_operator};
use super::{events, literal};
use crate::condition::Fault;
use crate::condition::ast::{Check, Literal, Modifier, Operator, Right, TRANSFORMERS};
use crate::diagnostic::Code;
use crate::field::{Field, FieldFlags, FieldKind, FieldRef};
use crate::matching::{Case, Glob, NetworkTest, NumberTest, Order, PathSet, Pattern, TextTest};
use crate::program::{Builder, Leaf, NodeId, Predicate, Quantifier, Relation, Test};

/// Compiles a test into the graph. Warnings are added to `warnings`.
pub(crate) fn compile(
    check: &Check,
    builder: &mut Builder,
    warnings: &mut Vec<Fault>,
) -> Result<NodeId, Fault> {
    let mut operands = Operands { builder, warnings };
    let left = operands.build(&check.left, Side::Left)?;
    check_operator(check, left.kind)?;
    let key = check.to_string();
    if let Some(known) = operands.builder.known_leaf(&key) {
        warn(check, operands.warnings);
        return Ok(known);
    }
    let test = match &check.right {
        Right::None => Test::Exists,
        Right::Operand(right) => {
            let right_typed = operands.build(right, Side::Right)?;
            against(check, &left, right_typed, right.span())?
        }
        Right::Literal(one) => literals(check, &left, std::slice::from_ref(one), None)?,
        Right::List(list) => literals(check, &left, list, None)?,
        Right::Modified(modifier, list) => literals(check, &left, list, Some(*modifier))?,
    };
    warn(check, operands.warnings);
    let truth = events::truth(check, left.field.as_ref());
    let leaf = Leaf {
        left: left.operand,
        test,
    };
    Ok(operands.builder.leaf(key, leaf, truth))
}

/// A test against literals.
fn literals(
    check: &Check,
    left: &Typed,
    list: &[Literal],
    modifier: Option<Modifier>,
) -> Result<Test, Fault> {
    if let Some(field) = &left.field {
        match field.field {
            Field::EvtType => {
                list.iter()
                    .try_for_each(|one| literal::event_type(one).map(|_| ()))?;
                let list = &events::named(check.operator, list);
                return Ok(Test::EventType(events::matching(&predicate(
                    check, left.kind, list, modifier,
                )?)));
            }
            Field::SyscallType => {
                let list = &events::named(check.operator, list);
                let predicate = predicate(check, left.kind, list, modifier)?;
                return Ok(Test::EventType(events::matching_syscalls(&predicate)));
            }
            _ if field.field.is_host_name() => {
                if let Some(test) = host_name(check.operator, field, list, modifier) {
                    return Ok(test);
                }
            }
            _ => {}
        }
    }
    let predicate = predicate(check, left.kind, list, modifier)?;
    Ok(Test::Literal(quantifier(check.operator, left), predicate))
}

/// Which elements of a list value have to pass.
fn quantifier(operator: Operator, left: &Typed) -> Quantifier {
    let either_end = left
        .field
        .as_ref()
        .is_some_and(|field| field.field.is_either_end());
    match operator {
        Operator::In if left.kind.list => Quantifier::All,
        Operator::NotEqual if either_end => Quantifier::All,
        _ => Quantifier::Any,
    }
}

/// Equality with names of hosts; other operators compare text.
fn host_name(
    operator: Operator,
    field: &FieldRef,
    list: &[Literal],
    modifier: Option<Modifier>,
) -> Option<Test> {
    let negated = match (operator, modifier) {
        (Operator::Equal | Operator::Same, None | Some(Modifier::Any))
        | (Operator::In | Operator::Intersects, None) => false,
        (Operator::NotEqual, None) => true,
        _ => return None,
    };
    let name = |one: &Literal| Box::from(String::from_utf8_lossy(&one.bytes));
    let names = list.iter().map(name).collect();
    Some(Test::HostName {
        field: field.clone(),
        names,
        negated,
    })
}

fn predicate(
    check: &Check,
    kind: Type,
    list: &[Literal],
    modifier: Option<Modifier>,
) -> Result<Predicate, Fault> {
    let operator = check.operator;
    if let Some(modifier) = modifier {
        let single = |one| single_predicate(operator, kind, std::slice::from_ref(one));
        let predicates = list.iter().map(single).collect::<Result<_, _>>()?;
        return Ok(Predicate::Count(modifier, predicates));
    }
    single_predicate(operator, kind, list)
}

fn single_predicate(operator: Operator, kind: Type, list: &[Literal]) -> Result<Predicate, Fault> {
    match kind.kind {
        FieldKind::Text | FieldKind::Bytes => text_test(operator, kind, list).map(Predicate::Text),
        FieldKind::Address | FieldKind::Network => {
            network_test(operator, kind, list).map(Predicate::Network)
        }
        FieldKind::Dynamic => {
            let text = text_test(operator, Type::single(FieldKind::Text), list)?;
            let number = number_test(operator, Type::single(FieldKind::Dynamic), list).ok();
            Ok(Predicate::Dynamic(text, number))
        }
        _ => number_test(operator, kind, list).map(Predicate::Number),
    }
}

fn text_test(operator: Operator, kind: Type, list: &[Literal]) -> Result<TextTest, Fault> {
    let all = || list.iter().map(|one| literal::text(one, kind));
    let one = || match list {
        [one] => literal::text(one, kind),
        _ => Err(Fault::syntax("expected one value", 0..0)),
    };
    let glob = |case| Ok(TextTest::Glob(Glob::new(&one()?, case)));
    match operator {
        Operator::In | Operator::Intersects | Operator::Exists => {
            Ok(TextTest::In(all().collect::<Result<HashSet<_>, _>>()?))
        }
        Operator::Pmatch => {
            let paths = all().collect::<Result<Vec<_>, _>>()?;
            Ok(TextTest::Below(PathSet::new(
                paths.iter().map(AsRef::as_ref),
            )))
        }
        Operator::Contains => Ok(contains(&one()?)),
        Operator::IContains => Ok(TextTest::ContainsIgnoringCase(
            one()?.to_ascii_lowercase().into(),
        )),
        Operator::BContains => list
            .first()
            .map_or(Ok(Box::default()), literal::hex)
            .map(|bytes| contains(&bytes)),
        Operator::BStartsWith => list
            .first()
            .map_or(Ok(Box::default()), literal::hex)
            .map(TextTest::StartsWith),
        Operator::StartsWith => one().map(TextTest::StartsWith),
        Operator::EndsWith => one().map(TextTest::EndsWith),
        Operator::Glob => glob(Case::Sensitive),
        Operator::IGlob => glob(Case::Insensitive),
        Operator::Regex => regex(list, kind),
        _ => Ok(TextTest::Order(order(operator), one()?)),
    }
}

fn contains(needle: &[u8]) -> TextTest {
    TextTest::Contains(Box::new(Finder::new(needle).into_owned()))
}

fn regex(list: &[Literal], kind: Type) -> Result<TextTest, Fault> {
    let Some(one) = list.first() else {
        return Err(Fault::syntax("expected a regular expression", 0..0));
    };
    let source = literal::text(one, kind)?;
    Pattern::new(&String::from_utf8_lossy(&source))
        .map(TextTest::Regex)
        .map_err(|reason| {
            let message = format!("invalid regular expression: {reason}");
            Fault::syntax(message, one.span.clone())
        })
}

fn number_test(operator: Operator, kind: Type, list: &[Literal]) -> Result<NumberTest, Fault> {
    if kind.kind == FieldKind::Float && !matches!(operator, Operator::In | Operator::Intersects) {
        let one = list.first().map_or(Ok(0.0), literal::float)?;
        return Ok(NumberTest::Float(order(operator), one));
    }
    let numbers = list.iter().map(|one| literal::number(one, kind));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    match (operator, numbers.as_slice()) {
        (Operator::In | Operator::Intersects, _) => Ok(NumberTest::In(numbers.into())),
        (_, [one]) => Ok(NumberTest::Order(order(operator), *one)),
        _ => Err(Fault::syntax("expected one value", 0..0)),
    }
}

fn network_test(operator: Operator, kind: Type, list: &[Literal]) -> Result<NetworkTest, Fault> {
    let networks = list.iter().map(|one| literal::network(one, kind));
    let networks = networks.collect::<Result<Vec<_>, _>>()?;
    match (operator, networks.as_slice()) {
        (Operator::NotEqual, [one]) => Ok(NetworkTest::Outside(*one)),
        _ => Ok(NetworkTest::Within(networks.into())),
    }
}

fn order(operator: Operator) -> Order {
    match operator {
        Operator::NotEqual => Order::NotEqual,
        Operator::Less => Order::Less,
        Operator::LessEqual => Order::LessEqual,
        Operator::Greater => Order::Greater,
        Operator::GreaterEqual => Order::GreaterEqual,
        _ => Order::Equal,
    }
}

/// A test against another value of the event.
fn against(
    check: &Check,
    left: &Typed,
    right: Typed,
    span: std::ops::Range<usize>,
) -> Result<Test, Fault> {
    use Operator as O;
    let relation = match check.operator {
        O::Contains | O::BContains => Relation::Contains,
        O::IContains => Relation::ContainsIgnoringCase,
        O::StartsWith | O::BStartsWith => Relation::StartsWith,
        O::EndsWith => Relation::EndsWith,
        O::Glob => Relation::Glob(Case::Sensitive),
        O::IGlob => Relation::Glob(Case::Insensitive),
        O::In | O::Intersects => Relation::In,
        O::Equal
        | O::Same
        | O::NotEqual
        | O::Less
        | O::LessEqual
        | O::Greater
        | O::GreaterEqual => Relation::Order(order(check.operator)),
        O::Exists | O::Pmatch | O::Regex => {
            let message = format!("`{}` takes only literals on its right", check.operator);
            return Err(Fault::syntax(message, span));
        }
    };
    let field = left.field.as_ref();
    if field.is_some_and(|field| field.field.is(FieldFlags::NOT_ON_RIGHT)) {
        let message = format!("`{}` takes only literals on its right", check.left);
        return Err(Fault::syntax(message, span));
    }
    if left.kind != right.kind {
        let message = format!(
            "the sides have different types: `{}` is {}, the right side is {}",
            check.left,
            left.kind.describe_exactly(),
            right.kind.describe_exactly()
        );
        return Err(Fault::syntax(message, span));
    }
    Ok(Test::Against(
        quantifier(check.operator, left),
        relation,
        right.operand,
    ))
}

/// Warns of values that were probably meant otherwise.
fn warn(check: &Check, warnings: &mut Vec<Fault>) {
    let Right::Literal(one) = &check.right else {
        return;
    };
    let Ok(text) = std::str::from_utf8(&one.bytes) else {
        return;
    };
    let call = text
        .split_once('(')
        .is_some_and(|(name, _)| TRANSFORMERS.contains(&name));
    let base = text.split_once('[').map_or(text, |(name, _)| name);
    if is_field(base) || TRANSFORMERS.contains(&text) || call {
        let message = format!("`{text}` is compared as text, though it is also a field's name");
        warnings.push(
            Fault::new(Code::ConditionWarning, message, one.span.clone())
                .with_help(format!("to compare with the field write `val({text})`")),
        );
    }
    if check.operator == Operator::Regex {
        let body = text.strip_suffix(".*").unwrap_or(text);
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_- ,:=@%".contains(c);
        if body.chars().all(plain) {
            let instead = if body.len() < text.len() {
                "startswith"
            } else {
                "="
            };
            let message = format!("this regular expression does no more than `{instead}`");
            warnings.push(
                Fault::new(Code::ConditionWarning, message, one.span.clone()).with_help(format!(
                    "write `{} {instead} {body}`: it is cheaper",
                    check.left
                )),
            );
        }
    }
}

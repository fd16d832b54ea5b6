//! Finds conditions that no event fulfils: contradictory tests of one field, empty lists, numbers
//! out of reach, event types that exclude each other.
//!
//! `evt.num = 0` and its like are left alone: who writes that wants it so.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;

use super::{Subject, collect, literals};
use crate::compile::{Macros, resolve};
use crate::condition::ast::{Check, Expr, Operand, Operator, Right};
use crate::diagnostic::Code;
use crate::event_type::EventSet;
use crate::field::{Field, FieldFlags, FieldKind as K, FieldRef};
use crate::rules::Finding;
use crate::source::{Place, Sourced};

/// Most parts of a condition, macros opened, that are looked at.
const MAX_PARTS: usize = 4000;

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 100;

/// What is to say of a rule that can never match.
pub(super) fn lint(subject: Subject<'_>, events: &EventSet, macros: &Macros) -> Vec<Finding> {
    let mut search = Search {
        macros,
        left: MAX_PARTS,
    };
    let reason = search.reason(subject.expr, subject.text, 0);
    let reason = reason.or_else(|| {
        let deliberate = search.mentions(subject.expr, Field::EvtNum);
        (events.is_empty() && !deliberate).then(|| Reason {
            code: Code::LintNeverTrue,
            message: "no event type fulfils all tests of `evt.type`".to_owned(),
            place: subject.item.place,
            other: None,
        })
    });
    let finding = reason.map(|reason| {
        let Reason {
            code,
            message,
            place,
            other,
        } = reason;
        let message = format!("the condition can never be true: {message}");
        let finding = Finding::new(code, message, place);
        match other {
            Some((message, place)) => finding.with_related(message, place),
            None => finding,
        }
    });
    finding.into_iter().collect()
}

/// Why something can never be true.
struct Reason {
    code: Code,
    message: String,
    place: Place,
    other: Option<(String, Place)>,
}

struct Search<'m> {
    macros: &'m Macros,
    left: usize,
}

/// A test that has to hold, or must not.
struct Fact<'e> {
    check: &'e Check,
    place: Place,
    holds: bool,
}

impl<'m> Search<'m> {
    fn reason<'e>(&mut self, expr: &'e Expr, text: &'e Sourced, depth: usize) -> Option<Reason>
    where
        'm: 'e,
    {
        self.left = self.left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        match expr {
            Expr::And(parts) => {
                let inner = parts
                    .iter()
                    .find_map(|part| self.reason(part, text, depth + 1));
                inner.or_else(|| {
                    let mut facts = Vec::new();
                    self.facts(expr, text, true, &mut facts, depth);
                    contradiction(&facts)
                })
            }
            Expr::Or(parts) => {
                let mut reasons = parts.iter().map(|part| self.reason(part, text, depth + 1));
                let first = reasons.next()??;
                reasons.all(|reason| reason.is_some()).then_some(first)
            }
            Expr::Not(_) => None,
            Expr::Macro(name) => {
                let parsed = self.macros.get(&name.text)?;
                let reason = self.reason(parsed.expr.as_ref()?, &parsed.text, depth + 1)?;
                Some(reason)
            }
            Expr::Check(check) => {
                let message = impossible(check)?;
                Some(Reason {
                    code: if is_named_list(check, text) {
                        Code::LintEmptyList
                    } else {
                        Code::LintNeverTrue
                    },
                    message,
                    place: text.place(&check.span),
                    other: None,
                })
            }
        }
    }

    /// The tests that all have to turn out so for an expression to.
    fn facts<'e>(
        &mut self,
        expr: &'e Expr,
        text: &'e Sourced,
        holds: bool,
        facts: &mut Vec<Fact<'e>>,
        depth: usize,
    ) where
        'm: 'e,
    {
        let Some(left) = self.left.checked_sub(1) else {
            return;
        };
        self.left = left;
        if depth > MAX_DEPTH {
            return;
        }
        match (expr, holds) {
            (Expr::And(parts), true) | (Expr::Or(parts), false) => {
                for part in parts {
                    self.facts(part, text, holds, facts, depth + 1);
                }
            }
            (Expr::And(_), false) | (Expr::Or(_), true) => {}
            (Expr::Not(inner), _) => self.facts(inner, text, !holds, facts, depth + 1),
            (Expr::Macro(name), _) => {
                if let Some(parsed) = self.macros.get(&name.text)
                    && let Some(body) = &parsed.expr
                {
                    self.facts(body, &parsed.text, holds, facts, depth + 1);
                }
            }
            (Expr::Check(check), _) => facts.push(Fact {
                check,
                place: text.place(&check.span),
                holds,
            }),
        }
    }

    fn mentions(&self, expr: &Expr, field: Field) -> bool {
        let used = self.macros.used_by(expr, &mut HashSet::new());
        let bodies = used.iter().filter_map(|parsed| parsed.expr.as_ref());
        let mut checks = Vec::new();
        for expr in bodies.chain([expr]) {
            collect(expr, &mut checks);
        }
        checks
            .iter()
            .any(|check| matches!(&check.left, Operand::Field(name) if name.name == field.name()))
    }
}

/// A test that no value passes.
fn impossible(check: &Check) -> Option<String> {
    let empty = match &check.right {
        Right::List(list) => check.operator == Operator::In && list.is_empty(),
        Right::Modified(_, list) => list.is_empty(),
        _ => false,
    };
    if empty {
        return Some("the list is empty".to_owned());
    }
    let field = single_field(check)?;
    if field.field == Field::EvtDir {
        return refuses_exits(check).then(|| "`evt.dir` is `<` for every event".to_owned());
    }
    let number: i128 = match literals(check) {
        [one] => std::str::from_utf8(&one.bytes).ok()?.parse().ok()?,
        _ => return None,
    };
    let kind = field.field.definition().kind;
    let unsigned = matches!(
        kind,
        K::Unsigned64 | K::Unsigned32 | K::Port | K::Duration | K::Time
    );
    let low = match check.operator {
        Operator::Less => number == 0,
        Operator::LessEqual => number == -1,
        _ => false,
    };
    let high = kind == K::Port && check.operator == Operator::Greater && number == 65535;
    (field.field != Field::EvtNum && (unsigned && low || high))
        .then(|| format!("`{field}` is never {} {number}", check.operator))
}

/// Whether a test of `evt.dir` asks for the entry of calls, which only old versions of Falco had.
fn refuses_exits(check: &Check) -> bool {
    let mut values = literals(check).iter().map(|one| one.bytes.as_slice());
    match (check.operator, &check.right) {
        (Operator::Equal | Operator::Same, Right::Literal(_)) | (Operator::In, Right::List(_)) => {
            values.all(|one| one != b"<")
        }
        (Operator::NotEqual, Right::Literal(_)) => values.any(|one| one == b"<"),
        _ => false,
    }
}

/// Whether the empty list of a test was put in for a name, which its author meant to be filled.
fn is_named_list(check: &Check, text: &Sourced) -> bool {
    let inside = text.text().get(check.span.clone()).unwrap_or_default();
    let Some(open) = inside.rfind('(') else {
        return false;
    };
    let parentheses = check.span.start + open..check.span.end;
    text.place(&parentheses).length as usize > parentheses.len()
}

/// The field of a test, if it has one value at most.
fn single_field(check: &Check) -> Option<FieldRef> {
    let Operand::Field(name) = &check.left else {
        return None;
    };
    let found = resolve(name).ok()?;
    let several = found.field.is(FieldFlags::LIST)
        || found.field.is_either_end()
        || found.field.is_host_name()
        || found.field.is_ancestor() && found.arg.is_none();
    (!several && found.field.definition().kind != K::Network).then_some(found)
}

/// Two tests of one field of which only one can turn out as it has to.
fn contradiction(facts: &[Fact<'_>]) -> Option<Reason> {
    let mut allowed: BTreeMap<String, (BTreeSet<Vec<u8>>, Place)> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.holds) {
        let Some(values) = equal_to(fact.check) else {
            continue;
        };
        let key = fact.check.left.to_string();
        if let Some((known, place)) = allowed.get_mut(&key) {
            let both: BTreeSet<_> = known.intersection(&values).cloned().collect();
            if both.is_empty() {
                let message = format!("`{key}` has one value, and it cannot pass both tests");
                return Some(against(message, fact, *place));
            }
            *known = both;
        } else {
            allowed.insert(key, (values, fact.place));
        }
    }
    facts
        .iter()
        .find_map(|fact| {
            let key = fact.check.left.to_string();
            let (values, place) = allowed.get(&key)?;
            let refused = values.iter().all(|value| refuses(fact, value));
            let message = format!("this leaves no value of `{key}` that the other test allows");
            refused.then(|| against(message, fact, *place))
        })
        .or_else(|| apart(facts))
}

/// Two comparisons of one number that leave nothing between them.
fn apart(facts: &[Fact<'_>]) -> Option<Reason> {
    let mut known: BTreeMap<String, Vec<(RangeInclusive<i128>, Place)>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.holds) {
        let Some(range) = range(fact.check) else {
            continue;
        };
        let key = fact.check.left.to_string();
        let others = known.entry(key.clone()).or_default();
        let disjoint = |other: &RangeInclusive<i128>| {
            other.start() > range.end() || range.start() > other.end()
        };
        if let Some((_, place)) = others.iter().find(|(other, _)| disjoint(other)) {
            let message = format!("`{key}` has one value, and it cannot pass both tests");
            return Some(against(message, fact, *place));
        }
        others.push((range, fact.place));
    }
    None
}

/// The whole numbers that pass a comparison.
fn range(check: &Check) -> Option<RangeInclusive<i128>> {
    let kind = single_field(check)?.field.definition().kind;
    let signed = matches!(kind, K::Signed64 | K::Signed32 | K::Signed16);
    let unsigned = matches!(
        kind,
        K::Unsigned64 | K::Unsigned32 | K::Port | K::Duration | K::Time
    );
    let Right::Literal(one) = &check.right else {
        return None;
    };
    let number: i128 = std::str::from_utf8(&one.bytes).ok()?.parse().ok()?;
    // Of unsigned fields a negative number wraps.
    if !(signed || unsigned && number >= 0) {
        return None;
    }
    match check.operator {
        Operator::Equal | Operator::Same => Some(number..=number),
        Operator::Less => Some(i128::MIN..=number.checked_sub(1)?),
        Operator::LessEqual => Some(i128::MIN..=number),
        Operator::Greater => Some(number.checked_add(1)?..=i128::MAX),
        Operator::GreaterEqual => Some(number..=i128::MAX),
        _ => None,
    }
}

fn against(message: String, fact: &Fact<'_>, other: Place) -> Reason {
    Reason {
        code: Code::LintNeverTrue,
        message,
        place: fact.place,
        other: Some(("the other test".to_owned(), other)),
    }
}

/// The only values that pass a test, if it is an equality.
fn equal_to(check: &Check) -> Option<BTreeSet<Vec<u8>>> {
    single_field(check)?;
    let equality = matches!(
        (check.operator, &check.right),
        (Operator::Equal | Operator::Same, Right::Literal(_))
            | (Operator::In | Operator::Intersects, Right::List(_))
    );
    let values = literals(check).iter().map(|one| one.bytes.clone());
    let values: BTreeSet<_> = values.collect();
    (equality && !values.is_empty()).then_some(values)
}

/// Whether a value surely does not turn a test out as it has to.
fn refuses(fact: &Fact<'_>, value: &[u8]) -> bool {
    let check = fact.check;
    if single_field(check).is_none() {
        return false;
    }
    let all = || literals(check).iter().map(|one| one.bytes.as_slice());
    let passes = match (check.operator, &check.right) {
        (Operator::Exists, _) => true,
        (Operator::Equal | Operator::Same, Right::Literal(_)) | (Operator::In, Right::List(_)) => {
            all().any(|one| one == value)
        }
        (Operator::NotEqual, Right::Literal(_)) => all().all(|one| one != value),
        (Operator::StartsWith, Right::Literal(_)) => all().any(|one| value.starts_with(one)),
        (Operator::EndsWith, Right::Literal(_)) => all().any(|one| value.ends_with(one)),
        (Operator::Contains, Right::Literal(_)) => {
            all().any(|one| memchr::memmem::find(value, one).is_some())
        }
        _ => return false,
    };
    passes != fact.holds
}

//! Tests that hold together, by the value that they look at.

use std::collections::HashMap;

use super::claim::{Atom, Claim, claims};
use crate::condition::ast::{Check, Operand};
use crate::field::Field;
use crate::source::{Place, Sourced};

/// Most comparisons of two literals for one condition.
const MAX_WORK: usize = 2_000_000;

/// A test that has to hold, or must not.
#[derive(Clone, Debug)]
pub(super) struct Fact<'a> {
    check: &'a Check,
    /// What it is written in.
    text: &'a Sourced,
    place: Place,
    holds: bool,
    /// What it looks at.
    key: String,
    claims: Vec<Claim>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    by_key: HashMap<String, Vec<Fact<'a>>>,
    /// The keys in the order in which facts were added.
    order: Vec<String>,
    work: usize,
}

/// Why a fact contradicts those before, and the place of the one that does.
pub(super) type Contradiction = (String, Place);

impl<'a> Fact<'a> {
    pub(super) fn new(check: &'a Check, text: &'a Sourced, holds: bool) -> Self {
        Self {
            check,
            text,
            place: text.place(&check.span),
            holds,
            key: check.left.to_string(),
            claims: claims(check, holds),
        }
    }

    fn opposes(&self, other: &Self) -> bool {
        let counts =
            matches!(&self.check.left, Operand::Field(name) if name.name == Field::UtilCnt.name());
        self.holds != other.holds && !counts && self.check.to_string() == other.check.to_string()
    }

    fn exists(&self, answer: bool) -> bool {
        self.claims.iter().any(|claim| claim.exists == Some(answer))
    }
}

impl<'a> Facts<'a> {
    /// How many there are.
    pub(super) fn mark(&self) -> usize {
        self.order.len()
    }

    /// Forgets those that were added after a mark.
    pub(super) fn forget(&mut self, mark: usize) {
        for key in self.order.drain(mark..) {
            if let Some(facts) = self.by_key.get_mut(&key) {
                facts.pop();
            }
        }
    }

    /// Adds a fact; why it cannot be so together with the others.
    pub(super) fn add(&mut self, fact: Fact<'a>) -> Option<Contradiction> {
        self.order.push(fact.key.clone());
        let facts = self.by_key.entry(fact.key.clone()).or_default();
        facts.push(fact);
        let (fact, before) = facts.split_last()?;
        if let Some(other) = before.iter().find(|other| fact.opposes(other)) {
            let message = "this is the opposite of the other test".to_owned();
            return Some((message, other.place));
        }
        missing(fact, before)
            .or_else(|| exclusive(fact, before, &mut self.work))
            .or_else(|| nothing_left(fact, before, &mut self.work))
    }
}

/// One test needs a value, the other that there is none. Of two macros, or a macro and its user,
/// one is often kept to be replaced by others.
fn missing(fact: &Fact<'_>, before: &[Fact<'_>]) -> Option<Contradiction> {
    let opposite = |other: &&Fact<'_>| {
        let differ = |answer: bool| fact.exists(answer) && other.exists(!answer);
        std::ptr::eq(fact.text, other.text) && (differ(true) || differ(false))
    };
    let other = before.iter().find(opposite)?;
    let message = format!(
        "one test asks for a value of `{}`, the other for none",
        fact.key
    );
    Some((message, other.place))
}

/// No value passes both this test and one before.
fn exclusive(fact: &Fact<'_>, before: &[Fact<'_>], work: &mut usize) -> Option<Contradiction> {
    let has_value = fact.exists(true) || before.iter().any(|other| other.exists(true));
    if !has_value {
        return None;
    }
    let mut excluded = |one: &Claim, other: &Claim| {
        *work += one.size().saturating_mul(other.size());
        *work <= MAX_WORK && (exclude(one, other) || denies(one, other) || denies(other, one))
    };
    let other = before.iter().find(|other| {
        let pairs = |one| other.claims.iter().map(move |other| (one, other));
        fact.claims
            .iter()
            .flat_map(pairs)
            .any(|(one, other)| excluded(one, other))
    })?;
    let message = if fact.holds && other.holds {
        format!(
            "`{}` has one value, and it cannot pass both tests",
            fact.key
        )
    } else {
        "what passes the one test does not pass the other".to_owned()
    };
    Some((message, other.place))
}

/// Whatever fulfils the one does not fulfil the other.
fn exclude(one: &Claim, other: &Claim) -> bool {
    let (Some(one), Some(other)) = (&one.any, &other.any) else {
        return false;
    };
    one.iter()
        .all(|one| other.iter().all(|other| one.excludes(other)))
}

/// Whatever fulfils the one is what the other must not be.
fn denies(one: &Claim, other: &Claim) -> bool {
    let refused = |atom: &Atom| other.none.iter().any(|refused| atom.implies(refused));
    one.any.as_ref().is_some_and(|any| any.iter().all(refused))
}

/// All tests together leave none of the values that one of them names.
fn nothing_left(fact: &Fact<'_>, before: &[Fact<'_>], work: &mut usize) -> Option<Contradiction> {
    let facts = || before.iter().chain([fact]);
    let named = |claim: &Claim| {
        let any = claim
            .any
            .as_ref()
            .filter(|_| facts().any(|fact| fact.exists(true)))?;
        let point = |atom: &Atom| match atom {
            Atom::Text(_) | Atom::Address(_) => true,
            Atom::Number(range) => range.start() == range.end(),
            _ => false,
        };
        any.iter().all(point).then(|| any.clone())
    };
    let list = |fact: &Fact<'_>| fact.claims.iter().find_map(named);
    let (namer, mut values) = before.iter().find_map(|fact| Some((fact, list(fact)?)))?;
    let claims: Vec<&Claim> = facts().flat_map(|fact| &fact.claims).collect();
    let all: usize = claims.iter().map(|claim| claim.size()).sum();
    *work += values.len().saturating_mul(all);
    if *work > MAX_WORK {
        return None;
    }
    values.retain(|value| {
        claims.iter().all(|claim| {
            let any = claim.any.as_ref();
            any.is_none_or(|any| any.iter().any(|atom| !value.excludes(atom)))
                && !claim.none.iter().any(|atom| value.implies(atom))
        })
    });
    values.is_empty().then(|| {
        let message = format!(
            "no value of `{}` is left that the other test allows",
            fact.key
        );
        (message, namer.place)
    })
}

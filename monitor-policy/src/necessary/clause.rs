//! Clauses: values that fields must have together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::set::ValueSet;
use crate::event::{Event, View};
use crate::field::{Field, FieldRef};

/// How many pairs of clauses are tried, for each that may be left.
const PAIRS_PER_CLAUSE: usize = 4;

/// What the value of a field has to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allowed {
    /// The set that it has to be in.
    pub set: Arc<ValueSet>,
    /// Whether there need not be one.
    pub or_missing: bool,
}

/// What the values of fields have to be, all of them. Nothing at all for what always holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Clause {
    /// The fields.
    pub fields: BTreeMap<FieldRef, Allowed>,
    /// The rules that it was made from, by their index in [`Policy::rules`](crate::Policy::rules).
    pub rules: BTreeSet<usize>,
    /// Whether it asks less than its rules do, for want of room for more clauses.
    pub widened: bool,
}

impl Allowed {
    fn and(&self, other: &Self) -> Self {
        let same = self.set == other.set;
        Self {
            set: if same {
                self.set.clone()
            } else {
                Arc::new(self.set.intersection(&other.set))
            },
            or_missing: self.or_missing && other.or_missing,
        }
    }

    fn or(&self, other: &Self) -> Self {
        let same = self.set == other.set;
        Self {
            set: if same {
                self.set.clone()
            } else {
                Arc::new(self.set.union(&other.set))
            },
            or_missing: self.or_missing || other.or_missing,
        }
    }

    fn is_never(&self) -> bool {
        self.set.is_empty() && !self.or_missing
    }

    fn implies(&self, other: &Self) -> bool {
        (!self.or_missing || other.or_missing)
            && (self.set == other.set || self.set.within(&other.set))
    }
}

impl Clause {
    /// That the value of `field` is as allowed; `None` when it cannot be.
    pub(super) fn single(field: FieldRef, allowed: Allowed) -> Option<Self> {
        let mut clause = Self::default();
        if allowed.is_never() {
            return None;
        }
        if !allowed.set.is_full() {
            clause.fields.insert(field, allowed);
        }
        Some(clause)
    }

    /// What a field without an argument has to be.
    pub fn of(&self, field: Field) -> Option<&Allowed> {
        self.fields.get(&field.into())
    }

    /// Whether it holds for an event.
    pub fn admits(&self, event: &dyn Event, view: View) -> bool {
        self.fields.iter().all(|(field, allowed)| {
            let value = event.value(field, view);
            value.map_or(allowed.or_missing, |value| allowed.set.contains(&value))
        })
    }

    /// Both together; `None` when they exclude each other.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        both.rules.extend(&other.rules);
        both.widened |= other.widened;
        for (field, allowed) in &other.fields {
            let allowed = match both.fields.get(field) {
                Some(own) => own.and(allowed),
                None => allowed.clone(),
            };
            if allowed.is_never() {
                return None;
            }
            both.fields.insert(field.clone(), allowed);
        }
        Some(both)
    }

    /// Whether the other holds whenever this does.
    fn implies(&self, other: &Self) -> bool {
        let own = |field: &FieldRef| self.fields.get(field);
        // Looking is cheaper than comparing.
        other.fields.keys().all(|field| own(field).is_some())
            && (other.fields.iter())
                .all(|(field, allowed)| own(field).is_some_and(|own| own.implies(allowed)))
    }

    /// How much is lost when one clause stands for both: 1 for each field of which more is allowed,
    /// 2 for each that only one of them has.
    fn apart(&self, other: &Self) -> usize {
        let alone = other
            .fields
            .keys()
            .filter(|field| !self.fields.contains_key(field));
        let own = self
            .fields
            .iter()
            .map(|(field, allowed)| match other.fields.get(field) {
                None => 2,
                Some(others) => usize::from(allowed != others),
            });
        own.sum::<usize>() + 2 * alone.count()
    }

    /// Whether both differ in one set only, of which the union says the same as either.
    fn joins(&self, other: &Self) -> bool {
        let exact = |(field, own): (&FieldRef, &Allowed)| {
            let others = other.fields.get(field);
            others.is_some_and(|others| own.set == others.set || own.set.joins(&others.set))
        };
        self.apart(other) == 1 && self.fields.iter().all(exact)
    }

    /// A clause for both.
    fn either(&self, other: &Self) -> Self {
        let mut wide = Self {
            widened: self.widened || other.widened,
            ..Self::default()
        };
        wide.rules.extend(self.rules.union(&other.rules));
        for (field, allowed) in &self.fields {
            let both = other.fields.get(field).map(|others| allowed.or(others));
            if let Some(both) = both.filter(|both| !both.set.is_full()) {
                wide.fields.insert(field.clone(), both);
            }
        }
        wide
    }
}

/// Clauses of which at least one has to hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Clauses(pub(super) Vec<Clause>);

impl Clauses {
    /// One that always holds.
    pub(super) fn always() -> Self {
        Self(vec![Clause::default()])
    }

    /// None that holds.
    pub(super) fn never() -> Self {
        Self(Vec::new())
    }

    /// Either of both, in at most `budget` clauses.
    pub(super) fn or(mut self, other: Self, budget: usize) -> Self {
        for clause in other.0 {
            self.add(clause);
        }
        self.shrink(budget);
        self
    }

    /// Both, in at most `budget` clauses. What would take too many pairs to find out is left as it
    /// is without the other.
    pub(super) fn and(&self, other: &Self, budget: usize) -> Self {
        if self.0.len().saturating_mul(other.0.len()) > PAIRS_PER_CLAUSE.saturating_mul(budget) {
            let mut alone = self.clone();
            alone.0.iter_mut().for_each(|clause| clause.widened = true);
            return alone;
        }
        let mut both = Self::never();
        for one in &self.0 {
            for clause in other.0.iter().filter_map(|two| one.and(two)) {
                both.add(clause);
            }
        }
        both.shrink(budget);
        both
    }

    /// Adds a clause that no other makes superfluous; those that it does go.
    fn add(&mut self, mut clause: Clause) {
        loop {
            if let Some(wider) = self.0.iter_mut().find(|one| clause.implies(one)) {
                wider.rules.extend(&clause.rules);
                return;
            }
            let mut narrower: BTreeSet<usize> = BTreeSet::new();
            self.0.retain(|one| {
                let goes = one.implies(&clause);
                if goes {
                    narrower.extend(&one.rules);
                }
                !goes
            });
            clause.rules.extend(narrower);
            // Two that differ in one set are one with the union, which says the same.
            let Some(at) = self.0.iter().position(|one| one.joins(&clause)) else {
                self.0.push(clause);
                return;
            };
            clause = self.0.swap_remove(at).either(&clause);
        }
    }

    /// Makes clauses one, two by two, those first that lose least by it, until there are few enough.
    fn shrink(&mut self, budget: usize) {
        let budget = budget.max(1);
        while self.0.len() > budget {
            let all = std::mem::take(&mut self.0);
            let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
            for (a, one) in all.iter().enumerate() {
                let earlier = all.iter().enumerate().take(a);
                pairs.extend(earlier.map(|(b, two)| (one.apart(two), a, b)));
            }
            pairs.sort_unstable();
            let mut left: Vec<Option<Clause>> = all.into_iter().map(Some).collect();
            let mut excess = left.len() - budget;
            for (_, a, b) in pairs {
                if excess == 0 {
                    break;
                }
                if let (Some(Some(one)), Some(Some(two))) = (left.get(a), left.get(b)) {
                    let mut wide = one.either(two);
                    wide.widened = true;
                    self.add(wide);
                    excess -= 1;
                    for at in [a, b] {
                        left.get_mut(at).map(Option::take);
                    }
                }
            }
            for clause in left.into_iter().flatten() {
                self.add(clause);
            }
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fields.is_empty() {
            return f.write_str("always");
        }
        for (number, (field, allowed)) in self.fields.iter().enumerate() {
            let and = if number == 0 { "" } else { " and " };
            write!(f, "{and}{field} {}", allowed.set)?;
        }
        Ok(())
    }
}

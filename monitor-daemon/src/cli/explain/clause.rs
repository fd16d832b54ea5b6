//! A clause as the kernel takes it: what of it is looked at there, and how much that leaves out.

use monitor_common::Kind;
use monitor_policy::{Allowed, Clause, Field, FieldRef, TextKey, Value, ValueSet};

use crate::filter::{self, Filter};
use crate::output::visible;

/// How often all that comes is halved by what asks for one value of very many.
const MOST_BITS: u32 = 16;

/// What the kernel looks at of a clause.
pub(super) struct Taken<'c> {
    /// Whose the event has to be.
    scope: Option<&'static str>,
    /// How an open has to end.
    outcome: Option<&'static str>,
    fields: Vec<(&'c FieldRef, &'c Allowed)>,
}

impl<'c> Taken<'c> {
    /// `no_texts` where there is no room for those of its paths.
    pub(super) fn new(kind: Kind, clause: &'c Clause, no_texts: bool) -> Self {
        let is_open = kind == Kind::Open;
        let scope = one_of(filter::scopes(clause), ["on the host", "in a container"]);
        let outcome = one_of(filter::outcomes(clause), ["it succeeds", "it fails"]);
        let is_shown = |field: &FieldRef| match field.field {
            // Of opens by name, which is nearly all, it is not said that they are.
            Field::EvtType => !is_open || Filter::is_by_handle(clause),
            one if filter::is_of_container(one) || is_open && is_outcome(one) => false,
            one if is_open && filter::is_path(one) => !no_texts && filter::looks_at(clause, one),
            _ => true,
        };
        let fields = clause.fields.iter();
        let mut fields: Vec<_> = fields.filter(|(field, _)| is_shown(field)).collect();
        // What is long hides what stands behind it.
        fields.sort_by_key(|(_, allowed)| size(&allowed.set));
        Self {
            scope,
            outcome: outcome.filter(|_| is_open),
            fields,
        }
    }

    /// In words; each set of values up to so many characters.
    pub(super) fn text(&self, most: usize) -> String {
        let words = [self.scope, self.outcome].into_iter().flatten();
        let mut parts: Vec<String> = words.map(str::to_owned).collect();
        let fields = self.fields.iter();
        parts.extend(fields.map(|(field, allowed)| {
            format!(
                "{} {}",
                visible(&field.to_string()),
                cut(&allowed.set, most)
            )
        }));
        if parts.is_empty() {
            return "always".to_owned();
        }
        parts.join(" and ")
    }

    /// What is looked at.
    pub(super) fn families(&self) -> impl Iterator<Item = String> {
        let scope = self.scope.map(|_| "whose it is (host or container)");
        let outcome = self.outcome.map(|_| "whether it succeeds");
        let words = [scope, outcome].into_iter().flatten().map(str::to_owned);
        words.chain(self.fields.iter().map(|(field, _)| field.to_string()))
    }

    /// How often all that comes is halved, by the sizes of the sets: a guess, which knows nothing of
    /// what programs do.
    pub(super) fn bits(&self) -> u32 {
        let words = [self.scope, self.outcome].into_iter().flatten();
        let fields = self.fields.iter();
        let fields = fields.map(|(field, allowed)| bits(field.field, &allowed.set));
        words.count() as u32 + fields.sum::<u32>()
    }

    /// Whether the kernel decides a field wholly, so that nothing is left to do for user space.
    pub(super) fn decides(&self, clause: &Clause, field: &FieldRef) -> bool {
        let allowed = clause.fields.get(field);
        match field.field {
            Field::EvtType => true,
            Field::ContainerId | Field::ContainerType => {
                self.scope.is_some() && allowed.is_some_and(|allowed| says_host(&allowed.set))
            }
            one if filter::is_of_container(one) => false,
            one if is_outcome(one) && self.outcome.is_some() => {
                one == Field::EvtFailed || allowed.is_some_and(|allowed| says_outcome(&allowed.set))
            }
            // Of bits the kernel asks only how large they are at least.
            Field::EvtArg => false,
            one => {
                let mut fields = self.fields.iter();
                fields.any(|(field, _)| ends_of(one, field.field))
            }
        }
    }
}

fn ends_of(field: Field, end: Field) -> bool {
    field == end
        || match field {
            Field::FdIp => matches!(end, Field::FdLip | Field::FdRip),
            Field::FdNet => matches!(end, Field::FdLnet | Field::FdRnet),
            Field::FdPort => matches!(end, Field::FdLport | Field::FdRport),
            _ => false,
        }
}

/// The word for the one of two that is possible; nothing where both are.
fn one_of([first, second]: [bool; 2], words: [&'static str; 2]) -> Option<&'static str> {
    let [one, other] = words;
    match (first, second) {
        (true, false) => Some(one),
        (false, true) => Some(other),
        _ => None,
    }
}

/// Fields of which the kernel knows of an open whether it failed, and no more.
const fn is_outcome(field: Field) -> bool {
    matches!(
        field,
        Field::EvtRes | Field::EvtRawres | Field::EvtFailed | Field::FdNum
    )
}

/// Whether a set has `host`, or all but that.
fn says_host(set: &ValueSet) -> bool {
    let is_host = |key: &TextKey| *key == TextKey::Exact(b"host"[..].into());
    match set {
        ValueSet::Having(keys) | ValueSet::Lacking(keys) => keys.iter().all(is_host),
        _ => false,
    }
}

/// Whether a set has all results that are no errors, or all that are.
fn says_outcome(set: &ValueSet) -> bool {
    let is_success = |key: &TextKey| *key == TextKey::Exact(b"SUCCESS"[..].into());
    match set {
        ValueSet::Having(keys) | ValueSet::Lacking(keys) => keys.iter().all(is_success),
        ValueSet::Numbers(ranges) => {
            matches!(ranges.as_slice(), [(0, i128::MAX) | (i128::MIN, -1)])
        }
        ValueSet::Addresses(_) => false,
    }
}

/// How many values or ranges are listed.
fn size(set: &ValueSet) -> usize {
    match set {
        ValueSet::Having(keys) | ValueSet::Lacking(keys) => keys.len(),
        ValueSet::Numbers(ranges) | ValueSet::Addresses(ranges) => ranges.len(),
    }
}

/// The values of a set, as many as there is room for, and how many more there are.
fn cut(set: &ValueSet, most: usize) -> String {
    let text = visible(&set.to_string());
    if text.chars().count() <= most {
        return text;
    }
    let mut shown = String::new();
    for part in text.split(" | ") {
        if !shown.is_empty() {
            if shown.len() + part.len() > most {
                break;
            }
            shown.push_str(" | ");
        }
        shown.push_str(part);
    }
    let more = size(set).saturating_sub(shown.split(" | ").count());
    if more > 0 {
        shown = format!("{shown} | and {more} more");
    }
    shown
}

fn bits(field: Field, set: &ValueSet) -> u32 {
    let has = |value: Value<'_>| set.contains(&value);
    match (field, set) {
        (Field::EvtRes, _) => 4 * u32::from(!has(Value::Text(b"SUCCESS"[..].into()))),
        (Field::EvtRawres, _) => 4 * u32::from(!has(Value::Signed(0))),
        (Field::EvtFailed, _) => 4 * u32::from(!has(Value::Bool(false))),
        (_, ValueSet::Lacking(_)) => 0,
        (field, ValueSet::Having(keys)) if filter::is_path(field) => {
            let each = keys.iter().map(|key| match key {
                TextKey::Exact(_) => 1,
                TextKey::Prefix(_) | TextKey::Below(_) => 16,
                TextKey::Suffix(_) | TextKey::Inside(_) => 64,
            });
            halvings(each.sum())
        }
        (_, ValueSet::Having(_)) => 2,
        (_, ValueSet::Numbers(ranges)) => match ranges.as_slice() {
            // Flags; and many programs are root's.
            [(0, 0) | (1, 1)] => 1,
            ranges => halvings(count(ranges)),
        },
        (_, ValueSet::Addresses(ranges)) => halvings(count(ranges) >> MOST_BITS),
    }
}

fn count(ranges: &[(i128, i128)]) -> u64 {
    let each = ranges.iter().map(|(low, high)| {
        let more = high.saturating_sub(*low).saturating_add(1);
        u64::try_from(more).unwrap_or(u64::MAX)
    });
    each.fold(0, u64::saturating_add)
}

/// How often very many are halved until so many are left.
fn halvings(left: u64) -> u32 {
    MOST_BITS.saturating_sub(left.max(1).ilog2())
}

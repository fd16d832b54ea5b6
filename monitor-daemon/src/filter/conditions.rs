//! What each clause asks of the call, and of the path.

use std::collections::BTreeSet;

use monitor_common::filter::{DIRECTORY, FAILED, Found, HANDLE, READ, Scope, WRITE};
use monitor_policy::{Allowed, Clause, Field, TextKey, Value, ValueSet, text};

use super::automaton::{Automaton, BEGIN, END, Needle};
use super::{BY_HANDLE, ERRORS, HOST};
use crate::event::on_host;

/// Texts that a clean path does not have.
const UNCLEAN: [&[u8]; 3] = [b"//", b"/./", b"/../"];
const UNCLEAN_ENDS: [&[u8]; 3] = [b"/", b"/.", b"/.."];

/// Which text of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Name,
    Directory,
    File,
    Raw,
}

/// The conditions of all clauses.
pub(super) struct Conditions<'a> {
    clauses: &'a [Clause],
    /// Texts to be found, with the clause and the part that ask for them.
    needles: Vec<(usize, Part, Vec<u16>)>,
    /// By part, the clauses that do not ask for it.
    pub(super) free: [u64; 4],
    /// By part, the clauses that ask for it not to have a text.
    pub(super) negated: [u64; 3],
}

impl<'a> Conditions<'a> {
    pub(super) fn new(clauses: &'a [Clause]) -> Self {
        let mut conditions = Self {
            clauses,
            needles: Vec::new(),
            free: [u64::MAX; 4],
            negated: [0; 3],
        };
        for (number, clause) in clauses.iter().enumerate() {
            for part in [Part::Name, Part::Directory, Part::File, Part::Raw] {
                let allowed = clause.of(part.field());
                if let Some((texts, wanted)) = allowed.and_then(|allowed| texts(part, &allowed.set))
                {
                    conditions.ask(number, part, texts, wanted);
                }
            }
        }
        conditions
    }

    fn ask(&mut self, clause: usize, part: Part, texts: Vec<Vec<u16>>, wanted: bool) {
        let bit = 1 << clause;
        if let Some(free) = self.free.get_mut(part as usize) {
            *free &= !bit;
        }
        if let (Some(negated), false) = (self.negated.get_mut(part as usize), wanted) {
            *negated |= bit;
        }
        let texts = texts.into_iter().map(|text| (clause, part, text));
        self.needles.extend(texts);
    }

    /// The automaton for all texts, and the clauses that had to be left out of it: those with the
    /// most texts, until it fits.
    pub(super) fn automaton(&mut self) -> Option<(Automaton, u64)> {
        let mut widened = 0;
        loop {
            if let Some(automaton) = Automaton::new(&self.all_needles()) {
                return Some((automaton, widened));
            }
            let size = |clause: usize| -> usize {
                let own = self.needles.iter().filter(|needle| needle.0 == clause);
                own.map(|(_, _, signs)| signs.len()).sum()
            };
            let largest = (0..self.clauses.len()).max_by_key(|clause| size(*clause))?;
            if size(largest) == 0 {
                return None;
            }
            self.needles.retain(|needle| needle.0 != largest);
            widened |= 1 << largest;
            let bit = 1 << largest;
            self.free.iter_mut().for_each(|free| *free |= bit);
            self.negated.iter_mut().for_each(|negated| *negated &= !bit);
        }
    }

    fn all_needles(&self) -> Vec<Needle> {
        let own = self.needles.iter().map(|(clause, part, signs)| {
            let mut found = Found::default();
            let word = match part {
                Part::Name => &mut found.name,
                Part::Directory => &mut found.directory,
                Part::File => &mut found.file,
                Part::Raw => &mut found.raw,
            };
            *word = 1 << clause;
            Needle {
                signs: signs.clone(),
                found,
            }
        });
        let unclean = |signs: Vec<u16>| Needle {
            signs,
            found: Found {
                unclean: u64::MAX,
                ..Found::default()
            },
        };
        let inside = UNCLEAN
            .iter()
            .map(|text| unclean(signs(text, false, false)));
        let at_end = UNCLEAN_ENDS
            .iter()
            .map(|text| unclean(signs(text, false, true)));
        own.chain(inside).chain(at_end).collect()
    }

    /// The clauses that a class of opens may fulfil.
    pub(super) fn left_by_class(&self, class: usize) -> u64 {
        let mut left = 0;
        for (number, clause) in self.clauses.iter().enumerate() {
            let mut fields = clause.fields.iter();
            if fields.all(|(field, allowed)| may_be(field.field, allowed, class)) {
                left |= 1 << number;
            }
        }
        left
    }
}

/// The clauses that events of this scope may fulfil.
pub(super) fn left_by_scope(clauses: &[Clause], scope: Scope) -> u64 {
    let mut left = 0;
    for (number, clause) in clauses.iter().enumerate() {
        let mut fields = clause.fields.iter();
        let holds = match scope {
            Scope::Either => true,
            Scope::Host => fields.all(|(field, allowed)| {
                let value = super::is_of_container(field.field).then(|| on_host(field.field));
                value.is_none_or(|value| match value {
                    Some(value) => allowed.set.contains(&value),
                    None => allowed.or_missing,
                })
            }),
            // Ids and runtimes differ; none is the host's (`crate::probe` leaves out one that is).
            Scope::Container => fields.all(|(field, allowed)| match (field.field, &*allowed.set) {
                (Field::ContainerId | Field::ContainerType, ValueSet::Having(keys)) => {
                    keys.iter().any(|key| !is_host(key))
                }
                _ => true,
            }),
        };
        if holds {
            left |= 1 << number;
        }
    }
    left
}

fn is_host(key: &TextKey) -> bool {
    matches!(key, TextKey::Exact(text) if text.as_ref() == HOST)
}

impl Part {
    const fn field(self) -> Field {
        match self {
            Self::Name => Field::FdName,
            Self::Directory => Field::FdDirectory,
            Self::File => Field::FdFilename,
            Self::Raw => Field::FdNameraw,
        }
    }
}

/// Whether a field of an open of this class may be as allowed.
fn may_be(field: Field, allowed: &Allowed, class: usize) -> bool {
    let failed = class & FAILED != 0;
    let is = |value: Value<'_>| allowed.set.contains(&value);
    let flag = |bit: usize| is(Value::Bool(class & bit != 0));
    match field {
        Field::EvtType => {
            let handle = Value::Text(BY_HANDLE.as_bytes().into());
            is(handle) == (class & HANDLE != 0)
        }
        Field::EvtIsOpenRead => flag(READ),
        Field::EvtIsOpenWrite => flag(WRITE),
        Field::EvtFailed => is(Value::Bool(failed)),
        Field::EvtRes if failed => (1..=ERRORS).any(|error| {
            let name = text::result(-error);
            is(Value::Text(name.as_bytes().into()))
        }),
        Field::EvtRes => is(Value::Text(text::result(0).as_bytes().into())),
        Field::FdNum if failed => is(Value::Signed(-1)),
        Field::EvtRawres if failed => meets(&allowed.set, -ERRORS, -1),
        Field::EvtRawres | Field::FdNum => meets(&allowed.set, 0, i32::MAX.into()),
        Field::FdTypechar => {
            let letter: &[u8] = if class & DIRECTORY != 0 { b"d" } else { b"f" };
            is(Value::Text(letter.into()))
        }
        Field::FdFilename if class & (DIRECTORY | FAILED) != 0 => allowed.or_missing,
        _ => true,
    }
}

/// Whether a number from `low` to `high` may be in a set.
fn meets(set: &ValueSet, low: i64, high: i64) -> bool {
    let (low, high) = (i128::from(low), i128::from(high));
    match set {
        ValueSet::Numbers(ranges) => ranges
            .iter()
            .any(|(first, last)| *first <= high && *last >= low),
        _ => true,
    }
}

/// The texts of which a path has to have one (`true`), or must not have any; `None` when that cannot
/// be said.
fn texts(part: Part, set: &ValueSet) -> Option<(Vec<Vec<u16>>, bool)> {
    let all = |keys: &BTreeSet<TextKey>| -> Option<Vec<Vec<u16>>> {
        let each = keys.iter().map(|key| needed(part, key));
        Some(each.collect::<Option<Vec<_>>>()?.concat())
    };
    match set {
        ValueSet::Having(keys) => Some((all(keys)?, true)),
        ValueSet::Lacking(_) if part == Part::Raw => None,
        ValueSet::Lacking(keys) => {
            let exact = keys.iter().filter_map(|key| exact(part, key));
            Some((exact.flatten().collect(), false))
        }
        ValueSet::Numbers(_) | ValueSet::Addresses(_) => None,
    }
}

/// The texts of which a path has one if its part has this; `None` when that is all paths.
fn needed(part: Part, key: &TextKey) -> Option<Vec<Vec<u16>>> {
    if let Some(exact) = exact(part, key) {
        return Some(exact);
    }
    match (part, key) {
        // Something may stand in front of it.
        (Part::Raw, TextKey::Exact(text) | TextKey::Suffix(text)) if !text.is_empty() => {
            Some(vec![signs(text, false, true)])
        }
        (Part::File, TextKey::Prefix(text)) if !text.is_empty() => Some(vec![
            signs(&after_slash(text), false, false),
            signs(text, true, false),
        ]),
        (Part::Raw, TextKey::Prefix(text) | TextKey::Inside(text) | TextKey::Below(text))
        | (Part::File, TextKey::Inside(text))
            if !text.is_empty() =>
        {
            Some(vec![signs(text, false, false)])
        }
        _ => None,
    }
}

/// The texts of which a path has one if, and only if, its part has this; `None` when there are none.
fn exact(part: Part, key: &TextKey) -> Option<Vec<Vec<u16>>> {
    let slash = |text: &[u8]| text.contains(&b'/');
    match (part, key) {
        (
            _,
            TextKey::Exact(text)
            | TextKey::Prefix(text)
            | TextKey::Suffix(text)
            | TextKey::Inside(text)
            | TextKey::Below(text),
        ) if text.is_empty() => None,
        (Part::Name, TextKey::Exact(text)) => Some(vec![signs(text, true, true)]),
        (Part::Name, TextKey::Prefix(text)) => Some(vec![signs(text, true, false)]),
        (Part::Name, TextKey::Suffix(text)) => Some(vec![signs(text, false, true)]),
        (Part::Name, TextKey::Inside(text)) => Some(vec![signs(text, false, false)]),
        // The root is the directory that is written with a slash.
        (Part::Name, TextKey::Below(text)) | (Part::Directory, TextKey::Exact(text))
            if text.as_ref() == b"/" =>
        {
            Some(vec![signs(text, true, false)])
        }
        (Part::Name, TextKey::Below(text)) => Some(vec![
            signs(text, true, true),
            signs(&with_slash(text), true, false),
        ]),
        (Part::Directory, TextKey::Exact(text)) if !text.ends_with(b"/") => {
            Some(vec![signs(&with_slash(text), true, false)])
        }
        (Part::File, TextKey::Exact(text)) if !slash(text) => Some(vec![
            signs(&after_slash(text), false, true),
            signs(text, true, true),
        ]),
        (Part::File, TextKey::Suffix(text)) if !slash(text) => Some(vec![signs(text, false, true)]),
        _ => None,
    }
}

fn with_slash(text: &[u8]) -> Vec<u8> {
    [text, b"/"].concat()
}

fn after_slash(text: &[u8]) -> Vec<u8> {
    [b"/", text].concat()
}

/// A text, from the beginning of a path or up to its end.
fn signs(text: &[u8], begin: bool, end: bool) -> Vec<u16> {
    let begin = begin.then_some(BEGIN);
    let end = end.then_some(END);
    let bytes = text.iter().map(|byte| u16::from(*byte));
    begin.into_iter().chain(bytes).chain(end).collect()
}

//! What a test against literals looks for in a value.

use crate::matching::{Case, Glob, NumberTest, Order, TextTest};
use crate::program::{Leaf, Operand, Predicate, Quantifier, Test};

/// Longest list of a test that is looked up with those of other tests.
const MAX_KEYS: usize = 10_000;

/// Something a value can have.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Key {
    /// It is this text.
    Exact(Box<[u8]>),
    /// It begins with it.
    Prefix(Box<[u8]>),
    /// It ends with it.
    Suffix(Box<[u8]>),
    /// It has it inside.
    Inside(Box<[u8]>),
    /// It has it inside, in whatever case of ASCII letters.
    InsideAnyCase(Box<[u8]>),
    /// It is this number.
    Number(i128),
}

/// A kind of keys, which are looked for together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum KeyKind {
    /// See [`Key::Exact`].
    Exact,
    /// See [`Key::Prefix`].
    Prefix,
    /// See [`Key::Suffix`].
    Suffix,
    /// See [`Key::Inside`].
    Inside,
    /// See [`Key::InsideAnyCase`].
    InsideAnyCase,
    /// See [`Key::Number`].
    Number,
}

/// What a test looks for: it holds when a value, or an element of one, has one of these.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The index of the field that is looked at.
    pub(super) slot: usize,
    /// What is looked for.
    pub(super) wanted: Vec<Key>,
    /// Whether having one of them is enough; else the test is made when there is one.
    pub(super) enough: bool,
}

impl Keys {
    /// The keys of a test; `None` when it looks for more or for something else.
    pub(super) fn of(leaf: &Leaf) -> Option<Self> {
        let (Operand::Slot(slot), Test::Literal(quantifier, predicate)) = (&leaf.left, &leaf.test)
        else {
            return None;
        };
        if *quantifier != Quantifier::Any {
            return None;
        }
        let keys = match predicate {
            Predicate::Text(TextTest::Glob(glob)) => vec![glob_key(glob)?],
            Predicate::Text(test) | Predicate::Dynamic(test, _) => text_keys(test)?,
            Predicate::Number(test) => number_keys(test)?,
            _ => return None,
        };
        (keys.len() <= MAX_KEYS).then_some(Self {
            slot: *slot,
            wanted: keys,
            enough: !matches!(predicate, Predicate::Text(TextTest::Glob(_))),
        })
    }
}

/// How many keys a test has, at least when they are many.
pub(super) fn count(leaf: &Leaf) -> usize {
    match &leaf.test {
        Test::Literal(
            _,
            Predicate::Text(TextTest::In(texts)) | Predicate::Dynamic(TextTest::In(texts), _),
        ) => texts.len(),
        _ => 1,
    }
}

fn text_keys(test: &TextTest) -> Option<Vec<Key>> {
    let one = |key: fn(Box<[u8]>) -> Key, text: &[u8]| {
        // Every value has the empty text: nothing to look for.
        (!text.is_empty()).then(|| vec![key(text.into())])
    };
    match test {
        TextTest::Order(Order::Equal, text) => Some(vec![Key::Exact(text.clone())]),
        TextTest::In(texts) => Some(texts.iter().cloned().map(Key::Exact).collect()),
        TextTest::StartsWith(text) => one(Key::Prefix, text),
        TextTest::EndsWith(text) => one(Key::Suffix, text),
        TextTest::Contains(finder) => one(Key::Inside, finder.needle()),
        TextTest::ContainsIgnoringCase(text) => one(Key::InsideAnyCase, text),
        _ => None,
    }
}

/// The longest text that a value of a pattern must have inside.
fn glob_key(glob: &Glob) -> Option<Key> {
    let (text, case) = glob.longest_literal()?;
    Some(match case {
        Case::Sensitive => Key::Inside(text),
        Case::Insensitive => Key::InsideAnyCase(text.to_ascii_lowercase().into()),
    })
}

fn number_keys(test: &NumberTest) -> Option<Vec<Key>> {
    match test {
        NumberTest::Order(Order::Equal, number) => Some(vec![Key::Number(*number)]),
        NumberTest::In(numbers) => Some(numbers.iter().copied().map(Key::Number).collect()),
        _ => None,
    }
}

impl KeyKind {
    /// For keys that are looked for inside of a value, whether case counts.
    pub(super) fn inside(self) -> Option<Case> {
        match self {
            Self::Inside => Some(Case::Sensitive),
            Self::InsideAnyCase => Some(Case::Insensitive),
            _ => None,
        }
    }
}

impl Key {
    /// Its kind.
    pub(super) fn kind(&self) -> KeyKind {
        match self {
            Self::Exact(_) => KeyKind::Exact,
            Self::Prefix(_) => KeyKind::Prefix,
            Self::Suffix(_) => KeyKind::Suffix,
            Self::Inside(_) => KeyKind::Inside,
            Self::InsideAnyCase(_) => KeyKind::InsideAnyCase,
            Self::Number(_) => KeyKind::Number,
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Exact(text)
            | Self::Prefix(text)
            | Self::Suffix(text)
            | Self::Inside(text)
            | Self::InsideAnyCase(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    /// Its number.
    pub(super) fn number(&self) -> Option<i128> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

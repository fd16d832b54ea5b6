//! A quick look whether a value can have one of some keys.
//!
//! Matchers know the keys of all rules, most of which count only when a rule is tried. A class
//! asks them only for values that the few keys its rules need do not refuse.

use super::byte_set::ByteSet;
use super::filter::Filter;
use super::keys::KeyKind;
use crate::event::Value;

/// Refuses most values that have none of some keys of one kind.
#[derive(Debug)]
pub(crate) enum Sieve {
    /// Of substrings.
    Inside(Filter),
    /// Of whole texts.
    Exact(Shape),
}

/// How whole texts look from outside.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    first: ByteSet,
    last: ByteSet,
    /// A bit for each length, counted anew from 64 on.
    lengths: u64,
}

impl Sieve {
    /// A sieve for keys of a kind; `None` when none would refuse much.
    pub(super) fn new(kind: KeyKind, keys: &[Box<[u8]>]) -> Option<Self> {
        match (kind, kind.inside()) {
            (_, Some(case)) => Filter::new(keys, case).map(Self::Inside),
            (KeyKind::Exact, _) => Shape::new(keys).map(Self::Exact),
            _ => None,
        }
    }

    /// Whether a value has none of the keys for sure.
    pub(crate) fn refuses(&self, value: &Value<'_>) -> bool {
        let Value::Text(text) = value else {
            return false;
        };
        match self {
            Self::Inside(filter) => !filter.may_have(text),
            Self::Exact(shape) => !shape.may_be(text),
        }
    }
}

impl Shape {
    fn new(texts: &[Box<[u8]>]) -> Option<Self> {
        let mut shape = Self::default();
        for text in texts {
            shape.first.insert(*text.first()?);
            shape.last.insert(*text.last()?);
            shape.lengths |= length(text);
        }
        let passing = shape.first.likelihood() * shape.last.likelihood();
        (passing < 0.25).then_some(shape)
    }

    fn may_be(&self, text: &[u8]) -> bool {
        let has = |set: &ByteSet, byte: Option<&u8>| byte.is_some_and(|byte| set.contains(*byte));
        self.lengths & length(text) != 0
            && has(&self.first, text.first())
            && has(&self.last, text.last())
    }
}

fn length(text: &[u8]) -> u64 {
    1 << (text.len() % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_only_what_has_no_key() {
        let keys = |texts: &[&str]| -> Vec<Box<[u8]>> {
            texts.iter().map(|text| text.as_bytes().into()).collect()
        };
        let text = |text: &'static str| Value::Text(text.as_bytes().into());
        let exact = Sieve::new(KeyKind::Exact, &keys(&["nginx", "httpd"])).unwrap();
        let inside = Sieve::new(KeyKind::InsideAnyCase, &keys(&["Secret"])).unwrap();
        for (sieve, value, refused) in [
            (&exact, text("nginx"), false),
            (&exact, text("httpd"), false),
            (&exact, text("nginx-"), true),
            (&exact, text("mginx"), true),
            (&exact, text("nginy"), true),
            (&exact, text(""), true),
            (&exact, Value::Unsigned(7), false),
            (&exact, Value::List(vec![text("nginx")]), false),
            (&inside, text("my sECRET"), false),
            (&inside, text("my sECRE"), true),
        ] {
            assert_eq!(sieve.refuses(&value), refused, "{value:?}");
        }
        assert!(Sieve::new(KeyKind::Exact, &keys(&["", "a"])).is_none());
        assert!(Sieve::new(KeyKind::Prefix, &keys(&["/etc"])).is_none());
    }
}

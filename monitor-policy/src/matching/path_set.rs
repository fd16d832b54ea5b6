//! `pmatch`: whether some path of a set is a prefix of a path, component by component.

use std::collections::{BTreeSet, HashSet};

use super::glob::{Case, Glob};
use crate::necessary::TextKey;

/// A set of path prefixes whose components may be patterns.
#[derive(Clone, Debug)]
pub(crate) struct PathSet {
    /// Prefixes without patterns, cleaned of doubled and trailing slashes; the root is empty.
    literals: HashSet<Box<[u8]>>,
    patterns: Vec<Prefix>,
}

#[derive(Clone, Debug)]
struct Prefix {
    absolute: bool,
    components: Vec<Glob>,
}

impl PathSet {
    /// The set of these prefixes.
    pub(crate) fn new<'a>(prefixes: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut set = Self {
            literals: HashSet::new(),
            patterns: Vec::new(),
        };
        for prefix in prefixes {
            let globs: Vec<_> = components(prefix)
                .map(|part| Glob::new(part, Case::Sensitive))
                .collect();
            match globs.iter().map(Glob::literal).collect::<Option<Vec<_>>>() {
                Some(parts) => {
                    let mut clean = Vec::new();
                    let mut slash = is_absolute(prefix);
                    for part in &parts {
                        if slash {
                            clean.push(b'/');
                        }
                        clean.extend_from_slice(part);
                        slash = true;
                    }
                    if !parts.is_empty() || is_absolute(prefix) {
                        set.literals.insert(clean.into());
                    }
                }
                None => set.patterns.push(Prefix {
                    absolute: is_absolute(prefix),
                    components: globs,
                }),
            }
        }
        set
    }

    /// The set as keys; `None` when there are patterns in it.
    pub(crate) fn keys(&self) -> Option<BTreeSet<TextKey>> {
        if !self.patterns.is_empty() {
            return None;
        }
        let path = |literal: &[u8]| match literal {
            // The root is kept as nothing.
            b"" => b"/"[..].into(),
            _ => literal.into(),
        };
        let literals = self.literals.iter();
        Some(
            literals
                .map(|literal| TextKey::Below(path(literal)))
                .collect(),
        )
    }

    /// Whether a path is one of the prefixes or below.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        self.matches_literal(path) || self.patterns.iter().any(|prefix| prefix.matches(path))
    }

    fn matches_literal(&self, path: &[u8]) -> bool {
        if self.literals.is_empty() {
            return false;
        }
        if !path.windows(2).any(|pair| pair == b"//") {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let mut prefixes = ends.map(|(at, _)| path.get(..at).unwrap_or_default());
            return prefixes.any(|prefix| {
                (!prefix.is_empty() || is_absolute(path)) && self.literals.contains(prefix)
            }) || (!path.is_empty() && self.literals.contains(path));
        }
        let mut clean = Vec::with_capacity(path.len());
        for part in components(path) {
            if is_absolute(path) || !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(part);
        }
        self.matches_literal(&clean)
    }
}

impl Prefix {
    fn matches(&self, path: &[u8]) -> bool {
        if self.absolute != is_absolute(path) {
            return false;
        }
        let mut parts = components(path);
        self.components
            .iter()
            .all(|glob| parts.next().is_some_and(|part| glob.matches(part)))
    }
}

fn is_absolute(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_by_components() {
        let check = |prefixes: &[&str], path: &str, expected: bool| {
            let set = PathSet::new(prefixes.iter().map(|prefix| prefix.as_bytes()));
            assert_eq!(
                set.matches(path.as_bytes()),
                expected,
                "{prefixes:?} {path}"
            );
        };
        check(&["/var/run"], "/var/run", true);
        check(&["/var/run"], "/var/run/x/y", true);
        check(&["/var/run"], "/var/running", false);
        check(&["/var/run/"], "/var/run", true);
        check(&["/var/run"], "/var//run/x", true);
        check(&["/var/run"], "/var/run/", true);
        check(&["/"], "/etc", true);
        check(&["/"], "/", true);
        check(&["/"], "etc", false);
        check(&["etc"], "/etc", false);
        check(&["etc"], "etc/x", true);
        check(&["/home/*/.ssh"], "/home/a/.ssh/id", true);
        check(&["/home/*/.ssh"], "/home/a/b/.ssh", false);
        check(&["/home/*"], "/home", false);
        check(&["/a*", "/b*/c"], "/bx/c", true);
        check(&["/a*/x", "/ab/y"], "/ab/y", true);
        check(&[], "/etc", false);
        check(&[""], "/etc", false);
        check(&["/etc"], "", false);
    }
}

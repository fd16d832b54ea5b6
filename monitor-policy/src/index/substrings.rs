//! All substrings of a set that a text has, by one pass over it.

use aho_corasick::automaton::Automaton;
use aho_corasick::{Anchored, dfa, nfa::contiguous};
use memchr::memmem::Finder;

use crate::matching::Case;

/// Up to so many bytes the automaton is the fast kind, which takes some hundred bytes for each.
const MAX_FAST_BYTES: usize = 4 << 10;
/// Up to so many substrings are looked for one after the other.
const MAX_SINGLE: usize = 2;

/// Looks for substrings, which are numbered.
#[derive(Debug, Default)]
pub(super) enum Substrings {
    /// There are none.
    #[default]
    None,
    /// A few.
    Single(Vec<Finder<'static>>),
    /// Some.
    Fast(dfa::DFA),
    /// Many.
    Compact(contiguous::NFA),
}

impl Substrings {
    /// Looks for these; `None` when they are too many.
    pub(super) fn new(texts: &[Box<[u8]>], case: Case) -> Option<Self> {
        if texts.is_empty() {
            return Some(Self::None);
        }
        if texts.len() <= MAX_SINGLE && case == Case::Sensitive {
            let finders = texts.iter().map(|text| Finder::new(text).into_owned());
            return Some(Self::Single(finders.collect()));
        }
        let any_case = case == Case::Insensitive;
        if texts.iter().map(|text| text.len()).sum::<usize>() > MAX_FAST_BYTES {
            let mut builder = contiguous::NFA::builder();
            builder.prefilter(false).ascii_case_insensitive(any_case);
            return builder.build(texts).ok().map(Self::Compact);
        }
        let mut builder = dfa::DFA::builder();
        builder.prefilter(false).ascii_case_insensitive(any_case);
        builder.build(texts).ok().map(Self::Fast)
    }

    /// Gives each substring that a text has by its number, some perhaps repeatedly.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(usize)) {
        match self {
            Self::None => {}
            Self::Single(finders) => {
                for (number, finder) in finders.iter().enumerate() {
                    if finder.find(text).is_some() {
                        found(number);
                    }
                }
            }
            Self::Fast(automaton) => walk(automaton, text, found),
            Self::Compact(automaton) => walk(automaton, text, found),
        }
    }
}

fn walk(automaton: &impl Automaton, text: &[u8], mut found: impl FnMut(usize)) {
    let Ok(mut state) = automaton.start_state(Anchored::No) else {
        return;
    };
    for byte in text {
        state = automaton.next_state(Anchored::No, state, *byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            let patterns = 0..automaton.match_len(state);
            let pattern = |index| automaton.match_pattern(state, index).as_usize();
            patterns.map(pattern).for_each(&mut found);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(substrings: &Substrings, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        substrings.find(text.as_bytes(), |number| found.push(number));
        found.sort_unstable();
        found.dedup();
        found
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            needles in prop::collection::btree_set("[ab]{1,4}", 0..8),
            text in prop_oneof!["[abAB ]{0,8}", "[abAB ]{60,80}"],
        ) {
            let needles: Vec<String> = needles.into_iter().collect();
            let texts: Vec<Box<[u8]>> = needles.iter().map(|needle| needle.as_bytes().into()).collect();
            let expected = |text: &str| -> Vec<usize> {
                (0..needles.len()).filter(|number| text.contains(&needles[*number])).collect()
            };
            let exact = Substrings::new(&texts, Case::Sensitive).unwrap();
            prop_assert_eq!(found(&exact, &text), expected(&text));
            let any_case = Substrings::new(&texts, Case::Insensitive).unwrap();
            prop_assert_eq!(found(&any_case, &text), expected(&text.to_lowercase()));
        }
    }

    #[test]
    fn many_are_found_too() {
        let texts: Vec<Box<[u8]>> = (0..2000)
            .map(|number| format!("needle{number:04}").into_bytes().into())
            .collect();
        let substrings = Substrings::new(&texts, Case::Sensitive).unwrap();
        assert!(matches!(substrings, Substrings::Compact(_)));
        assert_eq!(found(&substrings, "a needle0007 and needle1999"), [7, 1999]);
    }
}

//! A quick no for substrings: most texts that have none of a set are told so by one look at a
//! table for each byte, each look independent of the one before.
//!
//! The substrings stand in eight buckets of similar ones. A byte's entry in the table has, for
//! each of the last [`PLACES`] places of a substring, a bit for each bucket that does *not* have
//! the byte there. Shifted from place to place and added up along the text, a bucket whose bit is
//! still clear at the last place may have a substring that ends here; what it is remains to be
//! seen.

use super::byte_set::ByteSet;
use crate::matching::Case;

/// How many bytes of a substring are looked at: one byte of a word for each.
const PLACES: usize = 8;
/// One bit of a byte for each.
const BUCKETS: usize = 8;
/// Into so many groups the substrings are cut at most before these are joined to buckets.
const GROUPS: usize = 16;
/// A filter that refuses less than all but one in so many places of a text is not worth its time.
const WORTH: f64 = 256.0;

/// Refuses texts that cannot have a substring.
#[derive(Debug)]
pub(crate) struct Filter {
    refused: Box<[u64; 256]>,
    /// What is refused before the first byte.
    start: u64,
}

/// For each place the bytes that substrings of a bucket have there; all bytes where one is too
/// short to reach back to it.
#[derive(Clone, Debug, Default)]
struct Bucket([ByteSet; PLACES]);

impl Filter {
    /// A filter for these substrings; `None` when it would seldom refuse.
    pub(super) fn new(texts: &[Box<[u8]>], case: Case) -> Option<Self> {
        let buckets = buckets(texts, case);
        let passing: f64 = buckets.iter().map(Bucket::likelihood).sum();
        (passing * WORTH < 1.0).then(|| Self::of(&buckets, case))
    }

    fn of(buckets: &[Bucket], case: Case) -> Self {
        let mut refused = Box::new([u64::MAX; 256]);
        let mut required = u64::MAX;
        for (number, bucket) in buckets.iter().enumerate() {
            for (place, set) in bucket.0.iter().enumerate() {
                let bit = 1_u64 << (place * BUCKETS + number);
                if *set == ByteSet::ALL {
                    required &= !bit;
                    continue;
                }
                let all = (0..=u8::MAX).zip(refused.iter_mut());
                for (_, refused) in all.filter(|(byte, _)| set.contains(folded(*byte, case))) {
                    *refused &= !bit;
                }
            }
        }
        refused.iter_mut().for_each(|refused| *refused &= required);
        // As if bytes that no substring has came before.
        let start = (0..PLACES).fold(0, |state, _| state << BUCKETS | required);
        Self { refused, start }
    }

    /// Whether a text may have one of the substrings.
    pub(super) fn may_have(&self, text: &[u8]) -> bool {
        let mut state = self.start;
        let mut ended = u64::MAX;
        for byte in text {
            let refused = self.refused.get(usize::from(*byte)).copied();
            state = state << BUCKETS | refused.unwrap_or_default();
            ended &= state;
        }
        ended >> ((PLACES - 1) * BUCKETS) != (1 << BUCKETS) - 1
    }
}

/// Neighbours in order of length and bytes are similar; those are joined that cost least.
fn buckets(texts: &[Box<[u8]>], case: Case) -> Vec<Bucket> {
    let mut ends: Vec<&[u8]> = texts.iter().map(|text| end(text)).collect();
    ends.sort_unstable_by_key(|end| (end.len(), *end));
    let each = ends.len().div_ceil(GROUPS).max(1);
    let groups = ends.chunks(each).map(|ends| Bucket::of(ends, case));
    let mut buckets: Vec<Bucket> = groups.collect();
    while buckets.len() > BUCKETS {
        let costs = buckets.windows(2).map(|pair| match pair {
            [a, b] => a.with(b).likelihood() - a.likelihood() - b.likelihood(),
            _ => f64::INFINITY,
        });
        let cheapest = costs.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((at, _)) = cheapest else { break };
        let second = buckets.remove(at + 1);
        if let Some(first) = buckets.get_mut(at) {
            *first = first.with(&second);
        }
    }
    buckets
}

fn end(text: &[u8]) -> &[u8] {
    let start = text.len().saturating_sub(PLACES);
    text.get(start..).unwrap_or_default()
}

fn folded(byte: u8, case: Case) -> u8 {
    match case {
        Case::Sensitive => byte,
        Case::Insensitive => byte.to_ascii_lowercase(),
    }
}

impl Bucket {
    fn of(ends: &[&[u8]], case: Case) -> Self {
        let mut bucket = Self::default();
        for end in ends {
            let missing = PLACES - end.len().min(PLACES);
            for (place, set) in bucket.0.iter_mut().enumerate() {
                let byte = place.checked_sub(missing).and_then(|at| end.get(at));
                match byte {
                    Some(byte) => set.insert(folded(*byte, case)),
                    None => *set = ByteSet::ALL,
                }
            }
        }
        bucket
    }

    fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (set, more) in both.0.iter_mut().zip(&other.0) {
            *set = set.with(more);
        }
        both
    }

    /// How likely it is not to refuse at a place of a text that has none of it; an estimate.
    fn likelihood(&self) -> f64 {
        self.0.iter().map(ByteSet::likelihood).product()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(texts: &[String]) -> Vec<Box<[u8]>> {
        texts.iter().map(|text| text.as_bytes().into()).collect()
    }

    proptest! {
        #[test]
        fn never_refuses_a_text_that_has_one(
            needles in prop::collection::vec("[abcdeABC]{1,12}", 1..40),
            chosen in any::<prop::sample::Index>(),
            before in "[a-e ]{0,10}",
            after in "[a-e ]{0,10}",
        ) {
            let texts = boxed(&needles);
            let text = format!("{before}{}{after}", chosen.get(&needles));
            let exact = Filter::of(&buckets(&texts, Case::Sensitive), Case::Sensitive);
            prop_assert!(exact.may_have(text.as_bytes()));
            let any_case = Filter::of(&buckets(&texts, Case::Insensitive), Case::Insensitive);
            prop_assert!(any_case.may_have(text.to_ascii_uppercase().as_bytes()));
        }
    }

    #[test]
    fn refuses_what_has_none() {
        let texts = boxed(&["--rcfile".into(), "ld.so.preload".into(), "/etc/".into()]);
        let filter = Filter::new(&texts, Case::Sensitive).unwrap();
        for text in [
            "",
            "/etc",
            "preload",
            "ile",
            "cat --rcfil",
            "cat /ETC/passwd",
            "so preload",
        ] {
            assert!(!filter.may_have(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn is_not_made_of_what_most_texts_have() {
        let texts = boxed(&["e".into(), "something long".into()]);
        assert!(Filter::new(&texts, Case::Sensitive).is_none());
    }
}

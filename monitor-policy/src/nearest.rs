//! Finds the name that was probably meant.

use std::cmp::Reverse;

/// Longest name that is looked at, in bytes.
const MAX_LENGTH: usize = 100;

/// Most candidates of about its length.
const MAX_CANDIDATES: usize = 2000;

/// ``did you mean `x`?`` for the candidate nearest to `name`, if one is near.
pub(crate) fn hint<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|found| format!("did you mean `{found}`?"))
}

/// The candidate with the least edits from `name`, at most a third of its length; of equals that
/// which goes on like it for longest, and of those the first.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    all_near(name, candidates).into_iter().next()
}

/// All candidates that may have been meant, the nearest first.
pub fn all_near<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 4);
    if name.len() > MAX_LENGTH {
        return Vec::new();
    }
    let name = name.to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> = candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .take(MAX_CANDIDATES)
        .map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_by_key(|(distance, candidate)| (*distance, Reverse(common(&name, candidate))));
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How many letters two texts begin with alike.
fn common(name: &str, candidate: &str) -> usize {
    let pairs = name.chars().zip(candidate.chars());
    pairs
        .take_while(|(one, other)| *one == other.to_ascii_lowercase())
        .count()
}

/// Edits (insert, remove, replace, swap of neighbours).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        // Of each cell: the letter, the one before it, and the cells above that edits come from.
        let letters = b.iter().zip([None].into_iter().chain(b.iter().map(Some)));
        let above = row.iter().zip(row.iter().skip(1));
        let swaps = [None].into_iter().chain(before.iter().map(Some));
        for (((to, to_previous), (diagonal, up)), swap) in letters.zip(above).zip(swaps) {
            let replaced = diagonal + usize::from(from != *to);
            left = replaced.min(up + 1).min(left + 1);
            if let Some(swap) = swap
                && previous == Some(*to)
                && to_previous == Some(&from)
            {
                left = left.min(swap + 1);
            }
            next.push(left);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(from);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let check = |a, b, expected| assert_eq!(distance(a, b), expected, "{a} {b}");
        check("", "", 0);
        check("abc", "abc", 0);
        check("abc", "abd", 1);
        check("abc", "bc", 1);
        check("abc", "xabc", 1);
        check("", "abc", 3);
        check("kitten", "sitting", 3);
        check("nmae", "name", 1);
        check("ab", "ba", 1);
        check("abcd", "badc", 2);
    }

    #[test]
    fn finds_what_was_meant() {
        let names = ["proc.name", "proc.pname", "fd.name"];
        let check = |name, expected| assert_eq!(nearest(name, names.into_iter()), expected);
        check("proc.nmae", Some("proc.name"));
        check("proc.pnam", Some("proc.pname"));
        check("something.else", None);
    }
}

//! Reads an argument list as `getopt(3)` does.

/// One option that was found, and its argument.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found<'a> {
    pub(super) letter: u8,
    pub(super) argument: Option<&'a [u8]>,
}

/// The options among `words` by an option string such as `ab:c::`. Reading ends at `--`; words
/// that are no options are passed over.
pub(super) fn getopt<'a>(words: &[&'a [u8]], options: &[u8]) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == b"--" {
            break;
        }
        let Some((b'-', mut letters)) = word.split_first().map(|(first, rest)| (*first, rest))
        else {
            continue;
        };
        while let Some((letter, rest)) = letters.split_first() {
            letters = rest;
            let argument = match arity(options, *letter) {
                None => continue,
                Some(Arity::None) => None,
                Some(_) if !rest.is_empty() => Some(rest),
                Some(Arity::Optional) => None,
                Some(Arity::Required) => words.next().copied(),
            };
            found.push(Found {
                letter: *letter,
                argument,
            });
            if argument.is_some() {
                break;
            }
        }
    }
    found
}

enum Arity {
    None,
    Required,
    Optional,
}

fn arity(options: &[u8], letter: u8) -> Option<Arity> {
    let at = options
        .iter()
        .position(|option| *option == letter && letter != b':')?;
    Some(match options.get(at + 1..) {
        Some([b':', b':', ..]) => Arity::Optional,
        Some([b':', ..]) => Arity::Required,
        _ => Arity::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_options() {
        let check = |words: &[&str], options: &str, expected: &[(char, Option<&str>)]| {
            let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
            let found = getopt(&words, options.as_bytes());
            let found: Vec<_> = found
                .iter()
                .map(|found| {
                    let text = |bytes| std::str::from_utf8(bytes).unwrap();
                    (char::from(found.letter), found.argument.map(text))
                })
                .collect();
            assert_eq!(found, expected, "{options}");
        };
        check(
            &["-a", "x", "-b", "y"],
            "ab:",
            &[('a', None), ('b', Some("y"))],
        );
        check(&["-aby"], "ab:", &[('a', None), ('b', Some("y"))]);
        check(&["-b"], "b:", &[('b', None)]);
        check(&["-c", "y"], "c::", &[('c', None)]);
        check(&["-a", "--", "-a"], "a", &[('a', None)]);
        check(&["-z"], "a", &[]);
    }
}

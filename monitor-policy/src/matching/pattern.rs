//! Regular expressions: POSIX syntax as RE2 reads it, matched against the whole text.

use regex::Regex;

use super::posix;

/// Memory that one expression may take, and as much again while it is matched: rules may have many.
const MAX_BYTES: usize = 512 << 10;

/// A regular expression for whole texts.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression; the error says what is wrong with it.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        let whole = format!("\\A(?:{})\\z", posix::translate(source)?);
        let regex = regex::RegexBuilder::new(&whole)
            .multi_line(true)
            .size_limit(MAX_BYTES)
            .dfa_size_limit(MAX_BYTES)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too big".to_owned(),
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    last.trim_start_matches("error: ").to_owned()
                }
            })?;
        Ok(Self(regex))
    }

    /// Whether the whole text matches; bytes that are no UTF-8 count as U+FFFD.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(&String::from_utf8_lossy(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts() {
        let check = |pattern: &str, text: &[u8], expected: bool| {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(text),
                expected,
                "{pattern}"
            );
        };
        check("abc", b"abc", true);
        check("ab", b"abc", false);
        check("a|abc", b"abc", true);
        check("[a-z]+/[[:digit:]]{2,3}", b"x/12", true);
        check("a.c", b"a\nc", false);
        check("a.c", b"a\xffc", true);
        check("\\.so", b".so", true);
        check("a$", b"a\n", false);
        check("a$\nb", b"a\nb", true);
        check("", b"", true);
        check("a||b", b"", true);
    }

    #[test]
    fn syntax_is_posix() {
        let check = |pattern: &str, text: &str, expected: bool| {
            let found = Pattern::new(pattern).unwrap().matches(text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        };
        check("a+?", "", true);
        check("a+?b", "aab", true);
        check("a**", "aa", true);
        check("a{2}", "aa", true);
        check("a{2,}", "a", false);
        check("a{,2}", "a{,2}", true);
        check("a{", "a{", true);
        check("{", "{", true);
        check("(a|b)*c", "abac", true);
        check("[a&&b]", "&", true);
        check("[]a]+", "]a", true);
        check("[^]a]", "]", false);
        check("[a-]+", "-a", true);
        check("[a[:digit:]_]+", "a1_", true);
        check("[[:^digit:]]", "1", false);
        check("[[a]", "[", true);
        check("[^a]", "\n", true);
        check("\\<a\\>", "<a>", true);
        check("\\x41\\x{42}\\101", "ABA", true);
        check("\\_#~-", "_#~-", true);
        check("é.", "éé", true);
    }

    #[test]
    fn time_grows_with_the_length_only() {
        // What takes the square of it does not end here in bearable time.
        for part in ["{", "*", "(", "{1", "[:"] {
            let pattern = format!("a{}", part.repeat(100_000));
            assert!(Pattern::new(&pattern).is_err(), "{part}");
        }
    }

    #[test]
    fn refuses_what_posix_does_not_know() {
        for pattern in [
            "\\d", "(?i)a", "(", ")", "[", "*a", "a|*", "(+)", "\\1", "\\", "a{3,2}", "a{1001}",
            "[b-a]", "[a-b-c]", "[[:no:]]", "\\pL", "\\x4",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}

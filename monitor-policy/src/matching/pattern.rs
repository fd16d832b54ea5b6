//! Regular expressions: POSIX syntax as RE2 reads it, matched against the whole text.

use regex::Regex;

/// Memory that one expression may take, and as much again while it is matched: rules may have many.
const MAX_BYTES: usize = 512 << 10;

/// A regular expression for whole texts.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression; the error says what is wrong with it.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        refuse_extensions(source)?;
        let whole = format!("^(?:{source})$");
        let regex = regex::RegexBuilder::new(&whole)
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

/// Refuses what POSIX does not know: RE2 would not take it either.
fn refuse_extensions(source: &str) -> Result<(), String> {
    let mut characters = source.chars().peekable();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match character {
            '\\' => {
                let escaped = characters.next();
                if escaped.is_some_and(|c| "dDwWsSbBAzZQEpPkKGC".contains(c)) {
                    let escaped = escaped.unwrap_or_default();
                    return Err(format!(
                        "`\\{escaped}` is not known; write a class such as [[:digit:]]"
                    ));
                }
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class && next == Some('?') => {
                return Err("groups with `(?` are not known".to_owned());
            }
            '*' | '+' | '?' | '}' if !in_class && matches!(next, Some('?' | '+' | '*')) => {
                return Err("two repetitions follow each other".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
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
    }

    #[test]
    fn refuses_what_posix_does_not_know() {
        for pattern in ["\\d", "a*?", "(?i)a", "a++", "(", "[", "*a"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}

//! Shell patterns as `fnmatch(3)` reads them without flags: `*`, `?` and `[…]` cross slashes, a
//! backslash takes the next character literally.

use crate::necessary::TextKey;

/// Whether letters match in either case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    /// `a` is not `A`.
    Sensitive,
    /// `a` is `A`, in ASCII.
    Insensitive,
}

/// A pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
    case: Case,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Byte(u8),
    Any,
    Never,
    Star,
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl Glob {
    /// Reads a pattern. Every text is one: an unclosed bracket stands for itself.
    pub(crate) fn new(pattern: &[u8], case: Case) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'*' if tokens.last() == Some(&Token::Star) => {}
                b'*' => tokens.push(Token::Star),
                b'?' => tokens.push(Token::Any),
                b'[' => match class(after) {
                    Some((class, after)) => {
                        rest = after;
                        tokens.push(class);
                    }
                    None => tokens.push(Token::Byte(b'[')),
                },
                b'\\' => match after.split_first() {
                    Some((escaped, after)) => {
                        rest = after;
                        tokens.push(Token::Byte(*escaped));
                    }
                    // As glibc has it, a pattern that ends so fits nothing.
                    None => tokens.push(Token::Never),
                },
                byte => tokens.push(Token::Byte(*byte)),
            }
        }
        Self { tokens, case }
    }

    /// The text, if the pattern stands only for that.
    pub(crate) fn literal(&self) -> Option<Vec<u8>> {
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        self.tokens.iter().map(byte).collect()
    }

    /// The longest text that everything of this pattern has inside; `None` when there is none.
    pub(crate) fn longest_literal(&self) -> Option<(Box<[u8]>, Case)> {
        let runs = self.tokens.chunk_by(|a, b| a.is_byte() && b.is_byte());
        let text = |run: &[Token]| -> Vec<u8> {
            let bytes = run.iter().filter_map(|token| match token {
                Token::Byte(byte) => Some(*byte),
                _ => None,
            });
            bytes.collect()
        };
        let longest = runs.map(text).max_by_key(Vec::len)?;
        (!longest.is_empty()).then(|| (longest.into(), self.case))
    }

    /// What every text of this pattern has: its beginning, its end or something inside, whichever
    /// the pattern says most of.
    pub(crate) fn necessary(&self) -> Option<TextKey> {
        if self.case == Case::Insensitive {
            return None;
        }
        let run = |tokens: &mut dyn Iterator<Item = &Token>| -> Vec<u8> {
            tokens
                .map_while(|token| match token {
                    Token::Byte(byte) => Some(*byte),
                    _ => None,
                })
                .collect()
        };
        let start = run(&mut self.tokens.iter());
        if start.len() == self.tokens.len() {
            return Some(TextKey::Exact(start.into()));
        }
        let mut end = run(&mut self.tokens.iter().rev());
        end.reverse();
        let longest = self
            .longest_literal()
            .map(|(text, _)| text)
            .unwrap_or_default();
        if start.len() > 1 {
            Some(TextKey::Prefix(start.into()))
        } else if end.len() > 1 {
            Some(TextKey::Suffix(end.into()))
        } else {
            (!longest.is_empty()).then_some(TextKey::Inside(longest))
        }
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut token, mut byte) = (0, 0);
        // Where to go on when the text after the last star does not fit: one byte further.
        let mut retry = None;
        loop {
            match (self.tokens.get(token), text.get(byte)) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    retry = Some((token + 1, byte));
                    token += 1;
                    continue;
                }
                (Some(expected), Some(found)) if expected.fits(*found, self.case) => {
                    token += 1;
                    byte += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((after_star, start)) if start < text.len() => {
                    retry = Some((after_star, start + 1));
                    (token, byte) = (after_star, start + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn is_byte(&self) -> bool {
        matches!(self, Self::Byte(_))
    }

    fn fits(&self, found: u8, case: Case) -> bool {
        match self {
            Self::Any => true,
            Self::Star | Self::Never => false,
            Self::Byte(byte) => match case {
                Case::Sensitive => *byte == found,
                Case::Insensitive => byte.eq_ignore_ascii_case(&found),
            },
            Self::Class { negated, ranges } => {
                let within = |byte: u8| {
                    ranges
                        .iter()
                        .any(|(low, high)| (*low..=*high).contains(&byte))
                };
                let inside = match case {
                    Case::Sensitive => within(found),
                    Case::Insensitive => {
                        within(found.to_ascii_lowercase()) || within(found.to_ascii_uppercase())
                    }
                };
                inside != *negated
            }
        }
    }
}

/// A bracket expression, `[` already read; `None` when it is not closed.
fn class(text: &[u8]) -> Option<(Token, &[u8])> {
    let (negated, mut rest) = match text.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        let (byte, after) = rest.split_first()?;
        if *byte == b']' && !first {
            return Some((Token::Class { negated, ranges }, after));
        }
        first = false;
        if let Some((named, after)) = named_class(rest) {
            ranges.extend_from_slice(named);
            rest = after;
            continue;
        }
        let (low, after) = class_byte(rest)?;
        rest = after;
        let mut high = low;
        if let [b'-', next, ..] = rest
            && *next != b']'
        {
            (high, rest) = class_byte(rest.get(1..)?)?;
        }
        ranges.push((low, high));
    }
}

fn class_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, rest) = text.split_first()?;
    if *byte == b'\\' {
        let (escaped, rest) = rest.split_first()?;
        return Some((*escaped, rest));
    }
    Some((*byte, rest))
}

type Ranges = &'static [(u8, u8)];

/// `[:alpha:]` and its like within a bracket expression.
fn named_class(text: &[u8]) -> Option<(Ranges, &[u8])> {
    let classes: [(&[u8], Ranges); 12] = [
        (b"[:alnum:]", &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')]),
        (b"[:alpha:]", &[(b'A', b'Z'), (b'a', b'z')]),
        (b"[:blank:]", &[(b' ', b' '), (b'\t', b'\t')]),
        (b"[:cntrl:]", &[(0, 31), (127, 127)]),
        (b"[:digit:]", &[(b'0', b'9')]),
        (b"[:graph:]", &[(b'!', b'~')]),
        (b"[:lower:]", &[(b'a', b'z')]),
        (b"[:print:]", &[(b' ', b'~')]),
        (
            b"[:punct:]",
            &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        ),
        (b"[:space:]", &[(b'\t', b'\r'), (b' ', b' ')]),
        (b"[:upper:]", &[(b'A', b'Z')]),
        (b"[:xdigit:]", &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')]),
    ];
    classes
        .into_iter()
        .find_map(|(name, ranges)| Some((ranges, text.strip_prefix(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matches_as_fnmatch() {
        let check = |pattern: &str, text: &str, expected: bool| {
            let glob = Glob::new(pattern.as_bytes(), Case::Sensitive);
            assert_eq!(glob.matches(text.as_bytes()), expected, "{pattern} {text}");
        };
        check("/etc/*", "/etc/a/b", true);
        check("/etc/*", "/etc", false);
        check("*.so", "x.so.1", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("[a-c]x", "bx", true);
        check("[!a-c]x", "bx", false);
        check("[^a-c]x", "dx", true);
        check("[]a]", "]", true);
        check("[a", "[a", true);
        check("[[:digit:]]*", "1abc", true);
        check("a\\*b", "a*b", true);
        check("a\\*b", "axb", false);
        check("\\", "\\", false);
        check("", "", true);
        check("", "a", false);
        check("**a**", "bab", true);
        check("*a*b*c", "xxaxxbxxc", true);
        check("[a-", "[a-", true);
        assert!(Glob::new(b"/ETC/*", Case::Insensitive).matches(b"/etc/X"));
        assert!(Glob::new(b"[A-C]", Case::Insensitive).matches(b"b"));
    }

    /// What a pattern means, without any thought for cost.
    fn simple(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                simple(rest, text) || text.split_first().is_some_and(|t| simple(pattern, t.1))
            }
            (Some((b'?', rest)), Some((_, after))) => simple(rest, after),
            (Some((a, rest)), Some((b, after))) => a == b && simple(rest, after),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_its_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let glob = Glob::new(pattern.as_bytes(), Case::Sensitive);
            prop_assert_eq!(glob.matches(text.as_bytes()), simple(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn any_pattern_is_one(pattern in prop::collection::vec(any::<u8>(), 0..12), text in any::<[u8; 4]>()) {
            Glob::new(&pattern, Case::Insensitive).matches(&text);
        }
    }
}

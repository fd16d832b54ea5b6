//! Reads lexemes from the text of a condition or an output.

use super::Fault;
use super::ast::{Literal, Name, Span};

/// Deepest nesting of transformers.
pub(super) const MAX_CALLS: usize = 32;

/// A position in a text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    position: usize,
    max_calls: usize,
}

impl<'a> Cursor<'a> {
    /// The begin of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            max_calls: MAX_CALLS,
        }
    }

    /// The same for a text in which transformers are nested so deep at most.
    pub(crate) fn with_calls(self, max_calls: usize) -> Self {
        Self { max_calls, ..self }
    }

    /// How deep transformers may be nested.
    pub(crate) fn max_calls(&self) -> usize {
        self.max_calls
    }

    /// The offset of the position.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Goes back (or forth) to a position that [`Cursor::position`] gave.
    pub(crate) fn reset(&mut self, position: usize) {
        self.position = position;
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// What stands before a position.
    pub(crate) fn before(&self, position: usize) -> &'a str {
        self.text.get(..position).unwrap_or_default()
    }

    /// The character at a position.
    pub(crate) fn at(&self, position: usize) -> Option<char> {
        self.text
            .get(position..)
            .and_then(|rest| rest.chars().next())
    }

    /// The next character.
    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Skips blanks; whether there was one.
    pub(crate) fn skip_blanks(&mut self) -> bool {
        let start = self.position;
        self.take_while(is_blank);
        self.position > start
    }

    /// Consumes `text` if it is next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.position += text.len();
        }
        found
    }

    /// Consumes a word if it is next and ends there.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let found = self.rest().strip_prefix(word).is_some_and(ends);
        found && self.eat(word)
    }

    /// Consumes characters as long as they fit.
    pub(crate) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    /// An identifier, with dots if it is a field.
    pub(crate) fn identifier(&mut self) -> Option<Name> {
        let start = self.position;
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            return None;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut end = start;
        loop {
            self.take_while(word);
            end = self.position.max(end);
            // Parts begin with a letter; only the code behind `evt.type.is` is a number.
            let is_code = self.text.get(start..end) == Some("evt.type.is");
            let begins = |c: char| c.is_ascii_alphabetic() || (is_code && c.is_ascii_digit());
            if !(self.eat(".") && self.peek().is_some_and(begins)) {
                self.position = end;
                break;
            }
        }
        let text = self.text.get(start..end).unwrap_or_default().to_owned();
        Some(Name {
            text,
            span: start..end,
        })
    }

    /// An argument in brackets, if a bracket is next.
    pub(crate) fn bracketed(&mut self) -> Result<Option<String>, Fault> {
        let start = self.position;
        if !self.eat("[") {
            return Ok(None);
        }
        let text = if matches!(self.peek(), Some('"' | '\'')) {
            String::from_utf8_lossy(&self.quoted()?.bytes).into_owned()
        } else {
            let bare = |c: char| !is_blank(c) && !matches!(c, '[' | ']' | '"' | '\'');
            self.take_while(bare).to_owned()
        };
        if !self.eat("]") {
            return Err(
                Fault::syntax("expected `]` after the argument", self.here())
                    .with_help("an argument with blanks, quotes or brackets stands in quotes"),
            );
        }
        if text.is_empty() {
            return Err(Fault::syntax(
                "the argument in brackets is empty",
                start..self.position,
            ));
        }
        Ok(Some(text))
    }

    /// A value: in quotes or bare.
    pub(crate) fn value(&mut self) -> Result<Literal, Fault> {
        if matches!(self.peek(), Some('"' | '\'')) {
            return self.quoted();
        }
        let start = self.position;
        let text = self.take_while(is_bare);
        if text.is_empty() {
            return Err(Fault::syntax("expected a value", self.here()));
        }
        Ok(Literal {
            bytes: text.as_bytes().to_vec(),
            span: start..self.position,
        })
    }

    /// A value in quotes. It ends at the first quote that has no backslash before it.
    pub(crate) fn quoted(&mut self) -> Result<Literal, Fault> {
        let start = self.position;
        let quote = self.peek().unwrap_or('"');
        self.position += 1;
        let rest = self.rest();
        let mut previous = None;
        let end = rest.char_indices().find(|(_, character)| {
            let ends = *character == quote && previous != Some('\\');
            previous = Some(*character);
            ends
        });
        let Some((length, _)) = end else {
            let fault = Fault::syntax("this quote is not closed", start..start + 1);
            let escaped = rest.contains(['\\']);
            return Err(if escaped {
                fault.with_help(
                    "a quote behind a backslash does not end the text; write `\\x5c` for a final \
                     backslash",
                )
            } else {
                fault
            });
        };
        let bytes = unescape(rest.get(..length).unwrap_or_default(), quote, self.position)?;
        self.position += length + 1;
        Ok(Literal {
            bytes,
            span: start..self.position,
        })
    }

    /// Where the position is, as the span of one character.
    pub(crate) fn here(&self) -> Span {
        self.position..self.position + self.peek().map_or(0, char::len_utf8)
    }

    /// A short piece of the text from `start`, for messages.
    pub(crate) fn excerpt(&self, start: usize) -> String {
        let rest = self.text.get(start..).unwrap_or_default();
        rest.chars()
            .take_while(|c| !is_blank(*c))
            .take(40)
            .collect()
    }
}

/// What the grammar calls blank.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{8}' | '\r' | '\n')
}

fn is_bare(c: char) -> bool {
    !matches!(c, '\u{8}'..='\r' | ' ' | '(' | ')' | '"' | '\'' | '=' | ',')
}

fn unescape(text: &str, quote: char, offset: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escaped = match characters.next().map(|next| next.1) {
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some(' ' | '\\') => b'\\',
            Some('/') => b'/',
            Some(c) if c == quote => c as u8,
            Some('x') => {
                let digits = text.get(at + 2..at + 4).unwrap_or_default();
                let (Ok(byte), 2) = (u8::from_str_radix(digits, 16), digits.len()) else {
                    let span = offset + at..offset + at + 2;
                    return Err(Fault::syntax("`\\x` needs two hexadecimal digits", span));
                };
                characters.next();
                characters.next();
                byte
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                let span = offset + at..offset + at + 1 + other.len();
                return Err(
                    Fault::syntax(format!("unknown escape `\\{other}` in quotes"), span).with_help(
                        "known are \\b \\f \\n \\r \\t \\\\ \\/ \\xHH, the quote itself, and a \
                         backslash before a blank, which stands for the backslash",
                    ),
                );
            }
        };
        bytes.push(escaped);
    }
    Ok(bytes)
}

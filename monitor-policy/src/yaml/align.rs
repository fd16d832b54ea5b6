//! Aligns the text of a scalar with how it was written.

use saphyr_parser::ScalarStyle;

/// For each byte of `text`, the offset in `raw` of what it was written as.
///
/// Folding and indentation only add or take blanks, so characters other than blanks align in
/// order; quotes and escapes are read by their style.
pub(super) fn offsets(text: &str, raw: &str, style: ScalarStyle) -> Vec<usize> {
    let mut cursor = Cursor { raw, position: 0 };
    if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
        cursor.position = 1;
    }
    let mut offsets = Vec::with_capacity(text.len());
    for character in text.chars() {
        let offset = match style {
            ScalarStyle::DoubleQuoted => cursor.escaped(character),
            ScalarStyle::SingleQuoted if character == '\'' => cursor.take(2),
            _ => cursor.plain(character),
        };
        offsets.resize(offsets.len() + character.len_utf8(), offset);
    }
    offsets
}

struct Cursor<'a> {
    raw: &'a str,
    position: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.raw
            .get(self.position..)
            .and_then(|rest| rest.chars().next())
    }

    fn take(&mut self, bytes: usize) -> usize {
        let at = self.position.min(self.raw.len().saturating_sub(1));
        self.position += bytes;
        at
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.position += 1;
        }
    }

    fn plain(&mut self, character: char) -> usize {
        if character.is_whitespace() {
            // One blank may stand for a line end and the indentation behind it.
            let consumed = usize::from(self.peek() == Some(character));
            return self.take(consumed);
        }
        self.skip_blanks();
        self.take(character.len_utf8())
    }

    fn escaped(&mut self, character: char) -> usize {
        self.skip_line_continuations();
        if !character.is_whitespace() {
            self.skip_blanks();
            self.skip_line_continuations();
        }
        if self.peek() != Some('\\') {
            return self.plain(character);
        }
        let kind = self
            .raw
            .get(self.position + 1..)
            .and_then(|rest| rest.chars().next());
        match kind {
            Some('x') => self.take(4),
            Some('u') => self.take(6),
            Some('U') => self.take(10),
            Some(other) => self.take(1 + other.len_utf8()),
            None => self.take(1),
        }
    }

    fn skip_line_continuations(&mut self) {
        while self
            .raw
            .get(self.position..)
            .is_some_and(|rest| rest.starts_with("\\\n"))
        {
            self.position += 2;
            self.skip_blanks();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, raw: &str, style: ScalarStyle, expected: &[usize]) {
        assert_eq!(offsets(text, raw, style), expected, "{raw}");
    }

    #[test]
    fn aligns() {
        check("ab c", "ab\n   c", ScalarStyle::Plain, &[0, 1, 2, 6]);
        check("a\nb\n", "a\n  b\n", ScalarStyle::Literal, &[0, 1, 4, 5]);
        check("it's", "'it''s'", ScalarStyle::SingleQuoted, &[1, 2, 3, 5]);
        check(
            "a\"\tb",
            r#""a\"\x09b""#,
            ScalarStyle::DoubleQuoted,
            &[1, 2, 4, 8],
        );
        check("ab", "\"a\\\n   b\"", ScalarStyle::DoubleQuoted, &[1, 7]);
        check("é=", "é=", ScalarStyle::Plain, &[0, 0, 2]);
    }
}

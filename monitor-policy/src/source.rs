//! Where text comes from: every byte of a condition or output remembers its place in a file.
//!
//! Conditions are folded by YAML, joined by appends and rewritten by list substitution before they
//! are parsed; a diagnostic still has to point at what the author wrote.

use std::ops::Range;
use std::sync::Arc;

/// A place in one of the loaded files.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Origin {
    /// Index of the file.
    pub(crate) file: u32,
    /// Byte offset in it.
    pub(crate) offset: u32,
}

/// A stretch of a file.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    /// Where it begins.
    pub(crate) at: Origin,
    /// Its length in bytes.
    pub(crate) length: u32,
}

impl Place {
    /// A stretch of a file, from byte offsets.
    pub(crate) fn new(file: usize, range: &Range<usize>) -> Self {
        let at = Origin {
            file: file as u32,
            offset: range.start as u32,
        };
        Self {
            at,
            length: range.len() as u32,
        }
    }

    /// Index of the file.
    pub(crate) fn file(&self) -> usize {
        self.at.file as usize
    }
}

/// Text whose bytes know their origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sourced {
    text: String,
    origins: Vec<Origin>,
    /// Where lists were put in, in the order of the text.
    inserts: Vec<Insert>,
}

/// A stretch of text that was put in for the name of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Insert {
    /// The name of the list.
    pub(crate) list: Arc<str>,
    /// Where the name stood.
    pub(crate) used: Place,
    range: Range<usize>,
}

impl Insert {
    /// Whether it begins at this byte of the text.
    pub(crate) fn begins_at(&self, index: usize) -> bool {
        self.range.start == index
    }
}

impl Sourced {
    /// Text and one origin a byte.
    pub(crate) fn new(text: String, mut origins: Vec<Origin>) -> Self {
        let last = origins.last().copied().unwrap_or_default();
        origins.resize(text.len(), last);
        Self {
            text,
            origins,
            inserts: Vec::new(),
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Appends text that stands nowhere; it counts as standing where the text before it ends.
    pub(crate) fn push_str(&mut self, text: &str) {
        let last = self.origins.last().copied().unwrap_or_default();
        self.text.push_str(text);
        self.origins.resize(self.text.len(), last);
    }

    /// Appends text that stands at one place.
    pub(crate) fn push_str_at(&mut self, text: &str, at: Origin) {
        self.text.push_str(text);
        self.origins.resize(self.text.len(), at);
    }

    /// Appends other text with its origins.
    pub(crate) fn push(&mut self, other: &Self) {
        let shift = self.text.len();
        let moved = other.inserts.iter().map(|insert| Insert {
            range: insert.range.start + shift..insert.range.end + shift,
            ..insert.clone()
        });
        self.inserts.extend(moved);
        self.text.push_str(&other.text);
        self.origins.extend_from_slice(&other.origins);
    }

    /// Appends the text of a list whose name stands at `used`.
    pub(crate) fn push_list(&mut self, list: &Arc<str>, text: &Self, used: Place) {
        let start = self.text.len();
        self.text.push_str(&text.text);
        self.origins.extend_from_slice(&text.origins);
        self.inserts.push(Insert {
            list: Arc::clone(list),
            used,
            range: start..self.text.len(),
        });
    }

    /// The list that brought the byte at `index`.
    pub(crate) fn insert_at(&self, index: usize) -> Option<&Insert> {
        let mut inserts = self.inserts.iter();
        inserts.find(|insert| insert.range.contains(&index))
    }

    /// Whether a list was put in where lists belong: behind `in (` and its like, or a comma.
    pub(crate) fn is_listed(&self, insert: &Insert) -> bool {
        let before = self.text.get(..insert.range.start).unwrap_or_default();
        let before = before.trim_end();
        let opened = before.strip_suffix('(').map(str::trim_end);
        let words = ["in", "intersects", "pmatch", "oneof", "anyof", "allof"];
        before.ends_with(',')
            || opened.is_some_and(|left| words.iter().any(|word| left.ends_with(word)))
    }

    /// The lists that were put in within a part of the text.
    pub(crate) fn lists_in(&self, range: &Range<usize>) -> impl Iterator<Item = &Arc<str>> {
        let inside =
            |insert: &&Insert| insert.range.start >= range.start && insert.range.end <= range.end;
        self.inserts
            .iter()
            .filter(inside)
            .map(|insert| &insert.list)
    }

    /// Cuts the text off.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        self.origins.truncate(length);
        while let Some(last) = self.inserts.last_mut() {
            if last.range.start < length {
                last.range.end = last.range.end.min(length);
                break;
            }
            self.inserts.pop();
        }
    }

    /// A part of the text; empty when the range is not within it.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let inside = |insert: &Insert| {
            let start = insert.range.start.max(range.start);
            let end = insert.range.end.min(range.end);
            (start < end).then(|| Insert {
                range: start - range.start..end - range.start,
                ..insert.clone()
            })
        };
        let inserts = self.inserts.iter().filter_map(inside).collect();
        let origins = self.origins.get(range.clone()).unwrap_or_default().to_vec();
        Self {
            text,
            origins,
            inserts,
        }
    }

    /// Without blanks and line ends around it.
    pub(crate) fn trimmed(&self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        self.slice(start..start + self.text.trim().len())
    }

    /// The place of a part of the text. Past the end it is the last byte.
    pub(crate) fn place(&self, range: &Range<usize>) -> Place {
        let last = self.origins.len().saturating_sub(1);
        let start = self.origin(range.start.min(last));
        let end = self.origin(
            range
                .end
                .saturating_sub(1)
                .clamp(range.start.min(last), last),
        );
        // Parts that were substituted may stand elsewhere: then the first byte has to do.
        let same = start.file == end.file && end.offset >= start.offset;
        let length = if same {
            end.offset - start.offset + 1
        } else {
            1
        };
        Place { at: start, length }
    }

    fn origin(&self, index: usize) -> Origin {
        self.origins.get(index).copied().unwrap_or_default()
    }
}

/// Line (from 1) and column (in characters, from 1) of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sourced(text: &str, offset: u32) -> Sourced {
        let origins = (0..text.len() as u32).map(|i| Origin {
            file: 0,
            offset: offset + i,
        });
        Sourced::new(text.to_owned(), origins.collect())
    }

    #[test]
    fn parts_know_their_place() {
        let mut text = sourced("  abc ", 10).trimmed();
        text.push_str(" ");
        text.push(&sourced("def", 100));
        assert_eq!(text.text(), "abc def");
        let place = |range| {
            let place = text.place(&range);
            (place.at.offset, place.length)
        };
        assert_eq!(place(0..3), (12, 3));
        assert_eq!(place(4..7), (100, 3));
        assert_eq!(place(7..7), (102, 1));
        assert_eq!(place(99..100), (102, 1));
    }

    #[test]
    fn lines_and_columns() {
        assert_eq!(line_and_column("ab\ncé x", 0), (1, 1));
        assert_eq!(line_and_column("ab\ncé x", 7), (2, 4));
        assert_eq!(line_and_column("ab\n", 99), (2, 1));
    }
}

//! YAML as the rule language needs it: scalars stay text as written, every node knows its place.

mod align;
mod lenient;

use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::limits::LoadLimits;
use crate::source::{Origin, Place, Sourced};

/// Most lines of a file that are joined to the line before, see `lenient`.
const MAX_JOINED_LINES: usize = 1000;

/// Most bytes that are parsed again for that, all times together.
const MAX_PARSED_AGAIN: usize = 64 << 20;

/// Bytes of text that count as much as a node.
const BYTES_PER_NODE: usize = 16;

/// A node of a document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) content: Content,
    /// Its bytes in the file.
    pub(crate) range: Range<usize>,
    /// How many nodes it has in it, those behind aliases counted each time.
    weight: usize,
}

/// The content of a node.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// Text as written, after folding and escapes.
    Scalar(Scalar),
    /// A sequence.
    Sequence(Vec<Rc<Node>>),
    /// A mapping in the order of the file; keys may repeat.
    Mapping(Vec<Pair>),
}

/// A scalar: its text, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text.
    pub(crate) text: String,
    style: ScalarStyle,
}

/// A key and its value.
pub(crate) type Pair = (Rc<Node>, Rc<Node>);

/// Why a file is no YAML.
#[derive(Clone, Debug)]
pub(crate) struct YamlError {
    /// The reason.
    pub(crate) message: String,
    /// Where in the file.
    pub(crate) range: Range<usize>,
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The text of a scalar, each byte with its place in file number `file` with text `source`.
    pub(crate) fn sourced(&self, file: usize, source: &str) -> Option<Sourced> {
        let Content::Scalar(scalar) = &self.content else {
            return None;
        };
        let raw = source.get(self.range.clone()).unwrap_or_default();
        let offsets = align::offsets(&scalar.text, raw, scalar.style);
        let origin = |offset| Origin {
            file: file as u32,
            offset: (self.range.start + offset) as u32,
        };
        Some(Sourced::new(
            scalar.text.clone(),
            offsets.into_iter().map(origin).collect(),
        ))
    }

    /// Its place in file number `file`.
    pub(crate) fn place(&self, file: usize) -> Place {
        Place::new(file, &self.range)
    }
}

impl Scalar {
    /// Whether it stands without quotes in one line: then it may be a number or a boolean.
    pub(crate) fn is_plain(&self) -> bool {
        self.style == ScalarStyle::Plain
    }
}

impl Content {
    fn weight(&self) -> usize {
        let inner = match self {
            Self::Null => 0,
            Self::Scalar(scalar) => scalar.text.len() / BYTES_PER_NODE,
            Self::Sequence(items) => items.iter().map(|item| item.weight).sum(),
            Self::Mapping(pairs) => pairs
                .iter()
                .map(|(key, value)| key.weight + value.weight)
                .sum(),
        };
        1_usize.saturating_add(inner)
    }
}

/// The documents of a file, within the limits that hold by default.
pub(crate) fn parse(text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    parse_within(text, &LoadLimits::default())
}

/// The documents of a file.
pub(crate) fn parse_within(text: &str, limits: &LoadLimits) -> Result<Vec<Rc<Node>>, YamlError> {
    if text.len() > limits.file_bytes {
        return Err(YamlError {
            message: format!("the file is longer than {} bytes", limits.file_bytes),
            range: 0..1,
        });
    }
    let mut joined: Option<String> = None;
    for _ in 0..MAX_JOINED_LINES.min(1 + MAX_PARSED_AGAIN / text.len().max(1)) {
        let current = joined.as_deref().unwrap_or(text);
        match parse_strictly(current, limits) {
            Err(error) if error.message.starts_with("invalid indentation") => {
                match lenient::join_line(current, error.range.start) {
                    Some(next) => joined = Some(next),
                    None => return Err(error),
                }
            }
            result => return result,
        }
    }
    parse_strictly(text, limits)
}

fn parse_strictly(text: &str, limits: &LoadLimits) -> Result<Vec<Rc<Node>>, YamlError> {
    let offsets = CharOffsets::new(text);
    let parser = Parser::new_from_str(text).peekable();
    let mut reader = Reader {
        parser,
        offsets,
        anchors: HashMap::new(),
        limits,
        nodes: 0,
    };
    let mut documents = Vec::new();
    while let Some(event) = reader.next()? {
        if matches!(event.0, Event::DocumentStart(_)) {
            documents.push(reader.node(0)?);
        }
    }
    Ok(documents)
}

struct Reader<'a> {
    parser: Peekable<Parser<'a, StrInput<'a>>>,
    offsets: CharOffsets<'a>,
    anchors: HashMap<usize, Rc<Node>>,
    limits: &'a LoadLimits,
    /// So far, without what is behind aliases.
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Range<usize>)>, YamlError> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, self.offsets.range(&span)))),
            Some(Err(error)) => Err(self.scan_error(&error)),
        }
    }

    fn scan_error(&self, error: &ScanError) -> YamlError {
        let start = self.offsets.byte(error.marker().index());
        let (message, start) = match self.offsets.tab_behind(start) {
            Some(tab) if error.info().contains("tab") => (
                "a tab stands where YAML wants blanks: indent by blanks".to_owned(),
                tab,
            ),
            _ => (error.info().to_owned(), start),
        };
        YamlError {
            message,
            range: start..start + 1,
        }
    }

    fn node(&mut self, depth: usize) -> Result<Rc<Node>, YamlError> {
        let Some((event, range)) = self.next()? else {
            return Ok(Rc::new(Node {
                content: Content::Null,
                range: 0..0,
                weight: 1,
            }));
        };
        self.nodes += 1;
        if depth > self.limits.yaml_depth {
            let message = format!("nested deeper than {}", self.limits.yaml_depth);
            return Err(YamlError { message, range });
        }
        if self.nodes > self.limits.yaml_nodes {
            let message = format!("more than {} nodes", self.limits.yaml_nodes);
            return Err(YamlError { message, range });
        }
        let (anchor, content, end) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (anchor, scalar(text.into_owned(), style), range.end)
            }
            Event::SequenceStart(anchor, _) => {
                let (items, end) = self.sequence(depth)?;
                (anchor, Content::Sequence(items), end)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, end) = self.mapping(depth)?;
                (anchor, Content::Mapping(entries), end)
            }
            Event::Alias(anchor) => return self.alias(anchor, range),
            _ => (0, Content::Null, range.end),
        };
        let range = range.start..end.max(range.start);
        let weight = content.weight();
        if weight > self.limits.yaml_nodes {
            let message = format!(
                "more than {} nodes, with their text and what aliases stand for",
                self.limits.yaml_nodes
            );
            return Err(YamlError { message, range });
        }
        let node = Rc::new(Node {
            content,
            range,
            weight,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn alias(&self, anchor: usize, range: Range<usize>) -> Result<Rc<Node>, YamlError> {
        self.anchors
            .get(&anchor)
            .map(Rc::clone)
            .ok_or_else(|| YamlError {
                message: "an alias cannot be used inside of what it stands for".to_owned(),
                range,
            })
    }

    fn sequence(&mut self, depth: usize) -> Result<(Vec<Rc<Node>>, usize), YamlError> {
        let mut items = Vec::new();
        loop {
            if let Some(end) = self.end(&Event::SequenceEnd)? {
                return Ok((items, end));
            }
            items.push(self.node(depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(Vec<Pair>, usize), YamlError> {
        let mut entries = Vec::new();
        loop {
            if let Some(end) = self.end(&Event::MappingEnd)? {
                return Ok((entries, end));
            }
            let key = self.node(depth + 1)?;
            entries.push((key, self.node(depth + 1)?));
        }
    }

    /// Consumes the end of a collection, if it is next, and tells where it is.
    fn end(&mut self, expected: &Event<'_>) -> Result<Option<usize>, YamlError> {
        match self.parser.peek() {
            Some(Ok((event, _))) if event != expected => Ok(None),
            _ => self
                .next()
                .map(|event| Some(event.map_or(0, |event| event.1.end))),
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Content {
    if style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null") {
        Content::Null
    } else {
        Content::Scalar(Scalar { text, style })
    }
}

/// Byte offsets of characters: the parser counts in characters.
struct CharOffsets<'a> {
    text: &'a str,
    /// None for plain ASCII.
    table: Option<Vec<usize>>,
}

impl<'a> CharOffsets<'a> {
    fn new(text: &'a str) -> Self {
        let starts = || text.char_indices().map(|(offset, _)| offset);
        let table = (!text.is_ascii()).then(|| starts().chain([text.len()]).collect());
        Self { text, table }
    }

    fn byte(&self, index: usize) -> usize {
        let Some(table) = &self.table else {
            return index.min(self.text.len());
        };
        let offset = table.get(index).or(table.last());
        offset.copied().unwrap_or_default()
    }

    /// The first tab in the two lines from an offset.
    fn tab_behind(&self, offset: usize) -> Option<usize> {
        let rest = self.text.get(offset..)?;
        let two_lines: usize = rest.split_inclusive('\n').take(2).map(str::len).sum();
        Some(offset + rest.get(..two_lines)?.find('\t')?)
    }

    fn range(&self, span: &Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document in a short form: null `~`, text in quotes.
    fn show(node: &Node) -> String {
        match &node.content {
            Content::Null => "~".to_owned(),
            Content::Scalar(scalar) => format!("{:?}", scalar.text),
            Content::Sequence(items) => {
                format!(
                    "[{}]",
                    items
                        .iter()
                        .map(|item| show(item))
                        .collect::<Vec<_>>()
                        .join(" ")
                )
            }
            Content::Mapping(entries) => {
                let show_entry =
                    |(key, value): &(Rc<Node>, Rc<Node>)| format!("{}:{}", show(key), show(value));
                format!(
                    "{{{}}}",
                    entries.iter().map(show_entry).collect::<Vec<_>>().join(" ")
                )
            }
        }
    }

    #[test]
    fn scalars_stay_as_written() {
        let check = |text: &str, expected: &str| {
            let documents = parse(text).unwrap();
            let shown: Vec<_> = documents.iter().map(|node| show(node)).collect();
            assert_eq!(shown.join(" | "), expected, "{text}");
        };
        check(
            "- [yes, 0755, 1.10, true]",
            r#"[["yes" "0755" "1.10" "true"]]"#,
        );
        check(
            "a: ~\nb: null\nc:\nd: ''\ne: 'null'",
            r#"{"a":~ "b":~ "c":~ "d":"" "e":"null"}"#,
        );
        check("a: >\n  x\n  y\n\n  z\n", r#"{"a":"x y\nz\n"}"#);
        check("--- a\n--- b", r#""a" | "b""#);
        check("- &x [1]\n- *x", r#"[["1"] ["1"]]"#);
        check("", "");
        check("# nothing", "");
        check(
            "- a: [\n  x, # y\n  z\n]\n- b: 1",
            r#"[{"a":["x" "z"]} {"b":"1"}]"#,
        );
    }

    #[test]
    fn errors_have_a_place() {
        let check = |text: &str, offset: usize| {
            assert_eq!(parse(text).unwrap_err().range.start, offset, "{text}");
        };
        check("- é: [b", 8);
        check("- a: b\n c: d", 8);
        check("- &x [*x]", 6);
        let bomb = (1..30).map(|n| format!("- &a{n} [*a{0}, *a{0}]\n", n - 1));
        let bomb = bomb.fold("- &a0 [x]\n".to_owned(), |text, line| text + &line);
        assert!(parse(&bomb).is_err());
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn folded_text_knows_its_place() {
        let text = "- condition: >\n    é = 1\n    and b\n\n    c";
        let documents = parse(text).unwrap();
        let Content::Sequence(items) = &documents[0].content else {
            panic!()
        };
        let Content::Mapping(entries) = &items[0].content else {
            panic!()
        };
        let value = entries[0].1.sourced(0, text).unwrap();
        for word in ["é", "=", "and", "b", "c"] {
            let at = value.text().find(word).unwrap();
            let offset = value.place(&(at..at + word.len())).at.offset as usize;
            assert!(
                text.get(offset..).unwrap().starts_with(word),
                "{word} {offset}"
            );
        }
    }
}

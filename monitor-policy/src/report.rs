//! The result of loading one rules file.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::load::RulesFile;
use crate::source::line_and_column;

/// So much of a line is shown before and behind what is wrong, in bytes.
const LONG_LINE: usize = 2000;

/// Whether a rendering uses terminal colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Color {
    /// Plain text.
    Never,
    /// ANSI escape sequences.
    Always,
}

/// What loading one file brought.
#[derive(Clone, Debug)]
pub struct FileReport {
    index: usize,
    /// Names and texts of the files that were loaded with it and before: an error can be there.
    sources: Arc<[(String, String)]>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// How many more there were.
    omitted: usize,
}

impl FileReport {
    /// Sorts the diagnostics of a file.
    pub(crate) fn new(index: usize, files: &[RulesFile<'_>], found: Vec<Diagnostic>) -> Self {
        let places = found.iter().flat_map(|found| {
            let related = found.related.iter().map(|related| related.file.as_str());
            related.chain([found.file.as_str()])
        });
        let shown: HashSet<&str> = places.collect();
        let source = |file: &RulesFile<'_>| {
            let text = if shown.contains(file.name) {
                file.text
            } else {
                ""
            };
            (file.name.to_owned(), text.to_owned())
        };
        let sources = files.iter().map(source).collect();
        let (errors, warnings) = found
            .into_iter()
            .partition(|found| found.severity() == Severity::Error);
        Self {
            index,
            sources,
            errors,
            warnings,
            omitted: 0,
        }
    }

    /// Remembers how many diagnostics are left out.
    pub(crate) fn with_omitted(mut self, omitted: usize) -> Self {
        self.omitted = omitted;
        self
    }

    /// How many errors and warnings are left out, see
    /// [`LoadLimits::diagnostics`](crate::LoadLimits::diagnostics).
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The report of a file that could not be read; `reason` is the system's.
    pub fn unreadable(name: &str, reason: &str) -> Self {
        let message = format!("cannot read the file: {reason}");
        Self::refused(RulesFile { name, text: "" }, 0, message, None)
    }

    /// The report of a file that is no text: `text` is what can be shown of it, with other
    /// characters for as many bytes, the first of which stand at `offset`.
    pub fn no_text(name: &str, text: &str, offset: usize, byte: u8) -> Self {
        let message = format!("the file is no text in UTF-8: byte 0x{byte:02x}");
        let help = "save the file as UTF-8; in comments other encodings are accepted".to_owned();
        Self::refused(RulesFile { name, text }, offset, message, Some(help))
    }

    fn refused(file: RulesFile<'_>, offset: usize, message: String, help: Option<String>) -> Self {
        let (line, column) = line_and_column(file.text, offset);
        let found = Diagnostic {
            code: Code::FileRead,
            message,
            help,
            file: file.name.to_owned(),
            line,
            column,
            offset,
            length: 1,
            item: None,
            related: Vec::new(),
        };
        Self::new(0, &[file], vec![found])
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.sources.get(self.index).map_or("", |source| &source.0)
    }

    /// Whether the file loads: it has no error.
    pub fn is_successful(&self) -> bool {
        self.errors.is_empty()
    }

    /// What keeps the file from loading.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// What is probably not meant.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Forgets the warnings of some codes.
    pub fn allow(&mut self, codes: &[Code]) {
        self.warnings.retain(|found| !codes.contains(&found.code));
    }

    /// The machine-readable result, in Falco's shape.
    pub fn to_json(&self) -> Value {
        let schema_warnings: Vec<_> = self
            .errors
            .iter()
            .chain(&self.warnings)
            .filter(|found| {
                matches!(
                    found.code,
                    Code::YamlValidate | Code::UnknownItem | Code::UnknownKey
                )
            })
            .map(|found| found.message.as_str())
            .collect();
        let all = |found: &[Diagnostic]| -> Value {
            found
                .iter()
                .map(|found| self.diagnostic_json(found))
                .collect()
        };
        json!({
            "name": self.name(),
            "successful": self.is_successful(),
            "schema_valid": schema_warnings.is_empty(),
            "schema_warnings": schema_warnings,
            "errors": all(&self.errors),
            "warnings": all(&self.warnings),
        })
    }

    /// All diagnostics for a terminal, each with its source line. Empty when there is none.
    pub fn render(&self, color: Color) -> String {
        let renderer = match color {
            Color::Never => Renderer::plain(),
            Color::Always => Renderer::styled(),
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut found: Vec<_> = self.errors.iter().chain(&self.warnings).collect();
        // Errors first, and each in the order in which an author reads the file.
        found.sort_by_key(|found| {
            let warning = found.severity() == Severity::Warning;
            (warning, found.file != self.name(), found.offset)
        });
        let shown = found.iter();
        let mut text: String = shown
            .map(|found| self.render_one(found, &renderer) + "\n\n")
            .collect();
        if self.omitted > 0 {
            let _ = writeln!(text, "… and {} more in {}\n", self.omitted, self.name());
        }
        text
    }

    fn text_of(&self, file: &str) -> &str {
        let source = self.sources.iter().find(|source| source.0 == file);
        source.map_or("", |source| &source.1)
    }

    fn render_one(&self, found: &Diagnostic, renderer: &Renderer) -> String {
        let level = match found.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let kind = AnnotationKind::Primary;
        let place = Located {
            file: &found.file,
            line: found.line,
            column: found.column,
            offset: found.offset,
            length: found.length,
        };
        let snippet = self.snippet(kind, &place);
        let title = level.primary_title(&found.message).id(found.code.name());
        let mut group = title.element(snippet);
        for related in &found.related {
            let place = Located {
                file: &related.file,
                line: related.line,
                column: related.column,
                offset: related.offset,
                length: related.length,
            };
            group = note(group, related.message.clone());
            group = group.element(self.snippet(AnnotationKind::Context, &place));
        }
        if let Some(item) = &found.item {
            group = note(group, format!("in {} `{}`", item.kind, item.name));
        }
        if let Some(help) = &found.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }

    /// A line of a file with a stretch of it underlined. Of a long line what is around it, or when
    /// that is far from its begin, the place alone.
    fn snippet<'s>(&'s self, kind: AnnotationKind, place: &Located<'s>) -> Element<'s> {
        let text = self.text_of(place.file);
        let (start, end) = underlined(text, place.offset, place.length);
        // Only the line is handed over: the renderer looks at all that it gets.
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        if start - line_start > LONG_LINE {
            let origin = Origin::path(place.file).line(place.line);
            return origin.char_column(place.column).into();
        }
        let rest = text.get(line_start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let mut shown = (end - line_start + LONG_LINE).min(line.len());
        while !line.is_char_boundary(shown) {
            shown -= 1;
        }
        Snippet::source(line.get(..shown).unwrap_or_default())
            .path(place.file)
            .line_start(place.line)
            .annotation(kind.span(start - line_start..end - line_start))
            .into()
    }

    fn diagnostic_json(&self, found: &Diagnostic) -> Value {
        let position = |file: &str, line: usize, column: usize, offset: usize| json!({"name": file, "line": line, "column": column, "offset": offset});
        let mut locations = Vec::new();
        if let Some(item) = &found.item {
            locations.push(json!({
                "item_type": item.kind,
                "item_name": item.name,
                "position": position(&item.file, item.line, item.column, item.offset),
            }));
        }
        let kind = match found.code {
            Code::CompileCondition | Code::ConditionWarning | Code::NoEventType => {
                "condition expression"
            }
            Code::CompileOutput => "output format string",
            Code::YamlParse | Code::FileRead => "rules content",
            _ => "value",
        };
        locations.push(json!({
            "item_type": kind,
            "item_name": "",
            "position": position(&found.file, found.line, found.column, found.offset),
        }));
        json!({
            "code": found.code.name(),
            "codedesc": found.code.description(),
            "message": found.message,
            "context": {"locations": locations, "snippet": snippet(self.text_of(&found.file), found)},
        })
    }
}

/// A stretch of a file.
struct Located<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    offset: usize,
    length: usize,
}

fn note(group: Group<'_>, text: String) -> Group<'_> {
    group.element(Level::NOTE.message(text))
}

/// The part of the text that a diagnostic underlines: within one line.
fn underlined(text: &str, offset: usize, length: usize) -> (usize, usize) {
    let mut start = offset.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let line = text
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    let mut length = length.min(line.len()).min(LONG_LINE);
    while !line.is_char_boundary(length) {
        length += 1;
    }
    (start, start + length)
}

/// The source line with a mark under the problem.
fn snippet(text: &str, found: &Diagnostic) -> String {
    let line = text
        .lines()
        .nth(found.line.saturating_sub(1))
        .unwrap_or_default();
    if found.column > LONG_LINE {
        return String::new();
    }
    let shown: String = line.chars().take(found.column + LONG_LINE).collect();
    format!("{shown}\n{}^\n", " ".repeat(found.column.saturating_sub(1)))
}

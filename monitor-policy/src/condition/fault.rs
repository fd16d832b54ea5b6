//! What is wrong with a condition or an output, before it is known where that stands in a file.

use super::ast::Span;
use crate::diagnostic::Code;

/// A problem in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// Its code.
    pub(crate) code: Code,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
    /// Where in the text.
    pub(crate) span: Span,
    /// Whether `skip-if-unknown-filter` makes it a warning.
    pub(crate) unknown_name: bool,
    /// The value that is wrong, when the name of a list could have been meant.
    pub(crate) value: Option<String>,
}

impl Fault {
    /// A condition that does not parse or does not make sense.
    pub(crate) fn syntax(message: impl Into<String>, span: Span) -> Self {
        Self::new(Code::CompileCondition, message, span)
    }

    /// A name that does not exist: a field, an event type.
    pub(crate) fn unknown(message: impl Into<String>, span: Span) -> Self {
        Self {
            unknown_name: true,
            ..Self::syntax(message, span)
        }
    }

    /// A problem with a code of its own.
    pub(crate) fn new(code: Code, message: impl Into<String>, span: Span) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            span,
            unknown_name: false,
            value: None,
        }
    }

    /// Tells that the value could be meant as the name of a list.
    pub(crate) fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds what to do.
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do, if something is known.
    pub(crate) fn with_hint(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

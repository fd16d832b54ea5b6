//! A problem at a known place, before files have names again.

use crate::condition::Fault;
use crate::diagnostic::{Code, Diagnostic, Item};
use crate::load::RulesFile;
use crate::source::{Place, Sourced, line_and_column};

/// An error or a warning.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Finding {
    /// Its code.
    pub(crate) code: Code,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
    /// Where.
    pub(crate) place: Place,
    /// The item that it concerns.
    pub(crate) item: Option<ItemRef>,
}

/// An item of a rules file: its kind, name and place.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ItemRef {
    /// `rule`, `macro`, `list`, …
    pub(crate) kind: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) place: Place,
}

impl Finding {
    /// A problem at a place.
    pub(crate) fn new(code: Code, message: impl Into<String>, place: Place) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            place,
            item: None,
        }
    }

    /// A problem in a text that knows where it stands.
    pub(crate) fn from_fault(fault: Fault, text: &Sourced) -> Self {
        let Fault {
            code,
            message,
            help,
            span,
            unknown_name: _,
        } = fault;
        Self {
            code,
            message,
            help,
            place: text.place(&span),
            item: None,
        }
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

    /// Names the item that it concerns, unless one is named.
    pub(crate) fn within(mut self, item: &ItemRef) -> Self {
        self.item.get_or_insert_with(|| item.clone());
        self
    }

    /// The finding with file names, lines and columns.
    pub(crate) fn locate(&self, files: &[RulesFile<'_>]) -> Diagnostic {
        let file = files.get(self.place.file());
        let (name, text) = file.map_or(("", ""), |file| (file.name, file.text));
        let offset = self.place.at.offset as usize;
        let (line, column) = line_and_column(text, offset);
        Diagnostic {
            code: self.code,
            message: self.message.clone(),
            help: self.help.clone(),
            file: name.to_owned(),
            line,
            column,
            offset,
            length: (self.place.length as usize).max(1),
            item: self.item.as_ref().map(|item| item.locate(files)),
        }
    }
}

impl ItemRef {
    fn locate(&self, files: &[RulesFile<'_>]) -> Item {
        let file = files.get(self.place.file());
        let (name, text) = file.map_or(("", ""), |file| (file.name, file.text));
        let offset = self.place.at.offset as usize;
        let (line, column) = line_and_column(text, offset);
        Item {
            kind: self.kind,
            name: self.name.clone(),
            file: name.to_owned(),
            line,
            column,
            offset,
        }
    }
}

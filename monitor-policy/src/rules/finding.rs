//! A problem at a known place, before files have names again.

use crate::condition::Fault;
use crate::diagnostic::{Code, Diagnostic, Item, Related};
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
    pub(crate) item: Option<Box<ItemRef>>,
    /// Other places that have to do with it.
    pub(crate) related: Vec<(String, Place)>,
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
            related: Vec::new(),
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
            value: _,
        } = fault;
        let finding = Self {
            code,
            message,
            help,
            place: text.place(&span),
            item: None,
            related: Vec::new(),
        };
        match text.insert_at(span.start) {
            Some(insert) => finding.with_related(
                format!("list `{}` is put in here", insert.list),
                insert.used,
            ),
            None => finding,
        }
    }

    /// Something to say of a value in a text, and of the list that brought it.
    pub(crate) fn from_value(
        code: Code,
        message: String,
        text: &Sourced,
        span: &std::ops::Range<usize>,
    ) -> Self {
        let fault = Fault::new(code, message, span.clone());
        Self::from_fault(fault, text)
    }

    /// A problem with how a text is put together. When it arises within a list that was put in,
    /// either an item is wrong, such as by its quotes, or the list stands in the wrong place.
    pub(crate) fn from_syntax(fault: Fault, text: &Sourced) -> Self {
        let Some(insert) = text.insert_at(fault.span.start) else {
            return Self::from_fault(fault, text);
        };
        if text.is_listed(insert) && !insert.begins_at(fault.span.start) {
            return Self::from_fault(fault, text);
        }
        let list = &insert.list;
        let message = format!("`{list}` is a list and cannot stand here");
        let help = format!("a list is tested with `in`: `proc.name in ({list})`");
        Self::new(fault.code, message, insert.used).with_help(help)
    }

    /// Adds a place that has to do with it.
    pub(crate) fn with_related(mut self, message: impl Into<String>, place: Place) -> Self {
        self.related.push((message.into(), place));
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

    /// Names the item that it concerns, unless one is named.
    pub(crate) fn within(mut self, item: &ItemRef) -> Self {
        self.item.get_or_insert_with(|| Box::new(item.clone()));
        self
    }

    /// The finding with file names, lines and columns.
    pub(crate) fn locate(&self, files: &[RulesFile<'_>]) -> Diagnostic {
        let Related {
            message,
            file,
            line,
            column,
            offset,
            length,
        } = located(&self.message, self.place, files);
        let related = self.related.iter();
        let related = related.map(|(message, place)| located(message, *place, files));
        Diagnostic {
            code: self.code,
            message,
            help: self.help.clone(),
            file,
            line,
            column,
            offset,
            length,
            item: self.item.as_ref().map(|item| item.locate(files)),
            related: related.collect(),
        }
    }
}

impl ItemRef {
    fn locate(&self, files: &[RulesFile<'_>]) -> Item {
        let place = located("", self.place, files);
        Item {
            kind: self.kind,
            name: self.name.clone(),
            file: place.file,
            line: place.line,
            column: place.column,
            offset: place.offset,
        }
    }
}

/// Something said of a place, with names and numbers.
fn located(message: &str, place: Place, files: &[RulesFile<'_>]) -> Related {
    let file = files.get(place.file());
    let (name, text) = file.map_or(("", ""), |file| (file.name, file.text));
    let offset = place.at.offset as usize;
    let (line, column) = line_and_column(text, offset);
    Related {
        message: message.to_owned(),
        file: name.to_owned(),
        line,
        column,
        offset,
        length: (place.length as usize).max(1),
    }
}

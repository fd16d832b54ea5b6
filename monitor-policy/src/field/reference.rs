//! A field with its argument, as a rule writes it.

use std::fmt;

use super::Field;

/// A field and its argument. Displays as written: `proc.aname[2]`, `evt.arg.flags`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldRef {
    /// The field.
    pub field: Field,
    /// Its argument.
    pub arg: Option<FieldArg>,
}

/// The argument of a field.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FieldArg {
    /// A position: `proc.aname[2]`, `evt.arg[0]`.
    Index(u32),
    /// A name: `evt.arg.flags`, `proc.env[HOME]`, `container.mount.dest[/proc]`.
    Key(Box<str>),
}

impl From<Field> for FieldRef {
    fn from(field: Field) -> Self {
        Self { field, arg: None }
    }
}

impl FieldRef {
    /// A field with a position.
    pub fn with_index(field: Field, index: u32) -> Self {
        Self {
            field,
            arg: Some(FieldArg::Index(index)),
        }
    }

    /// A field with a name as argument.
    pub fn with_key(field: Field, key: &str) -> Self {
        Self {
            field,
            arg: Some(FieldArg::Key(key.into())),
        }
    }

    /// Whether its value stands for several, any of which may fit: an ancestor field without
    /// index, or either end of a connection.
    pub fn is_any(&self) -> bool {
        self.field.is_either_end()
            || (self.field.is_ancestor() && !matches!(self.arg, Some(FieldArg::Index(_))))
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.field.name();
        match &self.arg {
            None => f.write_str(name),
            Some(FieldArg::Index(index)) if self.field == Field::EvtTypeIs => {
                write!(f, "{name}.{index}")
            }
            Some(FieldArg::Index(index)) => write!(f, "{name}[{index}]"),
            Some(FieldArg::Key(key)) if has_dotted_argument(self.field) => {
                write!(f, "{name}.{key}")
            }
            Some(FieldArg::Key(key)) => match Quote::needed(key) {
                None => write!(f, "{name}[{key}]"),
                Some(quote) => write!(f, "{name}[{quote}{key}{quote}]"),
            },
        }
    }
}

/// Whether the field takes its argument after a dot.
pub(crate) fn has_dotted_argument(field: Field) -> bool {
    matches!(
        field,
        Field::EvtArg
            | Field::EvtRawarg
            | Field::EvtAbspath
            | Field::EvtTypeIs
            | Field::ThreadCgroup
    )
}

struct Quote;

impl Quote {
    /// The quote that an argument in brackets needs.
    fn needed(key: &str) -> Option<char> {
        let bare = |c: char| !c.is_whitespace() && !matches!(c, '[' | ']' | '"' | '\'');
        if !key.is_empty() && key.chars().all(bare) {
            return None;
        }
        Some(if key.contains('"') { '\'' } else { '"' })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_written() {
        let check = |field: FieldRef, expected: &str| assert_eq!(field.to_string(), expected);
        check(Field::ProcName.into(), "proc.name");
        check(FieldRef::with_index(Field::ProcAname, 2), "proc.aname[2]");
        check(FieldRef::with_key(Field::EvtArg, "flags"), "evt.arg.flags");
        check(FieldRef::with_index(Field::EvtArg, 0), "evt.arg[0]");
        check(
            FieldRef::with_key(Field::ContainerMountDest, "/etc/*"),
            "container.mount.dest[/etc/*]",
        );
        check(
            FieldRef::with_key(Field::ContainerLabel, "a b"),
            "container.label[\"a b\"]",
        );
    }
}

//! Fields: what a condition can test and an output can print.

mod parameters;
mod reference;
mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use parameters::{PARAMETERS, is_parameter, raw_kind};
pub(crate) use reference::has_dotted_argument;
pub use reference::{FieldArg, FieldRef};
use table::DEFINITIONS;
pub use table::Field;

/// What the language says about a field.
#[derive(Debug)]
pub struct FieldDefinition {
    /// The field.
    pub field: Field,
    /// Its dotted name, without argument.
    pub name: &'static str,
    /// The type of its values (of its elements, for a list field).
    pub kind: FieldKind,
    /// What may be done with it.
    pub flags: FieldFlags,
    /// Its meaning in a few words.
    pub meaning: &'static str,
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FieldKind {
    /// Text, compared as bytes.
    Text,
    /// Unsigned, 64 bits.
    Unsigned64,
    /// Unsigned, 32 bits.
    Unsigned32,
    /// Signed, 64 bits.
    Signed64,
    /// Signed, 32 bits.
    Signed32,
    /// Signed, 16 bits.
    Signed16,
    /// True or false.
    Bool,
    /// A ratio.
    Float,
    /// An IP address.
    Address,
    /// An IP address that is tested against networks.
    Network,
    /// A port number; literals may be service names.
    Port,
    /// Captured bytes.
    Bytes,
    /// A span of time in nanoseconds.
    Duration,
    /// Nanoseconds since the epoch.
    Time,
    /// The type of the parameter that the argument names.
    Dynamic,
}

/// A set of properties of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FieldFlags(u16);

impl FieldFlags {
    /// No property.
    pub const NONE: Self = Self(0);
    /// An argument may be given.
    pub const ARGUMENT: Self = Self(1);
    /// An argument must be given.
    pub const ARGUMENT_REQUIRED: Self = Self(1 << 1);
    /// Only in conditions, not in outputs.
    pub const FILTER_ONLY: Self = Self(1 << 2);
    /// Not on the right side of a comparison.
    pub const NOT_ON_RIGHT: Self = Self(1 << 3);
    /// No transformer takes it.
    pub const NO_TRANSFORMER: Self = Self(1 << 4);
    /// Accepted but not shown in listings.
    pub const HIDDEN: Self = Self(1 << 5);
    /// Use brings a warning.
    pub const DEPRECATED: Self = Self(1 << 6);
    /// Accepted, never has a value.
    pub const NEVER: Self = Self(1 << 7);
    /// Its value is a list.
    pub const LIST: Self = Self(1 << 8);
    /// Ours, not Falco's.
    pub const EXTENSION: Self = Self(1 << 9);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all properties of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Field {
    /// The field with this dotted name (no argument).
    pub fn from_name(name: &str) -> Option<Self> {
        static BY_NAME: LazyLock<HashMap<&'static str, Field>> = LazyLock::new(|| {
            DEFINITIONS
                .iter()
                .map(|row| (row.name, row.field))
                .collect()
        });
        BY_NAME.get(name).copied()
    }

    /// All fields, in the order of the reference.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        DEFINITIONS.iter().map(|row| row.field)
    }

    /// The dotted name.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// The row of the field table.
    #[expect(
        clippy::indexing_slicing,
        reason = "one macro makes the enum and the table"
    )]
    pub fn definition(self) -> &'static FieldDefinition {
        &DEFINITIONS[self as usize]
    }

    /// Whether it has a property.
    pub fn is(self, flag: FieldFlags) -> bool {
        self.definition().flags.contains(flag)
    }

    /// Whether an argument may or must be given.
    pub fn takes_argument(self) -> bool {
        self.is(FieldFlags::ARGUMENT) || self.is(FieldFlags::ARGUMENT_REQUIRED)
    }

    /// Whether it looks at ancestors: without an index at any of them.
    pub fn is_ancestor(self) -> bool {
        matches!(
            self,
            Self::ProcAname
                | Self::ProcAexe
                | Self::ProcAexepath
                | Self::ProcAcmdline
                | Self::ProcApid
                | Self::ProcAenv
        )
    }

    /// Whether it stands for either end of a connection.
    pub fn is_either_end(self) -> bool {
        matches!(
            self,
            Self::FdIp | Self::FdPort | Self::FdNet | Self::FdProto
        )
    }

    /// Whether it compares an address with the addresses of a name.
    pub fn is_host_name(self) -> bool {
        matches!(
            self,
            Self::FdCipName | Self::FdSipName | Self::FdLipName | Self::FdRipName
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_complete_and_in_order() {
        assert_eq!(Field::all().len(), 307);
        for (index, field) in Field::all().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::from_name(field.name()), Some(field));
        }
    }

    #[test]
    fn flags_follow_the_reference() {
        let check = |name: &str, flag: FieldFlags, expected: bool| {
            assert_eq!(Field::from_name(name).unwrap().is(flag), expected, "{name}");
        };
        check("evt.arg", FieldFlags::ARGUMENT_REQUIRED, true);
        check("proc.aname", FieldFlags::ARGUMENT, true);
        check("proc.name", FieldFlags::ARGUMENT, false);
        check("fd.ip", FieldFlags::FILTER_ONLY, true);
        check("fd.types", FieldFlags::LIST, true);
        check("evt.latency", FieldFlags::DEPRECATED, true);
        check("k8s.rc.label", FieldFlags::NEVER, true);
        check("container.user", FieldFlags::EXTENSION, true);
        check("container.ip", FieldFlags::EXTENSION, false);
    }
}

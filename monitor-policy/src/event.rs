//! What evaluation asks of an event.

use std::borrow::Cow;
use std::net::IpAddr;

/// Which reading of a path an evaluation uses (see ARCHITECTURE.md, views of a path).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum View {
    /// The path as the program passed it, made absolute and cleaned lexically. Every event has it.
    Passed,
    /// The path as the kernel resolved it.
    Resolved,
    /// Where the file lies, when a mount shows it elsewhere.
    Original,
}

impl View {
    /// All views, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Passed, Self::Resolved, Self::Original];
}

/// The value of a field in one event.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text; bytes, since the kernel promises no encoding.
    Text(Cow<'a, [u8]>),
    /// An unsigned number, a port, a time or a duration in ns.
    Unsigned(u64),
    /// A signed number or duration.
    Signed(i64),
    /// A ratio.
    Float(f64),
    /// A flag.
    Bool(bool),
    /// An address.
    Address(IpAddr),
    /// A list field, or all ancestors behind an unindexed ancestor field, nearest first.
    List(Vec<Value<'a>>),
}

/// An event as the policy sees it: fields by name, each asked for at most once per view.
///
/// The daemon implements this over a record, its process and its container; `eval` over a flat
/// JSON map.
pub trait Event {
    /// The event's type.
    fn event_type(&self) -> crate::EventType;

    /// Whether a view reads differently from those before it for this event. Not asked of
    /// [`View::Passed`].
    fn has_view(&self, view: View) -> bool;

    /// The value of a field, `None` when the event has none. For an unindexed ancestor field, the
    /// list of all ancestors' values (parent first).
    fn value(&self, field: &crate::FieldRef, view: View) -> Option<Value<'_>>;

    /// Adds the elements of a field whose value is a list, so that none has to be made for every
    /// event. Whether this event answers the field here: then no element means no value. If not,
    /// [`value`](Self::value) is asked.
    fn elements<'e>(
        &'e self,
        _field: &crate::FieldRef,
        _view: View,
        _elements: &mut Vec<Value<'e>>,
    ) -> bool {
        false
    }

    /// Whether the address behind a `fd.*ip.name` field is one of those that `name` resolves to.
    /// `None` when the field has no value or the name is not known (yet).
    fn has_name(&self, field: &crate::FieldRef, name: &str) -> Option<bool>;
}

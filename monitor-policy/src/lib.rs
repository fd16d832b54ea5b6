//! The Falco rule language.
//!
//! Pure: no I/O, no clock, no threads. Text goes in, a compiled [`Policy`](crate) comes out; an
//! [`Event`] goes in, the rules that match come out.
#![forbid(unsafe_code)]

mod event;

pub use event::{Event, Value, View};

/// (being written)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventType(pub u16);
/// (being written)
#[derive(Clone, Debug)]
pub struct FieldRef;

//! The same event of a process that calls itself something else than its exec did.
//!
//! Busybox does as `sh` what others start programs for, and runs itself as `exe`: the name that it
//! takes then is what rules ask for. Another takes a name that rules except. So both names count.

use std::borrow::Cow;

use monitor_common::Flags;
use monitor_policy::{EventType, Field, FieldRef, Value, View};

use super::Event;
use super::process::join;

/// An event in which `proc.name` and `proc.cmdline` are the process's own.
#[derive(Debug)]
pub struct Renamed<'e, 'a>(&'e Event<'a>);

impl<'a> Event<'a> {
    /// The event by the name that the process gave itself, if that is another. A worker thread of
    /// the kernel acts under a name of its own, and a thread may have any: neither names the process.
    pub fn renamed(&self) -> Option<Renamed<'_, 'a>> {
        let task = self.record.task();
        let is_first = task.pid == task.tid && !self.record.flag(Flags::IO_WORKER);
        (is_first && self.task_name() != self.process().name()).then_some(Renamed(self))
    }
}

impl monitor_policy::Event for Renamed<'_, '_> {
    fn event_type(&self) -> EventType {
        self.0.event_type()
    }

    fn has_view(&self, view: View) -> bool {
        self.0.has_view(view)
    }

    fn value(&self, field: &FieldRef, view: View) -> Option<Value<'_>> {
        let name = self.0.task_name();
        match field.field {
            Field::ProcName => Some(Value::Text(name.into())),
            Field::ProcCmdline => {
                let rest = self.0.process().image.arguments().skip(1);
                let text = join(std::iter::once(name).chain(rest));
                Some(Value::Text(Cow::Owned(text)))
            }
            _ => self.0.value(field, view),
        }
    }

    fn elements<'e>(&'e self, field: &FieldRef, view: View, elements: &mut Vec<Value<'e>>) -> bool {
        self.0.elements(field, view, elements)
    }

    fn has_name(&self, field: &FieldRef, name: &str) -> Option<bool> {
        self.0.has_name(field, name)
    }
}

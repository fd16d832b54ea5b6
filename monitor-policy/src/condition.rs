//! A condition on its own, without a rule around it.

use crate::diagnostic::Diagnostic;
use crate::event::Event;

/// A compiled condition, for trying expressions on events.
#[derive(Debug)]
pub struct Condition {}

impl Condition {
    /// Compiles a condition. It may not use macros or lists.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let _ = text;
        Ok(Self {})
    }

    /// Whether an event fulfils it, in either view.
    pub fn matches(&self, event: &dyn Event) -> bool {
        let _ = event;
        false
    }
}

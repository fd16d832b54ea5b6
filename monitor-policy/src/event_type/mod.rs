//! Event types and sets of them.

mod set;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use foldhash::fast::FixedState;
pub use set::EventSet;
use table::{ALIASES, OTHERS, SYSCALLS};

/// The type of an event: what `evt.type` prints. A system call or one of the language's own
/// events.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventType(u16);

impl EventType {
    /// Stands for no type, where an event does not tell its own: in no set, without a name.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// The type with this name: of an event or a system call.
    pub fn from_name(name: &str) -> Option<Self> {
        // Asked for each event that the daemon makes: one fast look, aliases included.
        static BY_NAME: LazyLock<HashMap<&'static str, EventType, FixedState>> =
            LazyLock::new(|| {
                let mut types: HashMap<_, _, FixedState> = EventType::all()
                    .map(|event| (event.name(), event))
                    .collect();
                for (alias, name) in ALIASES {
                    if let Some(event) = types.get(name).copied() {
                        types.insert(alias, event);
                    }
                }
                types
            });
        BY_NAME.get(name).copied()
    }

    /// The type of an x86-64 system call, by its number.
    pub fn from_syscall(number: u32) -> Option<Self> {
        let number = u16::try_from(number).ok()?;
        let index = SYSCALLS.binary_search_by_key(&number, |row| row.1).ok()?;
        Some(Self(index as u16))
    }

    /// All types.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::count() as u16).map(Self)
    }

    /// How many types there are; each [`EventType::index`] is below.
    pub fn count() -> usize {
        SYSCALLS.len() + OTHERS.len()
    }

    /// A small number that stands for the type within this build.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name, as `evt.type` has it.
    pub fn name(self) -> &'static str {
        match SYSCALLS.get(self.index()) {
            Some(row) => row.0,
            None => OTHERS
                .get(self.index() - SYSCALLS.len())
                .copied()
                .unwrap_or_default(),
        }
    }

    /// The x86-64 system call number, if it is a system call there.
    pub fn syscall(self) -> Option<u32> {
        SYSCALLS.get(self.index()).map(|row| u32::from(row.1))
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: std::collections::HashSet<_> = EventType::all().map(EventType::name).collect();
        assert_eq!(names.len(), EventType::count());
        for event in EventType::all() {
            assert_eq!(EventType::from_name(event.name()), Some(event));
        }
        assert_eq!(EventType::from_name("no_such_call"), None);
    }

    #[test]
    fn system_calls_by_number() {
        let check = |number, name| {
            let event = EventType::from_syscall(number).unwrap();
            assert_eq!((event.name(), event.syscall()), (name, Some(number)));
        };
        check(0, "read");
        check(59, "execve");
        check(257, "openat");
        check(437, "openat2");
        check(17, "pread");
        assert_eq!(EventType::from_name("pread64"), EventType::from_syscall(17));
        assert_eq!(EventType::from_syscall(400), None);
        assert_eq!(EventType::from_name("procexit").unwrap().syscall(), None);
    }
}

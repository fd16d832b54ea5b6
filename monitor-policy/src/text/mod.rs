//! Kernel values in the text forms of the language: what `evt.arg.*`, `evt.res` and the
//! capability fields print.
//!
//! The daemon fills an event's fields with these; rules compare them as text.

mod errno;
mod flags;
mod glob;
mod names;
mod path;
mod printable;

pub use errno::{errno, errno_name, result};
pub use flags::{ExeState, OpenState, exe_flags, mode, open_flags, open_flags_with};
pub use glob::glob;
pub use names::{capabilities, ptrace_request, signal, socket_domain, socket_type};
pub use path::clean_path;
pub use printable::{escape_json, printable};

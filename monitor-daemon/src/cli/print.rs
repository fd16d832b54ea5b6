//! Results on standard output. Unlike `println!`, a closed pipe is an error, not a panic.

use std::io::{self, IsTerminal, Write};

use monitor_policy::Color;

use super::error::Error;

/// Prints `text` as it is.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::Print)
}

/// Whether what goes to `stream` is coloured.
pub(super) fn color(stream: &impl IsTerminal) -> Color {
    match crate::output::Colour::of(stream) {
        Some(crate::output::Colour::On) => Color::Always,
        _ => Color::Never,
    }
}

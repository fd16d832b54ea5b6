//! The terminal while `top` has it: the other screen, no cursor, keys as they are pressed.
//! Everything is put back when it is dropped.

use std::io::{self, IsTerminal as _, Write as _};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::screen::Size;

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const END_OF_LINE: &str = "\u{1b}[K";
const REST_OF_SCREEN: &str = "\u{1b}[J";
/// Ctrl-C, Ctrl-D, and `q`.
const QUIT: [u8; 4] = [3, 4, b'q', b'Q'];

/// What was pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// The user has had enough.
    Quit,
}

/// A terminal of our own.
pub(super) struct Terminal {
    /// How the keyboard was; `None` when there is none.
    keyboard: Option<Termios>,
}

impl Terminal {
    /// Takes it.
    pub(super) fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let keyboard = stdin.is_terminal().then(|| tcgetattr(&stdin)).transpose()?;
        if let Some(before) = &keyboard {
            let mut raw = before.clone();
            // Ctrl-C comes as a key, so that the screen is given back before the end.
            raw.local_modes
                .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        }
        let terminal = Self { keyboard };
        write(ENTER)?;
        Ok(terminal)
    }

    /// Waits for a key that means something, until the time is over.
    pub(super) fn wait(&mut self, until: Instant) -> io::Result<Option<Key>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if self.keyboard.is_none() {
                thread::sleep(left);
                continue;
            }
            let stdin = io::stdin();
            let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
            let time = Timespec::try_from(left).ok();
            match poll(&mut polled, time.as_ref()) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let mut keys = [0; 32];
            let count = rustix::io::read(&stdin, &mut keys)?;
            let pressed = keys.get(..count).unwrap_or_default();
            // No byte at all: the terminal is gone.
            if count == 0 || pressed.iter().any(|key| QUIT.contains(key)) {
                return Ok(Some(Key::Quit));
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whoever closed the terminal does not miss it.
        let _ = write(LEAVE);
        if let Some(before) = &self.keyboard {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Columns and rows, asked each time because windows are resized.
pub(super) fn size() -> Size {
    let size = tcgetwinsize(io::stdout()).ok();
    let or = |number: Option<u16>, default| match number {
        None | Some(0) => default,
        Some(number) => usize::from(number),
    };
    Size {
        columns: or(size.map(|size| size.ws_col), Size::USUAL.columns),
        rows: or(size.map(|size| size.ws_row), Size::USUAL.rows),
    }
}

/// Replaces what is shown, in one write and without clearing first, so that nothing flickers.
pub(super) fn draw(lines: &[String]) -> io::Result<()> {
    let mut text = String::from(HOME);
    for (number, line) in lines.iter().take(size().rows).enumerate() {
        if number > 0 {
            text.push_str("\r\n");
        }
        text.push_str(line);
        text.push_str(END_OF_LINE);
    }
    text.push_str(REST_OF_SCREEN);
    write(&text)
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

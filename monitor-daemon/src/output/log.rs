//! The daemon's own log lines, through the same queue as alerts, so that they do not tear the
//! status line and a stuck terminal does not stop whoever logs.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::terminal::Levels;
use super::{AlertQueue, journal};

/// Makes a writer for each log line.
#[derive(Clone, Debug)]
pub struct LogLines {
    queue: AlertQueue,
    levels: Levels,
}

impl LogLines {
    /// Lines go through `queue` to standard error.
    pub fn new(queue: AlertQueue) -> Self {
        Self {
            queue,
            levels: Levels::of(io::stderr()),
        }
    }
}

/// Collects a line; hands it over when dropped.
#[derive(Debug)]
pub struct LogLine {
    queue: AlertQueue,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine {
            queue: self.queue.clone(),
            text: Vec::new(),
        }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> LogLine {
        let mut line = self.make_writer();
        if self.levels == Levels::InFront {
            line.text = journal::level(severity(*about.level())).into_bytes();
        }
        line
    }
}

/// The syslog severity of a log line.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        if !text.trim_end().is_empty() {
            self.queue.line(text.trim_end());
        }
    }
}

//! The daemon's own log lines, through the same queue as alerts, so that they do not tear the
//! status line and a stuck terminal does not stop whoever logs.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use super::AlertQueue;

/// Makes a writer for each log line.
#[derive(Clone, Debug)]
pub struct LogLines(pub AlertQueue);

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
            queue: self.0.clone(),
            text: Vec::new(),
        }
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

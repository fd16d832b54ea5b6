//! Standard output and standard error, written by one thread so that alerts, log lines and the
//! status line never mix.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

use super::feed::Feed;
use super::format::Encoder;
use super::pretty::{self, Colour};
use super::queue::{Batch, Item};
use super::status::Status;
use super::time::TimeFormat;
use super::{journal, latency};
use crate::alert_log::Entry;

/// Back to the start of the line, and clear it.
const ERASE: &str = "\r\u{1b}[K";
/// When a terminal does not tell.
const DEFAULT_WIDTH: usize = 100;

/// The form alerts have on standard output.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// For human eyes.
    Pretty(TimeFormat, Colour),
    /// Lines, as a file has them.
    Lines(Box<Encoder>),
}

/// Whether lines say how severe they are, for the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Levels {
    InFront,
    None,
}

impl Levels {
    /// What `stream` wants.
    pub(super) fn of(stream: impl AsFd) -> Self {
        if journal::is_behind(stream) {
            Self::InFront
        } else {
            Self::None
        }
    }
}

/// Writes batches from a queue until it is closed and drained.
#[derive(Debug)]
pub(super) struct TerminalWriter<O, E> {
    pub(super) out: O,
    pub(super) err: E,
    pub(super) form: Form,
    pub(super) levels: Levels,
    /// How a status line looks; `None` when standard error is no terminal.
    pub(super) status: Option<Colour>,
    pub(super) feed: Feed,
    pub(super) screen: Screen,
}

/// What is at the bottom of the terminal.
#[derive(Debug, Default)]
pub(super) struct Screen {
    line: Option<String>,
    previous: Option<Status>,
}

impl<O: Write, E: Write> TerminalWriter<O, E> {
    pub(super) fn run(mut self) {
        loop {
            let batch = self.feed.next();
            let closed = batch.closed;
            self.write(batch);
            self.feed.done();
            if closed {
                return self.erase();
            }
        }
    }

    /// Writes one batch. A stream that is gone is counted, and nothing more can be done: a closed
    /// pipe stays closed.
    fn write(&mut self, batch: Batch) {
        if batch.items.is_empty() && batch.status.is_none() {
            return;
        }
        self.erase();
        let mut text = Vec::new();
        let mut times = Vec::new();
        for item in batch.items {
            match item {
                Item::Alert(entry) => {
                    times.push(entry.alert.time);
                    self.render(&entry, &mut text);
                }
                Item::Line(line) => {
                    self.flush_alerts(&mut text, &mut times);
                    let _ = writeln!(self.err, "{line}").and_then(|()| self.err.flush());
                }
            }
        }
        self.flush_alerts(&mut text, &mut times);
        self.draw(batch.status);
    }

    fn render(&self, entry: &Entry, buffer: &mut Vec<u8>) {
        let alert = &entry.alert;
        if self.levels == Levels::InFront {
            buffer.extend_from_slice(journal::level(alert.priority as u8).as_bytes());
        }
        match &self.form {
            Form::Pretty(time, colour) => {
                buffer.extend_from_slice(pretty::alert(alert, time, width(), *colour).as_bytes());
            }
            Form::Lines(encoder) => encoder.line(entry, buffer),
        }
    }

    fn flush_alerts(&mut self, text: &mut Vec<u8>, times: &mut Vec<u64>) {
        if times.is_empty() {
            return;
        }
        if self
            .out
            .write_all(text)
            .and_then(|()| self.out.flush())
            .is_ok()
        {
            self.feed.metrics().written.inc_by(times.len() as u64);
            for time in times.iter() {
                self.feed.metrics().latency.observe(latency(*time));
            }
        } else {
            self.feed.metrics().write_errors.inc();
            self.feed.metrics().lost_write.inc_by(times.len() as u64);
        }
        text.clear();
        times.clear();
    }

    fn draw(&mut self, status: Option<Status>) {
        let Some(colour) = self.status else { return };
        if let Some(status) = status {
            self.screen.line = Some(status.line(self.screen.previous.as_ref(), width(), colour));
            self.screen.previous = Some(status);
        }
        if let Some(line) = &self.screen.line {
            let _ = write!(self.err, "{ERASE}{line}").and_then(|()| self.err.flush());
        }
    }

    fn erase(&mut self) {
        if self.screen.line.is_some() {
            let _ = write!(self.err, "{ERASE}").and_then(|()| self.err.flush());
        }
    }
}

/// Columns of the terminal, asked each time because windows are resized.
fn width() -> usize {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stderr()));
    size.map_or(DEFAULT_WIDTH, |size| match size.ws_col {
        0 => DEFAULT_WIDTH,
        columns => usize::from(columns),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use jiff::tz::TimeZone;

    use super::super::alert::Alert;
    use super::super::alert::tests::{entry, sample};
    use super::super::feed::{Output, Reached};
    use super::super::format::Format;
    use super::super::json::JsonFormat;
    use super::super::queue::Queue;
    use super::super::selection::Selection;
    use super::*;
    use crate::config::JsonProperties;
    use crate::metrics::Metrics;

    /// Both streams of a terminal, in the order in which they were written.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn writer<O: Write, E: Write>(out: O, err: E, output: Arc<Output>) -> TerminalWriter<O, E> {
        TerminalWriter {
            out,
            err,
            form: Form::Lines(Box::new(Encoder {
                format: Format::Text,
                json: JsonFormat {
                    properties: JsonProperties::default(),
                    time: TimeFormat::TimeOfDay(TimeZone::UTC),
                },
            })),
            levels: Levels::None,
            status: Some(Colour::Off),
            feed: Feed::new(output),
            screen: Screen::default(),
        }
    }

    fn output(metrics: &Metrics) -> Arc<Output> {
        let queue = Queue::new(1 << 20);
        let metrics = metrics.output("stdout");
        Arc::new(Output::new(
            String::new(),
            queue,
            metrics,
            Selection::default(),
            Reached::default(),
            None,
        ))
    }

    fn batch(items: Vec<Item>, status: Option<Status>) -> Batch {
        Batch {
            items,
            status,
            ..Batch::default()
        }
    }

    #[test]
    fn the_status_line_makes_room_for_alerts_and_comes_back() {
        let shared = Shared::default();
        let metrics = Metrics::new().unwrap();
        let output = output(&metrics);
        let mut terminal = writer(shared.clone(), shared.clone(), Arc::clone(&output));
        let status = Status {
            at: Instant::now(),
            kept: 5,
            lost: 0,
            containers: 0,
            rules: 2,
        };
        let alert = Alert {
            output: "x".into(),
            ..sample()
        };
        terminal.write(batch(vec![Item::Line("ready".into())], None));
        terminal.write(batch(vec![], Some(status)));
        terminal.write(batch(vec![Item::Alert(entry(1, alert))], None));
        output.queue.close();
        terminal.run();
        let line = "0 events/s  5 kept  0 lost  0 containers  2 rules";
        assert_eq!(
            String::from_utf8(shared.0.lock().unwrap().clone()).unwrap(),
            format!(
                "ready\n{ERASE}{line}{ERASE}12:00:00.000000001: Warning x\n{ERASE}{line}{ERASE}"
            )
        );
        assert_eq!(metrics.output("stdout").written.get(), 1);
        assert_eq!(metrics.output("stdout").latency.get_sample_count(), 1);
    }

    #[test]
    fn the_journal_gets_the_severity_in_front() {
        let shared = Shared::default();
        let metrics = Metrics::new().unwrap();
        let mut terminal = writer(shared.clone(), Shared::default(), output(&metrics));
        terminal.levels = Levels::InFront;
        let alert = Alert {
            output: "a\n<0>b".into(),
            ..sample()
        };
        terminal.write(batch(vec![Item::Alert(entry(1, alert))], None));
        assert_eq!(
            String::from_utf8(shared.0.lock().unwrap().clone()).unwrap(),
            "<4>12:00:00.000000001: Warning a\\n<0>b\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_counted() {
        let metrics = Metrics::new().unwrap();
        let mut terminal = writer(Closed, Shared::default(), output(&metrics));
        terminal.write(batch(vec![Item::Alert(entry(1, sample())); 3], None));
        let counted = metrics.output("stdout");
        assert_eq!((counted.written.get(), counted.lost_write.get()), (0, 3));
        assert_eq!(counted.write_errors.get(), 1);
    }
}

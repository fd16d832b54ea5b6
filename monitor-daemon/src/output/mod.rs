//! Where alerts go: standard output, a file and a syslog server, each behind its own bounded queue
//! and thread, so that a slow reader or a full disk stops neither the daemon nor the other outputs.
//!
//! [`Outputs`] owns the threads; [`AlertQueue`] is what the rest of the daemon holds. Standard
//! error (log lines, `ready`, the status line) goes through the same thread as standard output.

mod alert;
mod file;
mod journal;
mod json;
mod log;
mod pretty;
mod queue;
mod status;
mod syslog;
mod syslog_message;
mod terminal;
mod text;
mod time;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

pub use alert::Alert;
pub use json::JsonFormat;
pub use log::{LogLine, LogLines};
pub use pretty::Colour;
pub use status::Status;
pub use text::{line, prefixed, visible};
pub use time::{TimeFormat, rfc3339};

use self::file::{AlertFile, FileWriter};
use self::queue::{Item, Queue, Refused};
use self::syslog::{Link, SyslogWriter};
use self::syslog_message::SyslogMessage;
use self::terminal::{Form, Levels, Screen, TerminalWriter};
use crate::config::{Config, JsonProperties, StdoutFormat, Syslog};
use crate::metrics::{Metrics, OutputMetrics};

/// How long the end of the daemon waits for outputs unless told otherwise.
const STOP_TIME: Duration = Duration::from_secs(5);

/// What goes where.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// What standard output gets.
    pub stdout: StdoutFormat,
    /// JSON lines are appended here.
    pub file: Option<PathBuf>,
    /// A syslog server gets them too.
    pub syslog: Option<Syslog>,
    /// Bytes each output may hold back.
    pub queue_bytes: usize,
    /// Optional properties of JSON alerts.
    pub json: JsonProperties,
    /// The time in front of an alert's text.
    pub time: TimeFormat,
}

impl From<&Config> for OutputSettings {
    fn from(config: &Config) -> Self {
        Self {
            stdout: config.alerts.stdout,
            file: config.alerts.file.clone(),
            syslog: config.alerts.syslog.clone(),
            queue_bytes: config.alerts.queue_bytes,
            json: config.json,
            time: if config.time_format_iso_8601 {
                TimeFormat::Iso8601
            } else {
                TimeFormat::local()
            },
        }
    }
}

/// Outputs cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The alert file cannot be opened.
    #[error("cannot open `{}` for alerts: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start an output: {0}")]
    Thread(#[source] io::Error),
}

/// An output refused an alert because its queue is full; the loss has been counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an alert queue is full")]
pub struct Full;

/// The running outputs. Dropping them delivers what is queued, for a few seconds at most.
#[derive(Debug)]
pub struct Outputs {
    queue: AlertQueue,
    done: mpsc::Receiver<()>,
    running: usize,
}

/// Hands alerts and lines to the outputs; never blocks.
#[derive(Clone, Debug)]
pub struct AlertQueue {
    terminal: Arc<Queue>,
    alerts: Arc<[AlertOutput]>,
}

#[derive(Debug)]
struct AlertOutput {
    queue: Arc<Queue>,
    metrics: OutputMetrics,
}

impl Outputs {
    /// Opens the file, if any, and starts a thread an output.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or a thread not be started.
    pub fn start(settings: &OutputSettings, metrics: &Metrics) -> Result<Self, OutputError> {
        let (finished, done) = mpsc::channel();
        let json = JsonFormat {
            properties: settings.json,
            time: settings.time.clone(),
        };
        let mut starting = Starting {
            settings,
            metrics,
            finished,
            alerts: Vec::new(),
            running: 0,
        };
        if let Some(path) = &settings.file {
            starting.file(path, json.clone())?;
        }
        if let Some(server) = &settings.syslog {
            starting.syslog(server, json.clone())?;
        }
        let terminal = starting.terminal(json)?;
        let Starting {
            alerts, running, ..
        } = starting;
        Ok(Self {
            queue: AlertQueue {
                terminal,
                alerts: alerts.into(),
            },
            done,
            running,
        })
    }

    /// A handle for whoever has alerts or lines.
    pub fn queue(&self) -> AlertQueue {
        self.queue.clone()
    }

    /// Delivers what is queued, within `time`; returns how many alerts were given up, which are
    /// also counted.
    pub fn stop(&mut self, time: Duration) -> u64 {
        self.queue.close();
        let deadline = Instant::now() + time;
        while self.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.done.recv_timeout(left) {
                Ok(()) => self.running -= 1,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        // A thread that is stuck is not waited for twice.
        self.running = 0;
        self.queue.give_up()
    }
}

/// Outputs while they are being started.
struct Starting<'a> {
    settings: &'a OutputSettings,
    metrics: &'a Metrics,
    finished: mpsc::Sender<()>,
    alerts: Vec<AlertOutput>,
    running: usize,
}

impl Starting<'_> {
    fn terminal(&mut self, json: JsonFormat) -> Result<Arc<Queue>, OutputError> {
        let terminal = Arc::new(Queue::new(self.settings.queue_bytes));
        let metrics = self.metrics.output("stdout");
        if self.settings.stdout != StdoutFormat::Off {
            self.alerts.push(AlertOutput {
                queue: Arc::clone(&terminal),
                metrics: metrics.clone(),
            });
        }
        let writer = TerminalWriter {
            form: form(self.settings, json),
            levels: Levels::of(io::stdout()),
            out: io::stdout(),
            err: io::stderr(),
            status: Colour::of(&io::stderr()),
            queue: Arc::clone(&terminal),
            metrics,
            screen: Screen::default(),
        };
        self.spawn("alerts-stdout", move || writer.run())?;
        Ok(terminal)
    }

    fn file(&mut self, path: &Path, format: JsonFormat) -> Result<(), OutputError> {
        let file = AlertFile::open(path).map_err(|source| OutputError::Open {
            path: path.to_owned(),
            source,
        })?;
        let (queue, metrics) = self.add("file");
        let writer = FileWriter {
            file,
            format,
            queue,
            metrics,
        };
        self.spawn("alerts-file", move || writer.run())
    }

    fn syslog(&mut self, server: &Syslog, json: JsonFormat) -> Result<(), OutputError> {
        let (queue, metrics) = self.add("syslog");
        let writer = SyslogWriter {
            link: Link::new(server.clone()),
            message: SyslogMessage {
                settings: server.clone(),
                json,
            },
            queue,
            metrics,
        };
        self.spawn("alerts-syslog", move || writer.run())
    }

    /// A queue of its own for an output.
    fn add(&mut self, name: &str) -> (Arc<Queue>, OutputMetrics) {
        let queue = Arc::new(Queue::new(self.settings.queue_bytes));
        let metrics = self.metrics.output(name);
        self.alerts.push(AlertOutput {
            queue: Arc::clone(&queue),
            metrics: metrics.clone(),
        });
        (queue, metrics)
    }

    fn spawn(
        &mut self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), OutputError> {
        let finished = self.finished.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            body();
            // The receiver is gone when nobody waits for the end.
            let _ = finished.send(());
        });
        self.running += 1;
        thread.map(drop).map_err(OutputError::Thread)
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.stop(STOP_TIME);
    }
}

impl AlertQueue {
    /// Queues an alert for every output.
    ///
    /// # Errors
    ///
    /// At least one output had no room for it; the others have it.
    pub fn push(&self, alert: Alert) -> Result<(), Full> {
        let alert = Arc::new(alert);
        let mut result = Ok(());
        for output in self.alerts.iter() {
            if let Err(refused) = output.queue.push(Item::Alert(Arc::clone(&alert))) {
                match refused {
                    Refused::Full => output.metrics.lost_queue_full.inc(),
                    Refused::Closed => output.metrics.lost_shutdown.inc(),
                }
                result = Err(Full);
            }
        }
        result
    }

    /// Queues a line for standard error. Dropped when the terminal is stuck, and written directly
    /// when the outputs have stopped.
    pub fn line(&self, text: &str) {
        if self.terminal.push(Item::Line(text.to_owned())) == Err(Refused::Closed) {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{text}\n"));
        }
    }

    /// Replaces the status line, if standard error is a terminal.
    pub fn status(&self, status: Status) {
        self.terminal.set_status(status);
    }

    fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.alerts
            .iter()
            .map(|output| &*output.queue)
            .chain([&*self.terminal])
    }

    fn close(&self) {
        self.queues().for_each(Queue::close);
    }

    fn give_up(&self) -> u64 {
        let lost = self.alerts.iter().map(|output| {
            output.metrics.lost_shutdown.inc_by(output.queue.clear());
            output.metrics.lost_shutdown.get()
        });
        lost.sum()
    }
}

fn form(settings: &OutputSettings, json: JsonFormat) -> Form {
    match (settings.stdout, Colour::of(&io::stdout())) {
        (StdoutFormat::Json, _) => Form::Json(Box::new(json)),
        (_, Some(colour)) => Form::Pretty(settings.time.clone(), colour),
        (_, None) => Form::Text(settings.time.clone()),
    }
}

/// Seconds from `time`, ns since the epoch, to now; 0 when the clock was set back meanwhile.
fn latency(time: u64) -> f64 {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
    SystemTime::now()
        .duration_since(time)
        .unwrap_or_default()
        .as_secs_f64()
}

#[cfg(test)]
mod tests;

//! Where alerts go: into the alert log, and from there to standard output, files, syslog servers,
//! servers that take HTTP, NATS and Kafka, each behind its own bounded queue and thread, so that a
//! slow reader or a full disk stops neither the daemon nor the other outputs. What has no room in an
//! output's queue it takes from the log later, also after a new start.
//!
//! [`Outputs`] owns the threads; [`AlertQueue`] is what the rest of the daemon holds. Standard
//! error (log lines, `ready`, the status line) goes through the same thread as standard output.

mod ahead;
mod alert;
mod backoff;
mod bus;
mod feed;
mod file;
mod format;
mod http;
mod in_turn;
mod journal;
mod json;
mod keeper;
mod log;
mod pretty;
mod protobuf;
mod queue;
mod secret;
mod selection;
mod status;
mod syslog;
mod syslog_link;
mod syslog_message;
mod tcp;
mod terminal;
mod text;
mod time;
mod tls;
mod tls_stream;
mod wire;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

pub use alert::Alert;
#[cfg(test)]
pub(crate) use alert::tests::sample;
pub(crate) use alert::{INTERNAL, OWN_TAG};
pub use format::Format;
pub(crate) use format::reference::markdown as formats;
pub use http::HttpError;
pub use json::JsonFormat;
pub use log::{LogLine, LogLines};
pub use pretty::Colour;
pub use queue::Room;
pub use secret::Secret;
pub use selection::Selection;
pub use status::Status;
pub use text::{line, prefixed, visible};
pub use time::{TimeFormat, rfc3339};
pub use tls::{TlsError, TlsFiles};

use self::ahead::Ahead;
use self::bus::{Bus, BusWriter};
use self::feed::{Feed, Kept, Output, Reached};
use self::file::AlertFile;
use self::format::Encoder;
use self::http::{Client, HttpWriter};
use self::keeper::Keeper;
use self::queue::{Item, Queue, Refused};
use self::syslog_link::Link;
use self::syslog_message::SyslogMessage;
use self::terminal::{Form, Levels, Screen, TerminalWriter};
use crate::alert_log::{self, AlertLog, Entry, LogError, LogId, Uuid};
use crate::clock;
use crate::config::{
    Config, File, Http, JsonProperties, Kafka, Nats, StdoutFormat, Syslog, SyslogProtocol,
};
use crate::metrics::Metrics;

/// How long the end of the daemon waits for outputs unless told otherwise.
const STOP_TIME: Duration = Duration::from_secs(5);

/// What goes where.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// How alerts are kept; not at all without.
    pub log: Option<alert_log::Settings>,
    /// Name of this host.
    pub hostname: Arc<str>,
    /// What standard output gets.
    pub stdout: StdoutFormat,
    /// And which alerts.
    pub stdout_selection: Selection,
    /// All alerts are appended here as lines.
    pub file: Option<PathBuf>,
    /// In this shape.
    pub file_format: Format,
    /// More files, by name.
    pub files: BTreeMap<String, File>,
    /// A syslog server gets them too.
    pub syslog: Option<Syslog>,
    /// And these, by name.
    pub syslog_servers: BTreeMap<String, Syslog>,
    /// So do these servers, by name.
    pub http: BTreeMap<String, Http>,
    /// These streams of NATS.
    pub nats: BTreeMap<String, Nats>,
    /// These topics of Kafka.
    pub kafka: BTreeMap<String, Kafka>,
    /// Bytes each output may hold back.
    pub queue_bytes: usize,
    /// Optional properties of JSON alerts.
    pub json: JsonProperties,
    /// The time in front of an alert's text.
    pub time: TimeFormat,
}

impl OutputSettings {
    /// What the configuration says, on the host `hostname`.
    pub fn new(config: &Config, hostname: Arc<str>) -> Self {
        Self {
            log: config.alerts.log.settings(),
            hostname,
            stdout: config.alerts.stdout,
            stdout_selection: config.alerts.stdout_selection.clone(),
            file: config.alerts.file.clone(),
            file_format: config.alerts.file_format,
            files: config.alerts.files.clone(),
            syslog: config.alerts.syslog.clone(),
            syslog_servers: config.alerts.syslog_servers.clone(),
            http: config.alerts.http.clone(),
            nats: config.alerts.nats.clone(),
            kafka: config.alerts.kafka.clone(),
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
    /// An alert file cannot be opened.
    #[error("cannot open `{}` for alerts: {source}{}", path.display(), whose(source))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no talking TLS with a syslog server.
    #[error("the output to the syslog server `{server}` cannot start: {source}")]
    Tls {
        /// Its address.
        server: String,
        /// Why.
        source: TlsError,
    },
    /// A server that gets alerts by HTTP cannot be talked to.
    #[error("the output `alerts.http.{name}` cannot start: {source}")]
    Http {
        /// Name of the output.
        name: String,
        /// Why.
        source: HttpError,
    },
    /// A thread cannot be started.
    #[error("cannot start an output: {0}")]
    Thread(#[source] io::Error),
}

/// What to do about a file that is not the user's that the service runs as.
fn whose(error: &io::Error) -> String {
    let user = rustix::process::geteuid();
    if user.is_root() || error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    format!(
        "; the daemon runs as the user {user}, who has to own the file or, where it is yet to be \
         made, its folder"
    )
}

/// An output refused an alert because its queue is full; the loss has been counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an alert queue is full")]
pub struct Full;

/// How far an output is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// What it is and where it goes.
    pub output: String,
    /// Number of the last alert that it has, with all before.
    pub has: u64,
    /// So many of those behind it has too (`newest_first`).
    pub ahead: u64,
    /// Number of the newest alert.
    pub newest: u64,
}

/// The running outputs. Dropping them delivers what is queued, for a few seconds at most.
#[derive(Debug)]
pub struct Outputs {
    queue: AlertQueue,
    /// Closed when the keeper of the log has ended, after all outputs.
    done: mpsc::Receiver<()>,
    stopped: bool,
    log_error: Option<LogError>,
}

/// Hands alerts and lines to the outputs; never blocks.
#[derive(Clone, Debug)]
pub struct AlertQueue {
    terminal: Arc<Output>,
    intake: Arc<Intake>,
    outputs: Arc<[Arc<Output>]>,
}

/// Where alerts get their numbers.
#[derive(Debug)]
struct Intake {
    queue: Queue,
    log: LogId,
    /// The number of the newest alert.
    given: Mutex<u64>,
    /// At the end: alerts that outputs did not get and that are not in the log either.
    lost: AtomicU64,
}

impl Outputs {
    /// Opens the alert log and the files, if any, and starts a thread an output. Without the log,
    /// which [`Outputs::log_error`] then tells, the outputs work all the same.
    ///
    /// # Errors
    ///
    /// A file cannot be opened, or a thread not be started.
    pub fn start(settings: &OutputSettings, metrics: &Metrics) -> Result<Self, OutputError> {
        let opened = settings.log.clone().map(alert_log::open_or_begin_anew);
        let (log, log_error) = opened.unwrap_or_default();
        let refused = log.is_none() && log_error.is_some();
        metrics.log.failing.set(i64::from(refused));
        let given = log.as_ref().map_or(0, AlertLog::last_given);
        let intake = Arc::new(Intake {
            queue: Queue::new(settings.queue_bytes),
            log: log.as_ref().map_or_else(LogId::random, AlertLog::id),
            given: Mutex::new(given),
            lost: AtomicU64::default(),
        });
        let json = JsonFormat {
            properties: settings.json,
            time: settings.time.clone(),
        };
        let (finished, outputs_end) = mpsc::channel();
        let mut starting = Starting {
            settings,
            metrics,
            log: log.as_ref(),
            intake: &intake,
            finished,
            outputs: Vec::new(),
        };
        starting.files(&json)?;
        starting.syslogs(&json)?;
        for (name, server) in &settings.http {
            starting.http(name, server, json.clone())?;
        }
        starting.buses(&json)?;
        let terminal = starting.terminal(json)?;
        let outputs: Arc<[Arc<Output>]> = starting.outputs.into();
        let progress = outputs.iter().map(|output| output.acknowledged());
        let keeper = Keeper {
            state: keeper::State::new(progress.collect()),
            intake: Arc::clone(&intake),
            outputs: Arc::clone(&outputs),
            terminal: Arc::clone(&terminal),
            log,
            metrics: metrics.log.clone(),
            budget: settings.queue_bytes,
            hostname: Arc::clone(&settings.hostname),
            outputs_end,
        };
        keeper.begins_with(log_error.as_ref());
        let (finished, done) = mpsc::channel();
        spawn("alert-log", finished, move || keeper.run())?;
        Ok(Self {
            queue: AlertQueue {
                terminal,
                intake,
                outputs,
            },
            done,
            stopped: false,
            log_error,
        })
    }

    /// A handle for whoever has alerts or lines.
    pub fn queue(&self) -> AlertQueue {
        self.queue.clone()
    }

    /// Why alerts are not kept, or not where they were.
    pub fn log_error(&self) -> Option<&LogError> {
        self.log_error.as_ref()
    }

    /// Delivers what is queued, within `time`; returns how many alerts were given up, which are
    /// also counted. What is in the log is not given up: the next start goes on with it.
    pub fn stop(&mut self, time: Duration) -> u64 {
        // A thread that is stuck is not waited for twice.
        if !std::mem::replace(&mut self.stopped, true) {
            self.queue.intake.queue.close();
            // Nothing is ever sent.
            let _ended = self.done.recv_timeout(time);
        }
        self.queue.give_up() + self.queue.intake.lost.load(Ordering::Acquire)
    }
}

/// Outputs while they are being started.
struct Starting<'a> {
    settings: &'a OutputSettings,
    metrics: &'a Metrics,
    log: Option<&'a AlertLog>,
    intake: &'a Arc<Intake>,
    finished: mpsc::Sender<()>,
    outputs: Vec<Arc<Output>>,
}

impl Starting<'_> {
    fn terminal(&mut self, json: JsonFormat) -> Result<Arc<Output>, OutputError> {
        let newest = self.log.map_or(0, AlertLog::last_given);
        let is_off = self.settings.stdout == StdoutFormat::Off;
        // A terminal is read by somebody who is there now.
        let from = (is_off || io::stdout().is_terminal()).then_some(newest);
        let selection = self.settings.stdout_selection.clone();
        let output = self.output("stdout", "stdout".to_owned(), selection, from);
        let writer = TerminalWriter {
            form: form(self.settings, json),
            levels: Levels::of(io::stdout()),
            out: io::stdout(),
            err: io::stderr(),
            status: Colour::of(&io::stderr()),
            feed: Feed::new(Arc::clone(&output)),
            screen: Screen::default(),
        };
        if !is_off {
            self.outputs.push(Arc::clone(&output));
        }
        spawn("alerts-stdout", self.finished.clone(), move || writer.run())?;
        Ok(output)
    }

    fn files(&mut self, json: &JsonFormat) -> Result<(), OutputError> {
        let settings = self.settings;
        if let Some(path) = &settings.file {
            let file = File::grows(path.clone(), settings.file_format);
            let name = format!("file {}", path.display());
            self.file("file", name, &file, json.clone())?;
        }
        for (name, file) in &settings.files {
            let label = format!("file.{name}");
            // A path of the file without a name may read the same.
            self.file(&label, format!("files {name}"), file, json.clone())?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        label: &str,
        name: String,
        file: &File,
        json: JsonFormat,
    ) -> Result<(), OutputError> {
        let encoder = Encoder {
            format: file.format,
            json,
        };
        let opened = AlertFile::open(file.clone(), encoder);
        let bus = opened.map_err(|source| OutputError::Open {
            path: file.path.clone(),
            source,
        })?;
        let feed = self.feed(label, name, file.selection.clone());
        self.writer(label, bus, feed)
    }

    fn syslogs(&mut self, json: &JsonFormat) -> Result<(), OutputError> {
        let settings = self.settings;
        if let Some(server) = &settings.syslog {
            let name = format!("syslog {}", server.address);
            self.syslog("syslog", name, server, json.clone())?;
        }
        for (name, server) in &settings.syslog_servers {
            let label = format!("syslog.{name}");
            self.syslog(&label, format!("syslog {name}"), server, json.clone())?;
        }
        Ok(())
    }

    fn syslog(
        &mut self,
        label: &str,
        name: String,
        server: &Syslog,
        json: JsonFormat,
    ) -> Result<(), OutputError> {
        if server.protocol == SyslogProtocol::Tls {
            let loaded = server.tls.load();
            loaded.map_err(|source| OutputError::Tls {
                server: server.address.clone(),
                source,
            })?;
        }
        let feed = self.feed(label, name, server.selection.clone());
        let bus = syslog::Syslog {
            link: Link::new(server.clone()),
            message: SyslogMessage {
                settings: server.clone(),
                json,
            },
        };
        self.writer(label, bus, feed)
    }

    /// A thread that gives `bus` what `feed` has.
    fn writer(
        &self,
        label: &str,
        bus: impl Bus + Send + 'static,
        feed: Feed,
    ) -> Result<(), OutputError> {
        let writer = BusWriter {
            name: label.to_owned(),
            bus,
            feed,
            backoff: None,
        };
        // Of a thread's name the kernel has 15 letters.
        let thread = format!("alerts-{label}");
        spawn(&thread, self.finished.clone(), move || writer.run())
    }

    fn http(&mut self, name: &str, server: &Http, json: JsonFormat) -> Result<(), OutputError> {
        let client = Client::new(server.clone()).map_err(|source| OutputError::Http {
            name: name.to_owned(),
            source,
        })?;
        let label = format!("http.{name}");
        let feed = self.feed(&label, format!("http {name}"), server.selection.clone());
        let encoder = Encoder {
            format: server.format,
            json,
        };
        let writer = HttpWriter::new(name, server, client, encoder, feed);
        let thread = format!("http-{name}");
        spawn(&thread, self.finished.clone(), move || writer.run())
    }

    /// The outputs to message brokers.
    fn buses(&mut self, json: &JsonFormat) -> Result<(), OutputError> {
        let encoder = |format| Encoder {
            format,
            json: json.clone(),
        };
        let settings = self.settings;
        for (name, server) in &settings.nats {
            let nats = bus::Nats::new(server.clone(), encoder(server.format));
            self.bus("nats", name, &server.selection, nats)?;
        }
        for (name, server) in &settings.kafka {
            let kafka = bus::Kafka::new(server.clone(), encoder(server.format));
            self.bus("kafka", name, &server.selection, kafka)?;
        }
        Ok(())
    }

    /// An output to a message broker of this `kind`.
    fn bus(
        &mut self,
        kind: &str,
        name: &str,
        selection: &Selection,
        bus: impl Bus + Send + 'static,
    ) -> Result<(), OutputError> {
        let label = format!("{kind}.{name}");
        let writer = BusWriter {
            name: label.clone(),
            bus,
            feed: self.feed(&label, format!("{kind} {name}"), selection.clone()),
            backoff: None,
        };
        let thread = format!("{kind}-{name}");
        spawn(&thread, self.finished.clone(), move || writer.run())
    }

    /// Adds an output that goes on where it was.
    fn feed(&mut self, label: &str, name: String, selection: Selection) -> Feed {
        let output = self.output(label, name, selection, None);
        self.outputs.push(Arc::clone(&output));
        Feed::new(output)
    }

    /// An output that goes on behind the alert `from`, or where the log says that it was, or with
    /// what is new.
    fn output(
        &self,
        label: &str,
        name: String,
        selection: Selection,
        from: Option<u64>,
    ) -> Arc<Output> {
        let queue = Queue::new(self.settings.queue_bytes);
        let newest = self.log.map_or(0, AlertLog::last_given);
        let known = || self.log?.acknowledged(&name).ok()?;
        let from = from.or_else(known).unwrap_or(newest);
        queue.look_elsewhere(newest);
        let kept = self.log.map(|log| Kept {
            keeper: Arc::clone(self.intake),
            path: log.path().to_owned(),
            begun: Mutex::new(log.begun().to_vec()),
            hostname: Arc::clone(&self.settings.hostname),
        });
        let ahead = self.log.and_then(|log| log.ahead(&name).ok());
        let ahead = ahead.unwrap_or_default();
        let is_ordered = selection.newest_first.is_none() && ahead.is_empty();
        let reached = Reached {
            acknowledged: from,
            ahead: (!is_ordered).then(|| Ahead::new(ahead)),
        };
        let metrics = self.metrics.output(label);
        Arc::new(Output::new(name, queue, metrics, selection, reached, kept))
    }
}

/// Starts a thread that ends with `body`, and drops `finished` then.
fn spawn(
    name: &str,
    finished: mpsc::Sender<()>,
    body: impl FnOnce() + Send + 'static,
) -> Result<(), OutputError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        body();
        drop(finished);
    });
    thread.map(drop).map_err(OutputError::Thread)
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.stop(STOP_TIME);
    }
}

impl Intake {
    /// Gives the alert its number and queues it, if there is room.
    fn push(&self, alert: Alert, room: Room, outputs: &[Arc<Output>]) -> Result<Uuid, Full> {
        let push = |item: Item| match self.queue.push_into(room, item.clone()) {
            Ok(()) => None,
            Err(refused) => item.alert().map(|entry| (entry, refused)),
        };
        let (refused, uuid) = self.number(alert, push);
        let Some((entry, refused)) = refused else {
            return Ok(uuid);
        };
        let wants = |output: &&Arc<Output>| output.wants(&entry.alert);
        for output in outputs.iter().filter(wants) {
            match refused {
                Refused::Full => output.lose(&entry),
                Refused::Closed => output.metrics.lost_shutdown.inc(),
            }
        }
        Err(Full)
    }

    /// The same for an alert that tells of a loss, which is rare: room or not.
    fn push_over(&self, alert: Alert) {
        // Only the end refuses it, and it is in the daemon's own log.
        let _ended = self.number(alert, |item| self.queue.push_over(item));
    }

    fn number<T>(&self, alert: Alert, queue: impl FnOnce(Item) -> T) -> (T, Uuid) {
        // Held while it is queued, so that numbers are in order there.
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        *given += 1;
        let entry = Entry {
            sequence: *given,
            log: self.log,
            alert,
        };
        let uuid = entry.uuid();
        (queue(Item::Alert(Arc::new(entry))), uuid)
    }
}

impl AlertQueue {
    /// Queues an alert for the log and every output; its name for all time.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub fn push(&self, alert: Alert) -> Result<Uuid, Full> {
        self.push_into(Room::All, alert)
    }

    /// The same, with a say in how much of the queue may be taken.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub fn push_into(&self, room: Room, alert: Alert) -> Result<Uuid, Full> {
        self.intake.push(alert, room, &self.outputs)
    }

    /// Queues a line for standard error. Dropped when the terminal is stuck, and written directly
    /// when the outputs have stopped.
    pub fn line(&self, text: &str) {
        if self.terminal.queue.push(Item::Line(text.to_owned())) == Err(Refused::Closed) {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{text}\n"));
        }
    }

    /// Replaces the status line, if standard error is a terminal.
    pub fn status(&self, status: Status) {
        self.terminal.queue.set_status(status);
    }

    /// How far each output is, which is published too.
    pub fn progress(&self) -> Vec<Progress> {
        let given = self.intake.given.lock();
        let newest = *given.unwrap_or_else(PoisonError::into_inner);
        let now = clock::epoch_ns();
        let outputs = self.outputs.iter().map(|output| {
            output.publish(newest, now);
            Progress {
                output: output.name.clone(),
                has: output.acknowledged(),
                ahead: output.ahead(),
                newest,
            }
        });
        outputs.collect()
    }

    fn give_up(&self) -> u64 {
        let lost = self.outputs.iter().map(|output| {
            output.give_up(0);
            output.metrics.lost_shutdown.get()
        });
        lost.sum()
    }
}

fn form(settings: &OutputSettings, json: JsonFormat) -> Form {
    let format = match settings.stdout {
        StdoutFormat::Lines(format) => format,
        StdoutFormat::Off => Format::Text,
    };
    match Colour::of(&io::stdout()).filter(|_| format == Format::Text) {
        Some(colour) => Form::Pretty(settings.time.clone(), colour),
        None => Form::Lines(Box::new(Encoder { format, json })),
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

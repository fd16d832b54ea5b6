//! The daemon's configuration: what can run.
//!
//! One YAML file, `/etc/monitor/monitor.yaml` unless `--config` names another, then those of
//! `conf.d` beside it. Every key may be left out. What the user wrote is a [`raw::RawConfig`]; a
//! [`Config`] has been checked, so nothing in it can fail later except what only the machine can
//! tell (a missing file, a port in use). Policies themselves are read elsewhere ([`crate::cli`]).

mod append;
mod broker;
mod effective;
mod error;
mod file;
mod file_keys;
mod http;
mod http_keys;
mod kafka;
mod kafka_keys;
mod keys;
mod limits;
mod nats;
mod nats_keys;
mod outputs;
mod raw;
pub mod reference;
mod sources;
mod switches;
mod syslog;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monitor_policy::Options;

use crate::alert_log::{self, Retention};
use crate::output::{Format, Selection};
use crate::rollup;
pub use broker::Broker;
pub use error::ConfigError;
pub use file::File;
pub use http::{Api, Http, HttpBody, Login};
pub use kafka::{Kafka, KafkaKey, KafkaLogin, Mechanism};
pub use keys::{KEYS, Key};
pub use nats::{Nats, NatsLogin, NatsServer, Subject};
pub use sources::FOLDER as ADDITIONS;
use sources::{Named, Source};
pub use syslog::Syslog;
pub use value::{RingBytes, StateFile, StdoutFormat, SyslogFacility, SyslogFormat, SyslogProtocol};

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/monitor/monitor.yaml";

/// A configuration that can run.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the user's"
)]
pub struct Config {
    /// `policies`: rules files and folders, in load order. Empty: the policies built into the
    /// binary.
    pub policies: Vec<PathBuf>,
    /// How policies are loaded. `rule_matching`: whether the first matching rule ends the search
    /// (`first`, as Falco does) or every matching rule alerts (`all`). `priority`: rules less
    /// severe are dropped at load; default `debug`. `append_suggested_output`: whether container
    /// and pod fields are appended to every rule's output; default `true`. `limits`: how much
    /// rules files may ask for.
    pub rules: Options,
    /// `alerts`: where alerts go.
    pub alerts: Alerts,
    /// `json`: which optional properties a JSON alert has.
    pub json: JsonProperties,
    /// `time_format_iso_8601`: print times as `2026-01-31T12:00:00.000000001+0000` instead of the
    /// local time of day. Default `false`.
    pub time_format_iso_8601: bool,
    /// `hostname`: name of this host in alerts; the kernel's node name when absent.
    pub hostname: Option<String>,
    /// `metrics`: the Prometheus endpoint; `None` when off.
    pub metrics: Option<SocketAddr>,
    /// `docker`: the container runtime's API.
    pub docker: Docker,
    /// `rings`: sizes of the kernel's event buffers.
    pub rings: Rings,
    /// `accept_blind`: start even when a loaded rule needs an event kind that nothing on this
    /// kernel provides. Default `false`.
    pub accept_blind: bool,
    /// `state_file`: where the daemon keeps when it was last alive.
    pub state_file: StateFile,
    /// `protect`: keep others from killing and tracing the daemon, and off its kernel objects.
    /// Default `false`.
    pub protect: bool,
    /// `reload_on_change`: load rules anew when their files change, or the configuration's.
    /// Default `true`.
    pub reload_on_change: bool,
    /// `kernel_filter`: leave out in the kernel what no rule can match. Default `true`.
    pub kernel_filter: bool,
    /// `control.socket`: where `reload` reaches the daemon; `None` when off.
    pub control: Option<PathBuf>,
}

/// Where alerts go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alerts {
    /// `alerts.stdout`: `text` (default), `json`, another format, or `off`.
    pub stdout: StdoutFormat,
    /// `alerts.stdout_priority`, `alerts.stdout_tags`, `alerts.stdout_rules`: which alerts it gets.
    pub stdout_selection: Selection,
    /// `alerts.log`: where and for how long alerts are kept.
    pub log: AlertLog,
    /// `alerts.rollup`: which alerts are only counted.
    pub rollup: Rollup,
    /// `alerts.file`: lines are appended here. Reopened when the file was rotated away.
    pub file: Option<PathBuf>,
    /// `alerts.file_format`: their shape. Default `falco`.
    pub file_format: Format,
    /// `alerts.files`: more files, by name.
    pub files: BTreeMap<String, File>,
    /// `alerts.queue_bytes`: bytes of alerts each output may hold back while it is slow or
    /// failing. Default 8 MiB, at least 64 KiB.
    pub queue_bytes: usize,
    /// `alerts.syslog`: a syslog server that gets them too; off without `address`.
    pub syslog: Option<Syslog>,
    /// `alerts.syslog.servers`: more of them, by name.
    pub syslog_servers: BTreeMap<String, Syslog>,
    /// `alerts.http`: servers that get them by HTTP, by name.
    pub http: BTreeMap<String, Http>,
    /// `alerts.nats`: streams of NATS that get them, by name.
    pub nats: BTreeMap<String, Nats>,
    /// `alerts.kafka`: topics of Kafka that get them, by name.
    pub kafka: BTreeMap<String, Kafka>,
}

/// The alert log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlertLog {
    /// `alerts.log.path`: the file.
    pub path: StateFile,
    /// `alerts.log.bytes`: bytes that alerts may take there. Default 256 MiB, at least 1 MiB.
    pub bytes: u64,
    /// `alerts.log.days`: age of the oldest alert. Default 30.
    pub days: u64,
    /// `alerts.log.sync`: wait for the disk at every commit. Default `false`.
    pub sync: bool,
}

impl AlertLog {
    /// What the log is opened with; `None` when it is off.
    pub fn settings(&self) -> Option<alert_log::Settings> {
        const DAY_NS: u64 = 24 * 3600 * 1_000_000_000;
        Some(alert_log::Settings {
            path: self.path.path(alert_log::NAME)?,
            synced: self.sync,
            retention: Retention {
                bytes: self.bytes,
                age_ns: self.days * DAY_NS,
            },
        })
    }
}

/// Which alerts are only counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rollup {
    /// `alerts.rollup.window_seconds`: for how long alerts like the first are counted. Default
    /// 60 s; 0: every alert goes out.
    pub window: Duration,
    /// `alerts.rollup.rule_alerts`: alerts that a rule may raise in that time in a container
    /// before the rest is counted. Default 10,000.
    pub rule_alerts: u64,
    /// `alerts.rollup.bytes`: memory for what is counted. Default 4 MiB, at least 64 KiB.
    pub bytes: usize,
    /// `alerts.rollup.ignored_fields`: fields by which alerts do not differ.
    pub ignored_fields: Vec<String>,
}

impl Rollup {
    /// How alerts are rolled up.
    pub fn settings(&self) -> rollup::Settings {
        rollup::Settings {
            window_ns: u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX),
            rule_alerts: self.rule_alerts,
            bytes: self.bytes,
            ignored_fields: self.ignored_fields.clone(),
        }
    }
}

/// Optional properties of a JSON alert; the names and defaults are Falco's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the user's"
)]
pub struct JsonProperties {
    /// `json.include_output_property`: `output`, the text with time and priority. Default `true`.
    pub output: bool,
    /// `json.include_output_fields_property`: `output_fields`, typed values. Default `true`.
    pub output_fields: bool,
    /// `json.include_tags_property`: `tags` of the rule, sorted. Default `true`.
    pub tags: bool,
    /// `json.include_id_property`: `uuid` and `sequence`. Default `true`.
    pub id: bool,
    /// `json.include_message_property`: `message`, the text without prefix. Default `false`.
    pub message: bool,
}

impl Default for JsonProperties {
    fn default() -> Self {
        Self {
            output: true,
            output_fields: true,
            tags: true,
            id: true,
            message: false,
        }
    }
}

/// The container runtime's API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Docker {
    /// `docker.socket`: path of the API's socket. Default `/var/run/docker.sock`.
    pub socket: PathBuf,
    /// `docker.metadata_wait_ms`: how long an alert waits for its container's name and image.
    /// Default 500 ms, at most 10 s.
    pub metadata_wait: Duration,
}

/// Sizes of the kernel's event buffers, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rings {
    /// `rings.lifecycle_bytes`: execs, forks, exits and cgroups. Default 2 MiB.
    pub lifecycle: RingBytes,
    /// `rings.control_bytes`: ids, namespaces, signals, execs that fail. Default 1 MiB.
    pub control: RingBytes,
    /// `rings.bulk_bytes`: file and network events. Default 4 MiB.
    pub bulk: RingBytes,
}

impl Config {
    /// Reads `path`, or without one [`DEFAULT_PATH`], whose absence means the defaults; then the
    /// `*.yaml` and `*.yml` files of the folder `conf.d` beside it, in order of name. Of a key
    /// given in several files the last value holds; lists are replaced.
    ///
    /// # Errors
    ///
    /// A file cannot be read (a named file must exist), or its text is not a configuration.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let sources = match path {
            Some(path) => sources::read(path, Named::ByUser)?,
            None => sources::read(Path::new(DEFAULT_PATH), Named::Default)?,
        };
        Self::of(&sources)
    }

    /// Checks `text`; `file` is named in errors.
    ///
    /// # Errors
    ///
    /// The text is not a configuration; the error says where and what to write instead.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::of(&[Source::parse(file, text)?])
    }

    fn of(sources: &[Source]) -> Result<Self, ConfigError> {
        // What is wrong with a key is the fault of the file that holds its value.
        let origin = |key: &str| {
            let source = sources.iter().rev().find(|source| source.sets(key));
            source.map_or_else(|| DEFAULT_PATH.into(), |source| source.file.clone())
        };
        sources::merge(sources)?.check(origin)
    }
}

impl Default for Config {
    fn default() -> Self {
        raw::RawConfig::default().into_config(Some(raw::DEFAULT_METRICS), raw::Outputs::default())
    }
}

#[cfg(test)]
mod tests;

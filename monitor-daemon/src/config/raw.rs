//! What the user wrote: every key optional, unknown keys refused, cross-checks not yet done.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use monitor_policy::{Options, SuggestedOutput};
use serde::Deserialize;

use super::append::RawAppend;
use super::error::ConfigError;
use super::file::{self, RawFile};
use super::http::{self, RawHttp};
use super::kafka::{self, RawKafka};
use super::limits::RawLimits;
use super::nats::{self, RawNats};
use super::outputs::selection;
use super::switches::RawSwitch;
use super::syslog::{self, RawSyslog, Servers};
use super::value::{
    Bounded, ControlSocket, Listen, MatchingName, PriorityName, RingBytes, StateFile, StdoutFormat,
    optional, scalar,
};
use super::{
    AlertLog, Alerts, Config, Docker, File, Http, JsonProperties, Kafka, Nats, Rings, Rollup,
};
use crate::output::Format;

/// Where metrics are served by default; the port is OpenTelemetry's for a Prometheus exporter.
pub(super) const DEFAULT_METRICS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
const DEFAULT_DOCKER_SOCKET: &str = "/var/run/docker.sock";
const DEFAULT_CONTROL_SOCKET: &str = "/run/monitor-daemon/control.sock";
const DEFAULT_METADATA_WAIT_MS: u64 = 500;
const DEFAULT_QUEUE_BYTES: u64 = 8 << 20;
const DEFAULT_LOG_BYTES: u64 = 256 << 20;
const DEFAULT_LOG_DAYS: u64 = 30;
const DEFAULT_WINDOW: u64 = 60;
const DEFAULT_RULE_ALERTS: u64 = 10_000;
const DEFAULT_ROLLUP_BYTES: u64 = 4 << 20;
/// Numbers and times that differ with each process and event.
const DEFAULT_IGNORED: [&str; 18] = [
    "evt.num",
    "evt.time",
    "evt.rawtime",
    "evt.reltime",
    "evt.deltatime",
    "evt.latency",
    "proc.pid",
    "proc.ppid",
    "proc.apid",
    "proc.vpid",
    "proc.pvpid",
    "proc.duration",
    "proc.exe_ino.ctime_duration_proc_start",
    "thread.tid",
    "thread.vtid",
    "container.duration",
    "fd.num",
    "fd.uid",
];
/// What does not fit is moved into memory: a ring's pages are resident whether or not they are used.
const DEFAULT_LIFECYCLE: RingBytes = RingBytes::power(21);
const DEFAULT_CONTROL: RingBytes = RingBytes::power(20);
/// Twice as much holds twice the burst, but also delays an exec behind it twice as long.
const DEFAULT_BULK: RingBytes = RingBytes::power(22);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawConfig {
    policies: Vec<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    rule_matching: Option<MatchingName>,
    #[serde(deserialize_with = "scalar")]
    priority: Option<PriorityName>,
    rules: Vec<RawSwitch>,
    append_suggested_output: Option<bool>,
    append_output: Vec<RawAppend>,
    static_fields: BTreeMap<String, String>,
    alerts: RawAlerts,
    json: RawJson,
    time_format_iso_8601: bool,
    hostname: Option<String>,
    metrics: RawMetrics,
    docker: RawDocker,
    rings: RawRings,
    accept_blind: bool,
    #[serde(deserialize_with = "optional")]
    state_file: Option<StateFile>,
    protect: bool,
    reload_on_change: Option<bool>,
    kernel_filter: Option<bool>,
    control: RawControl,
    limits: RawLimits,
}

/// Outputs that were checked as a whole.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    files: BTreeMap<String, File>,
    http: BTreeMap<String, Http>,
    syslog: Servers,
    nats: BTreeMap<String, Nats>,
    kafka: BTreeMap<String, Kafka>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawAlerts {
    #[serde(deserialize_with = "scalar")]
    stdout: Option<StdoutFormat>,
    #[serde(deserialize_with = "scalar")]
    stdout_priority: Option<PriorityName>,
    stdout_tags: Vec<String>,
    stdout_rules: Vec<String>,
    log: RawLog,
    rollup: RawRollup,
    file: Option<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    file_format: Option<Format>,
    files: BTreeMap<String, RawFile>,
    #[serde(deserialize_with = "scalar")]
    queue_bytes: Option<Bounded<65_536, 1_073_741_824>>,
    syslog: RawSyslog,
    http: BTreeMap<String, RawHttp>,
    nats: BTreeMap<String, RawNats>,
    kafka: BTreeMap<String, RawKafka>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawLog {
    #[serde(deserialize_with = "optional")]
    path: Option<StateFile>,
    #[serde(deserialize_with = "scalar")]
    bytes: Option<Bounded<1_048_576, 1_099_511_627_776>>,
    #[serde(deserialize_with = "scalar")]
    days: Option<Bounded<1, 36_500>>,
    sync: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawRollup {
    #[serde(deserialize_with = "scalar")]
    window_seconds: Option<Bounded<0, 86_400>>,
    #[serde(deserialize_with = "scalar")]
    rule_alerts: Option<Bounded<1, 10_000_000>>,
    #[serde(deserialize_with = "scalar")]
    bytes: Option<Bounded<65_536, 1_073_741_824>>,
    ignored_fields: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
#[expect(
    clippy::struct_field_names,
    reason = "the names are Falco's, less `json_`"
)]
struct RawJson {
    include_output_property: Option<bool>,
    include_output_fields_property: Option<bool>,
    include_tags_property: Option<bool>,
    include_message_property: Option<bool>,
    include_id_property: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawMetrics {
    #[serde(deserialize_with = "scalar")]
    listen: Option<Listen>,
    allow_remote: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawControl {
    #[serde(deserialize_with = "scalar")]
    socket: Option<ControlSocket>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
struct RawDocker {
    socket: Option<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    metadata_wait_ms: Option<Bounded<0, 10_000>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
#[expect(clippy::struct_field_names, reason = "the keys' own names")]
struct RawRings {
    #[serde(deserialize_with = "scalar")]
    lifecycle_bytes: Option<RingBytes>,
    #[serde(deserialize_with = "scalar")]
    control_bytes: Option<RingBytes>,
    #[serde(deserialize_with = "scalar")]
    bulk_bytes: Option<RingBytes>,
}

impl RawConfig {
    /// Reads `text`; a file of comments only is the defaults.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        serde_yaml::from_str::<Option<Self>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|error| ConfigError::from_yaml(file, &error))
    }

    /// Does the checks that need more than one key; `origin` tells which file a key is from.
    pub(super) fn check(mut self, origin: impl Fn(&str) -> PathBuf) -> Result<Config, ConfigError> {
        let metrics = self
            .metrics
            .address()
            .map_err(|address| ConfigError::NotLoopback {
                file: origin("metrics.listen"),
                address,
            })?;
        if self
            .hostname
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(ConfigError::EmptyHostname {
                file: origin("hostname"),
            });
        }
        let files = std::mem::take(&mut self.alerts.files);
        let files = file::check(files, self.alerts.file.as_deref());
        let files = files.map_err(|problem| ConfigError::Output {
            file: origin("alerts.files"),
            problem,
        })?;
        let http = http::check(std::mem::take(&mut self.alerts.http));
        let http = http.map_err(|problem| ConfigError::Output {
            file: origin("alerts.http"),
            problem,
        })?;
        let syslog = syslog::check(std::mem::take(&mut self.alerts.syslog));
        let syslog = syslog.map_err(|problem| ConfigError::Output {
            file: origin("alerts.syslog"),
            problem,
        })?;
        let nats = nats::check(std::mem::take(&mut self.alerts.nats));
        let nats = nats.map_err(|problem| ConfigError::Output {
            file: origin("alerts.nats"),
            problem,
        })?;
        let kafka = kafka::check(std::mem::take(&mut self.alerts.kafka));
        let kafka = kafka.map_err(|problem| ConfigError::Output {
            file: origin("alerts.kafka"),
            problem,
        })?;
        let outputs = Outputs {
            files,
            http,
            syslog,
            nats,
            kafka,
        };
        Ok(self.into_config(metrics, outputs))
    }

    pub(super) fn into_config(self, metrics: Option<SocketAddr>, outputs: Outputs) -> Config {
        let Self {
            policies,
            rule_matching,
            priority,
            append_suggested_output,
            rules: switches,
            append_output,
            static_fields,
            alerts,
            json,
            time_format_iso_8601,
            hostname,
            metrics: _,
            docker,
            rings,
            accept_blind,
            state_file,
            protect,
            reload_on_change,
            kernel_filter,
            control,
            limits,
        } = self;
        let default = Options::default();
        let rules = Options {
            matching: rule_matching.map_or(default.matching, |name| name.0),
            minimum_priority: priority.map_or(default.minimum_priority, |name| name.0),
            suggested_output: match append_suggested_output {
                None => default.suggested_output,
                Some(true) => SuggestedOutput::Append,
                Some(false) => SuggestedOutput::Omit,
            },
            append_output: append_output
                .into_iter()
                .map(RawAppend::into_append)
                .collect(),
            static_fields,
            switches: switches.into_iter().map(|switch| switch.0).collect(),
            lint: default.lint,
            limits: limits.into_limits(),
        };
        Config {
            policies,
            rules,
            alerts: alerts.into_alerts(outputs),
            json: json.into_properties(),
            time_format_iso_8601,
            hostname,
            metrics,
            docker: docker.into_docker(),
            rings: rings.into_rings(),
            accept_blind,
            state_file: state_file.unwrap_or_default(),
            protect,
            reload_on_change: reload_on_change.unwrap_or(true),
            kernel_filter: kernel_filter.unwrap_or(true),
            control: control.into_socket(),
        }
    }
}

impl RawRings {
    fn into_rings(self) -> Rings {
        Rings {
            lifecycle: self.lifecycle_bytes.unwrap_or(DEFAULT_LIFECYCLE),
            control: self.control_bytes.unwrap_or(DEFAULT_CONTROL),
            bulk: self.bulk_bytes.unwrap_or(DEFAULT_BULK),
        }
    }
}

impl RawControl {
    fn into_socket(self) -> Option<PathBuf> {
        match self.socket {
            None => Some(DEFAULT_CONTROL_SOCKET.into()),
            Some(ControlSocket::At(path)) => Some(path),
            Some(ControlSocket::Off) => None,
        }
    }
}

impl RawAlerts {
    fn into_alerts(self, outputs: Outputs) -> Alerts {
        let bytes = self
            .queue_bytes
            .map_or(DEFAULT_QUEUE_BYTES, |bounded| bounded.0);
        Alerts {
            stdout: self.stdout.unwrap_or_default(),
            stdout_selection: selection(
                self.stdout_priority,
                self.stdout_tags,
                self.stdout_rules,
                None,
            ),
            log: self.log.into_log(),
            rollup: self.rollup.into_rollup(),
            file: self.file,
            file_format: self.file_format.unwrap_or_default(),
            files: outputs.files,
            queue_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            syslog: outputs.syslog.main,
            syslog_servers: outputs.syslog.named,
            http: outputs.http,
            nats: outputs.nats,
            kafka: outputs.kafka,
        }
    }
}

impl RawLog {
    fn into_log(self) -> AlertLog {
        AlertLog {
            path: self.path.unwrap_or_default(),
            bytes: self.bytes.map_or(DEFAULT_LOG_BYTES, |bounded| bounded.0),
            days: self.days.map_or(DEFAULT_LOG_DAYS, |bounded| bounded.0),
            sync: self.sync,
        }
    }
}

impl RawRollup {
    fn into_rollup(self) -> Rollup {
        let seconds = self
            .window_seconds
            .map_or(DEFAULT_WINDOW, |bounded| bounded.0);
        let bytes = self.bytes.map_or(DEFAULT_ROLLUP_BYTES, |bounded| bounded.0);
        let usual = || DEFAULT_IGNORED.map(str::to_owned).into();
        Rollup {
            window: Duration::from_secs(seconds),
            rule_alerts: self
                .rule_alerts
                .map_or(DEFAULT_RULE_ALERTS, |bounded| bounded.0),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            ignored_fields: self.ignored_fields.unwrap_or_else(usual),
        }
    }
}

impl RawJson {
    fn into_properties(self) -> JsonProperties {
        let default = JsonProperties::default();
        JsonProperties {
            output: self.include_output_property.unwrap_or(default.output),
            output_fields: self
                .include_output_fields_property
                .unwrap_or(default.output_fields),
            tags: self.include_tags_property.unwrap_or(default.tags),
            id: self.include_id_property.unwrap_or(default.id),
            message: self.include_message_property.unwrap_or(default.message),
        }
    }
}

impl RawMetrics {
    /// The address to listen on; the error is one that others could reach without being allowed.
    fn address(&self) -> Result<Option<SocketAddr>, SocketAddr> {
        match self.listen.unwrap_or(Listen::Address(DEFAULT_METRICS)) {
            Listen::Off => Ok(None),
            Listen::Address(address) if address.ip().is_loopback() || self.allow_remote => {
                Ok(Some(address))
            }
            Listen::Address(address) => Err(address),
        }
    }
}

impl RawDocker {
    fn into_docker(self) -> Docker {
        let wait = self
            .metadata_wait_ms
            .map_or(DEFAULT_METADATA_WAIT_MS, |bounded| bounded.0);
        Docker {
            socket: self.socket.unwrap_or_else(|| DEFAULT_DOCKER_SOCKET.into()),
            metadata_wait: Duration::from_millis(wait),
        }
    }
}

//! A configuration written down again: all keys with the values in effect.

use monitor_policy::{Matching, SuggestedOutput};
use serde_yaml::{Mapping, Value};

use super::append;
use super::file;
use super::http;
use super::kafka;
use super::limits;
use super::nats;
use super::outputs;
use super::switches;
use super::syslog;
use super::value::StateFile;
use super::{Alerts, Config, Docker, JsonProperties, KEYS, Rollup};

impl Config {
    /// YAML that gives this configuration when read: every key, in the order of [`KEYS`].
    ///
    /// # Errors
    ///
    /// Never for a configuration that was read; the YAML crate's signature allows for it.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        let mut all = Mapping::new();
        for key in KEYS {
            let value = self.value(key.name);
            insert(&mut all, key.name, value);
        }
        serde_yaml::to_string(&all)
    }

    /// Keys of which another configuration has other values, in the order of [`KEYS`].
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let names = KEYS.iter().map(|key| key.name);
        names
            .filter(|key| self.value(key) != other.value(key))
            .collect()
    }

    /// The value of a key; null for one without value.
    pub(super) fn value(&self, key: &str) -> Value {
        match key.split_once('.') {
            Some(("alerts", name)) => alerts(&self.alerts, name),
            Some(("json", name)) => json(self.json, name),
            Some(("metrics", name)) => self.metrics_value(name),
            Some(("docker", name)) => docker(&self.docker, name),
            Some(("rings", "lifecycle_bytes")) => self.rings.lifecycle.bytes().into(),
            Some(("rings", "control_bytes")) => self.rings.control.bytes().into(),
            Some(("rings", "bulk_bytes")) => self.rings.bulk.bytes().into(),
            Some(("limits", name)) => limits::value(&self.rules.limits, name),
            _ => self.top(key),
        }
    }

    fn top(&self, key: &str) -> Value {
        match key {
            "policies" => self.policies.iter().map(|path| text(path)).collect(),
            "rule_matching" => match self.rules.matching {
                Matching::First => "first".into(),
                Matching::All => "all".into(),
            },
            "priority" => self
                .rules
                .minimum_priority
                .to_string()
                .to_lowercase()
                .into(),
            "append_suggested_output" => {
                (self.rules.suggested_output == SuggestedOutput::Append).into()
            }
            "rules" => switches::to_yaml(&self.rules.switches),
            "append_output" => append::to_yaml(&self.rules.append_output),
            "static_fields" => {
                let fields = self.rules.static_fields.iter();
                let fields =
                    fields.map(|(name, text)| (name.as_str().into(), text.as_str().into()));
                fields.collect::<Mapping>().into()
            }
            "time_format_iso_8601" => self.time_format_iso_8601.into(),
            "hostname" => self.hostname.as_deref().map_or(Value::Null, Value::from),
            "accept_blind" => self.accept_blind.into(),
            "kernel_filter" => self.kernel_filter.into(),
            "state_file" => state_file(&self.state_file),
            "protect" => self.protect.into(),
            "reload_on_change" => self.reload_on_change.into(),
            "control.socket" => self.control.as_deref().map_or_else(|| "off".into(), text),
            _ => Value::Null,
        }
    }

    fn metrics_value(&self, name: &str) -> Value {
        match (name, self.metrics) {
            ("listen", None) => "off".into(),
            ("listen", Some(address)) => address.to_string().into(),
            ("allow_remote", address) => {
                let remote = address.is_some_and(|address| !address.ip().is_loopback());
                remote.into()
            }
            _ => Value::Null,
        }
    }
}

/// Puts a value under a dotted key.
fn insert(section: &mut Mapping, key: &str, value: Value) {
    let Some((name, rest)) = key.split_once('.') else {
        section.insert(key.into(), value);
        return;
    };
    let inner = section
        .entry(name.into())
        .or_insert_with(|| Mapping::new().into());
    if let Value::Mapping(inner) = inner {
        insert(inner, rest, value);
    }
}

fn alerts(alerts: &Alerts, name: &str) -> Value {
    match name {
        "stdout" => alerts.stdout.name().into(),
        "stdout_priority" | "stdout_tags" | "stdout_rules" => {
            let (_, key) = name.split_once('_').unwrap_or_default();
            outputs::selected(&alerts.stdout_selection, key).unwrap_or_default()
        }
        "file" => alerts.file.as_deref().map_or(Value::Null, text),
        "files" => file::to_yaml(&alerts.files),
        "file_format" => alerts.file_format.name().into(),
        "queue_bytes" => alerts.queue_bytes.into(),
        "http" => http::to_yaml(&alerts.http),
        "nats" => nats::to_yaml(&alerts.nats),
        "kafka" => kafka::to_yaml(&alerts.kafka),
        "log.path" => state_file(&alerts.log.path),
        "log.bytes" => alerts.log.bytes.into(),
        "log.days" => alerts.log.days.into(),
        "log.sync" => alerts.log.sync.into(),
        _ => match name.split_once('.') {
            Some(("rollup", name)) => rollup(&alerts.rollup, name),
            Some(("syslog", "servers")) => syslog::to_yaml(&alerts.syslog_servers),
            Some(("syslog", name)) => syslog::value(alerts.syslog.as_ref(), name),
            _ => Value::Null,
        },
    }
}

fn rollup(rollup: &Rollup, name: &str) -> Value {
    match name {
        "window_seconds" => rollup.window.as_secs().into(),
        "rule_alerts" => rollup.rule_alerts.into(),
        "bytes" => rollup.bytes.into(),
        "ignored_fields" => rollup.ignored_fields.iter().map(String::as_str).collect(),
        _ => Value::Null,
    }
}

fn state_file(file: &StateFile) -> Value {
    match file {
        StateFile::Usual => Value::Null,
        StateFile::Path(path) => text(path),
        StateFile::Off => "off".into(),
    }
}

fn json(json: JsonProperties, name: &str) -> Value {
    match name {
        "include_output_property" => json.output.into(),
        "include_output_fields_property" => json.output_fields.into(),
        "include_tags_property" => json.tags.into(),
        "include_id_property" => json.id.into(),
        "include_message_property" => json.message.into(),
        _ => Value::Null,
    }
}

fn docker(docker: &Docker, name: &str) -> Value {
    match name {
        "socket" => text(&docker.socket),
        "metadata_wait_ms" => u64::try_from(docker.metadata_wait.as_millis())
            .unwrap_or(u64::MAX)
            .into(),
        _ => Value::Null,
    }
}

fn text(path: &std::path::Path) -> Value {
    path.to_string_lossy().into()
}

//! `alerts.kafka`: topics of Kafka that get alerts, by name; read and written down again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

use super::broker::Broker;
use super::kafka_keys::KAFKA_KEYS;
use super::outputs::{self, identity, selection, user};
use super::value::{Bounded, NewestFirst, PriorityName, optional, scalar};
use crate::output::{Format, Secret, Selection, TlsFiles};

const DEFAULT_BATCH_BYTES: u64 = 512 << 10;
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
/// Longest name of a topic.
const TOPIC_MAX: usize = 249;

/// A topic that gets alerts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kafka {
    /// `brokers`: who is asked for the others.
    pub brokers: Vec<Broker>,
    /// `topic`: its name.
    pub topic: String,
    /// `key`: what the partition is chosen by. Default the host.
    pub key: KafkaKey,
    /// `format`: the shape of alerts.
    pub format: Format,
    /// `batch_bytes`: what is sent at once. Default 512 KiB.
    pub batch_bytes: usize,
    /// `tls`: whether there is TLS. Default `false`.
    pub is_secure: bool,
    /// `mechanism`, `user` and `password`: who we are.
    pub login: Option<KafkaLogin>,
    /// `timeout_ms`: longest time of a connection and of each answer. Default 10 s.
    pub timeout: Duration,
    /// `tls_ca`, `tls_certificate`, `tls_key`.
    pub tls: TlsFiles,
    /// `priority`, `tags`, `rules`, `newest_first`: which alerts it gets, and in which order.
    pub selection: Selection,
}

/// What brokers are told about who connects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KafkaLogin {
    /// How the password is proved.
    pub mechanism: Mechanism,
    /// Who.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// What the partition of an alert is chosen by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum KafkaKey {
    /// The host's name.
    #[default]
    Host,
    /// The container's id, or the host's name.
    Container,
}

impl KafkaKey {
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Container => "container",
        }
    }
}

impl FromStr for KafkaKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::Host, Self::Container].into_iter();
        let found = found.into_iter().find(|key| key.name() == text);
        found.ok_or_else(|| format!("expected `host` or `container`, not `{text}`"))
    }
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mechanism {
    /// It is sent.
    #[default]
    Plain,
    /// SCRAM (RFC 5802) with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::ScramSha256 => "scram-sha-256",
            Self::ScramSha512 => "scram-sha-512",
        }
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Plain, Self::ScramSha256, Self::ScramSha512];
        let found = all.into_iter().find(|mechanism| mechanism.name() == text);
        found.ok_or_else(|| {
            format!("expected `plain`, `scram-sha-256` or `scram-sha-512`, not `{text}`")
        })
    }
}

/// An output as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawKafka {
    brokers: Vec<RawBroker>,
    topic: Option<String>,
    #[serde(deserialize_with = "scalar")]
    key: Option<KafkaKey>,
    #[serde(deserialize_with = "scalar")]
    format: Option<Format>,
    #[serde(deserialize_with = "scalar")]
    batch_bytes: Option<Bounded<1024, 104_857_600>>,
    tls: bool,
    #[serde(deserialize_with = "optional")]
    mechanism: Option<Mechanism>,
    user: Option<String>,
    #[serde(deserialize_with = "optional")]
    password: Option<Secret>,
    #[serde(deserialize_with = "scalar")]
    timeout_ms: Option<Bounded<100, 600_000>>,
    tls_ca: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    priority: Option<PriorityName>,
    tags: Vec<String>,
    rules: Vec<String>,
    #[serde(deserialize_with = "scalar")]
    newest_first: Option<NewestFirst>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct RawBroker(Broker);

impl TryFrom<String> for RawBroker {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// The outputs, or what is wrong with one of them.
pub(super) fn check(raw: BTreeMap<String, RawKafka>) -> Result<BTreeMap<String, Kafka>, String> {
    outputs::check("alerts.kafka", raw, RawKafka::into_kafka)
}

impl RawKafka {
    fn into_kafka(self) -> Result<Kafka, &'static str> {
        if self.brokers.is_empty() {
            return Err("has no `brokers`");
        }
        let topic = self.topic.ok_or("has no `topic`")?;
        let letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if topic.is_empty() || topic.len() > TOPIC_MAX || !topic.chars().all(letter) {
            return Err("has a `topic` that cannot be the name of one");
        }
        let tls = TlsFiles {
            ca: self.tls_ca,
            identity: identity(self.tls_certificate, self.tls_key)?,
        };
        if !self.tls && tls != TlsFiles::default() {
            return Err("has files for TLS, but no `tls: true`");
        }
        let login = user(self.user, self.password)?.map(|(user, password)| KafkaLogin {
            mechanism: self.mechanism.unwrap_or_default(),
            user,
            password,
        });
        if login.is_none() && self.mechanism.is_some() {
            return Err("has a `mechanism`, but no `user`");
        }
        let bytes = self
            .batch_bytes
            .map_or(DEFAULT_BATCH_BYTES, |given| given.0);
        let milliseconds = self.timeout_ms.map_or(DEFAULT_TIMEOUT_MS, |given| given.0);
        Ok(Kafka {
            brokers: self.brokers.into_iter().map(|broker| broker.0).collect(),
            topic,
            key: self.key.unwrap_or_default(),
            format: self.format.unwrap_or_default(),
            batch_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            is_secure: self.tls,
            login,
            timeout: Duration::from_millis(milliseconds),
            tls,
            selection: selection(self.priority, self.tags, self.rules, self.newest_first),
        })
    }
}

/// The outputs as they are written in a configuration.
pub(super) fn to_yaml(outputs: &BTreeMap<String, Kafka>) -> Value {
    outputs::to_yaml(outputs, &KAFKA_KEYS.iter().map(|key| key.name), value)
}

fn value(kafka: &Kafka, key: &str) -> Value {
    let login = kafka.login.as_ref();
    match key {
        "brokers" => {
            let brokers = kafka.brokers.iter();
            brokers
                .map(|broker| Value::from(broker.to_string()))
                .collect()
        }
        "topic" => kafka.topic.as_str().into(),
        "key" => kafka.key.name().into(),
        "format" => kafka.format.name().into(),
        "batch_bytes" => kafka.batch_bytes.into(),
        "tls" => kafka.is_secure.into(),
        "mechanism" => login.map_or(Value::Null, |login| login.mechanism.name().into()),
        "user" => login.map_or(Value::Null, |login| login.user.as_str().into()),
        "password" => login.map_or(Value::Null, |login| login.password.to_string().into()),
        "timeout_ms" => (kafka.timeout.as_millis() as u64).into(),
        _ => outputs::value(&kafka.tls, &kafka.selection, key).unwrap_or_default(),
    }
}

/// The default of a key; null where there is none.
pub(super) fn default(key: &str) -> Value {
    match key {
        "brokers" | "topic" => Value::Null,
        "mechanism" => Mechanism::default().name().into(),
        _ => {
            let raw = RawKafka {
                brokers: "localhost:9092"
                    .parse()
                    .map(RawBroker)
                    .into_iter()
                    .collect(),
                topic: Some("alerts".to_owned()),
                ..RawKafka::default()
            };
            raw.into_kafka()
                .map_or(Value::Null, |kafka| value(&kafka, key))
        }
    }
}

//! `alerts.nats`: streams of NATS that get alerts, by name; read and written down again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

use super::broker::Broker;
use super::nats_keys::NATS_KEYS;
use super::outputs::{self, identity, selection, user};
use super::value::{Bounded, NewestFirst, PriorityName, optional, scalar};
use crate::output::{Alert, Format, Secret, Selection, TlsFiles};

const DEFAULT_SUBJECT: &str = "monitor.alerts.{host}.{priority}";
const DEFAULT_IN_FLIGHT: u64 = 64;
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
const DEFAULT_PORT: u16 = 4222;
/// What may stand in braces in a subject.
const PARTS: [&str; 4] = ["host", "priority", "rule", "source"];

/// A stream that gets alerts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nats {
    /// `servers`: of one cluster, in the order in which they are tried.
    pub servers: Vec<NatsServer>,
    /// `subject`: what alerts are published to.
    pub subject: Subject,
    /// `stream`: the only one that may take them.
    pub stream: Option<String>,
    /// `format`: the shape of alerts.
    pub format: Format,
    /// `in_flight`: alerts that may wait for their acknowledgement. Default 64.
    pub in_flight: usize,
    /// Who we are.
    pub login: NatsLogin,
    /// `timeout_ms`: longest time until a connection is there, until the server has greeted us, and
    /// until what was published is acknowledged. Default 10 s.
    pub timeout: Duration,
    /// `tls_ca`, `tls_certificate`, `tls_key`.
    pub tls: TlsFiles,
    /// `priority`, `tags`, `rules`, `newest_first`: which alerts it gets, and in which order.
    pub selection: Selection,
}

/// A server of a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NatsServer {
    /// Where it is.
    pub broker: Broker,
    /// Whether there has to be TLS. Without, there is if the server wants it.
    pub is_secure: bool,
}

impl FromStr for NatsServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (is_secure, rest) = match text.split_once("://") {
            Some(("tls", rest)) => (true, rest),
            Some(("nats", rest)) => (false, rest),
            _ => (false, ""),
        };
        if rest.contains('@') {
            // It may be a secret.
            return Err("expected a server without user: give `user` and `password`".to_owned());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        match Broker::parse(rest, Some(DEFAULT_PORT)) {
            Some(broker) => Ok(Self { broker, is_secure }),
            None => Err(format!(
                "expected a server such as `tls://nats.example.org:4222`, not `{text}`"
            )),
        }
    }
}

impl fmt::Display for NatsServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "tls" } else { "nats" };
        write!(formatter, "{scheme}://{}", self.broker)
    }
}

/// What alerts are published to: text with parts of the alert in braces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject(String);

impl Subject {
    /// The subject of an alert.
    pub fn of(&self, alert: &Alert) -> String {
        let mut text = String::new();
        for (plain, part) in parts(&self.0) {
            text.push_str(plain);
            match part {
                Some("host") => push_token(&alert.hostname, &mut text),
                Some("priority") => push_token(&alert.priority.name().to_lowercase(), &mut text),
                Some("rule") => push_token(&alert.rule, &mut text),
                Some("source") => push_token(&alert.source, &mut text),
                _ => {}
            }
        }
        text
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("expected a subject, not `{text}`: {why}"));
        let mut shown = String::new();
        for (plain, part) in parts(text) {
            shown.push_str(plain);
            match part {
                Some(part) if PARTS.contains(&part) => shown.push('x'),
                Some(_) => {
                    return wrong("in braces may stand `host`, `priority`, `rule`, `source`");
                }
                None => {}
            }
        }
        if shown.contains(['*', '>', '{', '}']) {
            return wrong("it has to be one subject, without `*`, `>` and single braces");
        }
        let is_token =
            |token: &str| !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
        if !shown.split('.').all(is_token) {
            return wrong("it has words with `.` between them, without spaces");
        }
        if shown.starts_with('$') || shown.starts_with("_INBOX.") {
            return wrong("such subjects are the server's own");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A text in pieces: what is plain, and what stands in braces behind it.
fn parts(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some((plain, behind)) = text.split_once('{') else {
            return Some((text, None));
        };
        let Some((part, behind)) = behind.split_once('}') else {
            return Some((text, None));
        };
        rest = Some(behind);
        Some((plain, Some(part)))
    })
}

/// Appends `text` as one word of a subject.
fn push_token(text: &str, out: &mut String) {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() {
        out.push('_');
    }
    out.extend(text.chars().map(|c| if safe(c) { c } else { '_' }));
}

/// What a server is told about who connects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NatsLogin {
    /// Nothing.
    None,
    /// `token`.
    Token(Secret),
    /// `user` with `password`.
    Basic {
        /// Who.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `nkey`: the seed of a user's key.
    Nkey(Secret),
    /// `credentials`: a file with a user's JWT and seed.
    Credentials(Secret),
}

/// An output as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawNats {
    servers: Vec<RawServer>,
    #[serde(deserialize_with = "optional")]
    subject: Option<Subject>,
    stream: Option<String>,
    #[serde(deserialize_with = "scalar")]
    format: Option<Format>,
    #[serde(deserialize_with = "scalar")]
    in_flight: Option<Bounded<1, 256>>,
    user: Option<String>,
    #[serde(deserialize_with = "optional")]
    password: Option<Secret>,
    #[serde(deserialize_with = "optional")]
    token: Option<Secret>,
    #[serde(deserialize_with = "optional")]
    nkey: Option<Secret>,
    #[serde(deserialize_with = "optional")]
    credentials: Option<Secret>,
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
struct RawServer(NatsServer);

impl TryFrom<String> for RawServer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// The outputs, or what is wrong with one of them.
pub(super) fn check(raw: BTreeMap<String, RawNats>) -> Result<BTreeMap<String, Nats>, String> {
    outputs::check("alerts.nats", raw, RawNats::into_nats)
}

impl RawNats {
    fn into_nats(self) -> Result<Nats, &'static str> {
        if self.servers.is_empty() {
            return Err("has no `servers`");
        }
        let word = |name: &str| {
            name.chars()
                .all(|c| c.is_ascii_graphic() && !".*>".contains(c))
        };
        if self
            .stream
            .as_deref()
            .is_some_and(|name| name.is_empty() || !word(name))
        {
            return Err("has a `stream` that cannot be the name of one");
        }
        let in_flight = self.in_flight.map_or(DEFAULT_IN_FLIGHT, |given| given.0);
        let milliseconds = self.timeout_ms.map_or(DEFAULT_TIMEOUT_MS, |given| given.0);
        let tls = TlsFiles {
            ca: self.tls_ca,
            identity: identity(self.tls_certificate, self.tls_key)?,
        };
        // With `nats://` somebody between decides whether there is TLS.
        if tls != TlsFiles::default() && !self.servers.iter().all(|server| server.0.is_secure) {
            return Err(
                "has keys that begin with `tls_`, which are for servers with `tls://` only",
            );
        }
        let usual = || Subject(DEFAULT_SUBJECT.to_owned());
        Ok(Nats {
            servers: self.servers.into_iter().map(|server| server.0).collect(),
            subject: self.subject.unwrap_or_else(usual),
            stream: self.stream,
            format: self.format.unwrap_or_default(),
            in_flight: usize::try_from(in_flight).unwrap_or(1),
            login: login(
                self.token,
                user(self.user, self.password)?,
                self.nkey,
                self.credentials,
            )?,
            timeout: Duration::from_millis(milliseconds),
            tls,
            selection: selection(self.priority, self.tags, self.rules, self.newest_first),
        })
    }
}

fn login(
    token: Option<Secret>,
    basic: Option<(String, Secret)>,
    nkey: Option<Secret>,
    credentials: Option<Secret>,
) -> Result<NatsLogin, &'static str> {
    let basic = basic.map(|(user, password)| NatsLogin::Basic { user, password });
    let given = [
        token.map(NatsLogin::Token),
        basic,
        nkey.map(NatsLogin::Nkey),
        credentials.map(NatsLogin::Credentials),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (None, _) => Ok(NatsLogin::None),
        (Some(login), None) => Ok(login),
        _ => Err("has more than one of `user`, `token`, `nkey` and `credentials`: give one"),
    }
}

/// The outputs as they are written in a configuration.
pub(super) fn to_yaml(outputs: &BTreeMap<String, Nats>) -> Value {
    outputs::to_yaml(outputs, &NATS_KEYS.iter().map(|key| key.name), value)
}

fn value(nats: &Nats, key: &str) -> Value {
    match key {
        "servers" => {
            let servers = nats.servers.iter();
            servers
                .map(|server| Value::from(server.to_string()))
                .collect()
        }
        "subject" => nats.subject.0.as_str().into(),
        "stream" => nats.stream.as_deref().map_or(Value::Null, Value::from),
        "format" => nats.format.name().into(),
        "in_flight" => nats.in_flight.into(),
        "timeout_ms" => (nats.timeout.as_millis() as u64).into(),
        _ => outputs::value(&nats.tls, &nats.selection, key)
            .unwrap_or_else(|| login_value(&nats.login, key)),
    }
}

fn login_value(login: &NatsLogin, key: &str) -> Value {
    match (login, key) {
        (NatsLogin::Basic { user, .. }, "user") => user.as_str().into(),
        (
            NatsLogin::Basic {
                password: secret, ..
            },
            "password",
        )
        | (NatsLogin::Token(secret), "token")
        | (NatsLogin::Nkey(secret), "nkey")
        | (NatsLogin::Credentials(secret), "credentials") => secret.to_string().into(),
        _ => Value::Null,
    }
}

/// The default of a key; null where there is none.
pub(super) fn default(key: &str) -> Value {
    if key == "servers" {
        return Value::Null;
    }
    let raw = RawNats {
        servers: "nats://localhost"
            .parse()
            .map(RawServer)
            .into_iter()
            .collect(),
        ..RawNats::default()
    };
    raw.into_nats()
        .map_or(Value::Null, |nats| value(&nats, key))
}

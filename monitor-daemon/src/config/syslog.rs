//! `alerts.syslog`: syslog servers; read and written down again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

use super::outputs::{self, identity, selection};
use super::value::{
    Bounded, HostPort, NewestFirst, PriorityName, SyslogFacility, SyslogFormat, SyslogProtocol,
};
use super::value::{optional, scalar};
use crate::output::{Selection, TlsFiles};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A syslog server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Syslog {
    /// `address`: host and port.
    pub address: String,
    /// `protocol`: `udp` (default), `tcp` or `tls`.
    pub protocol: SyslogProtocol,
    /// `facility`: its name; default `daemon`.
    pub facility: SyslogFacility,
    /// `format`: `json` (default), `structured`, `ecs`, `ocsf` or `cef`.
    pub format: SyslogFormat,
    /// `timeout_ms`: longest time until a connection is there, and that a server may take nothing.
    /// Default 10 s.
    pub timeout: Duration,
    /// `tls_ca`, `tls_certificate`, `tls_key`: for `tls`.
    pub tls: TlsFiles,
    /// `priority`, `tags`, `rules`, `newest_first`: which alerts it gets, and in which order.
    pub selection: Selection,
}

/// Keys of a server, in the order in which they are shown.
const KEYS: [&str; 12] = [
    "address",
    "protocol",
    "facility",
    "format",
    "timeout_ms",
    "tls_ca",
    "tls_certificate",
    "tls_key",
    "priority",
    "tags",
    "rules",
    "newest_first",
];

/// A server as written, and those besides it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "keys with values")]
pub(super) struct RawSyslog {
    #[serde(deserialize_with = "optional")]
    address: Option<HostPort>,
    #[serde(deserialize_with = "scalar")]
    protocol: Option<SyslogProtocol>,
    #[serde(deserialize_with = "scalar")]
    facility: Option<SyslogFacility>,
    #[serde(deserialize_with = "scalar")]
    format: Option<SyslogFormat>,
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
    servers: BTreeMap<String, RawSyslog>,
}

/// The servers that get alerts.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// The one without a name.
    pub(super) main: Option<Syslog>,
    pub(super) named: BTreeMap<String, Syslog>,
}

/// The servers, or what is wrong with one of them.
pub(super) fn check(mut raw: RawSyslog) -> Result<Servers, String> {
    let servers = std::mem::take(&mut raw.servers);
    let main = raw.into_syslog();
    let main = main.map_err(|problem| format!("`alerts.syslog` {problem}"))?;
    let named = outputs::check("alerts.syslog.servers", servers, |raw| {
        raw.into_syslog()?.ok_or("has no `address`")
    })?;
    Ok(Servers { main, named })
}

impl RawSyslog {
    /// The server; none without an address.
    fn into_syslog(self) -> Result<Option<Syslog>, &'static str> {
        if !self.servers.is_empty() {
            return Err("has `servers` of its own: put them beside it");
        }
        let protocol = self.protocol.unwrap_or_default();
        let tls = TlsFiles {
            ca: self.tls_ca,
            identity: identity(self.tls_certificate, self.tls_key)?,
        };
        if protocol != SyslogProtocol::Tls && tls != TlsFiles::default() {
            return Err("has keys that begin with `tls_`, which are for `protocol: tls`");
        }
        let Some(address) = self.address else {
            return Ok(None);
        };
        Ok(Some(Syslog {
            address: address.0,
            protocol,
            facility: self.facility.unwrap_or_default(),
            format: self.format.unwrap_or_default(),
            timeout: self
                .timeout_ms
                .map_or(DEFAULT_TIMEOUT, |given| Duration::from_millis(given.0)),
            tls,
            selection: selection(self.priority, self.tags, self.rules, self.newest_first),
        }))
    }
}

/// The servers with a name as they are written in a configuration.
pub(super) fn to_yaml(servers: &BTreeMap<String, Syslog>) -> Value {
    outputs::to_yaml(servers, &KEYS.into_iter(), |server, key| {
        value(Some(server), key)
    })
}

/// The value of a server's key, or its default.
pub(super) fn value(syslog: Option<&Syslog>, name: &str) -> Value {
    match name {
        "address" => syslog.map_or(Value::Null, |syslog| (&*syslog.address).into()),
        "protocol" => {
            let protocol = syslog.map(|syslog| syslog.protocol).unwrap_or_default();
            protocol.name().into()
        }
        "facility" => {
            let facility = syslog.map(|syslog| syslog.facility).unwrap_or_default();
            facility.name().into()
        }
        "format" => {
            let format = syslog.map(|syslog| syslog.format).unwrap_or_default();
            format.name().into()
        }
        "timeout_ms" => {
            let timeout = syslog.map_or(DEFAULT_TIMEOUT, |syslog| syslog.timeout);
            (timeout.as_millis() as u64).into()
        }
        _ => {
            let usual = (TlsFiles::default(), Selection::default());
            let (tls, selection) = syslog.map_or((&usual.0, &usual.1), |syslog| {
                (&syslog.tls, &syslog.selection)
            });
            outputs::value(tls, selection, name).unwrap_or_default()
        }
    }
}

//! `alerts.syslog`: syslog servers; read and written down again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use monitor_policy::Priority;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::http::{identity, is_output_name, path};
use super::value::{HostPort, PriorityName, SyslogFacility, SyslogFormat, SyslogProtocol};
use super::value::{optional, scalar};
use crate::output::{Selection, TlsFiles};

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
    /// `tls_ca`, `tls_certificate`, `tls_key`: for `tls`.
    pub tls: TlsFiles,
    /// `priority`, `tags` and `rules`: which alerts it gets.
    pub selection: Selection,
}

/// Keys of a server, in the order in which they are shown.
const KEYS: [&str; 10] = [
    "address",
    "protocol",
    "facility",
    "format",
    "tls_ca",
    "tls_certificate",
    "tls_key",
    "priority",
    "tags",
    "rules",
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
    tls_ca: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "scalar")]
    priority: Option<PriorityName>,
    tags: Vec<String>,
    rules: Vec<String>,
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
    let mut named = BTreeMap::new();
    for (name, raw) in servers {
        if !is_output_name(&name) {
            return Err(format!(
                "`alerts.syslog.servers` has the name `{name}`: give one of small letters, digits, \
                 `-` and `_`, 32 at most"
            ));
        }
        let wrong = |problem| format!("`alerts.syslog.servers.{name}` {problem}");
        let server = raw.into_syslog().map_err(wrong)?;
        named.insert(
            name.clone(),
            server.ok_or_else(|| wrong("has no `address`"))?,
        );
    }
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
            tls,
            selection: Selection {
                priority: self.priority.map_or(Priority::Debug, |name| name.0),
                tags: self.tags,
                rules: self.rules,
            },
        }))
    }
}

/// The servers with a name as they are written in a configuration.
pub(super) fn to_yaml(servers: &BTreeMap<String, Syslog>) -> Value {
    let sections = servers.iter().map(|(name, server)| {
        let keys = KEYS.map(|key| (key.into(), value(Some(server), key)));
        (
            name.as_str().into(),
            keys.into_iter().collect::<Mapping>().into(),
        )
    });
    sections.collect::<Mapping>().into()
}

/// The value of a server's key, or its default.
pub(super) fn value(syslog: Option<&Syslog>, name: &str) -> Value {
    let selection = syslog.map(|syslog| &syslog.selection);
    let identity = syslog.and_then(|syslog| syslog.tls.identity.as_ref());
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
        "tls_ca" => path(syslog.and_then(|syslog| syslog.tls.ca.as_ref())),
        "tls_certificate" => path(identity.map(|(certificate, _)| certificate)),
        "tls_key" => path(identity.map(|(_, key)| key)),
        "priority" => {
            let priority = selection.map_or(Priority::Debug, |selection| selection.priority);
            priority.to_string().to_lowercase().into()
        }
        "tags" => texts(selection.map(|selection| &selection.tags)),
        "rules" => texts(selection.map(|selection| &selection.rules)),
        _ => Value::Null,
    }
}

fn texts(texts: Option<&Vec<String>>) -> Value {
    let texts = texts.into_iter().flatten();
    texts.map(|text| Value::from(text.as_str())).collect()
}

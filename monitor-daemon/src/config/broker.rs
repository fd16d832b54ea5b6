//! Host and port, as the sections of `alerts.nats` and `alerts.kafka` name servers.

use std::fmt;
use std::str::FromStr;

/// Host and port of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broker {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Broker {
    /// Reads `host:port`, or `host` where there is a usual port.
    pub(super) fn parse(text: &str, usual: Option<u16>) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an address without port, not one before a port.
            Some((_, rest)) if rest.ends_with(']') => (text, usual?),
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, usual?),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let letter = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let is_valid = host
            .chars()
            .all(|c| letter(c) || (bare.is_some() && c == ':'));
        (is_valid && !host.is_empty() && port > 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(formatter, "[{host}]:{port}")
        } else {
            write!(formatter, "{host}:{port}")
        }
    }
}

impl FromStr for Broker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a host with port such as `kafka-1:9092`, not `{text}`");
        Self::parse(text, None).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_hosts_with_ports() {
        let check = |text: &str, usual, expected: Option<&str>| {
            let found = Broker::parse(text, usual).map(|broker| broker.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("a.example.org:9092", None, Some("a.example.org:9092"));
        check("[::1]:9092", None, Some("[::1]:9092"));
        check("[::1]", Some(4222), Some("[::1]:4222"));
        check("10.0.0.1", Some(4222), Some("10.0.0.1:4222"));
        for text in [
            "", ":1", "a", "a:", "a:0", "a:70000", "a b:1", "u@a:1", "::1:2", "a/b:1",
        ] {
            check(text, None, None);
        }
    }
}

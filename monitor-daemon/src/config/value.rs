//! Values of configuration keys whose text is checked while it is read, so that an error points
//! at the value itself.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use monitor_policy::{Matching, Priority};
use serde::de::{self, Deserializer, Unexpected, Visitor};

use crate::output::Format;

/// What standard output gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StdoutFormat {
    /// Lines; instead of text a readable, coloured form when it is a terminal.
    Lines(Format),
    /// Nothing.
    Off,
}

impl StdoutFormat {
    /// Falco's JSON.
    pub const JSON: Self = Self::Lines(Format::Falco);

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::JSON => "json",
            Self::Lines(format) => format.name(),
            Self::Off => "off",
        }
    }
}

impl Default for StdoutFormat {
    /// Text.
    fn default() -> Self {
        Self::Lines(Format::Text)
    }
}

impl FromStr for StdoutFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = Format::ALL.map(Self::Lines).into_iter();
        let found = lines.chain([Self::Off]).find(|all| all.name() == text);
        found.ok_or_else(|| {
            format!("expected `text`, `json`, `ecs`, `ocsf`, `cef`, `otlp` or `off`, not `{text}`")
        })
    }
}

/// How syslog messages travel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SyslogProtocol {
    /// A datagram a message.
    #[default]
    Udp,
    /// A connection, messages with their length in front.
    Tcp,
    /// The same within TLS.
    Tls,
}

impl SyslogProtocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl FromStr for SyslogProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|protocol| protocol.name() == text);
        found.ok_or_else(|| format!("expected `udp`, `tcp` or `tls`, not `{text}`"))
    }
}

/// What a syslog message holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SyslogFormat {
    /// The alert as JSON is the text.
    #[default]
    Json,
    /// The alert's fields are structured data, its text line is the text.
    Structured,
    /// The alert in the Elastic Common Schema is the text.
    Ecs,
    /// The alert as a Detection Finding of OCSF is the text.
    Ocsf,
    /// The alert in the Common Event Format is the text.
    Cef,
}

impl SyslogFormat {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Structured => "structured",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Cef => "cef",
        }
    }
}

impl FromStr for SyslogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [
            Self::Json,
            Self::Structured,
            Self::Ecs,
            Self::Ocsf,
            Self::Cef,
        ];
        let found = all.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| {
            format!("expected `json`, `structured`, `ecs`, `ocsf` or `cef`, not `{text}`")
        })
    }
}

/// A syslog facility.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SyslogFacility(u8);

/// Names of the facilities; the place is the number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

impl SyslogFacility {
    /// Its number, below 24.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        FACILITIES
            .get(usize::from(self.0))
            .copied()
            .unwrap_or_default()
    }
}

impl Default for SyslogFacility {
    /// `daemon`.
    fn default() -> Self {
        Self(3)
    }
}

impl FromStr for SyslogFacility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = FACILITIES.iter().position(|name| *name == text);
        found.map(|number| Self(number as u8)).ok_or_else(|| {
            format!("expected a facility such as `daemon`, `auth` or `local0`, not `{text}`")
        })
    }
}

/// `HOST:PORT`, resolved when it is used.
#[derive(Clone, Debug)]
pub(super) struct HostPort(pub(super) String);

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "expected a host with a port, such as `log.example.org:514`, not `{text}`"
            )),
        }
    }
}

/// Bytes of a kernel ring buffer: a power of two from 64 KiB to 1 GiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RingBytes(u32);

impl RingBytes {
    const MIN: u32 = 1 << 16;
    const MAX: u32 = 1 << 30;

    /// `1 << bits` bytes, clamped to the valid range.
    pub(super) const fn power(bits: u32) -> Self {
        Self(1 << bits)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

impl FromStr for RingBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<u32>() {
            Ok(bytes) if bytes.is_power_of_two() && (Self::MIN..=Self::MAX).contains(&bytes) => {
                Ok(Self(bytes))
            }
            _ => Err(format!(
                "expected a power of two from 65536 (64 KiB) to 1073741824 (1 GiB), not `{text}`"
            )),
        }
    }
}

/// Bytes of a file, or any number of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileBytes(pub(super) Option<u64>);

impl FromStr for FileBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let bounded: Result<Bounded<4096, 1_099_511_627_776>, String> = text.parse();
        let bounded = bounded.map_err(|_| {
            format!("expected a whole number from 4096 to 1099511627776, or `off`, not `{text}`")
        })?;
        Ok(Self(Some(bounded.0)))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounded<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<const MIN: u64, const MAX: u64> FromStr for Bounded<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!(
                "expected a whole number from {MIN} to {MAX}, not `{text}`"
            )),
        }
    }
}

/// `metrics.listen`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listen {
    Address(SocketAddr),
    Off,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::Address).map_err(|_| {
                format!(
                    "expected an address with a port, such as `127.0.0.1:9464`, or `off`, not `{text}`"
                )
            }),
        }
    }
}

/// `control.socket`.
#[derive(Clone, Debug)]
pub(super) enum ControlSocket {
    At(PathBuf),
    Off,
}

impl FromStr for ControlSocket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ if text.starts_with('/') => Ok(Self::At(text.into())),
            _ => Err(format!("expected an absolute path, or `off`, not `{text}`")),
        }
    }
}

/// Where the daemon's files are when systemd does not say.
const STATE_FOLDER: &str = "/var/lib/monitor";

/// A file of the daemon's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum StateFile {
    /// In the folder for such files.
    #[default]
    Usual,
    /// This one.
    Path(PathBuf),
    /// None: gaps between runs are not told.
    Off,
}

impl StateFile {
    /// Where it is; `name` is the usual one.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::Path(path) => Some(path.clone()),
            Self::Usual => {
                // systemd's `StateDirectory=`.
                let folder = std::env::var_os("STATE_DIRECTORY");
                let folder = folder.map_or_else(|| STATE_FOLDER.into(), PathBuf::from);
                Some(folder.join(name))
            }
        }
    }
}

impl FromStr for StateFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            _ if text.starts_with('/') => Ok(Self::Path(text.into())),
            _ => Err(format!("expected an absolute path or `off`, not `{text}`")),
        }
    }
}

/// `rule_matching`.
#[derive(Clone, Copy, Debug)]
pub(super) struct MatchingName(pub(super) Matching);

impl FromStr for MatchingName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "first" => Ok(Self(Matching::First)),
            "all" => Ok(Self(Matching::All)),
            _ => Err(format!("expected `first` or `all`, not `{text}`")),
        }
    }
}

/// `priority`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PriorityName(pub(super) Priority);

impl FromStr for PriorityName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Priority::from_name(text).map(Self).ok_or_else(|| {
            format!(
                "expected `emergency`, `alert`, `critical`, `error`, `warning`, `notice`, \
                 `informational` or `debug`, not `{text}`"
            )
        })
    }
}

/// `newest_first`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NewestFirst(pub(super) Option<Priority>);

impl NewestFirst {
    const OFF: &str = "off";

    pub(super) fn name(self) -> String {
        self.0.map_or_else(
            || Self::OFF.to_owned(),
            |priority| priority.name().to_lowercase(),
        )
    }
}

impl FromStr for NewestFirst {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::OFF {
            return Ok(Self(None));
        }
        let priority = Priority::from_name(text).ok_or_else(|| {
            format!("expected a priority (`emergency` to `debug`) or `off`, not `{text}`")
        })?;
        Ok(Self(Some(priority)))
    }
}

/// For `#[serde(deserialize_with)]`: any scalar, parsed by `T` where it stands.
pub(super) fn scalar<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    deserializer.deserialize_any(Scalar(PhantomData)).map(Some)
}

/// The same where `null` means nothing.
pub(super) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    deserializer.deserialize_option(Maybe(PhantomData))
}

struct Maybe<T>(PhantomData<T>);

impl<'de, T: FromStr<Err = String>> Visitor<'de> for Maybe<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a single value")
    }

    fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Option<T>, D::Error> {
        scalar(value)
    }
}

struct Scalar<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Scalar<T> {
    fn parse<E: de::Error>(value: impl Display) -> Result<T, E> {
        value.to_string().parse().map_err(E::custom)
    }
}

impl<T: FromStr<Err = String>> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a single value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        Self::parse(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        Self::parse(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        Self::parse(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        Self::parse(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
        Self::parse(value)
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Err(E::invalid_type(Unexpected::Unit, &self))
    }
}

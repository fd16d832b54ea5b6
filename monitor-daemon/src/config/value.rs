//! Values of configuration keys whose text is checked while it is read, so that an error points
//! at the value itself.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;

use monitor_policy::{Matching, Priority};
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// What standard output gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StdoutFormat {
    /// Text lines; a readable, coloured form when it is a terminal.
    #[default]
    Text,
    /// JSON lines.
    Json,
    /// Nothing.
    Off,
}

impl FromStr for StdoutFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "off" => Ok(Self::Off),
            _ => Err(format!("expected `text`, `json` or `off`, not `{text}`")),
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

/// For `#[serde(deserialize_with)]`: any scalar, parsed by `T` where it stands.
pub(super) fn scalar<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    deserializer.deserialize_any(Scalar(PhantomData)).map(Some)
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

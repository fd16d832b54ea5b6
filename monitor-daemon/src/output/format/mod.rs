//! The shapes that servers know alerts by. Which field of an alert goes where is a table a format,
//! from which `docs/reference/formats.md` is made.

mod attack;
mod cef;
mod ecs;
mod mapping;
mod ocsf;
pub(super) mod otlp;
pub(crate) mod reference;
mod severity;
#[cfg(test)]
mod tests;

use std::io;
use std::str::FromStr;

use super::json::{self, JsonFormat};
use super::text;
use crate::alert_log::Entry;

/// The shape of an alert.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Falco's JSON object.
    #[default]
    Falco,
    /// Falco's text line.
    Text,
    /// Elastic Common Schema.
    Ecs,
    /// Detection Finding of OCSF.
    Ocsf,
    /// Common Event Format, which is text.
    Cef,
    /// A request of OTLP with one log record.
    Otlp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Falco,
        Self::Text,
        Self::Ecs,
        Self::Ocsf,
        Self::Cef,
        Self::Otlp,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Falco => "falco",
            Self::Text => "text",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Cef => "cef",
            Self::Otlp => "otlp",
        }
    }

    /// Whether an alert is a JSON object in it, and not a line of text.
    pub fn is_json(self) -> bool {
        !matches!(self, Self::Text | Self::Cef)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| {
            format!("expected `falco`, `text`, `ecs`, `ocsf`, `cef` or `otlp`, not `{text}`")
        })
    }
}

/// Writes alerts in one shape.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    pub(super) format: Format,
    /// How Falco's object looks, and the time in front of text.
    pub(super) json: JsonFormat,
}

impl Encoder {
    /// Appends the alert as one line, with its end. One without a form, which no alert is, is left
    /// out and logged.
    pub(super) fn line(&self, entry: &Entry, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        if let Err(error) = self.write(entry, buffer) {
            buffer.truncate(start);
            tracing::error!(%error, rule = %entry.alert.rule, "an alert has no JSON form");
        }
    }

    fn write(&self, entry: &Entry, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self.format {
            Format::Falco => return self.json.write_line(entry, buffer),
            Format::Text => {
                buffer.extend_from_slice(text::line(&entry.alert, &self.json.time).as_bytes());
            }
            Format::Ecs => json::write(&ecs::value(entry), buffer)?,
            Format::Ocsf => json::write(&ocsf::value(entry), buffer)?,
            Format::Cef => buffer.extend_from_slice(cef::line(entry).as_bytes()),
            Format::Otlp => {
                let mut record = Vec::new();
                json::write(&otlp::json_record(entry), &mut record)?;
                buffer.extend(otlp::json_request(&[entry], &[record]));
            }
        }
        buffer.push(b'\n');
        Ok(())
    }
}

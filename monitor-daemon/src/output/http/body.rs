//! Alerts as bodies of requests.

use std::sync::Arc;

use bytes::Bytes;

use crate::alert_log::Entry;
use crate::config::HttpBody;
use crate::output::format::{Encoder, Format};

/// How bodies look.
#[derive(Clone, Debug)]
pub(super) struct BodyFormat {
    pub(super) body: HttpBody,
    /// Bytes of a body of several alerts.
    pub(super) limit: usize,
    pub(super) encoder: Encoder,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
}

impl BodyFormat {
    /// A request of the first of `alerts`, and how many those are; `None` where there are none.
    pub(super) fn request(&self, alerts: &[Arc<Entry>]) -> Option<(Request, usize)> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        for entry in alerts {
            let mut line = Vec::new();
            self.encoder.line(entry, &mut line);
            bytes += line.len();
            if !lines.is_empty() && (bytes > self.limit || self.body == HttpBody::Single) {
                break;
            }
            lines.push(line);
        }
        let count = lines.len();
        let request = Request {
            body: self.body(&lines).into(),
            content_type: match (self.encoder.format, self.body) {
                (Format::Cef, _) => "text/plain; charset=utf-8",
                (_, HttpBody::Single | HttpBody::Array) => "application/json",
                (_, HttpBody::Ndjson) => "application/x-ndjson",
            },
        };
        (count > 0).then_some((request, count))
    }

    fn body(&self, lines: &[Vec<u8>]) -> Vec<u8> {
        match self.body {
            HttpBody::Single | HttpBody::Ndjson => lines.concat(),
            // The line ends stay: an array with one alert a line.
            HttpBody::Array => [b"[".as_slice(), &lines.join(&b','), b"]"].concat(),
        }
    }
}

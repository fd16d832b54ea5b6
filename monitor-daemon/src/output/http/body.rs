//! Alerts as bodies of requests.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::grpc;
use crate::alert_log::Entry;
use crate::config::{Api, Http, HttpBody};
use crate::output::format::{Encoder, otlp};

/// How bodies look.
#[derive(Clone, Debug)]
pub(super) struct BodyFormat {
    pub(super) settings: Http,
    pub(super) encoder: Encoder,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
    /// Alerts in it.
    pub(super) count: usize,
}

impl BodyFormat {
    /// A request of the first of `alerts`, and how many those are; `None` where there are none.
    pub(super) fn request(&self, alerts: &[Arc<Entry>]) -> Option<(Request, usize)> {
        let Http { api, body, .. } = self.settings;
        let is_single = (api, body) == (Api::Post, HttpBody::Single);
        let mut parts = Vec::new();
        let mut bytes = 0;
        for entry in alerts {
            let part = self.part(entry);
            bytes += part.len();
            if !parts.is_empty() && (bytes > self.settings.request_bytes || is_single) {
                break;
            }
            parts.push(part);
        }
        let count = parts.len();
        let (used, _) = alerts.split_at(count);
        let request = Request {
            body: self.body(used, &parts).into(),
            content_type: match (api, body) {
                (Api::Post, _) if !self.encoder.format.is_json() => "text/plain; charset=utf-8",
                (Api::Elasticsearch, _) | (Api::Post, HttpBody::Ndjson) => "application/x-ndjson",
                (Api::OtlpGrpc, _) => "application/grpc",
                _ => "application/json",
            },
            count,
        };
        (count > 0).then_some((request, count))
    }

    /// What a body holds of an alert.
    fn part(&self, entry: &Entry) -> Vec<u8> {
        match self.settings.api {
            Api::Otlp => return otlp::json_record(entry).to_string().into_bytes(),
            Api::OtlpGrpc => return otlp::record(entry),
            Api::Post | Api::Elasticsearch | Api::Splunk | Api::Loki => {}
        }
        let mut line = Vec::new();
        self.encoder.line(entry, &mut line);
        match self.settings.api {
            Api::Post | Api::Loki | Api::Otlp | Api::OtlpGrpc => line,
            Api::Elasticsearch => {
                // `create`, so that what comes twice is refused the second time; data streams take
                // nothing else anyway.
                let action = json!({
                    "create": { "_index": self.settings.index, "_id": entry.uuid().to_string() },
                });
                [format!("{action}\n").as_bytes(), &line].concat()
            }
            Api::Splunk => format!("{}\n", self.event(entry, &line)).into_bytes(),
        }
    }

    /// The envelope that Splunk wants.
    fn event(&self, entry: &Entry, line: &[u8]) -> Value {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let mut event = Map::new();
        // Seconds, of which microseconds are exact in a double.
        let seconds = (entry.alert.time / 1_000) as f64 / 1e6;
        event.insert("time".to_owned(), seconds.into());
        event.insert("host".to_owned(), (&*entry.alert.hostname).into());
        event.insert("source".to_owned(), "monitor-daemon".into());
        let given = [
            ("sourcetype", &self.settings.sourcetype),
            ("index", &self.settings.index),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                event.insert(name.to_owned(), value.as_str().into());
            }
        }
        let alert = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        event.insert("event".to_owned(), alert);
        event.into()
    }

    fn body(&self, alerts: &[Arc<Entry>], parts: &[Vec<u8>]) -> Vec<u8> {
        match (self.settings.api, self.settings.body) {
            (Api::Otlp, _) => otlp::json_request(alerts, parts),
            (Api::OtlpGrpc, _) => grpc::framed(&otlp::request(alerts, parts)),
            (Api::Loki, _) => self.streams(alerts, parts).to_string().into_bytes(),
            // The line ends stay: an array with one alert a line.
            (Api::Post, HttpBody::Array) => [b"[".as_slice(), &parts.join(&b','), b"]"].concat(),
            _ => parts.concat(),
        }
    }

    /// Lines by their labels, of which there are few: no rule, container or process is one.
    fn streams(&self, alerts: &[Arc<Entry>], parts: &[Vec<u8>]) -> Value {
        let mut streams: Vec<(Map<String, Value>, Vec<Value>)> = Vec::new();
        for (entry, part) in alerts.iter().zip(parts) {
            let labels = self.labels(entry);
            let line = String::from_utf8_lossy(part);
            let value = json!([entry.alert.time.to_string(), line.trim_end()]);
            match streams.iter_mut().find(|(other, _)| *other == labels) {
                Some((_, values)) => values.push(value),
                None => streams.push((labels, vec![value])),
            }
        }
        let streams = streams.into_iter();
        let streams = streams.map(|(stream, values)| json!({"stream": stream, "values": values}));
        json!({ "streams": streams.collect::<Vec<_>>() })
    }

    fn labels(&self, entry: &Entry) -> Map<String, Value> {
        let alert = &entry.alert;
        let own = [
            ("job", "monitor-daemon".to_owned()),
            ("host", alert.hostname.to_string()),
            ("priority", alert.priority.name().to_lowercase()),
            ("source", alert.source.to_string()),
        ];
        let own = own.map(|(name, text)| (name.to_owned(), text.into()));
        let given = self.settings.labels.iter();
        let given = given.map(|(name, text)| (name.clone(), text.as_str().into()));
        own.into_iter().chain(given).collect()
    }
}

//! Alerts to streams of NATS `JetStream`: several published at a time, each named by its `uuid`, and
//! each acknowledged by the stream that keeps it.
//!
//! One connection at a time, and what is not acknowledged begins the next one: so a broken
//! connection changes nothing in the order of alerts.

mod client;
mod login;
mod protocol;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(in crate::output) use self::client::Client;
use super::{Bus, Sent};
use crate::alert_log::Entry;
use crate::config;
use crate::output::format::Encoder;

/// Publishes alerts.
#[derive(Debug)]
pub(in crate::output) struct Nats {
    settings: config::Nats,
    client: Client,
    encoder: Encoder,
}

/// An alert as it is published.
#[derive(Debug)]
struct Message {
    subject: String,
    headers: String,
    payload: Vec<u8>,
}

impl Nats {
    pub(in crate::output) fn new(settings: config::Nats, encoder: Encoder) -> Self {
        Self {
            client: Client::new(settings.clone()),
            settings,
            encoder,
        }
    }

    fn message(&self, entry: &Entry) -> Message {
        let mut payload = Vec::new();
        self.encoder.line(entry, &mut payload);
        if payload.last() == Some(&b'\n') {
            payload.pop();
        }
        let kind = if self.encoder.format.is_json() {
            "application/json"
        } else {
            "text/plain"
        };
        let stream = self.settings.stream.as_ref().map(|name| {
            // The server refuses what another stream would take.
            format!("Nats-Expected-Stream: {name}\r\n")
        });
        Message {
            subject: self.settings.subject.of(&entry.alert),
            headers: format!(
                "NATS/1.0\r\nNats-Msg-Id: {}\r\n{}Content-Type: {kind}\r\n\r\n",
                entry.uuid(),
                stream.unwrap_or_default()
            ),
            payload,
        }
    }
}

impl Bus for Nats {
    fn send(&mut self, alerts: &[Arc<Entry>]) -> Sent {
        let window = alerts.iter().take(self.settings.in_flight);
        let messages: Vec<Message> = window.map(|entry| self.message(entry)).collect();
        self.client.publish(&messages)
    }

    fn tend(&mut self) {
        self.client.tend();
    }
}

impl Message {
    /// As it goes over the wire, to be acknowledged to `reply`.
    fn write(&self, reply: &str, out: &mut Vec<u8>) {
        let head = self.headers.len();
        let line = format!(
            "HPUB {} {reply} {head} {}\r\n{}",
            self.subject,
            head + self.payload.len(),
            self.headers
        );
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
    }
}

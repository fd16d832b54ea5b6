//! Alerts as syslog messages (RFC 5424).
//!
//! Syslog has no receipts. Over a stream an alert counts as delivered when the server's kernel has
//! acknowledged its last byte: what it had not read when it died may be lost without a trace, and so
//! may any datagram.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustix::io::Errno;

use super::bus::{Bus, Sent, Trouble};
use super::syslog_link::Link;
use super::syslog_message::SyslogMessage;
use crate::alert_log::Entry;

/// A server, as the writer sees it.
#[derive(Debug)]
pub(super) struct Syslog {
    pub(super) link: Link,
    pub(super) message: SyslogMessage,
}

impl Bus for Syslog {
    fn send(&mut self, alerts: &[Arc<Entry>]) -> Sent {
        let messages = alerts.iter().map(|entry| self.message.format(entry));
        let (taken, result) = self.link.send(messages);
        let trouble = result.err().map(|error| {
            let why = format!("{}: {error}", self.link.address());
            let is_long = error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error());
            if is_long {
                Trouble::Refused(why)
            } else {
                Trouble::Later(why)
            }
        });
        Sent { taken, trouble }
    }
}

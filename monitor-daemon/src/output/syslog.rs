//! Alerts as syslog messages (RFC 5424).
//!
//! The server need not be there: the queue fills meanwhile, what does not fit is counted as lost,
//! and the connection is tried again with growing pauses. Syslog has no receipts: what was on its
//! way when a server died, and any datagram, may be lost without a trace.

use std::sync::Arc;
use std::time::Duration;

use super::feed::Feed;
use super::latency;
use super::queue::Item;
use super::syslog_link::Link;
use super::syslog_message::SyslogMessage;
use crate::alert_log::Entry;

pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends batches from a queue until the queue is closed and drained.
#[derive(Debug)]
pub(super) struct SyslogWriter {
    pub(super) link: Link,
    pub(super) message: SyslogMessage,
    pub(super) feed: Feed,
    /// The next pause when the server is away.
    pub(super) pause: Duration,
}

/// What became of an alert.
enum Outcome {
    Sent,
    /// There are others that go before it.
    Overtaken,
    /// The end of the daemon came before.
    Ended,
}

impl SyslogWriter {
    pub(super) fn run(mut self) {
        loop {
            let batch = self.feed.next();
            let closed = batch.closed;
            let alerts: Vec<Arc<Entry>> = batch.items.into_iter().filter_map(Item::alert).collect();
            let mut left = &*alerts;
            while let [entry, later @ ..] = left {
                match self.deliver(entry) {
                    Outcome::Sent => left = later,
                    Outcome::Overtaken => break,
                    Outcome::Ended => return self.feed.give_up(left.len() as u64),
                }
            }
            if left.is_empty() {
                self.feed.done();
            } else {
                self.feed.put_back(left.to_vec());
            }
            if closed {
                return;
            }
        }
    }

    /// Sends until it succeeds.
    fn deliver(&mut self, entry: &Entry) -> Outcome {
        let text = self.message.format(entry);
        let mut last = false;
        loop {
            let error = match self.link.send(&text) {
                Ok(()) => break,
                Err(error) => error,
            };
            self.feed.metrics().write_errors.inc();
            let server = self.link.address();
            if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) {
                let why = format!("its {} bytes are too long for UDP syslog", text.len());
                self.feed.refused(server, entry, &why);
                return Outcome::Sent;
            }
            if last {
                return Outcome::Ended;
            }
            if self.pause == FIRST_PAUSE {
                tracing::warn!(%error, server, "cannot send alerts to syslog, trying again");
            }
            let why = Some(error.to_string());
            self.feed.metrics().trouble.replace(why);
            // When the end has come there is one more try: what the error said may be over.
            last = self.feed.pause(self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            if !last && self.feed.is_overtaken() {
                return Outcome::Overtaken;
            }
        }
        self.pause = FIRST_PAUSE;
        self.feed.metrics().trouble.replace(None);
        self.feed.metrics().written.inc();
        self.feed
            .metrics()
            .latency
            .observe(latency(entry.alert.time));
        Outcome::Sent
    }
}

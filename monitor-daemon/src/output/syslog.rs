//! Alerts as syslog messages (RFC 5424).
//!
//! The server need not be there: the queue fills meanwhile, what does not fit is counted as lost,
//! and the connection is tried again with growing pauses. Syslog has no receipts: what was on its
//! way when a server died, and any datagram, may be lost without a trace.

use std::time::Duration;

use super::feed::Feed;
use super::latency;
use super::queue::Item;
use super::syslog_link::Link;
use super::syslog_message::SyslogMessage;
use crate::alert_log::Entry;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends batches from a queue until the queue is closed and drained.
#[derive(Debug)]
pub(super) struct SyslogWriter {
    pub(super) link: Link,
    pub(super) message: SyslogMessage,
    pub(super) feed: Feed,
}

impl SyslogWriter {
    pub(super) fn run(mut self) {
        loop {
            let batch = self.feed.next();
            let closed = batch.closed;
            let mut left = batch.items.len() as u64;
            for entry in batch.items.into_iter().filter_map(Item::alert) {
                if !self.deliver(&entry) {
                    return self.feed.give_up(left);
                }
                left -= 1;
            }
            self.feed.done();
            if closed {
                return;
            }
        }
    }

    /// Sends until it succeeds; `false` when the queue was closed before that.
    fn deliver(&mut self, entry: &Entry) -> bool {
        let text = self.message.format(entry);
        let mut pause = FIRST_PAUSE;
        let mut last = false;
        loop {
            let error = match self.link.send(&text) {
                Ok(()) => break,
                Err(error) => error,
            };
            self.feed.metrics().write_errors.inc();
            let server = self.link.address();
            if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) {
                tracing::warn!(
                    server,
                    bytes = text.len(),
                    "an alert is too long for UDP syslog"
                );
                self.feed.metrics().lost_write.inc();
                return true;
            }
            if last {
                return false;
            }
            if pause == FIRST_PAUSE {
                tracing::warn!(%error, server, "cannot send alerts to syslog, trying again");
            }
            // When the end has come there is one more try: what the error said may be over.
            last = self.feed.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.feed.metrics().written.inc();
        self.feed
            .metrics()
            .latency
            .observe(latency(entry.alert.time));
        true
    }
}

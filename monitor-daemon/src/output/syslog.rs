//! Alerts as syslog messages (RFC 5424) over UDP (RFC 5426), or over TCP with octet counting
//! (RFC 6587).
//!
//! The server need not be there: the queue fills meanwhile, what does not fit is counted as lost,
//! and the connection is tried again with growing pauses. Syslog has no receipts: what was on its
//! way when a server died, and any datagram, may be lost without a trace.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use super::feed::Feed;
use super::latency;
use super::queue::Item;
use super::syslog_message::SyslogMessage;
use crate::alert_log::Entry;
use crate::config::{Syslog, SyslogProtocol};

const TIMEOUT: Duration = Duration::from_secs(2);
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
            let server = &self.link.settings.address;
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

/// The way to a server, opened when there is something to send.
#[derive(Debug)]
pub(super) struct Link {
    settings: Syslog,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Link {
    pub(super) fn new(settings: Syslog) -> Self {
        Self {
            settings,
            open: None,
        }
    }

    /// Sends one message; after an error the next call starts afresh.
    fn send(&mut self, message: &str) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(Open::Tcp(stream)) if has_ended(&stream) => self.connect()?,
            Some(open) => open,
            None => self.connect()?,
        };
        match &mut open {
            Open::Udp(socket) => _ = socket.send(message.as_bytes())?,
            Open::Tcp(stream) => {
                stream.write_all(format!("{} {message}", message.len()).as_bytes())?;
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn connect(&self) -> io::Result<Open> {
        let mut result = Err(io::ErrorKind::NotFound.into());
        for address in self.settings.address.to_socket_addrs()? {
            result = self.connect_to(address);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn connect_to(&self, address: SocketAddr) -> io::Result<Open> {
        match self.settings.protocol {
            SyslogProtocol::Udp => {
                let any = if address.is_ipv4() {
                    "0.0.0.0:0"
                } else {
                    "[::]:0"
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Open::Udp(socket))
            }
            SyslogProtocol::Tcp => {
                let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                Ok(Open::Tcp(stream))
            }
        }
    }
}

/// Whether the server has closed: a write would still seem to succeed.
fn has_ended(stream: &TcpStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0_u8; 1];
    match recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        // Servers do not talk; if one does, that is no end.
        Ok((_, length)) => length == 0,
        Err(error) => error != rustix::io::Errno::AGAIN,
    }
}

//! The way to a syslog server: datagrams (RFC 5426), or a stream with octet counting over TCP
//! (RFC 6587) or TLS (RFC 5425).

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use super::tcp;
use super::tls_stream::TlsStream;
use super::wire::{NOTHING_TAKEN, Wire, in_words};
use crate::config::{Syslog, SyslogProtocol};

/// The way to a server, opened when there is something to send.
#[derive(Debug)]
pub(super) struct Link {
    settings: Syslog,
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    Udp(UdpSocket),
    Stream(Stream),
}

#[derive(Debug)]
enum Stream {
    Tcp(Wire),
    Tls(Box<TlsStream>),
}

impl Link {
    pub(super) fn new(settings: Syslog) -> Self {
        Self {
            settings,
            open: None,
        }
    }

    /// Host and port of the server.
    pub(super) fn address(&self) -> &str {
        &self.settings.address
    }

    /// Sends messages. So many of the first have arrived, as far as the protocol tells; what is
    /// wrong with the next. After an error the next call starts afresh.
    pub(super) fn send(
        &mut self,
        messages: impl Iterator<Item = String>,
    ) -> (usize, io::Result<()>) {
        let kept = self.open.take();
        let usable = kept.and_then(|mut open| (!open.has_ended()).then_some(open));
        let mut open = match usable.map_or_else(|| self.connect(), Ok) {
            Ok(open) => open,
            Err(error) => return (0, Err(error)),
        };
        let sent = match &mut open {
            Open::Udp(socket) => send_each(socket, messages),
            Open::Stream(stream) => stream.send(messages, self.settings.timeout),
        };
        if sent.1.is_ok() {
            self.open = Some(open);
        }
        sent
    }

    fn connect(&self) -> io::Result<Open> {
        let Syslog { address, .. } = &self.settings;
        let socket = || tcp::connect(address.as_str(), self.settings.timeout);
        match self.settings.protocol {
            SyslogProtocol::Udp => datagrams(address).map(Open::Udp),
            SyslogProtocol::Tcp => Ok(Open::Stream(Stream::Tcp(Wire::new(socket()?)))),
            SyslogProtocol::Tls => {
                let host = address.rsplit_once(':').map_or("", |(host, _)| host);
                let stream = TlsStream::open(Wire::new(socket()?), host, &self.settings.tls)?;
                Ok(Open::Stream(Stream::Tls(Box::new(stream))))
            }
        }
    }
}

/// A socket for the first address that there is a way to.
fn datagrams(address: &str) -> io::Result<UdpSocket> {
    let open = |address: SocketAddr| {
        let any = if address.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address).map(|()| socket)
    };
    let mut result = Err(io::ErrorKind::NotFound.into());
    for address in address.to_socket_addrs()? {
        result = open(address);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn send_each(
    socket: &UdpSocket,
    messages: impl Iterator<Item = String>,
) -> (usize, io::Result<()>) {
    let mut count = 0;
    for message in messages {
        if let Err(error) = socket.send(message.as_bytes()) {
            return (count, Err(error));
        }
        count += 1;
    }
    (count, Ok(()))
}

impl Open {
    /// Whether the server has closed: a write would still seem to succeed.
    fn has_ended(&mut self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Stream(Stream::Tcp(wire)) => wire.has_ended(),
            Self::Stream(Stream::Tls(stream)) => stream.has_ended(),
        }
    }
}

impl Stream {
    /// Sends messages and waits until all have arrived, for as long as some do within `timeout`;
    /// that many of the first have.
    fn send(
        &mut self,
        messages: impl Iterator<Item = String>,
        timeout: Duration,
    ) -> (usize, io::Result<()>) {
        let mut ends = Vec::new();
        let mut result = Ok(());
        for message in messages {
            result = self.write(format!("{} {message}", message.len()).as_bytes());
            if result.is_err() {
                break;
            }
            ends.push(self.wire().written());
        }
        let result = result.and_then(|()| self.wire().settle(timeout));
        let arrived = self.wire().arrived().unwrap_or_default();
        let count = ends.iter().take_while(|end| **end <= arrived).count();
        (count, result)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match self {
            Self::Tcp(wire) => wire.write_all(bytes),
            Self::Tls(stream) => stream.send(bytes),
        };
        written.map_err(|error| in_words(error, NOTHING_TAKEN))
    }

    fn wire(&self) -> &Wire {
        match self {
            Self::Tcp(wire) => wire,
            Self::Tls(stream) => stream.wire(),
        }
    }
}

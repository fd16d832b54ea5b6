//! The way to a syslog server: datagrams (RFC 5426), or a stream with octet counting over TCP
//! (RFC 6587) or TLS (RFC 5425).

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use super::tls_stream::TlsStream;
use crate::config::{Syslog, SyslogProtocol};

const TIMEOUT: Duration = Duration::from_secs(2);

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

    /// Sends one message; after an error the next call starts afresh.
    pub(super) fn send(&mut self, message: &str) -> io::Result<()> {
        let kept = self.open.take();
        let usable = kept.and_then(|mut open| (!open.has_ended()).then_some(open));
        let mut open = match usable {
            Some(open) => open,
            None => self.connect()?,
        };
        let framed = || format!("{} {message}", message.len());
        match &mut open {
            Open::Udp(socket) => _ = socket.send(message.as_bytes())?,
            Open::Tcp(stream) => stream.write_all(framed().as_bytes())?,
            Open::Tls(stream) => stream.send(framed().as_bytes())?,
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
            SyslogProtocol::Tcp => Ok(Open::Tcp(connect(address)?)),
            SyslogProtocol::Tls => {
                let host = self.settings.address.rsplit_once(':');
                let host = host.map_or("", |(host, _)| host);
                let stream = TlsStream::open(connect(address)?, host, &self.settings.tls)?;
                Ok(Open::Tls(Box::new(stream)))
            }
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

impl Open {
    /// Whether the server has closed: a write would still seem to succeed.
    fn has_ended(&mut self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Tcp(stream) => has_ended(stream),
            Self::Tls(stream) => stream.has_ended(),
        }
    }
}

fn has_ended(stream: &TcpStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0_u8; 1];
    match recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        // Servers do not talk; if one does, that is no end.
        Ok((_, length)) => length == 0,
        Err(error) => error != rustix::io::Errno::AGAIN,
    }
}

//! A connection to a broker: TCP, or TLS over it. Reading and writing wait for a while at most.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::{ClientConnection, StreamOwned};

use crate::config::Broker;
use crate::output::{TlsError, TlsFiles, tcp};

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// Nobody answers, or not as a server does.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The host is neither a name nor an address.
    #[error("the host cannot be in a certificate: {0}")]
    Host(#[from] InvalidDnsNameError),
    /// The server is not whom we trust, or does not trust us.
    #[error("cannot connect by TLS: {0}")]
    Handshake(#[source] io::Error),
}

/// An open connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connecting takes `time` at most, over all addresses; so does each reading and writing then.
    pub(super) fn connect(broker: &Broker, time: Duration) -> Result<Self, StreamError> {
        let stream = tcp::connect((broker.host.as_str(), broker.port), time);
        let stream = stream.map_err(StreamError::Connect)?;
        Ok(Self::Plain(stream))
    }

    /// The same connection with TLS; nothing may have been read of it by then.
    pub(super) fn secure(self, host: &str, files: &TlsFiles) -> Result<Self, StreamError> {
        let Self::Plain(mut stream) = self else {
            return Ok(self);
        };
        let name = ServerName::try_from(host.to_owned())?;
        let mut tls = ClientConnection::new(files.load()?, name).map_err(TlsError::SetUp)?;
        while tls.is_handshaking() {
            let shaken = tls.complete_io(&mut stream);
            shaken.map_err(StreamError::Handshake)?;
        }
        Ok(Self::Secure(Box::new(StreamOwned::new(tls, stream))))
    }

    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// Appends what comes to `buffer`, which may be nothing, until `deadline`; how much that is.
    pub(super) fn read_more(
        &mut self,
        buffer: &mut Vec<u8>,
        deadline: Instant,
    ) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.set_read_timeout(left)?;
        let mut chunk = [0; CHUNK];
        let count = match self.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // A signal; who called asks again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            other => other?,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn set_read_timeout(&self, time: Duration) -> io::Result<()> {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => &stream.sock,
        };
        socket.set_read_timeout(Some(time))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}

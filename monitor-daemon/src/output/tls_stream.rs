//! TLS on a socket that a thread of its own writes to and waits for; nothing is expected to come
//! back.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::tls::TlsFiles;
use super::wire::{Wire, in_words, is_nothing};

/// How long a server is given to say that it does not want us. With TLS 1.3 it looks at our
/// certificate only when the handshake is over for us, and some servers look at names even later;
/// what had been sent by then would be lost.
const VERDICT: Duration = Duration::from_millis(500);

/// A connection whose server is who it should be.
#[derive(Debug)]
pub(super) struct TlsStream(StreamOwned<ClientConnection, Wire>);

impl TlsStream {
    /// Does the handshake on `wire`, which has timeouts, with the server `host`: a name, or an
    /// address, in brackets or not.
    pub(super) fn open(wire: Wire, host: &str, files: &TlsFiles) -> io::Result<Self> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let config = files.load().map_err(io::Error::other)?;
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, wire);
        while stream.conn.is_handshaking() {
            let done = stream.conn.complete_io(&mut stream.sock);
            done.map_err(|error| in_words(error, "no TLS handshake in time"))?;
        }
        let mut stream = Self(stream);
        stream.await_verdict()?;
        Ok(stream)
    }

    /// Sends `bytes`; they are on their way then.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).and_then(|()| self.0.flush())
    }

    /// What it goes over.
    pub(super) fn wire(&self) -> &Wire {
        &self.0.sock
    }

    /// Whether the server has closed, or has broken off.
    pub(super) fn has_ended(&mut self) -> bool {
        let looked = self.0.sock.socket.set_nonblocking(true);
        let ended = looked.and_then(|()| self.read());
        let back = self.0.sock.socket.set_nonblocking(false);
        ended.is_err() || back.is_err()
    }

    fn await_verdict(&mut self) -> io::Result<()> {
        let usual = self.0.sock.socket.read_timeout()?;
        let end = Instant::now() + VERDICT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.0.sock.socket.set_read_timeout(Some(left))?;
            self.read()?;
        }
        self.0.sock.socket.set_read_timeout(usual)
    }

    /// Takes in what has come: tickets for sessions, mostly. The error is the connection's end.
    fn read(&mut self) -> io::Result<()> {
        let StreamOwned { conn, sock } = &mut self.0;
        match conn.read_tls(sock) {
            Ok(0) => return Err(closed()),
            Ok(_) => {}
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        let state = conn.process_new_packets().map_err(io::Error::other)?;
        if state.peer_has_closed() {
            return Err(closed());
        }
        // Text from the server is for nobody.
        let count = state.plaintext_bytes_to_read() as u64;
        io::copy(&mut io::Read::take(conn.reader(), count), &mut io::sink())?;
        Ok(())
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the server has closed the connection",
    )
}

//! A TCP connection that tells how much of what it was given has arrived: what the other side has
//! acknowledged, which says that its kernel has it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use monitor_unacked::unacked;
use rustix::net::{RecvFlags, recv};

/// How often is looked whether all has arrived: of that nobody is told.
const SHORTEST_LOOK: Duration = Duration::from_micros(50);
const LONGEST_LOOK: Duration = Duration::from_millis(10);

/// The connection, with timeouts of its own.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: TcpStream,
    /// Bytes.
    written: u64,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, written: 0 }
    }

    /// Bytes that were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// So many of them have arrived, also where the connection has ended since.
    pub(super) fn arrived(&self) -> io::Result<u64> {
        Ok(self.written.saturating_sub(unacked(&self.socket)?))
    }

    /// Waits until all has arrived, for as long as some of it does within `time`.
    pub(super) fn settle(&self, time: Duration) -> io::Result<()> {
        let mut arrived = self.arrived()?;
        let mut since = Instant::now();
        let mut pause = SHORTEST_LOOK;
        while arrived < self.written {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            if since.elapsed() >= time {
                return Err(io::Error::new(io::ErrorKind::TimedOut, NOTHING_TAKEN));
            }
            sleep(pause);
            pause = (pause * 2).min(LONGEST_LOOK);
            let now = self.arrived()?;
            if now > arrived {
                (arrived, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Whether the other side has closed: a write would still seem to succeed.
    pub(super) fn has_ended(&self) -> bool {
        let mut byte = [0_u8; 1];
        match recv(
            &self.socket,
            &mut byte,
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        ) {
            // Servers do not talk; if one does, that is no end.
            Ok((_, length)) => length == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.socket.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// What is said of a server that does not acknowledge, or has no room.
pub(super) const NOTHING_TAKEN: &str = "the server takes nothing";

/// A timeout of a socket is `WouldBlock`, which tells nobody anything.
pub(super) fn in_words(error: io::Error, timeout: &'static str) -> io::Error {
    if is_nothing(&error) {
        return io::Error::new(io::ErrorKind::TimedOut, timeout);
    }
    error
}

/// Whether nothing came, or went, for now.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

//! Connections by TCP. A name may stand for several addresses, of which one that is dead (IPv6 on a
//! way that drops it, mostly) may not keep us from the others.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address is tried alone, as RFC 8305 has it.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection to the first address that answers, one after the other: each has its share of what
/// is left of `time`.
pub(super) fn connect(server: impl ToSocketAddrs, time: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + time;
    let addresses: Vec<SocketAddr> = server.to_socket_addrs()?.collect();
    let mut result = Err(io::ErrorKind::NotFound.into());
    for (address, others) in addresses.iter().zip((0..addresses.len() as u32).rev()) {
        let share = end.saturating_duration_since(Instant::now()) / (others + 1);
        // No time at all is refused.
        result = TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// The same on an event loop, where an address is tried beside those that have not answered yet.
pub(super) async fn race(host: &str, port: u16) -> io::Result<tokio::net::TcpStream> {
    let mut addresses = lookup_host((host, port)).await?;
    let mut attempts = JoinSet::new();
    let mut first = None;
    loop {
        let ended = if let Some(address) = addresses.next() {
            attempts.spawn(tokio::net::TcpStream::connect(address));
            timeout(HEAD_START, attempts.join_next()).await
        } else {
            Ok(attempts.join_next().await)
        };
        match ended {
            // It may still answer.
            Err(_) => {}
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            // What the first says is told, for the log not to change with each attempt.
            Ok(Some(Ok(Err(error)))) => _ = first.get_or_insert(error),
            Ok(Some(Err(error))) => _ = first.get_or_insert(error.into()),
            Ok(None) => return Err(first.unwrap_or(io::ErrorKind::NotFound.into())),
        }
    }
}

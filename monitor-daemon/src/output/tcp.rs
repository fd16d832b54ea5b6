//! Connections by TCP. A name may stand for several addresses, of which one that is dead (IPv6 on a
//! way that drops it, mostly) may not keep us from the others.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::in_turn::in_turn;

/// How long an address is tried alone, as RFC 8305 has it.
const HEAD_START: Duration = Duration::from_millis(250);
/// After how long without a word the other side is asked whether it is there, how often it may not
/// answer, and how long each time. A firewall that forgets who talks to whom sees that we still do.
const IDLE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// A connection to the first address that answers, one after the other: each has its share of what
/// is left of `time`. Reading and writing wait for so long, too.
pub(super) fn connect(server: impl ToSocketAddrs, time: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + time;
    let addresses: Vec<SocketAddr> = server.to_socket_addrs()?.collect();
    let others = (0..addresses.len() as u32).rev();
    let stream = in_turn(addresses.iter().zip(others), |(address, others)| {
        let share = end.saturating_duration_since(Instant::now()) / (others + 1);
        // No time at all is refused.
        TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)))
    });
    let stream = stream.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
    stream.set_read_timeout(Some(time))?;
    stream.set_write_timeout(Some(time))?;
    prepare(&stream, time)?;
    Ok(stream)
}

/// Has the kernel end the connection when nothing of what is sent is acknowledged for `time`, or when
/// nobody is there any more although nothing is sent: whose power failed says no goodbye.
fn prepare(stream: &impl AsFd, time: Duration) -> io::Result<()> {
    // What is sent at once is one write; waiting for more would only delay it.
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_tcp_user_timeout(stream, time.as_millis() as u32)?;
    sockopt::set_tcp_keepidle(stream, IDLE)?;
    sockopt::set_tcp_keepintvl(stream, INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(())
}

/// The same on an event loop, where an address is tried beside those that have not answered yet; who
/// calls waits for as long as `time`.
pub(super) async fn race(
    host: &str,
    port: u16,
    time: Duration,
) -> io::Result<tokio::net::TcpStream> {
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
            Ok(Some(Ok(Ok(stream)))) => {
                prepare(&stream, time)?;
                return Ok(stream);
            }
            // What the first says is told, for the log not to change with each attempt.
            Ok(Some(Ok(Err(error)))) => _ = first.get_or_insert(error),
            Ok(Some(Err(error))) => _ = first.get_or_insert(error.into()),
            Ok(None) => return Err(first.unwrap_or(io::ErrorKind::NotFound.into())),
        }
    }
}

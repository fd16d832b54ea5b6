//! Asks a running daemon for its figures: one HTTP request, bounded in time and size.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::metrics::Top;

const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for new figures, and the time between two questions for them.
const FRESH: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
/// A thousand containers and rules are a quarter of this.
const ANSWER_MAX: u64 = 4 << 20;

/// The daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum FetchError {
    /// The configuration switches the interface off.
    #[error(
        "the daemon's figures cannot be had: `metrics.listen` is `off`; set it to an address such \
         as `127.0.0.1:9464` and restart the daemon"
    )]
    Off,
    /// Nobody answers.
    #[error(
        "no daemon answers at {address} ({source}); start one with `systemctl start monitor-daemon` \
         or `sudo monitor-daemon run`, or name its configuration with --config or its address with \
         --address"
    )]
    Absent {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Somebody answers, but not as a daemon does.
    #[error(
        "what answers at {address} is no monitor-daemon of version {}: {said}; name the daemon's \
         address with --address, or restart a daemon that was updated",
        env!("CARGO_PKG_VERSION")
    )]
    Stranger {
        /// Where.
        address: SocketAddr,
        /// The beginning of the answer.
        said: String,
    },
}

/// Figures that are newer than `before`: the daemon makes them once a second. One whose loop hangs
/// makes none, and the old ones are shown after a while.
pub(super) fn newer(address: SocketAddr, before: &Top) -> Result<Top, FetchError> {
    let until = Instant::now() + FRESH;
    loop {
        let now = top(address)?;
        let fresh = (now.pid, now.taken_ms) != (before.pid, before.taken_ms);
        if fresh || Instant::now() >= until {
            return Ok(now);
        }
        thread::sleep(PAUSE);
    }
}

/// The figures of the daemon at `address`.
pub(super) fn top(address: SocketAddr) -> Result<Top, FetchError> {
    let address = reachable(address);
    let absent = |source| FetchError::Absent { address, source };
    let answer = ask(address, "/top").map_err(absent)?;
    let stranger = |said: &str| FetchError::Stranger {
        address,
        said: crate::output::visible(&said.chars().take(60).collect::<String>()),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(stranger(status));
    }
    serde_json::from_str(body).map_err(|error| stranger(&error.to_string()))
}

/// What is at a path, with the answer's head. Version 1.0: the answer ends with the connection and
/// comes in one piece.
pub(in super::super) fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let address = reachable(address);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: who answers without reading on would reset the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Who listens on all addresses is asked on the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use monitor_policy::Priority;

    use super::*;
    use crate::metrics::{Metrics, Server};

    #[test]
    fn a_daemon_tells_its_figures() {
        let metrics = Arc::new(Metrics::new().unwrap());
        metrics.rule("r", Priority::Notice).inc_by(3);
        let listen = SocketAddr::from(([0, 0, 0, 0], 0));
        let server = Server::start(listen, Arc::clone(&metrics)).unwrap();
        let top = top(server.address()).unwrap();
        assert_eq!(top.pid, std::process::id());
        assert_eq!(top.rules.first().map(|rule| rule.matches), Some(3));
    }

    #[test]
    fn nobody_there_says_what_to_do() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let error = top(address).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "no daemon answers at {address} (Connection refused"
            )),
            "{error}"
        );
        assert!(error.contains("systemctl start monitor-daemon"), "{error}");
    }

    #[test]
    fn somebody_else_is_told_apart() {
        for (answer, said) in [
            ("HTTP/1.0 404 Not Found\r\n\r\n", "404 Not Found"),
            ("HTTP/1.0 200 OK\r\n\r\n{}", "missing field"),
            ("\u{1b}[2Jhello", "\\u001b[2Jhello"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 256];
                let _read = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let error = top(address).unwrap_err().to_string();
            server.join().unwrap();
            assert!(error.contains(said), "{error}");
        }
    }
}

//! Streams on which nothing arrives any more.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};

use crate::output::bus::tests::{PATIENCE, Subject, number, server_tls, tls_keys, wait_for};
use crate::output::tests::is_alone;

/// Far less than what holds without it.
const TIMEOUT: &str = "timeout_ms: 1500";
const USUAL: Duration = Duration::from_secs(10);

/// A server by TCP or TLS, and an output that sends there.
struct Pair {
    folder: tempfile::TempDir,
    is_secure: bool,
    listener: TcpListener,
    subject: Subject,
}

impl Pair {
    fn new(is_secure: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, _) = tls_keys(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut keys = format!("address: 'localhost:{port}', {TIMEOUT}, protocol: tcp");
        if is_secure {
            keys = format!("address: 'localhost:{port}', {TIMEOUT}, protocol: tls, {ca}");
        }
        Self {
            subject: Subject::start("syslog", &keys, folder.path()),
            folder,
            is_secure,
            listener,
        }
    }

    /// The next connection.
    fn accept(&self) -> Lines {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Lines(BufReader::new(if self.is_secure {
            secure(stream, self.folder.path())
        } else {
            Box::new(stream)
        }))
    }
}

fn secure(stream: TcpStream, folder: &Path) -> Box<dyn Read> {
    let connection = ServerConnection::new(server_tls(folder)).unwrap();
    Box::new(StreamOwned::new(connection, stream))
}

/// What comes over a connection.
struct Lines(BufReader<Box<dyn Read>>);

impl Lines {
    /// The numbers of the next alerts.
    fn numbers(&mut self, count: usize) -> Vec<usize> {
        let mut next = || {
            let mut text = Vec::new();
            self.0.read_until(b'}', &mut text).unwrap();
            self.0.read_until(b'}', &mut text).unwrap();
            number(std::str::from_utf8(&text).unwrap())
        };
        (0..count).map(|_| next()).collect()
    }
}

fn loopback(state: &str) {
    let mut command = Command::new("ip");
    command.args(["link", "set", "lo", state]);
    assert!(command.status().unwrap().success());
}

/// As behind a firewall that has forgotten a connection, or where a server has lost its power:
/// nobody says that there is an end.
#[test]
fn what_a_dead_connection_swallows_is_not_taken_for_delivered() {
    if !is_alone(
        concat!(
            module_path!(),
            "::what_a_dead_connection_swallows_is_not_taken_for_delivered"
        ),
        ":",
    ) {
        return;
    }
    let pairs = [false, true].map(Pair::new);
    let first = pairs.each_ref().map(|pair| {
        pair.subject.push([0]);
        let mut lines = pair.accept();
        assert_eq!(lines.numbers(1), [0]);
        pair.subject.wait(1);
        lines
    });
    let since = Instant::now();
    loopback("down");
    for pair in &pairs {
        pair.subject.push(1..300);
    }
    for Pair { subject, .. } in &pairs {
        let why = wait_for("trouble", || subject.metrics.trouble.why());
        let told = why.contains("the server takes nothing") || why.contains("timed out");
        assert!(why.starts_with("localhost:") && told, "{why}");
        assert_eq!(subject.metrics.written.get(), 1);
    }
    assert!(since.elapsed() < USUAL, "`timeout_ms` is not heeded");
    // Who is back knows of no connection.
    drop(first);
    loopback("up");
    for pair in &pairs {
        let numbers = pair.accept().numbers(299);
        assert!(numbers.into_iter().eq(1..300));
        pair.subject.wait(300);
        assert_eq!(pair.subject.metrics.trouble.why(), None);
    }
}

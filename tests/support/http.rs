//! Just enough HTTP to ask a local server one question, and to be one that takes alerts.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const PATIENCE: Duration = Duration::from_secs(10);

/// The body at `path` (with its query) of the server on a loopback port.
///
/// # Errors
///
/// When nobody answers, or with another status than 200.
pub fn fetch(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(&mut stream, path)
}

/// The body at `path` of the server behind a unix socket.
///
/// # Errors
///
/// When nobody answers, or with another status than 200.
pub fn fetch_unix(socket: &Path, path: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(&mut stream, path)
}

/// Takes the requests that come over a connection, and answers each with 200 once all of it is there
/// and `take` has its body.
///
/// # Errors
///
/// When `take` fails, or the connection ends amid a request.
pub fn serve(stream: TcpStream, mut take: impl FnMut(Vec<u8>) -> Result<()>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.trim().parse()?;
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut body = Vec::new();
        let all = stream.by_ref().take(length).read_to_end(&mut body)?;
        ensure!(all as u64 == length, "the connection ended amid a request");
        take(body)?;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer)?;
    }
}

/// A loopback port that nobody listens on at the moment.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// `text` as a part of a query string.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Version 1.0: the answer ends with the connection and comes in one piece.
fn ask(stream: &mut (impl Read + Write), path: &str) -> Result<String> {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("GET {path}: {status}: {body}");
    }
    Ok(body.to_owned())
}

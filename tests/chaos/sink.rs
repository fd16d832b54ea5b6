//! A log server in a process of its own, for it to be killed: HTTP, one JSON object a line, which
//! it appends to a file before it answers.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, ensure};

/// The process. On drop it is killed.
#[derive(Debug)]
pub(crate) struct Sink {
    process: Child,
    address: SocketAddr,
    /// Held, for the server would else die of what it prints.
    _output: BufReader<ChildStdout>,
}

impl Sink {
    /// Starts it, where it was before if `address` is given, and waits until it listens.
    pub(crate) fn start(address: Option<SocketAddr>, file: &Path) -> Result<Self> {
        let address = address.map_or_else(|| "127.0.0.1:0".to_owned(), |old| old.to_string());
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["sink", &address]).arg(file);
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        Ok(Self {
            process,
            address: line.trim().parse().context("the server did not start")?,
            _output: output,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// With SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _killed = self.kill();
    }
}

/// The server itself; prints its address.
pub(crate) fn serve(address: &str, path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, file) = (stream?, file.try_clone()?);
        thread::spawn(move || answer(stream, &file));
    }
    Ok(())
}

fn answer(stream: TcpStream, mut file: &File) -> Result<()> {
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
        // A line that a kill cut must not spoil the next.
        let mut body = vec![b'\n'];
        let all = stream.by_ref().take(length).read_to_end(&mut body)?;
        ensure!(all as u64 == length, "the daemon ended amid a request");
        body.push(b'\n');
        file.write_all(&body)?;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer)?;
    }
}

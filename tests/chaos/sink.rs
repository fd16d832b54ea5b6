//! A log server in a process of its own, for it to be killed: HTTP, one JSON object a line, which
//! it appends to a file before it answers.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};
use monitor_tests::http;

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
        thread::spawn(move || http::serve(stream, |body| append(&file, &body)));
    }
    Ok(())
}

/// In one piece, in lines of its own: a line that a kill cut must not spoil the next.
fn append(mut file: &File, body: &[u8]) -> Result<()> {
    let lines = [b"\n", body, b"\n"].concat();
    Ok(file.write_all(&lines)?)
}

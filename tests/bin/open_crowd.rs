//! Opens a pipe, and lets many more threads wait in opens of another before that open succeeds.
//!
//! Arguments: the pipe, the other pipe, and how many threads wait.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, Builder};

/// Most threads do nothing but wait.
const STACK: usize = 32 << 10;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().ok_or(io::ErrorKind::InvalidInput);
    let (first, crowd) = (PathBuf::from(next()?), PathBuf::from(next()?));
    let count = next()?.to_str().and_then(|count| count.parse().ok());
    let count: usize = count.ok_or(io::ErrorKind::InvalidInput)?;

    let (tell, told) = channel();
    let open = |path: &Path| {
        let (path, tell) = (path.to_owned(), tell.clone());
        Builder::new()
            .stack_size(STACK)
            .spawn(move || wait_in_open(&path, &tell))
    };
    let opening = open(&first)?;
    until_blocked(&told.recv().map_err(io::Error::other)?)?;
    for _ in 0..count {
        open(&crowd)?;
    }
    for thread in told.iter().take(count) {
        until_blocked(&thread)?;
    }
    OpenOptions::new().write(true).open(&first)?;
    opening.join().map_err(|_| io::ErrorKind::Other)?
}

fn wait_in_open(path: &Path, tell: &Sender<String>) -> io::Result<()> {
    let id = rustix::thread::gettid().as_raw_nonzero().to_string();
    tell.send(id).map_err(io::Error::other)?;
    File::open(path).map(drop)
}

/// Until a thread sleeps: none does before its open.
fn until_blocked(thread: &str) -> io::Result<()> {
    let path = format!("/proc/self/task/{thread}/stat");
    loop {
        let stat = fs::read_to_string(&path)?;
        if stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('S'))
        {
            return Ok(());
        }
        thread::yield_now();
    }
}

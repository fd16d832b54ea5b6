//! Starts as many short-lived shells as it is told, `sh -c : MARK-NUMBER`, as fast as it can: from
//! a thread on every CPU, so that most are started by a thread that is not the first.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("usage: spawn-many COUNT MARK");
    let count: usize = argument()?.parse()?;
    let mark = argument()?;
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            let name = format!("{mark}-{number}");
            let status = Command::new("/bin/sh").args(["-c", ":", &name]).status()?;
            ensure!(status.success(), "{name}: {status}");
        }
    };
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for done in threads {
            match done.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })
}

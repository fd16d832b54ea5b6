//! Opens and closes a file on every CPU as fast as the kernel lets it, for two minutes at most.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

const LONGEST: Duration = Duration::from_mins(2);

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1);
    let path = path.unwrap_or_else(|| "/etc/passwd".into());
    let start = Instant::now();
    let work = || -> Result<()> {
        while start.elapsed() < LONGEST {
            for _ in 0..1000 {
                drop(File::open(&path)?);
            }
        }
        Ok(())
    };
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let loops: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for done in loops {
            match done.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })
}

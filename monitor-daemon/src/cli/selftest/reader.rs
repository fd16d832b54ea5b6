//! Who reads the watcher's standard output, and can let it wait.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::process::ChildStdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that the pipe has room for, so that few alerts fill it.
const ROOM: usize = 4096;

/// A thread reads all, and forgets it.
#[derive(Debug)]
pub(super) struct Reader {
    pipe: File,
    paused: Arc<AtomicBool>,
}

impl Reader {
    pub(super) fn start(output: ChildStdout) -> io::Result<Self> {
        let pipe = File::from(OwnedFd::from(output));
        rustix::pipe::fcntl_setpipe_size(&pipe, ROOM)?;
        let paused = Arc::new(AtomicBool::new(false));
        let (mut other, waits) = (pipe.try_clone()?, Arc::clone(&paused));
        thread::spawn(move || {
            let mut bytes = [0; ROOM];
            // An error is the end.
            while !matches!(other.read(&mut bytes), Ok(0) | Err(_)) {
                while waits.load(Ordering::Relaxed) {
                    thread::sleep(PAUSE);
                }
            }
        });
        Ok(Self { pipe, paused })
    }

    /// After what comes next it reads no more.
    pub(super) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    pub(super) fn go_on(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    /// Waits until who writes has to wait: less room is left than an alert takes.
    pub(super) fn is_full_within(&self, patience: Duration) -> bool {
        let start = Instant::now();
        let full = || {
            let unread = rustix::io::ioctl_fionread(&self.pipe);
            unread.is_ok_and(|unread| unread > ROOM as u64 / 2)
        };
        while !full() {
            if start.elapsed() > patience {
                return false;
            }
            thread::sleep(PAUSE);
        }
        true
    }
}

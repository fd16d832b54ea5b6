//! The file that tells the next start when this run was last alive, written by a thread of its own,
//! so that a disk that hangs stops nothing.
//!
//! One line of JSON, written in place every [`EVERY`] and never synced: what it says survives the
//! daemon, and a failing host but for half a minute. A lock on the file keeps a second daemon from
//! writing to it; the lock goes with the process.

mod gap;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use crate::config::StateFile;
use crate::{clock, locked};
pub(crate) use gap::RULE;
use gap::{Gap, Mark, Moment};

/// Time between two writes.
const EVERY: Duration = Duration::from_secs(2);
/// Longest wait for the last write.
const END_TIME: Duration = Duration::from_secs(2);
/// Bytes of the file, whatever it says, so that a write needs no truncation: a page at most.
const BYTES: usize = 512;
/// Name of this boot.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// The file's usual name.
const NAME: &str = "state.json";

/// This run's sign of life.
#[derive(Debug)]
pub(crate) struct Life {
    /// When the loop last turned, `CLOCK_BOOTTIME` ns.
    alive: Arc<AtomicU64>,
    writer: Option<Writer>,
    gap: Option<Gap>,
}

#[derive(Debug)]
struct Writer {
    /// Told that the end has come; dropped without, nothing more is written.
    end: SyncSender<()>,
    /// Closed by the writer behind its last write.
    ended: Receiver<()>,
}

/// The file and what is written there.
#[derive(Debug)]
struct Keeper {
    path: PathBuf,
    file: File,
    boot: String,
}

impl Life {
    /// Finds what the run before left, and begins to tell of this one; to be called when the
    /// programs are attached. Where it is impossible, or another daemon does it, the reason is
    /// logged and no gap is told.
    pub(crate) fn begin(file: &StateFile) -> Self {
        let mut life = Self {
            alive: Arc::new(AtomicU64::new(clock::boot_ns())),
            writer: None,
            gap: None,
        };
        let Some(path) = file.path(NAME) else {
            return life;
        };
        if let Err(error) = life.start(&path) {
            let path = path.display();
            tracing::warn!(
                %path,
                %error,
                "cannot keep when the daemon was last alive: the next start cannot tell for how \
                 long nothing was watched; `state_file` names the file, or `off`"
            );
        }
        life
    }

    /// The gap between the last run and this one, if there was one before.
    pub(crate) const fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// The loop has turned.
    pub(crate) fn alive(&self, boot_ns: u64) {
        self.alive.store(boot_ns, Ordering::Relaxed);
    }

    /// The run ends as it should.
    pub(crate) fn end(&mut self) {
        self.alive(clock::boot_ns());
        let Some(Writer { end, ended }) = self.writer.take() else {
            return;
        };
        // The writer is there until it is told, or has failed to start.
        let _told = end.try_send(());
        if ended.recv_timeout(END_TIME) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the orderly end could not be written down in time");
        }
    }

    fn start(&mut self, path: &Path) -> io::Result<()> {
        let boot = std::fs::read_to_string(BOOT)?.trim().to_owned();
        let file = locked::open(path)?;
        self.gap = read(&file)?.map(|before| before.gap(&boot, now()));
        let path = path.to_owned();
        let keeper = Keeper { path, file, boot };
        let alive = Arc::clone(&self.alive);
        let (end, told) = mpsc::sync_channel(1);
        let (done, ended) = mpsc::sync_channel(0);
        std::thread::Builder::new()
            .name("life".to_owned())
            .spawn(move || {
                keeper.keep(&alive, &told);
                drop(done);
            })?;
        self.writer = Some(Writer { end, ended });
        Ok(())
    }
}

impl Keeper {
    fn keep(mut self, alive: &AtomicU64, told: &Receiver<()>) {
        let mut failed = false;
        let mut ended = false;
        loop {
            let written = self.write(alive.load(Ordering::Relaxed), ended);
            if let Err(error) = &written
                && !failed
            {
                let path = self.path.display();
                tracing::warn!(%path, %error, "cannot write that the daemon is alive");
            }
            failed = written.is_err();
            if ended {
                return;
            }
            match told.recv_timeout(EVERY) {
                Ok(()) => ended = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, alive_ns: u64, ended: bool) -> io::Result<()> {
        if self.file.metadata()?.nlink() == 0 {
            tracing::warn!(path = %self.path.display(), "somebody removed the daemon's state");
            self.file = locked::open(&self.path)?;
        }
        let mark = Mark {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.boot.clone(),
            alive: Moment {
                epoch_ns: alive_ns.saturating_add(clock::boot_to_epoch_ns()),
                boot_ns: alive_ns,
            },
            ended,
        };
        let mut line = serde_json::to_string(&mark)?;
        line = format!("{line:<width$}\n", width = BYTES - 1);
        self.file.write_all_at(line.as_bytes(), 0)
    }
}

/// What the run before left; nothing in a new file.
fn read(file: &File) -> io::Result<Option<Mark>> {
    let mut text = String::new();
    file.take(BYTES as u64).read_to_string(&mut text)?;
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(&text) {
        Ok(mark) => Ok(Some(mark)),
        Err(error) => {
            tracing::warn!(%error, "the state that the last run left is not readable");
            Ok(None)
        }
    }
}

fn now() -> Moment {
    let boot_ns = clock::boot_ns();
    Moment {
        epoch_ns: boot_ns.saturating_add(clock::boot_to_epoch_ns()),
        boot_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::gap::Why;
    use super::*;

    fn why(life: &Life) -> Option<Why> {
        life.gap().map(|gap| gap.why)
    }

    #[test]
    fn a_run_tells_the_next_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state.json");
        let file = StateFile::Path(path.clone());
        let mut life = Life::begin(&file);
        assert_eq!(why(&life), None, "nothing ran before");
        let other = Life::begin(&file);
        assert!(other.writer.is_none(), "the file is in use");
        drop(other);
        life.alive(7);
        life.end();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), BYTES);

        let mut life = Life::begin(&file);
        assert_eq!(why(&life), Some(Why::Stopped));
        assert!(life.gap().unwrap().seconds() < 60.0);
        life.end();

        std::fs::write(&path, text.replace("\"ended\":true", "\"ended\":false")).unwrap();
        assert_eq!(why(&Life::begin(&file)), Some(Why::Killed));
        let mut off = Life::begin(&StateFile::Off);
        assert_eq!(why(&off), None);
        off.end();
    }

    #[test]
    fn what_somebody_removed_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut keeper = Keeper {
            path: path.clone(),
            file: locked::open(&path).unwrap(),
            boot: "b".to_owned(),
        };
        std::fs::remove_file(&path).unwrap();
        keeper.write(5, false).unwrap();
        let mark = read(&File::open(&path).unwrap()).unwrap().unwrap();
        assert_eq!((mark.alive.boot_ns, mark.ended), (5, false));
        std::fs::write(&path, "no json").unwrap();
        assert_eq!(read(&File::open(&path).unwrap()).unwrap(), None);
    }
}

//! Alerts as lines in a file.
//!
//! The file is only ever appended to. It is reopened when it was renamed or removed (log
//! rotation); a write that fails is tried again every second for as long as the daemon runs, and
//! what does not fit the queue meanwhile is counted as lost. A line that was cut by an error is
//! completed, never left behind torn; one that was cut by the end of an earlier daemon is ended, so
//! that it costs no other.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::feed::Feed;
use super::format::Encoder;
use super::latency;
use super::queue::Item;
use crate::alert_log::Entry;

const RETRY: Duration = Duration::from_secs(1);

/// Writes batches from a queue to a file until the queue is closed and drained.
#[derive(Debug)]
pub(super) struct FileWriter {
    pub(super) file: AlertFile,
    pub(super) encoder: Encoder,
    pub(super) feed: Feed,
}

impl FileWriter {
    pub(super) fn run(mut self) {
        loop {
            let batch = self.feed.next();
            let closed = batch.closed;
            let alerts: Vec<Arc<Entry>> = batch.items.into_iter().filter_map(Item::alert).collect();
            if !self.deliver(&alerts) {
                return self.feed.give_up(alerts.len() as u64);
            }
            self.feed.done();
            if closed {
                return;
            }
        }
    }

    /// Writes until it succeeds; `false` when the queue was closed before that.
    fn deliver(&mut self, alerts: &[Arc<Entry>]) -> bool {
        let mut text = Vec::new();
        for alert in alerts {
            self.encoder.line(alert, &mut text);
        }
        let mut written = 0;
        let mut failed = false;
        while let Err(error) = self.file.append(&text, &mut written) {
            self.feed.metrics().write_errors.inc();
            if !failed {
                let file = self.file.path.display();
                tracing::warn!(%error, %file, "cannot write alerts, trying again every second");
                failed = true;
            }
            let why = Some(error.to_string());
            self.feed.metrics().trouble.replace(why);
            if self.feed.pause(RETRY) {
                // The last chance: what the error said may be over.
                return self.file.append(&text, &mut written).is_ok() && self.count(alerts);
            }
        }
        if failed {
            self.feed.metrics().trouble.replace(None);
            tracing::info!(file = %self.file.path.display(), "alerts are written again");
        }
        self.count(alerts)
    }

    fn count(&self, alerts: &[Arc<Entry>]) -> bool {
        self.feed.metrics().written.inc_by(alerts.len() as u64);
        for alert in alerts {
            self.feed
                .metrics()
                .latency
                .observe(latency(alert.alert.time));
        }
        true
    }
}

/// A file that others may rotate away.
#[derive(Debug)]
pub(super) struct AlertFile {
    path: PathBuf,
    file: Option<File>,
    /// Whether the file was found to end amid a line.
    torn: bool,
}

impl AlertFile {
    /// Opens or creates `path`, readable by its owner only.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            torn: ends_amid_line(&file, path),
            file: Some(file),
        })
    }

    /// Appends the rest of `text` from `written` on, which it moves; in a fresh file the line that
    /// was cut starts again.
    fn append(&mut self, text: &[u8], written: &mut usize) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) if is_same(&file, &self.path) => file,
            _ => {
                *written = start_of_line(text, *written);
                let file = open(&self.path)?;
                self.torn = ends_amid_line(&file, &self.path);
                file
            }
        };
        let result = self.write(&mut file, text, written);
        self.file = Some(file);
        result
    }

    fn write(&mut self, file: &mut File, text: &[u8], written: &mut usize) -> io::Result<()> {
        if self.torn {
            write_rest(file, b"\n", &mut 0)?;
            self.torn = false;
        }
        write_rest(file, text, written)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Whether the file, opened for appending at `path`, has a last line without an end. What cannot be
/// read, or is no plain file, has none.
fn ends_amid_line(file: &File, path: &Path) -> bool {
    let plain = |metadata: &Metadata| metadata.is_file() && metadata.len() > 0;
    let Some(metadata) = file.metadata().ok().filter(plain) else {
        return false;
    };
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut last, metadata.len() - 1));
    read.is_ok() && last != [b'\n']
}

/// Whether `path` still names the open file.
fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(opened), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (opened.dev(), opened.ino()) == (named.dev(), named.ino())
}

fn write_rest(file: &mut impl Write, text: &[u8], written: &mut usize) -> io::Result<()> {
    while let Some(rest) = text.get(*written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn start_of_line(text: &[u8], written: usize) -> usize {
    let before = text.get(..written).unwrap_or(text);
    before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn appends_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        fs::write(&path, "old\n").unwrap();
        AlertFile::open(&path)
            .unwrap()
            .append(b"new\n", &mut 0)
            .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
        fs::remove_file(&path).unwrap();
        AlertFile::open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_line_that_an_earlier_daemon_left_unfinished_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one\ntw").unwrap();
        let mut file = AlertFile::open(&path).unwrap();
        file.append(b"three\n", &mut 0).unwrap();
        file.append(b"four\n", &mut 0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\nfour\n");
    }

    #[test]
    fn follows_a_rotation_and_starts_a_cut_line_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a"), folder.path().join("a.1"));
        let mut file = AlertFile::open(&path).unwrap();
        let text = b"one\ntwo\nthree\n";
        let mut written = 0;
        file.append(&text[..6], &mut written).unwrap();
        fs::rename(&path, &old).unwrap();
        file.append(text, &mut written).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntw");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
        fs::remove_file(&path).unwrap();
        file.append(b"four\n", &mut 0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
    }

    /// A disk that takes three bytes, then is full, then has room again.
    struct Full {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn goes_on_inside_a_line_when_the_disk_has_room_again() {
        let mut disk = Full {
            room: 6,
            text: Vec::new(),
        };
        let mut written = 0;
        assert!(write_rest(&mut disk, b"one\ntwo\n", &mut written).is_err());
        disk.room = 100;
        write_rest(&mut disk, b"one\ntwo\n", &mut written).unwrap();
        assert_eq!(disk.text, b"one\ntwo\n");
    }
}

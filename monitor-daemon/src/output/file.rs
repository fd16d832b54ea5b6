//! Alerts as lines in a file.
//!
//! The file is only ever appended to. It is reopened when it was renamed or removed (log rotation),
//! and renamed by ourselves between two lines where it may not grow for ever. A line that was cut by
//! an error is completed, never left behind torn; one that was cut by the end of an earlier daemon
//! is ended, so that it costs no other. Attempts after an error are [`super::bus`]'s.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::bus::{Bus, Sent, Trouble};
use super::format::Encoder;
use crate::alert_log::Entry;
use crate::config;

/// A file that others may rotate away.
#[derive(Debug)]
pub(super) struct AlertFile {
    settings: config::File,
    encoder: Encoder,
    file: Option<File>,
    /// Whether the file ends amid a line that nobody completes.
    torn: bool,
    /// The number of the alert whose line was cut, and how much of it is there.
    cut: Option<(u64, usize)>,
    /// Whether the file could not be rotated, which is logged once.
    stuck: bool,
}

impl Bus for AlertFile {
    /// An attempt costs nobody else anything.
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);

    fn send(&mut self, alerts: &[Arc<Entry>]) -> Sent {
        let mut text = Vec::new();
        let mut ends = Vec::new();
        for alert in alerts {
            self.encoder.line(alert, &mut text);
            ends.push(text.len());
        }
        let mut written = self.resume(alerts);
        let result = self.append(&text, &mut written);
        let taken = ends.iter().take_while(|end| **end <= written).count();
        let whole = ends.iter().take(taken).next_back();
        let whole = whole.copied().unwrap_or_default();
        let next = alerts.get(taken).filter(|_| written > whole);
        self.cut = next.map(|next| (next.sequence, written - whole));
        let path = self.settings.path.display();
        let trouble = result.map_err(|error| Trouble::Later(format!("{path}: {error}")));
        Sent {
            taken,
            trouble: trouble.err(),
        }
    }
}

impl AlertFile {
    /// Opens or creates the file, readable by its owner only.
    pub(super) fn open(settings: config::File, encoder: Encoder) -> io::Result<Self> {
        let file = open(&settings.path)?;
        Ok(Self {
            torn: ends_amid_line(&file, &settings.path),
            settings,
            encoder,
            file: Some(file),
            cut: None,
            stuck: false,
        })
    }

    /// How much of the first of `alerts` is in the file already. Whatever else was cut there stays.
    fn resume(&mut self, alerts: &[Arc<Entry>]) -> usize {
        let Some((sequence, bytes)) = self.cut.take() else {
            return 0;
        };
        if alerts
            .first()
            .is_some_and(|first| first.sequence == sequence)
        {
            return bytes;
        }
        self.torn = true;
        0
    }

    /// Appends the rest of `text` from `written` on, which it moves; in a fresh file the line that
    /// was cut starts again.
    fn append(&mut self, text: &[u8], written: &mut usize) -> io::Result<()> {
        while *written < text.len() {
            let mut file = self.opened(text, written)?;
            let mut end = self.room(&file, text, *written)?;
            if end == *written {
                drop(file);
                if self.rotate() {
                    continue;
                }
                file = self.opened(text, written)?;
                end = text.len();
            }
            let result = self.write(&mut file, text.get(..end).unwrap_or(text), written);
            self.file = Some(file);
            result?;
        }
        Ok(())
    }

    /// The file, which may have to be opened again.
    fn opened(&mut self, text: &[u8], written: &mut usize) -> io::Result<File> {
        let path = &self.settings.path;
        if let Some(file) = self.file.take().filter(|file| is_same(file, path)) {
            return Ok(file);
        }
        *written = start_of_line(text, *written);
        let file = open(path)?;
        self.torn = ends_amid_line(&file, path);
        Ok(file)
    }

    /// Up to where `text` may go into this file: `written` itself if it is full.
    fn room(&self, file: &File, text: &[u8], written: usize) -> io::Result<usize> {
        let metadata = file.metadata()?;
        let Some(most) = self.settings.max_bytes.filter(|_| metadata.is_file()) else {
            return Ok(text.len());
        };
        let room = usize::try_from(most.saturating_sub(metadata.len())).unwrap_or(usize::MAX);
        let fits = start_of_line(text, written.saturating_add(room).min(text.len()));
        // A line ends where it began, and one too long for any file has one for itself.
        let has_begun = start_of_line(text, written) < written;
        if fits <= written && (has_begun || metadata.len() == 0) {
            return Ok(end_of_line(text, written));
        }
        Ok(fits.max(written))
    }

    /// Makes way for a new file, or says that it cannot: the old one grows then.
    fn rotate(&mut self) -> bool {
        let path = &self.settings.path;
        let rotated = make_way(path, self.settings.keep);
        let failed = rotated.is_err();
        if let Err(error) = rotated
            && !self.stuck
        {
            tracing::warn!(%error, file = %path.display(), "cannot rotate alerts, the file grows");
        }
        self.stuck = failed;
        !failed
    }

    fn write(&mut self, file: &mut File, text: &[u8], written: &mut usize) -> io::Result<()> {
        if self.torn {
            write_rest(file, b"\n", &mut 0)?;
            self.torn = false;
        }
        write_rest(file, text, written)
    }
}

/// Renames the file, and those that were before.
fn make_way(path: &Path, keep: u64) -> io::Result<()> {
    // Not a link to it.
    let path = fs::canonicalize(path)?;
    let rotated = |times| config::File::rotated(&path, times);
    // Only as far as there is no gap: where the last step fails each time, the first may not go on
    // pushing out the oldest.
    let is_free = |times: &u64| rotated(*times).symlink_metadata().is_err();
    let last = (1..=keep).find(is_free).unwrap_or(keep);
    for times in (1..last).rev() {
        fs::rename(rotated(times), rotated(times + 1))?;
    }
    fs::rename(&path, rotated(1))
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

fn end_of_line(text: &[u8], written: usize) -> usize {
    let rest = text.get(written..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\n');
    end.map_or(text.len(), |end| written + end + 1)
}

#[cfg(test)]
mod tests;

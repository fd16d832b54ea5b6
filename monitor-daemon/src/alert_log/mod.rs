//! The alert log: every alert is here before any output sees it, and stays until it is too old or
//! there are too many.
//!
//! One `SQLite` file in WAL mode with one writer ([`AlertLog`]), which a lock beside it keeps the
//! only one; outputs that fell behind and `monitor-daemon alerts` read it with connections of their
//! own ([`Reader`]). Alerts have a number of this host's, without holes but for those that `gaps`
//! explains, and each has a hash over itself and all before it ([`verify`]). A commit survives the
//! daemon's end, however it ends; a failing host may cost what was written in the last moments,
//! unless every commit is to be synced.
//!
//! The only module that knows `SQLite`.

mod append;
mod chain;
mod entry;
mod query;
mod read;
mod retention;
mod schema;
mod verify;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub use append::{AlertLog, Cursor, Settings};
pub use entry::{Entry, LogId, Uuid};
pub use query::Query;
pub use read::Reader;
pub use retention::{Aged, Retained, Retention};
pub use verify::{Verified, verify};

/// The file's name in the folder of the daemon's state.
pub const NAME: &str = "alerts.db";

/// The alert log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder or the lock cannot be made.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// What cannot be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is another writer.
    #[error("another daemon writes `{}`", path.display())]
    Taken {
        /// The log.
        path: PathBuf,
    },
    /// The log is of a later version of the daemon.
    #[error("`{}` is of a later version of the daemon (format {found}, this one writes {ours})", path.display())]
    Later {
        /// The log.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        ours: u32,
    },
    /// What was in the file cannot be read; there is a new one in its place.
    #[error("alert log `{}` is damaged ({source}); it is `{}` now, and a new one was begun", path.display(), moved.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where the damaged one is.
        moved: PathBuf,
        /// What is wrong with it.
        source: Box<LogError>,
    },
    /// A damaged log was moved aside, and there is none in its place yet.
    #[error("there is no alert log `{}` since a damaged one was moved aside", path.display())]
    Gone {
        /// Where it is to be.
        path: PathBuf,
    },
    /// `SQLite` refuses.
    #[error("alert log `{}`: {source}", path.display())]
    Sqlite {
        /// The log.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

impl LogError {
    /// Whether what the file holds is no log any more.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let source = match self {
            Self::Gone { .. } => return true,
            Self::Sqlite { source, .. } => source,
            _ => return false,
        };
        matches!(
            source.sqlite_error_code(),
            Some(DatabaseCorrupt | NotADatabase)
        )
    }

    /// Whether the file may well hold a log that cannot be read or written just now.
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
            OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
        };
        let Self::Sqlite { path, source } = self else {
            return false;
        };
        let passes = matches!(
            source.sqlite_error_code(),
            Some(
                CannotOpen
                    | DatabaseBusy
                    | DatabaseLocked
                    | DiskFull
                    | FileLockingProtocolFailed
                    | OutOfMemory
                    | PermissionDenied
                    | ReadOnly
                    | SystemIoFailure
            )
        );
        passes && path.try_exists().unwrap_or(true)
    }
}

/// Opens the log for writing. A damaged one is moved aside and a new one begun, which the error
/// beside it tells; without a log the error says why there is none.
pub fn open_or_begin_anew(settings: Settings) -> (Option<AlertLog>, Option<LogError>) {
    let path = settings.path.clone();
    let source = match AlertLog::open(settings.clone()) {
        Ok(log) => return (Some(log), None),
        Err(error) if error.is_damage() => Box::new(error),
        Err(error) => return (None, Some(error)),
    };
    let moved = match move_aside(&path) {
        Ok(moved) => moved,
        Err(error) => return (None, Some(error)),
    };
    match AlertLog::open(settings) {
        Ok(log) => {
            let damaged = LogError::Damaged {
                path,
                moved,
                source,
            };
            (Some(log), Some(damaged))
        }
        Err(error) => (None, Some(error)),
    }
}

/// The files of a log, by what their names end with. A log is where the first of them is: when it is
/// moved, the others follow it.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// How many damaged logs are kept at most, where outputs still need them.
const MOST_DAMAGED: usize = 3;

/// Where a damaged log is that was at `path`.
pub fn damaged(path: &Path) -> PathBuf {
    with_suffix(path, ".damaged")
}

/// Moves a damaged log out of the way; where it is then.
fn move_aside(path: &Path) -> Result<PathBuf, LogError> {
    let moved = damaged(path);
    // One that an earlier attempt has moved is there, and not here any more.
    if path.try_exists().map_err(in_file(path))? {
        // One that was moved before must not get parts of this one.
        discard(&moved)?;
    }
    move_parts(path, &moved, PARTS)?;
    Ok(moved)
}

fn move_parts(
    path: &Path,
    moved: &Path,
    parts: impl IntoIterator<Item = &'static str>,
) -> Result<(), LogError> {
    let rename = |part| {
        let (from, to) = (with_suffix(path, part), with_suffix(moved, part));
        absent_is_fine(fs::rename(from, to))
    };
    parts
        .into_iter()
        .try_for_each(rename)
        .map_err(in_file(path))
}

/// Moves a damaged log further aside, if it is there and `most` allows it, and those that were moved
/// before it.
fn make_room(path: &Path, most: usize) -> Result<(), LogError> {
    if most <= 1 || !path.try_exists().map_err(in_file(path))? {
        return Ok(());
    }
    make_room(&damaged(path), most - 1)?;
    move_aside(path).map(drop)
}

/// Where a daemon ended while it made room, or could not go on, no log is where one was before: those
/// behind move back, for all to be found where the numbers say.
fn close_up(path: &Path) -> Result<(), LogError> {
    let mut place = damaged(path);
    for _ in 1..MOST_DAMAGED {
        let behind = damaged(&place);
        let exists = |path: &Path| path.try_exists().map_err(in_file(path));
        if !exists(&place)? && exists(&behind)? {
            move_parts(&place, &behind, PARTS)?;
            // If this is not done to its end either, it is found as it was.
            move_parts(&behind, &place, PARTS.into_iter().rev())?;
        }
        place = behind;
    }
    Ok(())
}

/// Removes a log, if there is one, its first part last: the others would be taken for those of a log
/// that was moved.
fn discard(path: &Path) -> Result<(), LogError> {
    let remove = |part| absent_is_fine(fs::remove_file(with_suffix(path, part)));
    PARTS
        .into_iter()
        .rev()
        .try_for_each(remove)
        .map_err(in_file(path))
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// For `map_err`: says which file cannot be used.
fn in_file(path: &Path) -> impl Fn(io::Error) -> LogError + '_ {
    |source| LogError::Io {
        path: path.to_owned(),
        source,
    }
}

/// For `map_err`: says which log an error is of.
fn of(path: &Path) -> impl Fn(rusqlite::Error) -> LogError + '_ {
    |source| LogError::Sqlite {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;

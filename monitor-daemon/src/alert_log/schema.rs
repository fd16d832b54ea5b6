//! The tables, and opening the file they are in.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};

use super::chain::{BEGINNING, Hash};
use super::{LogError, LogId, of, with_suffix};
use crate::locked;

/// Format of the file.
const VERSION: u32 = 1;
/// For who reads while the writer begins anew with the file in front, and the other way round.
const BUSY: Duration = Duration::from_secs(2);

/// `meta` has one row. `chain` in it is the hash up to the number `anchor`, below which nothing is
/// left. Of an alert that was removed above it, `removed` keeps the hash, so that the chain goes on.
const TABLES: &str = "
CREATE TABLE meta (
    log INTEGER NOT NULL,
    anchor INTEGER NOT NULL,
    chain BLOB NOT NULL
) STRICT;
CREATE TABLE alerts (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    rule TEXT NOT NULL,
    source TEXT NOT NULL,
    tags TEXT NOT NULL,
    hostname TEXT NOT NULL,
    output TEXT NOT NULL,
    fields TEXT NOT NULL,
    chain BLOB NOT NULL
) STRICT;
CREATE INDEX by_priority ON alerts (priority, sequence);
CREATE TABLE removed (
    sequence INTEGER PRIMARY KEY,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE gaps (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    time INTEGER NOT NULL
) STRICT;
CREATE TABLE outputs (
    name TEXT PRIMARY KEY,
    acknowledged INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Alerts that outputs have although they do not have all before. Added later than the other tables:
/// who does not know it sends such alerts twice.
const AHEAD: &str = "
CREATE TABLE IF NOT EXISTS ahead (
    output TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (output, sequence)
) STRICT, WITHOUT ROWID;
";

/// The number after which a log goes on that took the place of a damaged one. Added later too.
const BEGUN: &str = "CREATE TABLE IF NOT EXISTS begun (after INTEGER NOT NULL) STRICT;";

/// What the log's first row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) log: LogId,
    /// Number of the last alert below which nothing is left.
    pub(super) anchor: u64,
    /// The hash up to it.
    pub(super) chain: Hash,
}

/// Keeps a second daemon from writing to the log at `path`, for as long as it is held.
pub(super) fn lock(path: &Path) -> Result<File, LogError> {
    let lock = with_suffix(path, ".lock");
    locked::open(&lock).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => LogError::Taken {
            path: path.to_owned(),
        },
        _ => LogError::Io { path: lock, source },
    })
}

/// Opens the log for its writer, and makes it if there is none.
pub(super) fn create(path: &Path, synced: bool) -> Result<(Connection, Meta), LogError> {
    // SQLite would create it for others to read, under an unlucky umask.
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|source| LogError::Io {
        path: path.to_owned(),
        source,
    })?;
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(of(path))?;
    let meta = prepare(&mut connection, path, synced)?;
    Ok((connection, meta))
}

/// Opens a log for reading.
pub(super) fn open(path: &Path) -> Result<(Connection, Meta), LogError> {
    // Writing to its index in shared memory is part of reading.
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(of(path))?;
    let read = || {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok((version(&connection)?, meta(&connection)?))
    };
    let (version, meta) = read().map_err(of(path))?;
    refuse_later(path, version)?;
    Ok((connection, meta))
}

fn prepare(connection: &mut Connection, path: &Path, synced: bool) -> Result<Meta, LogError> {
    let set = |connection: &Connection| {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", if synced { "full" } else { "normal" })?;
        // KiB when negative: the daemon appends, and reads only what outputs missed.
        connection.pragma_update(None, "cache_size", -512)?;
        connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
        version(connection)
    };
    let version = set(connection).map_err(of(path))?;
    refuse_later(path, version)?;
    let make = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version == 0 {
            transaction.execute_batch(TABLES)?;
            transaction.execute(
                "INSERT INTO meta VALUES (?1, 0, ?2)",
                (LogId::random().number(), BEGINNING),
            )?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.execute_batch(AHEAD)?;
        transaction.execute_batch(BEGUN)?;
        transaction.commit()?;
        meta(connection)
    };
    make(connection).map_err(of(path))
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn refuse_later(path: &Path, found: u32) -> Result<(), LogError> {
    if found <= VERSION {
        return Ok(());
    }
    Err(LogError::Later {
        path: path.to_owned(),
        found,
        ours: VERSION,
    })
}

pub(super) fn meta(connection: &Connection) -> rusqlite::Result<Meta> {
    connection.query_row("SELECT log, anchor, chain FROM meta", (), |row| {
        Ok(Meta {
            log: LogId::from_number(row.get(0)?),
            anchor: row.get(1)?,
            chain: row.get(2)?,
        })
    })
}

/// Has a new log go on where a damaged one ended.
pub(super) fn begin(connection: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    let Meta { log, anchor, chain } = meta;
    let set = "UPDATE meta SET log = ?1, anchor = ?2, chain = ?3";
    connection.execute(set, (log.number(), anchor, chain))?;
    connection.execute("INSERT INTO begun VALUES (?1)", [anchor])?;
    Ok(())
}

/// The number up to which alerts are in a log in whose place this one is.
pub(super) fn begun(connection: &Connection) -> rusqlite::Result<u64> {
    let query = "SELECT coalesce(max(after), 0) FROM begun";
    connection.query_row(query, (), |row| row.get(0))
}

/// Number and hash of the newest alert; those of the anchor where nothing is left.
pub(super) fn newest(connection: &Connection, meta: &Meta) -> rusqlite::Result<(u64, Hash)> {
    let kept = connection
        .query_row(
            "SELECT sequence, chain FROM alerts ORDER BY sequence DESC LIMIT 1",
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    Ok(kept.unwrap_or((meta.anchor, meta.chain)))
}

/// The highest number of which gaps and outputs tell.
pub(super) fn last_given(connection: &Connection) -> rusqlite::Result<u64> {
    let query = "SELECT max(coalesce((SELECT max(last) FROM gaps), 0),
                            coalesce((SELECT max(acknowledged) FROM outputs), 0))";
    connection.query_row(query, (), |row| row.get(0))
}

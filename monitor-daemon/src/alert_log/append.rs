//! The one writer: batches of alerts, and how far each output is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::chain::{self, Hash};
use super::entry::{Entry, LogId, Row};
use super::read::Reader;
use super::retention::Retention;
use super::schema::{self, Meta};
use super::{LogError, MOST_DAMAGED, damaged, discard, in_file, of, with_suffix};

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// Whether every commit waits until the disk has it.
    pub synced: bool,
    /// What is removed when.
    pub retention: Retention,
}

/// How far an output is.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// By which the log knows the output.
    pub output: &'a str,
    /// Number of the last alert that it has, with all before.
    pub acknowledged: u64,
    /// Numbers of further ones that it has since this was last written down; nothing for an output
    /// that gets all in order.
    pub ahead: Option<&'a [u64]>,
}

/// The alert log, open for writing. Nobody else writes to it meanwhile.
#[derive(Debug)]
pub struct AlertLog {
    pub(super) settings: Settings,
    pub(super) connection: Connection,
    pub(super) meta: Meta,
    /// Number and hash of the newest alert.
    newest: (u64, Hash),
    last_given: u64,
    /// Hashes of removed alerts, once they were counted.
    pub(super) hashes: Option<u64>,
    /// See [`AlertLog::begun`].
    begun: Vec<u64>,
    /// There is none: a new one could not be put in the place of one that was moved aside.
    is_gone: bool,
    _lock: File,
}

impl AlertLog {
    /// Opens the log, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// The file cannot be made or is no alert log of this version, or somebody else writes to it.
    pub fn open(settings: Settings) -> Result<Self, LogError> {
        let path = &settings.path;
        let lock = schema::lock(path)?;
        adopt(path)?;
        super::close_up(path)?;
        let (connection, meta) = schema::create(path, settings.synced)?;
        let newest = schema::newest(&connection, &meta).map_err(of(path))?;
        let last_given = schema::last_given(&connection).map_err(of(path))?;
        let begun = begun(path, &meta, schema::begun(&connection).map_err(of(path))?);
        Ok(Self {
            settings,
            connection,
            meta,
            newest,
            last_given: last_given.max(newest.0),
            hashes: None,
            begun,
            is_gone: false,
            _lock: lock,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Whose numbers these are.
    pub fn id(&self) -> LogId {
        self.meta.log
    }

    /// Number of the newest alert that is kept, 0 when there never was one.
    pub fn newest(&self) -> u64 {
        self.newest.0
    }

    /// The highest number given to an alert when the log was opened, as far as anything tells of
    /// it: also of alerts that outputs got while the log could not be written.
    pub fn last_given(&self) -> u64 {
        self.last_given
    }

    /// Number of the last alert of the damaged log in whose place this one is, 0 when there was none:
    /// what is up to it may still be found in that one ([`super::damaged`]). Then the same of that log,
    /// if the one in whose place it was is there too, and so on.
    pub fn begun(&self) -> &[u64] {
        &self.begun
    }

    /// Moves this log aside and begins a new one, in which the numbers go on and outputs are as far
    /// as `outputs` says: this one is damaged. Where it is then.
    ///
    /// # Errors
    ///
    /// No new one can be made, or the files not be moved. It can be tried again, and has to be before
    /// anything is written.
    pub fn begin_anew<'a>(
        &mut self,
        outputs: impl IntoIterator<Item = Cursor<'a>>,
    ) -> Result<PathBuf, LogError> {
        let path = &self.settings.path;
        let outputs: Vec<Cursor<'_>> = outputs.into_iter().collect();
        let last = self.begun.first().copied().unwrap_or_default();
        let is_needed = outputs.iter().any(|output| output.acknowledged < last);
        // It is complete before it takes the place of the other: a disk may be full, or a host fail.
        let new = new_one(path);
        discard(&new)?;
        let (mut connection, mut meta) = schema::create(&new, self.settings.synced)?;
        (meta.log, meta.anchor, meta.chain) = (self.meta.log, self.newest.0, self.newest.1);
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            schema::begin(&transaction, &meta)?;
            for cursor in outputs {
                reached(&transaction, cursor)?;
            }
            transaction.commit()
        };
        write(&mut connection).map_err(of(&new))?;
        let closed = connection.close();
        closed.map_err(|(_, error)| of(&new)(error))?;
        // What is open would be written to under its new name.
        self.connection = Connection::open_in_memory().map_err(of(path))?;
        self.is_gone = true;
        let moved = if self.newest.0 == last && last > 0 {
            // Nothing is in it; what it took the place of may still be needed.
            discard(path)?;
            damaged(path)
        } else {
            // At a second attempt it may be done.
            if is_needed && path.try_exists().map_err(in_file(path))? {
                // It may have come half-way.
                super::close_up(path)?;
                super::make_room(&damaged(path), MOST_DAMAGED)?;
            }
            let moved = super::move_aside(path)?;
            self.begun
                .truncate(if is_needed { MOST_DAMAGED - 1 } else { 0 });
            self.begun.insert(0, meta.anchor);
            moved
        };
        fs::rename(&new, path).map_err(in_file(path))?;
        (self.connection, self.meta) = schema::create(path, self.settings.synced)?;
        self.hashes = None;
        self.is_gone = false;
        Ok(moved)
    }

    /// How far an output is: the number of the last alert that it has, with all before.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn acknowledged(&self, output: &str) -> Result<Option<u64>, LogError> {
        let query = "SELECT acknowledged FROM outputs WHERE name = ?1";
        let mut statement = self.connection.prepare(query).map_err(of(self.path()))?;
        let mut rows = statement.query([output]).map_err(of(self.path()))?;
        let row = rows.next().map_err(of(self.path()))?;
        row.map(|row| row.get(0))
            .transpose()
            .map_err(of(self.path()))
    }

    /// Numbers of the alerts that an output has besides those of [`AlertLog::acknowledged`], in
    /// order.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn ahead(&self, output: &str) -> Result<Vec<u64>, LogError> {
        let query = "SELECT sequence FROM ahead WHERE output = ?1 ORDER BY 1";
        let read = || {
            let mut statement = self.connection.prepare(query)?;
            let rows = statement.query_map([output], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<u64>>>()
        };
        read().map_err(of(self.path()))
    }

    /// Adds alerts, in the order of their numbers, and notes how far outputs are: all or nothing. A
    /// number that was left out is noted as a gap.
    ///
    /// # Errors
    ///
    /// Nothing was written: no room, or the file is damaged.
    pub fn append<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Arc<Entry>>,
        outputs: impl IntoIterator<Item = Cursor<'a>>,
    ) -> Result<(), LogError> {
        if self.is_gone {
            let path = self.settings.path.clone();
            return Err(LogError::Gone { path });
        }
        let write = |connection: &mut Connection, mut newest: (u64, Hash)| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for entry in entries {
                newest = add(&transaction, newest, entry)?;
            }
            for cursor in outputs {
                reached(&transaction, cursor)?;
            }
            transaction.commit()?;
            Ok(newest)
        };
        self.newest = write(&mut self.connection, self.newest).map_err(of(&self.settings.path))?;
        Ok(())
    }
}

/// After which alert the log at `path` begins, which is `last`, and each of those in whose places it
/// is, as far as they are there.
fn begun(path: &Path, meta: &Meta, last: u64) -> Vec<u64> {
    let mut begun = vec![last];
    let mut path = damaged(path);
    while begun.len() < MOST_DAMAGED && damaged(&path).exists() {
        let older = Reader::open(&path).ok();
        let Some(older) = older.filter(|older| older.id() == meta.log) else {
            break;
        };
        begun.push(older.begun());
        path = damaged(&path);
    }
    begun
}

/// Where a log is until it takes the place of the damaged one at `path`.
fn new_one(path: &Path) -> PathBuf {
    with_suffix(path, ".new")
}

/// The log in front of which the daemon ended when the damaged one had been moved aside.
fn adopt(path: &Path) -> Result<(), LogError> {
    let new = new_one(path);
    let exists = |path: &Path| path.try_exists().map_err(in_file(path));
    if exists(path)? || !exists(&new)? {
        return Ok(());
    }
    // Parts of the damaged one that are still here would be taken for its own.
    super::move_aside(path)?;
    fs::rename(&new, path).map_err(in_file(path))
}

fn reached(transaction: &Transaction<'_>, cursor: Cursor<'_>) -> rusqlite::Result<()> {
    let Cursor {
        output,
        acknowledged,
        ahead,
    } = cursor;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO outputs VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET acknowledged = excluded.acknowledged",
    )?;
    statement.execute((output, acknowledged))?;
    let Some(ahead) = ahead else { return Ok(()) };
    let mut statement =
        transaction.prepare_cached("INSERT OR IGNORE INTO ahead VALUES (?1, ?2)")?;
    for sequence in ahead {
        statement.execute((output, sequence))?;
    }
    let mut statement =
        transaction.prepare_cached("DELETE FROM ahead WHERE output = ?1 AND sequence <= ?2")?;
    statement.execute((output, acknowledged))?;
    Ok(())
}

fn add(
    transaction: &Transaction<'_>,
    (last, chain): (u64, Hash),
    entry: &Entry,
) -> rusqlite::Result<(u64, Hash)> {
    let sequence = entry.sequence;
    if sequence > last + 1 {
        let mut gap = transaction.prepare_cached("INSERT INTO gaps VALUES (?1, ?2, ?3)")?;
        gap.execute((last + 1, sequence - 1, entry.alert.time))?;
    }
    let row = Row::of(entry);
    let chain = chain::after(&chain, &chain::digest(&row));
    let mut insert = transaction
        .prepare_cached("INSERT INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    insert.execute(params![
        row.sequence,
        row.time,
        row.priority,
        row.rule,
        row.source,
        row.tags,
        row.hostname,
        row.output,
        row.fields,
        chain
    ])?;
    Ok((sequence, chain))
}

//! What is removed: what is too old, and where there is too much, of the least severe the oldest.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::append::AlertLog;
use super::chain::{self, Hash};
use super::entry::{Entry, Row};
use super::read::{COLUMNS, row};
use super::{LogError, of};

/// Alerts removed at a time: few, so that not more go than have to.
const STEP: usize = 64;
/// Hashes forgotten at a time, at most.
const FORGOTTEN: u64 = 4096;
/// Bytes that the hash of a removed alert takes in the file, about.
const HASH_BYTES: u64 = 44;

/// Of the alerts before ?1 the least severe, the oldest of them first. The index has both in order: of
/// a log that is full no more is read than what is removed.
pub(super) const LEAST_SEVERE: &str = "sequence < ?1 AND priority =
     (SELECT max(priority) FROM alerts INDEXED BY by_priority WHERE sequence < ?1)
     ORDER BY sequence LIMIT ?2";

/// Of the alerts before ?1 the oldest.
const OLDEST: &str = "sequence < ?1 ORDER BY sequence LIMIT ?2";

/// When alerts are removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Bytes that alerts may take in the file, about.
    pub bytes: u64,
    /// Age of the oldest alert, ns.
    pub age_ns: u64,
}

/// Which alerts may be removed for their age.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Aged {
    /// What time it is, ns since the epoch.
    pub now: u64,
    /// Number of the last alert that all outputs have, with all before.
    pub delivered: u64,
}

/// What a call of [`AlertLog::retain`] did.
#[derive(Debug)]
pub struct Retained {
    /// The alerts that it removed.
    pub removed: Vec<Entry>,
    /// Nothing is left to do.
    pub is_done: bool,
}

impl AlertLog {
    /// Removes what is too old by `aged`, if that is given, or too much; a bounded number of alerts a
    /// call. Call again until it is done. The newest alert always stays.
    ///
    /// # Errors
    ///
    /// The log cannot be written.
    pub fn retain(&mut self, aged: Option<Aged>) -> Result<Retained, LogError> {
        let retention = self.settings.retention;
        let (newest, known) = (self.newest(), self.hashes);
        let remove = |connection: &mut Connection| {
            let too_much = bytes(connection)? > retention.bytes;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut hashes = match known {
                Some(hashes) => hashes,
                None => {
                    transaction.query_row("SELECT count(*) FROM removed", (), |row| row.get(0))?
                }
            };
            let mut passed = forget(&transaction)?;
            let mut removed = Vec::new();
            if passed.hashes < FORGOTTEN {
                if let Some(Aged { now, delivered }) = aged {
                    let oldest = now.saturating_sub(retention.age_ns);
                    let below = newest.min(delivered.saturating_add(1));
                    removed = take_old(&transaction, oldest, below)?;
                }
                if removed.is_empty() && too_much {
                    // Hashes go with the oldest alert. There may be ever more of them behind one
                    // that is severe, until nothing else has room.
                    let which = if hashes * HASH_BYTES > retention.bytes / 4 {
                        OLDEST
                    } else {
                        LEAST_SEVERE
                    };
                    removed = take(&transaction, which, (newest, STEP))?;
                }
                hashes += removed.len() as u64;
                if !removed.is_empty() {
                    passed.add(&forget(&transaction)?);
                }
            }
            transaction.commit()?;
            hashes = hashes.saturating_sub(passed.hashes);
            Ok((removed, passed, hashes))
        };
        let (removed, passed, hashes) =
            remove(&mut self.connection).map_err(of(&self.settings.path))?;
        self.hashes = Some(hashes);
        let is_done = removed.is_empty() && passed.hashes < FORGOTTEN;
        if let Some((anchor, chain)) = passed.anchor {
            self.meta.anchor = anchor;
            self.meta.chain = chain;
        }
        let log = self.id();
        Ok(Retained {
            is_done,
            removed: removed.into_iter().map(|row| row.entry(log)).collect(),
        })
    }

    /// Whether it takes more than it may, as far as that can be told.
    pub fn is_over(&self) -> bool {
        self.bytes()
            .is_ok_and(|bytes| bytes > self.settings.retention.bytes)
    }

    /// Bytes that the log takes, without what was freed.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn bytes(&self) -> Result<u64, LogError> {
        bytes(&self.connection).map_err(of(&self.settings.path))
    }
}

fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let figure = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let pages = figure("page_count")?.saturating_sub(figure("freelist_count")?);
    Ok(pages * figure("page_size")?)
}

/// Removes alerts from before the time `oldest`, with numbers below `below`. Only the oldest by number
/// are looked at: they all could be a million.
fn take_old(transaction: &Transaction<'_>, oldest: u64, below: u64) -> rusqlite::Result<Vec<Row>> {
    let which = "time < ?1 AND sequence IN
         (SELECT sequence FROM alerts WHERE sequence < ?2 ORDER BY sequence LIMIT ?3)";
    take(transaction, which, (oldest, below, STEP))
}

/// Removes the alerts that `which` says, and keeps their hashes.
fn take(
    transaction: &Transaction<'_>,
    which: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Row>> {
    let mut select =
        transaction.prepare_cached(&format!("SELECT {COLUMNS} FROM alerts WHERE {which}"))?;
    let rows = select.query_map(parameters, row)?;
    let mut keep = transaction.prepare_cached("INSERT INTO removed VALUES (?1, ?2)")?;
    let mut remove = transaction.prepare_cached("DELETE FROM alerts WHERE sequence = ?1")?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    for row in &rows {
        keep.execute((row.sequence, chain::digest(row)))?;
        remove.execute([row.sequence])?;
    }
    Ok(rows)
}

/// What was forgotten.
#[derive(Default)]
struct Passed {
    hashes: u64,
    /// The number of the last of them, and the hash up to it.
    anchor: Option<(u64, Hash)>,
}

impl Passed {
    /// Adds what was forgotten after that.
    fn add(&mut self, later: &Self) {
        self.hashes += later.hashes;
        self.anchor = later.anchor.or(self.anchor);
    }
}

/// Forgets the hashes of removed alerts before which nothing is left, and notes the hash up to them.
fn forget(transaction: &Transaction<'_>) -> rusqlite::Result<Passed> {
    let oldest: Option<u64> =
        transaction.query_row("SELECT min(sequence) FROM alerts", (), |row| row.get(0))?;
    let mut select = transaction.prepare_cached(
        "SELECT sequence, digest FROM removed WHERE sequence < ?1 ORDER BY 1 LIMIT ?2",
    )?;
    let mut rows = select.query((oldest.unwrap_or(i64::MAX as u64), FORGOTTEN))?;
    let mut chain: Hash = transaction.query_row("SELECT chain FROM meta", (), |row| row.get(0))?;
    let mut passed = Passed::default();
    while let Some(row) = rows.next()? {
        chain = chain::after(&chain, &row.get(1)?);
        passed.hashes += 1;
        passed.anchor = Some((row.get(0)?, chain));
    }
    if let Some((anchor, chain)) = passed.anchor {
        transaction.execute("DELETE FROM removed WHERE sequence <= ?1", [anchor])?;
        transaction.execute("DELETE FROM gaps WHERE last <= ?1", [anchor])?;
        transaction.execute("UPDATE meta SET anchor = ?1, chain = ?2", (anchor, chain))?;
    }
    Ok(passed)
}

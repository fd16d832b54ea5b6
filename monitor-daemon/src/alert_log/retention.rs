//! What is removed: what is too old, and where there is too much, of the least severe the oldest.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::append::AlertLog;
use super::chain::{self, Hash};
use super::entry::{Entry, Row};
use super::read::{COLUMNS, row};
use super::{LogError, of};

/// Alerts removed at a time: few, so that not more go than have to.
const STEP: usize = 64;

/// Of the alerts before ?1 the least severe, the oldest of them first. The index has both in order: of
/// a log that is full no more is read than what is removed.
pub(super) const LEAST_SEVERE: &str = "sequence < ?1 AND priority =
     (SELECT max(priority) FROM alerts INDEXED BY by_priority WHERE sequence < ?1)
     ORDER BY sequence LIMIT ?2";

/// When alerts are removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Bytes that alerts may take in the file, about.
    pub bytes: u64,
    /// Age of the oldest alert, ns.
    pub age_ns: u64,
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
    /// Removes what is too old at `now`, ns since the epoch, or too much; a bounded number of alerts
    /// a call. Call again until it is done. The newest alert always stays.
    ///
    /// # Errors
    ///
    /// The log cannot be written.
    pub fn retain(&mut self, now: u64) -> Result<Retained, LogError> {
        let retention = self.settings.retention;
        let newest = self.newest();
        let remove = |connection: &mut Connection| {
            let oldest = now.saturating_sub(retention.age_ns);
            let too_much = bytes(connection)? > retention.bytes;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Only the oldest are looked at: they all could be a million.
            let mut removed = take(
                &transaction,
                "time < ?1 AND sequence IN
                 (SELECT sequence FROM alerts WHERE sequence < ?2 ORDER BY sequence LIMIT ?3)",
                (oldest, newest, STEP),
            )?;
            if removed.is_empty() && too_much {
                removed = take(&transaction, LEAST_SEVERE, (newest, STEP))?;
            }
            let anchor = advance(&transaction)?;
            transaction.commit()?;
            Ok((removed, anchor))
        };
        let (removed, anchor) = remove(&mut self.connection).map_err(of(&self.settings.path))?;
        if let Some((anchor, chain)) = anchor {
            self.meta.anchor = anchor;
            self.meta.chain = chain;
        }
        let log = self.id();
        Ok(Retained {
            is_done: removed.is_empty(),
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

/// Forgets the hashes of removed alerts before which nothing is left, and notes the hash up to them.
fn advance(transaction: &Transaction<'_>) -> rusqlite::Result<Option<(u64, Hash)>> {
    let oldest: Option<u64> =
        transaction.query_row("SELECT min(sequence) FROM alerts", (), |row| row.get(0))?;
    let mut select = transaction
        .prepare_cached("SELECT sequence, digest FROM removed WHERE sequence < ?1 ORDER BY 1")?;
    let mut rows = select.query([oldest.unwrap_or(i64::MAX as u64)])?;
    let mut chain: Hash = transaction.query_row("SELECT chain FROM meta", (), |row| row.get(0))?;
    let mut anchor = None;
    while let Some(row) = rows.next()? {
        chain = chain::after(&chain, &row.get(1)?);
        anchor = Some((row.get(0)?, chain));
    }
    if let Some((anchor, chain)) = anchor {
        transaction.execute("DELETE FROM removed WHERE sequence <= ?1", [anchor])?;
        transaction.execute("DELETE FROM gaps WHERE last <= ?1", [anchor])?;
        transaction.execute("UPDATE meta SET anchor = ?1, chain = ?2", (anchor, chain))?;
    }
    Ok(anchor)
}

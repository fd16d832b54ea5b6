//! Reading the log beside its writer.

use std::path::{Path, PathBuf};

use monitor_policy::Priority;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow};

use super::entry::{Entry, LogId, Row};
use super::{LogError, of, schema};

/// The columns of [`Row`], in the order in which [`row`] reads them.
pub(super) const COLUMNS: &str =
    "sequence, time, priority, rule, source, tags, hostname, output, fields";

/// An alert log, open for reading.
#[derive(Debug)]
pub struct Reader {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) log: LogId,
}

impl Reader {
    /// Opens the log at `path`.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let (connection, meta) = schema::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            log: meta.log,
        })
    }

    /// Whose numbers these are.
    pub fn id(&self) -> LogId {
        self.log
    }

    /// Number of the last alert of the damaged log in whose place this one is; 0 where it does not
    /// tell.
    pub fn begun(&self) -> u64 {
        // A log of an earlier version has no such table.
        schema::begun(&self.connection).unwrap_or_default()
    }

    /// The oldest `count` alerts with numbers from `from` to `below`, less that itself.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn range(&self, from: u64, below: u64, count: usize) -> Result<Vec<Entry>, LogError> {
        let query = format!(
            "SELECT {COLUMNS} FROM alerts WHERE sequence >= ?1 AND sequence < ?2
             ORDER BY sequence LIMIT ?3"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&query)?;
            let rows = statement.query_map((from, below, count), row)?;
            let entries = rows.map(|row| row.map(|row| row.entry(self.log)));
            entries.collect::<rusqlite::Result<Vec<Entry>>>()
        };
        read().map_err(of(&self.path))
    }

    /// How many numbers from `from` to `below`, less that itself, are of no alert that the log has:
    /// they were given to alerts that it never got, or these were removed.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn absent(&self, from: u64, below: u64) -> Result<u64, LogError> {
        if from >= below {
            return Ok(0);
        }
        let query = "SELECT
             (SELECT coalesce(sum(min(last, ?2 - 1) - max(first, ?1) + 1), 0) FROM gaps
              WHERE last >= ?1 AND first < ?2)
             + (SELECT count(*) FROM removed WHERE sequence >= ?1 AND sequence < ?2)";
        let count = self
            .connection
            .query_row(query, (from, below), |row| row.get(0));
        count.map_err(of(&self.path))
    }

    /// Ranges of numbers from `from` on that were given to no alert of the log.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn gaps(&self, from: u64) -> Result<Vec<(u64, u64)>, LogError> {
        let query = "SELECT first, last FROM gaps WHERE first >= ?1 ORDER BY first";
        let read = || {
            let mut statement = self.connection.prepare_cached(query)?;
            let rows = statement.query_map([from], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(of(&self.path))
    }

    /// Number of the newest alert; 0 when there is none.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn newest(&self) -> Result<u64, LogError> {
        let query = "SELECT coalesce(max(sequence), 0) FROM alerts";
        let read = || {
            let mut statement = self.connection.prepare_cached(query)?;
            statement.query_row((), |row| row.get(0))
        };
        read().map_err(of(&self.path))
    }

    /// Numbers of the newest `count` alerts that are as severe as `priority` or more, between
    /// `above` and `below` without these, the newest first.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn severe(
        &self,
        priority: Priority,
        above: u64,
        below: u64,
        count: usize,
    ) -> Result<Vec<u64>, LogError> {
        // Of each priority the index has them in order: nothing is read but what is given back.
        let query = "SELECT sequence FROM alerts
             WHERE priority = ?1 AND sequence > ?2 AND sequence < ?3
             ORDER BY sequence DESC LIMIT ?4";
        let read = || {
            let mut statement = self.connection.prepare_cached(query)?;
            let mut found = Vec::new();
            for level in 0..=priority as u8 {
                let rows = statement.query_map((level, above, below, count), |row| row.get(0))?;
                for sequence in rows {
                    found.push(sequence?);
                }
            }
            Ok(found)
        };
        let mut found: Vec<u64> = read().map_err(of(&self.path))?;
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(count);
        Ok(found)
    }

    /// The alert with this number, if it is kept.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn one(&self, sequence: u64) -> Result<Option<Entry>, LogError> {
        let query = format!("SELECT {COLUMNS} FROM alerts WHERE sequence = ?1");
        let read = || {
            let mut statement = self.connection.prepare_cached(&query)?;
            statement.query_row([sequence], row).optional()
        };
        let found = read().map_err(of(&self.path))?;
        Ok(found.map(|row| row.entry(self.log)))
    }
}

pub(super) fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        sequence: row.get(0)?,
        time: row.get(1)?,
        priority: row.get(2)?,
        rule: row.get(3)?,
        source: row.get(4)?,
        tags: row.get(5)?,
        hostname: row.get(6)?,
        output: row.get(7)?,
        fields: row.get(8)?,
    })
}

//! Reading the log beside its writer.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row as SqlRow};

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

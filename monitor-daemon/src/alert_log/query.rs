//! Which alerts `monitor-daemon alerts` shows.

use monitor_policy::Priority;
use rusqlite::{Row as SqlRow, ToSql};

use super::entry::Entry;
use super::read::{COLUMNS, Reader, row};
use super::{LogError, of};

/// Alerts for which all holds that is given.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Numbers from this one on.
    pub from: u64,
    /// Events from this time on, ns since the epoch.
    pub since: Option<u64>,
    /// Events before this time.
    pub until: Option<u64>,
    /// Part of the rule's name, in any case.
    pub rule: Option<String>,
    /// The container's name, or the beginning of its id.
    pub container: Option<String>,
    /// As severe as this, or more.
    pub priority: Option<Priority>,
    /// Part of the text, or of a field's value.
    pub text: Option<String>,
    /// Only the newest, at most so many.
    pub newest: Option<usize>,
}

/// Alerts read at a time.
const STEP: usize = 256;

impl Reader {
    /// Hands out the alerts that `query` means, oldest first, of those that are in the log now. The
    /// log is not read meanwhile, so that who takes his time does not keep it from being written.
    ///
    /// # Errors
    ///
    /// The log cannot be read; some alerts may have been handed out.
    pub fn find(&self, query: &Query, mut each: impl FnMut(Entry)) -> Result<(), LogError> {
        let (conditions, values) = conditions(query);
        // In the order of their numbers as they are in the file, and not sorted for each step.
        let which = format!(
            "FROM alerts NOT INDEXED WHERE {} AND sequence BETWEEN ? AND ?",
            conditions.join(" AND ")
        );
        let last = self.newest()?;
        let mut from = query.from;
        if let Some(newest) = query.newest {
            let select = format!(
                "SELECT min(sequence) FROM
                 (SELECT sequence {which} ORDER BY sequence DESC LIMIT {newest})"
            );
            let first = self.read(&select, &values, (from, last), |row| row.get(0))?;
            let Some(Some(first)) = first.first() else {
                return Ok(());
            };
            from = *first;
        }
        let select = format!("SELECT {COLUMNS} {which} ORDER BY sequence LIMIT {STEP}");
        loop {
            let rows = self.read(&select, &values, (from, last), row)?;
            let is_last = rows.len() < STEP;
            for row in rows {
                from = row.sequence + 1;
                each(row.entry(self.log));
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// All rows that `select` gives for `values`, and the numbers from and up to which.
    fn read<T>(
        &self,
        select: &str,
        values: &[Box<dyn ToSql>],
        (from, last): (u64, u64),
        row: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LogError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(select)?;
            let values = values.iter().map(AsRef::as_ref);
            let values = values.chain([&from as &dyn ToSql, &last]);
            let rows = statement.query_map(rusqlite::params_from_iter(values), row)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(of(&self.path))
    }
}

/// What holds for the alerts that `query` means, besides their numbers, and the values in it.
fn conditions(query: &Query) -> (Vec<&'static str>, Vec<Box<dyn ToSql>>) {
    let mut conditions = vec!["true"];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut add = |condition: &'static str, value: Box<dyn ToSql>| {
        conditions.push(condition);
        values.push(value);
    };
    if let Some(time) = query.since {
        add("time >= ?", Box::new(time));
    }
    if let Some(time) = query.until {
        add("time < ?", Box::new(time));
    }
    if let Some(rule) = &query.rule {
        add("instr(lower(rule), lower(?)) > 0", Box::new(rule.clone()));
    }
    if let Some(priority) = query.priority {
        add("priority <= ?", Box::new(priority as u8));
    }
    if let Some(text) = &query.text {
        add("instr(output || fields, ?) > 0", Box::new(text.clone()));
    }
    if let Some(container) = &query.container {
        let condition = "? IN (fields ->> '$.\"container.name\"', \
                 substr(fields ->> '$.\"container.id\"', 1, ?))";
        add(condition, Box::new(container.clone()));
        values.push(Box::new(container.chars().count()));
    }
    (conditions, values)
}

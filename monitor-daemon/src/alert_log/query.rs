//! Which alerts `monitor-daemon alerts` shows.

use monitor_policy::Priority;
use rusqlite::ToSql;

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

impl Reader {
    /// Hands out the alerts that `query` means, oldest first.
    ///
    /// # Errors
    ///
    /// The log cannot be read; some alerts may have been handed out.
    pub fn find(&self, query: &Query, mut each: impl FnMut(Entry)) -> Result<(), LogError> {
        let mut conditions = vec!["sequence >= ?".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(query.from)];
        let mut add = |condition: &str, value: Box<dyn ToSql>| {
            conditions.push(condition.to_owned());
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
        let conditions = conditions.join(" AND ");
        let mut select = format!("SELECT {COLUMNS} FROM alerts WHERE {conditions}");
        if let Some(newest) = query.newest {
            select = format!(
                "SELECT * FROM ({select} ORDER BY sequence DESC LIMIT {newest}) ORDER BY 1"
            );
        } else {
            select.push_str(" ORDER BY sequence");
        }
        let mut read = || {
            let mut statement = self.connection.prepare(&select)?;
            let rows = statement.query_map(rusqlite::params_from_iter(&values), row)?;
            for row in rows {
                each(row?.entry(self.log));
            }
            Ok(())
        };
        read().map_err(of(&self.path))
    }
}

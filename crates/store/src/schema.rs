//! What kind of database a file is, and how an older one becomes a present one.

use crate::{Result, StoreError};
use rusqlite::Connection;
use std::path::Path;

/// A kind of database.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// SQLite's `application_id`: not 0, different for each kind.
    pub kind: i32,
    /// The SQL that leads from each version to the next. Version n has the first n steps; a step that was
    /// released is never changed.
    pub steps: &'static [&'static str],
}

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// Refuses what is of another kind or newer. Changes nothing.
    pub(crate) fn check(&self, connection: &Connection, path: &Path) -> Result<()> {
        let found = user_version(connection)?;
        let kind: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let is_new = kind == 0 && found == 0 && tables == 0;
        if !is_new && kind != self.kind {
            return Err(StoreError::NotOurs { path: path.to_owned() });
        }
        if found > self.version() {
            return Err(StoreError::TooNew { path: path.to_owned(), found, known: self.version() });
        }
        Ok(())
    }

    /// Takes all missing steps in one transaction.
    pub(crate) fn migrate(&self, connection: &mut Connection) -> Result<()> {
        let found = user_version(connection)?;
        if found == self.version() {
            return Ok(());
        }
        let change = connection.transaction()?;
        for step in &self.steps[found as usize..] {
            change.execute_batch(step)?;
        }
        change.pragma_update(None, "application_id", self.kind)?;
        change.pragma_update(None, "user_version", self.version())?;
        change.commit()?;
        Ok(())
    }
}

fn user_version(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

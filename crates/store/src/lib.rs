//! Durable records, of two kinds: tables and journals.
//!
//! A [`Journal`] is for what comes thousands of times in a second and is read once, in order: see `journal/mod.rs`.
//!
//! A [`Store`] is one SQLite file with one writer and many readers. [`Store::open`] makes or migrates the file and starts its writer thread. Whoever wants to change something
//! hands over a closure and awaits its result; closures that wait at the same time share one transaction, so
//! that many small writers cost one sync (group commit). A closure that fails takes back its own changes and
//! no one else's. A result arrives only after its transaction is committed, with the [`Durability`] that the
//! file was opened with.
//!
//! Reads run on connections of their own (WAL: they neither wait for the writer nor hold it up) and see what
//! was committed when they began.
//!
//! Files are made with mode 0600. The schema version is SQLite's `user_version`, the kind of file its
//! `application_id`: a file of another kind or of a newer version is refused and left as it is.

mod error;
mod journal;
mod schema;
mod writer;

pub use error::{Result, StoreError};
pub use journal::{Ended, Journal, RECORD_MAX_BYTES, Reader};
pub use rusqlite;
pub use schema::Schema;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;
use writer::Writer;

/// Read connections that are kept for the next reader.
const IDLE_READERS_MAX: usize = 4;
/// How long a connection waits for a lock that another process holds, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 64;

/// What a committed change survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Power loss, once the result has arrived (`synchronous = FULL`): for work that was acknowledged.
    Full,
    /// A crash of the process; power loss may take back the latest commits, never a part of one
    /// (`synchronous = NORMAL`): for an index that can be rebuilt.
    Normal,
}

/// An open database. Dropping it lets the writer end what was submitted, then closes.
pub struct Store {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the database at `path`, making it or bringing it to the present schema. Blocks on the disk.
    pub fn open(path: &Path, schema: &Schema, durability: Durability) -> Result<Store> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema.check(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        schema.migrate(&mut connection)?;
        let writer = Writer::start(connection).map_err(io)?;
        Ok(Store { path: path.to_owned(), writer, readers: Mutex::default() })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes something: `job` runs on the writer thread inside a transaction that it may share with others.
    /// An error of `job` undoes its changes. Dropping the future does not stop the job.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        self.writer.submit(job, tell);
        told.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Reads something on a blocking thread of tokio.
    pub async fn read<T: Send + 'static>(
        self: &std::sync::Arc<Self>,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        let read = tokio::task::spawn_blocking(move || store.read_blocking(job));
        read.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Reads something on this thread.
    pub fn read_blocking<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.readers.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let result = job(&connection);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        Ok(result?)
    }
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

//! What can go wrong with a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store could not do something.
#[derive(Debug)]
pub enum StoreError {
    /// The file was written by a newer farshare.
    TooNew {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    /// The file is a database, but not of this kind.
    NotOurs {
        path: PathBuf,
    },
    Io {
        path: PathBuf,
        source: io::Error,
    },
    /// What is there is not what was written.
    Damaged {
        path: PathBuf,
        what: String,
    },
    /// SQLite's own error; shared by all whose changes were in a transaction that failed.
    Sqlite(Arc<rusqlite::Error>),
    /// The writer thread has ended.
    Stopped,
}

impl StoreError {
    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StoreError::Sqlite(e) => e.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            StoreError::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            StoreError::TooNew { .. }
            | StoreError::NotOurs { .. }
            | StoreError::Damaged { .. }
            | StoreError::Stopped => false,
        }
    }

    /// Whether the file is damaged: not a database, or one whose pages make no sense. Another kind or a newer
    /// version is no damage, nor is a disk that fails.
    pub fn is_damaged(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            StoreError::Sqlite(e) => matches!(e.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
            StoreError::Damaged { .. } => true,
            StoreError::Io { .. }
            | StoreError::TooNew { .. }
            | StoreError::NotOurs { .. }
            | StoreError::Stopped => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> StoreError {
        StoreError::Sqlite(Arc::new(e))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::TooNew { path, found, known } => write!(
                f,
                "{} has schema version {found}, this farshare knows {known}: run the newer farshare that \
                 wrote it, or move the file away",
                path.display()
            ),
            StoreError::NotOurs { path } => {
                write!(f, "{} is a database of another kind; it was left as it is", path.display())
            }
            StoreError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            StoreError::Damaged { path, what } => write!(f, "{}: {what}", path.display()),
            StoreError::Sqlite(e) => write!(f, "database: {e}"),
            StoreError::Stopped => f.write_str("the database writer has stopped"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Io { source, .. } => Some(source),
            StoreError::Sqlite(e) => Some(&**e),
            StoreError::TooNew { .. }
            | StoreError::NotOurs { .. }
            | StoreError::Damaged { .. }
            | StoreError::Stopped => None,
        }
    }
}

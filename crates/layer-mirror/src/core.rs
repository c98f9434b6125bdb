//! What the layer's volume and its files share.

use crate::log::Log;
use crate::names::Names;
use crate::opens::{OpenFile, Opens};
use crate::record::{Outcome, Record, Stamp};
use std::sync::Arc;
use store::StoreError;
use tokio::sync::RwLock;
use volume::{Error, ErrorKind, Result, Volume};

/// Content that is written down on a thread of the runtime, bytes; more than that on one that may wait.
const BRIEF_BYTES: usize = 64 * 1024;

pub struct Core {
    pub inner: Arc<dyn Volume>,
    pub log: Arc<Log>,
    pub names: Arc<Names>,
    pub opens: Arc<Opens>,
    /// Held together by all who change something, from before its record until it is settled.
    pub gate: Arc<RwLock<()>>,
}

impl Core {
    pub fn new(inner: Arc<dyn Volume>, log: Arc<Log>) -> Core {
        Core { inner, log, names: Arc::default(), opens: Arc::default(), gate: Arc::default() }
    }

    /// Writes down what is about to happen.
    pub async fn begin(&self, op: &'static str, record: Record) -> Result<u64> {
        let is_brief = record.data_len() <= BRIEF_BYTES;
        self.with_log(op, is_brief, move |log| log.begin(record)).await
    }

    /// Does `work` on this thread, if it is brief or the thread may wait, else on one that may.
    async fn with_log<T: Send + 'static>(
        &self,
        op: &'static str,
        is_brief: bool,
        work: impl FnOnce(&Log) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let done = match is_brief || volume::may_wait_here() {
            true => work(&self.log),
            false => {
                let log = self.log.clone();
                blocking(move || work(&log)).await
            }
        };
        done.map_err(|cause| refused(op, cause))
    }

    /// Writes down `record`, does `work` and writes down what came of it. The order of all that `record` is about is held.
    pub async fn recorded<T>(
        &self,
        op: &'static str,
        record: Record,
        work: impl Future<Output = Result<T>>,
        outcome: impl FnOnce(&T) -> Outcome,
    ) -> Result<T> {
        let _together = self.gate.read().await;
        let number = self.begin(op, record).await?;
        let done = work.await;
        self.log.settle(
            number,
            match &done {
                Ok(done) => outcome(done),
                Err(cause) => outcome_of_failure(cause.kind),
            },
        );
        done
    }

    /// Says that `file` is whole for now, if somebody has changed it. Its order is held.
    pub async fn cut(&self, op: &'static str, file: &Arc<OpenFile>, stamp: Option<Stamp>) -> Result<()> {
        self.cut_now(file, stamp).map_err(|cause| refused(op, cause))
    }

    /// The same without a runtime. What cannot be written down now is tried again with the next chores.
    pub fn cut_now(&self, file: &Arc<OpenFile>, stamp: Option<Stamp>) -> Result<(), StoreError> {
        if !file.take_changed() {
            return Ok(());
        }
        let Some(path) = file.path() else { return Ok(()) };
        self.log.begin(Record::Cut { path, stamp }).map(drop).inspect_err(|_| {
            file.note_changed();
            self.opens.keep(file.clone());
        })
    }

    /// Brings the log to the medium.
    pub async fn sync(&self, op: &'static str) -> Result<()> {
        self.with_log(op, false, Log::sync).await
    }
}

pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Stopped))
}

/// What is not there is no error.
pub fn if_there<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Without its record nothing is done.
fn refused(op: &'static str, cause: StoreError) -> Error {
    let kind = if cause.is_disk_full() { ErrorKind::NoSpace } else { ErrorKind::Io };
    Error::new(kind, op, "the log of changes for the mirrors").because(cause)
}

/// What may have happened though it failed.
fn outcome_of_failure(kind: ErrorKind) -> Outcome {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnly
        | ErrorKind::FileTooLarge
        | ErrorKind::NameTooLong
        | ErrorKind::InvalidName
        | ErrorKind::InvalidArgument
        | ErrorKind::Busy
        | ErrorKind::Stale
        | ErrorKind::Unsupported
        | ErrorKind::TooManyLinks
        | ErrorKind::Loop
        | ErrorKind::CrossDevice
        | ErrorKind::TooManyOpen => Outcome::Nothing,
        // A write may have been done in part.
        ErrorKind::NoSpace
        | ErrorKind::QuotaExceeded
        | ErrorKind::Offline
        | ErrorKind::TimedOut
        | ErrorKind::Corrupt
        | ErrorKind::Io => Outcome::Doubt,
    }
}

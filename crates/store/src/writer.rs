//! The writer thread: takes what waits, up to a limit, runs it in one transaction and answers after the
//! commit. Each job stands in a savepoint of its own, so that one that fails undoes only itself.

use crate::{Result, StoreError};
use rusqlite::Connection;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Jobs in one transaction.
const GROUP_MAX: usize = 1024;

/// Tells the caller of a job, once it is known whether the transaction was committed.
type Tell = Box<dyn FnOnce(Result<()>) + Send>;
/// Runs a job in its savepoint, or only says why it cannot run. The answer waits for the commit.
type Job = Box<dyn FnOnce(Result<&Connection>) -> Tell + Send>;

pub(crate) struct Writer {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> io::Result<Writer> {
        let (jobs, queue) = mpsc::channel();
        let thread =
            std::thread::Builder::new().name("store".into()).spawn(move || run(connection, &queue))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        tell: oneshot::Sender<Result<T>>,
    ) {
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|connection| in_savepoint(connection, job));
            Box::new(move |committed| {
                // A caller that is gone does not want to know.
                let _ = tell.send(committed.and(result));
            })
        });
        // When the thread has ended, `job` is dropped here and its caller sees the end of its channel.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a job of the database writer panicked");
        }
    }
}

fn run(connection: Connection, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let group = std::iter::once(first).chain(queue.try_iter().take(GROUP_MAX - 1));
        commit_group(&connection, group);
    }
}

fn commit_group(connection: &Connection, group: impl Iterator<Item = Job>) {
    if let Err(e) = connection.execute_batch("BEGIN IMMEDIATE") {
        tracing::warn!("database: cannot begin a transaction: {e}");
        let e = Arc::new(e);
        group.for_each(|job| job(Err(StoreError::Sqlite(e.clone())))(Ok(())));
        return;
    }
    let tells: Vec<Tell> = group.map(|job| job(Ok(connection))).collect();
    let committed = connection.execute_batch("COMMIT").map_err(Arc::new);
    if committed.is_err()
        && let Err(e) = connection.execute_batch("ROLLBACK")
    {
        // SQLite rolls back by itself after some errors; then there is nothing left to roll back.
        tracing::debug!("database: rollback after a failed commit: {e}");
    }
    for tell in tells {
        tell(committed.clone().map_err(StoreError::Sqlite));
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T> {
    connection.execute_batch("SAVEPOINT job")?;
    let result = job(connection);
    let end = match result {
        Ok(_) => "RELEASE job",
        Err(_) => "ROLLBACK TO job; RELEASE job",
    };
    connection.execute_batch(end)?;
    Ok(result?)
}

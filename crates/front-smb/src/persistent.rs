//! Persistent opens: durable ones that survive the end of the process (MS-SMB2 3.3.5.9.10, 3.3.5.9.12).
//!
//! An open of a share that is continuously available is written down before its client hears of it, and again when it
//! locks, is renamed, or its name is to go away; before the client hears of that. After a start what is written down is
//! opened again ([`restore`]) and kept, as if its client had just lost its connections (`kept`).
//!
//! What becomes of caching rights is not written down: much takes them away, and nobody could be answered before the
//! medium has it. So after a start a client is given none back: what it may have cached keeps others out until it is
//! there and has written back (`vfs::Open::take_up`).
//!
//! Names belong to the volume: who renames or deletes need not have come by the share whose opens are written down
//! ([`Beside`]).
//!
//! The columns, and what a crash may leave: `docs/formats/smb-opens.md`.

mod awaited;
mod present;
mod record;
mod restore;

use crate::open::FileOpen;
use crate::server::State;
pub(crate) use awaited::Restorations;
use present::{Numbered, Present, is_below};
pub(crate) use record::Record;
use record::{SCHEMA, encode_locks, encode_names, move_all, put_deletion, put_deletions, put_place};
use smb_wire::create::CreateOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::rusqlite::{Connection, params};
use store::{Durability as Survives, Store, StoreError};
use vfs::{Renamed, Vfs};
use volume::{FileId, VPath};

/// States of a lease that its client may have seen since they were written down, with room to spare.
const EPOCHS_UNSEEN: u16 = 4096;

/// Where persistent opens are written down.
#[derive(Clone)]
pub struct OpenRecords {
    store: Arc<Store>,
    /// What is there of them.
    present: Arc<Present>,
}

impl OpenRecords {
    /// Opens the database, or makes it. One that is damaged is moved aside: what was open is lost then.
    ///
    /// # Errors
    /// A disk that fails, a database of another kind or of a newer version.
    pub fn open(path: &Path) -> Result<OpenRecords, StoreError> {
        let opened = match Store::open(path, &SCHEMA, Survives::Full) {
            Err(error) if error.is_damaged() => {
                let aside = PathBuf::from(format!("{}.damaged", path.display()));
                tracing::error!(%error, aside = %aside.display(), "persistent opens are lost: their records are damaged");
                std::fs::rename(path, &aside)
                    .map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
                Store::open(path, &SCHEMA, Survives::Full)
            }
            opened => opened,
        }?;
        Ok(OpenRecords { store: Arc::new(opened), present: Arc::default() })
    }

    /// Writes an open down. Returns when it survives.
    pub(crate) async fn put(
        &self,
        mut record: Record,
        file: &Arc<FileOpen>,
        vfs: Vfs,
    ) -> Result<(), StoreError> {
        let (id, open) = (record.id, Arc::clone(&file.vfs));
        self.present.add(id, file);
        let job = move |db: &Connection| {
            // Asked here, between two other writes: whoever renames, deletes or closes it meanwhile writes later.
            match record.is_still(&open, &vfs) {
                true => record.insert(db),
                false => Ok(()),
            }
        };
        let written = self.store.write(job).await;
        if written.is_err() || file.vfs.is_closed() {
            self.present.remove(id, file);
        }
        written
    }

    /// The locks of an open are others now, and so are the requests that have made them: as they are when it is their
    /// turn, so the last to be written are the last that were.
    pub(crate) async fn put_locks(&self, id: u64, file: &Arc<FileOpen>) -> Result<(), StoreError> {
        let (id, file) = (id as i64, Arc::clone(file));
        let sql = "UPDATE open SET locks = ?2, lock_sequences = ?3 WHERE id = ?1";
        let job = move |db: &Connection| {
            // In this order: who is taken for done has his locks.
            let names = encode_names(&file.lock_replays.all_made());
            let locks = encode_locks(&file.vfs.locks());
            db.prepare_cached(sql)?.execute(params![id, locks, names]).map(drop)
        };
        self.store.write(job).await
    }

    /// Its client wants an open to be kept for so long.
    pub(crate) async fn put_timeout(&self, id: u64, timeout: Duration) -> Result<(), StoreError> {
        let (id, timeout_ms) = (id as i64, timeout.as_millis() as i64);
        let sql = "UPDATE open SET timeout_ms = ?2 WHERE id = ?1";
        let job = move |db: &Connection| db.prepare_cached(sql)?.execute([id, timeout_ms]).map(drop);
        self.store.write(job).await
    }

    /// An open is no more. Nobody waits: a row too many is an open that ends when its time is up.
    pub(crate) fn forget(&self, id: u64, file: &FileOpen) {
        self.present.remove(id, file);
        let records = self.clone();
        tokio::spawn(async move { records.remove(id).await });
    }

    async fn remove(&self, id: u64) {
        let sql = "DELETE FROM open WHERE id = ?1";
        let removed =
            self.store.write(move |db| db.prepare_cached(sql)?.execute([id as i64]).map(drop)).await;
        if let Err(error) = removed {
            tracing::warn!(open = id, %error, "forgetting a persistent open");
        }
    }

    /// What was open in a share when the process ended. The epochs of leases are such that their clients have not seen.
    /// Damaged records are forgotten.
    async fn former(&self, share: &str) -> Result<Vec<Record>, StoreError> {
        let share = share.to_lowercase();
        let job = move |db: &Connection| {
            // Both or nothing: it may be tried again.
            let sql = "UPDATE open SET epoch = (epoch + ?2) & 65535 WHERE share = ?1 AND epoch IS NOT NULL";
            db.execute(sql, params![share, EPOCHS_UNSEEN])?;
            let (whole, damaged) = Record::of_share(db, &share)?;
            let mut forget = db.prepare("DELETE FROM open WHERE id = ?1")?;
            damaged.iter().try_for_each(|id| forget.execute([id]).map(drop))?;
            Ok(whole)
        };
        self.store.write(job).await
    }

    async fn of_share(&self, share: &str) -> Result<Vec<Record>, StoreError> {
        let share = share.to_lowercase();
        let read = self.store.read(move |db| Record::of_share(db, &share)).await;
        read.map(|(whole, _)| whole)
    }

    /// Where the file of an open is by now.
    async fn path(&self, id: u64) -> Result<Option<VPath>, StoreError> {
        self.store.read(move |db| Record::path(db, id)).await
    }

    /// Forgets what was open in a share.
    async fn clear(&self, share: &str) -> Result<(), StoreError> {
        let share = share.to_lowercase();
        let sql = "DELETE FROM open WHERE share = ?1";
        self.store.write(move |db| db.execute(sql, [share]).map(drop)).await
    }

    /// Forgets what was open in all shares but these, by their lower-case names; how many opens that were.
    async fn clear_others(&self, shares: Vec<String>) -> Result<usize, StoreError> {
        let job = move |db: &Connection| {
            let mut select = db.prepare("SELECT DISTINCT share FROM open")?;
            let all = select.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
            let others = all.into_iter().filter(|share| !shares.contains(share));
            let mut delete = db.prepare("DELETE FROM open WHERE share = ?1")?;
            others.map(|share| delete.execute([share])).sum()
        };
        self.store.write(job).await
    }
}

/// What is written down of opens over one volume. By which shares they came, and what became of those since, is no
/// matter.
struct Beside {
    records: OpenRecords,
    vfs: Vfs,
    /// Shares some of whose opens are not back yet after a start: what is written down of them may be of anything.
    awaited: Vec<String>,
}

impl Beside {
    /// Over the volume of `open`; `None` where nothing is written down.
    fn of(state: &State, open: &vfs::Open) -> Option<Beside> {
        let records = state.config.records.clone()?;
        // Before anybody looks what is there: what comes back meanwhile is found there then.
        let awaited = state.restorations.awaited_over(open);
        Some(Beside { records, vfs: Vfs::of(open), awaited })
    }

    /// What stood at `from` and below it stands at `to`: `moved`, which are where they are when it is their turn, and what
    /// is not back yet.
    async fn renamed(
        self,
        from: VPath,
        to: VPath,
        moved: Vec<Numbered<Arc<FileOpen>>>,
    ) -> Result<(), StoreError> {
        let Beside { records, vfs, awaited } = self;
        let job = move |db: &Connection| {
            awaited.iter().try_for_each(|share| move_all(db, share, |at| vfs.rebase(at, &from, &to)))?;
            moved.iter().try_for_each(|(id, file)| put_place(db, *id, &file.vfs))
        };
        records.store.write(job).await
    }

    /// Names of a file are to go away with their last open, or not any more: those of opens that are `there`, and of what
    /// is not back yet. What is so is asked between two other writes: of two who change it at once, the later is written
    /// down last.
    async fn deleted(self, file: FileId, there: Vec<Numbered<Arc<FileOpen>>>) -> Result<(), StoreError> {
        let Beside { records, vfs, awaited } = self;
        let job = move |db: &Connection| {
            awaited.iter().try_for_each(|share| put_deletions(db, share, &vfs, file))?;
            there.iter().try_for_each(|(id, _)| put_deletion(db, *id, &vfs, file))
        };
        records.store.write(job).await
    }
}

/// The file or directory of an open was at `from`, and is elsewhere: persistent opens of it and below it follow.
pub(crate) async fn renamed(
    state: &State,
    open: &vfs::Open,
    Renamed { from, to }: Renamed,
) -> Result<(), StoreError> {
    let Some(beside) = Beside::of(state, open) else { return Ok(()) };
    let present = &beside.records.present;
    let follow = match open.is_dir() {
        true => present.below(&beside.vfs, &to),
        false => present.of(&beside.vfs, open.file_id()),
    };
    if follow.is_empty() && beside.awaited.is_empty() {
        return Ok(());
    }
    // Other names of the file have stayed.
    let moved = follow.into_iter().filter(|(_, file)| is_below(file, &to)).collect();
    beside.renamed(from, to, moved).await
}

/// The name of an open's file is to go away with its last open, or not any more: so it is with persistent ones.
pub(crate) async fn deleted(state: &State, open: &vfs::Open) -> Result<(), StoreError> {
    let Some(beside) = Beside::of(state, open) else { return Ok(()) };
    let file = open.file_id();
    let there = beside.records.present.of(&beside.vfs, file);
    if there.is_empty() && beside.awaited.is_empty() {
        return Ok(());
    }
    beside.deleted(file, there).await
}

/// A client has closed an open, and is about to hear of it.
pub(crate) async fn closed(state: &State, id: u64, file: &FileOpen) {
    if let Some(records) = state.config.records.as_ref().filter(|_| file.is_persistent()) {
        records.forget(id, file);
    }
    taken_along(state, file).await;
}

/// A client has left without closing an open. It will not come for it: nothing must come back.
pub(crate) async fn left(state: &State, id: u64, file: &FileOpen) {
    if let Some(records) = state.config.records.as_ref().filter(|_| file.is_persistent()) {
        records.present.remove(id, file);
        records.remove(id).await;
    }
    taken_along(state, file).await;
}

/// What was to go with an open that is closed goes with the last of the others.
async fn taken_along(state: &State, file: &FileOpen) {
    if file.mode().contains(CreateOptions::DELETE_ON_CLOSE)
        && let Err(error) = deleted(state, &file.vfs).await
    {
        tracing::error!(%error, "a deletion cannot be written down for persistent opens");
    }
}

#[cfg(test)]
mod tests;

//! Writing down in the index what became of contents, from time to time.
//!
//! A write that fails (a full disk) changes nothing: what it was about is kept and written with the next one.

use super::index::{self, Update};
use super::map::BlockMap;
use super::{Blocks, Content, disk, failed};
use crate::INDEX_EVERY;
use std::path::Path;
use std::sync::Arc;
use volume::Result;

impl Blocks {
    /// Writes to the index what changed, then forgets what is not needed in memory.
    pub(crate) async fn write_index(&self) -> Result<()> {
        let _turn = self.index_turn.lock().await;
        let changed: Vec<Arc<Content>> = std::mem::take(&mut *self.changed.lock()).into_values().collect();
        if changed.is_empty() {
            return Ok(());
        }
        let updates: Arc<Vec<Update>> = Arc::new(changed.iter().map(|content| content.update()).collect());
        let job = updates.clone();
        let written = self.index.write(move |db| index::update(db, &job)).await;
        if let Err(e) = &written {
            self.health.failed("writing the index", e);
            self.write_again(&changed, &updates);
        }
        // Data without a claim, or the other way round, is harmless, and on a full disk this makes room.
        let gone: Vec<u64> =
            changed.iter().filter(|c| c.state.lock().retired).map(|content| content.number).collect();
        for content in &changed {
            content.state.lock().unload();
        }
        let root = self.root.clone();
        let remove = move || gone.iter().for_each(|number| remove_data(&root, *number));
        tokio::task::spawn_blocking(remove).await.map_err(failed)?;
        written.map_err(failed)
    }

    /// What was not written is still to be written. A row that has to go counts like one that changed: it
    /// would bring back a block that was dropped.
    fn write_again(&self, contents: &[Arc<Content>], updates: &[Update]) {
        for (content, update) in contents.iter().zip(updates) {
            let mut state = content.state.lock();
            if let (Update::Changed { rows, .. }, Some(map)) = (update, &mut state.map) {
                map.mark_dirty(rows);
            }
        }
        self.changed.lock().extend(contents.iter().map(|content| (content.number, content.clone())));
    }

    /// Writes the index from time to time; for a task of its own.
    pub(crate) async fn keep_index(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INDEX_EVERY).await;
            if let Err(e) = self.write_index().await {
                // `health` said so aloud, once.
                tracing::debug!("{e}; tried again in {INDEX_EVERY:?}");
            }
        }
    }
}

impl Content {
    /// What the index should know. A content whose own changes are not settled is of no known version: it is
    /// not to be found after a crash.
    fn update(&self) -> Update {
        let mut state = self.state.lock();
        if state.retired || state.own.as_ref().is_some_and(|own| !own.is_settled()) {
            if let Some(map) = &mut state.map {
                map.mark_all_dirty();
            }
            return Update::Gone { number: self.number };
        }
        let rows = state.map.as_mut().map(BlockMap::take_dirty).unwrap_or_default();
        let record = index::Record {
            number: self.number,
            id: self.id,
            version: state.version,
            size: state.size,
            path: self.place.path(),
            used: state.used,
            bytes: state.bytes,
        };
        Update::Changed { record, rows }
    }
}

fn remove_data(root: &Path, number: u64) {
    match std::fs::remove_file(disk::data_path(root, number)) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => tracing::warn!(number, "removing a data file: {e}; the next start does it"),
    }
}

//! The file at the origin behind its contents: opened when the first block is missing, in the same round trip.
//!
//! All handles of a file share one source; it goes when the last of them lets go, which closes a file that
//! was only read without a word. A handle that was opened for writing brings its own.

use super::content::Content;
use super::table::Place;
use crate::origin::Origin;
use bytes::Bytes;
use std::sync::Arc;
use volume::{Attr, Cx, Error, ErrorKind, File, OpenHow, Opened, Result};

pub(crate) struct Source {
    origin: Arc<Origin>,
    file: tokio::sync::Mutex<Option<Arc<dyn File>>>,
    /// The file belongs to a handle.
    borrowed: bool,
}

impl Source {
    pub(crate) fn new(origin: Arc<Origin>) -> Source {
        Source { origin, file: tokio::sync::Mutex::new(None), borrowed: false }
    }

    /// A file that a handle opened and will close.
    pub(crate) fn of(origin: Arc<Origin>, file: Arc<dyn File>) -> Source {
        Source { origin, file: tokio::sync::Mutex::new(Some(file)), borrowed: true }
    }

    /// Reads from the origin, opening the file first if need be. `Stale` when it has another version than
    /// `content` by now.
    pub(crate) async fn read(&self, cx: &Cx, content: &Content, offset: u64, length: u32) -> Result<Bytes> {
        let mut slot = self.file.lock().await;
        let file = match &*slot {
            Some(file) => file.clone(),
            None => {
                let Opened { file, first, attr, .. } =
                    self.open(cx, &content.place, Some((offset, length))).await?;
                let state = content.state.lock();
                if attr.version != state.version && state.own.is_none() {
                    let story = format_args!("{} changed at the origin", content.place.path());
                    return Err(Error::new(ErrorKind::Stale, "read", story));
                }
                drop(state);
                *slot = Some(file.clone());
                if let Some(first) = first {
                    return Ok(first);
                }
                file
            }
        };
        drop(slot);
        let read = self.origin.transfer(file.read_at(cx, offset, length)).await;
        if read.is_err() && !self.borrowed {
            let mut slot = self.file.lock().await;
            // The handle may be what is broken: the next try opens again.
            if slot.as_ref().is_some_and(|present| Arc::ptr_eq(present, &file)) {
                *slot = None;
            }
        }
        read
    }

    /// Opens the file at the origin, so that it stays readable when its name goes; what it is then, in whatever version.
    pub(crate) async fn hold(&self, cx: &Cx, place: &Place) -> Result<Option<Attr>> {
        let mut slot = self.file.lock().await;
        if slot.is_some() {
            return Ok(None);
        }
        let Opened { file, attr, .. } = self.open(cx, place, None).await?;
        *slot = Some(file);
        Ok(Some(attr))
    }

    /// The open file, if it is open.
    pub(crate) async fn opened(&self) -> Option<Arc<dyn File>> {
        self.file.lock().await.clone()
    }

    async fn open(&self, cx: &Cx, place: &Place, first: Option<(u64, u32)>) -> Result<Opened> {
        let path = place.path();
        let how = OpenHow { expect: Some(place.id), first, ..OpenHow::read() };
        self.origin.transfer(self.origin.inner().open(cx, &path, how)).await
    }
}

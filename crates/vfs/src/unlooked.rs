//! Entries of a listing at which the volume may not have looked: what is mounted at the origin and does not answer.
//!
//! A volume that does not look says of such an entry that it may carry everything. Whoever then asks what it carries may
//! wait as long as he likes. So he waits a moment, and after the first that did not answer no other of the kind is asked
//! in the same answer: the names beside it are what the client wants. What does not answer carries nothing, and gives no
//! rights where they are to be judged.

use crate::{Error, Result};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use volume::{Attr, Carries, Cx, ErrorKind};

/// How long an answer to a listing waits for what one such entry carries.
pub(crate) const UNLOOKED_PATIENCE: Duration = Duration::from_secs(1);

/// What one answer knows of them.
#[derive(Debug, Default)]
pub(crate) struct Unlooked {
    one_is_silent: AtomicBool,
}

impl Unlooked {
    /// Asks for something about an entry with these attributes; `None`: it does not answer, or others did not.
    pub(crate) async fn ask<T, F: Future<Output = Result<T>>>(
        &self,
        cx: &Cx,
        attr: &Attr,
        ask: impl FnOnce(Cx) -> F,
    ) -> Result<Option<T>> {
        if attr.carries != Carries::all() {
            return ask(cx.clone()).await.map(Some);
        }
        if self.one_is_silent.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let deadline = cx.deadline.min(Instant::now() + UNLOOKED_PATIENCE);
        match ask(Cx { deadline, ..cx.clone() }).await {
            Err(Error::Volume(error)) if is_silence(error.kind) => {
                self.one_is_silent.store(true, Ordering::Relaxed);
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::TimedOut | ErrorKind::Offline)
}

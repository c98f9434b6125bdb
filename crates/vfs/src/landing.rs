//! Changes of a file on their way to the volume.
//!
//! Who asked for a change may be gone before the volume has made it, and the change goes on: a system call or a
//! request to a far origin is not taken back. So it is carried to its end (`carry`), and counted by its open until
//! then. The open keeps its locks and its share mode as long ([`crate::close::end`]): a change of a client that is
//! gone never lands on what a later one wrote.

use crate::core::Core;
use crate::open::OpenKey;
use crate::own_writes::{OwnWrite, look_if_kept_back};
use crate::registry::Node;
use crate::write_time::Keeping;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use volume::Attr;

/// How many changes of one open are on their way.
#[derive(Debug, Default)]
pub(crate) struct Landings {
    count: AtomicUsize,
    landed: Notify,
}

impl Landings {
    pub(crate) fn has_landed(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Returns when none is on its way. Meant for an open that begins none any more.
    pub(crate) async fn all_landed(&self) {
        loop {
            let mut landed = std::pin::pin!(self.landed.notified());
            landed.as_mut().enable();
            if self.has_landed() {
                return;
            }
            landed.await;
        }
    }
}

/// A change on its way; moves into the work that is carried.
pub(crate) struct Landing {
    core: Arc<Core>,
    node: Arc<Node>,
    key: OpenKey,
    /// Where content changes.
    writing: Option<OwnWrite>,
    counted: Arc<Landings>,
    keeping: Arc<Keeping>,
}

impl Landing {
    /// Where content changes, reading caches are taken away, now and again when the guard goes: one that was
    /// filled meanwhile may hold what was there before.
    pub(crate) fn begin(
        core: &Arc<Core>,
        node: &Arc<Node>,
        key: OpenKey,
        writing: Option<OwnWrite>,
        landings: &Arc<Landings>,
        keeping: &Arc<Keeping>,
    ) -> Landing {
        landings.count.fetch_add(1, Ordering::SeqCst);
        let (core, node) = (core.clone(), node.clone());
        if writing.is_some() {
            core.content_changes(&node, key.file, key.id);
            keeping.writes();
        }
        Landing { core, node, key, writing, counted: landings.clone(), keeping: keeping.clone() }
    }

    /// What the volume has answered to it.
    pub(crate) fn has_led_to(&mut self, attr: &Attr) {
        if let Some(writing) = &mut self.writing {
            writing.has_led_to(attr);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            drop(writing);
            self.keeping.writes();
            self.core.content_changes(&self.node, self.key.file, self.key.id);
            look_if_kept_back(&self.core, &self.node);
        }
        if self.counted.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.counted.landed.notify_waiters();
        }
    }
}

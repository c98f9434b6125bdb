//! Changes of content of ours on their way, and the look at what they have led to.
//!
//! A write answers no attributes, so the states that it leads to are not known when their notices come
//! ([`crate::content`]). A look is a question to the origin. It is asked when writing has ended, if somebody keeps writes
//! back (who is not to lose that by the echo of his own), else when the first notice comes, unless something else has
//! told the state by then; one at a time for a file. Where the origin tells who made a change nobody looks, but when it
//! cannot tell it of one after all.

use crate::Carry;
use crate::content::Look;
use crate::core::Core;
use crate::registry::Node;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use volume::{Attr, Cx, Fresh, Priority};

/// A change of content on its way; moves into the work that is carried.
pub(crate) struct OwnWrite {
    node: Arc<Node>,
    began: Instant,
    led_to: Option<Attr>,
}

impl OwnWrite {
    /// Through `file`, where it is open.
    pub(crate) fn begin(node: &Arc<Node>, file: Option<&Arc<dyn volume::File>>) -> OwnWrite {
        let began = Instant::now();
        node.content.lock().begin(file.map(Arc::downgrade), began);
        OwnWrite { node: node.clone(), began, led_to: None }
    }

    /// What the volume has answered to it.
    pub(crate) fn has_led_to(&mut self, attr: &Attr) {
        self.led_to = Some(*attr);
    }
}

impl Drop for OwnWrite {
    fn drop(&mut self) {
        self.node.content.lock().end(self.began, self.led_to.as_ref(), Instant::now());
    }
}

/// Our change has ended. Where somebody keeps writes back it is looked at now.
pub(crate) fn look_if_kept_back(core: &Core, node: &Arc<Node>) {
    if !core.knows_authors() && node.kept_back.load(Ordering::Acquire) {
        look_later(node);
    }
}

/// Looks at the state after our changes, in the background.
pub(crate) fn look_later(node: &Arc<Node>) {
    let first = node.content.lock().begin_look();
    if let Some(first) = first {
        drop(Carry::new(look(node.clone(), first)));
    }
}

async fn look(node: Arc<Node>, first: Look) {
    let mut next = Some(first);
    while let Some(Look(file)) = next {
        let asked = Instant::now();
        let seen = match &file {
            Some(file) => attr(&**file).await,
            None => None,
        };
        let mut content = node.content.lock();
        content.end_look(asked, seen.as_ref(), Instant::now());
        next = content.begin_look();
    }
}

async fn attr(file: &dyn volume::File) -> Option<Attr> {
    match file.attr(&Cx::system(Priority::Background), Fresh::Now).await {
        Ok(attr) => Some(attr),
        Err(error) => {
            tracing::debug!(%error, "looking at a file after writing");
            None
        }
    }
}

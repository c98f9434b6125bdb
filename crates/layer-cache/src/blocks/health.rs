//! Whether the cache disk works. When it is full or fails, content passes through without being stored; after
//! [`crate::DEGRADED_RETRY`] it is tried again.

use crate::DEGRADED_RETRY;
use parking_lot::Mutex;
use std::fmt::Display;
use std::time::Instant;

#[derive(Default)]
pub(crate) struct Health(Mutex<Option<Trouble>>);

struct Trouble {
    reason: String,
    retry_at: Instant,
}

impl Health {
    /// The disk failed; said once until it works again.
    pub(crate) fn failed(&self, what: &str, e: &dyn Display) {
        let mut trouble = self.0.lock();
        let reason = format!("{what}: {e}");
        if trouble.is_none() {
            tracing::error!("the cache disk fails, content passes through without being cached: {reason}");
        }
        *trouble = Some(Trouble { reason, retry_at: Instant::now() + DEGRADED_RETRY });
    }

    /// Something was stored. What was under way when the disk failed proves nothing.
    pub(crate) fn works(&self) {
        let over = |trouble: &mut Trouble| Instant::now() >= trouble.retry_at;
        if self.0.lock().take_if(over).is_some() {
            tracing::info!("the cache disk works again");
        }
    }

    /// Whether to leave the disk alone now.
    pub(crate) fn is_degraded(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|trouble| Instant::now() < trouble.retry_at)
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.0.lock().as_ref().map(|trouble| trouble.reason.clone())
    }
}

//! How long what passes between a volume and its user is on its way: each time another while.

use crate::rng::Rng;
use parking_lot::Mutex;
use std::time::Duration;

/// No time at all, until it is begun.
#[derive(Default)]
pub(super) struct Jitter(Mutex<Option<Ordered>>);

struct Ordered {
    rng: Rng,
    calls: Duration,
    notices: Duration,
}

impl Jitter {
    pub(super) fn begin(&self, seed: u64, calls: Duration, notices: Duration) {
        *self.0.lock() = Some(Ordered { rng: Rng::new(seed), calls, notices });
    }

    pub(super) async fn linger_call(&self) {
        self.linger(|ordered| ordered.calls).await;
    }

    /// Whether there was any delay.
    pub(super) async fn linger_notices(&self) -> bool {
        self.linger(|ordered| ordered.notices).await
    }

    async fn linger(&self, most: impl FnOnce(&Ordered) -> Duration) -> bool {
        let time = self.0.lock().as_mut().map(|ordered| {
            let most = most(ordered).as_micros() as u64;
            Duration::from_micros(ordered.rng.below(most + 1))
        });
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => return false,
        }
        true
    }
}

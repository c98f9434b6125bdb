//! Long work that waits for nothing: it gives way from time to time, so that no request, however costly, keeps the others
//! on its thread waiting.

use crate::limits;

/// What is left until the next time.
pub(crate) struct Pace(usize);

impl Pace {
    pub(crate) fn new() -> Pace {
        Pace(limits::STEPS_AT_ONCE)
    }

    /// Lets others have their turn first, where so many steps more are too many.
    pub(crate) async fn take(&mut self, steps: usize) {
        if !self.has(steps) {
            self.rest().await;
        }
    }

    /// Whether so many steps more may be done before others have their turn.
    pub(crate) fn has(&mut self, steps: usize) -> bool {
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    /// Lets others have their turn.
    pub(crate) async fn rest(&mut self) {
        tokio::task::yield_now().await;
        *self = Pace::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn others_have_their_turn_after_so_much() {
        const ALL: usize = limits::STEPS_AT_ONCE;
        let mut pace = Pace::new();
        for (steps, at_once) in [(1, true), (ALL - 1, true), (1, false), (ALL, true), (ALL + 1, false)] {
            let mut taken = Box::pin(pace.take(steps));
            assert_eq!(taken.as_mut().now_or_never().is_some(), at_once, "{steps}");
            assert!(at_once || taken.now_or_never().is_some());
        }
    }
}

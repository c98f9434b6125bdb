//! Work that ends even when its caller goes away.
//!
//! Between a change at the volume and the note that somebody above takes of it nothing may be lost, so `vfs` carries
//! closing, removing and renaming, and a layer what it keeps books of: when the future is dropped half-way, the rest of
//! it goes on as a task. A front end does the same with what it notes of a change.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that runs to its end, whether or not it is awaited so long.
pub struct Carry<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Carry<T> {
    pub fn new(work: impl Future<Output = T> + Send + 'static) -> Carry<T> {
        Carry(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for Carry<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let work = self.0.as_mut().expect("polled after its end");
        let answer = work.as_mut().poll(cx);
        if answer.is_ready() {
            self.0 = None;
        }
        answer
    }
}

impl<T: Send + 'static> Drop for Carry<T> {
    fn drop(&mut self) {
        let Some(work) = self.0.take() else { return };
        // Without a runtime the process ends, and all work with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn dropped_half_way_it_still_ends() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut carry = Box::pin(Carry::new(async move {
            wait.await.unwrap();
            done.send(7).unwrap();
        }));
        assert!(carry.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(carry);
        go.send(()).unwrap();
        assert_eq!(ended.await.unwrap(), 7);
    }
}

//! A bounded number of blocking calls at a time.
//!
//! The hand-over to tokio's blocking threads costs about 13 us of CPU; what runs there may wait for a disk
//! as long as it takes. The bound keeps one slow disk from taking all threads of the process. A caller that
//! stops waiting, or whose deadline passes, leaves its call running; it holds its permit until it is done.
//!
//! What is mounted below the root may not answer at all (a network share whose server is gone, a FUSE daemon that hangs).
//! All that may wait for such have [`MOUNTED_CALLS_MAX`] of the threads together; so the others are left for the rest.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use volume::{Cx, Error, ErrorKind, Result};

/// Blocking calls at a time, for each volume; more wait for their turn until their deadline.
pub const BLOCKING_CALLS_MAX: usize = 64;

/// Calls among them at a time that touch what is mounted below the root; more wait for their turn until their deadline.
pub const MOUNTED_CALLS_MAX: usize = BLOCKING_CALLS_MAX / 4;

/// Where that lies which a call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lies {
    /// In the root's own mount, on a file system that answers.
    Here,
    /// In what is mounted below the root, or in a root that may not answer itself.
    Beyond,
}

pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
}

/// What a call at work holds. Nobody closes the semaphores, so that it has both.
struct Permit {
    _thread: Option<OwnedSemaphorePermit>,
    _beyond: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Of a root that may not answer itself there is nothing else to keep threads for.
    pub(crate) fn new(root_answers: bool) -> Pool {
        let beyond = if root_answers { MOUNTED_CALLS_MAX } else { BLOCKING_CALLS_MAX };
        let permits = |number| Arc::new(Semaphore::new(number));
        Pool { permits: permits(BLOCKING_CALLS_MAX), beyond: permits(beyond) }
    }

    fn permit(&self, lies: Lies) -> impl Future<Output = Permit> + Send + use<> {
        let permits = self.permits.clone();
        let beyond = (lies == Lies::Beyond).then(|| self.beyond.clone());
        async move {
            // First this, so that nobody holds a thread while he waits for the other.
            let beyond = match beyond {
                Some(beyond) => beyond.acquire_owned().await.ok(),
                None => None,
            };
            Permit { _thread: permits.acquire_owned().await.ok(), _beyond: beyond }
        }
    }

    fn permit_now(&self, lies: Lies) -> Option<Permit> {
        let beyond = match lies {
            Lies::Here => None,
            Lies::Beyond => Some(self.beyond.clone().try_acquire_owned().ok()?),
        };
        Some(Permit { _thread: Some(self.permits.clone().try_acquire_owned().ok()?), _beyond: beyond })
    }

    /// Has `work` done on a blocking thread, whoever waits for it.
    pub(crate) fn start(&self, lies: Lies, work: impl FnOnce() + Send + 'static) {
        let begin = |permit| {
            tokio::task::spawn_blocking(move || {
                work();
                drop(permit);
            });
        };
        match self.permit_now(lies) {
            Some(permit) => begin(permit),
            None => {
                let permit = self.permit(lies);
                drop(tokio::spawn(async move { begin(permit.await) }));
            }
        }
    }

    /// Runs `work` on a blocking thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        cx: &Cx,
        op: &'static str,
        lies: Lies,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let permit = self.permit(lies);
        let called = async {
            let permit = permit.await;
            let task = tokio::task::spawn_blocking(move || {
                let result = work();
                drop(permit);
                result
            });
            task.await
        };
        match timeout_at(Instant::from_std(cx.deadline), called).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(failure)) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(failure) => Err(Error::new(ErrorKind::Io, op, "the runtime shuts down").because(failure)),
            },
            Err(_) => Err(Error::new(ErrorKind::TimedOut, op, "a blocking call")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalConfig, LocalVolume};
    use bytes::Bytes;
    use std::path::Path;
    use std::pin::pin;
    use std::process::Command;
    use std::task::Poll;
    use volume::{Access, Change, Close, Create, File, Fresh, ListHow, OpenHow, VPath, Volume};

    /// A file system in memory, until it is dropped.
    struct Mounted<'a>(&'a Path);

    impl Mounted<'_> {
        fn at(path: &Path) -> Mounted<'_> {
            std::fs::create_dir(path).unwrap();
            assert!(
                Command::new("mount").args(["-t", "tmpfs", "none"]).arg(path).status().unwrap().success()
            );
            Mounted(path)
        }
    }

    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            assert!(Command::new("umount").arg("-l").arg(self.0).status().unwrap().success());
        }
    }

    fn p(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    /// What comes of calls once there are threads for what is mounted; before that nothing.
    async fn waits<T>(
        (permits, may_wait): (&mut Option<OwnedSemaphorePermit>, bool),
        pool: &Pool,
        call: impl Future<Output = T>,
    ) -> T {
        let mut call = pin!(call);
        // Its thread that looks where the way leads is done by then.
        for _ in 0..2 {
            let first = std::future::poll_fn(|context| {
                let mut poll = || call.as_mut().poll(context).is_pending();
                Poll::Ready(if may_wait { volume::waiting_here(poll) } else { poll() })
            });
            assert!(first.await, "it does not wait for a thread");
            drop(pool.permits.clone().acquire_many_owned(BLOCKING_CALLS_MAX as u32).await.unwrap());
        }
        permits.take();
        let result = call.await;
        *permits = Some(pool.beyond.clone().acquire_many_owned(MOUNTED_CALLS_MAX as u32).await.unwrap());
        result
    }

    #[tokio::test]
    #[ignore = "needs root"]
    async fn what_is_mounted_below_the_root_has_threads_of_its_own_and_is_not_touched_without() {
        // Neither by who may wait for a local disk.
        untouched(false).await;
        untouched(true).await;
    }

    async fn untouched(may_wait: bool) {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("m");
        let _mounted = Mounted::at(&place);
        std::fs::create_dir(place.join("d")).unwrap();
        std::fs::write(place.join("f"), "mounted").unwrap();
        let volume = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
        let (cx, pool) = (Cx::system(volume::Priority::Interactive), &volume.disk.pool);
        let all = pool.beyond.clone().acquire_many_owned(MOUNTED_CALLS_MAX as u32).await.unwrap();
        let mut permits = Some(all);
        let how = OpenHow { access: Access::READ | Access::WRITE, ..OpenHow::read() };
        let opened =
            waits((&mut permits, may_wait), pool, volume.open(&cx, &p("m/f"), how.clone())).await.unwrap();
        let file: &dyn File = &*opened.file;
        assert_eq!(
            waits((&mut permits, may_wait), pool, volume.stat(&cx, &p("m"))).await.unwrap().kind,
            volume::Kind::Dir
        );
        assert_eq!(waits((&mut permits, may_wait), pool, volume.stat(&cx, &p("m/f"))).await.unwrap().size, 7);
        assert_eq!(
            waits((&mut permits, may_wait), pool, file.attr(&cx, Fresh::Cached)).await.unwrap().size,
            7
        );
        waits((&mut permits, may_wait), pool, file.write_at(&cx, 0, Bytes::from_static(b"M"))).await.unwrap();
        assert_eq!(
            waits((&mut permits, may_wait), pool, file.read_at(&cx, 0, 100)).await.unwrap(),
            "Mounted"
        );
        assert_eq!(
            waits((&mut permits, may_wait), pool, file.read_at(&cx, 0, 4 << 20)).await.unwrap(),
            "Mounted"
        );
        assert!(file.pages(&cx, 0, 7).await.unwrap().is_none());
        let ticket = file.ticket().expect("of what was found when it was opened");
        let again = waits((&mut permits, may_wait), pool, volume.reopen(&cx, &ticket)).await.unwrap();
        assert_eq!(again.attr.id, opened.attr.id);
        waits((&mut permits, may_wait), pool, file.close(&cx, Close::Commit)).await.unwrap();
        let new = OpenHow::create(Create::New);
        let made =
            waits((&mut permits, may_wait), pool, volume.open(&cx, &p("m/new"), new.clone())).await.unwrap();
        assert!(made.created);
        let listed = waits((&mut permits, may_wait), pool, volume.list(&cx, &p("m"), ListHow::default()))
            .await
            .unwrap();
        assert_eq!(listed.entries.len(), 3);
        let remove = |path: &str, dir| Change::Remove { path: p(path), dir, expect: None };
        for change in [
            remove("m/new", false),
            remove("m/d", true),
            Change::MakeDir { path: p("m/e"), mode: 0o700, dos: Default::default(), maker: None },
        ] {
            waits((&mut permits, may_wait), pool, volume.apply(&cx, &change)).await.unwrap();
        }
        // None of that is in the way of what is not mounted there.
        assert!(volume.open(&cx, &p("new"), new).await.unwrap().created);
        let listed = volume.list(&cx, &VPath::root(), ListHow::default()).await.unwrap();
        assert_eq!(listed.entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>().len(), 2);
        let late = Cx { deadline: std::time::Instant::now(), ..cx.clone() };
        assert_eq!(volume.stat(&late, &p("m")).await.unwrap_err().kind, ErrorKind::TimedOut);
        drop((opened, again, made));
    }
}

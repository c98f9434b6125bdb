//! A file in the making: it grows under a private name and appears under its own when it is whole.
//!
//! What happens to it there is seen by nobody, so it needs no order with anything else. A making that has not begun keeps what it
//! was given: after a start it is not known at once whether the mirror has the file already.

use super::remote::{Remote, Touch, gone, private, touch};
use crate::record::Stamp;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use volume::{Change, Close, Create, Error, Kind, Named, OpenHow, Result, VPath};

/// Pieces of one file that are on their way at a time.
const PIECES_MAX: usize = 64;

/// One step of making a file.
#[derive(Debug)]
pub enum Piece {
    Touch(Touch, Weight),
    Named {
        name: Named,
        value: Option<Bytes>,
    },
    /// It is whole.
    Finish(Option<Stamp>),
    /// Nobody will ever see it.
    GiveUp,
}

/// Content that is held in memory for one mirror, bytes.
#[derive(Default, Debug)]
pub struct Budget {
    used: AtomicUsize,
    freed: Notify,
}

/// A part of it, given back when dropped.
#[derive(Debug)]
pub struct Weight(Arc<Budget>, usize);

impl Budget {
    pub fn take(self: &Arc<Budget>, bytes: usize) -> Weight {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Weight(self.clone(), bytes)
    }

    /// Waits until some of it is given back, or a file is whole.
    pub async fn freed(self: Arc<Budget>) {
        self.freed.notified().await;
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.0.used.fetch_sub(self.1, Ordering::Relaxed);
        self.0.freed.notify_one();
    }
}

pub struct Making {
    /// Of the record that began it; its private name.
    pub number: u64,
    /// Whether the mirror has nothing under its name before.
    pub new: bool,
    /// The last that is known of it.
    pub stamp: Option<Stamp>,
    /// Which values it was given to carry, or not to.
    pub carried: Vec<Named>,
    /// The record that said that it is whole, where it is to appear by a later one.
    pub cut: Option<u64>,
    state: State,
}

enum State {
    Kept(Vec<Piece>),
    Begun { pieces: mpsc::UnboundedSender<Piece>, task: JoinHandle<()>, outcome: Arc<Mutex<Ended>> },
}

/// What came of it; told before anybody is woken.
#[derive(Default)]
enum Ended {
    #[default]
    Not,
    Made,
    Failed(Error),
}

impl Making {
    pub fn new(number: u64, new: bool, stamp: Option<Stamp>) -> Making {
        Making { number, new, stamp, carried: Vec::new(), cut: None, state: State::Kept(Vec::new()) }
    }

    /// Its private name.
    pub fn temp(&self) -> VPath {
        private(&format!("{:016x}", self.number))
    }

    pub fn add(&mut self, piece: Piece) {
        if let Piece::Named { name, .. } = &piece {
            self.carried.push(name.clone());
        }
        match &mut self.state {
            State::Kept(pieces) => pieces.push(piece),
            // A task that has ended has failed, which is found when the file is to appear.
            State::Begun { pieces, .. } => drop(pieces.send(piece)),
        }
    }

    /// Begins; `budget` is told when the file is whole.
    pub fn begin(&mut self, remote: &Arc<Remote>, budget: &Arc<Budget>) {
        let State::Kept(kept) = &mut self.state else { return };
        let kept = std::mem::take(kept);
        let (pieces, taken) = mpsc::unbounded_channel();
        kept.into_iter().for_each(|piece| drop(pieces.send(piece)));
        let (work, budget) = (make(remote.clone(), self.temp(), taken), budget.clone());
        let outcome = Arc::<Mutex<Ended>>::default();
        let told = outcome.clone();
        let task = tokio::spawn(async move {
            let made = work.await;
            *told.lock() = made.map_or_else(Ended::Failed, |()| Ended::Made);
            budget.freed.notify_one();
        });
        self.state = State::Begun { pieces, task, outcome };
    }

    /// Whether it is whole, or has failed.
    pub fn is_finished(&self) -> bool {
        let State::Begun { task, outcome, .. } = &self.state else { return false };
        !matches!(*outcome.lock(), Ended::Not) || task.is_finished()
    }

    pub fn has_failed(&self) -> bool {
        match &self.state {
            State::Begun { task, outcome, .. } => match *outcome.lock() {
                Ended::Failed(_) => true,
                Ended::Made => false,
                Ended::Not => task.is_finished(),
            },
            State::Kept(_) => false,
        }
    }

    /// Why it has failed, if it has: then there is nothing that could appear.
    pub fn failure(&mut self) -> Option<Error> {
        let temp = self.temp();
        let State::Begun { task, outcome, .. } = &mut self.state else { return None };
        match std::mem::take(&mut *outcome.lock()) {
            Ended::Failed(error) => return Some(error),
            Ended::Made => {}
            Ended::Not if !task.is_finished() => return None,
            Ended::Not => return Some(gone("make", &temp)),
        }
        *outcome.lock() = Ended::Made;
        None
    }

    /// It is not needed: what is there of it goes.
    pub fn give_up(mut self) {
        if let State::Begun { pieces, .. } = std::mem::replace(&mut self.state, State::Kept(Vec::new())) {
            drop(pieces.send(Piece::GiveUp));
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let State::Begun { task, .. } = &self.state {
            task.abort();
        }
    }
}

async fn make(remote: Arc<Remote>, temp: VPath, mut pieces: mpsc::UnboundedReceiver<Piece>) -> Result<()> {
    let how = OpenHow { mode: 0o600, ..OpenHow::create(Create::New) };
    let file = remote.volume().open(&remote.cx(), &temp, how).await?.file;
    let mut flying: FuturesUnordered<BoxFuture<'static, Result<()>>> = FuturesUnordered::new();
    let at_once = if remote.in_order { PIECES_MAX } else { 1 };
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Touch(what, weight) if what.is_slow(&remote) => {
                touch(remote.clone(), file.clone(), what).await?;
                drop(weight);
            }
            Piece::Touch(what, weight) => {
                let mut work = touch(remote.clone(), file.clone(), what);
                match futures_util::poll!(&mut work) {
                    std::task::Poll::Ready(done) => done?,
                    std::task::Poll::Pending => flying.push(Box::pin(async move {
                        let done = work.await;
                        drop(weight);
                        done
                    })),
                }
                while flying.len() >= at_once {
                    flying.next().await.transpose()?;
                }
            }
            Piece::Named { name, value } => remote.set_named(temp.clone(), name, value).await?,
            Piece::Finish(stamp) => {
                let set = stamp.map(|stamp| remote.of_ours(&stamp, Kind::File)).unwrap_or_default();
                let cx = remote.cx();
                let dress = remote.set_file_attr(&*file, set);
                let (dressed, closed) = remote.in_turn(dress, file.close(&cx, Close::Commit)).await;
                while let Some(done) = flying.next().await {
                    done?;
                }
                return dressed.and(closed.map(drop));
            }
            Piece::GiveUp => {
                file.close(&remote.cx(), Close::Abort).await?;
                let remove = Change::Remove { path: temp, dir: false, expect: None };
                return remote.volume().apply(&remote.cx(), &remove).await.map(drop);
            }
        }
    }
    // Given up.
    file.close(&remote.cx(), Close::Abort).await.map(drop)
}

//! One connection: the requests that wait for it, those that are under way, and who waits for their answers.
//!
//! A session is made by the first call that needs it and takes requests at once, before the server has been reached; they
//! are sent in the order in which they came. It ends once, for all who wait; it is never revived, so a handle can reach no
//! other file after a reconnect.
//!
//! States: *waiting* (for the log-on) -> *open* -> *ended*. One lock guards all of it and is never held across an await.
//!
//! Requests are kept as values and written into one buffer when the connection takes more, so many small ones go out
//! together. Those whose caller has gone away before are left out. An OPEN whose caller has gone away while it was under
//! way is closed.

use crate::config::SftpLimits;
use crate::error::{Loss, Outcome, Trouble};
use crate::wire::{Answer, Extensions, Request};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, oneshot};

/// Requests are put together until they are so many bytes.
const BATCH_BYTES: usize = 256 * 1024;

pub(crate) struct Session {
    limits: SftpLimits,
    queue: Mutex<Queue>,
    /// There may be something to send, or the session has ended.
    stirred: Notify,
    facts: OnceLock<Facts>,
}

/// What is known of the server once it is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub(crate) extensions: Extensions,
    /// Largest READ and WRITE, bytes.
    pub(crate) read_max: u32,
    pub(crate) write_max: u32,
}

struct Queue {
    waiting: VecDeque<Job>,
    under_way: HashMap<u32, UnderWay>,
    next_id: u32,
    /// Content of those under way.
    content_bytes: usize,
    ended: Option<Arc<Loss>>,
}

struct Job {
    request: Request,
    /// `None`: nobody wants to hear of it.
    reply: Option<Reply>,
}

struct UnderWay {
    content_bytes: usize,
    reply: Option<Reply>,
}

type Reply = oneshot::Sender<Outcome<Answer>>;

/// An answer that will come. The request is in the queue already.
pub(crate) struct Waiting(oneshot::Receiver<Outcome<Answer>>);

impl Waiting {
    /// Of a request that was not taken.
    fn refused(trouble: Trouble) -> Waiting {
        let (reply, waiting) = oneshot::channel();
        let _own_receiver = reply.send(Err(trouble));
        Waiting(waiting)
    }

    pub(crate) async fn answer(self) -> Outcome<Answer> {
        let ended = || Trouble::Lost(Arc::new(Loss::offline("the connection was given up")));
        self.0.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Facts {
    /// OpenSSH does one request after the other as they come; of others that is not known, and they get one at a time.
    pub(crate) fn in_order(&self) -> bool {
        self.extensions.contains(Extensions::POSIX_RENAME)
    }
}

impl Session {
    pub(crate) fn new(limits: SftpLimits) -> Session {
        Session {
            limits,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                under_way: HashMap::new(),
                next_id: 0,
                content_bytes: 0,
                ended: None,
            }),
            stirred: Notify::new(),
            facts: OnceLock::new(),
        }
    }

    /// What the server is; `None` while it has not been reached.
    pub(crate) fn facts(&self) -> Option<Facts> {
        self.facts.get().copied()
    }

    /// Why it has ended, if it has.
    pub(crate) fn ended(&self) -> Option<Arc<Loss>> {
        self.queue.lock().ended.clone()
    }

    /// Puts a request at the end of the queue, now. Gives it back when the session has ended.
    pub(crate) fn try_push(&self, request: Request) -> Result<Waiting, Request> {
        let (reply, waiting) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if queue.ended.is_some() {
                return Err(request);
            }
            if queue.waiting.len() >= self.limits.waiting {
                return Ok(Waiting::refused(Trouble::Full));
            }
            queue.waiting.push_back(Job { request, reply: Some(reply) });
        }
        self.stirred.notify_one();
        Ok(Waiting(waiting))
    }

    /// The same for a request that belongs to this session: it fails where that has ended.
    pub(crate) fn push(&self, request: Request) -> Waiting {
        self.try_push(request).unwrap_or_else(|_| {
            let loss = self.ended().unwrap_or_else(|| Arc::new(Loss::offline("the connection has ended")));
            Waiting::refused(Trouble::Lost(loss))
        })
    }

    /// Pushes it, and waits for the answer.
    pub(crate) async fn ask(&self, request: Request) -> Outcome<Answer> {
        self.push(request).answer().await
    }

    /// Closes a handle; nobody waits for it. Has room beyond the limit, so that no handle is left over.
    pub(crate) fn close(&self, handle: Bytes) {
        {
            let mut queue = self.queue.lock();
            if queue.ended.is_some() {
                return;
            }
            queue.waiting.push_back(Job { request: Request::Close { handle }, reply: None });
        }
        self.stirred.notify_one();
    }

    /// The server is reached: requests go from now on.
    pub(crate) fn open(&self, facts: Facts) {
        let _once = self.facts.set(facts);
        self.stirred.notify_one();
    }

    /// The end: all who wait are told why.
    pub(crate) fn end(&self, loss: Arc<Loss>) {
        let (loss, waiting, under_way) = {
            let mut queue = self.queue.lock();
            let loss = queue.ended.get_or_insert(loss).clone();
            (loss, std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.under_way))
        };
        let replies =
            waiting.into_iter().map(|job| job.reply).chain(under_way.into_values().map(|one| one.reply));
        for reply in replies.flatten() {
            let _gone_away = reply.send(Err(Trouble::Lost(loss.clone())));
        }
        self.stirred.notify_one();
    }

    /// Waits until something may have to be sent, or the session has ended.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// Writes requests into `out`, as many as may go now. Those that this server cannot do are answered.
    pub(crate) fn take_batch(&self, out: &mut BytesMut) {
        let Some(facts) = self.facts() else { return };
        let requests_max = if facts.in_order() { self.limits.requests.max(1) } else { 1 };
        let mut queue = self.queue.lock();
        while out.len() < BATCH_BYTES && queue.under_way.len() < requests_max {
            let Some(job) = queue.waiting.front() else { break };
            let content_bytes = job.request.content_bytes();
            let full = queue.content_bytes + content_bytes > self.limits.data_bytes;
            if full && !queue.under_way.is_empty() {
                break;
            }
            let Some(Job { request, reply }) = queue.waiting.pop_front() else { break };
            if reply.as_ref().is_some_and(|reply| reply.is_closed()) {
                continue;
            }
            if !facts.extensions.contains(request.needs()) {
                let _gone_away = reply.map(|reply| reply.send(Err(Trouble::Lacking(request.needs()))));
                continue;
            }
            let id = queue.free_id();
            request.write(id, facts.extensions, out);
            queue.content_bytes += content_bytes;
            queue.under_way.insert(id, UnderWay { content_bytes, reply });
        }
    }

    /// Hands a packet of the server's to whoever waits for it. An error breaks the connection.
    pub(crate) fn take_answer(&self, frame: Bytes) -> Outcome<()> {
        let (id, answer) = Answer::read(frame)?;
        let (reply, more) = {
            let mut queue = self.queue.lock();
            let Some(one) = queue.under_way.remove(&id) else {
                return Err(Trouble::Unasked("a packet with an unknown number"));
            };
            queue.content_bytes -= one.content_bytes;
            (one.reply, !queue.waiting.is_empty())
        };
        if let Some(Err(Ok(Answer::Handle(handle)))) = reply.map(|reply| reply.send(Ok(answer))) {
            self.close(handle);
        }
        if more {
            self.stirred.notify_one();
        }
        Ok(())
    }
}

impl Queue {
    fn free_id(&mut self) -> u32 {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            if !self.under_way.contains_key(&id) {
                return id;
            }
        }
    }
}

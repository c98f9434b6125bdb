//! One connection: the requests that wait for it, those that are under way, and who waits for their answers.
//!
//! A session is made by the first call that needs it and takes requests at once, before the server has been reached; they
//! are sent in the order in which they came. It ends once, for all who wait; it is never revived, so a handle can reach no
//! other file after a reconnect.
//!
//! States: *waiting* (for the log-on) -> *open* -> *ended*. One lock guards all of it and is never held across an await.
//!
//! Requests are kept as values and written into one buffer when the connection takes more, so many small ones go out
//! together. Questions whose caller has gone away are left out; changes are not, for one may be several requests. What was
//! opened for a caller who has gone away is closed.

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
pub(crate) struct Waiting {
    answer: oneshot::Receiver<Outcome<Answer>>,
    session: Arc<Session>,
}

impl Waiting {
    pub(crate) async fn answer(mut self) -> Outcome<Answer> {
        let given_up = || Trouble::Lost(Arc::new(Loss::offline("the connection was given up")));
        (&mut self.answer).await.unwrap_or_else(|_| Err(given_up()))
    }
}

/// Whoever waited may go away just when the answer has come.
impl Drop for Waiting {
    fn drop(&mut self) {
        if let Ok(Ok(Answer::Handle(handle))) = self.answer.try_recv() {
            self.session.close(handle);
        }
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
    pub(crate) fn try_push(self: &Arc<Session>, request: Request) -> Result<Waiting, Request> {
        let (reply, answer) = oneshot::channel();
        let mut queue = self.queue.lock();
        if queue.ended.is_some() {
            return Err(request);
        }
        if queue.waiting.len() < self.limits.waiting {
            queue.waiting.push_back(Job { request, reply: Some(reply) });
        } else {
            answered(Some(reply), Err(Trouble::Full));
        }
        drop(queue);
        self.stirred.notify_one();
        Ok(Waiting { answer, session: self.clone() })
    }

    /// The same for a request that belongs to this session: it fails where that has ended.
    pub(crate) fn push(self: &Arc<Session>, request: Request) -> Waiting {
        self.try_push(request).unwrap_or_else(|_| {
            let (reply, answer) = oneshot::channel();
            let loss = self.ended().unwrap_or_else(|| Arc::new(Loss::offline("the connection has ended")));
            answered(Some(reply), Err(Trouble::Lost(loss)));
            Waiting { answer, session: self.clone() }
        })
    }

    /// Pushes it, and waits for the answer.
    pub(crate) async fn ask(self: &Arc<Session>, request: Request) -> Outcome<Answer> {
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
        for reply in replies {
            answered(reply, Err(Trouble::Lost(loss.clone())));
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
            let unheard = reply.as_ref().is_some_and(|reply| reply.is_closed());
            if unheard && request.is_question() {
                continue;
            }
            if !facts.extensions.contains(request.needs()) {
                answered(reply, Err(Trouble::Lacking(request.needs())));
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
        if let Some(Ok(Answer::Handle(handle))) = answered(reply, Ok(answer)) {
            self.close(handle);
        }
        if more {
            self.stirred.notify_one();
        }
        Ok(())
    }
}

/// Hands on an answer; gives it back when nobody waits for it any more.
fn answered(reply: Option<Reply>, answer: Outcome<Answer>) -> Option<Outcome<Answer>> {
    reply?.send(answer).err()
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

#[cfg(test)]
mod tests {
    use super::*;
    use volume::ErrorKind;

    const ALL: Facts = Facts { extensions: Extensions::all(), read_max: 100, write_max: 100 };

    fn session(limits: SftpLimits) -> Arc<Session> {
        Arc::new(Session::new(limits))
    }

    fn remove(path: &'static str) -> Request {
        Request::Remove { path: path.into() }
    }

    /// The numbers and paths of requests that go now.
    fn sent(session: &Session) -> Vec<(u32, String)> {
        let mut out = BytesMut::new();
        session.take_batch(&mut out);
        let mut requests = Vec::new();
        while let Ok(Some(frame)) = crate::wire::split_frame(&mut out) {
            let id = u32::from_be_bytes(frame[1..5].try_into().unwrap());
            requests.push((id, String::from_utf8_lossy(&frame[9..]).into_owned()));
        }
        requests
    }

    fn check(session: &Session, expect: &[(u32, &str)]) {
        let expect: Vec<_> = expect.iter().map(|(id, path)| (*id, (*path).to_owned())).collect();
        assert_eq!(sent(session), expect);
    }

    fn done(session: &Session, id: u32) {
        let status = [&[101][..], &id.to_be_bytes(), &[0; 4]].concat();
        session.take_answer(status.into()).unwrap();
    }

    #[tokio::test]
    async fn what_comes_before_the_server_is_reached_is_sent_in_its_order() {
        let session = session(SftpLimits::default());
        let waiting = ["a", "b", "c"].map(|path| session.push(remove(path)));
        check(&session, &[]);
        session.open(ALL);
        check(&session, &[(0, "a"), (1, "b"), (2, "c")]);
        // Answers may come in any order.
        [2, 0, 1].into_iter().for_each(|id| done(&session, id));
        for one in waiting {
            one.answer().await.unwrap().done().unwrap();
        }
    }

    #[test]
    fn a_server_that_promises_no_order_gets_one_at_a_time() {
        let session = session(SftpLimits::default());
        session.open(Facts { extensions: Extensions::empty(), ..ALL });
        let _waiting = ["a", "b"].map(|path| session.push(remove(path)));
        check(&session, &[(0, "a")]);
        check(&session, &[]);
        done(&session, 0);
        check(&session, &[(1, "b")]);
    }

    #[tokio::test]
    async fn limits_are_kept() {
        let session =
            session(SftpLimits { requests: 2, data_bytes: 10, waiting: 3, ..SftpLimits::default() });
        let write = |length| Request::Write { handle: Bytes::new(), offset: 0, data: vec![0; length].into() };
        let _waiting = [write(8), write(8), remove("a")].map(|request| session.push(request));
        let full = session.push(remove("b")).answer().await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::TooManyOpen);
        session.open(ALL);
        // Nothing overtakes what waits for room.
        assert_eq!(sent(&session).len(), 1);
        done(&session, 0);
        assert_eq!(sent(&session).len(), 2);
        // One that is larger than all the room goes alone.
        let _larger = session.push(write(100));
        assert_eq!(sent(&session).len(), 0);
        done(&session, 1);
        assert_eq!(sent(&session).len(), 0);
        done(&session, 2);
        assert_eq!(sent(&session).len(), 1);
    }

    #[test]
    fn whoever_goes_away_leaves_nothing_behind() {
        let session = session(SftpLimits::default());
        session.open(ALL);
        let open = || Request::OpenDir { path: "d".into() };
        let (before, while_under_way, behind) =
            (session.push(open()), session.push(open()), session.push(open()));
        drop(before);
        // It may be the second half of a change.
        drop(session.push(remove("a")));
        check(&session, &[(0, "d"), (1, "d"), (2, "a")]);
        drop(while_under_way);
        for (id, handle) in [(0_u32, b'x'), (1, b'y')] {
            let answer = [&[102][..], &id.to_be_bytes(), &[0, 0, 0, 1, handle]].concat();
            session.take_answer(answer.into()).unwrap();
        }
        drop(behind);
        check(&session, &[(3, "x"), (4, "y")]);
    }

    #[tokio::test]
    async fn the_end_is_told_to_all_and_nothing_goes_behind_it() {
        let session = session(SftpLimits::default());
        session.open(ALL);
        let under_way = session.push(remove("a"));
        check(&session, &[(0, "a")]);
        let waiting = session.push(remove("b"));
        session.end(Arc::new(Loss::offline("cut")));
        session.end(Arc::new(Loss::offline("again")));
        let late = session.push(remove("c"));
        for one in [under_way, waiting, late] {
            let why = one.answer().await.unwrap_err().into_error("test", "x");
            assert!(why.kind == ErrorKind::Offline && why.to_string().contains("cut"), "{why}");
        }
        assert!(session.try_push(remove("d")).is_err());
        check(&session, &[]);
    }

    #[tokio::test]
    async fn what_the_server_cannot_do_is_not_sent() {
        let session = session(SftpLimits::default());
        session.open(Facts { extensions: Extensions::POSIX_RENAME, ..ALL });
        let syncing = session.push(Request::FSync { handle: "h".into() });
        check(&session, &[]);
        assert_eq!(syncing.answer().await.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn an_answer_to_nothing_breaks_the_connection() {
        let session = session(SftpLimits::default());
        session.open(ALL);
        let stray = session.take_answer(Bytes::from_static(&[101, 0, 0, 0, 9, 0, 0, 0, 0]));
        assert_eq!(stray.unwrap_err().kind(), ErrorKind::Corrupt);
        let none = session.take_answer(Bytes::from_static(&[1, 2]));
        assert_eq!(none.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

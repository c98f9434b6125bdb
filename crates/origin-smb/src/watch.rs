//! The way up: CHANGE_NOTIFY on the volume's root with all below it (MS-SMB2 2.2.35).
//!
//! States of a watch:
//!
//! * *live*: a request waits at the server. Between two requests the server keeps what happens for the handle,
//!   so nothing is missed; when that is more than it keeps, it says so and `Unknown` is told;
//! * *away*: the connection is lost: `Offline` since then. When the handle is open again, `Unknown` is told for
//!   the whole volume, and it is live.
//!
//! The names of one answer are looked up side by side and told once each, with the attributes that they have
//! by then. What a live watch promises is the administrator's word: see [`Watching`].

use crate::config::Watching;
use crate::core::Core;
use crate::error::{Outcome, Trouble};
use crate::handle::{Door, Entered, Handle, enter};
use crate::listing::notified;
use crate::names::{is_gone, path_from_wire};
use crate::session::{Answer, Step};
use futures_util::stream::{StreamExt, iter};
use smb_wire::change_notify::{ChangeNotifyRequest, ChangeNotifyResponse, CompletionFilter, NotifyAction};
use smb_wire::create::CreateOptions;
use smb_wire::{AccessMask, NtStatus};
use smb2::types::Command;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use volume::{Attr, Author, Cx, Error, ErrorKind, Freshness, NOTICES_MAX, Notice, Result, VPath, Watch};

/// Most bytes of names in one answer, and so what the server keeps between two requests (MS-SMB2 3.3.5.19
/// allows 64 KiB everywhere).
const BUFFER_BYTES: u32 = 64 * 1024;
/// Names that are looked up at once.
const LOOKS_AT_ONCE: usize = 16;
/// Pause before subscribing again when that failed. Dialing has its own pauses.
const RETRY: Duration = Duration::from_secs(1);

/// Subscribes and follows.
pub(crate) async fn watch(core: &Arc<Core>, cx: &Cx) -> Result<Watch> {
    if !core.caps.watch {
        return Err(Error::new(ErrorKind::Unsupported, "watch", core.config.label()));
    }
    let (notices_in, notices) = mpsc::channel(NOTICES_MAX);
    let (freshness_in, freshness) = watch::channel(Freshness::Offline { since: SystemTime::now() });
    let armed = match crate::file::within(cx, "watch", &VPath::root(), arm(core)).await {
        Ok(armed) => Some(armed),
        Err(why) if matches!(why.kind, ErrorKind::Offline | ErrorKind::TimedOut) => None,
        Err(why) => return Err(why),
    };
    let out = Out { notices: notices_in, freshness: freshness_in, owes_unknown: false };
    if armed.is_some() {
        out.promise(promise(core));
    }
    tokio::spawn(Follower { core: core.clone(), out }.run(armed));
    Ok(Watch::without_authors(notices, freshness))
}

/// A request that waits at the server.
struct Armed {
    handle: Arc<Handle>,
    answer: Pending,
}

/// A request under way; dropping it forgets it.
struct Pending(JoinHandle<Outcome<Answer>>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What happened, as the server put it.
#[derive(PartialEq, Eq, Debug)]
enum Event {
    Touched(VPath),
    Moved(VPath, VPath),
}

/// What comes of following.
enum End {
    Lost,
    /// Nobody reads any more.
    Unread,
}

/// Where notices and promises go.
struct Out {
    notices: mpsc::Sender<Notice>,
    freshness: watch::Sender<Freshness>,
    /// The reader was too slow: it is told that all is unknown as soon as there is room.
    owes_unknown: bool,
}

struct Follower {
    core: Arc<Core>,
    out: Out,
}

impl Out {
    fn promise(&self, freshness: Freshness) {
        self.freshness.send_if_modified(|now| std::mem::replace(now, freshness) != freshness);
    }

    fn tell(&mut self, notice: Notice) {
        if self.owes_unknown {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.notices.try_send(notice) {
            self.owes_unknown = true;
        }
    }

    /// Waits for room and tells the `Unknown` that is owed.
    async fn pay_unknown(&self) {
        // An error says that nobody reads any more, which `closed` tells as well.
        if let Ok(room) = self.notices.reserve().await {
            room.send(Notice::Unknown { below: VPath::root() });
        }
    }
}

/// What a live watch promises.
fn promise(core: &Core) -> Freshness {
    match core.config.watch {
        Watching::Trusted => Freshness::Notified,
        Watching::Hints | Watching::Off => Freshness::Direct,
    }
}

/// Opens the root and leaves a request there. When it returns, the server has it: it answers a session's
/// requests in the order in which it begins with them, and a later one has been answered.
async fn arm(core: &Arc<Core>) -> Outcome<Armed> {
    let door = Door::to(
        core.wire("watch", &VPath::root())?,
        AccessMask::LIST_DIRECTORY,
        CreateOptions::DIRECTORY_FILE,
    );
    let Entered { handle, .. } = enter(core.names.session().await?, door, None).await?;
    let handle = Arc::new(handle);
    let mut asked = Box::pin(ask(handle.clone()));
    let ready = tokio::select! {
        biased;
        answer = &mut asked => Some(answer),
        looked = handle.look() => looked.map(|_| None)?,
    };
    let answer = match ready {
        Some(answer) => tokio::spawn(async move { answer }),
        None => tokio::spawn(asked),
    };
    Ok(Armed { handle, answer: Pending(answer) })
}

/// Asks for what happens next.
async fn ask(handle: Arc<Handle>) -> Outcome<Answer> {
    let request = ChangeNotifyRequest {
        watch_tree: true,
        output_buffer_length: BUFFER_BYTES,
        file_id: handle.id,
        completion_filter: CompletionFilter::FILE_NAME
            | CompletionFilter::DIR_NAME
            | CompletionFilter::ATTRIBUTES
            | CompletionFilter::SIZE
            | CompletionFilter::LAST_WRITE
            | CompletionFilter::CREATION,
    };
    let step = Step::sized(Command::ChangeNotify, BUFFER_BYTES, |body| request.encode(body));
    handle.ask_unbounded(&step).await
}

impl Follower {
    async fn run(mut self, mut armed: Option<Armed>) {
        loop {
            if let Some(live) = armed.take()
                && let End::Unread = self.follow(live).await
            {
                return;
            }
            self.out.promise(Freshness::Offline { since: SystemTime::now() });
            let again = tokio::select! {
                () = self.out.notices.closed() => return,
                again = arm_at_last(&self.core) => again,
            };
            self.out.tell(Notice::Unknown { below: VPath::root() });
            self.out.promise(promise(&self.core));
            armed = Some(again);
        }
    }

    async fn follow(&mut self, mut armed: Armed) -> End {
        loop {
            tokio::select! {
                answer = &mut armed.answer.0 => {
                    let Ok(answer) = answer else { return End::Lost };
                    // The next request goes out before the names of this answer are looked up.
                    armed.answer = Pending(tokio::spawn(ask(armed.handle.clone())));
                    if let Err(why) = self.take(answer).await {
                        tracing::debug!(?why, "a watch is lost");
                        return End::Lost;
                    }
                }
                () = self.out.pay_unknown(), if self.out.owes_unknown => self.out.owes_unknown = false,
                () = self.out.notices.closed() => return End::Unread,
            }
        }
    }

    async fn take(&mut self, answer: Outcome<Answer>) -> Outcome<()> {
        let answer = answer?;
        if answer.status == NtStatus::NOTIFY_CLEANUP {
            return Err(Trouble::HandleGone(answer.status));
        }
        // More happened than the server keeps (MS-SMB2 3.3.4.4): an empty answer.
        let told = match answer.status {
            NtStatus::NOTIFY_ENUM_DIR => Vec::new(),
            _ => notified(&ChangeNotifyResponse::decode(&answer.message)?.data)?,
        };
        if told.is_empty() {
            self.out.tell(Notice::Unknown { below: VPath::root() });
            return Ok(());
        }
        let core = &self.core;
        let notices = iter(events(&told)).map(|event| notice(core, event)).buffered(LOOKS_AT_ONCE);
        let notices: Vec<Notice> = notices.collect().await;
        notices.into_iter().for_each(|notice| self.out.tell(notice));
        Ok(())
    }
}

async fn arm_at_last(core: &Arc<Core>) -> Armed {
    loop {
        match arm(core).await {
            Ok(armed) => return armed,
            Err(why) => {
                tracing::debug!(?why, "cannot watch yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The events of an answer, each path touched once. Names that no path can have are passed over: nobody
/// knows them here.
fn events(told: &[(u32, String)]) -> Vec<Event> {
    let (mut events, mut seen) = (Vec::new(), HashSet::new());
    let mut touch = |events: &mut Vec<Event>, path: VPath| {
        if !path.components().any(is_gone) && seen.insert(path.clone()) {
            events.push(Event::Touched(path));
        }
    };
    let mut told = told.iter().peekable();
    while let Some((action, name)) = told.next() {
        let Some(path) = path_from_wire(name) else { continue };
        let renamed_to = told
            .next_if(|(next, _)| {
                *action == NotifyAction::RenamedOldName as u32 && *next == NotifyAction::RenamedNewName as u32
            })
            .and_then(|(_, name)| path_from_wire(name));
        match renamed_to {
            Some(to) if !to.components().any(is_gone) && !path.components().any(is_gone) => {
                events.push(Event::Moved(path, to));
            }
            Some(to) => {
                touch(&mut events, path);
                touch(&mut events, to);
            }
            None => touch(&mut events, path),
        }
    }
    events
}

async fn notice(core: &Core, event: Event) -> Notice {
    match event {
        Event::Touched(path) => match look(core, &path).await {
            Ok(attr) => Notice::Changed { path, attr, by: Author::Unknown },
            Err(_) => Notice::Unknown { below: path },
        },
        Event::Moved(from, to) => match look(core, &to).await {
            Ok(attr) => Notice::Moved { from, to, attr, by: Author::Unknown },
            Err(_) => Notice::Unknown { below: VPath::root() },
        },
    }
}

async fn look(core: &Core, path: &VPath) -> Outcome<Option<Attr>> {
    match core.look("watch", path).await {
        Ok(look) => Ok(Some(core.attr(&look, path))),
        Err(Trouble::Refused(
            NtStatus::OBJECT_NAME_NOT_FOUND | NtStatus::OBJECT_PATH_NOT_FOUND | NtStatus::NOT_A_DIRECTORY,
        )) => Ok(None),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn events_are_told_once_and_moves_as_pairs() {
        let told: Vec<(u32, String)> = [
            (1, "a"),
            (3, "a"),
            (4, "d\\x"),
            (5, "e\\y"),
            (4, "f"),
            (5, ".farshare-gone-1"),
            (2, ".farshare-gone-1"),
            (4, "alone"),
            (3, "b\u{F022}"),
        ]
        .map(|(action, name)| (action, name.to_owned()))
        .to_vec();
        assert_eq!(
            events(&told),
            [
                Event::Touched(p("a")),
                Event::Moved(p("d/x"), p("e/y")),
                Event::Touched(p("f")),
                Event::Touched(p("alone")),
                Event::Touched(p("b:")),
            ]
        );
    }
}

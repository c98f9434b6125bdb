//! CHANGE_NOTIFY (MS-SMB2 3.3.5.19).

use crate::commands::directory;
use crate::limits;
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::change_notify::{
    ChangeNotifyRequest, ChangeNotifyResponse, NotifyAction, NotifyEntry, encode_notify_entries,
};
use smb_wire::{AccessMask, NtStatus};
use std::collections::HashMap;
use std::sync::Arc;
use vfs::{Filter, Links, NotifyBatch, NotifyEvent};
use volume::Cx;

pub(super) async fn notify(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = ChangeNotifyRequest::decode(&request.message).map_err(|error| error.status())?;
    if decoded.output_buffer_length > request.payload_max() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(decoded.output_buffer_length)?;
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    if !file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    open.needs_any(AccessMask::LIST_DIRECTORY)?;
    // Changes collect in a buffer that the first request gives its size (MS-CIFS 3.3.5.59.4, and as Windows does).
    let room = decoded.output_buffer_length;
    let room = room.min(*file.notify_room.get_or_init(|| room));
    let filter = Filter::from_bits_truncate(decoded.completion_filter.bits());
    let share = request.disk()?;
    let links = directory::links(request, file)?;
    let entries = loop {
        let next = async {
            tokio::select! {
                biased;
                // Changes from here on are for who takes it up.
                () = open.tenure.over() => Err(vfs::Error::Closed),
                batch = file.vfs.notify(filter, decoded.watch_tree) => batch,
            }
        };
        let batch = match next.await {
            Ok(batch) => batch,
            Err(vfs::Error::Closed) => {
                return Ok(Answer::with(NtStatus::NOTIFY_CLEANUP, |body| empty().encode(body)));
            }
            Err(error) => return Err(failed(error)),
        };
        let NotifyBatch::Events(mut events) = batch else { break Vec::new() };
        leave_out_vetoed(&mut events, |name| share.veto.has_within(name));
        if share.hide_unreadable {
            let judging = Judging::begin(&file.vfs);
            let shown = shown(&request.cx(), &file.vfs, links, events).await;
            judging.done();
            let Some(shown) = shown else { break Vec::new() };
            events = shown;
        }
        // Changes of names that are not there are no changes.
        if !events.is_empty() {
            break events.into_iter().map(entry).collect();
        }
    };
    // These changes are told once: from here on it is not given up.
    request.commit();
    let answer_room = request.answer_room(room).await?;
    Ok(answer_room.with(match encode_notify_entries(&entries, room as usize) {
        Some(buffer) if !buffer.is_empty() => {
            let response = ChangeNotifyResponse { data: buffer.into() };
            Answer::ok(|body| response.encode(body))
        }
        _ => Answer::with(NtStatus::NOTIFY_ENUM_DIR, |body| empty().encode(body)),
    }))
}

/// Takes changes of names out that a share does not have. Of a rename one of whose names is such, the other has gone, or come.
fn leave_out_vetoed(events: &mut Vec<NotifyEvent>, is_vetoed: impl Fn(&str) -> bool) {
    let vetoed: Vec<bool> = events.iter().map(|event| is_vetoed(&event.name)).collect();
    for new in 1..events.len() {
        let old = new - 1;
        let actions = (events[old].action, events[new].action);
        let renamed = actions == (vfs::NotifyAction::RenamedOldName, vfs::NotifyAction::RenamedNewName);
        match (vetoed[old], vetoed[new]) {
            (false, true) if renamed => events[old].action = vfs::NotifyAction::Removed,
            (true, false) if renamed => events[new].action = vfs::NotifyAction::Added,
            _ => {}
        }
    }
    let mut vetoed = vetoed.into_iter();
    events.retain(|_| !vetoed.next().unwrap_or(false));
}

/// Changes have been taken for a client and are being judged. Given up before that is done they do not come to it, and
/// it is to list the directory again.
struct Judging<'a> {
    dir: &'a vfs::Open,
    done: bool,
}

impl Judging<'_> {
    fn begin(dir: &vfs::Open) -> Judging<'_> {
        Judging { dir, done: false }
    }

    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Judging<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.dir.lose_changes();
        }
    }
}

/// What of these changes a user may know where a share hides what is not readable to him, as listings do. `None`: that
/// cannot be said of all of them, and he is to list again. What is gone nobody can judge any more.
async fn shown(
    cx: &Cx,
    dir: &vfs::Open,
    links: Links,
    mut events: Vec<NotifyEvent>,
) -> Option<Vec<NotifyEvent>> {
    let mut judged: HashMap<Arc<str>, bool> = HashMap::new();
    let mut shown = Vec::with_capacity(events.len());
    for at in 0..events.len() {
        // A name that was changed for another is judged by that: it is the same file.
        let next = events.get(at + 1).filter(|next| next.action == vfs::NotifyAction::RenamedNewName);
        let renamed = next.filter(|_| events[at].action == vfs::NotifyAction::RenamedOldName);
        let name = &renamed.unwrap_or(&events[at]).name;
        let is_shown = match judged.get(name) {
            Some(is_shown) => *is_shown,
            None if judged.len() >= limits::CHANGES_JUDGED_MAX => return None,
            None => {
                let allows = dir.allows_below(cx, name, directory::READABLE, links).await;
                let is_shown =
                    allows.inspect_err(|error| tracing::debug!(%error, "judging a change")).ok().flatten()?;
                judged.insert(name.clone(), is_shown);
                is_shown
            }
        };
        shown.push(is_shown);
    }
    let mut shown = shown.into_iter();
    events.retain(|_| shown.next().unwrap_or(false));
    Some(events)
}

fn empty() -> ChangeNotifyResponse {
    ChangeNotifyResponse { data: bytes::Bytes::new() }
}

fn entry(event: NotifyEvent) -> NotifyEntry {
    let action = match event.action {
        vfs::NotifyAction::Added => NotifyAction::Added,
        vfs::NotifyAction::Removed => NotifyAction::Removed,
        vfs::NotifyAction::Modified => NotifyAction::Modified,
        vfs::NotifyAction::RenamedOldName => NotifyAction::RenamedOldName,
        vfs::NotifyAction::RenamedNewName => NotifyAction::RenamedNewName,
        vfs::NotifyAction::AddedStream => NotifyAction::AddedStream,
        vfs::NotifyAction::RemovedStream => NotifyAction::RemovedStream,
        vfs::NotifyAction::ModifiedStream => NotifyAction::ModifiedStream,
    };
    let name: Vec<_> = event.name.split('/').map(vfs::names::to_smb).collect();
    let mut name = name.join("\\");
    if let Some(stream) = event.stream {
        name.push(':');
        name.push_str(&stream);
    }
    NotifyEntry { action, name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use testkit::MemVolume;
    use testkit::ease::{changes_are_told, cx, mkdir, p};
    use vfs::{Access, OpenRequest, Owner, Vfs, VfsConfig};

    #[tokio::test]
    async fn changes_are_lost_where_judging_them_is_given_up_and_nowhere_else() {
        let volume = MemVolume::new();
        let vfs = Vfs::new(volume.clone(), VfsConfig::default());
        changes_are_told(|| vfs.freshness()).await;
        let root = OpenRequest::new(p(""), Access::READ_DATA, Owner(1));
        let dir = vfs.open(&cx(), root).await.unwrap().open;
        let next = || tokio::time::timeout(Duration::from_secs(5), dir.notify(Filter::all(), false));
        // Its watcher begins with the first that asks.
        drop(tokio::time::timeout(Duration::ZERO, next()).await);

        Judging::begin(&dir).done();
        mkdir(&*volume.other(), "made").await;
        assert!(matches!(next().await.unwrap().unwrap(), NotifyBatch::Events(_)));
        drop(Judging::begin(&dir));
        assert_eq!(next().await.unwrap().unwrap(), NotifyBatch::Overflow);
    }
}

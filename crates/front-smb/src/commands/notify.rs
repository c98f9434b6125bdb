//! CHANGE_NOTIFY (MS-SMB2 3.3.5.19).

use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::change_notify::{
    ChangeNotifyRequest, ChangeNotifyResponse, NotifyAction, NotifyEntry, encode_notify_entries,
};
use smb_wire::{AccessMask, NtStatus};
use vfs::{Filter, NotifyBatch};

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
    let veto = request.tree()?.share().map(|share| &share.veto);
    let entries = loop {
        let batch = match file.vfs.notify(filter, decoded.watch_tree).await {
            Ok(batch) => batch,
            Err(vfs::Error::Closed) => {
                return Ok(Answer::with(NtStatus::NOTIFY_CLEANUP, |body| empty().encode(body)));
            }
            Err(error) => return Err(failed(error)),
        };
        let NotifyBatch::Events(mut events) = batch else { break Vec::new() };
        events.retain(|event| !veto.is_some_and(|veto| veto.has_within(&event.name)));
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

fn empty() -> ChangeNotifyResponse {
    ChangeNotifyResponse { data: bytes::Bytes::new() }
}

fn entry(event: vfs::NotifyEvent) -> NotifyEntry {
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

//! Opened directories.
//!
//! The kernel reads a directory in pages and says where each is to go on, by what the entry before it told. A [`Walk`] goes
//! on where it stands; asked for another place it begins anew and passes over what lies before, since volumes tell no
//! places of their own.

use super::files::sync_kind;
use super::{Answer, Given, Refused, Reply, asked, entry, path_of, take_back};
use crate::handles::Handle;
use crate::session::Session;
use crate::translate;
use bytes::Bytes;
use fuse_wire::answer::Opened;
use fuse_wire::request::Read;
use fuse_wire::{DirentKind, Dirents, Entry};
use rustix::io::Errno;
use std::sync::Arc;
use tokio::sync::Mutex;
use vfs::{Access, DirCursor, DirEntry, Links, Open, OpenRequest, Want};
use volume::name_to_bytes;

/// Longest page, bytes; the kernel asks for less.
const PAGE_BYTES_MAX: u32 = 1 << 20;

/// An open directory.
pub(crate) struct Walk {
    open: Arc<Open>,
    at: Mutex<At>,
}

struct At {
    cursor: DirCursor,
    /// Entries passed, `.` and `..` among them.
    passed: u64,
}

impl Walk {
    pub(crate) fn open(&self) -> &Open {
        &self.open
    }
}

pub(super) async fn open(session: &Session, node: u64) -> Answer {
    let access = Access::READ_DATA | Access::READ_ATTRIBUTES;
    let how = OpenRequest { want: Want::Dir, ..asked(session, path_of(session, node)?, access) };
    let open = session.vfs.open(&session.cx(), how).await?.open;
    let cursor = open.list(Links::Shown)?;
    let walk = Walk { open: open.clone(), at: Mutex::new(At { cursor, passed: 0 }) };
    let fh = session.handles.add(Handle::Dir(Arc::new(walk)));
    session.nodes.opened(node, fh, &open);
    let opened = Opened { fh, ..Opened::default() }.encode();
    Ok(Reply::Gives(Bytes::copy_from_slice(&opened), Given::Open { node, fh }))
}

pub(super) async fn read(session: &Session, node: u64, what: &Read, plus: bool) -> Answer {
    let walk = session.handles.dir(what.fh).ok_or(Errno::BADF)?;
    let cx = session.cx();
    let mut at = walk.at.lock().await;
    let At { cursor, passed } = &mut *at;
    if what.offset < *passed {
        cursor.restart();
        *passed = 0;
    }
    let mut page = Dirents::new(what.size.min(PAGE_BYTES_MAX) as usize);
    let mut answer = cursor.answer()?;
    while *passed < what.offset && answer.next(&cx).await?.is_some() {
        *passed += 1;
    }
    let mut told = Vec::new();
    let filled = async {
        while let Some(next) = answer.peek(&cx).await? {
            let told = plus.then_some(&mut told);
            if !push(session, node, &mut page, *passed + 1, next, told) {
                break;
            }
            answer.next(&cx).await?;
            *passed += 1;
        }
        Ok::<_, Refused>(())
    };
    if let Err(refused) = filled.await {
        take_back(session, Given::Nodes(told)).await;
        return Err(refused);
    }
    Ok(Reply::Gives(page.finish().into(), Given::Nodes(told)))
}

/// Adds an entry, with its attributes where it is noted which nodes were `told` of; false when the page is full.
fn push(
    session: &Session,
    dir: u64,
    page: &mut Dirents,
    next: u64,
    what: &DirEntry,
    told: Option<&mut Vec<u64>>,
) -> bool {
    // What could not have come from a POSIX name cannot be told as one.
    let Ok(name) = name_to_bytes(&what.name) else { return true };
    let kind = DirentKind::from_mode(translate::mode(&what.attr));
    let ino = translate::ino(what.attr.id, session.root);
    let Some(told) = told else { return page.push(ino, next, kind, &name) };
    if matches!(&*name, b"." | b"..") {
        let attributes = session.attributes(&what.attr);
        return page.push_plus(&Entry { attributes, ..Entry::default() }, next, kind, &name);
    }
    let entry = entry(session, dir, &what.name, &what.attr);
    let fits = page.push_plus(&entry, next, kind, &name);
    match fits {
        true => told.push(entry.nodeid),
        // The kernel has not seen it.
        false => session.nodes.forget(entry.nodeid, 1),
    }
    fits
}

pub(super) async fn sync(session: &Session, fh: u64, datasync: bool) -> Answer {
    let walk = session.handles.dir(fh).ok_or(Errno::BADF)?;
    walk.open.sync(&session.cx(), sync_kind(datasync)).await?;
    Ok(Reply::Done)
}

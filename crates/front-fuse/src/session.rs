//! A mount at work: what was agreed with the kernel, and the way of each request.
//!
//! A request is served by the thread that has read it, which may wait for a local disk ([`volume::waiting_here`]): local
//! volumes answer nearly all of them so. What waits for anything else becomes a task of the runtime, and the thread reads on.

use crate::device::{Buffer, Device};
use crate::handles::Handles;
use crate::mount::{self, MountConfig, MountError};
use crate::nodes::Nodes;
use crate::serve::{self, Reply};
use crate::translate;
use bytes::Bytes;
use fuse_wire::init::{InitAnswer, InitRequest};
use fuse_wire::{Attributes, Header, InitFlags, Operation, Request};
use rustix::io::Errno;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use vfs::{Owner, Vfs};
use volume::{Attr, Cx, FileId, Priority};

/// Longest WRITE and READ, bytes.
const IO_MAX_BYTES: u32 = 1 << 20;
const PAGE_BYTES: u32 = 4096;
/// Requests that the kernel has under way for nobody who waits: reading ahead, writing at once.
const MAX_BACKGROUND: u16 = 64;
/// How far the kernel reads ahead, bytes.
const READAHEAD_BYTES: u32 = 1 << 20;

pub(crate) struct Session {
    pub(crate) vfs: Vfs,
    pub(crate) nodes: Nodes,
    pub(crate) handles: Handles,
    /// How long names and attributes are believed.
    pub(crate) valid: Duration,
    pub(crate) owner: Owner,
    pub(crate) root: FileId,
    /// Whether the volume keeps what POSIX keeps.
    pub(crate) posix: bool,
    /// Who mounts: user and group.
    pub(crate) mounter: (u32, u32),
    device: Arc<Device>,
    agreed: InitFlags,
}

impl Session {
    /// Waits for the kernel's first request and answers it.
    pub(crate) fn agree(
        vfs: Vfs,
        root: FileId,
        device: Arc<Device>,
        config: &MountConfig,
    ) -> Result<Session, MountError> {
        let (posix, mounter, owner) = (vfs.caps().posix, mount::mounter(), vfs.new_owner());
        let agreed = agree(&device, posix)?;
        let (nodes, handles) = (Nodes::new(root), Handles::default());
        Ok(Session { vfs, nodes, handles, valid: config.valid, owner, root, posix, mounter, device, agreed })
    }

    pub(crate) fn cx(&self) -> Cx {
        Cx::system(Priority::Interactive)
    }

    /// What callers are told of an object. Where the volume keeps no owners all is the mounter's.
    pub(crate) fn attributes(&self, attr: &Attr) -> Attributes {
        let ino = translate::ino(attr.id, self.root);
        match self.posix {
            true => translate::attributes(attr, ino),
            false => translate::attributes_of(self.mounter, attr, ino),
        }
    }

    /// Serves a request, here or in a task.
    fn take(self: &Arc<Self>, message: &Bytes) {
        let request = match Request::decode(message, self.agreed) {
            Ok(request) => request,
            Err(why) => {
                tracing::error!(%why, "a request of the kernel that is none");
                if let Ok(header) = Header::decode(message) {
                    self.device.refuse(header.unique, Errno::IO);
                }
                return;
            }
        };
        match &request.operation {
            Operation::Forget { lookups } => return self.nodes.forget(request.header.nodeid, *lookups),
            Operation::BatchForget(all) => {
                return all.iter().for_each(|forget| self.nodes.forget(forget.nodeid, forget.lookups));
            }
            // Nothing here waits for ever.
            Operation::Interrupt { .. } | Operation::NotifyReply => return,
            _ => {}
        }
        let mut work = Box::pin(self.clone().serve(request));
        let first = || work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if volume::waiting_here(first).is_pending() {
            tokio::spawn(work);
        }
    }

    async fn serve(self: Arc<Self>, request: Request) {
        let unique = request.header.unique;
        match serve::serve(&self, request).await {
            Ok(Reply::Done) => self.device.answer(unique, &[]),
            Ok(Reply::Payload(payload)) => self.device.answer(unique, &payload),
            Err(refused) => self.device.refuse(unique, refused.0),
        }
    }
}

/// Reads and serves requests until it is mounted no more.
pub(crate) fn serve_thread(session: &Arc<Session>, runtime: &Handle) {
    let _inside = runtime.enter();
    let mut buffer = Buffer::new(fuse_wire::read_buffer_len(IO_MAX_BYTES));
    loop {
        match session.device.next(&mut buffer) {
            Ok(Some(message)) => session.take(&message),
            Ok(None) => return,
            Err(errno) => return tracing::error!(%errno, "no more requests of the kernel"),
        }
    }
}

fn agree(device: &Device, posix: bool) -> Result<InitFlags, MountError> {
    let mut buffer = Buffer::new(fuse_wire::read_buffer_len(IO_MAX_BYTES));
    loop {
        let message = device.next(&mut buffer).map_err(MountError::new)?;
        let message = message.ok_or_else(|| MountError::new("it was unmounted at once"))?;
        let request = Request::decode(&message, InitFlags::empty()).map_err(MountError::new)?;
        let unique = request.header.unique;
        let Operation::Init(offer) = request.operation else {
            device.refuse(unique, Errno::IO);
            continue;
        };
        if offer.major > fuse_wire::MAJOR {
            // It asks again, in our version.
            device.answer(unique, &InitAnswer::default().encode());
            continue;
        }
        if offer.major < fuse_wire::MAJOR || offer.minor < fuse_wire::MINOR_MIN {
            device.refuse(unique, Errno::PROTO);
            return Err(MountError::new(format_args!(
                "the kernel speaks FUSE {}.{}: Linux 5.4 or later is needed",
                offer.major, offer.minor
            )));
        }
        let answer = answer(&offer, posix);
        device.answer(unique, &answer.encode());
        return Ok(answer.flags);
    }
}

fn answer(offer: &InitRequest, posix: bool) -> InitAnswer {
    let mut wanted = InitFlags::ASYNC_READ
        | InitFlags::BIG_WRITES
        | InitFlags::MAX_PAGES
        | InitFlags::ASYNC_DIO
        | InitFlags::PARALLEL_DIROPS
        | InitFlags::AUTO_INVAL_DATA
        | InitFlags::DO_READDIRPLUS
        | InitFlags::READDIRPLUS_AUTO
        | InitFlags::DONT_MASK
        | InitFlags::HANDLE_KILLPRIV_V2
        | InitFlags::SETXATTR_EXT
        | InitFlags::INIT_EXT
        | InitFlags::CACHE_SYMLINKS;
    // Told that there are no lists it would keep everybody out.
    wanted.set(InitFlags::POSIX_ACL, posix);
    InitAnswer {
        minor: offer.minor.min(fuse_wire::MINOR),
        flags: wanted & offer.flags,
        max_readahead: READAHEAD_BYTES.min(offer.max_readahead),
        max_background: MAX_BACKGROUND,
        congestion_threshold: MAX_BACKGROUND / 4 * 3,
        max_write: IO_MAX_BYTES,
        time_granularity: 1,
        max_pages: (IO_MAX_BYTES / PAGE_BYTES) as u16,
        ..InitAnswer::default()
    }
}

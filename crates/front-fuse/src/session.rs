//! A mount at work: what was agreed with the kernel, and the way of each request.
//!
//! A request is served by the thread that has read it, which may wait for a local disk ([`volume::waiting_here`]): local
//! volumes answer nearly all of them so. What waits for anything else becomes a task of the runtime, and the thread reads on.

use crate::backing::{Backing, BackingId};
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
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use vfs::{Open, Owner, Vfs};
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
    backing: Backing,
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
        let agreed = agree(&device, posix, config.backing.is_some())?;
        let backing = Backing::new(config.backing.filter(|_| agreed.contains(InitFlags::PASSTHROUGH)));
        let (nodes, handles, valid) = (Nodes::new(root), Handles::default(), config.valid);
        Ok(Session { vfs, nodes, handles, valid, owner, root, posix, mounter, device, backing, agreed })
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

    /// The request that is to be served and answered.
    fn request(&self, message: &Bytes) -> Option<Request> {
        let request = match Request::decode(message, self.agreed) {
            Ok(request) => request,
            Err(why) => {
                tracing::error!(%why, "a request of the kernel that is none");
                if let Ok(header) = Header::decode(message) {
                    self.device.refuse(header.unique, Errno::IO);
                }
                return None;
            }
        };
        match &request.operation {
            Operation::Forget { lookups } => self.nodes.forget(request.header.nodeid, *lookups),
            Operation::BatchForget(all) => {
                all.iter().for_each(|forget| self.nodes.forget(forget.nodeid, forget.lookups));
            }
            // Nothing here waits for ever.
            Operation::Interrupt { .. } | Operation::NotifyReply => {}
            _ => return Some(request),
        }
        None
    }

    async fn serve(self: Arc<Self>, request: Request) {
        let unique = request.header.unique;
        match serve::serve(&self, request).await {
            Ok(Reply::Done) => drop(self.device.answer(unique, &[])),
            Ok(Reply::Payload(payload)) => drop(self.device.answer(unique, &payload)),
            Ok(Reply::Gives(payload, given)) => {
                if !self.device.answer(unique, &payload) {
                    serve::take_back(&self, given).await;
                }
            }
            Err(refused) => self.device.refuse(unique, refused.0),
        }
    }

    /// By which backing file the kernel works on what is opened here, if it does.
    pub(crate) fn begin_content(&self, node: u64, open: &Open) -> Option<BackingId> {
        self.nodes.begin_content(node, || self.backing.begin(&self.device, open))
    }

    pub(crate) fn end_content(&self, node: u64) {
        if let Some(id) = self.nodes.end_content(node) {
            Backing::end(&self.device, id);
        }
    }
}

/// Reads and serves requests until it is mounted no more.
pub(crate) fn serve_thread(session: &Arc<Session>, runtime: &Handle) {
    let _inside = runtime.enter();
    let mut buffer = Buffer::new(fuse_wire::read_buffer_len(IO_MAX_BYTES));
    // One place for all: what serving takes is some kilobytes.
    let mut work = Box::pin(None);
    loop {
        let message = match session.device.next(&mut buffer) {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(errno) => return tracing::error!(%errno, "no more requests of the kernel"),
        };
        let Some(request) = session.request(&message) else { continue };
        work.set(Some(session.clone().serve(request)));
        let first =
            || work.as_mut().as_pin_mut().map(|work| work.poll(&mut Context::from_waker(Waker::noop())));
        match volume::waiting_here(first) {
            Some(Poll::Pending) => drop(tokio::spawn(go_on(std::mem::replace(&mut work, Box::pin(None))))),
            Some(Poll::Ready(())) | None => work.set(None),
        }
    }
}

/// What could not be served without waiting.
async fn go_on(mut work: Pin<Box<Option<impl Future<Output = ()>>>>) {
    if let Some(work) = work.as_mut().as_pin_mut() {
        work.await;
    }
}

fn agree(device: &Device, posix: bool, backs: bool) -> Result<InitFlags, MountError> {
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
        let answer = answer(&offer, posix, backs);
        device.answer(unique, &answer.encode());
        return Ok(answer.flags);
    }
}

fn answer(offer: &InitRequest, posix: bool, backs: bool) -> InitAnswer {
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
    wanted.set(InitFlags::PASSTHROUGH, backs);
    InitAnswer {
        minor: offer.minor.min(fuse_wire::MINOR),
        flags: wanted & offer.flags,
        max_readahead: READAHEAD_BYTES.min(offer.max_readahead),
        max_background: MAX_BACKGROUND,
        congestion_threshold: MAX_BACKGROUND / 4 * 3,
        max_write: IO_MAX_BYTES,
        time_granularity: 1,
        max_pages: (IO_MAX_BYTES / PAGE_BYTES) as u16,
        // On file systems that stand on no other.
        max_stack_depth: 1,
        ..InitAnswer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuse_wire::ROOT_ID;
    use testkit::{MemVolume, ease};
    use vfs::VfsConfig;
    use volume::VPath;

    /// A mount whose kernel takes no answer.
    async fn unheard() -> Arc<Session> {
        let volume = MemVolume::new();
        ease::put(&*volume, "f", "content").await;
        let vfs = Vfs::new(volume, VfsConfig::default());
        let root = vfs.look(&Cx::system(Priority::Interactive), &VPath::root()).await.unwrap().id;
        let owner = vfs.new_owner();
        Arc::new(Session {
            vfs,
            nodes: Nodes::new(root),
            handles: Handles::default(),
            valid: Duration::ZERO,
            owner,
            root,
            posix: false,
            mounter: (0, 0),
            device: Arc::new(Device::deaf()),
            backing: Backing::new(None),
            agreed: InitFlags::empty(),
        })
    }

    fn request(opcode: u32, nodeid: u64, body: &[u8]) -> Bytes {
        let mut message = vec![0; 40];
        message[..4].copy_from_slice(&(40 + body.len() as u32).to_ne_bytes());
        message[4..8].copy_from_slice(&opcode.to_ne_bytes());
        message[8..16].copy_from_slice(&1_u64.to_ne_bytes());
        message[16..24].copy_from_slice(&nodeid.to_ne_bytes());
        message.extend_from_slice(body);
        message.into()
    }

    #[tokio::test]
    async fn what_nobody_hears_of_is_given_back() {
        const LOOKUP: u32 = 1;
        const OPEN: u32 = 14;
        let session = unheard().await;
        let serve = async |message: Bytes| {
            let request = session.request(&message).expect("it is to be answered");
            session.clone().serve(request).await;
        };
        serve(request(LOOKUP, ROOT_ID, b"f\0")).await;
        let file = session.vfs.look(&session.cx(), &VPath::parse("f").unwrap()).await.unwrap().id;
        let node = session.nodes.found(ROOT_ID, &"f".into(), file);
        session.nodes.forget(node, 1);
        assert!(session.nodes.file(node).is_none(), "the lookup was given back");
        let node = session.nodes.found(ROOT_ID, &"f".into(), file);
        serve(request(OPEN, node, &[0; 8])).await;
        assert_eq!(session.vfs.opens().opens, 0);
        assert!(session.handles.file(1).is_none());
    }
}

//! One open at the server.

use crate::attr::Look;
use crate::error::{Outcome, Trouble};
use crate::session::{Answer, Session, Step};
use bytes::Bytes;
use parking_lot::Mutex;
use smb_wire::close::{CloseAttributes, CloseRequest, CloseResponse};
use smb_wire::create::{
    CreateAction, CreateDisposition, CreateOptions, CreateRequest, CreateResponse, OplockLevel, ShareAccess,
};
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::file::FileClass;
use smb_wire::query_info::InfoType;
use smb_wire::set_info::SetInfoRequest;
use smb_wire::{AccessMask, FileId, NtStatus};
use smb2::types::Command;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Impersonation (MS-SMB2 2.2.13): the server acts as the user who logged on.
const IMPERSONATION: u32 = 2;

/// Which files this volume has open, by file id: those need care when their name goes.
#[derive(Default)]
pub(crate) struct Opens(Mutex<HashMap<u64, usize>>);

/// A file counted as open for as long as this lives.
pub(crate) struct Held {
    opens: Arc<Opens>,
    index: u64,
}

impl Opens {
    pub(crate) fn hold(self: &Arc<Opens>, index: u64) -> Held {
        *self.0.lock().entry(index).or_default() += 1;
        Held { opens: self.clone(), index }
    }

    pub(crate) fn is_held(&self, index: u64) -> bool {
        self.0.lock().contains_key(&index)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut opens = self.opens.0.lock();
        if let Some(count) = opens.get_mut(&self.index) {
            *count -= 1;
            if *count == 0 {
                opens.remove(&self.index);
            }
        }
    }
}

/// How to open.
pub(crate) struct Door {
    /// As the server knows it.
    pub(crate) path: String,
    pub(crate) access: AccessMask,
    pub(crate) disposition: CreateDisposition,
    pub(crate) options: CreateOptions,
    /// For a new file.
    pub(crate) attributes: FileAttributes,
}

impl Door {
    /// To what is there.
    pub(crate) fn to(path: String, access: AccessMask, options: CreateOptions) -> Door {
        let access = access | AccessMask::READ_ATTRIBUTES | AccessMask::SYNCHRONIZE;
        Door {
            path,
            access,
            disposition: CreateDisposition::Open,
            options,
            attributes: FileAttributes::empty(),
        }
    }

    fn step(&self) -> Step {
        let request = CreateRequest {
            oplock_level: OplockLevel::NONE,
            impersonation_level: IMPERSONATION,
            desired_access: self.access,
            file_attributes: self.attributes,
            // The volume's users are kept apart above; here nobody shuts another out.
            share_access: ShareAccess::READ | ShareAccess::WRITE | ShareAccess::DELETE,
            create_disposition: self.disposition,
            create_options: self.options,
            name: self.path.clone(),
            contexts: Vec::new(),
        };
        Step::new(Command::Create, |body| request.encode(body))
    }
}

/// What opening gave.
pub(crate) struct Entered {
    pub(crate) handle: Handle,
    pub(crate) look: Look,
    pub(crate) created: bool,
    /// The answer to the request that went along.
    pub(crate) along: Option<Outcome<Answer>>,
}

/// An open. Dropping it closes it without waiting.
pub(crate) struct Handle {
    session: Arc<Session>,
    pub(crate) id: FileId,
    closed: AtomicBool,
    /// The server does not know it any more.
    gone: AtomicBool,
}

/// Opens, looks, and sends `along` (which may be about [`FileId::RELATED`]) in one round trip. The work goes on
/// when the caller goes away, so that no open is forgotten at the server.
pub(crate) async fn enter(session: Arc<Session>, door: Door, along: Option<Step>) -> Outcome<Entered> {
    let work = tokio::spawn(async move {
        let mut steps = vec![door.step(), Look::step(FileId::RELATED)];
        steps.extend(along);
        let mut answers = session.chain(&steps).await?.into_iter();
        let (Some(opened), Some(looked)) = (answers.next(), answers.next()) else {
            return Err(Trouble::Broken("an open without its answers".into()));
        };
        let opened = CreateResponse::decode(&opened?.message)?;
        let handle = Handle::new(session, opened.file_id);
        let look = Look::of_all(&looked?.info()?)?;
        let created = opened.create_action == CreateAction::Created;
        Ok(Entered { handle, look, created, along: answers.next() })
    });
    work.await.map_err(|why| Trouble::Broken(why.into()))?
}

/// Opens, looks and closes in one round trip.
pub(crate) async fn glance(session: &Session, door: &Door) -> Outcome<Look> {
    let steps = [door.step(), Look::step(FileId::RELATED), close_step(FileId::RELATED, false)];
    let mut answers = session.chain(&steps).await?.into_iter();
    let (Some(opened), Some(looked)) = (answers.next(), answers.next()) else {
        return Err(Trouble::Broken("an open without its answers".into()));
    };
    opened?;
    Look::of_all(&looked?.info()?)
}

fn close_step(file_id: FileId, post_query_attributes: bool) -> Step {
    let request = CloseRequest { post_query_attributes, file_id };
    Step::new(Command::Close, |body| request.encode(body))
}

impl Handle {
    fn new(session: Arc<Session>, id: FileId) -> Handle {
        Handle { session, id, closed: AtomicBool::new(false), gone: AtomicBool::new(false) }
    }

    /// Whether it is gone, alone or with its session.
    pub(crate) fn is_lost(&self) -> bool {
        self.gone.load(Ordering::Acquire) || self.session.is_lost()
    }

    /// Largest READ or WRITE, bytes.
    pub(crate) fn io_size(&self) -> u32 {
        self.session.io_size
    }

    /// Largest answer to a listing, bytes.
    pub(crate) fn listing_size(&self) -> u32 {
        self.session.listing_size
    }

    pub(crate) async fn ask(&self, step: &Step) -> Outcome<Answer> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Trouble::HandleGone(NtStatus::FILE_CLOSED));
        }
        let answer = self.session.ask(step).await;
        if let Err(Trouble::HandleGone(_)) = answer {
            self.gone.store(true, Ordering::Release);
        }
        answer
    }

    /// The same for a request that takes no turn.
    pub(crate) async fn ask_unbounded(&self, step: &Step) -> Outcome<Answer> {
        self.session.ask_unbounded(step).await
    }

    pub(crate) async fn look(&self) -> Outcome<Look> {
        Look::of_all(&self.ask(&Look::step(self.id)).await?.info()?)
    }

    pub(crate) async fn set(&self, class: FileClass, data: Vec<u8>) -> Outcome<()> {
        let request = SetInfoRequest {
            info_type: InfoType::FILE,
            information_class: class.0,
            additional_information: 0,
            file_id: self.id,
            data: Bytes::from(data),
        };
        self.ask(&Step::new(Command::SetInfo, |body| request.encode(body))).await.map(drop)
    }

    /// Closes and hears of it. The attributes are as the file was left, if the server tells them.
    pub(crate) async fn close(&self) -> Outcome<Option<CloseAttributes>> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Err(Trouble::HandleGone(NtStatus::FILE_CLOSED));
        }
        let answer = self.session.ask(&close_step(self.id, true)).await?;
        Ok(CloseResponse::decode(&answer.message)?.attributes)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.closed.load(Ordering::Acquire) || self.is_lost() {
            return;
        }
        // Outside of a runtime the session's end closes it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (session, step) = (self.session.clone(), close_step(self.id, false));
        runtime.spawn(async move {
            if let Err(why) = session.ask(&step).await {
                tracing::debug!(?why, "closing a dropped handle");
            }
        });
    }
}

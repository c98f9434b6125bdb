//! A CREATE of an application that may have come from another client (MS-SMB2 3.3.5.9.13, 3.3.5.9.16).

use super::durable::Wants;
use super::name::Target;
use crate::open::{self, FileOpen, Open};
use crate::request::Request;
use crate::server::State;
use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::create::{CreateContext, CreateRequest};
use smb_wire::ids::Guid;
use std::sync::Arc;
use vfs::Vfs;

/// Which application opens.
pub(super) struct Asked {
    id: Guid,
    version: (u64, u64),
    client: u128,
}

/// The instance that a request names; only durable opens of the second form have one.
pub(super) fn asked(request: &Request, decoded: &CreateRequest, wants: &Wants) -> Option<Asked> {
    let Wants::DurableV2 { .. } = wants else { return None };
    let mut id = None;
    let mut version = (0, 0);
    for context in &decoded.contexts {
        match context {
            CreateContext::AppInstanceId(named) => id = Some(*named),
            CreateContext::AppInstanceVersion { high, low } => version = (*high, *low),
            _ => {}
        }
    }
    Some(Asked { id: id?, version, client: request.connection.client()?.id() })
}

/// Ends the opens of the file that the application has from other clients.
pub(super) async fn end_others(
    request: &Request,
    asked: &Asked,
    vfs: &Vfs,
    decoded: &CreateRequest,
) -> Result<(), NtStatus> {
    let server = &request.connection.server;
    let there = server.instances.of(asked.id);
    if there.is_empty() {
        return Ok(());
    }
    let file = match vfs.stat(&request.cx(), &Target::parse(&decoded.name)?.path).await {
        Ok(attr) => attr.id,
        Err(vfs::Error::NotFound | vfs::Error::PathNotFound) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let session = request.session()?;
    let mine = there
        .into_iter()
        .filter(|it| it.client != asked.client && it.file == file && session.is_of(&it.owner));
    for instance in mine {
        if asked.version != (0, 0) && instance.version >= asked.version {
            return Err(NtStatus::FILE_FORCED_CLOSED);
        }
        if let Some(file) = instance.open() {
            end(server, instance.id, &file).await;
        }
    }
    Ok(())
}

/// Ends one, wherever it is.
async fn end(server: &Arc<State>, id: u64, file: &Arc<FileOpen>) {
    if !server.kept.take_out(id) {
        server.take_out(file);
    }
    open::end_file(server, id, file).await;
}

impl Asked {
    /// The application has the file open now.
    pub(super) fn note(&self, request: &Request, open: &Arc<Open>) -> Result<(), NtStatus> {
        let instances = &request.connection.server.instances;
        instances.add(self.id, self.version, self.client, request.session()?, open);
        Ok(())
    }
}

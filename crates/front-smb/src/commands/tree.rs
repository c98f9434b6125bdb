//! TREE_CONNECT and TREE_DISCONNECT (MS-SMB2 3.3.5.7, 3.3.5.8).

use crate::open;
use crate::reply::Answer;
use crate::request::Request;
use crate::session::Target;
use smb_wire::negotiate::Dialect;
use smb_wire::tree::{
    ShareCapabilities, ShareFlags, ShareType, TreeConnectRequest, TreeConnectResponse, TreeDisconnectRequest,
    TreeDisconnectResponse,
};
use smb_wire::{AccessMask, NtStatus};

pub(super) fn connect(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = TreeConnectRequest::decode(&request.message).map_err(|error| error.status())?;
    let session = request.session()?;
    let name = share_name(&decoded.path)?;
    let (target, share_type, share_flags, maximal_access) = if name.eq_ignore_ascii_case("IPC$") {
        (Target::Pipes, ShareType::Pipe, ShareFlags::NO_CACHING, AccessMask::FILE_ALL)
    } else {
        // Strangers are not told whether there is a share that is not for them.
        let absent =
            if session.is_strangers() { NtStatus::ACCESS_DENIED } else { NtStatus::BAD_NETWORK_NAME };
        let share = request.connection.server.share(name).ok_or(absent)?;
        if !session.may_connect_to(&share) {
            return Err(NtStatus::ACCESS_DENIED);
        }
        let (mut share_flags, maximal_access) = (share.flags(), share.maximal_access());
        share_flags
            .set(ShareFlags::COMPRESS_DATA, share.compress && request.connection.compression().is_some());
        (Target::Disk(share), ShareType::Disk, share_flags, maximal_access)
    };
    let tree = session.add_tree(target, maximal_access)?;
    let mut capabilities = ShareCapabilities::empty();
    if let Target::Disk(share) = &tree.target
        && request.dialect() >= Dialect::SMB_3_0
        && request.connection.server.is_available(share)
    {
        capabilities |= ShareCapabilities::CONTINUOUS_AVAILABILITY;
    }
    let response = TreeConnectResponse { share_type, share_flags, capabilities, maximal_access };
    Ok(Answer { tree_id: Some(tree.id), ..Answer::ok(|body| response.encode(body)) })
}

/// The share of `\\server\share`.
fn share_name(path: &str) -> Result<&str, NtStatus> {
    let rest = path.strip_prefix(r"\\").ok_or(NtStatus::BAD_NETWORK_NAME)?;
    let (_server, share) = rest.split_once('\\').ok_or(NtStatus::BAD_NETWORK_NAME)?;
    if share.is_empty() || share.contains('\\') { Err(NtStatus::BAD_NETWORK_NAME) } else { Ok(share) }
}

pub(super) async fn disconnect(request: &Request) -> Result<Answer, NtStatus> {
    TreeDisconnectRequest::decode(&request.message).map_err(|error| error.status())?;
    let taken = request.session()?.take_tree(request.header.tree_id).ok_or(NtStatus::NETWORK_NAME_DELETED)?;
    open::close_all(&request.connection.server, taken).await;
    Ok(Answer::ok(|body| TreeDisconnectResponse.encode(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_names() {
        assert_eq!(share_name(r"\\host\share"), Ok("share"));
        for bad in [r"\\host\", r"\\host", "share", r"\\host\a\b"] {
            assert!(share_name(bad).is_err(), "{bad}");
        }
    }
}

//! FSCTL_SRV_ENUMERATE_SNAPSHOTS (MS-SMB2 3.3.5.15.1): the previous versions of a share.

use super::Output;
use crate::limits;
use crate::request::Request;
use crate::snapshots::SnapshotPattern;
use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::ioctl::IoctlRequest;
use smb_wire::ioctl::control::encode_snapshots;
use smb_wire::ioctl::snapshot::SnapshotTime;
use vfs::{Access, Links, OpenRequest, Owner, Want};

/// The answer without its names, as Windows demands room for it, bytes.
const HEAD_BYTES: usize = 16;

pub(super) async fn enumerate(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    request.open(decoded.file_id)?.file()?;
    let room = decoded.max_output_response as usize;
    if room < HEAD_BYTES {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let share = request.disk()?;
    let times = match &share.snapshots {
        Some(pattern) => times(request, &share.vfs, pattern).await?,
        None => Vec::new(),
    };
    let names: Vec<String> = times.iter().map(SnapshotTime::to_string).collect();
    let mut output = Vec::new();
    encode_snapshots(&names, room, &mut output);
    Output::of(output)
}

/// The snapshots that there are, newest first.
async fn times(
    request: &Request,
    vfs: &vfs::Vfs,
    pattern: &SnapshotPattern,
) -> Result<Vec<SnapshotTime>, NtStatus> {
    let cx = request.cx();
    let owner = Owner(request.session()?.id);
    let dir =
        OpenRequest { want: Want::Dir, ..OpenRequest::new(pattern.dir().clone(), Access::READ_DATA, owner) };
    let dir = match vfs.open(&cx, dir).await {
        // Nobody has made any yet.
        Err(vfs::Error::NotFound | vfs::Error::PathNotFound) => return Ok(Vec::new()),
        opened => opened.map_err(failed)?.open,
    };
    let mut times = Vec::new();
    let mut walk = dir.list(Links::Followed).map_err(failed)?;
    while let Some(entry) = walk.next(&cx).await.map_err(failed)? {
        times.extend(pattern.time(&entry.name).filter(|_| entry.attr.is_dir()));
    }
    dir.close(&cx).await.map_err(failed)?;
    times.sort_unstable_by(|one, other| other.cmp(one));
    if times.len() > limits::SNAPSHOTS_MAX {
        tracing::warn!(
            found = times.len(),
            most = limits::SNAPSHOTS_MAX,
            "only the newest snapshots are told"
        );
        times.truncate(limits::SNAPSHOTS_MAX);
    }
    Ok(times)
}

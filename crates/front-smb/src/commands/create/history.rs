//! Previous versions: a CREATE that names a time opens the file in the snapshot of that time (MS-SMB2 2.2.13.2.7,
//! MS-SMB 2.2.1.1.1). What lies in a snapshot is only read, whatever the client may do in the share.

use super::name::Target;
use crate::config::{READ_ONLY_ACCESS, Share};
use crate::veto;
use smb_wire::NtStatus;
use smb_wire::create::{CreateContext, CreateDisposition, CreateOptions, CreateRequest};
use smb_wire::ioctl::snapshot::SnapshotTime;
use std::borrow::Cow;
use vfs::{Access, Disposition, OpenRequest};

/// What can be had there.
const READABLE: Access = Access::from_bits_truncate(READ_ONLY_ACCESS.bits());

/// What a request says: a name, and a time if it is of the past.
pub(super) struct Meant {
    target: Target,
    time: Option<SnapshotTime>,
}

/// What a request means, read as this client spells names, and whether it lies in a snapshot.
pub(super) fn place(
    share: &Share,
    decoded: &CreateRequest,
    parse: fn(&str) -> Result<Target, NtStatus>,
) -> Result<(Target, bool), NtStatus> {
    let meant = meant(decoded, parse)?;
    // What the client says: where the snapshots lie is the share's own matter.
    veto::opening(share, &meant.target.path, super::disposition(decoded.create_disposition)?)?;
    meant.in_share(share)
}

pub(super) fn meant(
    decoded: &CreateRequest,
    parse: fn(&str) -> Result<Target, NtStatus>,
) -> Result<Meant, NtStatus> {
    let (name, in_name) = without_token(&decoded.name);
    let by_context = decoded.contexts.iter().find_map(|context| match context {
        CreateContext::TimeWarp(time) if time.0 != 0 => Some(SnapshotTime::from_file_time(*time)),
        _ => None,
    });
    Ok(Meant { target: parse(&name)?, time: by_context.or(in_name) })
}

impl Meant {
    /// Where that is, and whether it lies in a snapshot.
    pub(super) fn in_share(self, share: &Share) -> Result<(Target, bool), NtStatus> {
        let Meant { target, time } = self;
        let Some(time) = time else { return Ok((target, false)) };
        let pattern = share.snapshots.as_ref().ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
        let root = pattern.root(time).ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
        let mut names = target.path.components();
        let path =
            names.try_fold(root, |path, name| path.join(name)).map_err(|_| NtStatus::OBJECT_NAME_INVALID)?;
        Ok((Target { path, ..target }, true))
    }
}

/// A name without its component `@GMT-...`, and the time that this names.
fn without_token(name: &str) -> (Cow<'_, str>, Option<SnapshotTime>) {
    let Some(token) = name.split('\\').find(|part| SnapshotTime::from_name(part).is_some()) else {
        return (Cow::Borrowed(name), None);
    };
    let mut left: Vec<&str> = name.split('\\').collect();
    left.retain(|part| *part != token);
    (Cow::Owned(left.join("\\")), SnapshotTime::from_name(token))
}

/// Makes a request for something in a snapshot one that only reads: nothing is made or emptied there.
pub(super) fn read_only(wanted: &mut OpenRequest, options: CreateOptions) -> Result<(), NtStatus> {
    let makes = !matches!(wanted.disposition, Disposition::Open | Disposition::OpenIf);
    if makes || options.contains(CreateOptions::DELETE_ON_CLOSE) {
        return Err(NtStatus::MEDIA_WRITE_PROTECTED);
    }
    wanted.disposition = Disposition::Open;
    wanted.access &= READABLE;
    Ok(())
}

/// What a request gets for a name that is not in the snapshot: whoever would make it is told why not.
pub(super) fn missing(decoded: &CreateRequest) -> NtStatus {
    match decoded.create_disposition {
        CreateDisposition::OpenIf => NtStatus::MEDIA_WRITE_PROTECTED,
        _ => NtStatus::OBJECT_NAME_NOT_FOUND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_component_anywhere() {
        let time = SnapshotTime::from_name("@GMT-2026.11.21-07.05.09");
        for (name, left, token) in [
            ("a\\@GMT-2026.11.21-07.05.09\\b", "a\\b", time),
            ("@GMT-2026.11.21-07.05.09\\b", "b", time),
            ("@GMT-2026.11.21-07.05.09", "", time),
            ("a\\b", "a\\b", None),
            ("a@GMT-2026.11.21-07.05.09", "a@GMT-2026.11.21-07.05.09", None),
            ("@GMT-2026.13.21-07.05.09", "@GMT-2026.13.21-07.05.09", None),
        ] {
            assert_eq!(without_token(name), (Cow::Borrowed(left), token), "{name}");
        }
    }
}

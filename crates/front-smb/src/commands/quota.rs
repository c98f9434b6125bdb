//! Quotas of users in QUERY_INFO and SET_INFO (MS-SMB2 3.3.5.20.4, 3.3.5.21.4, MS-FSCC 2.4.41, 2.5.2), and what they leave of
//! the room on a volume.
//!
//! The volume keeps them (`volume::Volume::quotas`), or answers NOT_SUPPORTED. Everybody may ask for his own; others', and to
//! set any, needs SeManageVolumePrivilege. Who asks for all walks through them, from one request of an open of the quota file
//! to the next.

use crate::commands::file_info::file_time;
use crate::config::Share;
use crate::open::{Kind, Open};
use crate::request::Request;
use crate::status::failed;
use bytes::Bytes;
use smb_core::access::Privileges;
use smb_wire::fscc::file_system::ControlInformation;
use smb_wire::fscc::quota::{
    QuotaInformation, QuotaQuery, QuotaSelection, decode_quota_list, encode_quota_list,
};
use smb_wire::{AccessMask, NtStatus, Sid};
use volume::{ErrorKind, QuotaChange, QuotaFlags, QuotaRules, QuotasOf, Space, Time, UserQuota};

/// Where a walk through all quotas is: behind this user, or at the start.
pub(crate) type Place = parking_lot::Mutex<Option<Bytes>>;

/// The quotas that are asked for, in at most `room` bytes.
pub(super) async fn query(
    request: &Request,
    open: &Open,
    input: &[u8],
    room: usize,
) -> Result<Vec<u8>, NtStatus> {
    let share = request.disk()?;
    if !share.vfs.caps().quotas {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let asked = QuotaQuery::decode(input).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    let most = if asked.return_single { 1 } else { usize::MAX };
    match asked.whose {
        QuotaSelection::Of(sids) => {
            let me = &request.session()?.token.user;
            if sids.iter().any(|sid| sid != me) {
                may_manage(request)?;
            }
            let of = QuotasOf::Users(sids.iter().map(bytes_of).collect());
            let quotas = share.vfs.quotas(&request.cx(), &of).await.map_err(failed)?;
            Ok(encoded(&quotas, most, room)?.0)
        }
        QuotaSelection::All | QuotaSelection::From(_) => {
            may_manage(request)?;
            let Kind::Quota(place) = &open.kind else { return Err(NtStatus::INVALID_DEVICE_REQUEST) };
            let after = match &asked.whose {
                QuotaSelection::From(sid) => Some(bytes_of(sid)),
                _ if asked.restart_scan => None,
                _ => place.lock().clone(),
            };
            let quotas = share.vfs.quotas(&request.cx(), &QuotasOf::All { after }).await.map_err(failed)?;
            let (bytes, told) = encoded(&quotas, most, room)?;
            *place.lock() = Some(quotas[told - 1].user.clone());
            Ok(bytes)
        }
    }
}

/// As many of the first `most` as fit, and how many that are: one at least.
fn encoded(quotas: &[UserQuota], most: usize, room: usize) -> Result<(Vec<u8>, usize), NtStatus> {
    if quotas.is_empty() {
        return Err(NtStatus::NO_MORE_ENTRIES);
    }
    let list: Result<Vec<_>, NtStatus> = quotas.iter().take(most).map(wire_of).collect();
    let mut bytes = Vec::new();
    match encode_quota_list(&list?, room, &mut bytes) {
        0 => Err(NtStatus::BUFFER_TOO_SMALL),
        told => Ok((bytes, told)),
    }
}

fn wire_of(quota: &UserQuota) -> Result<QuotaInformation, NtStatus> {
    let sid = Sid::decode(&quota.user).map_err(|error| {
        tracing::warn!(%error, "the volume tells of a quota of nobody");
        NtStatus::UNSUCCESSFUL
    })?;
    let change_time = if quota.changed == Time(0) { Default::default() } else { file_time(quota.changed) };
    let UserQuota { used, threshold, limit, .. } = *quota;
    Ok(QuotaInformation { change_time, used, threshold, limit, sid })
}

fn bytes_of(sid: &Sid) -> Bytes {
    let mut bytes = Vec::with_capacity(sid.encoded_len());
    sid.encode(&mut bytes);
    bytes.into()
}

fn may_manage(request: &Request) -> Result<(), NtStatus> {
    match request.session()?.token.privileges.contains(Privileges::MANAGE_VOLUME) {
        true => Ok(()),
        false => Err(NtStatus::ACCESS_DENIED),
    }
}

/// The same, to change something: on a share that lets write.
fn may_set(request: &Request) -> Result<&Share, NtStatus> {
    let share = request.disk()?;
    if !share.vfs.caps().quotas {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    may_manage(request)?;
    match request.tree()?.maximal_access.contains(AccessMask::WRITE_DATA) {
        true => Ok(share),
        false => Err(NtStatus::ACCESS_DENIED),
    }
}

/// Sets the limits of the users in a list.
pub(super) async fn set(request: &Request, list: &[u8]) -> Result<(), NtStatus> {
    let share = may_set(request)?;
    let list = decode_quota_list(list).map_err(|_| NtStatus::INVALID_PARAMETER)?;
    let limits = |quota: &QuotaInformation| UserQuota {
        user: bytes_of(&quota.sid),
        changed: Time(0),
        used: 0,
        threshold: quota.threshold,
        limit: quota.limit,
    };
    let change = QuotaChange::Users(list.iter().map(limits).collect());
    share.vfs.set_quotas(&request.cx(), &change).await.map_err(failed)
}

/// FileFsControlInformation: what holds for everybody. A volume that keeps no quotas says that there are none.
pub(super) async fn rules(request: &Request) -> Result<ControlInformation, NtStatus> {
    let share = request.disk()?;
    if !share.vfs.caps().quotas {
        let none = UserQuota::UNLIMITED;
        return Ok(ControlInformation { default_quota_threshold: none, default_quota_limit: none, flags: 0 });
    }
    let rules = share.vfs.quota_rules(&request.cx()).await.map_err(failed)?;
    Ok(ControlInformation {
        default_quota_threshold: rules.threshold,
        default_quota_limit: rules.limit,
        flags: rules.flags.bits(),
    })
}

/// Sets it. Windows' wishes for its event log are not kept.
pub(super) async fn set_rules(request: &Request, data: &[u8]) -> Result<(), NtStatus> {
    let share = may_set(request)?;
    let sent = ControlInformation::decode(data).map_err(|_| NtStatus::INFO_LENGTH_MISMATCH)?;
    let rules = QuotaRules {
        flags: QuotaFlags::from_bits_truncate(sent.flags) & QuotaFlags::SETTABLE,
        threshold: sent.default_quota_threshold,
        limit: sent.default_quota_limit,
    };
    share.vfs.set_quotas(&request.cx(), &QuotaChange::Rules(rules)).await.map_err(failed)
}

/// Room on the share's volume, as its user may use it.
pub(super) async fn space(request: &Request) -> Result<Space, NtStatus> {
    let (share, cx) = (request.disk()?, request.cx());
    if !share.vfs.caps().quotas {
        return share.vfs.space(&cx).await.map_err(failed);
    }
    let of = QuotasOf::Users(vec![bytes_of(&request.session()?.token.user)]);
    let limits = async { tokio::try_join!(share.vfs.quotas(&cx, &of), share.vfs.quota_rules(&cx)) };
    let (space, limits) = tokio::join!(share.vfs.space(&cx), limits);
    let space = space.map_err(failed)?;
    match limits {
        Ok((quotas, rules)) => Ok(within(space, quotas.first(), &rules)),
        // What a cache remembers of the room is told without its origin; nobody can write there now.
        Err(vfs::Error::Volume(why)) if matches!(why.kind, ErrorKind::Offline | ErrorKind::TimedOut) => {
            Ok(space)
        }
        Err(why) => Err(failed(why)),
    }
}

/// What a limit leaves of `space`. Who has nothing and no own limit is held to that for everybody.
fn within(space: Space, own: Option<&UserQuota>, rules: &QuotaRules) -> Space {
    if !rules.flags.contains(QuotaFlags::ENFORCE) {
        return space;
    }
    let known = own.filter(|own| !own.is_unknown());
    let (used, limit) = known.map_or((0, rules.limit), |own| (own.used, own.limit));
    let left = limit.saturating_sub(used);
    Space { total: space.total.min(limit), available: space.available.min(left), ..space }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_at_the_limit() {
        let space = Space { total: 1000, free: 800, available: 700, unit: 10 };
        let enforced = QuotaRules { flags: QuotaFlags::SETTABLE, threshold: u64::MAX, limit: 500 };
        let own = |used, limit| UserQuota { user: Bytes::new(), changed: Time(0), used, threshold: 0, limit };
        let told = |own: UserQuota, rules| {
            let left = within(space, Some(&own), rules);
            (left.total, left.available, left.free)
        };
        assert_eq!(told(own(100, 300), &enforced), (300, 200, 800));
        assert_eq!(told(own(400, 300), &enforced), (300, 0, 800));
        assert_eq!(told(own(100, UserQuota::UNLIMITED), &enforced), (1000, 700, 800));
        assert_eq!(told(own(0, 0), &enforced), (500, 500, 800));
        let set_to_nothing = UserQuota { changed: Time(1), ..own(0, 0) };
        assert_eq!(told(set_to_nothing, &enforced), (0, 0, 800));
        let tracked = QuotaRules { flags: QuotaFlags::TRACK, ..enforced };
        assert_eq!(told(own(400, 300), &tracked), (1000, 700, 800));
    }
}

//! Leases that a CREATE asks for (MS-SMB2 3.3.5.9.8, 3.3.5.9.11).

use crate::breaks;
use crate::open::SharedLease;
use crate::request::Request;
use smb_wire::create::lease::LeaseVersion2;
use smb_wire::create::{CreateContext, CreateRequest, LeaseContext, LeaseFlags, LeaseKey, OplockLevel};
use smb_wire::negotiate::{Capabilities, Dialect};
use vfs::{Granted, Lease, LeaseId, OpenRequest};

/// The context, where the client asks for a lease instead of an oplock.
fn context(decoded: &CreateRequest) -> Option<&LeaseContext> {
    named(decoded).filter(|_| decoded.oplock_level == OplockLevel::LEASE)
}

fn named(decoded: &CreateRequest) -> Option<&LeaseContext> {
    decoded.contexts.iter().find_map(|context| match context {
        CreateContext::Lease(lease) => Some(lease),
        _ => None,
    })
}

/// The lease that a request asks for, where the connection has leases.
pub(super) fn asked(request: &Request, decoded: &CreateRequest) -> Option<SharedLease> {
    shared(request, context(decoded)?)
}

/// The lease that a request names which takes an open up again: whatever oplock level it says.
pub(super) fn of_reconnect(request: &Request, decoded: &CreateRequest) -> Option<SharedLease> {
    shared(request, named(decoded)?)
}

fn shared(request: &Request, lease: &LeaseContext) -> Option<SharedLease> {
    let agreement = request.connection.negotiated.get()?;
    if !agreement.capabilities.contains(Capabilities::LEASING) {
        return None;
    }
    let version2 = lease.version2.filter(|_| agreement.dialect >= Dialect::SMB_3_0);
    let names_parent = lease.flags.contains(LeaseFlags::PARENT_LEASE_KEY_SET);
    // That of another would not hear of what a guest changes.
    let parent = version2.filter(|_| names_parent && !request.session().is_ok_and(|it| it.is_guest()));
    Some(SharedLease { id: id(request, lease.key)?, parent: parent.map(|version2| version2.parent_key) })
}

/// Which lease the client means by a key. A guest may say that he is any client, so his leases are his session's alone.
pub(in crate::commands) fn id(request: &Request, LeaseKey(key): LeaseKey) -> Option<LeaseId> {
    let session = request.session().ok()?;
    let client = if session.is_guest() { session.id.into() } else { request.connection.client()?.id() };
    Some(LeaseId { client, key: u128::from_le_bytes(key) })
}

/// Puts what is asked for into the request to `vfs`.
pub(super) fn put(
    request: &Request,
    lease: Option<&SharedLease>,
    decoded: &CreateRequest,
    wanted: &mut OpenRequest,
) {
    let (Some(lease), Some(asked)) = (lease, context(decoded)) else { return };
    let agreement = request.connection.negotiated.get();
    let leases_directories =
        agreement.is_some_and(|it| it.capabilities.contains(Capabilities::DIRECTORY_LEASING));
    // The second form came with dialect 3.0.
    let version2 = asked.version2.filter(|_| agreement.is_some_and(|it| it.dialect >= Dialect::SMB_3_0));
    let epoch = version2.map(|version2| version2.epoch);
    wanted.lease = Some(Lease { id: lease.id, epoch, dirs: epoch.is_some() && leases_directories });
    wanted.parent_lease = lease.parent.map(|LeaseKey(key)| u128::from_le_bytes(key));
    wanted.caching = breaks::of_lease(asked.state);
}

/// The context that tells of a lease, in the form in which it began.
pub(super) fn answer(lease: &SharedLease, granted: Granted) -> LeaseContext {
    let mut flags = LeaseFlags::empty();
    flags.set(LeaseFlags::BREAK_IN_PROGRESS, granted.breaking);
    flags.set(LeaseFlags::PARENT_LEASE_KEY_SET, lease.parent.is_some() && granted.epoch.is_some());
    let parent_key = lease.parent.unwrap_or_default();
    LeaseContext {
        key: LeaseKey(lease.id.key.to_le_bytes()),
        state: breaks::lease_state(granted.caching),
        flags,
        version2: granted.epoch.map(|epoch| LeaseVersion2 { parent_key, epoch }),
    }
}

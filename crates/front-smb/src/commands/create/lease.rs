//! Leases that a CREATE asks for (MS-SMB2 3.3.5.9.8, 3.3.5.9.11).

use crate::breaks;
use crate::open::SharedLease;
use crate::request::Request;
use smb_wire::NtStatus;
use smb_wire::create::lease::LeaseVersion2;
use smb_wire::create::{CreateContext, CreateRequest, LeaseContext, LeaseFlags, LeaseKey, OplockLevel};
use smb_wire::negotiate::{Capabilities, Dialect};
use vfs::{Granted, Lease, OpenRequest, Vfs};

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

/// A part in the lease that a request asks for.
pub(super) fn asked(
    request: &Request,
    decoded: &CreateRequest,
    vfs: &Vfs,
) -> Result<Option<SharedLease>, NtStatus> {
    let Some(lease) = context(decoded).filter(|_| has_leases(request)) else { return Ok(None) };
    let session = request.session()?;
    let part = request.connection.server.leases.join(session, lease.key, vfs);
    let version2 = lease.version2.filter(|_| request.dialect() >= Dialect::SMB_3_0);
    let names_parent = lease.flags.contains(LeaseFlags::PARENT_LEASE_KEY_SET);
    let parent = version2.filter(|_| names_parent).map(|version2| version2.parent_key);
    Ok(Some(SharedLease { part, parent }))
}

/// The key of the lease that a request asks for.
pub(super) fn key(request: &Request, decoded: &CreateRequest) -> Option<LeaseKey> {
    context(decoded).filter(|_| has_leases(request)).map(|lease| lease.key)
}

/// The key of the one that a request names which takes an open up again: whatever oplock level it says.
pub(super) fn key_of_reconnect(request: &Request, decoded: &CreateRequest) -> Option<LeaseKey> {
    named(decoded).filter(|_| has_leases(request)).map(|lease| lease.key)
}

fn has_leases(request: &Request) -> bool {
    let agreement = request.connection.negotiated.get();
    agreement.is_some_and(|it| it.capabilities.contains(Capabilities::LEASING))
}

/// Puts what is asked for into the request to `vfs`.
pub(super) fn put(
    request: &Request,
    lease: Option<&SharedLease>,
    decoded: &CreateRequest,
    vfs: &Vfs,
    wanted: &mut OpenRequest,
) -> Result<(), NtStatus> {
    let (Some(lease), Some(asked)) = (lease, context(decoded)) else { return Ok(()) };
    let agreement = request.connection.negotiated.get();
    let leases_directories =
        agreement.is_some_and(|it| it.capabilities.contains(Capabilities::DIRECTORY_LEASING));
    // The second form came with dialect 3.0.
    let version2 = asked.version2.filter(|_| agreement.is_some_and(|it| it.dialect >= Dialect::SMB_3_0));
    let epoch = version2.map(|version2| version2.epoch);
    wanted.lease =
        Some(Lease { id: lease.part.lease.id, epoch, dirs: epoch.is_some() && leases_directories });
    let (session, leases) = (request.session()?, &request.connection.server.leases);
    wanted.parent_lease = lease.parent.and_then(|key| leases.of_parent(session, key, vfs));
    wanted.caching = breaks::of_lease(asked.state);
    Ok(())
}

/// The context that tells of a lease, in the form in which it began.
pub(super) fn answer(lease: &SharedLease, granted: Granted) -> LeaseContext {
    let mut flags = LeaseFlags::empty();
    flags.set(LeaseFlags::BREAK_IN_PROGRESS, granted.breaking);
    flags.set(LeaseFlags::PARENT_LEASE_KEY_SET, lease.parent.is_some() && granted.epoch.is_some());
    let parent_key = lease.parent.unwrap_or_default();
    LeaseContext {
        key: lease.part.lease.key(),
        state: breaks::lease_state(granted.caching),
        flags,
        version2: granted.epoch.map(|epoch| LeaseVersion2 { parent_key, epoch }),
    }
}

//! FSCTL_LMR_REQUEST_RESILIENCY (MS-SMB2 3.3.5.15.9): an open is kept when its client's connections are lost, whatever
//! it may cache.

use super::Output;
use crate::kept::Durability;
use crate::limits;
use crate::request::Request;
use smb_wire::NtStatus;
use smb_wire::ioctl::IoctlRequest;
use smb_wire::ioctl::control::ResiliencyRequest;
use smb_wire::negotiate::Dialect;
use std::time::Duration;

pub(super) async fn request(request: &Request, decoded: &IoctlRequest) -> Result<Output, NtStatus> {
    // A guest who comes back cannot prove to be the same.
    if request.dialect() < Dialect::SMB_2_1 || request.session()?.is_guest() {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    let asked = ResiliencyRequest::decode(&decoded.input).map_err(|error| error.status())?;
    let timeout = match Duration::from_millis(asked.timeout_ms.into()) {
        Duration::ZERO => limits::RESILIENT_TIMEOUT,
        timeout if timeout > limits::RESILIENT_TIMEOUT_MAX => return Err(NtStatus::INVALID_PARAMETER),
        timeout => timeout,
    };
    if let Some(records) = request.connection.server.config.records.as_ref().filter(|_| file.is_persistent())
    {
        records.put_timeout(open.id.persistent, timeout).await.map_err(|error| {
            tracing::error!(%error, "how long a persistent open is kept cannot be written down");
            NtStatus::IO_DEVICE_ERROR
        })?;
    }
    let client = request.connection.client().map(|client| client.id()).unwrap_or_default();
    let mut durability = file.durability.lock();
    let was = durability.unwrap_or(Durability {
        timeout,
        create_guid: None,
        client,
        persistent: false,
        resilient: true,
    });
    *durability = Some(Durability { timeout, resilient: true, ..was });
    Output::empty()
}

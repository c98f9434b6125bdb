//! What a CREATE says by itself, whatever the file (MS-SMB2 3.3.5.9).

use smb_wire::NtStatus;
use smb_wire::create::{CreateDisposition, CreateOptions, CreateRequest, ShareAccess};

/// Attributes that a request may name (MS-FSCC 2.6); others are refused.
const ATTRIBUTES_KNOWN: u32 = 0x0000_7FB7;
/// Options that no server grants (MS-SMB2 3.3.5.9).
const OPTIONS_REFUSED: CreateOptions = CreateOptions::OPEN_BY_FILE_ID
    .union(CreateOptions::RESERVE_OPFILTER)
    .union(CreateOptions::CREATE_TREE_CONNECTION);
/// Options beyond these are refused.
const OPTIONS_KNOWN: u32 = 0x00FF_FFFF;
/// Access that a request may name.
const ACCESS_KNOWN: u32 = 0xF31F_01FF;
pub(super) const IMPERSONATION_MAX: u32 = 3;

/// What a request must not say, whatever the file.
pub(super) fn check(decoded: &CreateRequest) -> Result<(), NtStatus> {
    if decoded.impersonation_level > IMPERSONATION_MAX {
        return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
    }
    let access = decoded.desired_access;
    if access.bits() & !ACCESS_KNOWN != 0 || access.is_empty() {
        return Err(NtStatus::ACCESS_DENIED);
    }
    let options = decoded.create_options;
    if options.intersects(OPTIONS_REFUSED) {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let both = CreateOptions::DIRECTORY_FILE | CreateOptions::NON_DIRECTORY_FILE;
    if options.bits() & !OPTIONS_KNOWN != 0 || options.contains(both) {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if decoded.share_access.bits()
        & !ShareAccess::READ.union(ShareAccess::WRITE).union(ShareAccess::DELETE).bits()
        != 0
        || decoded.file_attributes.bits() & !ATTRIBUTES_KNOWN != 0
    {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let empties = matches!(
        decoded.create_disposition,
        CreateDisposition::Supersede | CreateDisposition::Overwrite | CreateDisposition::OverwriteIf
    );
    if options.contains(CreateOptions::DIRECTORY_FILE) && empties {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Ok(())
}

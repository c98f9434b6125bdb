//! Well-formed requests with the choices of an ordinary client; tests change a field where they differ.

use bytes::Bytes;
use smb_wire::change_notify::{ChangeNotifyRequest, CompletionFilter};
use smb_wire::close::CloseRequest;
use smb_wire::create::{CreateDisposition, CreateOptions, CreateRequest, OplockLevel, ShareAccess};
use smb_wire::echo::EchoRequest;
use smb_wire::flush::FlushRequest;
use smb_wire::fscc::FileAttributes;
use smb_wire::ioctl::{Fsctl, IOCTL_IS_FSCTL, IoctlRequest};
use smb_wire::lock::{LockElement, LockFlags, LockRequest};
use smb_wire::oplock_break::{BreakAcknowledgement, OplockBreak};
use smb_wire::query_directory::{QueryDirectoryFlags, QueryDirectoryRequest};
use smb_wire::query_info::{InfoType, QueryInfoFlags, QueryInfoRequest};
use smb_wire::read::ReadRequest;
use smb_wire::session_setup::LogoffRequest;
use smb_wire::set_info::SetInfoRequest;
use smb_wire::tree::{TreeConnectFlags, TreeConnectRequest, TreeDisconnectRequest};
use smb_wire::write::{WriteFlags, WriteRequest};
use smb_wire::{AccessMask, FileId, Request};

/// All that a file's owner does with it.
pub const FULL_ACCESS: AccessMask = AccessMask::from_bits_retain(0x001F_01FF);
/// FileBothDirectoryInformation (MS-FSCC 2.4.8).
const BOTH_DIRECTORY: u8 = 3;
/// Room for an answer, bytes.
const ROOM: u32 = 65_536;

pub fn tree_connect(share: &str) -> Request {
    let path = format!(r"\\server\{share}");
    Request::TreeConnect(TreeConnectRequest { flags: TreeConnectFlags::empty(), path })
}

pub fn tree_disconnect() -> Request {
    Request::TreeDisconnect(TreeDisconnectRequest)
}

pub fn logoff() -> Request {
    Request::Logoff(LogoffRequest)
}

pub fn echo() -> Request {
    Request::Echo(EchoRequest)
}

/// Opens what is there or makes a file, shared with everybody.
pub fn create(name: &str) -> CreateRequest {
    CreateRequest {
        oplock_level: OplockLevel::NONE,
        impersonation_level: 2,
        desired_access: FULL_ACCESS,
        file_attributes: FileAttributes::empty(),
        share_access: ShareAccess::READ | ShareAccess::WRITE | ShareAccess::DELETE,
        create_disposition: CreateDisposition::OpenIf,
        create_options: CreateOptions::empty(),
        name: name.to_owned(),
        contexts: Vec::new(),
    }
}

pub fn open(name: &str) -> Request {
    Request::Create(create(name))
}

/// Opens or makes a directory.
pub fn directory(name: &str) -> Request {
    Request::Create(CreateRequest { create_options: CreateOptions::DIRECTORY_FILE, ..create(name) })
}

pub fn close(file_id: FileId) -> Request {
    Request::Close(CloseRequest { post_query_attributes: true, file_id })
}

pub fn flush(file_id: FileId) -> Request {
    Request::Flush(FlushRequest { reserved1: 0, file_id })
}

pub fn read(file_id: FileId, offset: u64, length: u32) -> Request {
    let fields = ReadRequest { padding: 0, flags: 0, length, offset, file_id, minimum_count: 0 };
    Request::Read(fields)
}

pub fn write(file_id: FileId, offset: u64, data: &[u8]) -> Request {
    let data = Bytes::copy_from_slice(data);
    Request::Write(WriteRequest { offset, file_id, flags: WriteFlags::empty(), data })
}

/// A WRITE without its `length` bytes of data, which come behind it.
pub fn write_head(file_id: FileId, offset: u64, length: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(48);
    write(file_id, offset, &[]).encode(&mut body);
    body[4..8].copy_from_slice(&(length as u32).to_le_bytes());
    body
}

pub fn lock(file_id: FileId, offset: u64, length: u64, flags: LockFlags) -> Request {
    let locks = vec![LockElement { offset, length, flags }];
    Request::Lock(LockRequest { sequence_index: 0, sequence_number: 0, file_id, locks })
}

pub fn ioctl(file_id: FileId, ctl_code: Fsctl, input: &[u8]) -> Request {
    Request::Ioctl(IoctlRequest {
        ctl_code,
        file_id,
        max_input_response: 0,
        max_output_response: ROOM,
        flags: IOCTL_IS_FSCTL,
        input: Bytes::copy_from_slice(input),
    })
}

pub fn query_directory(file_id: FileId, pattern: &str) -> Request {
    Request::QueryDirectory(QueryDirectoryRequest {
        information_class: BOTH_DIRECTORY,
        flags: QueryDirectoryFlags::RESTART_SCANS,
        file_index: 0,
        file_id,
        output_buffer_length: ROOM,
        pattern: pattern.to_owned(),
    })
}

/// Goes on listing.
pub fn query_directory_on(file_id: FileId, pattern: &str) -> Request {
    let Request::QueryDirectory(first) = query_directory(file_id, pattern) else { unreachable!() };
    Request::QueryDirectory(QueryDirectoryRequest { flags: QueryDirectoryFlags::empty(), ..first })
}

/// Waits for a change of names below a directory.
pub fn notify(file_id: FileId) -> Request {
    Request::ChangeNotify(ChangeNotifyRequest {
        watch_tree: true,
        output_buffer_length: ROOM,
        file_id,
        completion_filter: CompletionFilter::FILE_NAME | CompletionFilter::DIR_NAME,
    })
}

pub fn query_info(file_id: FileId, info_type: InfoType, information_class: u8) -> Request {
    Request::QueryInfo(QueryInfoRequest {
        info_type,
        information_class,
        output_buffer_length: ROOM,
        // Owner, group and DACL, where a descriptor is asked for.
        additional_information: 7,
        flags: QueryInfoFlags::empty(),
        file_id,
        input: Bytes::new(),
    })
}

pub fn set_info(file_id: FileId, info_type: InfoType, information_class: u8, data: &[u8]) -> Request {
    Request::SetInfo(SetInfoRequest {
        info_type,
        information_class,
        additional_information: 0,
        file_id,
        data: Bytes::copy_from_slice(data),
    })
}

pub fn acknowledge(file_id: FileId, oplock_level: OplockLevel) -> Request {
    Request::OplockBreak(BreakAcknowledgement::Oplock(OplockBreak { oplock_level, file_id }))
}

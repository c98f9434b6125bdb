//! Requests that a program's steps stand for.

use super::program::What;
use bytes::Bytes;
use smb_raw::requests;
use smb_wire::change_notify::ChangeNotifyRequest;
use smb_wire::create::context::DurableFlags;
use smb_wire::create::lease::LeaseVersion2;
use smb_wire::create::{
    CreateContext, CreateDisposition, CreateOptions, LeaseContext, LeaseFlags, LeaseKey, LeaseState,
    OplockLevel, ShareAccess,
};
use smb_wire::ioctl::Fsctl;
use smb_wire::lock::{LockElement, LockFlags, LockRequest};
use smb_wire::oplock_break::{BreakAcknowledgement, LeaseBreak};
use smb_wire::query_info::InfoType;
use smb_wire::read::{READ_REQUEST_COMPRESSED, ReadRequest};
use smb_wire::{AccessMask, FileId, Request};

const NAMES: [&str; 8] = ["a", "b", "dir", r"dir\c", r"dir\sub", "", "srvsvc", "A"];
const DISPOSITIONS: [CreateDisposition; 6] = [
    CreateDisposition::OpenIf,
    CreateDisposition::Open,
    CreateDisposition::Create,
    CreateDisposition::OverwriteIf,
    CreateDisposition::Supersede,
    CreateDisposition::Overwrite,
];
const CODES: [Fsctl; 8] = [
    Fsctl::SRV_REQUEST_RESUME_KEY,
    Fsctl::SRV_COPYCHUNK,
    Fsctl::SET_ZERO_DATA,
    Fsctl::QUERY_ALLOCATED_RANGES,
    Fsctl::PIPE_TRANSCEIVE,
    Fsctl::SET_SPARSE,
    Fsctl::QUERY_NETWORK_INTERFACE_INFO,
    Fsctl::CREATE_OR_GET_OBJECT_ID,
];
const INFO_CLASSES: [u8; 6] = [18, 34, 5, 22, 14, 4];

/// Any of a list.
fn one<T: Copy>(list: &[T], which: u8) -> T {
    list[usize::from(which) % list.len()]
}

/// Places that are worth it: the beginning, the end of a block, the end of numbers.
fn offset(at: u8) -> u64 {
    match at {
        0..200 => u64::from(at) * 512,
        200..240 => u64::from(at) << 20,
        _ => i64::MAX as u64 - u64::from(at - 240),
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The request; `open` is the one that it names, `kept` one that a client may want back.
pub fn request(what: &What, open: FileId, kept: FileId) -> Request {
    match *what {
        What::Echo => requests::echo(),
        What::LogOff => requests::logoff(),
        What::TreeConnect { pipes } => requests::tree_connect(if pipes { "IPC$" } else { "share" }),
        What::TreeDisconnect => requests::tree_disconnect(),
        What::Create { name, choice, caching, durable } => create(name, choice, caching, durable, kept),
        What::Close => requests::close(open),
        What::Flush => requests::flush(open),
        What::Read { at, length } => read(open, at, length),
        What::Write { at, length } => requests::write(open, offset(at), &vec![at; usize::from(length) * 16]),
        What::Lock { at, flags, sequence } => lock(open, at, flags, sequence),
        What::Notify { tree } => match requests::notify(open) {
            Request::ChangeNotify(notify) => {
                Request::ChangeNotify(ChangeNotifyRequest { watch_tree: tree, ..notify })
            }
            other => other,
        },
        What::List { pattern } => requests::query_directory(open, one(&["*", "a", "?", "nothing"], pattern)),
        What::Ask { class } if class > 200 => requests::query_info(open, InfoType::SECURITY, 0),
        What::Ask { class } if class > 170 => requests::query_info(open, InfoType::FILE_SYSTEM, class & 7),
        What::Ask { class } => requests::query_info(open, InfoType::FILE, one(&INFO_CLASSES, class)),
        What::Rename { name } => rename(open, name),
        What::Delete { yes } => requests::set_info(open, InfoType::FILE, 13, &[u8::from(yes)]),
        What::Resize { to } => requests::set_info(open, InfoType::FILE, 20, &offset(to % 220).to_le_bytes()),
        What::Control { code } => requests::ioctl(open, one(&CODES, code), &[code / 8; 32]),
        What::Acknowledge { level, lease: true } => {
            let lease = LeaseBreak {
                lease_key: key(level / 8),
                state: LeaseState::from_bits_retain(u32::from(level & 7)),
            };
            Request::OplockBreak(BreakAcknowledgement::Lease(lease))
        }
        What::Acknowledge { level, lease: false } => {
            requests::acknowledge(open, OplockLevel(one(&[0, 1, 8, 9, 0xFF], level)))
        }
    }
}

/// Every other one likes its answer compressed.
fn read(open: FileId, at: u8, length: u8) -> Request {
    let flags = if at & 1 == 1 { READ_REQUEST_COMPRESSED } else { 0 };
    match requests::read(open, offset(at), u32::from(length) * 200) {
        Request::Read(read) => Request::Read(ReadRequest { flags, ..read }),
        other => other,
    }
}

fn key(number: u8) -> LeaseKey {
    LeaseKey([number % 4 + 1; 16])
}

fn create(name: u8, choice: u8, caching: u8, durable: u8, kept: FileId) -> Request {
    let mut create = requests::create(one(&NAMES, name));
    create.create_disposition =
        if choice < 128 { CreateDisposition::OpenIf } else { one(&DISPOSITIONS, choice) };
    let directory = matches!(create.name.as_str(), "dir" | "" | r"dir\sub") && choice % 8 != 7;
    create.create_options.set(CreateOptions::DIRECTORY_FILE, directory);
    if choice % 16 == 5 {
        create.create_options |= CreateOptions::DELETE_ON_CLOSE;
    }
    if choice % 16 == 6 {
        create.desired_access = AccessMask::READ_DATA;
    }
    if choice % 16 == 9 {
        create.share_access = ShareAccess::READ;
    }
    // Half of the opens ask for an oplock or a lease.
    if caching >= 128 {
        create.oplock_level = OplockLevel(one(&[1, 8, 9, 0xFF, 0xFF, 0xFF], caching));
    }
    if create.oplock_level == OplockLevel::LEASE {
        let state = LeaseState::from_bits_retain(u32::from(caching & 7));
        let parent_key = LeaseKey::default();
        let version2 = (caching & 8 == 8).then_some(LeaseVersion2 { parent_key, epoch: 1 });
        let lease = LeaseContext { key: key(name), state, flags: LeaseFlags::empty(), version2 };
        create.contexts.push(CreateContext::Lease(lease));
    }
    create.contexts.extend(durability(durable, kept));
    Request::Create(create)
}

fn durability(durable: u8, file_id: FileId) -> Option<CreateContext> {
    let create_guid = [durable % 4; 16];
    let flags = DurableFlags::empty();
    Some(match durable {
        0..120 => return None,
        120..150 => CreateContext::DurableRequest,
        150..200 => {
            CreateContext::DurableRequestV2 { timeout_ms: u32::from(durable) * 100, flags, create_guid }
        }
        200..246 => return None,
        246..251 => CreateContext::DurableReconnectV2 { file_id, create_guid, flags },
        _ => CreateContext::DurableReconnect(file_id),
    })
}

fn lock(file_id: FileId, at: u8, flags: u8, sequence: u8) -> Request {
    let all = [
        LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY,
        LockFlags::SHARED | LockFlags::FAIL_IMMEDIATELY,
        LockFlags::EXCLUSIVE,
        LockFlags::SHARED,
        LockFlags::UNLOCK,
    ];
    let element = |at: u8| LockElement { offset: offset(at % 8), length: 600, flags: one(&all, flags) };
    let locks = (0..=flags / 128).map(|further| element(at.wrapping_add(further * 2))).collect();
    Request::Lock(LockRequest {
        sequence_index: u32::from(sequence / 64),
        sequence_number: sequence & 15,
        file_id,
        locks,
    })
}

fn rename(open: FileId, name: u8) -> Request {
    let name = utf16(one(&NAMES, name));
    let head = [&[1u8][..], &[0; 15], &(name.len() as u32).to_le_bytes()].concat();
    requests::set_info(open, InfoType::FILE, 10, &Bytes::from([head, name].concat()))
}

//! What the fields of some captures mean, as the clients' own tools print them.

use crate::captures::capture;
use bytes::Bytes;
use smb_wire::{
    AccessMask, FileTime, Header, Request, Sid,
    change_notify::CompletionFilter,
    create::{CreateContext, CreateRequest, CreateResponse, CreateResponseContext, LeaseState, OplockLevel},
    fscc::{
        FileAttributes,
        directory::{DirectoryClass, DirectoryEntry, DirectoryPage},
        ea,
        file::{BasicInformation, FileClass, StandardInformation, StreamEntry, encode_streams},
        file_system::{
            ControlInformation, DeviceInformation, ObjectIdInformation, SectorSizeInformation,
            SizeInformation,
        },
        set::SetFileInformation,
    },
    ioctl::{Fsctl, IoctlRequest, IoctlResponse, copy_chunk::CopyChunkRequest, network_interface},
    lock::LockFlags,
    negotiate::{Dialect, NegotiateContext, NegotiateRequest, NegotiateResponse, cipher, hash},
    oplock_break::LeaseBreakNotification,
    query_directory::QueryDirectoryResponse,
    query_info::QueryInfoResponse,
    rpc::{self, pdu::PacketType},
    security_descriptor::SecurityDescriptor,
    tree::TreeConnectRequest,
};

fn request(name: &str) -> Request {
    request_of(&capture(name))
}

fn request_of(message: &Bytes) -> Request {
    Request::decode(&Header::decode(message).unwrap(), message).unwrap()
}

fn answer(name: &str) -> Bytes {
    QueryInfoResponse::decode(&capture(name)).unwrap().data
}

#[test]
fn negotiate() {
    let request = NegotiateRequest::decode(&capture("negotiate-request-5")).unwrap();
    assert_eq!(request.dialects.first(), Some(&Dialect::SMB_2_0_2));
    assert_eq!(request.dialects.last(), Some(&Dialect::SMB_3_1_1));
    assert!(request.contexts.iter().any(|context| matches!(
        context,
        NegotiateContext::PreauthIntegrity { hash_algorithms, salt }
            if *hash_algorithms == [hash::SHA_512] && salt.len() == 32
    )));
    assert!(request.contexts.iter().any(|context| matches!(
        context,
        NegotiateContext::Encryption { ciphers } if ciphers.contains(&cipher::AES_128_GCM)
    )));
    let response = NegotiateResponse::decode(&capture("negotiate-response-5")).unwrap();
    assert_eq!(response.dialect, Dialect::SMB_3_1_1);
    assert_eq!(response.max_read_size, 8 << 20);
    assert!(!response.security_buffer.is_empty() && !response.contexts.is_empty());
}

#[test]
fn tree_connect() {
    let request = TreeConnectRequest::decode(&capture("tree-connect-request")).unwrap();
    assert!(request.path.starts_with("\\\\127.0.0.1\\"), "{}", request.path);
}

#[test]
fn create_with_contexts() {
    let request = CreateRequest::decode(&capture("create-request-DH2Q-MxAc-QFid-AlSi-RqLs")).unwrap();
    assert_eq!((request.name.as_str(), request.oplock_level), ("lease.txt", OplockLevel::LEASE));
    assert_eq!(request.desired_access, AccessMask::FILE_ALL);
    let [mxac, qfid, durable, lease, size] = &request.contexts[..] else {
        panic!("{:?}", request.contexts);
    };
    assert_eq!(*mxac, CreateContext::QueryMaximalAccess(None));
    assert_eq!(*qfid, CreateContext::QueryOnDiskId);
    assert!(matches!(durable, CreateContext::DurableRequestV2 { timeout_ms: 60_000, .. }));
    assert!(matches!(lease, CreateContext::Lease(lease)
        if lease.key.0 == [b'k'; 16] && lease.state.bits() == 7 && lease.version2.unwrap().epoch == 1));
    assert_eq!(*size, CreateContext::AllocationSize(65_536));

    let response = CreateResponse::decode(&capture("create-response-DH2Q-MxAc-QFid-AlSi-RqLs")).unwrap();
    let access = CreateResponseContext::MaximalAccess {
        status: smb_wire::NtStatus::SUCCESS,
        access: AccessMask::FILE_ALL,
    };
    assert!(response.contexts.contains(&access), "{:?}", response.contexts);
    let is_durable = |context: &_| matches!(context, CreateResponseContext::DurableV2 { .. });
    assert!(response.contexts.iter().any(is_durable));
}

#[test]
fn requests_of_many_kinds() {
    let Request::ChangeNotify(notify) = request("change-notify-request") else { panic!() };
    assert!(notify.watch_tree && notify.completion_filter.contains(CompletionFilter::FILE_NAME));
    let Request::Lock(lock) = request("lock-request") else { panic!() };
    assert_eq!((lock.locks[0].offset, lock.locks[0].length), (5, 6));
    assert_eq!(lock.locks[0].flags, LockFlags::EXCLUSIVE | LockFlags::FAIL_IMMEDIATELY);
    let Request::Write(write) = request("write-request") else { panic!() };
    assert!(write.data.starts_with(b"hello"));
    let Request::QueryDirectory(list) = request("query-directory-request-37") else { panic!() };
    assert_eq!(list.pattern, "*");
    let Request::SetInfo(set) = request("set-info-request-1-10") else { panic!() };
    let rename = SetFileInformation::decode(FileClass(set.information_class), &set.data).unwrap();
    assert!(matches!(rename, SetFileInformation::Rename(rename) if rename.name == "n.txt"));
    let Request::SetInfo(set) = request("set-info-request-1-15") else { panic!() };
    let ea = SetFileInformation::decode(FileClass(set.information_class), &set.data).unwrap();
    assert!(matches!(ea, SetFileInformation::ExtendedAttributes(list) if list[0].value == "xyz"));
}

#[test]
fn lease_break() {
    let notice = LeaseBreakNotification::decode(&capture("oplock-break-response-notification-44")).unwrap();
    assert_eq!(notice.lease_key.0, [b'k'; 16]);
    assert_eq!(notice.new_state, LeaseState::READ_CACHING | LeaseState::HANDLE_CACHING);
    assert!(notice.ack_required);
}

#[test]
fn information_of_a_file() {
    let written = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    let bytes = answer("query-info-response-1-4");
    let basic = BasicInformation::decode(&bytes).unwrap();
    assert_eq!(basic.file_attributes, FileAttributes::ARCHIVE);
    assert_eq!(written(&|out| basic.encode(out)), bytes);
    let bytes = answer("query-info-response-1-5");
    let standard = StandardInformation::decode(&bytes).unwrap();
    assert_eq!((standard.end_of_file, standard.link_count), (96, 1));
    assert_eq!(written(&|out| standard.encode(out)), bytes);
    let bytes = answer("query-info-response-3-0");
    let descriptor = SecurityDescriptor::decode(&bytes).unwrap();
    assert_eq!(descriptor.group, Some(Sid::unix_group(0)));
    assert_eq!(written(&|out| descriptor.encode(out)), bytes, "parts in the order that Samba answers");
    let dacl = descriptor.dacl.unwrap();
    assert_eq!(dacl.aces.len(), 3, "{dacl:?}");
}

/// Streams and extended attributes as Samba packs them.
#[test]
fn lists_of_a_file() {
    let bytes = answer("query-info-response-1-22");
    let stream = StreamEntry { name: "::$DATA".into(), size: 96, allocation_size: 65_536 };
    let mut written = Vec::new();
    assert!(encode_streams(&[stream], bytes.len(), &mut written));
    assert_eq!(written, bytes);
    let bytes = answer("query-info-response-1-15");
    let attributes = ea::decode_full_ea_list(&bytes).unwrap();
    assert!(attributes.iter().any(|attribute| attribute.value == "xyz"), "{attributes:?}");
    let mut written = Vec::new();
    assert_eq!(ea::encode_full_ea_list(&attributes, usize::MAX, &mut written), attributes.len());
    assert_eq!(written[..], bytes[..written.len()]);
    assert!(bytes[written.len()..].iter().all(|byte| *byte == 0));
}

/// Pages of every class, taken apart here and packed again by [`DirectoryPage`].
#[test]
fn directory_pages() {
    for code in [1, 2, 3, 12, 37, 38] {
        let class = DirectoryClass::from_code(code).unwrap();
        let message = capture(&format!("query-directory-response-{code}"));
        let bytes = QueryDirectoryResponse::decode(&message).unwrap().data;
        let mut page = DirectoryPage::new(class, bytes.len());
        let mut rest = &bytes[..];
        let mut count = 0;
        loop {
            let next = u32_at(rest, 0) as usize;
            let name_length = u32_at(rest, if code == 12 { 8 } else { 60 }) as usize;
            let name = smb_wire::name::decode(&rest[class.fixed_len()..][..name_length], "name").unwrap();
            let mut entry = DirectoryEntry { name: &name, file_index: u32_at(rest, 4), ..Default::default() };
            if code != 12 {
                let time = |at| FileTime(u64_at(rest, at));
                (entry.creation_time, entry.last_access_time) = (time(8), time(16));
                (entry.last_write_time, entry.change_time) = (time(24), time(32));
                (entry.end_of_file, entry.allocation_size) = (u64_at(rest, 40), u64_at(rest, 48));
                entry.file_attributes = FileAttributes::from_bits_retain(u32_at(rest, 56));
            }
            let short_name = match code {
                3 | 37 => smb_wire::name::decode(&rest[70..][..usize::from(rest[68])], "name").unwrap(),
                _ => String::new(),
            };
            entry.short_name = &short_name;
            match code {
                2 | 3 => entry.ea_size = u32_at(rest, 64),
                37 => (entry.ea_size, entry.file_id) = (u32_at(rest, 64), u128::from(u64_at(rest, 96))),
                38 => (entry.ea_size, entry.file_id) = (u32_at(rest, 64), u128::from(u64_at(rest, 72))),
                _ => {}
            }
            assert!(page.push(&entry));
            count += 1;
            if next == 0 {
                break;
            }
            rest = &rest[next..];
        }
        assert!(count >= 3, "class {code}: {count}");
        let written = page.finish();
        assert_eq!(written[..], bytes[..written.len()], "class {code}");
        assert!(bytes.len() - written.len() < 8, "class {code}");
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Classes of one fixed length: ours are as long as Samba's.
#[test]
fn lengths_of_file_system_classes() {
    let length = |class: u8| answer(&format!("query-info-response-2-{class}")).len();
    assert_eq!(length(3), SizeInformation::SIZE_LEN);
    assert_eq!(length(4), DeviceInformation::FIXED_LEN);
    assert_eq!(length(6), ControlInformation::FIXED_LEN);
    assert_eq!(length(7), SizeInformation::FULL_SIZE_LEN);
    assert_eq!(length(8), ObjectIdInformation::FIXED_LEN);
    assert_eq!(length(11), SectorSizeInformation::FIXED_LEN);
}

/// Payloads are slices of the message.
#[test]
fn payloads_are_not_copied() {
    let message = capture("write-request");
    let Request::Write(write) = request_of(&message) else { panic!() };
    assert!(message.as_ptr_range().contains(&write.data.as_ptr()));
}

#[test]
fn controls() {
    let copy = IoctlRequest::decode(&capture("ioctl-request-1440f2")).unwrap();
    assert_eq!(copy.ctl_code, Fsctl::SRV_COPYCHUNK);
    let copy = CopyChunkRequest::decode(&copy.input).unwrap();
    assert_eq!((copy.chunks[0].target_offset, copy.chunks[0].length), (4096, 16));
    let interfaces = IoctlResponse::decode(&capture("ioctl-response-1401fc")).unwrap().output;
    let listed = network_interface::decode_network_interfaces(&interfaces).unwrap();
    assert!(listed.iter().any(|interface| interface.address.to_string() == "127.0.0.1"), "{listed:?}");
    let mut written = Vec::new();
    assert!(network_interface::encode_network_interfaces(&listed, usize::MAX, &mut written));
    assert_eq!(written, interfaces);
}

/// The bind that smbclient sends to `srvsvc` is accepted.
#[test]
fn rpc_bind_of_a_client() {
    let bind = IoctlRequest::decode(&capture("ioctl-request-11c017")).unwrap();
    assert_eq!(bind.ctl_code, Fsctl::PIPE_TRANSCEIVE);
    let (header, _) = rpc::pdu::PacketHeader::decode(&bind.input).unwrap();
    assert!(matches!(header.packet_type, PacketType::BIND | PacketType::REQUEST));
}

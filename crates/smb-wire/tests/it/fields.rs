//! What the fields of some captures mean, as the clients' own tools print them.

use crate::captures::capture;
use bytes::Bytes;
use smb_wire::{
    AccessMask, Header, Request, Sid,
    change_notify::CompletionFilter,
    create::{CreateContext, CreateRequest, CreateResponse, CreateResponseContext, LeaseState, OplockLevel},
    fscc::{
        FileAttributes,
        file::{BasicInformation, FileClass, StandardInformation},
        set::SetFileInformation,
    },
    ioctl::{Fsctl, IoctlRequest, IoctlResponse, copy_chunk::CopyChunkRequest, network_interface},
    lock::LockFlags,
    negotiate::{Dialect, NegotiateContext, NegotiateRequest, NegotiateResponse, cipher, hash},
    oplock_break::LeaseBreakNotification,
    query_info::QueryInfoResponse,
    rpc::{self, pdu::PacketType},
    security_descriptor::SecurityDescriptor,
    tree::TreeConnectRequest,
};

fn request(name: &str) -> Request {
    let message = capture(name);
    Request::decode(&Header::decode(&message).unwrap(), &message).unwrap()
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
    let dacl = descriptor.dacl.unwrap();
    assert_eq!(dacl.aces.len(), 3, "{dacl:?}");
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

//! `decode(encode(x)) = x` for requests, and arbitrary bytes for every decoder.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use smb_wire::{
    AccessMask, Command, FileId, FileTime, HEADER_LEN, Header, Request,
    change_notify::{ChangeNotifyRequest, CompletionFilter},
    close::CloseRequest,
    create::{
        CreateContext, CreateDisposition, CreateOptions, CreateRequest, LeaseContext, LeaseFlags, LeaseKey,
        LeaseState, OplockLevel, ShareAccess, context::DurableFlags, lease::LeaseVersion2,
    },
    echo::EchoRequest,
    flush::FlushRequest,
    fscc::{
        FileAttributes,
        file::FileClass,
        reparse::{ReparseData, Symlink, decode_reparse_deletion},
        set::SetFileInformation,
    },
    ioctl::{
        Fsctl, IoctlRequest,
        control::{PipeWaitRequest, ReferralRequest},
        copy_chunk::{CopyChunkRequest, DuplicateExtents},
        negotiate_info::ValidateNegotiateRequest,
        network_interface::decode_network_interfaces,
        offload::{OffloadReadResponse, OffloadToken, OffloadWriteRequest},
        regions::RegionsRequest,
        sparse,
    },
    lock::{LockElement, LockFlags, LockRequest},
    negotiate::{Capabilities, Dialect, NegotiateContext, NegotiateRequest, SecurityMode},
    oplock_break::{BreakAcknowledgement, LeaseBreak, OplockBreak},
    query_directory::{QueryDirectoryFlags, QueryDirectoryRequest},
    query_info::{InfoType, QueryInfoFlags, QueryInfoRequest},
    read::ReadRequest,
    session_setup::{SessionSetupFlags, SessionSetupRequest},
    set_info::SetInfoRequest,
    split_compound,
    tree::{TreeConnectFlags, TreeConnectRequest},
    write::{WriteFlags, WriteRequest},
};

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..100).prop_map(Bytes::from)
}

fn file_id() -> impl Strategy<Value = FileId> {
    any::<(u64, u64)>().prop_map(|(persistent, volatile)| FileId { persistent, volatile })
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z\\\\.é日😀 ]{0,20}"
}

fn negotiate_context() -> impl Strategy<Value = NegotiateContext> {
    let list = || vec(any::<u16>(), 0..5);
    prop_oneof![
        (list(), payload())
            .prop_map(|(hash_algorithms, salt)| NegotiateContext::PreauthIntegrity { hash_algorithms, salt }),
        list().prop_map(|ciphers| NegotiateContext::Encryption { ciphers }),
        (any::<u32>(), list())
            .prop_map(|(flags, algorithms)| NegotiateContext::Compression { flags, algorithms }),
        name().prop_map(NegotiateContext::NetName),
        any::<u32>().prop_map(|flags| NegotiateContext::Transport { flags }),
        list().prop_map(|transforms| NegotiateContext::RdmaTransform { transforms }),
        list().prop_map(|algorithms| NegotiateContext::Signing { algorithms }),
        payload().prop_map(NegotiateContext::Posix),
        payload().prop_map(|data| NegotiateContext::Other { context_type: 0x0999, data }),
    ]
}

fn negotiate() -> impl Strategy<Value = Request> {
    let contexts = vec(negotiate_context(), 0..6);
    (any::<u16>(), any::<u32>(), any::<[u8; 16]>(), vec(any::<u16>(), 1..8), contexts).prop_map(
        |(security_mode, capabilities, client_guid, dialects, contexts)| {
            let mut dialects: Vec<_> = dialects.into_iter().map(Dialect).collect();
            if !contexts.is_empty() {
                dialects.push(Dialect::SMB_3_1_1);
            }
            Request::Negotiate(NegotiateRequest {
                security_mode: SecurityMode::from_bits_retain(security_mode),
                capabilities: Capabilities::from_bits_retain(capabilities),
                client_guid,
                dialects,
                contexts,
            })
        },
    )
}

fn lease() -> impl Strategy<Value = LeaseContext> {
    let version2 = any::<([u8; 16], u16)>()
        .prop_map(|(parent, epoch)| LeaseVersion2 { parent_key: LeaseKey(parent), epoch });
    (any::<[u8; 16]>(), any::<u32>(), any::<u32>(), option::of(version2)).prop_map(
        |(key, state, flags, version2)| LeaseContext {
            key: LeaseKey(key),
            state: LeaseState::from_bits_retain(state),
            flags: LeaseFlags::from_bits_retain(flags),
            version2,
        },
    )
}

fn create_context() -> impl Strategy<Value = CreateContext> {
    let durable = |bits: u32| DurableFlags::from_bits_retain(bits);
    prop_oneof![
        payload().prop_map(CreateContext::ExtendedAttributes),
        payload().prop_map(CreateContext::SecurityDescriptor),
        Just(CreateContext::DurableRequest),
        file_id().prop_map(CreateContext::DurableReconnect),
        any::<(u32, u32, [u8; 16])>().prop_map(move |(timeout_ms, flags, create_guid)| {
            CreateContext::DurableRequestV2 { timeout_ms, flags: durable(flags), create_guid }
        }),
        (file_id(), any::<[u8; 16]>(), any::<u32>()).prop_map(move |(file_id, create_guid, flags)| {
            CreateContext::DurableReconnectV2 { file_id, create_guid, flags: durable(flags) }
        }),
        any::<u64>().prop_map(CreateContext::AllocationSize),
        option::of(any::<u64>().prop_map(FileTime)).prop_map(CreateContext::QueryMaximalAccess),
        any::<u64>().prop_map(|time| CreateContext::TimeWarp(FileTime(time))),
        Just(CreateContext::QueryOnDiskId),
        lease().prop_map(CreateContext::Lease),
        payload().prop_map(CreateContext::Apple),
        any::<u32>().prop_map(|mode| CreateContext::Posix { mode }),
        any::<[u8; 16]>().prop_map(CreateContext::AppInstanceId),
        any::<(u64, u64)>().prop_map(|(high, low)| CreateContext::AppInstanceVersion { high, low }),
        payload().prop_map(|data| CreateContext::Other { tag: Bytes::from_static(b"Xyz12"), data }),
    ]
}

fn create() -> impl Strategy<Value = Request> {
    let disposition = prop_oneof![
        Just(CreateDisposition::Supersede),
        Just(CreateDisposition::Open),
        Just(CreateDisposition::OverwriteIf)
    ];
    (any::<u8>(), any::<[u32; 5]>(), disposition, name(), vec(create_context(), 0..5)).prop_map(
        |(oplock, [level, access, attributes, share, options], create_disposition, name, contexts)| {
            Request::Create(CreateRequest {
                oplock_level: OplockLevel(oplock),
                impersonation_level: level,
                desired_access: AccessMask::from_bits_retain(access),
                file_attributes: FileAttributes::from_bits_retain(attributes),
                share_access: ShareAccess::from_bits_retain(share),
                create_disposition,
                create_options: CreateOptions::from_bits_retain(options),
                name,
                contexts,
            })
        },
    )
}

fn session_and_tree() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<(u8, u8, u32, u64)>(), payload()).prop_map(
            |((flags, security_mode, capabilities, previous_session_id), security_buffer)| {
                let flags = SessionSetupFlags::from_bits_retain(flags);
                Request::SessionSetup(SessionSetupRequest {
                    flags,
                    security_mode,
                    capabilities,
                    previous_session_id,
                    security_buffer,
                })
            }
        ),
        (any::<u16>(), name()).prop_map(|(flags, path)| {
            let flags = TreeConnectFlags::from_bits_retain(flags);
            Request::TreeConnect(TreeConnectRequest { flags, path })
        }),
        Just(Request::Echo(EchoRequest)),
    ]
}

fn data() -> impl Strategy<Value = Request> {
    let lock = any::<(u64, u64, u32)>().prop_map(|(offset, length, flags)| LockElement {
        offset,
        length,
        flags: LockFlags::from_bits_retain(flags),
    });
    prop_oneof![
        (any::<bool>(), file_id()).prop_map(|(post_query_attributes, file_id)| {
            Request::Close(CloseRequest { post_query_attributes, file_id })
        }),
        (any::<u16>(), file_id())
            .prop_map(|(reserved1, file_id)| Request::Flush(FlushRequest { reserved1, file_id })),
        (any::<(u8, u8, u32, u64, u32)>(), file_id()).prop_map(
            |((padding, flags, length, offset, minimum_count), file_id)| {
                Request::Read(ReadRequest { padding, flags, length, offset, file_id, minimum_count })
            }
        ),
        (any::<(u64, u32)>(), file_id(), payload()).prop_map(|((offset, flags), file_id, data)| {
            let flags = WriteFlags::from_bits_retain(flags);
            Request::Write(WriteRequest { offset, file_id, flags, data })
        }),
        (0u32..1 << 28, 0u8..16, file_id(), vec(lock, 1..4)).prop_map(
            |(sequence_index, sequence_number, file_id, locks)| {
                Request::Lock(LockRequest { sequence_index, sequence_number, file_id, locks })
            }
        ),
        (any::<[u8; 16]>(), any::<u32>()).prop_map(|(key, state)| {
            let state = LeaseState::from_bits_retain(state);
            Request::OplockBreak(BreakAcknowledgement::Lease(LeaseBreak { lease_key: LeaseKey(key), state }))
        }),
        (any::<u8>(), file_id()).prop_map(|(level, file_id)| {
            let oplock_level = OplockLevel(level);
            Request::OplockBreak(BreakAcknowledgement::Oplock(OplockBreak { oplock_level, file_id }))
        }),
    ]
}

fn information() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<[u32; 4]>(), file_id(), payload()).prop_map(
            |([code, max_input_response, max_output_response, flags], file_id, input)| {
                Request::Ioctl(IoctlRequest {
                    ctl_code: Fsctl(code),
                    file_id,
                    max_input_response,
                    max_output_response,
                    flags,
                    input,
                })
            }
        ),
        (any::<(u8, u8, u32, u32)>(), file_id(), name()).prop_map(
            |((information_class, flags, file_index, output_buffer_length), file_id, pattern)| {
                Request::QueryDirectory(QueryDirectoryRequest {
                    information_class,
                    flags: QueryDirectoryFlags::from_bits_retain(flags),
                    file_index,
                    file_id,
                    output_buffer_length,
                    pattern,
                })
            }
        ),
        (any::<(bool, u32, u32)>(), file_id()).prop_map(
            |((watch_tree, output_buffer_length, filter), file_id)| {
                let completion_filter = CompletionFilter::from_bits_retain(filter);
                Request::ChangeNotify(ChangeNotifyRequest {
                    watch_tree,
                    output_buffer_length,
                    file_id,
                    completion_filter,
                })
            }
        ),
        (any::<(u8, u8, u32, u32, u32)>(), file_id(), payload()).prop_map(
            |((info_type, information_class, length, additional_information, flags), file_id, input)| {
                Request::QueryInfo(QueryInfoRequest {
                    info_type: InfoType(info_type),
                    information_class,
                    output_buffer_length: length,
                    additional_information,
                    flags: QueryInfoFlags::from_bits_retain(flags),
                    file_id,
                    input,
                })
            }
        ),
        (any::<(u8, u8, u32)>(), file_id(), payload()).prop_map(
            |((info_type, information_class, additional_information), file_id, data)| {
                Request::SetInfo(SetInfoRequest {
                    info_type: InfoType(info_type),
                    information_class,
                    additional_information,
                    file_id,
                    data,
                })
            }
        ),
    ]
}

fn check(request: &Request) -> Result<(), TestCaseError> {
    let header = Header::request(request.command(), 1);
    let mut message = Vec::new();
    header.encode_into(&mut message);
    request.encode(&mut message);
    let decoded = Request::decode(&header, &Bytes::from(message));
    prop_assert_eq!(decoded.as_ref(), Ok(request));
    Ok(())
}

proptest! {
    #[test]
    fn negotiate_survives(request in negotiate()) {
        check(&request)?;
    }

    #[test]
    fn create_survives(request in create()) {
        check(&request)?;
    }

    #[test]
    fn the_others_survive(request in prop_oneof![session_and_tree(), data(), information()]) {
        check(&request)?;
    }

    /// Right StructureSize, arbitrary fields: small values make offsets that nearly fit.
    #[test]
    fn any_body_is_read_or_refused(
        command in 0usize..Command::ALL.len(),
        mut body in vec(prop_oneof![Just(0u8), 0u8..160, any::<u8>()], 2..200),
    ) {
        const STRUCTURE_SIZES: [u8; 19] =
            [36, 25, 4, 9, 4, 57, 24, 24, 49, 49, 48, 57, 4, 4, 33, 32, 41, 33, 36];
        body[..2].copy_from_slice(&[STRUCTURE_SIZES[command], 0]);
        let header = Header::request(Command::ALL[command], 1);
        let mut message = Vec::with_capacity(HEADER_LEN + body.len());
        header.encode_into(&mut message);
        message.extend_from_slice(&body);
        let _ = Request::decode(&header, &message.into());
    }

    #[test]
    fn any_chain_ends(bytes in vec(any::<u8>(), 0..300)) {
        let parts = split_compound(bytes.clone().into()).count();
        prop_assert!(parts <= 1 + bytes.len() / HEADER_LEN);
    }

    /// Tokens are longer than what the test below makes.
    #[test]
    fn any_token_is_read_or_refused(
        mut bytes in vec(any::<u8>(), 500..560),
        length in 500u16..520,
        declared in prop_oneof![Just(528u32), Just(544)],
    ) {
        bytes[..4].copy_from_slice(&declared.to_le_bytes());
        let _ = OffloadReadResponse::decode(&bytes);
        let _ = OffloadWriteRequest::decode(&bytes);
        bytes[6..8].copy_from_slice(&length.to_be_bytes());
        let _ = OffloadToken::decode(&bytes);
    }

    #[test]
    fn any_payload_is_read_or_refused(bytes in vec(prop_oneof![Just(0u8), any::<u8>()], 0..120), class in any::<u8>()) {
        let shared = Bytes::from(bytes.clone());
        let _ = SetFileInformation::decode(FileClass(class), &shared);
        let _ = ReparseData::decode(&shared);
        let _ = ValidateNegotiateRequest::decode(&bytes);
        let _ = CopyChunkRequest::decode(&bytes);
        let _ = PipeWaitRequest::decode(&bytes);
        let _ = ReferralRequest::decode(&bytes);
        let _ = decode_network_interfaces(&bytes);
        let _ = sparse::decode_trim(&bytes);
        let _ = sparse::decode_zero_data(&bytes);
        let _ = decode_reparse_deletion(&shared);
        let _ = Symlink::decode_error(&shared);
        let _ = DuplicateExtents::decode_extended(&bytes);
        let _ = RegionsRequest::decode(&bytes);
    }
}

//! QUERY_INFO: what is known of files and file systems (MS-SMB2 3.3.5.20, MS-FSCC 2.4, 2.5).
//!
//! A buffer too short for the fixed part is INFO_LENGTH_MISMATCH; one that cuts the variable part gets what
//! fits, with BUFFER_OVERFLOW.

use crate::commands::{extended, file_info, posix, quota, security};
use crate::open::{FileOpen, Open};
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::error_response::ErrorResponse;
use smb_wire::fscc::file::{
    AccessInformation, AlignmentInformation, AllInformation, AttributeTagInformation, BasicInformation,
    CompressionInformation, EaInformation, FileClass, IdInformation, InternalInformation, ModeInformation,
    NameInformation, NetworkOpenInformation, PositionInformation, StandardInformation, StreamEntry,
    encode_streams,
};
use smb_wire::fscc::file_system::{
    AttributeInformation, ControlInformation, DeviceInformation, FileSystemAttributes, FileSystemClass,
    ObjectIdInformation, SectorSizeInformation, SizeInformation, VolumeInformation,
};
use smb_wire::fscc::posix::{POSIX_LEVEL, PosixFileSystemInformation};
use smb_wire::negotiate::Dialect;
use smb_wire::query_info::{InfoType, QueryInfoRequest, QueryInfoResponse, SecurityInformation};
use smb_wire::time::FileTime;
use smb_wire::{AccessMask, NtStatus};
use std::sync::atomic::Ordering;
use volume::{Attr, Carries, DosAttributes, Named};

/// Least room for classes that end in a name: their structure with one character of it, padded, as Windows
/// demands; bytes.
const VOLUME_MIN_BYTES: usize = 24;
const ATTRIBUTE_MIN_BYTES: usize = 16;
const ALTERNATE_NAME_MIN_BYTES: usize = 8;
const ALL_MIN_BYTES: usize = 104;
const STREAM_MIN_BYTES: usize = 32;

/// Sectors of device and partition are aligned; what is trimmed becomes free (MS-FSCC 2.5.7).
const SECTORS_ALIGNED: u32 = 0x3;
const SECTORS_TRIM: u32 = 0x8;

/// What a class answers: its bytes, and how many of them must fit.
struct Value {
    bytes: Vec<u8>,
    fixed: usize,
}

impl Value {
    fn of(fixed: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Value, NtStatus> {
        let mut bytes = Vec::with_capacity(fixed);
        encode(&mut bytes);
        Ok(Value { bytes, fixed })
    }
}

pub(super) async fn query(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = QueryInfoRequest::decode(&request.message).map_err(|error| error.status())?;
    if decoded.output_buffer_length > request.payload_max() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(decoded.output_buffer_length.max(decoded.input.len() as u32))?;
    let open = request.open(decoded.file_id)?;
    let room = request.answer_room(decoded.output_buffer_length).await?;
    Ok(room.with(answer_of(request, &open, &decoded).await?))
}

async fn answer_of(request: &Request, open: &Open, decoded: &QueryInfoRequest) -> Result<Answer, NtStatus> {
    let room = decoded.output_buffer_length as usize;
    let value = match decoded.info_type {
        InfoType::FILE if FileClass(decoded.information_class) == FileClass::FULL_EA => {
            let (bytes, cut) = extended::query(&request.cx(), open, open.file()?, decoded).await?;
            return Ok(answer(bytes, cut));
        }
        InfoType::FILE => file_value(request, open, FileClass(decoded.information_class)).await?,
        InfoType::FILE_SYSTEM => {
            file_system_value(request, open, FileSystemClass(decoded.information_class)).await?
        }
        InfoType::SECURITY => {
            let asked = SecurityInformation::from_bits_retain(decoded.additional_information);
            let bytes = security::query(request, open, asked).await?;
            if bytes.len() > room {
                return Ok(too_small(request, bytes.len() as u32));
            }
            let fixed = bytes.len();
            Value { bytes, fixed }
        }
        InfoType::QUOTA => {
            let bytes = quota::query(request, open, &decoded.input, room).await?;
            let fixed = bytes.len();
            Value { bytes, fixed }
        }
        _ => return Err(NtStatus::INVALID_PARAMETER),
    };
    let Value { mut bytes, fixed } = value;
    if room < fixed {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let cut = bytes.len() > room;
    bytes.truncate(room);
    Ok(answer(bytes, cut))
}

fn answer(bytes: Vec<u8>, cut: bool) -> Answer {
    let status = if cut { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS };
    let response = QueryInfoResponse { data: bytes.into() };
    Answer::with(status, |body| response.encode(body))
}

fn too_small(request: &Request, needed: u32) -> Answer {
    let in_context = request.dialect() == Dialect::SMB_3_1_1;
    let error = ErrorResponse::buffer_too_small(needed, in_context);
    Answer::with(NtStatus::BUFFER_TOO_SMALL, |body| error.encode(body))
}

/// Classes that tell attributes need the right to read them (MS-FSA 2.1.5.12).
fn needs_attributes(class: FileClass) -> bool {
    matches!(
        class,
        FileClass::BASIC
            | FileClass::ALL
            | FileClass::NETWORK_OPEN
            | FileClass::ATTRIBUTE_TAG
            | FileClass(POSIX_LEVEL)
    )
}

async fn file_value(request: &Request, open: &Open, class: FileClass) -> Result<Value, NtStatus> {
    let file = open.file()?;
    if needs_attributes(class) {
        open.needs_any(AccessMask::READ_ATTRIBUTES)?;
    }
    // These say nothing about the file itself.
    match class {
        FileClass::ACCESS => return Value::of(AccessInformation::FIXED_LEN, |out| access(open).encode(out)),
        FileClass::POSITION => {
            return Value::of(PositionInformation::FIXED_LEN, |out| position(file).encode(out));
        }
        FileClass::MODE => return Value::of(ModeInformation::FIXED_LEN, |out| mode(file).encode(out)),
        FileClass::ALIGNMENT => {
            return Value::of(AlignmentInformation::FIXED_LEN, |out| {
                AlignmentInformation::default().encode(out)
            });
        }
        FileClass::EA => {
            let ea_size = extended::size_of(&request.cx(), file).await?;
            return Value::of(EaInformation::FIXED_LEN, |out| EaInformation { ea_size }.encode(out));
        }
        FileClass::NORMALIZED_NAME if request.dialect() < Dialect::SMB_3_1_1 => {
            return Err(NtStatus::NOT_SUPPORTED);
        }
        FileClass::NAME | FileClass::NORMALIZED_NAME => {
            let name = NameInformation { name: path_name(file, class == FileClass::NAME)? };
            return Value::of(NameInformation::FIXED_LEN, |out| name.encode(out));
        }
        // Short names are not made; a name that is one is its own.
        FileClass::ALTERNATE_NAME => {
            let path = file.vfs.path().map_err(failed)?;
            let short = Some(path.name()).filter(|name| file_info::is_short(name));
            let name = NameInformation { name: short.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?.to_owned() };
            return Value::of(ALTERNATE_NAME_MIN_BYTES, |out| name.encode(out));
        }
        FileClass::STREAM => return streams(request, file).await,
        _ => {}
    }
    let attr = file.attr(&request.cx()).await.map_err(failed)?;
    match class {
        FileClass::ALL => {
            let ea_size = extended::size_of(&request.cx(), file).await?;
            all(open, file, &attr, ea_size)
        }
        _ => attribute_value(file, class, &attr),
    }
}

fn all(open: &Open, file: &FileOpen, attr: &Attr, ea_size: u32) -> Result<Value, NtStatus> {
    let value = AllInformation {
        basic: file_info::basic(attr),
        standard: standard(file, attr),
        internal: internal(attr),
        ea: EaInformation { ea_size },
        access: access(open),
        position: position(file),
        mode: mode(file),
        alignment: AlignmentInformation::default(),
        name: NameInformation { name: path_name(file, true)? },
    };
    Value::of(ALL_MIN_BYTES, |out| value.encode(out))
}

fn attribute_value(file: &FileOpen, class: FileClass, attr: &Attr) -> Result<Value, NtStatus> {
    let basic = file_info::basic(attr);
    match class {
        FileClass::BASIC => Value::of(BasicInformation::FIXED_LEN, |out| basic.encode(out)),
        FileClass::STANDARD => {
            Value::of(StandardInformation::FIXED_LEN, |out| standard(file, attr).encode(out))
        }
        FileClass::INTERNAL => Value::of(InternalInformation::FIXED_LEN, |out| internal(attr).encode(out)),
        FileClass::NETWORK_OPEN => {
            let value = NetworkOpenInformation {
                basic,
                allocation_size: file_info::allocation(attr),
                end_of_file: file_info::end_of_file(attr),
            };
            Value::of(NetworkOpenInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileClass::ATTRIBUTE_TAG => {
            let value = AttributeTagInformation {
                file_attributes: basic.file_attributes,
                reparse_tag: file_info::reparse_tag(attr),
            };
            Value::of(AttributeTagInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileClass::COMPRESSION => {
            let compressed = attr.dos.contains(DosAttributes::COMPRESSED);
            let compressed_file_size = file_info::end_of_file(attr);
            let value = CompressionInformation { compressed_file_size, compressed };
            Value::of(CompressionInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileClass::ID => {
            let file_id = u128::from(attr.id.hi) << 64 | u128::from(attr.id.lo);
            let value = IdInformation { volume_serial_number: attr.id.hi, file_id };
            Value::of(IdInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileClass(POSIX_LEVEL) if file.posix => {
            let value = posix::information(attr);
            Value::of(value.encoded_len(), |out| value.encode(out))
        }
        _ => Err(NtStatus::INVALID_INFO_CLASS),
    }
}

fn access(open: &Open) -> AccessInformation {
    AccessInformation { access: open.granted }
}

fn position(file: &FileOpen) -> PositionInformation {
    PositionInformation { offset: file.position.load(Ordering::Relaxed) }
}

fn mode(file: &FileOpen) -> ModeInformation {
    ModeInformation { mode: file.mode().bits() }
}

fn internal(attr: &Attr) -> InternalInformation {
    InternalInformation { index_number: attr.id.lo }
}

fn standard(file: &FileOpen, attr: &Attr) -> StandardInformation {
    let delete_pending = file.vfs.delete_pending();
    StandardInformation {
        allocation_size: file_info::allocation(attr),
        end_of_file: file_info::end_of_file(attr),
        link_count: if delete_pending { attr.links.saturating_sub(1) } else { attr.links },
        delete_pending,
        directory: attr.is_dir(),
    }
}

/// The path from the share's root, `\` between components and, with `rooted`, before the first.
fn path_name(file: &FileOpen, rooted: bool) -> Result<String, NtStatus> {
    let path = file.vfs.path().map_err(failed)?;
    let mut name = String::new();
    for component in path.components() {
        if rooted || !name.is_empty() {
            name.push('\\');
        }
        name.push_str(&vfs::names::to_smb(component));
    }
    if rooted && name.is_empty() {
        name.push('\\');
    }
    if let Some(stream) = file.vfs.stream() {
        name.push(':');
        name.push_str(&stream);
    }
    Ok(name)
}

/// The content of a file, and the named streams of files and directories.
async fn streams(request: &Request, file: &FileOpen) -> Result<Value, NtStatus> {
    let of = |name: String, size: u64| StreamEntry {
        name,
        size,
        allocation_size: size.next_multiple_of(file_info::UNIT_BYTES),
    };
    let cx = &request.cx();
    let mut entries = Vec::new();
    if let Some(attr) = file.vfs.content_attr(cx).await.map_err(failed)? {
        entries.push(StreamEntry {
            allocation_size: file_info::allocation(&attr),
            ..of("::$DATA".to_owned(), attr.size)
        });
    }
    let mut named = file.vfs.list_named(cx, Carries::STREAMS).await.map_err(failed)?;
    named.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in named {
        if let Named::Stream(name) = entry.name {
            entries.push(of(format!(":{name}:$DATA"), entry.size));
        }
    }
    let mut bytes = Vec::new();
    if !encode_streams(&entries, usize::MAX, &mut bytes) {
        return Err(NtStatus::BUFFER_OVERFLOW);
    }
    let fixed = bytes.len().min(STREAM_MIN_BYTES);
    Ok(Value { bytes, fixed })
}

async fn file_system_value(
    request: &Request,
    open: &Open,
    class: FileSystemClass,
) -> Result<Value, NtStatus> {
    let share = request.disk()?;
    match class {
        FileSystemClass::VOLUME => {
            let attr = open.file()?.attr(&request.cx()).await.map_err(failed)?;
            let value = VolumeInformation {
                creation_time: FileTime::from_unix(0, 0),
                serial_number: (attr.id.hi ^ (attr.id.hi >> 32)) as u32,
                label: share.name.clone(),
            };
            Value::of(VOLUME_MIN_BYTES, |out| value.encode(out))
        }
        FileSystemClass::SIZE | FileSystemClass::FULL_SIZE => {
            let space = quota::space(request).await?;
            let value = size(&space);
            if class == FileSystemClass::SIZE {
                Value::of(SizeInformation::SIZE_LEN, |out| value.encode_size(out))
            } else {
                Value::of(SizeInformation::FULL_SIZE_LEN, |out| value.encode_full_size(out))
            }
        }
        FileSystemClass::DEVICE => {
            Value::of(DeviceInformation::FIXED_LEN, |out| DeviceInformation::DISK.encode(out))
        }
        FileSystemClass::ATTRIBUTE => {
            let value = AttributeInformation {
                attributes: file_system_attributes(&share.vfs.caps()),
                max_component_length: vfs::names::SMB_NAME_MAX_UNITS as u32,
                // Clients choose their behaviour by this name; this one they all know.
                name: "NTFS".to_owned(),
            };
            Value::of(ATTRIBUTE_MIN_BYTES, |out| value.encode(out))
        }
        FileSystemClass::SECTOR_SIZE => {
            let trim = if share.vfs.caps().holes { SECTORS_TRIM } else { 0 };
            let flags = SECTORS_ALIGNED | trim;
            let value = SectorSizeInformation { logical_bytes: 512, physical_bytes: 4096, flags };
            Value::of(SectorSizeInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileSystemClass::CONTROL => {
            let value = quota::rules(request).await?;
            Value::of(ControlInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileSystemClass(POSIX_LEVEL) if open.file()?.posix => {
            let space = quota::space(request).await?;
            let device = open.file()?.attr(&request.cx()).await.map_err(failed)?.id.hi;
            let value = posix::file_system(&space, device);
            Value::of(PosixFileSystemInformation::FIXED_LEN, |out| value.encode(out))
        }
        FileSystemClass::OBJECT_ID => {
            let id = open.file()?.attr(&request.cx()).await.map_err(failed)?.id;
            let value = ObjectIdInformation { object_id: file_info::volume_object_id(id) };
            Value::of(ObjectIdInformation::FIXED_LEN, |out| value.encode(out))
        }
        _ => Err(NtStatus::INVALID_INFO_CLASS),
    }
}

fn size(space: &volume::Space) -> SizeInformation {
    const SECTOR: u32 = 512;
    let unit = u64::from(space.unit.max(SECTOR));
    SizeInformation {
        total_units: space.total / unit,
        caller_available_units: space.available / unit,
        actual_available_units: space.free / unit,
        sectors_per_unit: space.unit.max(SECTOR) / SECTOR,
        bytes_per_sector: SECTOR,
    }
}

fn file_system_attributes(caps: &volume::Caps) -> FileSystemAttributes {
    let mut attributes = FileSystemAttributes::CASE_PRESERVED_NAMES
        | FileSystemAttributes::UNICODE_ON_DISK
        | FileSystemAttributes::SUPPORTS_SPARSE_FILES;
    attributes.set(FileSystemAttributes::CASE_SENSITIVE_SEARCH, caps.case_sensitive);
    attributes.set(FileSystemAttributes::SUPPORTS_HARD_LINKS, caps.hard_links);
    attributes.set(FileSystemAttributes::READ_ONLY_VOLUME, caps.read_only);
    attributes.set(FileSystemAttributes::SUPPORTS_BLOCK_REFCOUNTING, caps.clones);
    attributes.set(FileSystemAttributes::FILE_COMPRESSION, caps.compression);
    attributes.set(FileSystemAttributes::SUPPORTS_REPARSE_POINTS, caps.symlinks);
    let carries = FileSystemAttributes::NAMED_STREAMS | FileSystemAttributes::SUPPORTS_EXTENDED_ATTRIBUTES;
    attributes.set(carries, caps.named);
    attributes.set(FileSystemAttributes::PERSISTENT_ACLS, caps.named);
    attributes.set(FileSystemAttributes::VOLUME_QUOTAS, caps.quotas);
    attributes
}

//! Codes of file system controls (MS-SMB2 2.2.31, MS-FSCC 2.3).

use std::fmt;

/// A control code. Numbers without a name are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fsctl(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal,)*) => {
        impl Fsctl {
            $(#[doc = concat!("`FSCTL_", stringify!($name), "`")] pub const $name: Self = Self($value);)*

            /// The name in the specification, when this crate knows the code.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(concat!("FSCTL_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    DFS_GET_REFERRALS = 0x0006_0194,
    DFS_GET_REFERRALS_EX = 0x0006_01B0,
    REQUEST_OPLOCK = 0x0009_0240,
    IS_PATHNAME_VALID = 0x0009_002C,
    GET_COMPRESSION = 0x0009_003C,
    SET_COMPRESSION = 0x0009_C040,
    FILESYSTEM_GET_STATISTICS = 0x0009_0060,
    GET_NTFS_VOLUME_DATA = 0x0009_0064,
    FIND_FILES_BY_SID = 0x0009_008F,
    SET_OBJECT_ID = 0x0009_0098,
    GET_OBJECT_ID = 0x0009_009C,
    DELETE_OBJECT_ID = 0x0009_00A0,
    SET_REPARSE_POINT = 0x0009_00A4,
    GET_REPARSE_POINT = 0x0009_00A8,
    DELETE_REPARSE_POINT = 0x0009_00AC,
    SET_OBJECT_ID_EXTENDED = 0x0009_00BC,
    CREATE_OR_GET_OBJECT_ID = 0x0009_00C0,
    SET_SPARSE = 0x0009_00C4,
    QUERY_ALLOCATED_RANGES = 0x0009_40CF,
    SET_ZERO_DATA = 0x0009_80C8,
    READ_FILE_USN_DATA = 0x0009_00EB,
    WRITE_USN_CLOSE_RECORD = 0x0009_00EF,
    QUERY_FILE_REGIONS = 0x0009_0284,
    GET_INTEGRITY_INFORMATION = 0x0009_027C,
    SET_INTEGRITY_INFORMATION = 0x0009_C280,
    DUPLICATE_EXTENTS_TO_FILE = 0x0009_8344,
    DUPLICATE_EXTENTS_TO_FILE_EX = 0x0009_83E8,
    FILE_LEVEL_TRIM = 0x0009_8208,
    OFFLOAD_READ = 0x0009_4264,
    OFFLOAD_WRITE = 0x0009_8268,
    QUERY_ON_DISK_VOLUME_INFO = 0x0009_013C,
    QUERY_SPARING_INFO = 0x0009_0138,
    GET_RETRIEVAL_POINTERS = 0x0009_0073,
    MARK_HANDLE = 0x0009_00FC,
    RECALL_FILE = 0x0009_0117,
    SET_ZERO_ON_DEALLOCATION = 0x0009_0194,
    SET_DEFECT_MANAGEMENT = 0x0009_8134,
    SET_INTEGRITY_INFORMATION_EX = 0x0009_0380,
    REFS_STREAM_SNAPSHOT_MANAGEMENT = 0x0009_0440,
    QUERY_SHARED_VIRTUAL_DISK_SUPPORT = 0x0009_0300,
    SVHDX_SYNC_TUNNEL_REQUEST = 0x0009_0304,
    SVHDX_ASYNC_TUNNEL_REQUEST = 0x0009_0364,
    STORAGE_QOS_CONTROL = 0x0009_0350,
    PIPE_PEEK = 0x0011_400C,
    PIPE_WAIT = 0x0011_0018,
    PIPE_TRANSCEIVE = 0x0011_C017,
    SRV_ENUMERATE_SNAPSHOTS = 0x0014_4064,
    SRV_REQUEST_RESUME_KEY = 0x0014_0078,
    SRV_COPYCHUNK = 0x0014_40F2,
    SRV_COPYCHUNK_WRITE = 0x0014_80F2,
    SRV_READ_HASH = 0x0014_41BB,
    LMR_REQUEST_RESILIENCY = 0x0014_01D4,
    LMR_SET_LINK_TRACKING_INFORMATION = 0x0014_00EC,
    QUERY_NETWORK_INTERFACE_INFO = 0x0014_01FC,
    VALIDATE_NEGOTIATE_INFO = 0x0014_0204,
}

impl fmt::Debug for Fsctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "FSCTL {:#010x}", self.0),
        }
    }
}

impl fmt::Display for Fsctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

//! Bytes to values and back, for MS-SMB2, MS-FSCC, MS-DTYP and the little DCE/RPC that a file server
//! needs. No I/O, no state, no policy.
//!
//! Conventions:
//!
//! * `FooRequest::decode(message)` and `FooResponse::decode(message)` take the **whole** SMB2 message, its
//!   64-byte header included, because MS-SMB2 counts offsets from there. In a chain that is one part of
//!   [`split_compound`]. Payloads are slices of `message`, not copies.
//! * `encode(&self, body)` appends the **body** alone; offsets inside assume that the body begins
//!   [`HEADER_LEN`] bytes after the header's start. `body` may hold other bytes already, the header for
//!   example, written by [`Header::encode_into`].
//! * A decoder accepts what the specification tells a server to ignore: reserved fields, unknown bits,
//!   channel values. It refuses what cannot be read, with a [`WireError`]. It never panics, and what it
//!   allocates is bounded by the length of its input.
//! * Flags keep unknown bits. Numbers with an open range are newtypes with named constants.

pub mod access;
pub mod change_notify;
pub mod close;
pub mod compression_transform;
pub mod create;
pub mod cursor;
pub mod echo;
mod empty;
pub mod error;
pub mod error_response;
pub mod flush;
pub mod frame;
pub mod fscc;
pub mod header;
pub mod ids;
pub mod ioctl;
pub mod lock;
pub mod name;
pub mod negotiate;
pub mod oplock_break;
pub mod pac;
mod payload;
pub mod query_directory;
pub mod query_info;
pub mod rdma;
pub mod read;
pub mod request;
pub mod rpc;
pub mod security_descriptor;
pub mod session_setup;
pub mod set_info;
pub mod sid;
pub mod smb1;
pub mod status;
pub mod time;
pub mod transform;
pub mod tree;
pub mod write;

pub use access::AccessMask;
pub use error::WireError;
pub use frame::{Frame, Protocol};
pub use header::{Command, Flags, HEADER_LEN, Header, split_compound};
pub use ids::{FileId, Guid};
pub use request::Request;
pub use sid::Sid;
pub use status::NtStatus;
pub use time::FileTime;

//! INIT: kernel and server agree on a version and on what both can do.
//!
//! The kernel sends its version and all it can do. The answer names the version that is spoken from then
//! on, the smaller of both, and what of the offer is taken up; bits that were not offered mean nothing.

use crate::{
    MAJOR, MINOR,
    error::WireError,
    fields::{Body, Filled},
    flags::InitFlags,
};

/// The kernel's offer (`struct fuse_init_in`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitRequest {
    /// Its major version; the rest means something only if it is [`MAJOR`].
    pub major: u32,
    /// Its minor version.
    pub minor: u32,
    /// How far it would read ahead, in bytes.
    pub max_readahead: u32,
    /// What it can do.
    pub flags: InitFlags,
}

impl InitRequest {
    pub(crate) fn decode(body: &mut Body) -> Result<Self, WireError> {
        let mut request = body.fixed::<16, _>(|fixed| Self {
            major: fixed.u32(0),
            minor: fixed.u32(4),
            max_readahead: fixed.u32(8),
            flags: InitFlags::from_bits_retain(u64::from(fixed.u32(12))),
        })?;
        if request.flags.contains(InitFlags::INIT_EXT) {
            let upper = body.fixed::<4, _>(|fixed| u64::from(fixed.u32(0)))?;
            request.flags |= InitFlags::from_bits_retain(upper << 32);
        }
        Ok(request)
    }
}

/// What is agreed (`struct fuse_init_out`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitAnswer {
    /// The major version: [`MAJOR`].
    pub major: u32,
    /// The minor version: the smaller of the kernel's and [`MINOR`].
    pub minor: u32,
    /// How far the kernel may read ahead, in bytes; at most what it said.
    pub max_readahead: u32,
    /// What is taken up of the offer.
    pub flags: InitFlags,
    /// Requests in the background at once; 0 leaves it to the kernel.
    pub max_background: u16,
    /// From how many of them on the file system counts as congested; 0 leaves it to the kernel.
    pub congestion_threshold: u16,
    /// Longest WRITE, in bytes; the kernel takes 4 KiB at least.
    pub max_write: u32,
    /// Steps of times in nanoseconds: a power of ten up to 10^9; 0 leaves it to the kernel.
    pub time_granularity: u32,
    /// Most pages of one request, with [`InitFlags::MAX_PAGES`].
    pub max_pages: u16,
    /// How high file systems may stand on another, with [`InitFlags::PASSTHROUGH`]; at least 1.
    pub max_stack_depth: u32,
    /// After how many seconds without an answer the kernel ends the connection, with
    /// [`InitFlags::REQUEST_TIMEOUT`].
    pub request_timeout: u16,
}

impl Default for InitAnswer {
    /// The newest version, nothing taken up, all sizes left to the kernel.
    fn default() -> Self {
        Self {
            major: MAJOR,
            minor: MINOR,
            max_readahead: 0,
            flags: InitFlags::empty(),
            max_background: 0,
            congestion_threshold: 0,
            max_write: 0,
            time_granularity: 0,
            max_pages: 0,
            max_stack_depth: 0,
            request_timeout: 0,
        }
    }
}

impl InitAnswer {
    /// The payload of the answer. [`InitFlags::INIT_EXT`] is set where upper bits would be lost without
    /// it.
    pub fn encode(&self) -> [u8; 64] {
        let bits = self.flags.bits();
        let upper = (bits >> 32) as u32;
        let ext = if upper == 0 { 0 } else { InitFlags::INIT_EXT.bits() as u32 };
        Filled::new()
            .u32(0, self.major)
            .u32(4, self.minor)
            .u32(8, self.max_readahead)
            .u32(12, bits as u32 | ext)
            .u16(16, self.max_background)
            .u16(18, self.congestion_threshold)
            .u32(20, self.max_write)
            .u32(24, self.time_granularity)
            .u16(28, self.max_pages)
            .u32(32, upper)
            .u32(36, self.max_stack_depth)
            .u16(40, self.request_timeout)
            .done()
    }
}

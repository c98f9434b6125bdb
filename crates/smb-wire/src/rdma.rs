//! SMB Direct: SMB over RDMA (MS-SMBD 2.2), and the transforms of what is moved past the messages (MS-SMB2 2.2.43).
//!
//! Two kinds of bytes travel. Messages are sent, in fragments under credits, behind a [`DataTransfer`] header, after
//! one [`RdmaNegotiateRequest`] and its answer. Payloads of READ and WRITE are fetched from, or put into, memory that
//! the client registered and named by [`BufferDescriptor`]s in the channel information of the request. When an RDMA
//! transform was agreed, an [`RdmaTransform`] stands before these and says how the payload is sealed or signed.

use crate::{
    cursor::{Fixed, Put, Reader, slice},
    error::WireError,
    status::NtStatus,
};
use bytes::Bytes;

/// The one version of the protocol there is.
pub const VERSION_1: u16 = 0x0100;

/// Channels of READ and WRITE requests (MS-SMB2 2.2.19, 2.2.21).
pub mod channel {
    /// The payload is in the message.
    pub const NONE: u32 = 0x0000_0000;
    /// It is behind buffer descriptors.
    pub const RDMA_V1: u32 = 0x0000_0001;
    /// The same, and the server invalidates the token with its answer.
    pub const RDMA_V1_INVALIDATE: u32 = 0x0000_0002;
    /// It is behind an [`super::RdmaTransform`].
    pub const RDMA_TRANSFORM: u32 = 0x0000_0003;
}

/// Transforms in the negotiate context (MS-SMB2 2.2.3.1.6).
pub mod transform {
    /// None in common.
    pub const NONE: u16 = 0x0000;
    /// Payloads are encrypted.
    pub const ENCRYPTION: u16 = 0x0001;
    /// Payloads are signed.
    pub const SIGNING: u16 = 0x0002;
}

/// Most transforms of one payload: sealing and signing exclude each other, a longer list is refused.
pub const MAX_TRANSFORMS: usize = 2;

/// SMB_DIRECT_NEGOTIATE_REQ (MS-SMBD 2.2.1), the first message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RdmaNegotiateRequest {
    /// Oldest version that the client speaks.
    pub min_version: u16,
    /// Newest version that the client speaks.
    pub max_version: u16,
    /// Receives that the client would like the server to post.
    pub credits_requested: u16,
    /// Longest fragment that the client would like to send, in bytes.
    pub preferred_send_bytes: u32,
    /// Longest fragment that the client takes, in bytes.
    pub max_receive_bytes: u32,
    /// Longest message, put together, that the client takes, in bytes.
    pub max_fragmented_bytes: u32,
}

impl RdmaNegotiateRequest {
    /// Length in bytes.
    pub const LEN: usize = 20;

    /// Reads the message.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<{ Self::LEN }>::new(message, "SMB_DIRECT_NEGOTIATE_REQ")?;
        Ok(Self {
            min_version: fixed.u16(0),
            max_version: fixed.u16(2),
            credits_requested: fixed.u16(6),
            preferred_send_bytes: fixed.u32(8),
            max_receive_bytes: fixed.u32(12),
            max_fragmented_bytes: fixed.u32(16),
        })
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u16(self.min_version);
        out.u16(self.max_version);
        out.u16(0);
        out.u16(self.credits_requested);
        out.u32(self.preferred_send_bytes);
        out.u32(self.max_receive_bytes);
        out.u32(self.max_fragmented_bytes);
    }
}

/// SMB_DIRECT_NEGOTIATE_RESP (MS-SMBD 2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RdmaNegotiateResponse {
    /// Oldest version that the server speaks.
    pub min_version: u16,
    /// Newest version that the server speaks.
    pub max_version: u16,
    /// The version that was chosen.
    pub negotiated_version: u16,
    /// Receives that the server would like the client to post.
    pub credits_requested: u16,
    /// Receives that the server has posted.
    pub credits_granted: u16,
    /// `SUCCESS`, or `NOT_SUPPORTED` when no version is in common.
    pub status: NtStatus,
    /// Most bytes that the server moves by RDMA for one request.
    pub max_read_write_bytes: u32,
    /// Longest fragment that the server will send, in bytes.
    pub preferred_send_bytes: u32,
    /// Longest fragment that the server takes, in bytes.
    pub max_receive_bytes: u32,
    /// Longest message, put together, that the server takes, in bytes.
    pub max_fragmented_bytes: u32,
}

impl RdmaNegotiateResponse {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Reads the message.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let fixed = Fixed::<{ Self::LEN }>::new(message, "SMB_DIRECT_NEGOTIATE_RESP")?;
        Ok(Self {
            min_version: fixed.u16(0),
            max_version: fixed.u16(2),
            negotiated_version: fixed.u16(4),
            credits_requested: fixed.u16(8),
            credits_granted: fixed.u16(10),
            status: NtStatus(fixed.u32(12)),
            max_read_write_bytes: fixed.u32(16),
            preferred_send_bytes: fixed.u32(20),
            max_receive_bytes: fixed.u32(24),
            max_fragmented_bytes: fixed.u32(28),
        })
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u16(self.min_version);
        out.u16(self.max_version);
        out.u16(self.negotiated_version);
        out.u16(0);
        out.u16(self.credits_requested);
        out.u16(self.credits_granted);
        out.u32(self.status.0);
        out.u32(self.max_read_write_bytes);
        out.u32(self.preferred_send_bytes);
        out.u32(self.max_receive_bytes);
        out.u32(self.max_fragmented_bytes);
    }
}

/// SMB_DIRECT_DATA_TRANSFER (MS-SMBD 2.2.3): a fragment of a message, or credits alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTransfer {
    /// Receives that the sender would like the other side to post.
    pub credits_requested: u16,
    /// Receives that the sender has posted since.
    pub credits_granted: u16,
    /// The other side shall answer at once: a keep-alive.
    pub response_requested: bool,
    /// Bytes of the message that come in later fragments.
    pub remaining_bytes: u32,
    /// The fragment; empty when there are credits alone.
    pub data: Bytes,
}

const RESPONSE_REQUESTED: u16 = 0x0001;

impl DataTransfer {
    /// Length in bytes of the header.
    pub const HEADER_LEN: usize = 20;
    /// Where the fragment begins: at a multiple of 8.
    pub const DATA_OFFSET: usize = 24;

    /// Reads the message; the fragment is a slice of it.
    pub fn decode(message: &Bytes) -> Result<Self, WireError> {
        let what = "SMB_DIRECT_DATA_TRANSFER";
        let fixed = Fixed::<{ Self::HEADER_LEN }>::new(message, what)?;
        let (remaining_bytes, offset, length) = (fixed.u32(8), fixed.size32(12), fixed.size32(16));
        if length != 0 && (offset < Self::HEADER_LEN || offset % 8 != 0) {
            return Err(WireError::BadRange { what, offset, length });
        }
        if remaining_bytes != 0 && length == 0 {
            return Err(WireError::BadValue { what, value: u64::from(remaining_bytes) });
        }
        Ok(Self {
            credits_requested: fixed.u16(0),
            credits_granted: fixed.u16(2),
            response_requested: fixed.u16(4) & RESPONSE_REQUESTED != 0,
            remaining_bytes,
            data: slice(message, offset, length, what)?,
        })
    }

    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u16(self.credits_requested);
        out.u16(self.credits_granted);
        out.u16(if self.response_requested { RESPONSE_REQUESTED } else { 0 });
        out.u16(0);
        out.u32(self.remaining_bytes);
        out.size32(if self.data.is_empty() { 0 } else { Self::DATA_OFFSET });
        out.size32(self.data.len());
        if !self.data.is_empty() {
            out.u32(0);
            out.bytes(&self.data);
        }
    }
}

/// SMB_DIRECT_BUFFER_DESCRIPTOR_V1 (MS-SMBD 2.2.3.1): memory of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferDescriptor {
    /// Where in the registered memory.
    pub offset: u64,
    /// Name of the registration.
    pub token: u32,
    /// Length in bytes.
    pub length: u32,
}

const DESCRIPTOR_LEN: usize = 16;

/// Reads the descriptors in the channel information of a request. A list that is not a whole number of them is refused.
pub fn decode_descriptors(information: &[u8]) -> Result<Vec<BufferDescriptor>, WireError> {
    let what = "SMB_DIRECT_BUFFER_DESCRIPTOR_V1";
    let (descriptors, rest) = information.as_chunks::<DESCRIPTOR_LEN>();
    if !rest.is_empty() {
        return Err(WireError::BadValue { what, value: information.len() as u64 });
    }
    let descriptors = descriptors.iter().map(|descriptor| {
        let fixed = Fixed::<DESCRIPTOR_LEN>::new(descriptor, what)?;
        Ok(BufferDescriptor { offset: fixed.u64(0), token: fixed.u32(8), length: fixed.u32(12) })
    });
    descriptors.collect()
}

/// Appends descriptors.
pub fn encode_descriptors(descriptors: &[BufferDescriptor], out: &mut Vec<u8>) {
    for descriptor in descriptors {
        out.u64(descriptor.offset);
        out.u32(descriptor.token);
        out.u32(descriptor.length);
    }
}

/// SMB2_RDMA_TRANSFORM (MS-SMB2 2.2.43): how the payload behind descriptors was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdmaTransform {
    /// See [`channel`]; [`channel::NONE`] has no descriptors.
    pub channel: u32,
    /// The transforms.
    pub transforms: Vec<RdmaCryptoTransform>,
    /// Where the payload is.
    pub descriptors: Vec<BufferDescriptor>,
}

/// SMB2_RDMA_CRYPTO_TRANSFORM (MS-SMB2 2.2.43.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdmaCryptoTransform {
    /// [`transform::ENCRYPTION`] or [`transform::SIGNING`].
    pub transform_type: u16,
    /// Authentication tag, or signature.
    pub signature: Bytes,
    /// Nonce of either.
    pub nonce: Bytes,
}

impl RdmaTransform {
    const FIXED: usize = 16;

    /// Reads the channel information of a request, or the first bytes of a response's.
    pub fn decode(information: &Bytes) -> Result<Self, WireError> {
        let what = "SMB2_RDMA_TRANSFORM";
        let fixed = Fixed::<{ Self::FIXED }>::new(information, what)?;
        let (offset, length, channel) = (fixed.size16(0), fixed.size16(2), fixed.u32(4));
        let count = fixed.size16(8);
        if count == 0 || count > MAX_TRANSFORMS {
            return Err(WireError::BadValue { what: "SMB2_RDMA_TRANSFORM count", value: count as u64 });
        }
        let mut reader = Reader::new(information, what);
        reader.skip(Self::FIXED)?;
        let transforms = (0..count)
            .map(|_| RdmaCryptoTransform::read(information, &mut reader))
            .collect::<Result<_, _>>()?;
        let descriptors = match channel {
            channel::NONE => Vec::new(),
            channel::RDMA_V1 | channel::RDMA_V1_INVALIDATE if offset >= reader.position() => {
                decode_descriptors(&slice(information, offset, length, what)?)?
            }
            _ => return Err(WireError::BadRange { what, offset, length }),
        };
        Ok(Self { channel, transforms, descriptors })
    }

    /// Appends the structure.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.u32(0);
        out.u32(self.channel);
        out.size16(self.transforms.len());
        out.zeros(6);
        self.transforms.iter().for_each(|transform| transform.encode(start, out));
        if self.channel != channel::NONE {
            let offset = out.len() - start;
            encode_descriptors(&self.descriptors, out);
            out.set_size16(start, offset);
            out.set_size16(start + 2, self.descriptors.len() * DESCRIPTOR_LEN);
        }
    }
}

impl RdmaCryptoTransform {
    /// Reads one of the transforms; each ends at a multiple of 8 bytes.
    fn read(information: &Bytes, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let what = "SMB2_RDMA_CRYPTO_TRANSFORM";
        let transform_type = reader.u16()?;
        let (signature_length, nonce_length) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
        reader.skip(2)?;
        if !matches!(transform_type, transform::ENCRYPTION | transform::SIGNING) {
            return Err(WireError::BadValue { what, value: u64::from(transform_type) });
        }
        let signature = slice(information, reader.position(), signature_length, what)?;
        reader.skip(signature_length)?;
        let nonce = slice(information, reader.position(), nonce_length, what)?;
        reader.skip(nonce_length)?;
        reader.align(8)?;
        Ok(Self { transform_type, signature, nonce })
    }

    fn encode(&self, start: usize, out: &mut Vec<u8>) {
        out.u16(self.transform_type);
        out.size16(self.signature.len());
        out.size16(self.nonce.len());
        out.u16(0);
        out.bytes(&self.signature);
        out.bytes(&self.nonce);
        out.align(start, 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MS-SMBD 2.2.1, 2.2.2.
    #[test]
    fn negotiation_layout() {
        let request = RdmaNegotiateRequest {
            min_version: VERSION_1,
            max_version: VERSION_1,
            credits_requested: 10,
            preferred_send_bytes: 1024,
            max_receive_bytes: 1024,
            max_fragmented_bytes: 131_072,
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert_eq!(bytes, [0, 1, 0, 1, 0, 0, 10, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0]);
        assert_eq!(RdmaNegotiateRequest::decode(&bytes), Ok(request));
        assert!(RdmaNegotiateRequest::decode(&bytes[..19]).is_err());

        let response = RdmaNegotiateResponse {
            min_version: VERSION_1,
            max_version: VERSION_1,
            negotiated_version: VERSION_1,
            credits_requested: 10,
            credits_granted: 10,
            status: NtStatus::SUCCESS,
            max_read_write_bytes: 1 << 20,
            preferred_send_bytes: 1024,
            max_receive_bytes: 1024,
            max_fragmented_bytes: 131_072,
        };
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        let expect = [
            0, 1, 0, 1, 0, 1, 0, 0, 10, 0, 10, 0, 0, 0, 0, 0, // versions, credits, status
            0, 0, 16, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0,
        ];
        assert_eq!(bytes, expect);
        assert_eq!(RdmaNegotiateResponse::decode(&bytes), Ok(response));
    }

    #[test]
    fn fragments_and_credits() {
        let fragment = DataTransfer {
            credits_requested: 10,
            credits_granted: 1,
            response_requested: false,
            remaining_bytes: 500,
            data: Bytes::from_static(b"\xFESMB"),
        };
        let mut bytes = Vec::new();
        fragment.encode(&mut bytes);
        let expect = [
            10, 0, 1, 0, 0, 0, 0, 0, 0xF4, 1, 0, 0, 24, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, // header
            0xFE, b'S', b'M', b'B',
        ];
        assert_eq!(bytes, expect);
        assert_eq!(DataTransfer::decode(&bytes.into()), Ok(fragment));

        let keep_alive = DataTransfer {
            credits_requested: 10,
            credits_granted: 0,
            response_requested: true,
            remaining_bytes: 0,
            data: Bytes::new(),
        };
        let mut bytes = Vec::new();
        keep_alive.encode(&mut bytes);
        assert_eq!((bytes.len(), bytes[4]), (20, 1));
        assert_eq!(DataTransfer::decode(&bytes.into()), Ok(keep_alive));

        let refused = |offset: u8, length: u8, remaining: u8| {
            let head = [1, 0, 1, 0, 0, 0, 0, 0, remaining, 0, 0, 0, offset, 0, 0, 0, length, 0, 0, 0];
            DataTransfer::decode(&[&head[..], &[0; 8]].concat().into()).is_err()
        };
        assert!(!refused(24, 4, 0));
        assert!(refused(16, 4, 0), "in the header");
        assert!(refused(22, 4, 0), "not aligned");
        assert!(refused(24, 5, 0), "too long");
        assert!(refused(0, 0, 9), "a rest of nothing");
    }

    #[test]
    fn descriptors_of_memory() {
        let descriptors = [
            BufferDescriptor { offset: 0x0102_0304_0506_0708, token: 9, length: 0x1000 },
            BufferDescriptor { offset: 0, token: 10, length: 0x2000 },
        ];
        let mut bytes = Vec::new();
        encode_descriptors(&descriptors, &mut bytes);
        assert_eq!(bytes[..16], [8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0x10, 0, 0]);
        assert_eq!(decode_descriptors(&bytes), Ok(descriptors.to_vec()));
        assert!(decode_descriptors(&bytes[..31]).is_err());
    }

    #[test]
    fn transform_layout() {
        let sealed = RdmaTransform {
            channel: channel::RDMA_V1,
            transforms: vec![RdmaCryptoTransform {
                transform_type: transform::ENCRYPTION,
                signature: Bytes::from_static(&[1; 16]),
                nonce: Bytes::from_static(&[2; 12]),
            }],
            descriptors: vec![BufferDescriptor { offset: 3, token: 4, length: 5 }],
        };
        let mut bytes = Vec::new();
        sealed.encode(&mut bytes);
        let expect = [
            &[56, 0, 16, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[1, 0, 16, 0, 12, 0, 0, 0],
            &[1; 16],
            &[2; 12],
            &[0; 4],
            &[3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0],
        ];
        assert_eq!(bytes, expect.concat());
        assert_eq!(RdmaTransform::decode(&bytes.clone().into()), Ok(sealed));
        for (at, value, why) in [
            (0, 48, "descriptors within the transform"),
            (2, 17, "half a descriptor"),
            (4, 3, "a transform in a transform"),
            (8, 0, "no transform"),
            (8, 3, "too many transforms"),
            (16, 3, "an unknown transform"),
            (18, 99, "a signature beyond the end"),
        ] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            assert!(RdmaTransform::decode(&damaged.into()).is_err(), "{why}");
        }
        let response = RdmaTransform {
            channel: channel::NONE,
            descriptors: Vec::new(),
            transforms: vec![RdmaCryptoTransform {
                transform_type: transform::SIGNING,
                signature: Bytes::from_static(&[1; 16]),
                nonce: Bytes::new(),
            }],
        };
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        assert_eq!(bytes.len(), 40);
        assert_eq!(RdmaTransform::decode(&bytes.into()), Ok(response));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..60, any::<u8>()], 0..100)) {
            let shared = Bytes::from(bytes.clone());
            let _ = RdmaNegotiateRequest::decode(&bytes);
            let _ = RdmaNegotiateResponse::decode(&bytes);
            let _ = decode_descriptors(&bytes);
            if let Ok(fragment) = DataTransfer::decode(&shared) {
                let mut again = Vec::new();
                fragment.encode(&mut again);
                prop_assert_eq!(DataTransfer::decode(&again.into()), Ok(fragment));
            }
            if let Ok(transform) = RdmaTransform::decode(&shared) {
                let mut again = Vec::new();
                transform.encode(&mut again);
                prop_assert_eq!(RdmaTransform::decode(&again.into()), Ok(transform));
            }
        }
    }
}

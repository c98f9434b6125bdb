//! What a server answers.

use super::cursor::Cursor;
use super::{Attrs, PACKET_MAX_BYTES, WireError, kind};
use bytes::{Bytes, BytesMut};

/// Fewest bytes of a name in a list: two strings, and attributes without any.
const NAME_MIN_BYTES: usize = 12;

/// An answer, without the number of its request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Status(Status),
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<NameEntry>),
    Attrs(Attrs),
    /// The body of an answer to an extended request.
    Extended(Bytes),
}

/// How a request went (section 7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Status {
    pub(crate) code: StatusCode,
    /// What the server says to people.
    pub(crate) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StatusCode {
    Ok,
    Eof,
    NoSuchFile,
    PermissionDenied,
    Failure,
    BadMessage,
    NoConnection,
    ConnectionLost,
    Unsupported,
    /// Of a later version of the protocol.
    Other(u32),
}

/// One name in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NameEntry {
    pub(crate) name: Bytes,
    pub(crate) attrs: Attrs,
}

/// Answer to `statvfs@openssh.com`, as far as it is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StatVfs {
    /// Bytes that the numbers of blocks count in.
    pub(crate) unit: u64,
    pub(crate) blocks: u64,
    pub(crate) free: u64,
    pub(crate) available: u64,
    pub(crate) files: u64,
    pub(crate) files_available: u64,
    pub(crate) read_only: bool,
}

/// Answer to `limits@openssh.com`; 0 says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ServerLimits {
    pub(crate) read: u64,
    pub(crate) write: u64,
}

/// Cuts the next whole packet off the front of `buffer`, without its length; `None` while it is not there yet.
pub(crate) fn split_frame(buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
    let Some(length) = buffer.first_chunk() else { return Ok(None) };
    let announced = u32::from_be_bytes(*length);
    let length = announced as usize;
    if length == 0 || length > PACKET_MAX_BYTES {
        return Err(WireError::Length(announced));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(4 + length).freeze();
    Ok(Some(frame.split_off(4)))
}

impl Answer {
    /// Reads a packet without its length: the number of the request, and the answer to it.
    pub(crate) fn read(frame: Bytes) -> Result<(u32, Answer), WireError> {
        let mut from = Cursor::new(frame);
        let (kind, id) = (from.u8()?, from.u32()?);
        let answer = match kind {
            kind::STATUS => Answer::Status(Status::read(&mut from)?),
            kind::HANDLE => Answer::Handle(from.string()?),
            kind::DATA => Answer::Data(from.string()?),
            kind::NAME => Answer::Names(names(&mut from)?),
            kind::ATTRS => Answer::Attrs(Attrs::read(&mut from)?),
            kind::EXTENDED_REPLY => Answer::Extended(from.rest()),
            other => return Err(WireError::Kind(other)),
        };
        Ok((id, answer))
    }

    /// For messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Answer::Status(_) => "STATUS",
            Answer::Handle(_) => "HANDLE",
            Answer::Data(_) => "DATA",
            Answer::Names(_) => "NAME",
            Answer::Attrs(_) => "ATTRS",
            Answer::Extended(_) => "EXTENDED_REPLY",
        }
    }
}

fn names(from: &mut Cursor) -> Result<Vec<NameEntry>, WireError> {
    let count = from.u32()? as usize;
    let mut names = Vec::with_capacity(count.min(from.left() / NAME_MIN_BYTES));
    for _ in 0..count {
        let (name, _for_people) = (from.string()?, from.string()?);
        names.push(NameEntry { name, attrs: Attrs::read(from)? });
    }
    Ok(names)
}

impl Status {
    fn read(from: &mut Cursor) -> Result<Status, WireError> {
        let code = match from.u32()? {
            0 => StatusCode::Ok,
            1 => StatusCode::Eof,
            2 => StatusCode::NoSuchFile,
            3 => StatusCode::PermissionDenied,
            4 => StatusCode::Failure,
            5 => StatusCode::BadMessage,
            6 => StatusCode::NoConnection,
            7 => StatusCode::ConnectionLost,
            8 => StatusCode::Unsupported,
            other => StatusCode::Other(other),
        };
        // The text came with version 3; some servers still leave it out.
        let text = match from.left() {
            0 => String::new(),
            _ => String::from_utf8_lossy(&from.string()?).into_owned(),
        };
        Ok(Status { code, text })
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the SFTP server answered {:?}", self.code)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " ({:?})", self.text) }
    }
}

impl std::error::Error for Status {}

impl StatVfs {
    pub(crate) fn read(body: Bytes) -> Result<StatVfs, WireError> {
        /// `f_flag`: the file system is mounted read-only.
        const READ_ONLY: u64 = 1;
        let mut from = Cursor::new(body);
        let _preferred_size = from.u64()?;
        let unit = from.u64()?;
        let (blocks, free, available) = (from.u64()?, from.u64()?, from.u64()?);
        let (files, _files_free, files_available) = (from.u64()?, from.u64()?, from.u64()?);
        let _id = from.u64()?;
        let read_only = from.u64()? & READ_ONLY != 0;
        Ok(StatVfs { unit, blocks, free, available, files, files_available, read_only })
    }
}

impl ServerLimits {
    pub(crate) fn read(body: Bytes) -> Result<ServerLimits, WireError> {
        let mut from = Cursor::new(body);
        let _packet = from.u64()?;
        Ok(ServerLimits { read: from.u64()?, write: from.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursor::put_string;
    use super::*;
    use bytes::BufMut;

    fn frame(kind: u8, body: impl FnOnce(&mut BytesMut)) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(kind);
        out.put_u32(9);
        body(&mut out);
        out.freeze()
    }

    /// Reads it, and sees that no shorter packet is taken.
    fn check(whole: &Bytes, may_end_at: &[usize], expect: &Answer) {
        assert_eq!(Answer::read(whole.clone()), Ok((9, expect.clone())));
        for length in (0..whole.len()).filter(|length| !may_end_at.contains(length)) {
            assert_eq!(Answer::read(whole.slice(..length)), Err(WireError::Short), "{length} of {expect:?}");
        }
    }

    #[test]
    fn answers_are_read_and_bounded() {
        let status = frame(kind::STATUS, |out| {
            out.put_u32(4);
            put_string(out, b"Failure");
            put_string(out, b"");
        });
        let failure = Answer::Status(Status { code: StatusCode::Failure, text: "Failure".into() });
        assert_eq!(Answer::read(status.clone()), Ok((9, failure)));
        let bare = Answer::Status(Status { code: StatusCode::Failure, text: String::new() });
        check(&status.slice(..9), &[], &bare);
        check(&frame(kind::DATA, |out| put_string(out, b"abc")), &[], &Answer::Data("abc".into()));
        let names = frame(kind::NAME, |out| {
            out.put_u32(1);
            put_string(out, b"n\xff");
            put_string(out, b"-rw-r--r-- n");
            Attrs::mode(0o100_644).write(out);
        });
        let entry = NameEntry { name: Bytes::from_static(b"n\xff"), attrs: Attrs::mode(0o100_644) };
        check(&names, &[], &Answer::Names(vec![entry]));
    }

    #[test]
    fn a_count_reserves_nothing() {
        let hostile = frame(kind::NAME, |out| out.put_u32(u32::MAX));
        assert_eq!(Answer::read(hostile), Err(WireError::Short));
        let hostile = frame(kind::DATA, |out| out.put_u32(u32::MAX));
        assert_eq!(Answer::read(hostile), Err(WireError::Short));
        assert_eq!(Answer::read(frame(77, |_| {})), Err(WireError::Kind(77)));
    }

    #[test]
    fn frames_are_cut_where_they_end() {
        let mut buffer = BytesMut::new();
        assert_eq!(split_frame(&mut buffer), Ok(None));
        buffer.extend_from_slice(&[0, 0, 0, 2, 1]);
        assert_eq!(split_frame(&mut buffer), Ok(None));
        buffer.extend_from_slice(&[2, 0, 0]);
        assert_eq!(split_frame(&mut buffer), Ok(Some(Bytes::from_static(&[1, 2]))));
        assert_eq!((split_frame(&mut buffer), buffer.len()), (Ok(None), 2));
        for length in [0, PACKET_MAX_BYTES as u32 + 1, u32::MAX] {
            let mut hostile = BytesMut::from(&length.to_be_bytes()[..]);
            assert_eq!(split_frame(&mut hostile), Err(WireError::Length(length)));
        }
    }
}

//! What is asked of a server.

use super::cursor::{packet, put_string};
use super::{Attrs, Extensions, kind};
use bytes::{BufMut, Bytes, BytesMut};

bitflags::bitflags! {
    /// How OPEN opens (section 6.3).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct OpenFlags: u32 {
        const READ = 0x1;
        const WRITE = 0x2;
        const CREATE = 0x8;
        const TRUNCATE = 0x10;
        const EXCLUSIVE = 0x20;
    }
}

/// One request. Paths are whole paths at the server; handles are what OPEN and OPENDIR gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Open {
        path: Bytes,
        flags: OpenFlags,
        attrs: Attrs,
    },
    Close {
        handle: Bytes,
    },
    Read {
        handle: Bytes,
        offset: u64,
        length: u32,
    },
    Write {
        handle: Bytes,
        offset: u64,
        data: Bytes,
    },
    LStat {
        path: Bytes,
    },
    Stat {
        path: Bytes,
    },
    FStat {
        handle: Bytes,
    },
    SetStat {
        path: Bytes,
        attrs: Attrs,
    },
    /// SETSTAT that does not follow a link, where the server can.
    LSetStat {
        path: Bytes,
        attrs: Attrs,
    },
    FSetStat {
        handle: Bytes,
        attrs: Attrs,
    },
    OpenDir {
        path: Bytes,
    },
    ReadDir {
        handle: Bytes,
    },
    Remove {
        path: Bytes,
    },
    MakeDir {
        path: Bytes,
        attrs: Attrs,
    },
    RemoveDir {
        path: Bytes,
    },
    /// Fails where there is something under the new name.
    Rename {
        from: Bytes,
        to: Bytes,
    },
    /// `rename(2)`: what is under the new name gives way.
    PosixRename {
        from: Bytes,
        to: Bytes,
    },
    ReadLink {
        path: Bytes,
    },
    Symlink {
        target: Bytes,
        path: Bytes,
    },
    HardLink {
        from: Bytes,
        to: Bytes,
    },
    StatVfs {
        path: Bytes,
    },
    FSync {
        handle: Bytes,
    },
    CopyData {
        from: Bytes,
        from_offset: u64,
        length: u64,
        to: Bytes,
        to_offset: u64,
    },
    Limits,
}

impl Request {
    /// The extension without which this cannot be asked.
    pub(crate) fn needs(&self) -> Extensions {
        match self {
            Request::PosixRename { .. } => Extensions::POSIX_RENAME,
            Request::HardLink { .. } => Extensions::HARDLINK,
            Request::StatVfs { .. } => Extensions::STATVFS,
            Request::FSync { .. } => Extensions::FSYNC,
            Request::CopyData { .. } => Extensions::COPY_DATA,
            Request::Limits => Extensions::LIMITS,
            Request::Open { .. }
            | Request::Close { .. }
            | Request::Read { .. }
            | Request::Write { .. }
            | Request::LStat { .. }
            | Request::Stat { .. }
            | Request::FStat { .. }
            | Request::SetStat { .. }
            | Request::LSetStat { .. }
            | Request::FSetStat { .. }
            | Request::OpenDir { .. }
            | Request::ReadDir { .. }
            | Request::Remove { .. }
            | Request::MakeDir { .. }
            | Request::RemoveDir { .. }
            | Request::Rename { .. }
            | Request::ReadLink { .. }
            | Request::Symlink { .. } => Extensions::empty(),
        }
    }

    /// Whether it leaves everything at the server as it was.
    pub(crate) fn is_question(&self) -> bool {
        matches!(
            self,
            Request::Read { .. }
                | Request::LStat { .. }
                | Request::Stat { .. }
                | Request::FStat { .. }
                | Request::OpenDir { .. }
                | Request::ReadDir { .. }
                | Request::ReadLink { .. }
                | Request::StatVfs { .. }
        )
    }

    /// Bytes of content that the request or its answer carries.
    pub(crate) fn content_bytes(&self) -> usize {
        match self {
            Request::Read { length, .. } => *length as usize,
            Request::Write { data, .. } => data.len(),
            _ => 0,
        }
    }

    /// Appends the packet to `out`, for a server that has these extensions.
    pub(crate) fn write(&self, id: u32, extensions: Extensions, out: &mut BytesMut) {
        packet(out, |out| {
            let mut begin = |kind: u8| {
                out.put_u8(kind);
                out.put_u32(id);
            };
            match self {
                Request::Open { .. } => begin(kind::OPEN),
                Request::Close { .. } => begin(kind::CLOSE),
                Request::Read { .. } => begin(kind::READ),
                Request::Write { .. } => begin(kind::WRITE),
                Request::LStat { .. } => begin(kind::LSTAT),
                Request::Stat { .. } => begin(kind::STAT),
                Request::FStat { .. } => begin(kind::FSTAT),
                Request::SetStat { .. } => begin(kind::SETSTAT),
                Request::LSetStat { .. } if !extensions.contains(Extensions::LSETSTAT) => {
                    begin(kind::SETSTAT)
                }
                Request::FSetStat { .. } => begin(kind::FSETSTAT),
                Request::OpenDir { .. } => begin(kind::OPENDIR),
                Request::ReadDir { .. } => begin(kind::READDIR),
                Request::Remove { .. } => begin(kind::REMOVE),
                Request::MakeDir { .. } => begin(kind::MKDIR),
                Request::RemoveDir { .. } => begin(kind::RMDIR),
                Request::Rename { .. } => begin(kind::RENAME),
                Request::ReadLink { .. } => begin(kind::READLINK),
                Request::Symlink { .. } => begin(kind::SYMLINK),
                Request::LSetStat { .. }
                | Request::PosixRename { .. }
                | Request::HardLink { .. }
                | Request::StatVfs { .. }
                | Request::FSync { .. }
                | Request::CopyData { .. }
                | Request::Limits => {
                    begin(kind::EXTENDED);
                    let extension = match self {
                        Request::LSetStat { .. } => Extensions::LSETSTAT,
                        other => other.needs(),
                    };
                    put_string(out, extension.name().as_bytes());
                }
            }
            self.write_body(out);
        });
    }

    fn write_body(&self, out: &mut BytesMut) {
        match self {
            Request::Open { path, flags, attrs } => {
                put_string(out, path);
                out.put_u32(flags.bits());
                attrs.write(out);
            }
            Request::Read { handle, offset, length } => {
                put_string(out, handle);
                out.put_u64(*offset);
                out.put_u32(*length);
            }
            Request::Write { handle, offset, data } => {
                put_string(out, handle);
                out.put_u64(*offset);
                put_string(out, data);
            }
            Request::Close { handle }
            | Request::FStat { handle }
            | Request::ReadDir { handle }
            | Request::FSync { handle } => put_string(out, handle),
            Request::LStat { path }
            | Request::Stat { path }
            | Request::OpenDir { path }
            | Request::Remove { path }
            | Request::RemoveDir { path }
            | Request::ReadLink { path }
            | Request::StatVfs { path } => put_string(out, path),
            Request::SetStat { path: object, attrs }
            | Request::LSetStat { path: object, attrs }
            | Request::MakeDir { path: object, attrs }
            | Request::FSetStat { handle: object, attrs } => {
                put_string(out, object);
                attrs.write(out);
            }
            Request::Rename { from, to }
            | Request::PosixRename { from, to }
            | Request::HardLink { from, to } => {
                put_string(out, from);
                put_string(out, to);
            }
            // OpenSSH has them the other way round than the draft, and all others have followed (PROTOCOL, 4.1).
            Request::Symlink { target, path } => {
                put_string(out, target);
                put_string(out, path);
            }
            Request::CopyData { from, from_offset, length, to, to_offset } => {
                put_string(out, from);
                out.put_u64(*from_offset);
                out.put_u64(*length);
                put_string(out, to);
                out.put_u64(*to_offset);
            }
            Request::Limits => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: Request, extensions: Extensions, expect: &[&[u8]]) {
        let mut out = BytesMut::from(&b"before"[..]);
        request.write(7, extensions, &mut out);
        let body = expect.concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        assert_eq!(out, [b"before", &length[..], &body].concat(), "{request:?}");
    }

    const ID: &[u8] = &[0, 0, 0, 7];

    #[test]
    fn requests_are_what_the_draft_says() {
        let none = Extensions::empty();
        let path = Bytes::from_static(b"/\xff");
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        check(
            Request::Open { path: path.clone(), flags, attrs: Attrs::mode(0o640) },
            none,
            &[&[3], ID, &[0, 0, 0, 2, b'/', 0xff, 0, 0, 0, 0x2a, 0, 0, 0, 4, 0, 0, 1, 0xa0]],
        );
        check(
            Request::Write { handle: path.clone(), offset: 1, data: "ab".into() },
            none,
            &[&[6], ID, &[0, 0, 0, 2, b'/', 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], b"ab"],
        );
        check(
            Request::Symlink { target: "t".into(), path: "p".into() },
            none,
            &[&[20], ID, &[0, 0, 0, 1], b"t", &[0, 0, 0, 1], b"p"],
        );
        check(Request::ReadDir { handle: "h".into() }, none, &[&[12], ID, &[0, 0, 0, 1], b"h"]);
    }

    #[test]
    fn extensions_go_by_name() {
        check(
            Request::FSync { handle: "h".into() },
            Extensions::FSYNC,
            &[&[200], ID, &[0, 0, 0, 17], b"fsync@openssh.com", &[0, 0, 0, 1], b"h"],
        );
        let set = Request::LSetStat { path: "p".into(), attrs: Attrs::default() };
        let body = [&[0, 0, 0, 1][..], b"p", &[0; 4]].concat();
        check(set.clone(), Extensions::empty(), &[&[9], ID, &body]);
        check(set, Extensions::LSETSTAT, &[&[200], ID, &[0, 0, 0, 20], b"lsetstat@openssh.com", &body]);
    }
}

//! Messages that no kernel sends: each is an error that says what was wrong.

use crate::message::framed;
use bytes::Bytes;
use fuse_wire::{Header, InitFlags, Opcode, Request, WireError};

fn check(message: Bytes, expect: &str) {
    let error = Request::decode(&message, InitFlags::SETXATTR_EXT).unwrap_err();
    assert_eq!(error.to_string(), expect);
}

/// 32-bit words as bytes.
fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
fn lengths() {
    check(Bytes::new(), "fuse_in_header: needs 40 bytes, has 0");
    let message = framed(Opcode::STATFS, &[], &[]);
    check(message.slice(..39), "fuse_in_header: needs 40 bytes, has 39");
    let message = framed(Opcode::FORGET, &[0; 8], &[]);
    check(message.slice(..47), "fuse_in_header: says 48 bytes, the message has 47");
    // Whoever waits for it can still be answered.
    assert_eq!(Header::decode(&message[..47]).unwrap().opcode, Opcode::FORGET);
    check(framed(Opcode::FORGET, &[0; 7], &[]), "FUSE_FORGET: needs 8 bytes, has 7");
    let mut write = vec![0; 40];
    write[16] = 5;
    write.extend_from_slice(b"four");
    check(framed(Opcode::WRITE, &write, &[]), "FUSE_WRITE: needs 5 bytes, has 4");
    let batch = words([u32::MAX, 0, 1, 0, 1, 0]);
    check(framed(Opcode::BATCH_FORGET, &batch, &[]), "FUSE_BATCH_FORGET: needs 68719476720 bytes, has 16");
    let setxattr = [&words([4, 0, 0, 0])[..], b"user.a\0xyz"].concat();
    check(framed(Opcode::SETXATTR, &setxattr, &[]), "FUSE_SETXATTR: needs 4 bytes, has 3");
    let init = words([7, 36, 0, 1 << 30]);
    check(framed(Opcode::INIT, &init, &[]), "FUSE_INIT: needs 4 bytes, has 0");
}

#[test]
fn names() {
    for name in [&b""[..], b"a", b"\0", b"a/b\0", b"/\0"] {
        check(framed(Opcode::LOOKUP, name, &[]), "FUSE_LOOKUP: not a valid name");
    }
    for names in [&b"a\0"[..], b"a\0b", b"a\0\0", b"a/\0b\0"] {
        check(framed(Opcode::SYMLINK, names, &[]), "FUSE_SYMLINK: not a valid name");
    }
    let rename = [&[0; 16][..], b"a\0b/c\0"].concat();
    check(framed(Opcode::RENAME2, &rename, &[]), "FUSE_RENAME2: not a valid name");
}

#[test]
fn values() {
    let mut lock = vec![0; 48];
    lock[32] = 3;
    check(framed(Opcode::SETLK, &lock, &[]), "FUSE_SETLK: value 0x3 is not allowed");
}

#[test]
fn extensions() {
    for (extensions, expect) in [
        (vec![0; 8], "fuse_ext_header: value 0x0 is not allowed"),
        (words([12, 32, 0, 0]), "fuse_ext_header: value 0xc is not allowed"),
        (words([24, 1, 0, 0]), "fuse_ext_header: needs 24 bytes, has 16"),
        (words([8, 32]), "fuse_supp_groups: needs 4 bytes, has 0"),
        (words([16, 32, 2, 7]), "fuse_supp_groups: needs 8 bytes, has 4"),
        (words([16, 32, u32::MAX, 7]), "fuse_supp_groups: needs 17179869180 bytes, has 4"),
    ] {
        check(framed(Opcode::STATFS, &[], &extensions), expect);
    }
    let mut message = framed(Opcode::STATFS, &[0; 7], &[]).to_vec();
    message[36] = 1;
    check(message.into(), "FUSE_STATFS: needs 8 bytes, has 7");
    // Of an unknown type, and without any security context.
    let passed_over = words([16, 33, 1, 2, 8, 0]);
    let request = Request::decode(&framed(Opcode::STATFS, &[], &passed_over), InitFlags::empty());
    assert_eq!(request.unwrap().extensions.groups, []);
}

#[test]
fn is_an_error() {
    let error: Box<dyn std::error::Error> = Box::new(WireError::BadName { what: "FUSE_LOOKUP" });
    assert!(error.source().is_none());
}

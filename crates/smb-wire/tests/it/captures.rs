//! Packets between smbclient, rpcclient, smbprotocol and Samba, in `tests/captures`: each is read, written
//! again, and compared byte for byte. What cannot be equal is named with its reason.

use bytes::Bytes;
use smb_wire::{
    Command, HEADER_LEN, Header, NtStatus, Protocol, Request,
    change_notify::ChangeNotifyResponse,
    close::CloseResponse,
    create::CreateResponse,
    echo::EchoResponse,
    error_response::ErrorResponse,
    flush::FlushResponse,
    ioctl::IoctlResponse,
    lock::LockResponse,
    negotiate::NegotiateResponse,
    oplock_break::{BreakAcknowledgement, LeaseBreakNotification},
    query_directory::QueryDirectoryResponse,
    query_info::QueryInfoResponse,
    read::ReadResponse,
    session_setup::{LogoffResponse, SessionSetupResponse},
    set_info::SetInfoResponse,
    smb1::Smb1NegotiateRequest,
    split_compound,
    transform::TransformHeader,
    tree::{TreeConnectResponse, TreeDisconnectResponse},
    write::WriteResponse,
};
use std::{fs, path::Path};

/// Ends of the names of captures that are read but written otherwise, and why.
const WRITTEN_OTHERWISE: &[(&str, &str)] = &[
    ("-error-00000103", "the byte after an empty error is undefined: Samba sends 0x21"),
    ("create-request-opt1", "padded after the name though no context follows"),
    ("create-request-opt1000", "padded after the name though no context follows"),
];

/// A capture by its file name.
pub fn capture(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(format!("{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

macro_rules! again {
    ($type:ty, $message:expr, $body:expr) => {
        <$type>::decode($message).unwrap().encode($body)
    };
}

/// Reads the body of a response and writes it again.
fn response_again(header: &Header, message: &Bytes, body: &mut Vec<u8>) {
    let kept = [NtStatus::MORE_PROCESSING_REQUIRED, NtStatus::BUFFER_OVERFLOW];
    if header.status != NtStatus::SUCCESS && !kept.contains(&header.status) {
        return again!(ErrorResponse, message, body);
    }
    match header.command {
        Command::Negotiate => again!(NegotiateResponse, message, body),
        Command::SessionSetup => again!(SessionSetupResponse, message, body),
        Command::Logoff => again!(LogoffResponse, message, body),
        Command::TreeConnect => again!(TreeConnectResponse, message, body),
        Command::TreeDisconnect => again!(TreeDisconnectResponse, message, body),
        Command::Create => again!(CreateResponse, message, body),
        Command::Close => again!(CloseResponse, message, body),
        Command::Flush => again!(FlushResponse, message, body),
        Command::Read => again!(ReadResponse, message, body),
        Command::Write => again!(WriteResponse, message, body),
        Command::Lock => again!(LockResponse, message, body),
        Command::Ioctl => again!(IoctlResponse, message, body),
        Command::Echo => again!(EchoResponse, message, body),
        Command::QueryDirectory => again!(QueryDirectoryResponse, message, body),
        Command::ChangeNotify => again!(ChangeNotifyResponse, message, body),
        Command::QueryInfo => again!(QueryInfoResponse, message, body),
        Command::SetInfo => again!(SetInfoResponse, message, body),
        Command::OplockBreak if header.message_id == u64::MAX => {
            again!(LeaseBreakNotification, message, body);
        }
        Command::OplockBreak => again!(BreakAcknowledgement, message, body),
        Command::Cancel | Command::Other(_) => panic!("no response to {:?}", header.command),
    }
}

/// Every message of a capture, written again.
fn again(capture: &Bytes) -> Vec<u8> {
    let mut out = Vec::new();
    for part in split_compound(capture.clone()) {
        let (header, message) = part.unwrap();
        header.encode_into(&mut out);
        if header.is_response() {
            response_again(&header, &message, &mut out);
        } else {
            Request::decode(&header, &message).unwrap().encode(&mut out);
        }
    }
    out
}

#[test]
fn every_capture_is_read_and_written_again() {
    let names = names();
    assert!(names.len() > 100, "captures are missing: {}", names.len());
    let mut differences = Vec::new();
    for name in &names {
        let bytes = capture(name);
        match Protocol::of(&bytes).unwrap() {
            Protocol::Smb1 => assert!(Smb1NegotiateRequest::decode(&bytes).unwrap().offers("SMB 2.???")),
            Protocol::Encrypted => assert!(TransformHeader::decode(&bytes).is_ok()),
            Protocol::Compressed => panic!("{name}: no client compresses unasked"),
            Protocol::Smb2 => {
                let written = again(&bytes);
                let excused = WRITTEN_OTHERWISE.iter().any(|(excused, _)| name.ends_with(excused));
                if (written != bytes) != excused {
                    let at = written.iter().zip(&bytes).position(|(a, b)| a != b);
                    differences.push(format!(
                        "{name}: first at {at:?}, {} for {} bytes",
                        written.len(),
                        bytes.len()
                    ));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Every capture cut at every length and with every byte of its body turned over: an answer, no panic.
#[test]
fn damaged_captures_are_read_or_refused() {
    for name in names() {
        let bytes = capture(&name);
        if Protocol::of(&bytes) != Ok(Protocol::Smb2) {
            continue;
        }
        let header = Header::decode(&bytes).unwrap();
        for length in HEADER_LEN..bytes.len() {
            let _ = Request::decode(&header, &bytes.slice(..length));
        }
        for at in HEADER_LEN..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] = !damaged[at];
            let _ = Request::decode(&header, &damaged.into());
        }
    }
}

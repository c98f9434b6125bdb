//! Reading and writing one file over one and four channels, several requests in flight on each.

use super::super::load::Load;
use super::board::{Board, READ_BARS, Unit, WRITE_BAR};
use super::{BIG, FILE_MIB, Server};
use crate::run::Outcome;
use bytes::Bytes;
use smb_raw::load::{Job, Protection, Step};
use smb_raw::requests;
use smb_wire::FileId;
use smb_wire::access::AccessMask;
use smb_wire::create::{CreateDisposition, CreateRequest};
use std::path::Path;

const CHANNELS: [usize; 2] = [1, 4];
/// Requests in flight on each channel.
const DEPTH: usize = 4;
const CHUNK_BYTES: u64 = 1 << 20;
const PROTECTIONS: [(&str, Protection); 3] =
    [("plain", Protection::Plain), ("signed", Protection::Signed), ("sealed", Protection::Sealed)];

pub fn measure(server: &Server<'_>, _data: &Path, _round: usize, board: &mut Board) -> Outcome {
    let content = Bytes::from(vec![0x5A; CHUNK_BYTES as usize]);
    let mib = FILE_MIB as f64;
    for channels in CHANNELS {
        let plural = if channels == 1 { "" } else { "s" };
        for ((name, protection), read_bar) in PROTECTIONS.into_iter().zip(READ_BARS) {
            let mut load = Load::connect(&server.client, channels, protection)?;
            let mut note = |what: &str, cpu_bar: f64, seconds: f64, cpu: f64| {
                let measure = format!("{what}, {channels} channel{plural}, {name}");
                board.note(&measure, server.side, Unit::Bytes { cpu_bar }, mib, seconds, cpu);
            };
            // Only to read: whoever closes what he might have written makes the cache of another server forget it.
            let to_read =
                CreateRequest { desired_access: AccessMask::FILE_GENERIC_READ, ..requests::create(BIG) };
            let big = load.run(1, [Job::new(vec![Step::Create(to_read)])])?;
            let read = |offset| Step::Read { offset, length: CHUNK_BYTES as u32 };
            let (_, seconds, cpu) = server.measure(|| load.run(DEPTH, each_chunk(big, read)))?;
            note("read", read_bar, seconds, cpu);
            let fresh = CreateRequest {
                create_disposition: CreateDisposition::OverwriteIf,
                ..requests::create("written")
            };
            let written = load.run(1, [Job::new(vec![Step::Create(fresh)])])?;
            let data = content.clone();
            let write = move |offset| Step::Write { offset, data: data.clone() };
            let (_, seconds, cpu) = server.measure(|| load.run(DEPTH, each_chunk(written, write)))?;
            note("write", WRITE_BAR, seconds, cpu);
            load.run(1, [big, written].map(|file| Job { file, steps: vec![Step::Close] }))?;
        }
    }
    Ok(())
}

/// One job per chunk of the file.
fn each_chunk(file: FileId, step: impl Fn(u64) -> Step) -> impl Iterator<Item = Job> {
    let offsets = (0..FILE_MIB << 20).step_by(CHUNK_BYTES as usize);
    offsets.map(move |offset| Job { file, steps: vec![step(offset)] })
}

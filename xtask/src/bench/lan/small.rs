//! A tree of 2,000 small files: unpacked, walked, read, deleted; one after the other as a simple program does it, and
//! many at a time.

use super::super::load::Load;
use super::Server;
use super::board::{Board, Unit};
use crate::run::Outcome;
use bytes::Bytes;
use smb_raw::load::{Job, Protection, Step};
use smb_raw::requests;
use smb_wire::AccessMask;
use smb_wire::create::{CreateDisposition, CreateOptions, CreateRequest};
use std::path::Path;

const DIRS: usize = 20;
const FILES_PER_DIR: usize = 100;
const FILES: usize = DIRS * FILES_PER_DIR;
/// Length of a file, bytes: 11 MB in all, as a source tree has.
const FILE_BYTES: usize = 5_500;
const DEPTHS: [usize; 2] = [1, 16];

pub fn measure(server: &Server<'_>, _data: &Path, round: usize, board: &mut Board) -> Outcome {
    for depth in DEPTHS {
        let mut load = Load::connect(&server.client, 1, Protection::Signed)?;
        let root = format!("tree-{:?}-{round}-{depth}", server.side);
        let mut time = |what: &str, jobs: Vec<Job>| {
            let (_, seconds, cpu) = server.measure(|| load.run(depth, jobs))?;
            let measure = format!("{what} {FILES} files, {depth} at a time");
            board.note(&measure, server.side, Unit::Things, FILES as f64, seconds, cpu);
            Ok::<(), String>(())
        };
        let dirs: Vec<String> = (0..DIRS).map(|dir| format!("{root}\\d{dir:02}")).collect();
        let files: Vec<String> = dirs
            .iter()
            .flat_map(|dir| (0..FILES_PER_DIR).map(move |file| format!("{dir}\\file{file:02}.c")))
            .collect();
        Load::connect(&server.client, 1, Protection::Signed)?
            .run(1, std::iter::once(&root).chain(&dirs).map(|dir| directory(dir)).collect::<Vec<_>>())?;
        time("unpack", files.iter().map(|file| unpacked(file)).collect())?;
        let listed = dirs.iter().map(|dir| listed(dir));
        time("walk", listed.chain(files.iter().map(|file| looked_at(file))).collect())?;
        time("read", files.iter().map(|file| read(file)).collect())?;
        time("delete", files.iter().map(|file| deleted(file)).collect())?;
        let emptied = dirs.iter().chain(std::iter::once(&root)).map(|dir| deleted(dir)).collect::<Vec<_>>();
        Load::connect(&server.client, 1, Protection::Signed)?.run(1, emptied)?;
    }
    Ok(())
}

fn directory(name: &str) -> Job {
    let create = CreateRequest { create_options: CreateOptions::DIRECTORY_FILE, ..requests::create(name) };
    Job::new(vec![Step::Create(create), Step::Close])
}

fn unpacked(name: &str) -> Job {
    let create = CreateRequest { create_disposition: CreateDisposition::Create, ..requests::create(name) };
    let data = Bytes::from_static(&[0x5A; FILE_BYTES]);
    Job::new(vec![Step::Create(create), Step::Write { offset: 0, data }, Step::Close])
}

fn listed(name: &str) -> Job {
    let create = CreateRequest {
        desired_access: AccessMask::READ_DATA | AccessMask::READ_ATTRIBUTES,
        create_disposition: CreateDisposition::Open,
        create_options: CreateOptions::DIRECTORY_FILE,
        ..requests::create(name)
    };
    Job::new(vec![Step::Create(create), Step::List, Step::Close])
}

fn looked_at(name: &str) -> Job {
    let create = CreateRequest {
        desired_access: AccessMask::READ_ATTRIBUTES,
        create_disposition: CreateDisposition::Open,
        ..requests::create(name)
    };
    Job::new(vec![Step::Create(create), Step::Stat, Step::Close])
}

fn read(name: &str) -> Job {
    let create = CreateRequest {
        desired_access: AccessMask::READ_DATA | AccessMask::READ_ATTRIBUTES,
        create_disposition: CreateDisposition::Open,
        ..requests::create(name)
    };
    let read = Step::Read { offset: 0, length: FILE_BYTES as u32 };
    Job::new(vec![Step::Create(create), read, Step::Close])
}

fn deleted(name: &str) -> Job {
    let create = CreateRequest {
        desired_access: AccessMask::DELETE | AccessMask::READ_ATTRIBUTES,
        create_disposition: CreateDisposition::Open,
        create_options: CreateOptions::DELETE_ON_CLOSE,
        ..requests::create(name)
    };
    Job::new(vec![Step::Create(create), Step::Close])
}

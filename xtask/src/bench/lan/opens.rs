//! Opening and closing files that are there, many at a time on one connection.

use super::super::load::Load;
use super::Server;
use super::board::{Board, Unit};
use crate::run::Outcome;
use smb_raw::load::{Job, Protection, Step};
use smb_raw::requests;
use smb_wire::AccessMask;
use smb_wire::create::{CreateDisposition, CreateRequest};
use std::path::Path;

const DIR: &str = "opened";
const FILES: usize = 200;
const OPENS: usize = 20_000;
/// Opens on their way at a time.
const DEPTH: usize = 32;

pub fn make_files(data: &Path) -> Outcome {
    let dir = data.join(DIR);
    let made = std::fs::create_dir(&dir).and_then(|()| {
        (0..FILES).try_for_each(|file| std::fs::write(dir.join(format!("file{file:03}")), b"content"))
    });
    made.map_err(|error| format!("making files: {error}"))
}

pub fn measure(server: &Server<'_>, _data: &Path, _round: usize, board: &mut Board) -> Outcome {
    let mut load = Load::connect(&server.client, 1, Protection::Signed)?;
    let jobs = (0..OPENS).map(|number| {
        let name = format!("{DIR}\\file{:03}", number % FILES);
        let create = CreateRequest {
            desired_access: AccessMask::READ_DATA | AccessMask::READ_ATTRIBUTES,
            create_disposition: CreateDisposition::Open,
            ..requests::create(&name)
        };
        Job::new(vec![Step::Create(create), Step::Close])
    });
    let (_, seconds, cpu) = server.measure(|| load.run(DEPTH, jobs))?;
    board.note("open + close, pairs", server.side, Unit::Things, OPENS as f64, seconds, cpu);
    Ok(())
}

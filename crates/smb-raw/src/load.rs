//! Load: jobs of a few requests each, many of them in flight on one connection, as a fast client has them.
//!
//! A [`Job`] is a file and what to do with it, step after step; each step waits for the answer of the one before. A
//! connection works on so many jobs at a time as it is told to and has credits for, and takes the next from a
//! source that several connections may share: so the channels of a session share one file's reads. What is
//! written goes from the caller's bytes to the socket without a copy, unless it is sealed.
//!
//! An error ends the work. Answers are checked as a client must (signature, seal, length of what was read); what a
//! file holds is for tests to compare.

use crate::client::{Client, Fault, Proof, Reply};
use crate::message::{Guard, Message};
use crate::requests;
use crate::session::Session;
use bytes::Bytes;
use smb_core::credits::charge_for;
use smb_wire::create::{CreateRequest, CreateResponse};
use smb_wire::frame::Frame;
use smb_wire::query_info::InfoType;
use smb_wire::read::ReadResponse;
use smb_wire::{Command, FileId, NtStatus, Request};
use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// FileAllInformation (MS-FSCC 2.4.2).
const ALL_INFORMATION: u8 = 18;
/// Names no file: what a job has before its CREATE.
pub const NO_FILE: FileId = FileId { persistent: u64::MAX, volatile: u64::MAX };

/// How requests and answers are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    Plain,
    Signed,
    Sealed,
}

/// One request of a job.
#[derive(Clone, Debug)]
pub enum Step {
    /// The steps after it mean the file that it gives.
    Create(CreateRequest),
    /// All that is asked for must come.
    Read {
        offset: u64,
        length: u32,
    },
    Write {
        offset: u64,
        data: Bytes,
    },
    Stat,
    /// Asks until there are no more names.
    List,
    Close,
}

/// A file, and what to do with it.
#[derive(Clone, Debug)]
pub struct Job {
    pub file: FileId,
    pub steps: Vec<Step>,
}

impl Job {
    pub fn new(steps: Vec<Step>) -> Job {
        Job { file: NO_FILE, steps }
    }
}

/// A job under way.
struct Working {
    job: Job,
    step: usize,
}

/// One connection at work.
pub struct Worker<'a, S> {
    client: &'a mut Client<S>,
    session: &'a Session,
    tree: u32,
    protection: Protection,
    working: HashMap<u64, Working>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Worker<'a, S> {
    pub fn new(
        client: &'a mut Client<S>,
        session: &'a Session,
        tree: u32,
        protection: Protection,
    ) -> Worker<'a, S> {
        Worker { client, session, tree, protection, working: HashMap::new() }
    }

    /// Does jobs of `source`, at most `depth` at a time, until there are none. Gives the file of the last one done.
    pub async fn work(
        mut self,
        depth: usize,
        source: &Mutex<impl Iterator<Item = Job>>,
    ) -> Result<FileId, Fault> {
        let mut last = NO_FILE;
        // A job that found no credits.
        let mut held: Option<Working> = None;
        let next = || source.lock().expect("nobody panics with it").next();
        loop {
            while self.working.len() < depth {
                let job = held.take().or_else(|| next().map(|job| Working { job, step: 0 }));
                let Some(job) = job else { break };
                if i64::from(charge_of(&job.job.steps[job.step])) > self.client.credits {
                    held = Some(job);
                    break;
                }
                self.send(job).await?;
            }
            if self.working.is_empty() {
                return Ok(last);
            }
            for reply in self.client.replies().await? {
                if reply.status() == NtStatus::PENDING {
                    continue;
                }
                // What nobody asked for is passed over: a break.
                let Some(working) = self.working.remove(&reply.header.message_id) else { continue };
                self.check_protection(&reply)?;
                let working = advance(working, &reply)?;
                match working.step < working.job.steps.len() {
                    true => self.send(working).await?,
                    false => last = working.job.file,
                }
            }
        }
    }

    fn check_protection(&self, reply: &Reply) -> Result<(), Fault> {
        let right = match self.protection {
            Protection::Plain => reply.proof != Proof::Wrong,
            Protection::Signed => reply.proof == Proof::Signed,
            Protection::Sealed => reply.proof == Proof::Sealed,
        };
        if right { Ok(()) } else { Err(Fault::Forged) }
    }

    async fn send(&mut self, working: Working) -> Result<(), Fault> {
        let step = &working.job.steps[working.step];
        let (command, body, payload) = body_of(step, working.job.file);
        let mut message =
            Message::new(command, body).session(self.session.id).tree(self.tree).charge(charge_of(step));
        self.client.number(&mut message);
        let guard = match self.protection {
            Protection::Plain => Guard::Plain,
            Protection::Signed => Guard::Sign(&self.session.signer),
            Protection::Sealed => Guard::Seal(self.session),
        };
        self.working.insert(message.header.message_id, working);
        self.client.send_parts(&message, &payload, guard).await
    }
}

/// What a step costs.
fn charge_of(step: &Step) -> u16 {
    match step {
        Step::Read { length, .. } => charge_for(*length),
        Step::Write { data, .. } => charge_for(data.len() as u32),
        Step::List | Step::Create(_) | Step::Stat | Step::Close => 1,
    }
}

/// Command, body and the payload behind it.
fn body_of(step: &Step, file: FileId) -> (Command, Vec<u8>, Bytes) {
    let request = match step {
        Step::Create(create) => Request::Create(create.clone()),
        Step::Read { offset, length } => requests::read(file, *offset, *length),
        Step::Write { offset, data } => {
            return (Command::Write, requests::write_head(file, *offset, data.len()), data.clone());
        }
        Step::Stat => requests::query_info(file, InfoType::FILE, ALL_INFORMATION),
        Step::List => requests::query_directory_on(file, "*"),
        Step::Close => requests::close(file),
    };
    let mut body = Vec::with_capacity(128);
    request.encode(&mut body);
    (request.command(), body, Bytes::new())
}

/// Looks at an answer; the job stands at its next step then.
fn advance(mut working: Working, reply: &Reply) -> Result<Working, Fault> {
    let status = reply.status();
    let step = &working.job.steps[working.step];
    match (step, status) {
        (Step::List, NtStatus::SUCCESS) => return Ok(working),
        (Step::List, NtStatus::NO_MORE_FILES) | (_, NtStatus::SUCCESS) => {}
        _ => return Err(Fault::Refused(status)),
    }
    match step {
        Step::Create(_) => {
            let response = CreateResponse::decode(&reply.message).map_err(|_| Fault::Garbled)?;
            working.job.file = response.file_id;
        }
        Step::Read { length, .. } => {
            let response = ReadResponse::decode(&reply.message).map_err(|_| Fault::Garbled)?;
            if response.data.len() != *length as usize {
                return Err(Fault::Garbled);
            }
        }
        Step::Write { .. } | Step::Stat | Step::List | Step::Close => {}
    }
    working.step += 1;
    Ok(working)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends one request whose payload lies elsewhere.
    pub async fn send_parts(
        &mut self,
        message: &Message,
        payload: &[u8],
        guard: Guard<'_>,
    ) -> Result<(), Fault> {
        let mut head = message.bytes();
        match guard {
            Guard::Plain => {}
            Guard::Sign(signer) => signer.sign(&mut head, &[payload]).expect("a message has a header"),
            Guard::Seal(session) => {
                let sealed = session.seal_parts(&[&head, payload]);
                return self.send_two(&sealed, &[]).await;
            }
        }
        self.send_two(&head, payload).await
    }

    /// Both parts in one frame.
    async fn send_two(&mut self, head: &[u8], payload: &[u8]) -> Result<(), Fault> {
        let frame = Frame::message_header(head.len() + payload.len()).expect("a frame holds 16 MiB");
        let mut parts = [IoSlice::new(&frame), IoSlice::new(head), IoSlice::new(payload)];
        let mut left = &mut parts[..];
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.stream.write_vectored(left).await {
                Ok(written) if written > 0 => IoSlice::advance_slices(&mut left, written),
                _ => return Err(Fault::Gone),
            }
        }
        Ok(())
    }
}

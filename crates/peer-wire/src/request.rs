//! What one node asks of another: the calls of the waist.
//!
//! Names of volumes and files go by text, open files by a number that the asking side chooses: it is unique
//! among all handles of its session, so an `Open` that is sent twice cannot make two handles.

use crate::attr::{get_dos, get_maker, get_set_attr, put_dos, put_maker, put_set_attr};
use crate::change::{body_of, get_change, put_change};
use crate::cursor::{Reader, Writer};
use crate::named::{get_named, put_named};
use crate::quota::{decode_change, decode_of, encode_change, encode_of};
use crate::{Frame, IO_MAX_BYTES, VERSION, VOLUME_NAME_MAX_BYTES, WireError};
use bytes::Bytes;
use std::time::Duration;
use volume::{
    Access, Change, Close, Copying, Create, FileId, Fresh, ListHow, Named, OpenHow, Priority, QuotaChange,
    QuotasOf, SetAttr, SyncKind, Ticket, VPath,
};

/// Longest time a request may give its answer; longer ones are taken as this.
pub const PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// A call with its context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub priority: Priority,
    /// How long the asking side will wait, from the sending; whole milliseconds.
    pub patience: Duration,
    pub ask: Ask,
}

/// The calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// What the volume can do. Answer: `Info`.
    VolumeInfo {
        volume: String,
    },
    /// Answer: `Attr`.
    Stat {
        volume: String,
        path: VPath,
    },
    /// Answer: `Listing`.
    List {
        volume: String,
        dir: VPath,
        how: ListHow,
    },
    /// Opens under a handle of the caller's choice. Answer: `Opened`.
    Open {
        volume: String,
        path: VPath,
        handle: u64,
        how: OpenHow,
    },
    /// Answer: `Opened`.
    Reopen {
        volume: String,
        ticket: Ticket,
        handle: u64,
    },
    /// Answer: `Applied`.
    Apply {
        volume: String,
        change: Change,
    },
    /// Answer: `Target`.
    ReadLink {
        volume: String,
        path: VPath,
    },
    /// One value that an object carries. Answer: `Named`.
    Named {
        volume: String,
        path: VPath,
        expect: Option<FileId>,
        name: Named,
    },
    /// Answer: `NamedList`.
    ListNamed {
        volume: String,
        path: VPath,
        expect: Option<FileId>,
    },
    SyncDir {
        volume: String,
        path: VPath,
        expect: Option<FileId>,
    },
    /// Answer: `Space`.
    Space {
        volume: String,
        path: VPath,
    },
    /// Answer: `QuotaRules`.
    QuotaRules {
        volume: String,
    },
    /// Answer: `Quotas`.
    Quotas {
        volume: String,
        of: QuotasOf,
    },
    /// Answer: `Done`.
    SetQuotas {
        volume: String,
        change: QuotaChange,
    },
    /// Subscribes under a number of the caller's choice. Answer: `Watching`.
    Watch {
        volume: String,
        subscription: u64,
    },
    /// Is the subscription alive, and how many pushes were sent? Answer: `Watching`, or `Failed` with
    /// `NotFound`.
    Check {
        subscription: u64,
    },
    /// Answer: `Done`.
    Unwatch {
        subscription: u64,
    },
    /// Answer: `Data`. At most [`IO_MAX_BYTES`].
    Read {
        handle: u64,
        offset: u64,
        length: u32,
    },
    /// Answer: `Done`. At most [`IO_MAX_BYTES`].
    Write {
        handle: u64,
        offset: u64,
        data: Bytes,
    },
    /// Answer: `Ranges`.
    Ranges {
        handle: u64,
        offset: u64,
        length: u64,
    },
    /// Answer: `Done`.
    Zero {
        handle: u64,
        offset: u64,
        length: u64,
    },
    /// Copies from another handle. Answer: `Copied`.
    Copy {
        handle: u64,
        offset: u64,
        source: u64,
        source_offset: u64,
        length: u64,
        how: Copying,
    },
    /// Answer: `Attr`.
    Allocate {
        handle: u64,
        size: u64,
    },
    /// Answer: `Attr`.
    FileAttr {
        handle: u64,
        fresh: Fresh,
    },
    /// Answer: `Attr`.
    SetAttr {
        handle: u64,
        set: SetAttr,
    },
    /// Answer: `Done`.
    Sync {
        handle: u64,
        kind: SyncKind,
    },
    /// Answer: `Attr`.
    Close {
        handle: u64,
        how: Close,
    },
}

const VOLUME_INFO: u8 = 0;
const STAT: u8 = 1;
const LIST: u8 = 2;
const OPEN: u8 = 3;
const REOPEN: u8 = 4;
const APPLY: u8 = 5;
const READ_LINK: u8 = 6;
const SPACE: u8 = 7;
const WATCH: u8 = 8;
const UNWATCH: u8 = 9;
const READ: u8 = 10;
const WRITE: u8 = 11;
const FILE_ATTR: u8 = 12;
const SET_ATTR: u8 = 13;
const SYNC: u8 = 14;
const CLOSE: u8 = 15;
const CHECK: u8 = 16;
const NAMED: u8 = 17;
const LIST_NAMED: u8 = 18;
const RANGES: u8 = 19;
const ZERO: u8 = 20;
const COPY: u8 = 21;
const ALLOCATE: u8 = 22;
const SYNC_DIR: u8 = 23;
const QUOTA_RULES: u8 = 24;
const QUOTAS: u8 = 25;
const SET_QUOTAS: u8 = 26;

impl Ask {
    /// A word for logs and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Ask::VolumeInfo { .. } => "volume info",
            Ask::Stat { .. } => "stat",
            Ask::List { .. } => "list",
            Ask::Open { .. } => "open",
            Ask::Reopen { .. } => "reopen",
            Ask::Apply { change, .. } => change.name(),
            Ask::ReadLink { .. } => "readlink",
            Ask::Named { .. } => "named",
            Ask::ListNamed { .. } => "list_named",
            Ask::SyncDir { .. } => "sync_dir",
            Ask::Space { .. } => "space",
            Ask::QuotaRules { .. } => "quota_rules",
            Ask::Quotas { .. } => "quotas",
            Ask::SetQuotas { .. } => "set_quotas",
            Ask::Watch { .. } => "watch",
            Ask::Check { .. } => "check",
            Ask::Unwatch { .. } => "unwatch",
            Ask::Read { .. } => "read",
            Ask::Write { .. } => "write",
            Ask::Ranges { .. } => "ranges",
            Ask::Zero { .. } => "zero",
            Ask::Copy { .. } => "copy",
            Ask::Allocate { .. } => "allocate",
            Ask::FileAttr { .. } => "getattr",
            Ask::SetAttr { .. } => "setattr",
            Ask::Sync { .. } => "sync",
            Ask::Close { .. } => "close",
        }
    }

    /// Whether asking twice is the same as asking once.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Ask::VolumeInfo { .. }
            | Ask::Stat { .. }
            | Ask::List { .. }
            | Ask::ReadLink { .. }
            | Ask::Named { .. }
            | Ask::ListNamed { .. }
            | Ask::Space { .. }
            | Ask::QuotaRules { .. }
            | Ask::Quotas { .. }
            | Ask::Watch { .. }
            | Ask::Check { .. }
            | Ask::Unwatch { .. }
            | Ask::Read { .. }
            | Ask::Ranges { .. }
            | Ask::FileAttr { .. } => true,
            Ask::Open { how, .. } => !how.access.contains(Access::WRITE),
            Ask::Reopen { .. }
            | Ask::Apply { .. }
            | Ask::Write { .. }
            | Ask::Zero { .. }
            | Ask::Copy { .. }
            | Ask::Allocate { .. }
            | Ask::SetAttr { .. }
            | Ask::SetQuotas { .. }
            | Ask::Close { .. } => false,
            // A second sync after a failed one may succeed without the data being there.
            Ask::Sync { .. } | Ask::SyncDir { .. } => false,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Ask::VolumeInfo { .. } => VOLUME_INFO,
            Ask::Stat { .. } => STAT,
            Ask::List { .. } => LIST,
            Ask::Open { .. } => OPEN,
            Ask::Reopen { .. } => REOPEN,
            Ask::Apply { .. } => APPLY,
            Ask::ReadLink { .. } => READ_LINK,
            Ask::Named { .. } => NAMED,
            Ask::ListNamed { .. } => LIST_NAMED,
            Ask::SyncDir { .. } => SYNC_DIR,
            Ask::Space { .. } => SPACE,
            Ask::QuotaRules { .. } => QUOTA_RULES,
            Ask::Quotas { .. } => QUOTAS,
            Ask::SetQuotas { .. } => SET_QUOTAS,
            Ask::Watch { .. } => WATCH,
            Ask::Check { .. } => CHECK,
            Ask::Unwatch { .. } => UNWATCH,
            Ask::Read { .. } => READ,
            Ask::Write { .. } => WRITE,
            Ask::Ranges { .. } => RANGES,
            Ask::Zero { .. } => ZERO,
            Ask::Copy { .. } => COPY,
            Ask::Allocate { .. } => ALLOCATE,
            Ask::FileAttr { .. } => FILE_ATTR,
            Ask::SetAttr { .. } => SET_ATTR,
            Ask::Sync { .. } => SYNC,
            Ask::Close { .. } => CLOSE,
        }
    }

    fn put(&self, out: &mut Writer) {
        match self {
            Ask::VolumeInfo { volume }
            | Ask::QuotaRules { volume }
            | Ask::Quotas { volume, of: _ }
            | Ask::SetQuotas { volume, change: _ } => out.text(volume),
            Ask::Stat { volume, path } | Ask::ReadLink { volume, path } | Ask::Space { volume, path } => {
                out.text(volume);
                out.path(path);
            }
            Ask::Named { volume, path, expect, name } => {
                out.text(volume);
                out.path(path);
                out.option(*expect, Writer::id);
                put_named(out, name);
            }
            Ask::ListNamed { volume, path, expect } | Ask::SyncDir { volume, path, expect } => {
                out.text(volume);
                out.path(path);
                out.option(*expect, Writer::id);
            }
            Ask::List { volume, dir, how } => {
                out.text(volume);
                out.path(dir);
                out.option(how.cursor.as_deref(), Writer::blob);
                out.number(u64::from(how.ahead));
            }
            Ask::Open { volume, path, handle, how } => {
                out.text(volume);
                out.path(path);
                out.fixed64(*handle);
                put_open_how(out, how);
            }
            Ask::Reopen { volume, ticket, handle } => {
                out.text(volume);
                out.blob(&ticket.0);
                out.fixed64(*handle);
            }
            Ask::Apply { volume, change } => {
                out.text(volume);
                put_change(out, change);
            }
            Ask::Watch { volume, subscription } => {
                out.text(volume);
                out.fixed64(*subscription);
            }
            Ask::Check { subscription } | Ask::Unwatch { subscription } => out.fixed64(*subscription),
            Ask::Read { handle, offset, length } => {
                out.fixed64(*handle);
                out.number(*offset);
                out.number(u64::from(*length));
            }
            Ask::Write { handle, offset, data: _ } => {
                out.fixed64(*handle);
                out.number(*offset);
            }
            Ask::Ranges { handle, offset, length } | Ask::Zero { handle, offset, length } => {
                out.fixed64(*handle);
                out.number(*offset);
                out.number(*length);
            }
            Ask::Copy { handle, offset, source, source_offset, length, how } => {
                out.fixed64(*handle);
                out.number(*offset);
                out.fixed64(*source);
                out.number(*source_offset);
                out.number(*length);
                out.flag(*how == Copying::Clone);
            }
            Ask::Allocate { handle, size } => {
                out.fixed64(*handle);
                out.number(*size);
            }
            Ask::FileAttr { handle, fresh } => {
                out.fixed64(*handle);
                out.flag(*fresh == Fresh::Now);
            }
            Ask::SetAttr { handle, set } => {
                out.fixed64(*handle);
                put_set_attr(out, set);
            }
            Ask::Sync { handle, kind } => {
                out.fixed64(*handle);
                out.flag(*kind == SyncKind::Full);
            }
            Ask::Close { handle, how } => {
                out.fixed64(*handle);
                out.flag(*how == Close::Abort);
            }
        }
    }
}

impl Request {
    pub fn encode(self) -> Frame {
        let mut out = Writer::with_capacity(64);
        out.byte(VERSION);
        out.byte(self.ask.code());
        out.byte(match self.priority {
            Priority::Background => 0,
            Priority::Bulk => 1,
            Priority::Interactive => 2,
        });
        out.number(self.patience.min(PATIENCE_MAX).as_millis() as u64);
        self.ask.put(&mut out);
        let body = match self.ask {
            Ask::Write { data, .. } => data,
            Ask::Apply { change, .. } => body_of(&change),
            Ask::Quotas { of, .. } => encode_of(&of),
            Ask::SetQuotas { change, .. } => encode_change(&change),
            _ => Bytes::new(),
        };
        Frame { head: out.finish(), body }
    }

    pub fn decode(head: &[u8], body: Bytes) -> Result<Request, WireError> {
        let mut input = Reader::new(head);
        match input.byte()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let code = input.byte()?;
        let priority = match input.byte()? {
            0 => Priority::Background,
            1 => Priority::Bulk,
            2 => Priority::Interactive,
            _ => return Err(WireError::Value("a priority")),
        };
        let patience = Duration::from_millis(input.number()?).min(PATIENCE_MAX);
        if !matches!(code, WRITE | APPLY | QUOTAS | SET_QUOTAS) && !body.is_empty() {
            return Err(WireError::Trailing);
        }
        let ask = get_ask(code, &mut input, body)?;
        input.end()?;
        Ok(Request { priority, patience, ask })
    }
}

fn get_ask(code: u8, input: &mut Reader<'_>, body: Bytes) -> Result<Ask, WireError> {
    Ok(match code {
        VOLUME_INFO => Ask::VolumeInfo { volume: get_volume(input)? },
        STAT => Ask::Stat { volume: get_volume(input)?, path: input.path()? },
        LIST => {
            let (volume, dir) = (get_volume(input)?, input.path()?);
            let cursor = input.option(Reader::blob)?.map(Bytes::copy_from_slice);
            Ask::List { volume, dir, how: ListHow { cursor, ahead: input.number32()? } }
        }
        OPEN => {
            let (volume, path) = (get_volume(input)?, input.path()?);
            Ask::Open { volume, path, handle: input.fixed64()?, how: get_open_how(input)? }
        }
        REOPEN => {
            let (volume, ticket) = (get_volume(input)?, Ticket(Bytes::copy_from_slice(input.blob()?)));
            Ask::Reopen { volume, ticket, handle: input.fixed64()? }
        }
        APPLY => Ask::Apply { volume: get_volume(input)?, change: get_change(input, body)? },
        READ_LINK => Ask::ReadLink { volume: get_volume(input)?, path: input.path()? },
        NAMED => {
            let (volume, path) = (get_volume(input)?, input.path()?);
            Ask::Named { volume, path, expect: input.option(Reader::id)?, name: get_named(input)? }
        }
        LIST_NAMED => {
            let (volume, path) = (get_volume(input)?, input.path()?);
            Ask::ListNamed { volume, path, expect: input.option(Reader::id)? }
        }
        SYNC_DIR => {
            let (volume, path) = (get_volume(input)?, input.path()?);
            Ask::SyncDir { volume, path, expect: input.option(Reader::id)? }
        }
        QUOTA_RULES => Ask::QuotaRules { volume: get_volume(input)? },
        QUOTAS => Ask::Quotas { volume: get_volume(input)?, of: decode_of(&body)? },
        SET_QUOTAS => Ask::SetQuotas { volume: get_volume(input)?, change: decode_change(&body)? },
        SPACE => Ask::Space { volume: get_volume(input)?, path: input.path()? },
        WATCH => Ask::Watch { volume: get_volume(input)?, subscription: input.fixed64()? },
        CHECK => Ask::Check { subscription: input.fixed64()? },
        UNWATCH => Ask::Unwatch { subscription: input.fixed64()? },
        READ => {
            let (handle, offset) = (input.fixed64()?, input.number()?);
            Ask::Read { handle, offset, length: get_length(input)? }
        }
        WRITE => {
            if body.len() > IO_MAX_BYTES as usize {
                return Err(WireError::Value("a length"));
            }
            Ask::Write { handle: input.fixed64()?, offset: input.number()?, data: body }
        }
        RANGES => Ask::Ranges { handle: input.fixed64()?, offset: input.number()?, length: input.number()? },
        ZERO => Ask::Zero { handle: input.fixed64()?, offset: input.number()?, length: input.number()? },
        COPY => {
            let (handle, offset) = (input.fixed64()?, input.number()?);
            let (source, source_offset, length) = (input.fixed64()?, input.number()?, input.number()?);
            let how = if input.flag()? { Copying::Clone } else { Copying::Any };
            Ask::Copy { handle, offset, source, source_offset, length, how }
        }
        ALLOCATE => Ask::Allocate { handle: input.fixed64()?, size: input.number()? },
        FILE_ATTR => {
            let handle = input.fixed64()?;
            Ask::FileAttr { handle, fresh: if input.flag()? { Fresh::Now } else { Fresh::Cached } }
        }
        SET_ATTR => Ask::SetAttr { handle: input.fixed64()?, set: get_set_attr(input)? },
        SYNC => {
            let handle = input.fixed64()?;
            Ask::Sync { handle, kind: if input.flag()? { SyncKind::Full } else { SyncKind::Data } }
        }
        CLOSE => {
            let handle = input.fixed64()?;
            Ask::Close { handle, how: if input.flag()? { Close::Abort } else { Close::Commit } }
        }
        other => return Err(WireError::UnknownKind(other)),
    })
}

fn get_volume(input: &mut Reader<'_>) -> Result<String, WireError> {
    match input.text()? {
        name if name.len() <= VOLUME_NAME_MAX_BYTES => Ok(name.to_owned()),
        _ => Err(WireError::Value("the name of a volume")),
    }
}

fn get_length(input: &mut Reader<'_>) -> Result<u32, WireError> {
    match input.number32()? {
        length if length <= IO_MAX_BYTES => Ok(length),
        _ => Err(WireError::Value("a length")),
    }
}

fn put_open_how(out: &mut Writer, how: &OpenHow) {
    out.byte(how.access.bits());
    out.byte(match how.create {
        Create::Never => 0,
        Create::IfMissing => 1,
        Create::New => 2,
    });
    out.flag(how.truncate);
    out.number(u64::from(how.mode));
    put_dos(out, how.dos);
    out.option(how.maker, put_maker);
    out.option(how.expect, Writer::id);
    out.option(how.first, |out, (offset, length)| {
        out.number(offset);
        out.number(u64::from(length));
    });
}

fn get_open_how(input: &mut Reader<'_>) -> Result<OpenHow, WireError> {
    Ok(OpenHow {
        access: Access::from_bits(input.byte()?).ok_or(WireError::Value("an access"))?,
        create: match input.byte()? {
            0 => Create::Never,
            1 => Create::IfMissing,
            2 => Create::New,
            _ => return Err(WireError::Value("a way to create")),
        },
        truncate: input.flag()?,
        mode: input.number32()?,
        dos: get_dos(input)?,
        maker: input.option(get_maker)?,
        expect: input.option(Reader::id)?,
        first: input.option(|input| Ok((input.number()?, get_length(input)?)))?,
    })
}

//! What a watched volume tells by itself.
//!
//! Each push carries the number of pushes before it in its subscription, so a lost one shows as a jump. That
//! the last one was not lost, the subscriber learns by asking (`Ask::Check`).

use crate::attr::{REFERENCE, get_attr, get_freshness, put_attr, put_freshness};
use crate::cursor::{Reader, Writer};
use crate::{Frame, VERSION, WireError};
use bytes::Bytes;
use volume::{Author, Freshness, Notice};

const NOTICES: u8 = 0;
const FRESHNESS: u8 = 1;

const CHANGED: u8 = 0;
const MOVED: u8 = 1;
const UNKNOWN: u8 = 2;

/// One message of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// Chosen by the subscriber in its `Watch`.
    pub subscription: u64,
    /// Pushes before this one, since the subscription began.
    pub sequence: u64,
    pub event: Event,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// In the order in which they happened.
    Notices(Vec<Notice>),
    /// The promise changed.
    Freshness(Freshness),
}

impl Push {
    pub fn encode(&self) -> Frame {
        let mut out = Writer::with_capacity(32);
        out.byte(VERSION);
        let kind = match &self.event {
            Event::Notices(_) => NOTICES,
            Event::Freshness(_) => FRESHNESS,
        };
        out.byte(kind);
        out.fixed64(self.subscription);
        out.number(self.sequence);
        let body = match &self.event {
            Event::Notices(notices) => put_notices(notices),
            Event::Freshness(freshness) => {
                put_freshness(&mut out, *freshness);
                Bytes::new()
            }
        };
        Frame { head: out.finish(), body }
    }

    pub fn decode(head: &[u8], body: &[u8]) -> Result<Push, WireError> {
        let mut input = Reader::new(head);
        match input.byte()? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let kind = input.byte()?;
        let (subscription, sequence) = (input.fixed64()?, input.number()?);
        let event = match kind {
            NOTICES => Event::Notices(get_notices(body)?),
            FRESHNESS => Event::Freshness(get_freshness(&mut input)?),
            other => return Err(WireError::UnknownKind(other)),
        };
        input.end()?;
        if kind != NOTICES && !body.is_empty() {
            return Err(WireError::Trailing);
        }
        Ok(Push { subscription, sequence, event })
    }
}

fn put_notices(notices: &[Notice]) -> Bytes {
    let mut out = Writer::with_capacity(64 * notices.len());
    let mut last = REFERENCE;
    out.number(notices.len() as u64);
    for notice in notices {
        let attr = match notice {
            Notice::Changed { path, attr, .. } => {
                out.byte(CHANGED);
                out.path(path);
                attr
            }
            Notice::Moved { from, to, attr, .. } => {
                out.byte(MOVED);
                out.path(from);
                out.path(to);
                attr
            }
            Notice::Unknown { below } => {
                out.byte(UNKNOWN);
                out.path(below);
                continue;
            }
        };
        out.option(attr.as_ref(), |out, attr| put_attr(out, attr, &last));
        last = attr.unwrap_or(last);
    }
    out.finish()
}

fn get_notices(body: &[u8]) -> Result<Vec<Notice>, WireError> {
    let mut input = Reader::new(body);
    let mut last = REFERENCE;
    let count = input.count(2)?;
    let mut notices = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = input.byte()?;
        let path = input.path()?;
        let to = if kind == MOVED { Some(input.path()?) } else { None };
        if kind == UNKNOWN {
            notices.push(Notice::Unknown { below: path });
            continue;
        }
        let attr = input.option(|input| get_attr(input, &last))?;
        last = attr.unwrap_or(last);
        notices.push(match (kind, to) {
            (CHANGED, None) => Notice::Changed { path, attr, by: Author::Unknown },
            (MOVED, Some(to)) => Notice::Moved { from: path, to, attr, by: Author::Unknown },
            _ => return Err(WireError::Value("a kind of notice")),
        });
    }
    input.end()?;
    Ok(notices)
}

//! What comes back for a request.

use crate::attr::{REFERENCE, get_attr, get_caps, get_freshness, get_space};
use crate::attr::{put_attr, put_caps, put_freshness, put_space};
use crate::cursor::{Reader, Writer};
use crate::failure::{get_failure, put_failure};
use crate::named::{decode_list, encode_list};
use crate::quota::{decode_quotas, encode_quotas, get_rules, put_rules};
use crate::ranges::{decode_ranges, encode_ranges};
use crate::{DirListing, Failure, Frame, VERSION, WireError};
use bytes::Bytes;
use std::ops::Range;
use volume::{Attr, Caps, Freshness, NamedEntry, QuotaRules, Space, Ticket, UserQuota};

/// An answer; it says by itself what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It went wrong.
    Failed(Failure),
    /// The handle is not open here: this process was started after it was opened, or the session was away
    /// for too long.
    UnknownHandle,
    Done,
    Info(Caps),
    Attr(Attr),
    Listing(DirListing),
    /// With the bytes of `OpenHow::first`, if they came along, as the body.
    Opened {
        attr: Attr,
        created: bool,
        ticket: Option<Ticket>,
        first: Option<Bytes>,
    },
    /// What a change left under its name.
    Applied(Option<Attr>),
    /// Where a symlink points.
    Target(String),
    Space(Space),
    /// The subscription is alive: the number of pushes sent so far, and the promise at present.
    Watching {
        sequence: u64,
        freshness: Freshness,
    },
    Data(Bytes),
    /// One value that an object carries, as the body.
    Named(Option<Bytes>),
    NamedList(Vec<NamedEntry>),
    /// Where data is, as the body: in order and apart from each other.
    Ranges(Vec<Range<u64>>),
    /// So many bytes.
    Copied(u64),
    QuotaRules(QuotaRules),
    /// As the body.
    Quotas(Vec<UserQuota>),
}

const FAILED: u8 = 0;
const UNKNOWN_HANDLE: u8 = 1;
const DONE: u8 = 2;
const INFO: u8 = 3;
const ATTR: u8 = 4;
const LISTING: u8 = 5;
const OPENED: u8 = 6;
const APPLIED: u8 = 7;
const TARGET: u8 = 8;
const SPACE: u8 = 9;
const WATCHING: u8 = 10;
const DATA: u8 = 11;
const NAMED: u8 = 12;
const NAMED_LIST: u8 = 13;
const RANGES: u8 = 14;
const COPIED: u8 = 15;
const QUOTA_RULES: u8 = 16;
const QUOTAS: u8 = 17;

impl Answer {
    fn code(&self) -> u8 {
        match self {
            Answer::Failed(_) => FAILED,
            Answer::UnknownHandle => UNKNOWN_HANDLE,
            Answer::Done => DONE,
            Answer::Info(_) => INFO,
            Answer::Attr(_) => ATTR,
            Answer::Listing(_) => LISTING,
            Answer::Opened { .. } => OPENED,
            Answer::Applied(_) => APPLIED,
            Answer::Target(_) => TARGET,
            Answer::Space(_) => SPACE,
            Answer::Watching { .. } => WATCHING,
            Answer::Data(_) => DATA,
            Answer::Named(_) => NAMED,
            Answer::NamedList(_) => NAMED_LIST,
            Answer::Ranges(_) => RANGES,
            Answer::Copied(_) => COPIED,
            Answer::QuotaRules(_) => QUOTA_RULES,
            Answer::Quotas(_) => QUOTAS,
        }
    }

    pub fn encode(self) -> Frame {
        let mut out = Writer::with_capacity(64);
        out.byte(VERSION);
        out.byte(self.code());
        let mut body = Bytes::new();
        match self {
            Answer::Failed(failure) => put_failure(&mut out, &failure),
            Answer::UnknownHandle | Answer::Done => {}
            Answer::Info(caps) => put_caps(&mut out, &caps),
            Answer::Attr(attr) => put_attr(&mut out, &attr, &REFERENCE),
            Answer::Listing(listing) => body = listing.encode(),
            Answer::Opened { attr, created, ticket, first } => {
                put_attr(&mut out, &attr, &REFERENCE);
                out.flag(created);
                out.option(ticket, |out, ticket| out.blob(&ticket.0));
                out.flag(first.is_some());
                body = first.unwrap_or_default();
            }
            Answer::Applied(attr) => out.option(attr, |out, attr| put_attr(out, &attr, &REFERENCE)),
            Answer::Target(target) => out.text(&target),
            Answer::Space(space) => put_space(&mut out, &space),
            Answer::Watching { sequence, freshness } => {
                out.number(sequence);
                put_freshness(&mut out, freshness);
            }
            Answer::Data(data) => body = data,
            Answer::Named(value) => {
                out.flag(value.is_some());
                body = value.unwrap_or_default();
            }
            Answer::NamedList(entries) => body = encode_list(&entries),
            Answer::Ranges(ranges) => body = encode_ranges(&ranges),
            Answer::Copied(bytes) => out.number(bytes),
            Answer::QuotaRules(rules) => put_rules(&mut out, &rules),
            Answer::Quotas(quotas) => body = encode_quotas(&quotas),
        }
        Frame { head: out.finish(), body }
    }

    /// The answer to a request that could not be read: in the version of that request, as far as it can be told,
    /// so that who asked can read why.
    pub fn refuse(request_head: &[u8], failure: Failure) -> Frame {
        let Frame { head, body } = Answer::Failed(failure).encode();
        let mut head = Vec::from(head);
        if let (Some(version), Some(asked)) = (head.first_mut(), request_head.first()) {
            *version = *asked;
        }
        Frame { head: head.into(), body }
    }

    pub fn decode(head: &[u8], body: Bytes) -> Result<Answer, WireError> {
        let mut input = Reader::new(head);
        let version = input.byte()?;
        let code = input.byte()?;
        // A refusal is laid out alike in all versions: it says why there is no other answer.
        if version != VERSION && code != FAILED {
            return Err(WireError::Version(version));
        }
        if !matches!(code, LISTING | OPENED | DATA | NAMED | NAMED_LIST | RANGES | QUOTAS) && !body.is_empty()
        {
            return Err(WireError::Trailing);
        }
        let answer = match code {
            FAILED => Answer::Failed(get_failure(&mut input)?),
            UNKNOWN_HANDLE => Answer::UnknownHandle,
            DONE => Answer::Done,
            INFO => Answer::Info(get_caps(&mut input)?),
            ATTR => Answer::Attr(get_attr(&mut input, &REFERENCE)?),
            LISTING => Answer::Listing(DirListing::decode(&body)?),
            OPENED => {
                let (attr, created) = (get_attr(&mut input, &REFERENCE)?, input.flag()?);
                let ticket = input.option(Reader::blob)?.map(|blob| Ticket(Bytes::copy_from_slice(blob)));
                let first = input.flag()?.then_some(body);
                Answer::Opened { attr, created, ticket, first }
            }
            APPLIED => Answer::Applied(input.option(|input| get_attr(input, &REFERENCE))?),
            TARGET => Answer::Target(input.text()?.to_owned()),
            SPACE => Answer::Space(get_space(&mut input)?),
            WATCHING => Answer::Watching { sequence: input.number()?, freshness: get_freshness(&mut input)? },
            DATA => Answer::Data(body),
            NAMED => match (input.flag()?, body.is_empty()) {
                (false, false) => return Err(WireError::Trailing),
                (has_value, _) => Answer::Named(has_value.then_some(body)),
            },
            NAMED_LIST => Answer::NamedList(decode_list(&body)?),
            RANGES => Answer::Ranges(decode_ranges(&body)?),
            COPIED => Answer::Copied(input.number()?),
            QUOTA_RULES => Answer::QuotaRules(get_rules(&mut input)?),
            QUOTAS => Answer::Quotas(decode_quotas(&body)?),
            other => return Err(WireError::UnknownKind(other)),
        };
        input.end()?;
        Ok(answer)
    }
}

//! Entries as bytes: fixed little-endian numbers, strings and values with their length before them. What was written is read back
//! by the same version of the format alone; `None` for anything else.

use super::{Entry, Outcome, Record, Stamp};
use bytes::Bytes;
use volume::{Change, Device, DosAttributes, FileId, Named, SetAttr, Special, Time, VPath};

/// Of the format; the first byte of each entry.
const VERSION: u8 = 1;

impl Entry {
    /// Everything but the content of a [`Record::Write`], which comes last.
    pub fn head(&self) -> Vec<u8> {
        let mut out = Out(Vec::with_capacity(160));
        out.byte(VERSION);
        out.word(self.at.0);
        out.word(self.open_from);
        out.half(self.outcomes.len() as u32);
        for (number, outcome) in &self.outcomes {
            out.word(*number);
            out.outcome(outcome);
        }
        match &self.record {
            None => out.byte(0),
            Some(record) => out.record(record),
        }
        out.0
    }

    /// From all the bytes of a record of the journal.
    pub fn parse(bytes: Bytes) -> Option<Entry> {
        let mut from = In(bytes);
        if from.byte()? != VERSION {
            return None;
        }
        let at = Time(from.word()?);
        let open_from = from.word()?;
        let count = from.half()?;
        let mut outcomes = Vec::new();
        for _ in 0..count {
            outcomes.push((from.word()?, from.outcome()?));
        }
        let record = from.record()?;
        from.0.is_empty().then_some(Entry { outcomes, open_from, record, at })
    }
}

struct Out(Vec<u8>);

impl Out {
    fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    fn half(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn word(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.half(value.len() as u32);
        self.0.extend(value);
    }

    fn path(&mut self, path: &VPath) {
        self.bytes(path.as_str().as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Out, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(None) => self.byte(0),
            Outcome::Done(Some(stamp)) => {
                self.byte(1);
                self.stamp(stamp);
            }
            Outcome::Nothing => self.byte(2),
            Outcome::Doubt => self.byte(3),
        }
    }

    fn stamp(&mut self, stamp: &Stamp) {
        let words = [stamp.id.hi, stamp.id.lo, stamp.size, stamp.mtime.0, stamp.atime.0];
        words.into_iter().for_each(|word| self.word(word));
        let halves = [stamp.mode, stamp.uid, stamp.gid, stamp.links];
        halves.into_iter().for_each(|half| self.half(half));
    }

    fn set(&mut self, set: &SetAttr) {
        let SetAttr { size, mtime, atime, btime, mode, uid, gid, dos, compressed, sparse } = *set;
        self.option(size, Out::word);
        for time in [mtime, atime, btime] {
            self.option(time, |out, time| out.word(time.0));
        }
        for half in [mode, uid, gid, dos.map(|dos| dos.bits())] {
            self.option(half, Out::half);
        }
        for flag in [compressed, sparse] {
            self.option(flag, |out, flag| out.byte(flag.into()));
        }
    }

    fn named(&mut self, name: &Named) {
        let kind = match name {
            Named::Extended(_) => 1,
            Named::System(_) => 2,
            Named::Stream(_) => 3,
            Named::Descriptor => 4,
        };
        self.byte(kind);
        self.bytes(name.name().unwrap_or_default().as_bytes());
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Change(change) => self.change(change),
            Record::Create { path } => {
                self.byte(2);
                self.path(path);
            }
            Record::Write { path, offset, data: _ } => {
                self.byte(3);
                self.path(path);
                self.word(*offset);
            }
            Record::Zero { path, offset, length } => {
                self.byte(4);
                self.path(path);
                self.word(*offset);
                self.word(*length);
            }
            Record::SetAttr { path, set } => {
                self.byte(5);
                self.path(path);
                self.set(set);
            }
            Record::Cut { path, stamp } => {
                self.byte(6);
                self.path(path);
                self.option(stamp.as_ref(), Out::stamp);
            }
            Record::Unknown { below } => {
                self.byte(7);
                self.path(below);
            }
            Record::Restart => self.byte(1),
        }
    }

    fn change(&mut self, change: &Change) {
        let kind = match change {
            Change::MakeDir { .. } => 16,
            Change::MakeNode { .. } => 17,
            Change::Remove { .. } => 18,
            Change::Rename { .. } => 19,
            Change::Link { .. } => 20,
            Change::Symlink { .. } => 21,
            Change::SetAttr { .. } => 22,
            Change::SetNamed { .. } => 23,
        };
        self.byte(kind);
        change.paths().for_each(|path| self.path(path));
        match change {
            Change::MakeDir { mode, dos, .. } => {
                self.half(*mode);
                self.half(dos.bits());
            }
            Change::MakeNode { node, mode, .. } => {
                let (kind, device) = match *node {
                    Special::Fifo => (1, None),
                    Special::Socket => (2, None),
                    Special::CharDevice(device) => (3, Some(device)),
                    Special::BlockDevice(device) => (4, Some(device)),
                };
                let device = device.unwrap_or(Device { major: 0, minor: 0 });
                self.byte(kind);
                [device.major, device.minor, *mode].into_iter().for_each(|half| self.half(half));
            }
            Change::Remove { dir, .. } => self.byte((*dir).into()),
            Change::Rename { replace, .. } | Change::Link { replace, .. } => self.byte((*replace).into()),
            Change::Symlink { target, .. } => self.bytes(target.as_bytes()),
            Change::SetAttr { set, .. } => self.set(set),
            Change::SetNamed { name, value, .. } => {
                self.named(name);
                self.option(value.as_ref(), |out, value| out.bytes(value));
            }
        }
    }
}

struct In(Bytes);

impl In {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn half(&mut self) -> Option<u32> {
        self.take(4)?.as_ref().try_into().ok().map(u32::from_le_bytes)
    }

    fn word(&mut self) -> Option<u64> {
        self.take(8)?.as_ref().try_into().ok().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = self.half()?;
        self.take(length as usize)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.into()).ok()
    }

    fn path(&mut self) -> Option<VPath> {
        VPath::parse(&self.text()?).ok()
    }

    fn option<T>(&mut self, get: impl FnOnce(&mut In) -> Option<T>) -> Option<Option<T>> {
        match self.flag()? {
            true => get(self).map(Some),
            false => Some(None),
        }
    }

    fn outcome(&mut self) -> Option<Outcome> {
        Some(match self.byte()? {
            0 => Outcome::Done(None),
            1 => Outcome::Done(Some(self.stamp()?)),
            2 => Outcome::Nothing,
            3 => Outcome::Doubt,
            _ => return None,
        })
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let id = FileId { hi: self.word()?, lo: self.word()? };
        let (size, mtime, atime) = (self.word()?, Time(self.word()?), Time(self.word()?));
        let (mode, uid, gid, links) = (self.half()?, self.half()?, self.half()?, self.half()?);
        Some(Stamp { id, mode, uid, gid, links, size, mtime, atime })
    }

    fn set(&mut self) -> Option<SetAttr> {
        let time = |from: &mut In| from.word().map(Time);
        Some(SetAttr {
            size: self.option(In::word)?,
            mtime: self.option(time)?,
            atime: self.option(time)?,
            btime: self.option(time)?,
            mode: self.option(In::half)?,
            uid: self.option(In::half)?,
            gid: self.option(In::half)?,
            dos: self.option(In::half)?.map(DosAttributes::from_bits_truncate),
            compressed: self.option(In::flag)?,
            sparse: self.option(In::flag)?,
        })
    }

    fn named(&mut self) -> Option<Named> {
        let (kind, name) = (self.byte()?, self.text()?);
        Some(match kind {
            1 => Named::extended(name),
            2 => Named::system(name),
            3 => Named::stream(name),
            4 => Named::Descriptor,
            _ => return None,
        })
    }

    fn record(&mut self) -> Option<Option<Record>> {
        let kind = self.byte()?;
        match kind {
            0 => return Some(None),
            1 => return Some(Some(Record::Restart)),
            _ => {}
        }
        let path = self.path()?;
        Some(Some(match kind {
            2 => Record::Create { path },
            3 => {
                let offset = self.word()?;
                Record::Write { path, offset, data: std::mem::take(&mut self.0) }
            }
            4 => Record::Zero { path, offset: self.word()?, length: self.word()? },
            5 => Record::SetAttr { path, set: self.set()? },
            6 => Record::Cut { path, stamp: self.option(In::stamp)? },
            7 => Record::Unknown { below: path },
            _ => Record::Change(self.change(kind, path)?),
        }))
    }

    fn change(&mut self, kind: u8, path: VPath) -> Option<Change> {
        let (maker, expect) = (None, None);
        Some(match kind {
            16 => {
                let (mode, dos) = (self.half()?, DosAttributes::from_bits_truncate(self.half()?));
                Change::MakeDir { path, mode, dos, maker }
            }
            17 => {
                let kind = self.byte()?;
                let device = Device { major: self.half()?, minor: self.half()? };
                let node = match kind {
                    1 => Special::Fifo,
                    2 => Special::Socket,
                    3 => Special::CharDevice(device),
                    4 => Special::BlockDevice(device),
                    _ => return None,
                };
                Change::MakeNode { path, node, mode: self.half()?, maker }
            }
            18 => Change::Remove { path, dir: self.flag()?, expect },
            19 => Change::Rename { from: path, to: self.path()?, replace: self.flag()?, expect },
            20 => Change::Link { from: path, to: self.path()?, replace: self.flag()?, expect },
            21 => Change::Symlink { path, target: self.text()?, maker },
            22 => Change::SetAttr { path, set: self.set()?, expect },
            23 => {
                let name = self.named()?;
                Change::SetNamed { path, name, value: self.option(In::bytes)?, expect }
            }
            _ => return None,
        })
    }
}

impl Record {
    /// As it is written: without who makes it and what is expected, which are for the volume alone.
    pub fn of(change: &Change) -> Record {
        let mut change = change.clone();
        match &mut change {
            Change::MakeDir { maker, .. }
            | Change::MakeNode { maker, .. }
            | Change::Symlink { maker, .. } => {
                *maker = None;
            }
            Change::Remove { expect, .. }
            | Change::Rename { expect, .. }
            | Change::Link { expect, .. }
            | Change::SetAttr { expect, .. }
            | Change::SetNamed { expect, .. } => *expect = None,
        }
        Record::Change(change)
    }
}

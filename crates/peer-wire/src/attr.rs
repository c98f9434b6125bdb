//! Attributes and the other small values of the waist.
//!
//! An [`Attr`] is written against a reference, the one before it in the same message (all zero for the
//! first), so that what neighbours in a directory have in common costs nothing. Sixteen bits say how:
//!
//! ```text
//! 0-1    kind (3 special) 2  mode, uid, gid, dos as in the reference    3  links is 1
//! 4      allocated is size rounded up to 4096                           5  id.hi as in the reference
//! 6-7    version.hi       8-9  version.lo    (0 as in the reference, 1 the ctime, 2 the mtime, 3 written)
//! 10     ctime is mtime   11  atime is mtime  12  btime is mtime
//! 13     carries extended attributes  14  streams  15  a descriptor
//! ```

use crate::WireError;
use crate::cursor::{Reader, Writer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use volume::{
    Attr, Caps, Carries, Device, DosAttributes, FileId, Freshness, Kind, Maker, Namespace, SetAttr, Space,
    Special, Time, Version,
};

const OWNER_SAME: u16 = 1 << 2;
const LINKS_ONE: u16 = 1 << 3;
const ALLOCATED_ROUNDED: u16 = 1 << 4;
const ID_HI_SAME: u16 = 1 << 5;
const VERSION_HI_SHIFT: u16 = 6;
const VERSION_LO_SHIFT: u16 = 8;
const CTIME_IS_MTIME: u16 = 1 << 10;
const ATIME_IS_MTIME: u16 = 1 << 11;
const BTIME_IS_MTIME: u16 = 1 << 12;
const CARRIES_SHIFT: u16 = 13;

const KIND_SPECIAL: u16 = 3;
const FIFO: u8 = 0;
const SOCKET: u8 = 1;
const CHAR_DEVICE: u8 = 2;
const BLOCK_DEVICE: u8 = 3;

/// Allocation that needs no bytes: whole blocks of this size.
const BLOCK_BYTES: u64 = 4096;

/// Least bytes that an attribute block takes: the flags, `id.lo`, `size`, `mtime`.
pub(crate) const ATTR_LEAST_BYTES: usize = 5;

/// What the first attribute block of a message is written against.
pub(crate) const REFERENCE: Attr = Attr {
    id: FileId { hi: 0, lo: 0 },
    version: Version { hi: 0, lo: 0 },
    kind: Kind::File,
    size: 0,
    allocated: 0,
    mtime: Time(0),
    ctime: Time(0),
    atime: Time(0),
    btime: Time(0),
    mode: 0,
    uid: 0,
    gid: 0,
    links: 0,
    dos: DosAttributes::empty(),
    carries: Carries::empty(),
};

/// How one word of a version is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Reference = 0,
    Ctime = 1,
    Mtime = 2,
    Written = 3,
}

impl Word {
    fn choose(word: u64, reference: u64, attr: &Attr) -> Word {
        match word {
            _ if word == reference => Word::Reference,
            _ if word == attr.ctime.0 => Word::Ctime,
            _ if word == attr.mtime.0 => Word::Mtime,
            _ => Word::Written,
        }
    }

    fn from_bits(bits: u16) -> Word {
        match bits & 3 {
            0 => Word::Reference,
            1 => Word::Ctime,
            2 => Word::Mtime,
            _ => Word::Written,
        }
    }
}

fn rounded(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(BLOCK_BYTES)
}

fn owner(attr: &Attr) -> (u32, u32, u32, DosAttributes) {
    (attr.mode, attr.uid, attr.gid, attr.dos)
}

pub(crate) fn put_attr(out: &mut Writer, attr: &Attr, reference: &Attr) {
    let high = Word::choose(attr.version.hi, reference.version.hi, attr);
    let low = Word::choose(attr.version.lo, reference.version.lo, attr);
    let mut flags = match attr.kind {
        Kind::File => 0,
        Kind::Dir => 1,
        Kind::Symlink => 2,
        Kind::Special(_) => KIND_SPECIAL,
    };
    flags |= u16::from(attr.carries.bits()) << CARRIES_SHIFT;
    flags |= (high as u16) << VERSION_HI_SHIFT | (low as u16) << VERSION_LO_SHIFT;
    for (bit, holds) in [
        (OWNER_SAME, owner(attr) == owner(reference)),
        (LINKS_ONE, attr.links == 1),
        (ALLOCATED_ROUNDED, rounded(attr.size) == Some(attr.allocated)),
        (ID_HI_SAME, attr.id.hi == reference.id.hi),
        (CTIME_IS_MTIME, attr.ctime == attr.mtime),
        (ATIME_IS_MTIME, attr.atime == attr.mtime),
        (BTIME_IS_MTIME, attr.btime == attr.mtime),
    ] {
        flags |= if holds { bit } else { 0 };
    }
    let without = |bit: u16| flags & bit == 0;

    out.fixed16(flags);
    if let Kind::Special(special) = attr.kind {
        put_special(out, special);
    }
    if without(ID_HI_SAME) {
        out.fixed64(attr.id.hi);
    }
    out.delta(attr.id.lo, reference.id.lo);
    if high == Word::Written {
        out.fixed64(attr.version.hi);
    }
    if low == Word::Written {
        out.fixed64(attr.version.lo);
    }
    out.number(attr.size);
    if without(ALLOCATED_ROUNDED) {
        out.number(attr.allocated);
    }
    let mtime = attr.mtime.0;
    out.delta(mtime, reference.mtime.0);
    for (bit, time) in
        [(CTIME_IS_MTIME, attr.ctime), (ATIME_IS_MTIME, attr.atime), (BTIME_IS_MTIME, attr.btime)]
    {
        if without(bit) {
            out.delta(time.0, mtime);
        }
    }
    if without(OWNER_SAME) {
        for value in [attr.mode, attr.uid, attr.gid, attr.dos.bits()] {
            out.number(u64::from(value));
        }
    }
    if without(LINKS_ONE) {
        out.number(u64::from(attr.links));
    }
}

pub(crate) fn get_attr(input: &mut Reader<'_>, reference: &Attr) -> Result<Attr, WireError> {
    let flags = input.fixed16()?;
    let carries = Carries::from_bits_truncate((flags >> CARRIES_SHIFT) as u8);
    let with = |bit: u16| flags & bit != 0;
    let kind = match flags & 3 {
        0 => Kind::File,
        1 => Kind::Dir,
        2 => Kind::Symlink,
        _ => Kind::Special(get_special(input)?),
    };
    let hi = if with(ID_HI_SAME) { reference.id.hi } else { input.fixed64()? };
    let id = FileId { hi, lo: input.delta(reference.id.lo)? };
    let high = Word::from_bits(flags >> VERSION_HI_SHIFT);
    let low = Word::from_bits(flags >> VERSION_LO_SHIFT);
    let high_written = if high == Word::Written { input.fixed64()? } else { 0 };
    let low_written = if low == Word::Written { input.fixed64()? } else { 0 };
    let size = input.number()?;
    let allocated = if with(ALLOCATED_ROUNDED) {
        rounded(size).ok_or(WireError::Value("an allocation"))?
    } else {
        input.number()?
    };
    let mtime = input.delta(reference.mtime.0)?;
    let mut time = |bit: u16| -> Result<Time, WireError> {
        Ok(Time(if with(bit) { mtime } else { input.delta(mtime)? }))
    };
    let (ctime, atime, btime) = (time(CTIME_IS_MTIME)?, time(ATIME_IS_MTIME)?, time(BTIME_IS_MTIME)?);
    let (mode, uid, gid, dos) = if with(OWNER_SAME) {
        owner(reference)
    } else {
        (input.number32()?, input.number32()?, input.number32()?, get_dos(input)?)
    };
    let links = if with(LINKS_ONE) { 1 } else { input.number32()? };
    let word = |how: Word, reference: u64, written: u64| match how {
        Word::Reference => reference,
        Word::Ctime => ctime.0,
        Word::Mtime => mtime,
        Word::Written => written,
    };
    let version = Version {
        hi: word(high, reference.version.hi, high_written),
        lo: word(low, reference.version.lo, low_written),
    };
    let mtime = Time(mtime);
    Ok(Attr {
        id,
        version,
        kind,
        size,
        allocated,
        mtime,
        ctime,
        atime,
        btime,
        mode,
        uid,
        gid,
        links,
        dos,
        carries,
    })
}

pub(crate) fn put_special(out: &mut Writer, special: Special) {
    let (code, device) = match special {
        Special::Fifo => (FIFO, None),
        Special::Socket => (SOCKET, None),
        Special::CharDevice(device) => (CHAR_DEVICE, Some(device)),
        Special::BlockDevice(device) => (BLOCK_DEVICE, Some(device)),
    };
    out.byte(code);
    if let Some(Device { major, minor }) = device {
        out.number(u64::from(major));
        out.number(u64::from(minor));
    }
}

pub(crate) fn get_special(input: &mut Reader<'_>) -> Result<Special, WireError> {
    Ok(match input.byte()? {
        FIFO => Special::Fifo,
        SOCKET => Special::Socket,
        CHAR_DEVICE => Special::CharDevice(get_device(input)?),
        BLOCK_DEVICE => Special::BlockDevice(get_device(input)?),
        _ => return Err(WireError::Value("a kind of special file")),
    })
}

fn get_device(input: &mut Reader<'_>) -> Result<Device, WireError> {
    Ok(Device { major: input.number32()?, minor: input.number32()? })
}

pub(crate) fn put_maker(out: &mut Writer, maker: Maker) {
    for value in [maker.uid, maker.gid, maker.umask] {
        out.number(u64::from(value));
    }
}

pub(crate) fn get_maker(input: &mut Reader<'_>) -> Result<Maker, WireError> {
    Ok(Maker { uid: input.number32()?, gid: input.number32()?, umask: input.number32()? })
}

pub(crate) fn put_dos(out: &mut Writer, dos: DosAttributes) {
    out.number(u64::from(dos.bits()));
}

pub(crate) fn get_dos(input: &mut Reader<'_>) -> Result<DosAttributes, WireError> {
    DosAttributes::from_bits(input.number32()?).ok_or(WireError::Value("attribute bits"))
}

pub(crate) fn put_time(out: &mut Writer, time: Time) {
    out.fixed64(time.0);
}

pub(crate) fn get_time(input: &mut Reader<'_>) -> Result<Time, WireError> {
    Ok(Time(input.fixed64()?))
}

pub(crate) fn put_set_attr(out: &mut Writer, set: &SetAttr) {
    out.option(set.size, |out, value| out.number(value));
    for time in [set.mtime, set.atime, set.btime] {
        out.option(time, put_time);
    }
    for value in [set.mode, set.uid, set.gid] {
        out.option(value, |out, value| out.number(u64::from(value)));
    }
    out.option(set.dos, put_dos);
    out.option(set.compressed, Writer::flag);
    out.option(set.sparse, Writer::flag);
}

pub(crate) fn get_set_attr(input: &mut Reader<'_>) -> Result<SetAttr, WireError> {
    Ok(SetAttr {
        size: input.option(Reader::number)?,
        mtime: input.option(get_time)?,
        atime: input.option(get_time)?,
        btime: input.option(get_time)?,
        mode: input.option(Reader::number32)?,
        uid: input.option(Reader::number32)?,
        gid: input.option(Reader::number32)?,
        dos: input.option(get_dos)?,
        compressed: input.option(Reader::flag)?,
        sparse: input.option(Reader::flag)?,
    })
}

/// The yes-or-no abilities, in the order of their bits.
fn abilities(caps: &Caps) -> [bool; 17] {
    [
        caps.stable_ids,
        caps.atomic_rename,
        caps.random_write,
        caps.hard_links,
        caps.symlinks,
        caps.set_times,
        caps.dos_attributes,
        caps.case_sensitive,
        caps.watch,
        caps.read_only,
        caps.named,
        caps.holes,
        caps.copies,
        caps.clones,
        caps.compression,
        caps.quotas,
        caps.posix,
    ]
}

pub(crate) fn put_caps(out: &mut Writer, caps: &Caps) {
    out.byte(match caps.namespace {
        Namespace::Tree => 0,
        Namespace::Keys => 1,
    });
    let bits = abilities(caps).iter().enumerate().fold(0, |bits, (n, holds)| bits | u64::from(*holds) << n);
    out.number(bits);
    out.number(u64::from(caps.io_size));
    out.number(u64::from(caps.named_max));
}

pub(crate) fn get_caps(input: &mut Reader<'_>) -> Result<Caps, WireError> {
    let namespace = match input.byte()? {
        0 => Namespace::Tree,
        1 => Namespace::Keys,
        _ => return Err(WireError::Value("a namespace")),
    };
    let bits = input.number()?;
    let has = |n: u32| bits >> n & 1 == 1;
    Ok(Caps {
        namespace,
        stable_ids: has(0),
        atomic_rename: has(1),
        random_write: has(2),
        hard_links: has(3),
        symlinks: has(4),
        set_times: has(5),
        dos_attributes: has(6),
        case_sensitive: has(7),
        watch: has(8),
        read_only: has(9),
        named: has(10),
        holes: has(11),
        copies: has(12),
        clones: has(13),
        compression: has(14),
        quotas: has(15),
        posix: has(16),
        io_size: input.number32()?,
        named_max: input.number32()?,
    })
}

pub(crate) fn put_space(out: &mut Writer, space: &Space) {
    for value in [space.total, space.free, space.available, u64::from(space.unit)] {
        out.number(value);
    }
}

pub(crate) fn get_space(input: &mut Reader<'_>) -> Result<Space, WireError> {
    Ok(Space {
        total: input.number()?,
        free: input.number()?,
        available: input.number()?,
        unit: input.number32()?,
    })
}

/// Durations travel in milliseconds, points in time as [`Time`].
pub(crate) fn put_freshness(out: &mut Writer, freshness: Freshness) {
    match freshness {
        Freshness::Direct => out.byte(0),
        Freshness::Leased => out.byte(1),
        Freshness::Notified => out.byte(2),
        Freshness::Polled { every } => {
            out.byte(3);
            out.number(u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
        }
        Freshness::Offline { since } => {
            out.byte(4);
            let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
            out.number(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

pub(crate) fn get_freshness(input: &mut Reader<'_>) -> Result<Freshness, WireError> {
    Ok(match input.byte()? {
        0 => Freshness::Direct,
        1 => Freshness::Leased,
        2 => Freshness::Notified,
        3 => Freshness::Polled { every: Duration::from_millis(input.number()?) },
        4 => {
            let since: SystemTime = UNIX_EPOCH
                .checked_add(Duration::from_millis(input.number()?))
                .ok_or(WireError::Value("a point in time"))?;
            Freshness::Offline { since }
        }
        _ => return Err(WireError::Value("a freshness")),
    })
}

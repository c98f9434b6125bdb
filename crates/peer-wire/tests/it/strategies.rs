//! Arbitrary values of everything that travels.

use bytes::Bytes;
use peer_wire::{Answer, Ask, Below, DirListing, Event, Failure, Push};
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};
use volume::*;

/// An entry whose attributes have nothing in common with others.
pub fn far_entry() -> Entry {
    let attr = Attr {
        id: FileId { hi: u64::MAX / 3, lo: u64::MAX / 5 },
        version: Version { hi: 11, lo: 12 },
        kind: Kind::File,
        size: 1,
        allocated: 2,
        mtime: Time(3),
        ctime: Time(4),
        atime: Time(5),
        btime: Time(6),
        mode: 7,
        uid: 8,
        gid: 9,
        links: 10,
        dos: DosAttributes::HIDDEN,
        carries: Carries::empty(),
    };
    Entry { name: "far".into(), attr }
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..3u64]
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![any::<u64>(), 0..3u64].prop_map(Time)
}

fn dos() -> impl Strategy<Value = DosAttributes> {
    any::<u32>().prop_map(DosAttributes::from_bits_truncate)
}

fn id() -> impl Strategy<Value = FileId> {
    (word(), word()).prop_map(|(hi, lo)| FileId { hi, lo })
}

fn special() -> impl Strategy<Value = Special> {
    let device = || (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        Just(Special::Fifo),
        Just(Special::Socket),
        device().prop_map(Special::CharDevice),
        device().prop_map(Special::BlockDevice)
    ]
}

fn maker() -> impl Strategy<Value = Option<Maker>> {
    let some = (any::<u32>(), any::<u32>(), any::<u32>());
    prop::option::of(some.prop_map(|(uid, gid, umask)| Maker { uid, gid, umask }))
}

pub fn some_attr() -> impl Strategy<Value = Attr> {
    let kind = prop_oneof![
        Just(Kind::File),
        Just(Kind::Dir),
        Just(Kind::Symlink),
        special().prop_map(Kind::Special)
    ];
    let sizes = (word(), word(), any::<bool>());
    let times = (time(), time(), time(), time());
    let links = prop_oneof![Just(1), any::<u32>()];
    let carries = any::<u8>().prop_map(Carries::from_bits_truncate);
    let owner = (any::<u32>(), any::<u32>(), any::<u32>(), links, dos(), carries);
    (id(), (word(), word(), 0..4u8), kind, sizes, times, owner).prop_map(
        |(id, (hi, lo, like), kind, (size, allocated, rounded), (mtime, ctime, atime, btime), owner)| {
            let (mode, uid, gid, links, dos, carries) = owner;
            let version = match like {
                0 => Version { hi: ctime.0, lo: mtime.0 },
                1 => Version { hi: mtime.0, lo },
                _ => Version { hi, lo },
            };
            let whole = size.checked_next_multiple_of(4096).filter(|_| rounded);
            let allocated = whole.unwrap_or(allocated);
            Attr {
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
            }
        },
    )
}

fn name() -> impl Strategy<Value = String> {
    "[a-zäß~$ ]{1,12}"
}

fn path() -> impl Strategy<Value = VPath> {
    prop::collection::vec(name(), 0..4).prop_map(|names| VPath::parse(&names.join("/")).unwrap())
}

fn blob() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

pub fn some_entry() -> impl Strategy<Value = Entry> {
    (name(), some_attr()).prop_map(|(name, attr)| Entry { name: name.into(), attr })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(some_entry(), 0..6)
}

fn listing() -> impl Strategy<Value = DirListing> {
    let below = (any::<u32>(), any::<u32>(), entries()).prop_map(|(parent, entry, entries)| Below {
        parent,
        entry,
        entries,
    });
    let rest = (prop::option::of(blob()), prop::option::of(some_attr()), prop::collection::vec(below, 0..4));
    (entries(), rest).prop_map(|(entries, (next, dir, below))| DirListing { entries, next, dir, below })
}

fn set_attr() -> impl Strategy<Value = SetAttr> {
    use prop::option::of;
    let words = (of(word()), of(any::<u32>()), of(any::<u32>()), of(any::<u32>()));
    let bits = (of(dos()), of(any::<bool>()), of(any::<bool>()));
    (words, bits, of(time()), of(time()), of(time())).prop_map(
        |((size, mode, uid, gid), (dos, compressed, sparse), mtime, atime, btime)| SetAttr {
            size,
            mtime,
            atime,
            btime,
            mode,
            uid,
            gid,
            dos,
            compressed,
            sparse,
        },
    )
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![
        name().prop_map(Named::extended),
        name().prop_map(Named::system),
        name().prop_map(Named::stream),
        Just(Named::Descriptor)
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let expect = || prop::option::of(id());
    prop_oneof![
        (path(), any::<u32>(), dos(), maker()).prop_map(|(path, mode, dos, maker)| Change::MakeDir {
            path,
            mode,
            dos,
            maker
        }),
        (path(), special(), any::<u32>(), maker()).prop_map(|(path, node, mode, maker)| Change::MakeNode {
            path,
            node,
            mode,
            maker
        }),
        (path(), any::<bool>(), expect()).prop_map(|(path, dir, expect)| Change::Remove {
            path,
            dir,
            expect
        }),
        (path(), path(), any::<bool>(), expect()).prop_map(|(from, to, replace, expect)| Change::Rename {
            from,
            to,
            replace,
            expect
        }),
        (path(), path(), any::<bool>(), expect()).prop_map(|(from, to, replace, expect)| Change::Link {
            from,
            to,
            replace,
            expect
        }),
        (path(), name(), maker()).prop_map(|(path, target, maker)| Change::Symlink { path, target, maker }),
        (path(), set_attr(), expect()).prop_map(|(path, set, expect)| Change::SetAttr { path, set, expect }),
        (path(), named(), prop::option::of(blob()), expect())
            .prop_map(|(path, name, value, expect)| { Change::SetNamed { path, name, value, expect } }),
    ]
}

fn open_how() -> impl Strategy<Value = OpenHow> {
    let create = prop_oneof![Just(Create::Never), Just(Create::IfMissing), Just(Create::New)];
    let first = prop::option::of((word(), 0..=peer_wire::IO_MAX_BYTES));
    (0..4u8, create, any::<bool>(), any::<u32>(), dos(), maker(), prop::option::of(id()), first).prop_map(
        |(access, create, truncate, mode, dos, maker, expect, first)| {
            let access = Access::from_bits_truncate(access);
            OpenHow { access, create, truncate, mode, dos, maker, expect, first }
        },
    )
}

fn user_quota() -> impl Strategy<Value = UserQuota> {
    (blob(), time(), word(), word(), word()).prop_map(|(user, changed, used, threshold, limit)| UserQuota {
        user,
        changed,
        used,
        threshold,
        limit,
    })
}

fn quota_rules() -> impl Strategy<Value = QuotaRules> {
    (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(flags, threshold, limit)| QuotaRules {
        flags: QuotaFlags::from_bits_truncate(flags),
        threshold,
        limit,
    })
}

fn quotas_of() -> impl Strategy<Value = QuotasOf> {
    prop_oneof![
        prop::option::of(blob()).prop_map(|after| QuotasOf::All { after }),
        prop::collection::vec(blob(), 0..6).prop_map(QuotasOf::Users),
    ]
}

fn quota_change() -> impl Strategy<Value = QuotaChange> {
    prop_oneof![
        quota_rules().prop_map(QuotaChange::Rules),
        prop::collection::vec(user_quota(), 0..6).prop_map(QuotaChange::Users),
    ]
}

fn volume() -> impl Strategy<Value = String> {
    "[a-z]{0,9}"
}

pub fn ask() -> impl Strategy<Value = Ask> {
    let n = any::<u64>;
    let by_name = prop_oneof![
        volume().prop_map(|volume| Ask::VolumeInfo { volume }),
        (volume(), path()).prop_map(|(volume, path)| Ask::Stat { volume, path }),
        (volume(), path(), prop::option::of(blob()), any::<u32>()).prop_map(
            |(volume, dir, cursor, ahead)| { Ask::List { volume, dir, how: ListHow { cursor, ahead } } }
        ),
        (volume(), path(), n(), open_how()).prop_map(|(volume, path, handle, how)| Ask::Open {
            volume,
            path,
            handle,
            how
        }),
        (volume(), blob(), n()).prop_map(|(volume, ticket, handle)| Ask::Reopen {
            volume,
            ticket: Ticket(ticket),
            handle
        }),
        (volume(), change()).prop_map(|(volume, change)| Ask::Apply { volume, change }),
        (volume(), path()).prop_map(|(volume, path)| Ask::ReadLink { volume, path }),
        (volume(), path()).prop_map(|(volume, path)| Ask::Space { volume, path }),
        volume().prop_map(|volume| Ask::QuotaRules { volume }),
        (volume(), quotas_of()).prop_map(|(volume, of)| Ask::Quotas { volume, of }),
        (volume(), quota_change()).prop_map(|(volume, change)| Ask::SetQuotas { volume, change }),
        (volume(), path(), prop::option::of(id()), named())
            .prop_map(|(volume, path, expect, name)| Ask::Named { volume, path, expect, name }),
        (volume(), path(), prop::option::of(id())).prop_map(|(volume, path, expect)| Ask::ListNamed {
            volume,
            path,
            expect
        }),
        (volume(), path(), prop::option::of(id())).prop_map(|(volume, path, expect)| Ask::SyncDir {
            volume,
            path,
            expect
        }),
        (volume(), n()).prop_map(|(volume, subscription)| Ask::Watch { volume, subscription }),
        n().prop_map(|subscription| Ask::Check { subscription }),
        n().prop_map(|subscription| Ask::Unwatch { subscription }),
    ];
    let by_handle = prop_oneof![
        (n(), word(), 0..=peer_wire::IO_MAX_BYTES).prop_map(|(handle, offset, length)| Ask::Read {
            handle,
            offset,
            length
        }),
        (n(), word(), blob()).prop_map(|(handle, offset, data)| Ask::Write { handle, offset, data }),
        (n(), word(), word()).prop_map(|(handle, offset, length)| Ask::Ranges { handle, offset, length }),
        (n(), word(), word()).prop_map(|(handle, offset, length)| Ask::Zero { handle, offset, length }),
        (n(), word(), n(), word(), word(), prop_oneof![Just(Copying::Clone), Just(Copying::Any)]).prop_map(
            |(handle, offset, source, source_offset, length, how)| Ask::Copy {
                handle,
                offset,
                source,
                source_offset,
                length,
                how
            }
        ),
        (n(), word()).prop_map(|(handle, size)| Ask::Allocate { handle, size }),
        (n(), prop_oneof![Just(Fresh::Now), Just(Fresh::Cached)])
            .prop_map(|(handle, fresh)| Ask::FileAttr { handle, fresh }),
        (n(), set_attr()).prop_map(|(handle, set)| Ask::SetAttr { handle, set }),
        (n(), prop_oneof![Just(SyncKind::Data), Just(SyncKind::Full)])
            .prop_map(|(handle, kind)| Ask::Sync { handle, kind }),
        (n(), prop_oneof![Just(Close::Commit), Just(Close::Abort)])
            .prop_map(|(handle, how)| Ask::Close { handle, how }),
    ];
    prop_oneof![by_name, by_handle]
}

fn freshness() -> impl Strategy<Value = Freshness> {
    prop_oneof![
        Just(Freshness::Direct),
        Just(Freshness::Leased),
        Just(Freshness::Notified),
        any::<u32>().prop_map(|n| Freshness::Polled { every: Duration::from_millis(u64::from(n)) }),
        any::<u32>()
            .prop_map(|n| Freshness::Offline { since: UNIX_EPOCH + Duration::from_millis(u64::from(n)) }),
    ]
}

fn caps() -> impl Strategy<Value = Caps> {
    (any::<[bool; 18]>(), any::<u32>(), any::<u32>()).prop_map(|(has, io_size, named_max)| Caps {
        namespace: if has[16] { Namespace::Keys } else { Namespace::Tree },
        stable_ids: has[0],
        atomic_rename: has[1],
        random_write: has[2],
        hard_links: has[3],
        symlinks: has[4],
        set_times: has[5],
        dos_attributes: has[6],
        case_sensitive: has[7],
        watch: has[8],
        read_only: has[9],
        named: has[10],
        holes: has[11],
        copies: has[12],
        clones: has[13],
        compression: has[14],
        quotas: has[15],
        posix: has[17],
        io_size,
        named_max,
    })
}

fn failure() -> impl Strategy<Value = Failure> {
    let kinds = [ErrorKind::NotFound, ErrorKind::Stale, ErrorKind::Offline, ErrorKind::Io];
    (prop::sample::select(kinds.to_vec()), any::<bool>(), name(), name(), prop::option::of(name())).prop_map(
        |(kind, later, op, context, cause)| {
            let retry = if later { Retry::Later } else { Retry::Never };
            Failure { kind, retry, op, context, cause }
        },
    )
}

fn ranges() -> impl Strategy<Value = Vec<std::ops::Range<u64>>> {
    prop::collection::vec((1..1u64 << 50, 1..1u64 << 50), 0..6).prop_map(|steps| {
        let mut at = 0;
        let range = |(gap, length): (u64, u64)| {
            let start = at + gap;
            at = start + length;
            start..at
        };
        steps.into_iter().map(range).collect()
    })
}

pub fn answer() -> impl Strategy<Value = Answer> {
    let opened = (some_attr(), any::<bool>(), prop::option::of(blob()), prop::option::of(blob()));
    let space = (word(), word(), word(), any::<u32>());
    prop_oneof![
        failure().prop_map(Answer::Failed),
        Just(Answer::UnknownHandle),
        Just(Answer::Done),
        caps().prop_map(Answer::Info),
        some_attr().prop_map(Answer::Attr),
        listing().prop_map(Answer::Listing),
        opened.prop_map(|(attr, created, ticket, first)| {
            Answer::Opened { attr, created, ticket: ticket.map(Ticket), first }
        }),
        prop::option::of(some_attr()).prop_map(Answer::Applied),
        prop::option::of(blob()).prop_map(Answer::Named),
        prop::collection::vec((named(), word()), 0..4).prop_map(|list| {
            Answer::NamedList(list.into_iter().map(|(name, size)| NamedEntry { name, size }).collect())
        }),
        ranges().prop_map(Answer::Ranges),
        word().prop_map(Answer::Copied),
        quota_rules().prop_map(Answer::QuotaRules),
        prop::collection::vec(user_quota(), 0..6).prop_map(Answer::Quotas),
        name().prop_map(Answer::Target),
        space.prop_map(|(total, free, available, unit)| {
            Answer::Space(Space { total, free, available, unit })
        }),
        (word(), freshness()).prop_map(|(sequence, freshness)| Answer::Watching { sequence, freshness }),
        blob().prop_map(Answer::Data),
    ]
}

pub fn push() -> impl Strategy<Value = Push> {
    let attr = || prop::option::of(some_attr());
    let notice = prop_oneof![
        (path(), attr()).prop_map(|(path, attr)| Notice::Changed { path, attr, by: Author::Unknown }),
        (path(), path(), attr()).prop_map(|(from, to, attr)| Notice::Moved {
            from,
            to,
            attr,
            by: Author::Unknown
        }),
        path().prop_map(|below| Notice::Unknown { below }),
    ];
    let event = prop_oneof![
        prop::collection::vec(notice, 0..6).prop_map(Event::Notices),
        freshness().prop_map(Event::Freshness),
    ];
    (any::<u64>(), word(), event).prop_map(|(subscription, sequence, event)| Push {
        subscription,
        sequence,
        event,
    })
}

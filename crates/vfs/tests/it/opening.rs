use crate::tools::{DELETE, LOOK, READ, Site, WRITE, site, word};
use bytes::Bytes;
use std::sync::Arc;
use testkit::ease::{cx, get, mkdir, p, put};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use vfs::{Access, Action, Disposition, Limits, OpenRequest, Owner, RenameHow, Share, Vfs, VfsConfig, Want};
use volume::{DosAttributes, ErrorKind, SetAttr, SyncKind};

#[tokio::test]
async fn dispositions_on_what_is_there_and_on_what_is_not() {
    use Disposition::*;
    let site = site();
    for (disposition, there, missing) in [
        (Open, Ok(Action::Opened), Err("NotFound")),
        (OpenIf, Ok(Action::Opened), Ok(Action::Created)),
        (Create, Err("Exists"), Ok(Action::Created)),
        (Overwrite, Ok(Action::Overwritten), Err("NotFound")),
        (OverwriteIf, Ok(Action::Overwritten), Ok(Action::Created)),
        (Supersede, Ok(Action::Superseded), Ok(Action::Created)),
    ] {
        put(&*site.mem, "there", "content").await;
        for (path, expect) in [("there", there), (&format!("new {disposition:?}"), missing)] {
            let got = site.try_open(path, WRITE, |r| r.disposition = disposition).await;
            match (got, expect) {
                (Ok(got), Ok(action)) => {
                    assert_eq!(got.action, action, "{disposition:?} {path}");
                    let kept = action == Action::Opened;
                    assert_eq!(got.attr.size, if kept { 7 } else { 0 }, "{disposition:?} {path}");
                    assert_eq!(got.attr.dos.contains(DosAttributes::ARCHIVE), !kept);
                }
                (got, Err(error)) => assert_eq!(word(got), error, "{disposition:?} {path}"),
                (Err(error), Ok(_)) => panic!("{disposition:?} {path}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn kinds_and_paths_that_do_not_fit() {
    let site = site();
    put(&*site.mem, "file", "").await;
    mkdir(&*site.mem, "dir").await;
    let create = Disposition::Create;
    assert_eq!(word(site.try_open("file", LOOK, |r| r.want = Want::Dir).await), "NotADirectory");
    assert_eq!(word(site.try_open("dir", LOOK, |r| r.want = Want::File).await), "IsADirectory");
    assert_eq!(word(site.try_open("none/file", LOOK, |_| {}).await), "PathNotFound");
    assert_eq!(word(site.try_open("file/below", LOOK, |_| {}).await), "PathNotFound");
    assert_eq!(word(site.try_open("none/new", WRITE, |r| r.disposition = create).await), "PathNotFound");
    assert_eq!(word(site.try_open("dir/none", LOOK, |_| {}).await), "NotFound");
    assert_eq!(word(site.try_open("dir", DELETE, |r| r.disposition = create).await), "Exists");
    assert!(site.open("", LOOK).await.is_dir());
    let made = site.make_dir("dir/below").await;
    assert!(made.is_dir() && made.path().unwrap() == p("dir/below"));
}

#[tokio::test]
async fn what_is_written_is_read_and_what_was_not_asked_for_is_refused() {
    let site = site();
    let writer = site.create("file").await;
    writer.write(&cx(), 0, Bytes::from_static(b"hello world")).await.unwrap();
    assert_eq!(writer.append(&cx(), Bytes::from_static(b"!")).await.unwrap(), 11);
    writer.sync(&cx(), SyncKind::Full).await.unwrap();
    let reader = site.open("file", READ).await;
    assert_eq!(reader.read(&cx(), 6, 100).await.unwrap(), "world!");
    assert_eq!(reader.read(&cx(), 12, 100).await.unwrap(), "");
    assert_eq!(word(reader.write(&cx(), 0, Bytes::from_static(b"x")).await), "AccessDenied");
    assert_eq!(word(reader.set_size(&cx(), 0).await), "AccessDenied");
    assert_eq!(word(site.open("file", LOOK).await.read(&cx(), 0, 1).await), "AccessDenied");
    writer.set_allocation(&cx(), 5).await.unwrap();
    assert_eq!(writer.set_allocation(&cx(), 500).await.unwrap().size, 5);
    assert_eq!(writer.close(&cx()).await.unwrap().unwrap().size, 5);
    assert_eq!(word(writer.close(&cx()).await), "Closed");
    assert_eq!(word(writer.read(&cx(), 0, 1).await), "Closed");
    assert_eq!(word(writer.attr(&cx()).await), "Closed");
}

#[tokio::test]
async fn share_modes_hold_between_opens_and_end_with_them() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    let first = site.share("file", READ, Share::READ).await.unwrap();
    assert_eq!(word(site.share("file", WRITE, Share::all()).await), "SharingViolation");
    assert_eq!(word(site.share("FILE", DELETE, Share::all()).await), "SharingViolation");
    let empties = site.try_open("file", LOOK, |r| r.disposition = Disposition::OverwriteIf).await;
    assert_eq!(word(empties), "SharingViolation");
    assert_eq!(get(&*site.mem, "file").await, b"x", "a refused open changes nothing");
    site.share("file", LOOK, Share::empty()).await.unwrap();
    first.close(&cx()).await.unwrap();
    site.share("file", WRITE, Share::empty()).await.unwrap();
}

#[tokio::test]
async fn an_open_that_is_dropped_is_closed() {
    let site = site();
    drop(site.share("", READ, Share::empty()).await.unwrap());
    let file = site.create("file").await;
    file.try_lock(vfs::Range::new(0, 1), true).unwrap();
    drop(file);
    while site.vfs.opens().opens > 0 {
        tokio::task::yield_now().await;
    }
    site.share("file", WRITE, Share::empty()).await.unwrap().try_lock(vfs::Range::new(0, 1), true).unwrap();
}

#[tokio::test]
async fn looking_opens_nothing_at_the_volume_and_a_refused_open_neither() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    site.mem.counts().reset();
    site.open("file", LOOK | Access::DELETE).await.attr(&cx()).await.unwrap();
    assert_eq!((site.mem.counts().of(Op::Open), site.mem.counts().of(Op::List)), (0, 0));
    assert_eq!(site.mem.counts().of(Op::Stat), 2, "one look to open, one for the attributes");
    let open = site.open("file", READ).await;
    open.read(&cx(), 0, 1).await.unwrap();
    assert_eq!((site.mem.counts().of(Op::Open), site.mem.counts().of(Op::Stat)), (1, 3));
}

#[tokio::test]
async fn read_only_files_volumes_and_links_to_them() {
    let site = site();
    let file = site.create("file").await;
    let readonly = SetAttr { dos: Some(DosAttributes::READONLY), ..SetAttr::default() };
    file.set_attr(&cx(), &readonly).await.unwrap();
    file.write(&cx(), 0, Bytes::from_static(b"the open stays")).await.unwrap();
    assert_eq!(word(site.try_open("file", WRITE, |_| {}).await), "AccessDenied");
    assert_eq!(word(site.try_open("file", DELETE, |r| r.delete_on_close = true).await), "CannotDelete");
    let served = Vfs::new(site.mem.clone(), VfsConfig { read_only: true, ..VfsConfig::default() });
    assert!(served.caps().read_only);
    let open = |path, access, disposition| {
        let mut request = crate::tools::ask(path, access);
        request.disposition = disposition;
        let served = served.clone();
        async move { word(served.open(&cx(), request).await) }
    };
    assert_eq!(open("file", READ, Disposition::OpenIf).await, "Ok");
    assert_eq!(open("new", READ, Disposition::OpenIf).await, "ReadOnly");
    assert_eq!(open("file", WRITE, Disposition::Open).await, "ReadOnly");
    assert_eq!(open("file", DELETE, Disposition::Open).await, "ReadOnly");
}

#[tokio::test]
async fn no_account_takes_all_opens_of_a_volume() {
    let limits = Limits { opens: 4, opens_per_account: 2, ..Limits::default() };
    let mem = MemVolume::new();
    let vfs = Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() });
    let site = Site { vfs, mem };
    let open = async |name: &str, account: Option<&str>| {
        let disposition = Disposition::OpenIf;
        let of = |r: &mut OpenRequest| (r.disposition, r.account) = (disposition, account.map(Arc::from));
        site.try_open(name, READ, of).await
    };
    let first = open("a", Some("one")).await.unwrap().open;
    let second = open("b", Some("one")).await.unwrap();
    assert_eq!(word(open("c", Some("one")).await), "LimitReached(\"opens of one account\")");
    assert!(!testkit::ease::exists(&*site.mem, "c").await);
    let _others = (open("c", Some("two")).await.unwrap(), open("a", None).await.unwrap());
    assert_eq!(word(open("a", Some("two")).await), "LimitReached(\"opens\")");
    // What is closed, and what could not be opened, does not count.
    first.close(&cx()).await.unwrap();
    second.open.close(&cx()).await.unwrap();
    for _ in 0..3 {
        let missing = site.try_open("none", READ, |r| r.account = Some("one".into())).await;
        assert_eq!(word(missing), "NotFound");
    }
    open("a", Some("one")).await.unwrap();
}

#[tokio::test]
async fn no_account_has_so_many_opens_of_one_file_that_judging_others_takes_long() {
    let limits = Limits { opens_of_file_per_account: 2, ..Limits::default() };
    let mem = MemVolume::new();
    let vfs = Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() });
    let site = Site { vfs, mem };
    let open = async |name: &str, account: Option<&str>| {
        let of = |r: &mut OpenRequest| {
            (r.disposition, r.account) = (Disposition::OpenIf, account.map(Arc::from));
        };
        site.try_open(name, READ, of).await
    };
    let one = Some("one");
    let first = open("a", one).await.unwrap().open;
    let _second = open("a", one).await.unwrap();
    assert_eq!(word(open("A", one).await), "LimitReached(\"opens of one file by one account\")");
    let _others = (open("a", Some("two")).await.unwrap(), open("a", None).await.unwrap());
    let _another = open("b", one).await.unwrap();
    first.close(&cx()).await.unwrap();
    let _again = open("a", one).await.unwrap();
}

#[tokio::test]
async fn limits_are_answers() {
    let limits = Limits { opens: 2, locks_per_file: 1, ..Limits::default() };
    let vfs = Vfs::new(MemVolume::new(), VfsConfig { limits, ..VfsConfig::default() });
    let ask = || crate::tools::ask("", READ);
    let first = vfs.open(&cx(), ask()).await.unwrap();
    let mut file = crate::tools::ask("file", WRITE | DELETE);
    file.disposition = Disposition::Create;
    let file = vfs.open(&cx(), file).await.unwrap().open;
    assert_eq!(word(vfs.open(&cx(), ask()).await), "LimitReached(\"opens\")");
    file.rename(&cx(), &p("renamed"), RenameHow::default()).await.expect("it opens nothing");
    file.try_lock(vfs::Range::new(0, 1), true).unwrap();
    let more = word(file.try_lock(vfs::Range::new(9, 1), true));
    assert_eq!(more, "LimitReached(\"locks of one file\")");
    first.open.close(&cx()).await.unwrap();
    let _second = vfs.open(&cx(), ask()).await.unwrap();
    assert_eq!((vfs.opens().opens, vfs.opens().locks, vfs.list_opens(1).len()), (2, 1, 1));
}

#[tokio::test]
async fn room_is_looked_at_before_much_is_sent() {
    let site = site();
    site.mem.set_capacity(1 << 20);
    let big =
        site.try_open("big", WRITE, |r| (r.disposition, r.allocation) = (Disposition::Create, Some(1 << 30)));
    assert_eq!(word(big.await), "NoSpace");
    assert_eq!(word(site.try_open("big", LOOK, |_| {}).await), "NotFound");
}

#[tokio::test]
async fn a_file_replaced_at_the_origin_meanwhile_is_opened_as_it_is_then() {
    let mem = MemVolume::with(MemConfig::default());
    let fault = FaultVolume::new(mem.clone());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    put(&*mem, "file", "old").await;
    let gate = fault.gate(Op::Open);
    let opening = tokio::spawn({
        let vfs = vfs.clone();
        async move { vfs.open(&cx(), crate::tools::ask("file", READ)).await }
    });
    gate.arrived(1).await;
    let other: Arc<MemVolume> = mem.other();
    put(&*other, "new", "new").await;
    let change = volume::Change::Rename { from: p("new"), to: p("file"), replace: true, expect: None };
    testkit::ease::apply(&*other, change).await;
    gate.release();
    let opened = opening.await.unwrap().unwrap();
    assert_eq!(opened.open.read(&cx(), 0, 9).await.unwrap(), "new");
    assert_eq!(vfs.opens().opens, 1, "the first try has left no trace");
}

#[tokio::test]
async fn errors_of_the_volume_come_through() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let mut request = vfs::OpenRequest::new(p("file"), WRITE, Owner(1));
    request.disposition = Disposition::Create;
    fault.fail(Op::Open, 1, ErrorKind::NoSpace);
    assert_eq!(word(vfs.open(&cx(), request.clone()).await), "NoSpace");
    let open = vfs.open(&cx(), request).await.unwrap().open;
    for (op, kind) in
        [(Op::Write, ErrorKind::QuotaExceeded), (Op::Read, ErrorKind::Io), (Op::Sync, ErrorKind::Io)]
    {
        fault.fail(op, 1, kind);
    }
    assert_eq!(word(open.write(&cx(), 0, Bytes::from_static(b"x")).await), "QuotaExceeded");
    assert_eq!(word(open.read(&cx(), 0, 1).await), "Io");
    assert_eq!(word(open.sync(&cx(), SyncKind::Data).await), "Io");
    fault.fail(Op::Close, 1, ErrorKind::NoSpace);
    assert_eq!(word(open.close(&cx()).await), "NoSpace");
    assert_eq!(vfs.opens().opens, 0, "it is closed all the same");
}

#[tokio::test]
async fn a_time_of_birth_that_cannot_be_set_is_left_out() {
    let mut config = MemConfig::default();
    config.caps.dos_attributes = false;
    let mem = MemVolume::with(config);
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    let file = site.create("file").await;
    let born = file.attr(&cx()).await.unwrap().btime;
    let then = Some(volume::Time(5));
    let set = SetAttr { mtime: then, atime: then, btime: then, ..SetAttr::default() };
    let attr = file.set_attr(&cx(), &set).await.unwrap();
    assert_eq!((Some(attr.mtime), Some(attr.atime), attr.btime), (then, then, born));
    let only = SetAttr { btime: then, ..SetAttr::default() };
    assert_eq!(file.set_attr(&cx(), &only).await.unwrap().btime, born);
}

/// What it was is gone by the time at which its attributes are refused.
#[tokio::test]
async fn a_file_is_overwritten_also_where_its_attributes_cannot_be_set() {
    let (faults, mem) = (FaultVolume::new(MemVolume::new()), MemVolume::new());
    let site = Site { vfs: Vfs::new(faults.clone(), VfsConfig::default()), mem };
    let hidden = |r: &mut OpenRequest| {
        (r.disposition, r.dos) = (Disposition::OverwriteIf, DosAttributes::HIDDEN);
    };
    for (refusal, expect) in
        [(ErrorKind::Unsupported, "Ok"), (ErrorKind::PermissionDenied, "Ok"), (ErrorKind::Io, "Io")]
    {
        put(&*faults, "file", "content").await;
        faults.fail(Op::SetAttr, 1, refusal);
        assert_eq!(word(site.try_open("file", WRITE, hidden).await), expect);
        assert_eq!(get(&*faults, "file").await, b"");
    }
}

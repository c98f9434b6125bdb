//! Named streams.

use crate::caching::watched;
use crate::tools::{DELETE, LOOK, READ, Site, WRITE, ask, site};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{cx, mkdir, p, within};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{
    Access, Action, Caching, Disposition, Filter, Lease, LeaseId, NotifyAction, NotifyBatch, Open,
    OpenRequest, Opened, Range, RenameHow, Result, Share, Tried, Vfs, VfsConfig, Want,
};
use volume::{Carries, Change, ErrorKind, Named, SetAttr, SyncKind, Time, Volume};

impl Site {
    pub async fn try_stream(
        &self,
        path: &str,
        stream: &str,
        access: Access,
        change: impl FnOnce(&mut OpenRequest),
    ) -> Result<Opened> {
        let change = |request: &mut OpenRequest| {
            request.stream = Some(stream.into());
            change(request);
        };
        self.try_open(path, access, change).await
    }

    /// Opens a stream, made when it is not there.
    pub async fn stream(&self, path: &str, stream: &str) -> Arc<Open> {
        let made = |r: &mut OpenRequest| r.disposition = Disposition::OpenIf;
        let opened = self.try_stream(path, stream, WRITE | DELETE, made).await;
        opened.unwrap_or_else(|e| panic!("open {path}:{stream}: {e}")).open
    }

    /// What the volume has.
    async fn kept(&self, path: &str, stream: &str) -> Option<Bytes> {
        self.mem.named(&cx(), &p(path), None, &Named::stream(stream)).await.unwrap()
    }

    async fn streams(&self, path: &str) -> Vec<String> {
        let open = self.open(path, LOOK).await;
        let entries = open.list_named(&cx(), Carries::STREAMS).await.unwrap();
        let mut names: Vec<String> =
            entries.iter().filter_map(|entry| entry.name.name().map(str::to_owned)).collect();
        open.close(&cx()).await.unwrap();
        names.sort();
        names
    }
}

/// The error's name alone.
fn word<T>(result: Result<T>) -> String {
    let word = crate::tools::word(result);
    word.split('(').next().unwrap_or_default().to_owned()
}

async fn write(open: &Open, offset: u64, data: &'static [u8]) -> Result<()> {
    open.write(&cx(), offset, Bytes::from_static(data)).await
}

async fn content(open: &Open) -> Bytes {
    open.read(&cx(), 0, 1 << 20).await.unwrap()
}

#[tokio::test]
async fn a_stream_is_made_with_its_file_written_and_read_in_any_spelling() {
    let site = site();
    let made = |r: &mut OpenRequest| r.disposition = Disposition::Create;
    let opened = site.try_stream("file", "Zone.Identifier", WRITE, made).await.unwrap();
    assert_eq!((opened.action, opened.attr.size), (Action::Created, 0));
    assert_eq!(site.kept("file", "Zone.Identifier").await.as_deref(), Some(&b""[..]));
    write(&opened.open, 5, b"MORE").await.unwrap();
    write(&opened.open, 0, b"test").await.unwrap();
    assert_eq!(site.kept("file", "Zone.Identifier").await.as_deref(), Some(&b"test\0MORE"[..]));
    let other = site.try_stream("FILE", "zone.IDENTIFIER", READ, |_| {}).await.unwrap();
    assert_eq!((other.action, other.attr.size), (Action::Opened, 9));
    assert_eq!(content(&other.open).await, "test\0MORE");
    assert_eq!(other.open.stream().as_deref(), Some("Zone.Identifier"));
    let file = site.open("file", LOOK).await;
    assert_eq!(file.attr(&cx()).await.unwrap().size, 0, "the file's own content is another");
    assert_eq!(other.open.file_id(), file.file_id());
    assert_eq!(other.attr.id, file.attr(&cx()).await.unwrap().id);
    assert_eq!(file.stream(), None);
    for open in [opened.open, other.open, file] {
        open.close(&cx()).await.unwrap();
    }
    assert_eq!(site.vfs.opens().opens, 0);
    assert_eq!(site.streams("file").await, ["Zone.Identifier"]);
}

#[tokio::test]
async fn dispositions_are_of_the_stream() {
    use Disposition::*;
    let site = site();
    site.create("file").await.close(&cx()).await.unwrap();
    let answer = async |disposition| {
        let opened = site.try_stream("file", "s", WRITE | DELETE, |r| r.disposition = disposition).await;
        match opened {
            Ok(opened) => {
                write(&opened.open, 0, b"x").await.unwrap();
                opened.open.close(&cx()).await.unwrap();
                format!("{:?} {}", opened.action, opened.attr.size)
            }
            refused => word(refused),
        }
    };
    assert_eq!(answer(Open).await, "NotFound");
    assert_eq!(answer(Overwrite).await, "NotFound");
    assert_eq!(answer(OpenIf).await, "Created 0");
    assert_eq!(answer(Create).await, "Exists");
    assert_eq!(answer(Open).await, "Opened 1");
    assert_eq!(answer(OpenIf).await, "Opened 1");
    assert_eq!(answer(Overwrite).await, "Overwritten 0");
    assert_eq!(answer(OverwriteIf).await, "Overwritten 0");
    assert_eq!(answer(Supersede).await, "Superseded 0");
    for bad in ["", "a:b", "a/b", "a\\b", "\0", &"s".repeat(256)] {
        let made = |r: &mut OpenRequest| r.disposition = OpenIf;
        assert_eq!(word(site.try_stream("none", bad, WRITE, made).await), "NameInvalid", "{bad:?}");
    }
    assert_eq!(word(site.try_open("none", LOOK, |_| {}).await), "NotFound", "nothing was made for them");
    let dir = |r: &mut OpenRequest| (r.disposition, r.want) = (Create, Want::Dir);
    assert_eq!(word(site.try_stream("none", "s", WRITE, dir).await), "NotADirectory");
}

#[tokio::test]
async fn directories_have_streams_too() {
    let site = site();
    site.make_dir("dir").await.close(&cx()).await.unwrap();
    for path in ["dir", ""] {
        let stream = site.stream(path, "s").await;
        write(&stream, 0, b"of a directory").await.unwrap();
        assert!(!stream.is_dir());
        assert!(stream.attr(&cx()).await.unwrap().is_file());
        assert_eq!(site.vfs.stat(&cx(), &p(path)).await.unwrap().kind, volume::Kind::Dir);
        stream.set_delete_on_close(&cx(), true).await.unwrap();
        stream.close(&cx()).await.unwrap();
        assert!(site.streams(path).await.is_empty());
    }
}

#[tokio::test]
async fn a_directory_is_synced_by_itself_and_for_its_streams_wherever_it_is() {
    let volume = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(volume.clone(), VfsConfig::default());
    let open = async |request: OpenRequest| vfs.open(&cx(), request).await.unwrap().open;
    mkdir(&*volume, "dir").await;
    let (disposition, share) = (Disposition::OpenIf, Share::all());
    let dir = open(OpenRequest { share, ..ask("dir", READ | DELETE) }).await;
    for path in ["dir", ""] {
        let stream = open(OpenRequest { stream: Some("s".into()), disposition, ..ask(path, WRITE) }).await;
        write(&stream, 0, b"of a directory").await.unwrap();
        volume.counts().reset();
        stream.sync(&cx(), SyncKind::Full).await.unwrap();
        assert_eq!(volume.counts().of(Op::SyncDir), 1, "{path}");
        volume.fail(Op::SyncDir, 1, ErrorKind::Io);
        assert_eq!(word(stream.sync(&cx(), SyncKind::Full).await), "Io");
        stream.close(&cx()).await.unwrap();
    }
    dir.rename(&cx(), &p("moved"), RenameHow::default()).await.unwrap();
    dir.sync(&cx(), SyncKind::Full).await.unwrap();
    volume.fail(Op::SyncDir, 1, ErrorKind::Io);
    assert_eq!(word(dir.sync(&cx(), SyncKind::Full).await), "Io");
    // An origin that has no word for it.
    volume.fail(Op::SyncDir, 1, ErrorKind::Unsupported);
    dir.sync(&cx(), SyncKind::Full).await.unwrap();
}

#[tokio::test]
async fn each_stream_has_its_own_share_modes_and_locks() {
    let site = site();
    let alone = |r: &mut OpenRequest| (r.disposition, r.share) = (Disposition::OpenIf, Share::empty());
    let one = site.try_stream("file", "one", WRITE, alone).await.unwrap().open;
    let two = site.try_stream("file", "two", WRITE, alone).await.unwrap().open;
    assert_eq!(word(site.try_stream("file", "ONE", READ, |_| {}).await), "SharingViolation");
    assert_eq!(word(site.share("file", WRITE, Share::empty()).await), "Ok");
    one.try_lock(Range::new(0, 10), true).unwrap();
    two.try_lock(Range::new(0, 10), true).unwrap();
    one.close(&cx()).await.unwrap();
    let again = site.try_stream("file", "one", READ, |_| {}).await.unwrap().open;
    again.try_lock(Range::new(0, 10), true).unwrap();
}

#[tokio::test]
async fn a_file_goes_with_its_streams_and_after_their_last_open() {
    let site = site();
    let keeping = |r: &mut OpenRequest| (r.disposition, r.share) = (Disposition::OpenIf, Share::READ);
    let stream = site.try_stream("file", "s", WRITE, keeping).await.unwrap().open;
    write(&stream, 0, b"data").await.unwrap();
    assert_eq!(word(site.try_open("file", DELETE, |_| {}).await), "SharingViolation");
    assert_eq!(
        word(site.try_open("file", WRITE, |r| r.disposition = Disposition::Overwrite).await),
        "SharingViolation"
    );
    stream.close(&cx()).await.unwrap();

    let stream = site.stream("file", "s").await;
    let file = site.open("file", DELETE).await;
    file.set_delete_on_close(&cx(), true).await.unwrap();
    file.close(&cx()).await.unwrap();
    assert_eq!(content(&stream).await, "data");
    write(&stream, 0, b"DATA").await.unwrap();
    let made = |r: &mut OpenRequest| r.disposition = Disposition::OpenIf;
    assert_eq!(word(site.try_open("file", READ, made).await), "DeletePending");
    assert_eq!(word(site.try_stream("file", "s", READ, made).await), "DeletePending");
    assert_eq!(word(site.try_stream("file", "t", READ, made).await), "DeletePending");
    stream.close(&cx()).await.unwrap();
    assert_eq!(word(site.try_open("file", READ, |_| {}).await), "NotFound");
    assert_eq!(site.vfs.opens().files, 0);
}

#[tokio::test]
async fn a_stream_goes_with_its_last_open_and_leaves_the_file() {
    let site = site();
    let (one, two) = (site.stream("file", "s").await, site.stream("file", "s").await);
    one.set_delete_on_close(&cx(), true).await.unwrap();
    one.close(&cx()).await.unwrap();
    assert!(two.delete_pending());
    assert_eq!(word(site.try_stream("file", "s", READ, |_| {}).await), "DeletePending");
    two.close(&cx()).await.unwrap();
    assert_eq!(word(site.try_stream("file", "s", READ, |_| {}).await), "NotFound");
    assert_eq!(site.kept("file", "s").await, None);

    let doomed = |r: &mut OpenRequest| (r.disposition, r.delete_on_close) = (Disposition::Create, true);
    let stream = site.try_stream("file", "s", WRITE | DELETE, doomed).await.unwrap().open;
    drop(stream);
    while site.vfs.opens().opens > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.kept("file", "s").await, None);
    site.open("file", READ).await.close(&cx()).await.unwrap();
}

#[tokio::test]
async fn an_emptied_file_has_lost_its_streams() {
    for (disposition, eas) in [(Disposition::Overwrite, 1), (Disposition::Supersede, 0)] {
        let site = site();
        site.stream("file", "closed").await.close(&cx()).await.unwrap();
        let open = site.stream("file", "open").await;
        open.set_named(&cx(), &Named::extended("ea"), Some(Bytes::from_static(b"1"))).await.unwrap();
        let file = site.try_open("file", WRITE | DELETE, |r| r.disposition = disposition).await.unwrap().open;
        assert_eq!(site.kept("file", "closed").await, None);
        assert_eq!(word(site.try_stream("file", "open", READ, |_| {}).await), "DeletePending");
        open.close(&cx()).await.unwrap();
        assert!(site.streams("file").await.is_empty());
        assert_eq!(file.list_named(&cx(), Carries::EXTENDED).await.unwrap().len(), eas, "{disposition:?}");
    }
}

#[tokio::test]
async fn times_and_attributes_are_those_of_the_file_and_the_size_is_not() {
    let site = site();
    let stream = site.stream("file", "s").await;
    let set = SetAttr { mtime: Some(Time(5_000)), size: Some(7), ..SetAttr::default() };
    let attr = stream.set_attr(&cx(), &set).await.unwrap();
    assert_eq!((attr.mtime, attr.size), (Time(5_000), 7));
    let file = site.vfs.stat(&cx(), &p("file")).await.unwrap();
    assert_eq!((file.mtime, file.size), (Time(5_000), 0));
    assert_eq!(content(&stream).await, &[0; 7][..]);
    let dos = volume::DosAttributes::READONLY;
    stream.set_attr(&cx(), &SetAttr { dos: Some(dos), ..SetAttr::default() }).await.unwrap();
    assert_eq!(word(site.try_stream("file", "s", WRITE, |_| {}).await), "AccessDenied");
    assert_eq!(word(stream.set_delete_on_close(&cx(), true).await), "CannotDelete");
}

#[tokio::test]
async fn a_stream_is_as_long_as_the_volume_keeps_it_and_no_longer() {
    let site = site();
    let most = u64::from(site.vfs.caps().named_max);
    let stream = site.stream("file", "s").await;
    let far = i64::MAX as u64;
    for (offset, answer) in [
        (most - 1, "Ok"),
        (most, "NoSpace"),
        (far - 1, "NoSpace"),
        (far, "NoSpace"),
        (u64::MAX - 1, "NoSpace"),
    ] {
        assert_eq!(word(write(&stream, offset, b"x").await), answer, "{offset}");
    }
    assert_eq!(word(write(&stream, u64::MAX, b"xx").await), "InvalidArgument");
    for (size, answer) in
        [(far, "NoSpace"), (u64::MAX, "NoSpace"), (most + 1, "NoSpace"), (most, "Ok"), (3, "Ok")]
    {
        assert_eq!(word(stream.set_size(&cx(), size).await), answer, "{size}");
    }
    for offset in [3, most, far - 1, far, u64::MAX] {
        assert!(stream.read(&cx(), offset, 10).await.unwrap().is_empty(), "{offset}");
    }
    stream.zero(&cx(), 1, far).await.unwrap();
    let ranges = stream.ranges(&cx(), 1, far).await.unwrap();
    assert_eq!((ranges.len(), ranges[0].clone()), (1, 1..3));
    assert_eq!(word(stream.reserve(&cx(), far).await), "NoSpace");
    assert_eq!(content(&stream).await.len(), 3);
    stream.sync(&cx(), SyncKind::Full).await.unwrap();
}

#[tokio::test]
async fn a_stream_gets_another_name() {
    let site = site();
    let one = site.stream("file", "one").await;
    write(&one, 0, b"1").await.unwrap();
    for name in ["empty", "full"] {
        let other = site.stream("file", name).await;
        if name == "full" {
            write(&other, 0, b"x").await.unwrap();
        }
        assert_eq!(word(one.rename_stream(&cx(), name, true).await), "AccessDenied", "it is open");
        other.close(&cx()).await.unwrap();
    }
    assert_eq!(word(one.rename_stream(&cx(), "EMPTY", false).await), "Exists");
    assert_eq!(word(one.rename_stream(&cx(), "full", true).await), "InvalidArgument");
    assert_eq!(word(one.rename_stream(&cx(), "a:b", true).await), "NameInvalid");
    one.rename_stream(&cx(), "EMPTY", true).await.unwrap();
    assert_eq!(site.streams("file").await, ["EMPTY", "full"]);
    one.rename_stream(&cx(), "Two", false).await.unwrap();
    one.rename_stream(&cx(), "two", false).await.unwrap();
    assert_eq!(one.stream().as_deref(), Some("two"));
    write(&one, 1, b"2").await.unwrap();
    assert_eq!(site.kept("file", "two").await.as_deref(), Some(&b"12"[..]));
    assert_eq!(word(site.try_stream("file", "one", READ, |_| {}).await), "NotFound");
    let file = site.open("file", WRITE | DELETE).await;
    assert_eq!(word(file.rename_stream(&cx(), "x", false).await), "InvalidArgument");
    assert_eq!(word(one.rename(&cx(), &p("other"), RenameHow::default()).await), "InvalidArgument");
    assert_eq!(word(one.link(&cx(), &p("other"), RenameHow::default()).await), "InvalidArgument");
}

#[tokio::test]
async fn a_file_is_not_renamed_or_replaced_while_a_stream_is_open_and_a_posix_rename_takes_it_along() {
    let site = site();
    let stream = site.stream("file", "s").await;
    let file = site.open("file", DELETE).await;
    assert_eq!(word(file.rename(&cx(), &p("moved"), RenameHow::default()).await), "AccessDenied");
    let other = site.create("other").await;
    let replace = RenameHow { replace: true, ..RenameHow::default() };
    assert_eq!(word(other.rename(&cx(), &p("file"), replace).await), "AccessDenied");
    file.rename(&cx(), &p("moved"), RenameHow { posix: true, ..RenameHow::default() }).await.unwrap();
    assert_eq!(stream.path().unwrap(), p("moved"));
    write(&stream, 0, b"there").await.unwrap();
    assert_eq!(site.kept("moved", "s").await.as_deref(), Some(&b"there"[..]));
}

#[tokio::test]
async fn a_directory_above_takes_streams_along() {
    let site = site();
    site.make_dir("dir").await.close(&cx()).await.unwrap();
    let stream = site.stream("dir/file", "s").await;
    let dir = site.open("dir", DELETE).await;
    assert_eq!(word(dir.rename(&cx(), &p("to"), RenameHow::default()).await), "AccessDenied");
    dir.rename(&cx(), &p("to"), RenameHow { posix: true, ..RenameHow::default() }).await.unwrap();
    write(&stream, 0, b"x").await.unwrap();
    assert_eq!(site.kept("to/file", "s").await.as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn what_others_write_into_an_open_stream_is_seen_and_breaks_caches() {
    for met in [false, true] {
        let site = watched().await;
        site.stream("file", "s").await.close(&cx()).await.unwrap();
        let cached = |r: &mut OpenRequest| r.caching = Caching::all();
        let opened = site.try_stream("file", "s", READ, cached).await.unwrap();
        assert_eq!(opened.granted.caching, Caching::all());
        let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
        opened.open.listen(Arc::new(move |what| told.send(what).unwrap()));
        // As if the notice were the one of a change of ours that has met it.
        site.mem.mute(met);
        let value = Some(Bytes::from_static(b"foreign"));
        let change = Change::SetNamed { path: p("file"), name: Named::stream("s"), value, expect: None };
        site.mem.apply(&cx(), &change).await.unwrap();
        if met {
            let file = site.open("file", Access::WRITE_ATTRIBUTES).await;
            let set = SetAttr { atime: Some(Time(1)), ..SetAttr::default() };
            file.set_attr(&cx(), &set).await.unwrap();
        }
        within(Duration::from_secs(10), "the break", hears.recv()).await.unwrap();
        opened.open.acknowledge(Caching::empty()).unwrap();
        assert_eq!(content(&opened.open).await, "foreign");
    }
}

#[tokio::test]
async fn an_open_against_a_cached_stream_waits_and_one_of_the_file_does_not() {
    let site = watched().await;
    let cached = |r: &mut OpenRequest| (r.caching, r.disposition) = (Caching::all(), Disposition::OpenIf);
    let opened = site.try_stream("file", "s", WRITE, cached).await.unwrap();
    assert_eq!(opened.granted.caching, Caching::all());
    assert_eq!(site.try_open("file", WRITE, cached).await.unwrap().granted.caching, Caching::all());
    let request = OpenRequest { stream: Some("s".into()), ..ask("file", READ) };
    let Tried::Breaking(breaking) = site.vfs.try_open(&cx(), &request).await.unwrap() else {
        panic!("the stream is cached by another");
    };
    opened.open.acknowledge(Caching::READ).unwrap();
    breaking.settled(&cx()).await.unwrap();
    assert!(matches!(site.vfs.try_open(&cx(), &request).await.unwrap(), Tried::Opened(_)));
}

/// While a rename waits for a client that keeps the stream open, other streams of the file are opened.
#[tokio::test]
async fn a_rename_that_waits_keeps_nobody_out() {
    let site = watched().await;
    let one = site.stream("file", "s").await;
    let lease = Lease { id: LeaseId { client: 1, key: 1 }, epoch: None, dirs: false };
    let kept = |r: &mut OpenRequest| (r.caching, r.lease) = (Caching::READ | Caching::HANDLE, Some(lease));
    let opened = site.try_stream("file", "s", READ, kept).await.unwrap();
    assert_eq!(opened.granted.caching, Caching::READ | Caching::HANDLE);
    let renaming = tokio::spawn(async move { one.rename_stream(&cx(), "t", false).await });
    while !opened.open.granted().breaking {
        tokio::task::yield_now().await;
    }
    site.stream("file", "other").await.close(&cx()).await.unwrap();
    assert!(!renaming.is_finished());
    opened.open.close(&cx()).await.unwrap();
    renaming.await.unwrap().unwrap();
    assert_eq!(site.streams("file").await, ["other", "t"]);
}

#[tokio::test]
async fn watchers_of_streams_are_told_their_names() {
    let site = site();
    site.create("file").await.close(&cx()).await.unwrap();
    let dir = site.open("", READ).await;
    let filter = Filter::STREAM_NAME | Filter::STREAM_SIZE | Filter::STREAM_WRITE;
    let told = async || match dir.notify(filter, false).await.unwrap() {
        NotifyBatch::Events(events) => {
            let words =
                events.into_iter().map(|event| (event.action, event.name, event.stream.unwrap_or_default()));
            words.collect::<Vec<_>>()
        }
        NotifyBatch::Overflow => panic!("too much"),
    };
    let mut first = Box::pin(told());
    assert!(futures_now(&mut first).is_none());
    let stream = site.stream("file", "s").await;
    write(&stream, 0, b"x").await.unwrap();
    stream.rename_stream(&cx(), "t", false).await.unwrap();
    stream.set_delete_on_close(&cx(), true).await.unwrap();
    stream.close(&cx()).await.unwrap();
    use NotifyAction::{AddedStream, ModifiedStream, RemovedStream};
    let expect = [
        (AddedStream, "s"),
        (ModifiedStream, "s"),
        (AddedStream, "t"),
        (RemovedStream, "s"),
        (RemovedStream, "t"),
    ];
    let expect = expect.map(|(action, stream)| (action, "file".into(), stream.into()));
    assert_eq!(first.await, expect);
}

/// Polls once.
fn futures_now<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn of_many_who_write_a_stream_each_is_there() {
    let site = site();
    let streams: Vec<Arc<Open>> = {
        let mut all = Vec::new();
        for _ in 0..8 {
            all.push(site.stream("file", "s").await);
        }
        all
    };
    let writes = streams.iter().enumerate().map(|(at, stream)| {
        let stream = stream.clone();
        tokio::spawn(async move { stream.write(&cx(), at as u64, vec![b'0' + at as u8].into()).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    assert_eq!(site.kept("file", "s").await.as_deref(), Some(&b"01234567"[..]));
}

#[tokio::test]
async fn a_volume_without_streams_refuses_their_names() {
    let mut config = testkit::MemConfig::default();
    (config.caps.named, config.caps.named_max) = (false, 0);
    let mem = testkit::MemVolume::with(config);
    let site = Site { vfs: vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default()), mem };
    let made = |r: &mut OpenRequest| r.disposition = Disposition::OpenIf;
    assert_eq!(word(site.try_stream("file", "s", WRITE, made).await), "NameInvalid");
    assert_eq!(word(site.try_open("file", READ, |_| {}).await), "NotFound");
}

#[tokio::test]
async fn what_was_made_for_a_stream_that_cannot_be_goes_again() {
    let mem = testkit::MemVolume::new();
    let faults = testkit::FaultVolume::new(mem.clone());
    let site = Site { vfs: vfs::Vfs::new(faults.clone(), vfs::VfsConfig::default()), mem };
    let made = |r: &mut OpenRequest| r.disposition = Disposition::OpenIf;
    faults.fail(testkit::Op::Apply, 1, volume::ErrorKind::NoSpace);
    assert_eq!(word(site.try_stream("file", "s", WRITE, made).await), "NoSpace");
    assert_eq!(word(site.try_open("file", READ, |_| {}).await), "NotFound");
    assert_eq!(site.vfs.opens().files, 0);
    site.create("there").await.close(&cx()).await.unwrap();
    faults.fail(testkit::Op::Apply, 1, volume::ErrorKind::NoSpace);
    assert_eq!(word(site.try_stream("there", "s", WRITE, made).await), "NoSpace");
    assert_eq!(word(site.try_open("there", READ, |_| {}).await), "Ok");
    let stream = site.stream("there", "s").await;
    write(&stream, 0, b"old").await.unwrap();
    faults.fail(testkit::Op::Apply, 1, volume::ErrorKind::NoSpace);
    assert_eq!(word(write(&stream, 0, b"new").await), "NoSpace");
    assert_eq!(content(&stream).await, "old", "what failed is not shown");
}

#[tokio::test]
async fn what_others_have_written_to_a_file_stays_where_its_stream_cannot_be_made() {
    let mem = MemVolume::new();
    let fault = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(fault.clone(), VfsConfig::default()), mem };
    let gate = fault.gate(Op::Apply);
    fault.fail(Op::Apply, 1, ErrorKind::NoSpace);
    let vfs = site.vfs.clone();
    let stream = tokio::spawn(async move {
        let request = OpenRequest {
            stream: Some("stream".into()),
            disposition: Disposition::OpenIf,
            ..ask("file", WRITE)
        };
        vfs.open(&cx(), request).await
    });
    gate.arrived(1).await;
    let file = site.open("file", WRITE).await;
    write(&file, 0, b"content").await.unwrap();
    file.close(&cx()).await.unwrap();
    gate.release();
    assert_eq!(word(stream.await.unwrap()), "NoSpace");
    let file = site.open("file", READ).await;
    assert_eq!(content(&file).await, "content");
}

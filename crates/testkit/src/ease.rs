//! One-line helpers over any volume. They panic with a story: only for tests.

use bytes::Bytes;
use std::future::Future;
use std::time::Duration;
use volume::{
    Attr, Carries, Change, Create, Cx, DosAttributes, Entry, Error, ErrorKind, File, FileId, Freshness, Kind,
    ListHow, Notice, OpenHow, Priority, Time, VPath, Version, Volume, Watch,
};

/// How long [`notice`] waits before it panics.
pub const NOTICE_PATIENCE: Duration = Duration::from_secs(10);

/// A context for tests.
pub fn cx() -> Cx {
    Cx::system(Priority::Interactive)
}

/// A path that is known to be good.
pub fn p(text: &str) -> VPath {
    VPath::parse(text).unwrap_or_else(|e| panic!("{text:?} is no path: {e}"))
}

/// Makes or replaces the content of a file, in place.
pub async fn put(volume: &dyn Volume, path: &str, content: impl AsRef<[u8]>) -> Attr {
    let how = OpenHow { truncate: true, ..OpenHow::create(Create::IfMissing) };
    let opened = volume.open(&cx(), &p(path), how).await.unwrap_or_else(|e| panic!("put {path}: {e}"));
    let content = Bytes::copy_from_slice(content.as_ref());
    opened.file.write_at(&cx(), 0, content).await.unwrap_or_else(|e| panic!("put {path}: {e}"));
    opened.file.close(&cx(), volume::Close::Commit).await.unwrap_or_else(|e| panic!("put {path}: {e}"))
}

/// The whole content of a file.
pub async fn get(volume: &dyn Volume, path: &str) -> Vec<u8> {
    let opened = volume.open(&cx(), &p(path), OpenHow::read()).await;
    read_all(&*opened.unwrap_or_else(|e| panic!("get {path}: {e}")).file).await
}

/// The whole content behind a handle.
pub async fn read_all(file: &dyn File) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let part = file.read_at(&cx(), content.len() as u64, 1 << 20).await;
        let part = part.unwrap_or_else(|e| panic!("read at {}: {e}", content.len()));
        if part.is_empty() {
            return content;
        }
        content.extend_from_slice(&part);
    }
}

/// Attributes under a name.
pub async fn stat(volume: &dyn Volume, path: &str) -> Attr {
    volume.stat(&cx(), &p(path)).await.unwrap_or_else(|e| panic!("stat {path}: {e}"))
}

/// Whether there is something under a name; any other error than `NotFound` panics.
pub async fn exists(volume: &dyn Volume, path: &str) -> bool {
    match volume.stat(&cx(), &p(path)).await {
        Ok(_) => true,
        Err(e) if e.kind == ErrorKind::NotFound => false,
        Err(e) => panic!("stat {path}: {e}"),
    }
}

/// All entries of a directory, page by page, in the volume's order.
pub async fn list(volume: &dyn Volume, dir: &str) -> Vec<Entry> {
    let (mut entries, mut how) = (Vec::new(), ListHow::default());
    loop {
        let page = volume.list(&cx(), &p(dir), how).await.unwrap_or_else(|e| panic!("list {dir}: {e}"));
        entries.extend(page.entries);
        match page.next {
            Some(next) => how = ListHow { cursor: Some(next), ahead: 0 },
            None => return entries,
        }
    }
}

/// The sorted names in a directory.
pub async fn names(volume: &dyn Volume, dir: &str) -> Vec<String> {
    let mut names: Vec<_> = list(volume, dir).await.iter().map(|e| e.name.to_string()).collect();
    names.sort();
    names
}

pub async fn mkdir(volume: &dyn Volume, path: &str) -> Attr {
    let change = Change::MakeDir { path: p(path), mode: 0o755, dos: DosAttributes::empty(), maker: None };
    now(volume, apply(volume, change).await, path).await
}

pub async fn remove(volume: &dyn Volume, path: &str) {
    apply(volume, Change::Remove { path: p(path), dir: false, expect: None }).await;
}

pub async fn rmdir(volume: &dyn Volume, path: &str) {
    apply(volume, Change::Remove { path: p(path), dir: true, expect: None }).await;
}

/// Moves, replacing what is there.
pub async fn rename(volume: &dyn Volume, from: &str, to: &str) {
    apply(volume, Change::Rename { from: p(from), to: p(to), replace: true, expect: None }).await;
}

/// Applies a change that must succeed.
pub async fn apply(volume: &dyn Volume, change: Change) -> Option<Attr> {
    match volume.apply(&cx(), &change).await {
        Ok(applied) => applied.attr,
        Err(e) => panic!("{change:?}: {e}"),
    }
}

/// What an object is after a change: as the change told, or where it did not (see [`volume::Applied`]) as asked.
pub async fn now(volume: &dyn Volume, told: Option<Attr>, path: &str) -> Attr {
    match told {
        Some(attr) => attr,
        None => stat(volume, path).await,
    }
}

/// The error of a call that must fail with `kind`.
#[track_caller]
pub fn fails<T>(result: volume::Result<T>, kind: ErrorKind) -> Error {
    fails_with(result, &[kind])
}

/// The error of a call that must fail with one of `kinds`.
#[track_caller]
pub fn fails_with<T>(result: volume::Result<T>, kinds: &[ErrorKind]) -> Error {
    match result {
        Ok(_) => panic!("succeeded; {kinds:?} was due"),
        Err(e) if kinds.contains(&e.kind) => e,
        Err(e) => panic!("failed with {e}; {kinds:?} was due"),
    }
}

/// The next notice for which `wanted` holds; others before it are passed over.
pub async fn notice(watch: &mut Watch, what: &str, wanted: impl Fn(&Notice) -> bool) -> Notice {
    let found = async {
        loop {
            match watch.notices.recv().await {
                Some(notice) if wanted(&notice) => return notice,
                Some(_) => {}
                None => panic!("the watch ended before: {what}"),
            }
        }
    };
    within(NOTICE_PATIENCE, what, found).await
}

/// Attributes of nothing that is there: all zero but for one link.
pub fn blank(kind: Kind) -> Attr {
    let zero = Time(0);
    Attr {
        id: FileId::default(),
        version: Version::default(),
        kind,
        size: 0,
        allocated: 0,
        mtime: zero,
        ctime: zero,
        atime: zero,
        btime: zero,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 1,
        dos: DosAttributes::empty(),
        carries: Carries::empty(),
    }
}

/// Waits until a volume tells of all changes: before that, clients may cache nothing.
pub async fn changes_are_told(promise: impl Fn() -> Option<Freshness>) {
    let told = async {
        while !matches!(promise(), Some(Freshness::Notified | Freshness::Leased)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(NOTICE_PATIENCE, "that changes are told", told).await;
}

/// What a future yields, or a panic naming `what` when it takes longer than `patience`.
pub async fn within<T>(patience: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(patience, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {patience:?}: {what}"),
    }
}

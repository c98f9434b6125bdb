use crate::caching::{hold, watched};
use crate::tools::{DELETE, LOOK, READ, Site, WRITE, site, word};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{apply, changes_are_told, cx, exists, get, mkdir, p, put, stat};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{
    Access, BREAK_TIMEOUT, Caching, DirCursor, DirEntry, Disposition, Error, Links, NewDescriptor, NewObject,
    Newborn, OpenRequest, ReadonlyTarget, RenameHow, Rights, Vfs, VfsConfig, Want,
};
use volume::{Attr, Carries, Change, DosAttributes, ErrorKind, Kind, Named, SetAttr, Volume};

const REPLACE: RenameHow = RenameHow { replace: true, posix: false, readonly: ReadonlyTarget::Stays };

/// Somebody to whom a descriptor is an access mask, and behind it what a directory passes on.
#[derive(Debug)]
struct Somebody;

fn descriptor(allowed: Access, passed_on: Option<Access>) -> Bytes {
    let words = std::iter::once(allowed).chain(passed_on).chain(passed_on);
    words.flat_map(|access| access.bits().to_le_bytes()).collect()
}

fn word_at(descriptor: &[u8], at: usize) -> Option<Access> {
    let bytes = descriptor.get(4 * at..4 * at + 4)?;
    Some(Access::from_bits_truncate(u32::from_le_bytes(bytes.try_into().unwrap())))
}

impl Rights for Somebody {
    fn allowed(&self, descriptor: Option<&[u8]>, _wanted: Access) -> Access {
        descriptor.map_or(Access::all(), |descriptor| word_at(descriptor, 0).unwrap())
    }

    fn passed_on(&self, parent: &[u8], _object: &Attr) -> Option<Bytes> {
        word_at(parent, 1).map(|access| descriptor(access, Some(access)))
    }

    fn newborn(&self, parent: Option<&[u8]>, _object: NewObject) -> Result<Newborn, Error> {
        let passed_on = parent.and_then(|parent| word_at(parent, 1));
        let mode = if passed_on.is_some() { 0o700 } else { 0o7777 };
        Ok(Newborn { descriptor: passed_on.map(|access| descriptor(access, Some(access))), mode })
    }

    fn follows(&self, target: &str) -> bool {
        !target.contains("hidden")
    }

    fn only_listed(&self) -> bool {
        false
    }

    fn after_opening(self: Arc<Self>) -> Arc<dyn Rights> {
        Arc::new(Somebody)
    }
}

fn judged(request: &mut OpenRequest) {
    request.rights = Some(Arc::new(Somebody));
}

fn made(request: &mut OpenRequest) {
    judged(request);
    request.disposition = Disposition::OpenIf;
}

/// Sets a descriptor past our `Vfs`.
async fn give(volume: &dyn Volume, path: &str, value: Bytes) {
    let (path, name) = (p(path), Named::Descriptor);
    let change = Change::SetNamed { path, name, value: Some(value), expect: None };
    volume.apply(&cx(), &change).await.unwrap();
}

impl Site {
    async fn judged(&self, path: &str, access: Access) -> String {
        match self.try_open(path, access, judged).await {
            Ok(opened) => {
                opened.open.close(&cx()).await.unwrap();
                "Ok".into()
            }
            refused => word(refused),
        }
    }
}

#[tokio::test]
async fn an_open_keeps_what_it_needs_later_of_by_what_it_was_judged() {
    let site = site();
    put(&*site.mem, "file", "content").await;
    let asked: Arc<dyn Rights> = Arc::new(Somebody);
    let brought = Arc::downgrade(&asked);
    let open = site.try_open("file", READ, |r| r.rights = Some(asked)).await.unwrap().open;
    assert!(brought.upgrade().is_none());
    assert!(!open.is_closed());
}

#[tokio::test]
async fn an_open_gets_what_the_descriptor_allows() {
    let site = site();
    put(&*site.mem, "file", "content").await;
    assert_eq!(site.judged("file", WRITE).await, "Ok", "without a descriptor");
    mkdir(&*site.mem, "closed").await;
    give(&*site.mem, "closed", descriptor(READ, None)).await;
    put(&*site.mem, "closed/file", "content").await;
    give(&*site.mem, "closed/file", descriptor(READ | Access::READ_CONTROL, None)).await;
    assert_eq!(site.judged("closed/file", READ).await, "Ok");
    assert_eq!(site.judged("closed/file", WRITE).await, "AccessDenied");
    assert_eq!(word(site.try_open("closed/file", WRITE, |_| {}).await), "Ok", "nobody judges");

    let all = |request: &mut OpenRequest| {
        judged(request);
        (request.access, request.maximum, request.tell_maximal) = (Access::empty(), true, true);
    };
    let opened = site.try_open("closed/file", READ, all).await.unwrap();
    assert_eq!(opened.open.access(), READ | Access::READ_CONTROL);
    assert_eq!(opened.maximal, Some(READ | Access::READ_CONTROL));
    for disposition in [Disposition::Overwrite, Disposition::Supersede] {
        let empties = |request: &mut OpenRequest| (request.disposition, _) = (disposition, judged(request));
        assert_eq!(word(site.try_open("closed/file", READ, empties).await), "AccessDenied");
    }
    let dooms = |request: &mut OpenRequest| (request.delete_on_close, _) = (true, all(request));
    assert_eq!(word(site.try_open("closed/file", READ, dooms).await), "AccessDenied");
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_breaks_nothing() {
    let site = watched().await;
    put(&*site.mem, "file", "content").await;
    give(&*site.mem, "file", descriptor(LOOK, None)).await;
    let caches = |request: &mut OpenRequest| request.caching = Caching::all();
    let holder = site.try_open("file", READ, caches).await.unwrap();
    assert_eq!(holder.granted.caching, Caching::all());
    holder.open.listen(Arc::new(|_| panic!("broken for nothing")));
    let refused = tokio::time::timeout(BREAK_TIMEOUT / 2, site.judged("file", READ)).await;
    assert_eq!(refused.unwrap(), "AccessDenied");
}

#[tokio::test]
async fn the_directory_lends_deleting_and_looking() {
    let site = site();
    for (dir, on_it) in [("lends", Access::DELETE_CHILD | Access::READ_DATA), ("keeps", Access::WRITE_DATA)] {
        mkdir(&*site.mem, dir).await;
        give(&*site.mem, dir, descriptor(on_it, None)).await;
        let file = format!("{dir}/file");
        put(&*site.mem, &file, "content").await;
        give(&*site.mem, &file, descriptor(Access::READ_CONTROL, None)).await;
    }
    assert_eq!(site.judged("lends/file", DELETE).await, "Ok");
    assert_eq!(site.judged("lends/file", DELETE | Access::READ_DATA).await, "AccessDenied");
    assert_eq!(site.judged("keeps/file", Access::DELETE).await, "AccessDenied");
    assert_eq!(site.judged("keeps/file", LOOK).await, "AccessDenied");
    let all = |request: &mut OpenRequest| {
        judged(request);
        (request.access, request.maximum) = (Access::empty(), true);
    };
    let opened = site.try_open("lends/file", READ, all).await.unwrap();
    assert_eq!(opened.open.access(), Access::READ_CONTROL | DELETE);
}

#[tokio::test]
async fn making_needs_the_right_to_and_inherits() {
    let site = site();
    for (dir, on_it) in [("files", Access::WRITE_DATA), ("dirs", Access::APPEND_DATA)] {
        mkdir(&*site.mem, dir).await;
        give(&*site.mem, dir, descriptor(on_it, Some(READ))).await;
    }
    let made_dir = |request: &mut OpenRequest| (request.want, _) = (Want::Dir, made(request));
    assert_eq!(word(site.try_open("dirs/a", WRITE, made).await), "AccessDenied");
    assert_eq!(word(site.try_open("files/d", READ, made_dir).await), "AccessDenied");
    assert!(!exists(&*site.mem, "dirs/a").await && !exists(&*site.mem, "files/d").await);
    let file = site.try_open("files/a", WRITE, made).await.unwrap();
    assert_eq!(file.open.access(), WRITE, "who makes it gets what he asks for");
    assert!(file.attr.carries.contains(Carries::DESCRIPTOR) && file.attr.mode & 0o077 == 0);
    assert_eq!(site.judged("files/a", WRITE).await, "AccessDenied");
    assert_eq!(site.judged("files/a", READ).await, "Ok");
    site.try_open("dirs/d", READ, made_dir).await.unwrap();
    let carried = site.mem.named(&cx(), &p("dirs/d"), None, &Named::Descriptor).await.unwrap();
    assert_eq!(carried, Some(descriptor(READ, Some(READ))));
    let plain = site.try_open("plain", WRITE, made).await.unwrap();
    assert!(plain.attr.carries.is_empty() && plain.attr.mode == 0o644);
}

#[tokio::test]
async fn what_cannot_be_given_its_descriptor_is_not_made() {
    let mem = MemVolume::new();
    let faults = FaultVolume::new(mem.clone());
    let vfs = Vfs::new(faults.clone(), VfsConfig::default());
    mkdir(&*mem, "dir").await;
    give(&*mem, "dir", descriptor(Access::all(), Some(READ))).await;
    faults.fail(Op::Apply, 1, ErrorKind::NoSpace);
    let mut request = OpenRequest::new(p("dir/file"), WRITE, vfs.new_owner());
    made(&mut request);
    assert_eq!(word(vfs.open(&cx(), request.clone()).await), "NoSpace");
    assert!(!exists(&*mem, "dir/file").await, "nobody finds it unprotected");
    assert_eq!(word(vfs.open(&cx(), request).await), "Ok");
}

#[tokio::test]
async fn what_has_no_descriptor_is_judged_by_its_directories() {
    let site = site();
    for dir in ["a", "a/b", "a/b/c"] {
        mkdir(&*site.mem, dir).await;
    }
    put(&*site.mem, "a/b/c/file", "content").await;
    assert_eq!(site.judged("a/b/c/file", WRITE).await, "Ok");
    let open = site.try_open("a", Access::WRITE_DAC | LOOK, judged).await.unwrap().open;
    let value = descriptor(Access::all(), Some(READ));
    let change = move |_: &Attr, _| {
        Ok::<_, Error>(NewDescriptor { value: Some(value), mode: 0o755, set: SetAttr::default() })
    };
    open.change_descriptor(&cx(), change).await.unwrap();
    assert_eq!(site.judged("a/b/c/file", WRITE).await, "AccessDenied", "our own change is known at once");
    assert_eq!(site.judged("a/b/c/file", READ).await, "Ok");
    assert_eq!(site.judged("a/b/c", Access::WRITE_DATA).await, "AccessDenied");
    assert_eq!(word(site.try_open("a/b/c/new", WRITE, made).await), "AccessDenied");
    put(&*site.mem, "outside", "content").await;
    give(&*site.mem, "a/b", descriptor(Access::all(), Some(WRITE | DELETE))).await;
    while site.judged("a/b/c/file", WRITE).await != "Ok" {
        tokio::task::yield_now().await;
    }
    site.open("a/b/c/file", DELETE).await.rename(&cx(), &p("file"), REPLACE).await.unwrap();
    assert_eq!(site.judged("file", Access::WRITE_OWNER).await, "Ok", "it is elsewhere now");
}

#[tokio::test]
async fn nobody_is_asked_twice() {
    let site = watched().await;
    for dir in ["a", "a/b"] {
        mkdir(&*site.mem, dir).await;
    }
    give(&*site.mem, "a/b", descriptor(Access::all(), Some(READ))).await;
    for name in ["one", "two"] {
        put(&*site.mem, &format!("a/b/{name}"), "content").await;
    }
    assert_eq!(site.judged("a/b/one", READ).await, "Ok");
    // Notices of what was set up so far are through.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(site.judged("a/b/one", READ).await, "Ok");
    site.mem.counts().reset();
    for _ in 0..10 {
        assert_eq!(site.judged("a/b/two", READ).await, "Ok");
        assert_eq!(site.judged("a/b/one", WRITE).await, "AccessDenied");
    }
    assert_eq!(site.mem.counts().of(Op::Named), 0);
    assert_eq!(
        site.mem.counts().of(Op::Stat),
        20,
        "each open looks at its own name: {:?}",
        site.mem.counts()
    );
}

/// Its notice is the same as that of what we did.
#[tokio::test]
async fn what_others_make_a_directory_pass_on_just_before_a_change_of_ours_counts() {
    let site = watched().await;
    mkdir(&*site.mem, "dir").await;
    give(&*site.mem, "dir", descriptor(Access::all(), Some(READ))).await;
    put(&*site.mem, "dir/file", "content").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(site.judged("dir/file", READ).await, "Ok");
    let dir = site.open("dir", Access::WRITE_ATTRIBUTES).await;
    site.mem.mute(true);
    give(&*site.mem.other(), "dir", descriptor(Access::all(), Some(LOOK))).await;
    let hidden = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    dir.set_attr(&cx(), &hidden).await.unwrap();
    assert_eq!(site.judged("dir/file", READ).await, "AccessDenied");
}

impl Site {
    /// The names in a directory on which the caller may do this, of those that are not `passed_over`.
    async fn allowed(&self, path: &str, links: Links, access: Access, passed_over: &str) -> Vec<String> {
        let dir = self.try_open(path, READ, judged).await.unwrap().open;
        allowed(&mut dir.list(links).unwrap(), access, passed_over).await
    }
}

async fn allowed(cursor: &mut DirCursor, access: Access, passed_over: &str) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(entry) = cursor.peek(&cx()).await.unwrap().cloned() {
        let awaited = |entry: &DirEntry| &*entry.name != passed_over;
        if awaited(&entry) && cursor.allows(&cx(), access, awaited).await.unwrap() {
            names.push(entry.name.to_string());
        }
        cursor.next(&cx()).await.unwrap();
    }
    names
}

#[tokio::test]
async fn entries_are_judged_as_opens_are_and_each_kind_once() {
    let site = watched().await;
    mkdir(&*site.mem, "dir").await;
    for nth in 0..150 {
        put(&*site.mem, &format!("dir/f{nth:03}"), "content").await;
    }
    mkdir(&*site.mem, "dir/sub").await;
    give(&*site.mem, "dir", descriptor(Access::all(), Some(READ))).await;
    for (name, allowed) in [("f001", WRITE), ("f140", LOOK), ("f149", Access::empty())] {
        give(&*site.mem, &format!("dir/{name}"), descriptor(allowed, None)).await;
    }
    // Notices of what was set up so far are through.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let all = site.allowed("dir", Links::Shown, Access::empty(), "").await;
    assert_eq!(all.len(), 2 + 150 + 1);
    site.mem.counts().reset();
    let readable = site.allowed("dir", Links::Shown, READ, "f001").await;
    let hidden: Vec<&str> = all.iter().filter(|name| !readable.contains(name)).map(String::as_str).collect();
    assert_eq!(hidden, ["f001", "f140", "f149"]);
    assert_eq!(site.mem.counts().of(Op::Named), 0, "known from the first time");
    assert_eq!(site.mem.counts().of(Op::Stat), 2, "dir and what is above: {:?}", site.mem.counts());
    assert_eq!(site.allowed("dir", Links::Shown, WRITE, "").await, [".", "..", "f001"]);
}

#[tokio::test]
async fn a_link_is_judged_by_what_is_shown_of_it() {
    let site = site();
    mkdir(&*site.mem, "closed").await;
    put(&*site.mem, "closed/file", "content").await;
    give(&*site.mem, "closed", descriptor(READ, Some(LOOK))).await;
    mkdir(&*site.mem, "dir").await;
    for (name, target) in [("leads", "../closed/file"), ("lost", "nowhere")] {
        let change = Change::Symlink { path: p(&format!("dir/{name}")), target: target.into(), maker: None };
        apply(&*site.mem, change).await;
    }
    assert_eq!(site.allowed("dir", Links::Followed, READ, "").await, [".", "..", "lost"]);
    assert_eq!(site.allowed("dir", Links::Marked, READ, "").await, [".", "..", "leads", "lost"]);
}

#[tokio::test]
async fn what_went_away_while_it_was_listed_is_not_readable() {
    let site = site();
    for name in ["a", "b"] {
        put(&*site.mem, name, "content").await;
        give(&*site.mem, name, descriptor(READ, None)).await;
    }
    let mut cursor = site.try_open("", READ, judged).await.unwrap().open.list(Links::Shown).unwrap();
    while &*cursor.peek(&cx()).await.unwrap().unwrap().name != "a" {
        cursor.next(&cx()).await.unwrap();
    }
    apply(&*site.mem, Change::Remove { path: p("a"), dir: false, expect: None }).await;
    assert!(!cursor.allows(&cx(), READ, |_| true).await.unwrap());
    cursor.next(&cx()).await.unwrap();
    assert!(cursor.allows(&cx(), READ, |_| true).await.unwrap());
    assert!(!cursor.allows(&cx(), WRITE, |_| true).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_gives_no_rights_and_the_others_theirs() {
    let mem = MemVolume::new();
    let fault = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(fault.clone(), VfsConfig::default()), mem };
    for name in ["a mount", "other mount", "plain"] {
        put(&*site.mem, name, "").await;
    }
    for name in ["a mount", "other mount"] {
        may_carry_everything(&*site.mem, name).await;
    }
    let root = site.try_open("", READ, judged).await.unwrap().open;
    let gate = fault.gate(Op::Named);
    let mut cursor = root.list(Links::Followed).unwrap();
    assert_eq!(allowed(&mut cursor.answer().unwrap(), READ, "").await, [".", "..", "plain"]);
    assert_eq!(gate.waiting(), 2, "both at once");
    gate.release();
    cursor.restart();
    let answer = &mut cursor.answer().unwrap();
    assert_eq!(allowed(answer, READ, "").await, [".", "..", "a mount", "other mount", "plain"]);
}

/// Gives a file what makes it look as one at which nobody has looked.
async fn may_carry_everything(volume: &dyn Volume, path: &str) {
    give(volume, path, descriptor(READ, None)).await;
    for name in [Named::extended("x"), Named::stream("y")] {
        let change =
            Change::SetNamed { path: p(path), name, value: Some(Bytes::from_static(b"z")), expect: None };
        volume.apply(&cx(), &change).await.unwrap();
    }
    assert_eq!(stat(volume, path).await.carries, Carries::all());
}

#[tokio::test]
async fn a_name_arrives_only_where_it_may() {
    let site = site();
    let on_it = [("open", Access::all()), ("files", Access::WRITE_DATA), ("none", READ)];
    for (dir, on_it) in on_it {
        mkdir(&*site.mem, dir).await;
        give(&*site.mem, dir, descriptor(on_it, None)).await;
    }
    put(&*site.mem, "file", "content").await;
    put(&*site.mem, "files/kept", "content").await;
    give(&*site.mem, "files/kept", descriptor(READ, None)).await;
    mkdir(&*site.mem, "dir").await;
    let file = site.try_open("file", DELETE, judged).await.unwrap().open;
    for (to, expect) in [("none/file", "AccessDenied"), ("files/kept", "AccessDenied"), ("files/file", "Ok")]
    {
        assert_eq!(word(file.rename(&cx(), &p(to), REPLACE).await), expect, "{to}");
    }
    for (to, expect) in [("none/link", "AccessDenied"), ("open/link", "Ok")] {
        assert_eq!(word(file.link(&cx(), &p(to), REPLACE).await), expect, "{to}");
    }
    // Who takes no notice of a mark must be allowed to set attributes.
    let readonly = SetAttr { dos: Some(DosAttributes::READONLY), ..SetAttr::default() };
    for (name, allowed) in [("marked", DELETE), ("may be set", DELETE | Access::WRITE_ATTRIBUTES)] {
        put(&*site.mem, name, "content").await;
        let marked = site.open(name, WRITE).await;
        marked.set_attr(&cx(), &readonly).await.unwrap();
        marked.close(&cx()).await.unwrap();
        give(&*site.mem, name, descriptor(allowed, None)).await;
    }
    let ignoring = RenameHow { readonly: ReadonlyTarget::Waived, ..REPLACE };
    for (to, expect) in [("marked", "AccessDenied"), ("may be set", "Ok")] {
        assert_eq!(word(file.rename(&cx(), &p(to), ignoring).await), expect, "{to}");
    }
    // To POSIX clients there is none.
    let unknowing = RenameHow { readonly: ReadonlyTarget::Unknown, ..REPLACE };
    assert_eq!(word(file.rename(&cx(), &p("marked"), unknowing).await), "Ok");
    let dir = site.try_open("dir", DELETE, judged).await.unwrap().open;
    for (to, expect) in [("files/dir", "AccessDenied"), ("open/dir", "Ok")] {
        assert_eq!(word(dir.rename(&cx(), &p(to), REPLACE).await), expect, "{to}");
    }
}

#[tokio::test]
async fn setting_a_descriptor_takes_permission_bits_along_and_loses_no_change() {
    let site = site();
    put(&*site.mem, "file", "content").await;
    let open = site.try_open("file", WRITE, judged).await.unwrap().open;
    let before = stat(&*site.mem, "file").await.mode;
    let widen = |bit: u32| {
        let (open, context) = (open.clone(), cx());
        tokio::spawn(async move {
            let change = move |_: &Attr, old: Option<Bytes>| {
                let old = old.map_or(Access::empty(), |old| word_at(&old, 0).unwrap());
                let value = descriptor(old | Access::from_bits_retain(1 << bit), None);
                Ok::<_, Error>(NewDescriptor { value: Some(value), mode: 0o7700, set: SetAttr::default() })
            };
            open.change_descriptor(&context, change).await.unwrap();
        })
    };
    let all: Vec<_> = (0..9).map(widen).collect();
    for one in all {
        one.await.unwrap();
    }
    let (attr, carried) = open.descriptor(&cx()).await.unwrap();
    assert_eq!(word_at(&carried.unwrap(), 0).unwrap().bits(), 0x1FF);
    assert_eq!(attr.mode, before & 0o700);
    let refused = open.change_descriptor(&cx(), |_, _| Err(Error::OwnerInvalid)).await;
    assert_eq!(word(refused), "OwnerInvalid");
}

#[tokio::test]
async fn a_link_is_followed_for_whom_the_rights_let() {
    let site = site();
    mkdir(&*site.mem, "hidden").await;
    put(&*site.mem, "hidden/file", "content").await;
    put(&*site.mem, "other", "content").await;
    for (path, target) in [("dir", "hidden"), ("file", "hidden/file"), ("fine", "other")] {
        apply(&*site.mem, Change::Symlink { path: p(path), target: target.into(), maker: None }).await;
    }
    for (path, expect) in [("fine", "Ok"), ("file", "LinkRefused"), ("dir/file", "LinkRefused")] {
        assert_eq!(site.judged(path, READ).await, expect, "{path}");
    }
    let open = site.try_open("other", DELETE, judged).await.unwrap().open;
    assert_eq!(word(open.rename(&cx(), &p("dir/new"), REPLACE).await), "LinkRefused");
    let root = site.try_open("", READ, judged).await.unwrap().open;
    let mut cursor = root.list(Links::Followed).unwrap();
    let mut links = Vec::new();
    while let Some(entry) = cursor.next(&cx()).await.unwrap() {
        if entry.attr.kind == Kind::Symlink {
            links.push(entry.name.to_string());
        }
    }
    assert_eq!(links, ["dir", "file"], "shown as what they are");
}

#[tokio::test]
async fn what_its_directory_protects_keeps_to_it_unless_it_moves() {
    let mem = MemVolume::new();
    let faults = FaultVolume::new(mem.clone());
    let vfs = Vfs::new(faults.clone(), VfsConfig::default());
    mkdir(&*mem, "other").await;
    mkdir(&*mem, "dir").await;
    put(&*mem, "dir/file", "content").await;
    let carries = async || stat(&*mem, "dir/file").await.carries.contains(Carries::DESCRIPTOR);
    let open = async |on_it: Access| {
        give(&*mem, "dir", descriptor(READ, Some(on_it))).await;
        // The volume tells of it.
        while let Err(error) = vfs.open(&cx(), ask("dir/file", on_it, judged)).await {
            assert!(matches!(error, Error::AccessDenied), "{error}");
            tokio::task::yield_now().await;
        }
        vfs.open(&cx(), ask("dir/file", on_it, judged)).await.unwrap().open
    };
    // Who may only look at it does not say how it is judged from then on.
    let looks = open(READ).await;
    assert_eq!(word(looks.link(&cx(), &p("other/link"), REPLACE).await), "AccessDenied");
    assert_eq!(word(looks.link(&cx(), &p("dir/link"), REPLACE).await), "AccessDenied", "adds no file");
    assert!(!carries().await);
    let owns = open(Access::all()).await;
    for kind in [ErrorKind::NoSpace, ErrorKind::TooManyLinks] {
        faults.fail(Op::Apply, 2, kind);
        assert_eq!(word(owns.link(&cx(), &p("other/link"), REPLACE).await), format!("{kind:?}"));
        assert!(!carries().await, "taken away again");
        faults.fail(Op::Apply, 2, kind);
        assert_eq!(word(owns.rename(&cx(), &p("other/file"), REPLACE).await), format!("{kind:?}"));
        assert!(!carries().await, "taken away again");
    }
    faults.lose_answer(Op::Apply, 2, ErrorKind::TimedOut);
    assert_eq!(word(owns.link(&cx(), &p("other/link"), REPLACE).await), "TimedOut");
    assert!(carries().await, "and its new name with it");
}

fn ask(path: &str, access: Access, change: fn(&mut OpenRequest)) -> OpenRequest {
    let mut request = OpenRequest::new(p(path), access, vfs::Owner(1));
    change(&mut request);
    request
}

/// Who only looks at a file while it is written tells of its state from before the last write.
#[tokio::test]
async fn who_looks_at_a_file_while_it_is_written_takes_nothing_from_the_writer() {
    let mem = MemVolume::new();
    let faults = FaultVolume::new(mem.clone());
    let site = Site { vfs: Vfs::new(faults.clone(), VfsConfig::default()), mem: mem.clone() };
    changes_are_told(|| site.vfs.freshness()).await;
    put(&*mem, "file", "content").await;
    give(&*mem, "file", descriptor(Access::all(), None)).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let writer = hold(&site, "file", Caching::all(), |_| {}).await;
    assert_eq!(writer.got, Caching::all());
    let gate = faults.gate(Op::Named);
    let (vfs, mut request) = (site.vfs.clone(), crate::tools::ask("file", LOOK));
    judged(&mut request);
    let looking = tokio::spawn(async move { vfs.open(&cx(), request).await.unwrap().open });
    gate.arrived(1).await;
    writer.open.write(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.release();
    let looks = looking.await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(writer.told(), [], "nobody else has changed anything");
    looks.close(&cx()).await.unwrap();
}

#[tokio::test]
async fn what_others_have_written_by_another_way_stays_where_a_descriptor_cannot_be_given() {
    for by_a_link in [true, false] {
        let mem = MemVolume::new();
        mkdir(&*mem, "dir").await;
        give(&*mem, "dir", descriptor(Access::all(), Some(Access::all()))).await;
        apply(&*mem, Change::Symlink { path: p("way"), target: "dir".into(), maker: None }).await;
        let fault = FaultVolume::new(mem.clone());
        let vfs = Vfs::new(fault.clone(), VfsConfig::default());
        let gate = fault.gate(Op::Apply);
        fault.fail(Op::Apply, 1, ErrorKind::NoSpace);
        let making = tokio::spawn({
            let vfs = vfs.clone();
            async move { vfs.open(&cx(), ask("dir/file", WRITE, made)).await }
        });
        gate.arrived(1).await;
        let other = tokio::spawn(async move {
            if !by_a_link {
                put(&*mem, "dir/file", "content").await;
                return;
            }
            let opens = |ask: &mut OpenRequest| ask.disposition = Disposition::OpenIf;
            let other = vfs.open(&cx(), ask("way/file", WRITE, opens)).await.unwrap().open;
            other.write(&cx(), 0, Bytes::from_static(b"content")).await.unwrap();
            other.close(&cx()).await.unwrap();
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(other.is_finished(), !by_a_link, "who comes by a link waits");
        gate.release();
        assert_eq!(word(making.await.unwrap()), "NoSpace");
        other.await.unwrap();
        assert_eq!(get(&*fault, "dir/file").await, b"content", "by a link: {by_a_link}");
    }
}

//! What POSIX keeps is kept for callers of this machine alone, whoever else uses the volume.

use origin_local::{LocalConfig, LocalVolume};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use volume::{
    Change, Create, Cx, DosAttributes, ErrorKind, Maker, Named, OpenHow, Priority, SetAttr, Special, VPath,
    Volume, Who,
};

const SOMEBODY: Maker = Maker { uid: 65_533, gid: 65_533, umask: 0o077 };

fn p(path: &str) -> VPath {
    VPath::parse(path).unwrap()
}

fn mode(dir: &tempfile::TempDir, name: &str) -> u32 {
    std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn what_only_a_caller_of_this_machine_may_say_is_not_believed_of_those_from_afar() {
    let dir = tempfile::tempdir().unwrap();
    let config = LocalConfig { posix: true, ..LocalConfig::default() };
    let volume = LocalVolume::open(dir.path(), config).unwrap();
    let here = Cx::system(Priority::Interactive);
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::set_permissions(dir.path().join("d"), PermissionsExt::from_mode(0o1777)).unwrap();
    for (number, who) in [Who::User(Arc::from("alice")), Who::Site(Arc::from("dc2"))].into_iter().enumerate()
    {
        let cx = Cx::new(who, Priority::Interactive);
        let kind = async |change: Change| volume.apply(&cx, &change).await.err().map(|error| error.kind);
        let name = format!("f{number}");
        // Whoever the test runs as, it is not somebody.
        let how =
            OpenHow { create: Create::New, mode: 0o6755, maker: Some(SOMEBODY), ..OpenHow::read_write() };
        let opened = volume.open(&cx, &p(&name), how).await.unwrap();
        assert_eq!((mode(&dir, &name) & 0o7000, opened.attr.uid == SOMEBODY.uid), (0, false));
        assert_ne!(mode(&dir, &name) & 0o700, 0);
        let set = SetAttr { mode: Some(0o4711), ..SetAttr::default() };
        opened.file.set_attr(&cx, &set).await.unwrap();
        assert_eq!(mode(&dir, &name), 0o711);
        let owned = SetAttr { uid: Some(opened.attr.uid), ..SetAttr::default() };
        let refused = opened.file.set_attr(&cx, &owned).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unsupported);
        let set = SetAttr { mode: Some(0o700), ..SetAttr::default() };
        assert_eq!(kind(Change::SetAttr { path: p("d"), set, expect: None }).await, None);
        assert_eq!(mode(&dir, "d"), 0o1700, "a directory keeps what it has");
        let made = format!("d{number}");
        let dos = DosAttributes::empty();
        let change = Change::MakeDir { path: p(&made), mode: 0o7777, dos, maker: Some(SOMEBODY) };
        assert_eq!(kind(change).await, None);
        assert_eq!(mode(&dir, &made) & 0o7000, 0);
        let fifo = Change::MakeNode { path: p("p"), node: Special::Fifo, mode: 0o644, maker: None };
        assert_eq!(kind(fifo).await, Some(ErrorKind::Unsupported));
        let link = Change::Symlink { path: p("l"), target: "/etc/shadow".into(), maker: None };
        assert_eq!(kind(link).await, Some(ErrorKind::InvalidArgument));
        let name = Named::system("security.capability");
        let value = Some(bytes::Bytes::from_static(b"x"));
        let change = Change::SetNamed { path: p("d"), name: name.clone(), value, expect: None };
        assert_eq!(kind(change).await, Some(ErrorKind::Unsupported));
        let asked = volume.named(&cx, &p("d"), None, &name).await.unwrap_err();
        assert_eq!(asked.kind, ErrorKind::Unsupported);
    }
    let set = SetAttr { mode: Some(0o4755), ..SetAttr::default() };
    volume.apply(&here, &Change::SetAttr { path: p("f0"), set, expect: None }).await.unwrap();
    assert_eq!(mode(&dir, "f0"), 0o4755, "as it was meant");
}

#[tokio::test]
async fn what_only_smb_knows_is_left_alone_where_it_is_not_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let with = LocalVolume::open(dir.path(), LocalConfig::default()).unwrap();
    if !with.caps().dos_attributes {
        return eprintln!("skipped: {} keeps no extras", dir.path().display());
    }
    let config = LocalConfig { posix: true, dos_attributes: false, ..LocalConfig::default() };
    let without = LocalVolume::open(dir.path(), config).unwrap();
    assert!(!without.caps().dos_attributes && without.caps().named);
    let cx = Cx::system(Priority::Interactive);
    let how = OpenHow { dos: DosAttributes::READONLY, ..OpenHow::create(Create::New) };
    let opened = with.open(&cx, &p("f"), how).await.unwrap();
    assert_eq!(opened.attr.dos, DosAttributes::READONLY);
    assert_eq!(without.stat(&cx, &p("f")).await.unwrap().dos, DosAttributes::empty());
    let named = Named::extended("origin");
    let value = Some(bytes::Bytes::from_static(b"x"));
    let change = Change::SetNamed { path: p("f"), name: named.clone(), value: value.clone(), expect: None };
    without.apply(&cx, &change).await.unwrap();
    let dos = SetAttr { dos: Some(DosAttributes::HIDDEN), ..SetAttr::default() };
    let refused = without.apply(&cx, &Change::SetAttr { path: p("f"), set: dos, expect: None }).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Unsupported);
    let attr = with.stat(&cx, &p("f")).await.unwrap();
    assert_eq!(attr.dos, DosAttributes::READONLY);
    assert!(!attr.carries.is_empty(), "others find what it carries");
    assert_eq!(without.named(&cx, &p("f"), None, &named).await.unwrap(), value);
}

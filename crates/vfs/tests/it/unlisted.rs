//! Who finds only the names that are listed: what origins know by further names, folded further or short ones, is not there by them.

use crate::tools::{READ, Site, word};
use bytes::Bytes;
use std::sync::Arc;
use testkit::ease::{cx, mkdir, put};
use testkit::{MemVolume, Op};
use vfs::{Access, Error, Links, NewObject, Newborn, OpenRequest, Rights, Vfs, VfsConfig};
use volume::Attr;

/// In whose share some names are not.
#[derive(Debug)]
struct ByListedNames;

impl Rights for ByListedNames {
    fn allowed(&self, _: Option<&[u8]>, _: Access) -> Access {
        Access::all()
    }

    fn passed_on(&self, _: &[u8], _: &Attr) -> Option<Bytes> {
        None
    }

    fn newborn(&self, _: Option<&[u8]>, _: NewObject) -> Result<Newborn, Error> {
        Ok(Newborn { descriptor: None, mode: 0o7777 })
    }

    fn follows(&self, _: &str) -> bool {
        true
    }

    fn only_listed(&self) -> bool {
        true
    }

    fn after_opening(self: Arc<Self>) -> Arc<dyn Rights> {
        self
    }
}

/// The origin joins the Kelvin sign with the letter, as it might join a short name with a long one.
#[tokio::test]
async fn a_listing_by_a_name_that_is_not_listed_is_an_empty_one() {
    let mut config = testkit::MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    put(&*site.mem, "ki~1", "").await;
    let listed = |ask: &mut OpenRequest| ask.rights = Some(Arc::new(ByListedNames));
    let root = site.try_open("", READ, listed).await.unwrap().open;
    let mut walk = root.list(Links::Followed).unwrap();
    for (name, is_there) in [("KI~1", true), ("none", false), ("\u{212A}i~1", false)] {
        walk.only(Some(name));
        let found = walk.next(&cx()).await;
        assert_eq!(
            found.map(|found| found.is_some()).map_err(|error| error.to_string()),
            Ok(is_there),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_large_directory_is_not_listed_for_each_open_in_it() {
    let mut config = testkit::MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    let limits = vfs::Limits { index_names: 2, ..vfs::Limits::default() };
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig { limits, ..VfsConfig::default() }), mem };
    let listed = |ask: &mut OpenRequest| ask.rights = Some(Arc::new(ByListedNames));
    let names = ["b\u{fc}ro", "~$a.docx", "~WRD0001.tmp", "a.c~"];
    for name in names {
        put(&*site.mem, name, "").await;
    }
    for _ in 0..10 {
        for name in names {
            site.try_open(name, READ, listed).await.unwrap().open.close(&cx()).await.unwrap();
        }
    }
    assert_eq!(site.mem.counts().of(Op::List), 0);
}

/// The origin joins the Kelvin sign with the letter, as it might join a short name with a long one.
#[tokio::test]
async fn by_what_may_be_a_short_name_nothing_is_there_that_is_not_listed_so() {
    let mut config = testkit::MemConfig::default();
    config.caps.case_sensitive = false;
    let mem = MemVolume::with(config);
    let site = Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem };
    let listed = |ask: &mut OpenRequest| ask.rights = Some(Arc::new(ByListedNames));
    mkdir(&*site.mem, "Keys~1").await;
    for name in ["key~1.txt", "Keys~1/a"] {
        put(&*site.mem, name, "").await;
    }
    for (name, expect) in [
        ("KEY~1.TXT", "Ok"),
        ("\u{212A}EY~1.txt", "NotFound"),
        ("keys~1/a", "Ok"),
        ("\u{212A}eys~1/a", "PathNotFound"),
        ("\u{212A}eys~1/b", "PathNotFound"),
    ] {
        assert_eq!(word(site.try_open(name, READ, listed).await), expect, "{name}");
    }
}

//! Paths over links: who comes by one works where it leads to.

use crate::tools::{DELETE, LOOK, READ, WRITE, ask, word};
use testkit::ease::{apply, cx, exists, mkdir, p, put};
use testkit::{FaultVolume, MemVolume, Op};
use vfs::{Disposition, OpenRequest, RenameHow, Vfs, VfsConfig};
use volume::Change;

/// Lets all others come as far as they can.
async fn others_go_on() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn makes(path: &str) -> OpenRequest {
    OpenRequest { disposition: Disposition::Create, ..ask(path, WRITE) }
}

/// Of those who come by a link the directory that it leads to knows as of those who come straight.
#[tokio::test]
async fn a_move_waits_for_who_works_below_by_way_of_a_link() {
    let how = RenameHow { posix: true, ..RenameHow::default() };
    for works in ["opens", "makes", "renames"] {
        let mem = MemVolume::new();
        mkdir(&*mem, "dir").await;
        put(&*mem, "dir/file", "x").await;
        put(&*mem, "other", "x").await;
        apply(&*mem, Change::Symlink { path: p("way"), target: "dir".into(), maker: None }).await;
        let fault = FaultVolume::new(mem);
        let vfs = Vfs::new(fault.clone(), VfsConfig::default());
        let dir = vfs.open(&cx(), ask("dir", DELETE)).await.unwrap().open;
        let gate = fault.gate(if works == "renames" { Op::Apply } else { Op::Open });
        let working = tokio::spawn({
            let vfs = vfs.clone();
            async move {
                match works {
                    "opens" => vfs.open(&cx(), ask("way/file", READ)).await.unwrap().open,
                    "makes" => vfs.open(&cx(), makes("way/new")).await.unwrap().open,
                    _ => {
                        let other = vfs.open(&cx(), ask("other", DELETE)).await.unwrap().open;
                        other.rename(&cx(), &p("way/new"), how).await.unwrap();
                        other
                    }
                }
            }
        });
        gate.arrived(1).await;
        let moving = tokio::spawn(async move { word(dir.rename(&cx(), &p("moved"), how).await) });
        others_go_on().await;
        assert!(!moving.is_finished() && gate.waiting() == 1, "{works}");
        gate.release();
        let open = working.await.unwrap();
        assert_eq!(moving.await.unwrap(), "Ok");
        let name = if works == "opens" { "moved/file" } else { "moved/new" };
        assert_eq!(open.path().unwrap(), p(name));
        assert!(exists(&*fault, name).await, "{works}");
    }
}

/// Where it leads to is deleted behind it, as where a new release takes the place of an old one.
#[tokio::test]
async fn what_a_link_leads_to_is_found_whatever_it_leads_to_by_then() {
    let mem = MemVolume::new();
    for (dir, content) in [("old", "1"), ("new", "2")] {
        mkdir(&*mem, dir).await;
        put(&*mem, &format!("{dir}/file"), content).await;
    }
    apply(&*mem, Change::Symlink { path: p("way"), target: "old".into(), maker: None }).await;
    let fault = FaultVolume::new(mem.clone());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let deletes = OpenRequest { delete_on_close: true, ..ask("old/file", DELETE) };
    let held = vfs.open(&cx(), deletes).await.unwrap().open;
    let gate = fault.gate(Op::Apply);
    let closing = tokio::spawn(async move { held.close(&cx()).await.map(drop) });
    gate.arrived(1).await;
    let opening = tokio::spawn(async move {
        let open = vfs.open(&cx(), ask("way/file", READ)).await?.open;
        open.read(&cx(), 0, 1).await
    });
    others_go_on().await;
    for change in [
        Change::Remove { path: p("way"), dir: false, expect: None },
        Change::Symlink { path: p("way"), target: "new".into(), maker: None },
    ] {
        apply(&*mem, change).await;
    }
    gate.release();
    closing.await.unwrap().unwrap();
    assert_eq!(opening.await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn an_open_without_a_link_in_the_way_asks_the_volume_once_where_its_name_is() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    mkdir(&*fault, "dir").await;
    put(&*fault, "dir/file", "x").await;
    vfs.open(&cx(), ask("dir/FILE", LOOK)).await.unwrap();
    fault.counts().reset();
    vfs.open(&cx(), ask("dir/FILE", LOOK)).await.unwrap();
    vfs.open(&cx(), ask("dir/file", LOOK)).await.unwrap();
    assert_eq!(fault.counts().total(), 3, "one for the spelling, one each for what is there");
}

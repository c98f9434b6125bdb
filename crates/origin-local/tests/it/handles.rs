//! Many handles at once against plain content.

use crate::fresh;
use bytes::Bytes;
use std::sync::Arc;
use testkit::{Rng, ease};
use volume::{Create, File, Fresh, OpenHow, SetAttr, SyncKind, Volume};

/// Each handle owns every eighth block of the file; all write, read back, sync and look at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_on_one_file_do_not_disturb_each_other() {
    const HANDLES: u64 = 8;
    const BLOCKS: u64 = 40;
    const BLOCK: usize = 7_001;
    let (_dir, volume) = fresh();
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..HANDLES {
        let volume = volume.clone();
        workers.spawn(async move {
            let cx = ease::cx();
            let opened = volume.open(&cx, &ease::p("f"), OpenHow::create(Create::IfMissing)).await.unwrap();
            let (file, mut rng) = (opened.file, Rng::new(number));
            let mut mine = vec![Vec::new(); BLOCKS as usize];
            for _ in 0..200 {
                let block = rng.below(BLOCKS);
                let offset = (block * HANDLES + number) * BLOCK as u64;
                if rng.one_in(2) || mine[block as usize].is_empty() {
                    mine[block as usize] = rng.bytes(BLOCK);
                    let data = Bytes::copy_from_slice(&mine[block as usize]);
                    file.write_at(&cx, offset, data).await.unwrap();
                }
                let there = file.read_at(&cx, offset, BLOCK as u32).await.unwrap();
                assert!(there == mine[block as usize], "handle {number}, block {block}");
                match rng.below(20) {
                    0 => file.sync(&cx, SyncKind::Data).await.unwrap(),
                    1 => assert!(file.attr(&cx, Fresh::Now).await.unwrap().size > offset),
                    _ => {}
                }
            }
            (number, mine)
        });
    }
    let file =
        volume.open(&ease::cx(), &ease::p("f"), OpenHow::create(Create::IfMissing)).await.unwrap().file;
    while let Some(done) = workers.join_next().await {
        let (number, mine) = done.unwrap();
        for (block, content) in mine.iter().enumerate().filter(|(_, content)| !content.is_empty()) {
            let offset = (block as u64 * HANDLES + number) * BLOCK as u64;
            let there = file.read_at(&ease::cx(), offset, BLOCK as u32).await.unwrap();
            assert!(there == content, "handle {number}, block {block}, at the end");
        }
    }
}

/// Opens that may make the file agree on who made it, and all get the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_makes_the_file() {
    let (_dir, volume) = fresh();
    for round in 0..50 {
        let path = format!("f{round}");
        let mut opens = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (volume, path) = (volume.clone(), ease::p(&path));
            opens.spawn(async move {
                volume.open(&ease::cx(), &path, OpenHow::create(Create::IfMissing)).await.unwrap()
            });
        }
        let opened = opens.join_all().await;
        assert_eq!(opened.iter().filter(|opened| opened.created).count(), 1, "in round {round}");
        assert!(opened.iter().all(|other| other.attr.id == opened[0].attr.id));
    }
}

/// A size set by one handle is seen by the others at once.
#[tokio::test]
async fn sizes_are_shared() {
    let (_dir, volume) = fresh();
    ease::put(&*volume, "f", "0123456789").await;
    let mut files: Vec<Arc<dyn File>> = Vec::new();
    for _ in 0..3 {
        files.push(volume.open(&ease::cx(), &ease::p("f"), OpenHow::read_write()).await.unwrap().file);
    }
    for (size, file) in [3, 8, 0].into_iter().zip(&files) {
        file.set_attr(&ease::cx(), &SetAttr::size(size)).await.unwrap();
        for other in &files {
            assert_eq!(other.attr(&ease::cx(), Fresh::Cached).await.unwrap().size, size);
        }
    }
}

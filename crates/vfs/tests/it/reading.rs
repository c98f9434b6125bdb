//! Names that are not there as they are spelled: the directory is read for all who ask, and not for each.

use crate::tools::{READ, ask, word};
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{changes_are_told, cx, mkdir, put};
use testkit::{FaultVolume, Gate, MemConfig, MemVolume, Op};
use tokio::task::JoinHandle;
use vfs::{Limits, Vfs, VfsConfig};

const PAGE: usize = 100;
/// Pages of a directory with `NAMES`.
const PAGES: u64 = 3;
const NAMES: usize = 250;
/// As many directories are read at a time.
const AT_ONCE: u64 = 16;

struct Served {
    vfs: Vfs,
    mem: Arc<MemVolume>,
    origin: Arc<FaultVolume>,
}

async fn served(index_names: usize) -> Served {
    let mem = MemVolume::with(MemConfig { page_entries: PAGE, ..MemConfig::default() });
    mkdir(&*mem, "large").await;
    mkdir(&*mem, "small").await;
    put(&*mem, "small/name", "").await;
    for n in 0..NAMES {
        put(&*mem, &format!("large/name{n}"), "").await;
    }
    let origin = FaultVolume::new(mem.clone());
    let limits = Limits { index_names, ..Limits::default() };
    let vfs = Vfs::new(origin.clone(), VfsConfig { limits, ..VfsConfig::default() });
    changes_are_told(|| vfs.freshness()).await;
    Served { vfs, mem, origin }
}

impl Served {
    /// What opening answers.
    fn opens(&self, path: String) -> JoinHandle<String> {
        let vfs = self.vfs.clone();
        tokio::spawn(async move { word(vfs.open(&cx(), ask(&path, READ)).await) })
    }

    /// Very many who ask in the large directory while it is being read; pages that were read for them.
    async fn crowd(&self) -> u64 {
        let gate = self.origin.gate(Op::List);
        let before = self.origin.counts().of(Op::List);
        let tasks: Vec<_> = (0..NAMES)
            .flat_map(|n| ["none", "NAME"].map(|name| (name, self.opens(format!("large/{name}{n}")))))
            .collect();
        all_wait(&gate, 1).await;
        gate.release();
        for (name, task) in tasks {
            assert_eq!(task.await.unwrap(), if name == "NAME" { "Ok" } else { "NotFound" });
        }
        self.origin.counts().of(Op::List) - before
    }
}

/// Until all have come as far as they come, and so many are at the gate. The clock is paused: it goes on when nobody else does.
async fn all_wait(gate: &Gate, at_gate: u64) {
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(gate.waiting(), at_gate);
}

#[tokio::test(start_paused = true)]
async fn very_many_who_ask_have_a_directory_read_once() {
    let served = served(1000).await;
    assert_eq!(served.crowd().await, PAGES);
    assert_eq!(served.opens("large/more".into()).await.unwrap(), "NotFound");
    assert_eq!(served.origin.counts().of(Op::List), PAGES);
}

#[tokio::test(start_paused = true)]
async fn a_directory_beyond_the_limit_is_read_for_all_who_wait_and_pushes_out_no_other() {
    let served = served(10).await;
    assert_eq!(served.opens("small/NAME".into()).await.unwrap(), "Ok");
    // Once for the first, and once for all who have come since.
    assert_eq!(served.crowd().await, 2 * PAGES);
    served.origin.counts().reset();
    assert_eq!(served.opens("small/none".into()).await.unwrap(), "NotFound");
    assert_eq!(served.origin.counts().of(Op::List), 0);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_reading_leaves_it_to_the_next() {
    let served = served(1000).await;
    let gate = served.origin.gate(Op::List);
    let first = served.opens("large/NAME1".into());
    gate.arrived(1).await;
    let (second, third) = (served.opens("large/NAME2".into()), served.opens("large/none".into()));
    all_wait(&gate, 1).await;
    // The second fails, which is no answer to others.
    served.origin.fail(Op::List, 1, volume::ErrorKind::Io);
    first.abort();
    gate.arrived(2).await;
    gate.release();
    assert_eq!((second.await.unwrap(), third.await.unwrap()), ("Io".into(), "NotFound".into()));
}

#[tokio::test(start_paused = true)]
async fn so_many_directories_are_read_at_once() {
    let served = served(1000).await;
    let dirs = 2 * AT_ONCE;
    for n in 0..dirs {
        mkdir(&*served.mem, &format!("dir{n}")).await;
    }
    let gate = served.origin.gate(Op::List);
    let tasks: Vec<_> = (0..dirs).map(|n| served.opens(format!("dir{n}/none"))).collect();
    all_wait(&gate, AT_ONCE).await;
    gate.let_pass(1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(gate.waiting(), AT_ONCE);
    gate.release();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "NotFound");
    }
}

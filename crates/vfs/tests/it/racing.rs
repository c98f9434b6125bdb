//! Many at once, on several threads: what must hold whoever is quicker.

use crate::caching::{hold, watched};
use crate::tools::{DELETE, LOOK, READ, WRITE, ask, site, word};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::ease::{cx, exists, get, mkdir, names, p, put};
use testkit::{FaultVolume, MemVolume, Op, Rng};
use vfs::{Action, Caching, Disposition, Error, OpenRequest, Range, RenameHow, Share, Vfs, VfsConfig};

async fn all<T: Send + 'static>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

fn request(path: &str, disposition: Disposition) -> OpenRequest {
    OpenRequest { disposition, ..ask(path, WRITE) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_makes_the_name_in_whatever_spelling() {
    let site = site();
    for round in 0..20 {
        for (disposition, losers) in [(Disposition::Create, "Exists"), (Disposition::OpenIf, "Opened")] {
            let mut tasks = Vec::new();
            for i in 0..16 {
                let name = format!("{disposition:?} name {round}");
                let name = if i % 2 == 0 { name.to_uppercase() } else { name };
                let vfs = site.vfs.clone();
                tasks.push(tokio::spawn(async move {
                    match vfs.open(&cx(), request(&name, disposition)).await {
                        Ok(opened) => format!("{:?}", opened.action),
                        Err(error) => format!("{error:?}"),
                    }
                }));
            }
            let mut answers = HashMap::new();
            for answer in all(tasks).await {
                *answers.entry(answer).or_insert(0) += 1;
            }
            assert_eq!(answers, HashMap::from([("Created".into(), 1), (losers.into(), 15)]));
        }
    }
    assert_eq!(names(&*site.mem, "").await.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn over_a_slow_volume_two_spellings_are_one_name_too() {
    let fault = FaultVolume::new(MemVolume::new());
    fault.delay_all(Duration::from_millis(40));
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    let mut tasks = Vec::new();
    for name in ["name", "NAME", "Name", "nAME"] {
        let vfs = vfs.clone();
        tasks.push(tokio::spawn(
            async move { word(vfs.open(&cx(), request(name, Disposition::Create)).await) },
        ));
    }
    let mut answers = all(tasks).await;
    answers.sort_unstable();
    assert_eq!(answers, ["Exists", "Exists", "Exists", "Ok"]);
    // Opening what is there shares the name: all at once, not one after another.
    let began = tokio::time::Instant::now();
    let opens = (0..4).map(|_| {
        let vfs = vfs.clone();
        tokio::spawn(async move { word(vfs.open(&cx(), ask("name", LOOK)).await) })
    });
    assert_eq!(all(opens.collect()).await, ["Ok"; 4]);
    assert!(began.elapsed() < Duration::from_millis(80), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_exclusive_open_is_alone() {
    let site = site();
    put(&*site.mem, "file", "x").await;
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let vfs = site.vfs.clone();
        tasks.push(tokio::spawn(async move {
            vfs.open(&cx(), OpenRequest { share: Share::empty(), ..ask("file", READ) }).await
        }));
    }
    let won = all(tasks).await.into_iter().filter_map(|answer| match answer {
        Ok(opened) => Some(opened),
        Err(Error::SharingViolation) => None,
        Err(error) => panic!("{error}"),
    });
    assert_eq!(won.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_do_not_overwrite_each_other() {
    let site = site();
    site.create("log").await;
    let mut tasks = Vec::new();
    for i in 0..16u8 {
        let open = site.open("log", WRITE).await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..20 {
                open.append(&cx(), Bytes::from(vec![i; 10])).await.unwrap();
            }
        }));
    }
    all(tasks).await;
    let content = get(&*site.mem, "log").await;
    assert_eq!(content.len(), 16 * 20 * 10);
    assert!(content.chunks(10).all(|line| line.iter().all(|byte| *byte == line[0])));
}

/// Opens below a directory and moves of it: an open always stands under the path that its file has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_and_opens_below_agree_on_the_path() {
    let site = site();
    mkdir(&*site.mem, "a").await;
    put(&*site.mem, "a/file", "x").await;
    let mut tasks = Vec::new();
    for seed in 0..8 {
        let vfs = site.vfs.clone();
        tasks.push(tokio::spawn(async move {
            let mut rng = Rng::new(seed);
            for _ in 0..200 {
                let (here, there) = if rng.below(2) == 0 { ("a", "b") } else { ("b", "a") };
                if seed % 2 == 0 {
                    let Ok(dir) = vfs.open(&cx(), ask(here, DELETE)).await else { continue };
                    let how = RenameHow { posix: seed == 0, ..RenameHow::default() };
                    match dir.open.rename(&cx(), &p(there), how).await {
                        Ok(_) | Err(Error::AccessDenied | Error::Exists | Error::NotFound) => {}
                        Err(error) => panic!("{error}"),
                    }
                    dir.open.close(&cx()).await.unwrap();
                } else {
                    let opened = vfs.open(&cx(), ask(&format!("{here}/file"), LOOK)).await;
                    match opened {
                        // Without content open, the attributes are found by the path, which may be moving.
                        Ok(opened) => drop(opened.open.attr(&cx()).await.unwrap()),
                        Err(Error::PathNotFound | Error::NotFound) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    all(tasks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_opens_what_is_being_removed() {
    let site = site();
    let mut tasks = Vec::new();
    for seed in 0..8 {
        let vfs = site.vfs.clone();
        tasks.push(tokio::spawn(async move {
            let mut rng = Rng::new(seed);
            for _ in 0..200 {
                let delete_on_close = rng.below(2) == 0;
                let request = OpenRequest {
                    access: WRITE | DELETE,
                    delete_on_close,
                    ..request("file", Disposition::OpenIf)
                };
                let opened = match vfs.open(&cx(), request).await {
                    Ok(opened) => opened,
                    Err(Error::DeletePending) => continue,
                    Err(error) => panic!("{error}"),
                };
                opened.open.write(&cx(), 0, Bytes::from_static(b"x")).await.unwrap();
                let seen = opened.open.attr(&cx()).await.unwrap();
                assert!(seen.links > 0, "an open of a removed file");
                opened.open.close(&cx()).await.unwrap();
            }
        }));
    }
    all(tasks).await;
    let last =
        OpenRequest { access: WRITE | DELETE, delete_on_close: true, ..request("file", Disposition::OpenIf) };
    site.vfs.open(&cx(), last).await.unwrap().open.close(&cx()).await.unwrap();
    assert!(!exists(&*site.mem, "file").await);
    assert_eq!(site.vfs.opens().files, 0);
}

#[tokio::test]
async fn an_open_below_waits_for_the_move_above() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    mkdir(&*fault, "dir").await;
    put(&*fault, "dir/file", "x").await;
    let gate = fault.gate(Op::Apply);
    let dir = vfs.open(&cx(), ask("dir", DELETE)).await.unwrap().open;
    let moving = tokio::spawn(async move { dir.rename(&cx(), &p("new"), RenameHow::default()).await });
    gate.arrived(1).await;
    fault.counts().reset();
    let (old, beside) = (
        tokio::spawn({
            let vfs = vfs.clone();
            async move { word(vfs.open(&cx(), ask("DIR/file", LOOK)).await) }
        }),
        vfs.open(&cx(), ask("", LOOK)).await,
    );
    assert!(beside.is_ok(), "who works elsewhere does not wait");
    tokio::task::yield_now().await;
    assert_eq!(fault.counts().of(Op::Stat), 1, "nothing is asked of the volume before the move is through");
    gate.release();
    moving.await.unwrap().unwrap();
    assert_eq!(old.await.unwrap(), "PathNotFound");
    vfs.open(&cx(), ask("new/file", LOOK)).await.unwrap();
}

#[tokio::test]
async fn an_open_that_is_cancelled_leaves_nothing_open() {
    let fault = FaultVolume::new(MemVolume::new());
    let vfs = Vfs::new(fault.clone(), VfsConfig::default());
    put(&*fault, "there", "x").await;
    let gate = fault.gate(Op::Open);
    for (arrived, name, disposition) in [(1, "made", Disposition::Create), (2, "there", Disposition::Open)] {
        let opening = tokio::spawn({
            let vfs = vfs.clone();
            let request = OpenRequest { share: Share::empty(), ..request(name, disposition) };
            async move { vfs.open(&cx(), request).await }
        });
        gate.arrived(arrived).await;
        opening.abort();
        assert!(opening.await.unwrap_err().is_cancelled());
    }
    gate.release();
    let there = OpenRequest { share: Share::empty(), ..request("there", Disposition::Open) };
    vfs.open(&cx(), there).await.unwrap();
    // Making is carried to its end; what was made is closed then.
    let again = OpenRequest { share: Share::empty(), ..request("made", Disposition::OpenIf) };
    loop {
        match vfs.open(&cx(), again.clone()).await {
            Ok(opened) => break assert_eq!(opened.action, Action::Opened),
            Err(Error::SharingViolation) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A client goes away with a change on its way: whoever opens the file after it finds the change done, or is kept
/// out until it is.
#[tokio::test]
async fn a_change_of_a_client_that_is_gone_lands_before_the_next_may_write() {
    let alone = |path| OpenRequest { share: Share::empty(), ..request(path, Disposition::Open) };
    for what in ["write", "append", "size", "empty"] {
        let mem = MemVolume::new();
        put(&*mem, "file", "old content").await;
        let fault = FaultVolume::new(mem.clone());
        let vfs = Vfs::new(fault.clone(), VfsConfig::default());
        let gate = fault.gate(match what {
            "size" => Op::SetAttr,
            "empty" => Op::Open,
            _ => Op::Write,
        });
        let gone = tokio::spawn({
            let vfs = vfs.clone();
            async move {
                if what == "empty" {
                    let request = OpenRequest { disposition: Disposition::Overwrite, ..alone("file") };
                    vfs.open(&cx(), request).await.unwrap();
                    return;
                }
                let open = vfs.open(&cx(), alone("file")).await.unwrap().open;
                match what {
                    "write" => open.write(&cx(), 0, Bytes::from_static(b"late")).await.unwrap(),
                    "append" => drop(open.append(&cx(), Bytes::from_static(b"late")).await.unwrap()),
                    _ => drop(open.set_size(&cx(), 0).await.unwrap()),
                }
            }
        });
        gate.arrived(1).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let next = tokio::spawn({
            let vfs = vfs.clone();
            async move {
                loop {
                    match vfs.open(&cx(), alone("file")).await {
                        Ok(opened) => break opened.open,
                        Err(Error::SharingViolation) => tokio::task::yield_now().await,
                        Err(error) => panic!("{what}: {error}"),
                    }
                }
            }
        });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!next.is_finished(), "{what}: opened while the change is on its way");
        gate.release();
        let next = next.await.unwrap();
        next.write(&cx(), 0, Bytes::from_static(b"new")).await.unwrap();
        next.close(&cx()).await.unwrap();
        let landed = match what {
            "write" => "newecontent",
            "append" => "new contentlate",
            _ => "new",
        };
        assert_eq!(get(&*mem, "file").await, landed.as_bytes(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_begins_to_read_from_a_cache_beside_a_lock() {
    let site = watched().await;
    let alice = site.create("file").await;
    let (range, turns) = (Range::new(0, 1), Arc::new(AtomicU32::new(0)));
    // So that both begin at once.
    let meet = |turns: Arc<AtomicU32>, round: u32| {
        turns.fetch_add(1, Ordering::AcqRel);
        while turns.load(Ordering::Acquire) < 2 * (round + 1) {
            std::hint::spin_loop();
        }
    };
    for round in 0..4000 {
        let (open, turns_of_alice) = (alice.clone(), turns.clone());
        let locks = tokio::spawn(async move {
            meet(turns_of_alice, round);
            open.try_lock(range, true).unwrap();
        });
        meet(turns.clone(), round);
        let bob = hold(&site, "file", Caching::READ, |_| {}).await;
        locks.await.unwrap();
        assert!(bob.got.is_empty() || bob.is_told(), "round {round}");
        bob.open.close(&cx()).await.unwrap();
        alice.unlock(range).unwrap();
    }
}

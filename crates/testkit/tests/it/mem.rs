use std::sync::Arc;
use testkit::{MemConfig, MemVolume, Op, contract, ease, model};
use volume::{Caps, ErrorKind, Notice, Volume};

async fn contract_with(change: impl Fn(&mut Caps)) {
    let mut config = MemConfig { page_entries: 100, ..MemConfig::default() };
    change(&mut config.caps);
    contract::run(|| {
        let volume: Arc<dyn Volume> = MemVolume::with(config.clone());
        async { volume }
    })
    .await;
}

#[tokio::test]
async fn contract_of_a_volume_that_can_everything() {
    contract_with(|_| ()).await;
}

#[tokio::test]
async fn contract_of_lesser_volumes() {
    contract_with(|caps| caps.case_sensitive = false).await;
    contract_with(|caps| (caps.watch, caps.hard_links, caps.symlinks) = (false, false, false)).await;
    contract_with(|caps| (caps.set_times, caps.dos_attributes) = (false, false)).await;
    contract_with(|caps| caps.named = false).await;
    contract_with(|caps| (caps.holes, caps.copies, caps.clones) = (false, false, false)).await;
    contract_with(|caps| caps.clones = false).await;
    contract_with(|caps| caps.compression = false).await;
    contract_with(|caps| caps.quotas = true).await;
    contract_with(|caps| caps.random_write = false).await;
    contract_with(|caps| caps.read_only = true).await;
}

#[tokio::test]
async fn the_suite_notices_a_broken_volume() {
    let broken = tokio::spawn(contract::run(|| async {
        let volume = testkit::FaultVolume::new(MemVolume::new());
        volume.fail_always(Op::ReadLink, ErrorKind::Io);
        volume as Arc<dyn Volume>
    }));
    let panic = broken.await.expect_err("a volume that cannot read links passes").into_panic();
    let story = panic.downcast_ref::<String>().expect("a story");
    assert!(story.starts_with("1 of ") && story.contains("symlinks: "), "{story}");
}

#[tokio::test]
async fn a_known_failure_that_passes_is_a_surprise() {
    const KNOWN: &[(&str, &str)] = &[("make_dir", "not really")];
    let run = contract::run_except(|| async { MemVolume::new() as Arc<dyn Volume> }, KNOWN);
    let panic = tokio::spawn(run).await.expect_err("no surprise").into_panic();
    assert!(panic.downcast_ref::<String>().expect("a story").contains("not really"));
}

#[tokio::test]
async fn model_agrees() {
    for seed in 0..30 {
        model::run(&*MemVolume::new(), seed, 200).await;
    }
}

#[tokio::test]
async fn another_writer_changes_the_same_tree_and_counts_apart() {
    let volume = MemVolume::new();
    let other = volume.other();
    contract::tells_of_others(&*volume, &*other).await;
    volume.counts().reset();
    ease::put(&*other, "f", "by another").await;
    assert_eq!(volume.counts().total(), 0);
    assert_eq!(ease::get(&*volume, "f").await, b"by another");
    assert_eq!((volume.counts().of(Op::Open), volume.counts().bytes_read()), (1, 10));
}

#[tokio::test]
async fn a_slow_subscriber_is_told_that_it_missed_something() {
    let volume = MemVolume::new();
    let mut watch = volume.watch(&ease::cx()).await.unwrap();
    for _ in 0..volume::NOTICES_MAX {
        ease::put(&*volume, "f", "x").await;
    }
    let mut unknown = 0;
    while let Ok(notice) = watch.notices.try_recv() {
        unknown += usize::from(matches!(notice, Notice::Unknown { .. }));
    }
    assert_eq!(unknown, 1);
    ease::put(&*volume, "f", "y").await;
    assert!(matches!(watch.notices.try_recv(), Ok(Notice::Changed { .. })), "notices flow again");
}

#[tokio::test]
async fn muted_and_full() {
    let volume = MemVolume::new();
    let mut watch = volume.watch(&ease::cx()).await.unwrap();
    volume.mute(true);
    ease::put(&*volume, "f", "12345").await;
    assert!(watch.notices.try_recv().is_err());
    volume.set_capacity(6);
    let file = volume.open(&ease::cx(), &ease::p("f"), volume::OpenHow::read_write()).await.unwrap().file;
    file.write_at(&ease::cx(), 5, "6".into()).await.unwrap();
    ease::fails(file.write_at(&ease::cx(), 6, "7".into()).await, ErrorKind::NoSpace);
    assert_eq!(ease::get(&*volume, "f").await, b"123456");
}

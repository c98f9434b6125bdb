use std::sync::Arc;
use std::time::Duration;
use testkit::{FaultVolume, MemVolume, Op, contract, ease};
use volume::{ErrorKind, Freshness, Notice, VPath, Volume};

fn faulty() -> (Arc<MemVolume>, Arc<FaultVolume>) {
    let inner = MemVolume::new();
    (inner.clone(), FaultVolume::new(inner))
}

#[tokio::test]
async fn without_orders_everything_passes() {
    contract::run(|| async { faulty().1 as Arc<dyn Volume> }).await;
}

#[tokio::test]
async fn the_nth_call_fails_once() {
    let (inner, volume) = faulty();
    volume.fail(Op::Stat, 2, ErrorKind::Io);
    ease::stat(&*volume, "").await;
    ease::fails(volume.stat(&ease::cx(), &VPath::root()).await, ErrorKind::Io);
    ease::stat(&*volume, "").await;
    assert_eq!((volume.counts().of(Op::Stat), inner.counts().of(Op::Stat)), (3, 2));
    volume.fail_always(Op::Stat, ErrorKind::Busy);
    for _ in 0..2 {
        ease::fails(volume.stat(&ease::cx(), &VPath::root()).await, ErrorKind::Busy);
    }
    volume.heal(Op::Stat);
    ease::stat(&*volume, "").await;
}

#[tokio::test]
async fn a_lost_answer_had_its_effect() {
    let (inner, volume) = faulty();
    volume.lose_answer(Op::Apply, 1, ErrorKind::TimedOut);
    let change = volume::Change::Symlink { path: ease::p("l"), target: "x".into(), maker: None };
    ease::fails(volume.apply(&ease::cx(), &change).await, ErrorKind::TimedOut);
    assert!(ease::exists(&*inner, "l").await);
}

#[tokio::test]
async fn a_gate_holds_calls_until_released() {
    let (_, volume) = faulty();
    ease::put(&*volume, "f", "content").await;
    let gate = volume.gate(Op::Read);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let volume = volume.clone();
        readers.spawn(async move { ease::get(&*volume, "f").await });
    }
    gate.arrived(2).await;
    assert_eq!(gate.waiting(), 2);
    gate.let_pass(1);
    gate.arrived(3).await;
    gate.release();
    while let Some(content) = readers.join_next().await {
        assert_eq!(content.unwrap(), b"content");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_takes_its_time_and_the_deadline_ends_it() {
    let (_, volume) = faulty();
    volume.delay_all(Duration::from_millis(50));
    let start = tokio::time::Instant::now();
    ease::stat(&*volume, "").await;
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    volume.delay(Op::Stat, Duration::from_secs(3600));
    ease::fails(volume.stat(&ease::cx(), &VPath::root()).await, ErrorKind::TimedOut);
}

#[tokio::test]
async fn offline_and_back() {
    let (inner, volume) = faulty();
    let mut watch = volume.watch(&ease::cx()).await.unwrap();
    volume.go_offline();
    ease::fails(volume.stat(&ease::cx(), &VPath::root()).await, ErrorKind::Offline);
    let offline = |f: &Freshness| matches!(f, Freshness::Offline { .. });
    watch.freshness.wait_for(offline).await.unwrap();
    ease::put(&*inner, "f", "unheard of").await;
    volume.go_online();
    watch.freshness.wait_for(|f| *f == Freshness::Notified).await.unwrap();
    assert_eq!(watch.notices.recv().await, Some(Notice::Unknown { below: VPath::root() }));
    ease::put(&*inner, "g", "heard of").await;
    ease::notice(&mut watch, "g", |n| matches!(n, Notice::Changed { path, .. } if path.as_str() == "g"))
        .await;
}

//! Calls when nothing breaks: both directions, priorities, limits, shutdown.

use crate::support::*;
use link::{Class, LinkError, MAX_BODY_BYTES, MAX_HEAD_BYTES, Message, Mode, Node};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[tokio::test]
async fn calls_go_both_ways_when_one_side_dials() {
    let pair = Pair::start().await;
    let answer = pair.call(Mode::Repeatable, "echo from dc2").await.expect("an answer");
    assert_eq!(answer, Message::new("echo from dc2", "body"));
    let answer = call(&pair.gateway.link("dc2"), Mode::Once, "echo from dc1").await.expect("an answer");
    assert_eq!(answer, Message::new("echo from dc1", "body"));
    assert_eq!((pair.at_gateway.calls(), pair.at_entrypoint.calls()), (1, 1));
    let stats = pair.entrypoint.link("dc1").stats();
    assert_eq!((stats.calls, stats.served, stats.retries, stats.pending), (1, 1, 0, 0));
    assert!(stats.bytes_in > 0 && stats.bytes_out > 0 && !stats.congestion.is_empty());
}

#[tokio::test]
async fn bodies_of_all_sizes_arrive_whole() {
    let pair = Pair::start().await;
    let link = pair.entrypoint.link("dc1");
    for size in [0, 1, 65_535, 65_536, 65_537, 1_000_003, MAX_BODY_BYTES] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let head = vec![b'h'; size.min(MAX_HEAD_BYTES)];
        for class in [Class::Interactive, Class::Bulk] {
            let message = Message::new(head.clone(), body.clone());
            let answer = link.call(class, Mode::Once, message.clone(), Instant::now() + SOON).await;
            assert_eq!(answer.expect("an answer"), message, "{size} bytes");
        }
    }
}

#[tokio::test]
async fn messages_over_the_limits_are_refused_on_both_sides() {
    let pair = Pair::start().await;
    let link = pair.entrypoint.link("dc1");
    for message in
        [Message::new(vec![b' '; MAX_HEAD_BYTES + 1], ""), Message::new("", vec![0; MAX_BODY_BYTES + 1])]
    {
        let refused = link.call(Class::Bulk, Mode::Once, message.clone(), Instant::now() + SOON).await;
        assert!(matches!(refused, Err(LinkError::TooLarge { .. })), "{refused:?}");
        assert!(matches!(link.notify(message), Err(LinkError::TooLarge { .. })));
    }
    assert_eq!(pair.at_gateway.calls(), 0);
    let failed = pair.call(Mode::Once, "large 4194305").await;
    assert!(matches!(failed, Err(LinkError::Failed(_))), "{failed:?}");
}

#[tokio::test]
async fn a_service_that_panics_fails_only_its_call() {
    let pair = Pair::start().await;
    let failed = pair.call(Mode::Once, "panic").await;
    assert_eq!(failed, Err(LinkError::Failed("the service broke off".into())));
    assert!(pair.call(Mode::Once, "echo").await.is_ok());
}

#[tokio::test]
async fn interactive_calls_overtake_queued_bulk() {
    const BULK_CALLS: usize = 25;
    let pair = Pair::start().await;
    // 50 MB over two connections of 20 MB/s each: more than a second of work.
    pair.proxy.rate(20_000_000);
    let done = Arc::new(AtomicUsize::new(0));
    let mut bulk = Vec::new();
    for _ in 0..BULK_CALLS {
        let (link, done) = (pair.entrypoint.link("dc1"), done.clone());
        bulk.push(tokio::spawn(async move {
            let message = Message::new("echo", vec![1; 2_000_000]);
            let answer = link.call(Class::Bulk, Mode::Repeatable, message, Instant::now() + 2 * SOON).await;
            done.fetch_add(1, Ordering::SeqCst);
            answer
        }));
    }
    pair.at_gateway.until("the first bulk call", |service| service.calls() > 0).await;
    pair.call(Mode::Repeatable, "echo").await.expect("an answer");
    let overtaken = BULK_CALLS - done.load(Ordering::SeqCst);
    assert!(overtaken > BULK_CALLS / 2, "only {overtaken} of {BULK_CALLS} bulk calls were overtaken");
    pair.proxy.rate(0);
    for answer in bulk {
        assert_eq!(answer.await.expect("no panic").expect("an answer").body.len(), 2_000_000);
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_leaves_nothing_behind() {
    let pair = Pair::start().await;
    let link = pair.entrypoint.link("dc1");
    let late = Instant::now() + Duration::from_millis(50);
    let answer = link.call(Class::Interactive, Mode::Once, Message::new("gate", ""), late).await;
    assert_eq!(answer, Err(LinkError::Deadline));
    assert_eq!(link.stats().pending, 0);
    pair.at_gateway.gate.add_permits(1);
    assert!(pair.call(Mode::Once, "echo").await.is_ok());
}

#[tokio::test]
async fn a_shutdown_lets_calls_finish_and_then_fails_new_ones() {
    let pair = Pair::start().await;
    let call = pair.spawn_call(Mode::Once, "gate");
    pair.at_gateway.until("the call", |service| service.calls() == 1).await;
    let gateway = pair.gateway.clone();
    let shutdown = tokio::spawn(async move { gateway.shutdown().await });
    until_down(&pair.entrypoint.link("dc1"), "shutting down").await;
    assert!(!shutdown.is_finished());
    pair.at_gateway.gate.add_permits(1);
    assert!(call.await.expect("no panic").is_ok());
    shutdown.await.expect("no panic");
    let link = pair.gateway.link("dc2");
    assert_eq!(link.notify(Message::new("n", "")), Err(LinkError::Closed));
    assert_eq!(crate::support::call(&link, Mode::Once, "echo").await, Err(LinkError::Closed));
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let dir = authority();
    let start = async |config| {
        let started = Node::start(identity(&dir, "dc1"), config, Counting::new()).await;
        started.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let nowhere = "127.0.0.1:1".parse().expect("an address");
    assert!(start(dialing("dc1", nowhere)).await.contains("own site"));
    let dial = |address: &str| link::LinkConfig { dial: vec![("dc2".into(), address.into())], ..config() };
    assert!(start(dial("gateway.example")).await.contains("host:port"));
    assert!(start(link::LinkConfig { connections: 65, ..config() }).await.contains("at most 64"));
}

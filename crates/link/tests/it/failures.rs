//! Calls while connections die, stall and come back.

use crate::support::*;
use link::{Class, LinkConfig, LinkError, LinkState, Message, Mode, Node};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_call_cut_while_it_runs_is_executed_once_and_answered() {
    for mode in [Mode::Once, Mode::Repeatable] {
        let pair = Pair::start().await;
        let call = pair.spawn_call(mode, "gate");
        pair.at_gateway.until("the call", |service| service.calls() == 1).await;
        let session = pair.entrypoint.link("dc1").state().borrow().session();
        pair.proxy.cut();
        // Sent again over a new connection, it joins the one that runs.
        let again = |link: link::Link| async move {
            while link.stats().retries == 0 || link.stats().reconnects < 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, again(pair.entrypoint.link("dc1"))).await.expect("a retry");
        until_connections(&pair.entrypoint.link("dc1"), 3).await;
        pair.at_gateway.gate.add_permits(2);
        assert!(call.await.expect("no panic").is_ok());
        // A repeatable call whose repeat arrives after the end is executed again.
        let executed = pair.at_gateway.calls();
        assert!(executed == 1 || mode == Mode::Repeatable && executed == 2, "{mode:?}: {executed}");
        assert_eq!(pair.entrypoint.link("dc1").state().borrow().session(), session);
        assert!(pair.entrypoint.link("dc1").stats().reconnects > 0);
    }
}

/// Executes a call whose answer is lost with its connection; how often it was executed in the end.
async fn executions_after_a_lost_answer(mode: Mode) -> u64 {
    // No probes: the cut is what ends the connections.
    let pair = Pair::with(|config| config.probe_interval = SOON).await;
    pair.proxy.stall(false, true);
    let call = pair.spawn_call(mode, "echo");
    pair.at_gateway.until("the call", |service| service.calls() == 1).await;
    pair.proxy.cut();
    pair.proxy.stall(false, false);
    assert_eq!(call.await.expect("no panic").expect("an answer").body, "body");
    pair.at_gateway.calls()
}

#[tokio::test]
async fn a_lost_answer_is_kept_for_once_and_made_again_for_repeatable_calls() {
    assert_eq!(executions_after_a_lost_answer(Mode::Once).await, 1);
    assert_eq!(executions_after_a_lost_answer(Mode::Repeatable).await, 2);
}

#[tokio::test]
async fn many_once_calls_survive_many_cuts() {
    let pair = Pair::start().await;
    let calls: Vec<_> = (0..200).map(|_| pair.spawn_call(Mode::Once, "echo")).collect();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        pair.proxy.cut();
    }
    for call in calls {
        assert!(call.await.expect("no panic").is_ok());
    }
    assert_eq!(pair.at_gateway.calls(), 200);
}

#[tokio::test]
async fn a_stalled_connection_is_noticed_after_three_intervals() {
    let adjust = |config: &mut LinkConfig| {
        config.probe_interval = Duration::from_millis(100);
        // A failed attempt to dial would replace the reason looked for.
        (config.backoff_min, config.backoff_max) = (Duration::from_millis(500), Duration::from_millis(500));
    };
    let pair = Pair::with(adjust).await;
    let link = pair.entrypoint.link("dc1");
    pair.proxy.refuse(true);
    pair.proxy.stall(true, true);
    let begun = Instant::now();
    let call = pair.spawn_call(Mode::Once, "echo");
    until_down(&link, "nothing heard for").await;
    let noticed = begun.elapsed();
    assert!(noticed < Duration::from_secs(2), "{noticed:?}");
    // Back again: the call goes on.
    pair.proxy.stall(false, false);
    pair.proxy.refuse(false);
    assert!(call.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn without_a_connection_calls_fail_after_the_grace() {
    let pair = Pair::with(|config| config.down_grace = Duration::from_millis(100)).await;
    let link = pair.entrypoint.link("dc1");
    pair.proxy.refuse(true);
    pair.proxy.cut();
    until_down(&link, "").await;
    let failed = pair.call(Mode::Once, "echo").await;
    let Err(LinkError::Down { since, why }) = failed else { panic!("{failed:?}") };
    assert!(since.elapsed() >= Duration::from_millis(100) && !why.is_empty());
    let begun = Instant::now();
    assert!(matches!(pair.call(Mode::Once, "echo").await, Err(LinkError::Down { .. })));
    assert!(begun.elapsed() < Duration::from_millis(100), "the grace is counted from the loss");
}

#[tokio::test]
async fn a_second_node_with_one_certificate_is_refused_as_long_as_the_first_answers() {
    let pair = Pair::with(|config| config.probe_interval = Duration::from_millis(200)).await;
    let link = pair.entrypoint.link("dc1");
    let before = link.state().borrow().session();
    let config = dialing("dc1", pair.gateway.local_addr().expect("listening"));
    let twin = Node::start(identity(&pair.dir, "dc2"), config, Counting::new()).await.expect("start");
    until_down(&twin.link("dc1"), "another node with the certificate of dc2 is connected and answers").await;
    for _ in 0..20 {
        assert!(pair.call(Mode::Once, "echo").await.is_ok());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(link.state().borrow().session(), before);
    assert_eq!(pair.at_gateway.sessions().len(), 1, "the first was never thrown out");
    // The first falls silent without a word, and the second is its successor.
    pair.proxy.stall(true, true);
    until_state(&twin.link("dc1"), "up", LinkState::is_up).await;
    assert!(call(&twin.link("dc1"), Mode::Once, "echo").await.is_ok());
}

#[tokio::test]
async fn a_site_never_met_is_down() {
    let pair = Pair::with(|config| config.down_grace = Duration::from_millis(1)).await;
    let link = pair.gateway.link("dc3");
    assert!(!link.state().borrow().is_up());
    let failed = call(&link, Mode::Repeatable, "echo").await;
    assert!(matches!(failed, Err(LinkError::Down { .. })), "{failed:?}");
}

#[tokio::test]
async fn calls_use_the_lanes_that_are_left() {
    let pair = Pair::start().await;
    let link = pair.entrypoint.link("dc1");
    for class in [Class::Interactive, Class::Bulk] {
        for _ in 0..10 {
            pair.proxy.cut();
            let message = Message::new("echo", "body");
            link.call(class, Mode::Once, message, Instant::now() + SOON).await.expect("an answer");
        }
    }
    assert_eq!(pair.at_gateway.calls(), 20);
}

#[tokio::test]
async fn after_a_restart_sent_once_calls_fail_and_the_session_changes() {
    let pair = Pair::with(|config| config.drain_timeout = Duration::ZERO).await;
    let link = pair.entrypoint.link("dc1");
    let before = link.state().borrow().session();
    let once = pair.spawn_call(Mode::Once, "gate");
    let repeatable = pair.spawn_call(Mode::Repeatable, "echo");
    assert!(repeatable.await.expect("no panic").is_ok());
    pair.at_gateway.until("the calls", |service| service.calls() == 2).await;
    // A new process on the same address; the old one does not drain.
    let address = pair.gateway.local_addr().expect("listening");
    pair.proxy.refuse(true);
    pair.proxy.cut();
    pair.gateway.shutdown().await;
    let service = Counting::new();
    let config = LinkConfig { listen: Some(address), ..config() };
    let _gateway = Node::start(identity(&pair.dir, "dc1"), config, service.clone()).await.expect("restart");
    pair.proxy.refuse(false);
    assert_eq!(once.await.expect("no panic"), Err(LinkError::Restarted));
    assert!(pair.call(Mode::Once, "echo").await.is_ok());
    assert_eq!(service.calls(), 1);
    let after = until_state(&link, "up", LinkState::is_up).await.session();
    assert_ne!(before, after);
    assert_eq!(pair.at_entrypoint.sessions().len(), 2);
}

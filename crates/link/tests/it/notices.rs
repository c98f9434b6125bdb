//! Notifications and sessions.

use crate::support::*;
use bytes::Bytes;
use link::{LinkError, LinkState, Message, Mode};

fn notices(service: &Counting) -> Vec<Bytes> {
    let notice = |heard: &Heard| match heard {
        Heard::Notice(_, head) => Some(head.clone()),
        _ => None,
    };
    service.heard.lock().iter().filter_map(notice).collect()
}

#[tokio::test]
async fn notifications_arrive_in_order() {
    let pair = Pair::start().await;
    let link = pair.gateway.link("dc2");
    let sent: Vec<Bytes> = (0..1000).map(|number| Bytes::from(number.to_string())).collect();
    for head in &sent {
        link.notify(Message::new(head.clone(), vec![0; 1000])).expect("queued");
    }
    pair.at_entrypoint.until("all notifications", |service| notices(service).len() == sent.len()).await;
    assert_eq!(notices(&pair.at_entrypoint), sent);
}

#[tokio::test]
async fn a_reconnect_without_loss_goes_on_in_the_same_session() {
    let pair = Pair::start().await;
    let link = pair.gateway.link("dc2");
    link.notify(Message::new("1", "")).expect("queued");
    pair.at_entrypoint.until("the first", |service| notices(service).len() == 1).await;
    pair.proxy.refuse(true);
    pair.proxy.cut();
    until_down(&link, "").await;
    until_down(&pair.entrypoint.link("dc1"), "").await;
    pair.proxy.refuse(false);
    until_state(&link, "up", LinkState::is_up).await;
    link.notify(Message::new("2", "")).expect("queued");
    pair.at_entrypoint.until("the second", |service| notices(service).len() == 2).await;
    let expected = [
        Heard::Up(1),
        Heard::Notice(1, "1".into()),
        Heard::Down(1),
        Heard::Up(1),
        Heard::Notice(1, "2".into()),
    ];
    assert_eq!(*pair.at_entrypoint.heard.lock(), expected);
}

#[tokio::test]
async fn a_notification_that_could_not_be_sent_ends_the_session() {
    let pair = Pair::start().await;
    let link = pair.gateway.link("dc2");
    pair.proxy.refuse(true);
    pair.proxy.cut();
    until_down(&link, "").await;
    let failed = link.notify(Message::new("lost", ""));
    assert!(matches!(failed, Err(LinkError::Down { .. })), "{failed:?}");
    pair.proxy.refuse(false);
    pair.at_entrypoint.until("the next session", |service| service.sessions() == [1, 2]).await;
    // Nothing was lost in the other direction.
    until_state(&link, "up", LinkState::is_up).await;
    assert_eq!(link.state().borrow().session(), Some(1));
    link.notify(Message::new("2", "")).expect("queued");
    pair.at_entrypoint.until("the notification", |service| !notices(service).is_empty()).await;
    assert_eq!(pair.at_entrypoint.heard.lock().last(), Some(&Heard::Notice(2, "2".into())));
}

#[tokio::test]
async fn notifications_lost_on_the_way_end_the_session() {
    let pair = Pair::with(|config| config.probe_interval = SOON).await;
    let link = pair.gateway.link("dc2");
    pair.proxy.stall(false, true);
    link.notify(Message::new("lost", "")).expect("queued");
    // The answer to this call goes the same way after it, and both have left the gateway.
    let call = pair.spawn_call(Mode::Once, "echo");
    pair.at_gateway.until("the call", |service| service.calls() == 1).await;
    pair.proxy.cut();
    pair.proxy.stall(false, false);
    assert!(call.await.expect("no panic").is_ok());
    pair.at_entrypoint.until("the next session", |service| service.sessions().last() == Some(&2)).await;
    assert_eq!(notices(&pair.at_entrypoint), Vec::<Bytes>::new());
}

#[tokio::test]
async fn a_full_queue_of_notifications_refuses_and_ends_the_session() {
    let pair = Pair::with(|config| config.probe_interval = SOON).await;
    let link = pair.gateway.link("dc2");
    pair.proxy.stall(false, true);
    let refused = (0..100).find_map(|_| link.notify(Message::new("n", vec![0; 1_000_000])).err());
    assert!(matches!(refused, Some(LinkError::Refused(_))), "{refused:?}");
    pair.proxy.stall(false, false);
    let queued = |service: &Counting| !notices(service).is_empty();
    pair.at_entrypoint.until("what was queued", queued).await;
    while link.notify(Message::new("next", "")).is_err() {
        tokio::task::yield_now().await;
    }
    pair.at_entrypoint.until("the next session", |service| service.sessions().last() == Some(&2)).await;
    pair.at_entrypoint.until("the next", |service| notices(service).last() == Some(&"next".into())).await;
}

//! The shell around the core, with channels that do as they are told and a clock that stands still.

use super::*;
use crate::line::Failure;
use async_trait::async_trait;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// What a channel does with a message.
enum Do {
    Take,
    Fail,
    Refuse,
    Hang,
    Panic,
}

/// Does what stands in its list, then takes all.
struct Told {
    name: &'static str,
    list: Mutex<VecDeque<Do>>,
    taken: mpsc::UnboundedSender<(u64, Arc<Message>)>,
    begin: Instant,
}

#[async_trait]
impl Channel for Told {
    fn name(&self) -> String {
        self.name.into()
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let next = self.list.lock().pop_front().unwrap_or(Do::Take);
        match next {
            Do::Take => {
                let second = (now() - self.begin).as_secs();
                let _ = self.taken.send((second, Arc::new(message.clone())));
                Ok(())
            }
            Do::Fail => Err(Failure::new("no route")),
            Do::Refuse => Err(Failure::refused("no such mailbox")),
            Do::Hang => std::future::pending().await,
            Do::Panic => panic!("as told"),
        }
    }
}

type Taken = mpsc::UnboundedReceiver<(u64, Arc<Message>)>;

fn channel(name: &'static str, list: impl Into<VecDeque<Do>>) -> (Arc<dyn Channel>, Taken) {
    let (taken, takes) = mpsc::unbounded_channel();
    (Arc::new(Told { name, list: Mutex::new(list.into()), taken, begin: now() }), takes)
}

fn at_once() -> Rules {
    Rules { after: Duration::ZERO, gather: Duration::ZERO, ..Rules::default() }
}

fn start(rules: Rules, channels: Vec<Arc<dyn Channel>>) -> Alerts {
    Alerts::over("dc1".into(), "h".into(), rules, channels)
}

async fn next(takes: &mut Taken) -> (u64, String) {
    let (second, message) = takes.recv().await.unwrap();
    (second, text::subject(&message))
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_told_and_its_end() {
    let (channel, mut takes) = channel("a", []);
    let alerts = start(Rules::default(), vec![channel]);
    alerts.raise("m", Severity::Error, "away");
    assert_eq!(next(&mut takes).await, (90, "[farshare dc1] error: m: away".into()));
    let open = alerts.status().open;
    assert_eq!((open.len(), open[0].text.as_str(), open[0].told), (1, "away", true));
    assert_eq!(next(&mut takes).await, (86_520, "[farshare dc1] still error: m: away".into()));
    alerts.clear("m");
    assert_eq!(next(&mut takes).await, (86_550, "[farshare dc1] over after 1 d 0 h: m".into()));
    assert!(alerts.status().open.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_fails_is_tried_again_and_holds_up_no_other() {
    let (bad, mut bad_takes) = channel("bad", [Do::Fail, Do::Panic, Do::Hang, Do::Refuse]);
    let (good, mut good_takes) = channel("good", []);
    let alerts = start(at_once(), vec![bad, good]);
    alerts.raise("m", Severity::Error, "away");
    assert_eq!(next(&mut good_takes).await.0, 0);
    alerts.raise("n", Severity::Error, "away");
    assert_eq!(next(&mut good_takes).await.0, 0);
    let bad = &alerts.status().channels[0];
    assert_eq!((bad.failing, bad.waiting, bad.last_sent), (true, 2, None));
    assert_eq!(bad.last_error.as_ref().unwrap().1, "no route");
    // 5 s after a failure, 10 s after a panic, 20 s after a minute of waiting, 15 min after a refusal.
    let (second, message) = bad_takes.recv().await.unwrap();
    assert_eq!(
        (second, &*text::subject(&message)),
        (5 + 10 + 60 + 20 + 900, "[farshare dc1] error: m: away")
    );
    assert_eq!(next(&mut bad_takes).await, (995, "[farshare dc1] error: n: away".into()), "in order");
    let bad = &alerts.status().channels[0];
    assert_eq!((bad.failing, bad.waiting, bad.last_sent.is_some()), (false, 0, true));
    assert_eq!(bad.last_error.as_ref().unwrap().1, "no such mailbox", "the last error stays to be seen");
}

#[tokio::test(start_paused = true)]
async fn a_queue_has_a_bound_and_loses_its_oldest() {
    let (stuck, mut takes) = channel("stuck", [Do::Hang]);
    let alerts = start(Rules { per_hour: 1000, ..at_once() }, vec![stuck]);
    alerts.raise("first", Severity::Error, "");
    while alerts.status().channels[0].waiting == 0 {
        tokio::task::yield_now().await;
    }
    for number in 0..line::WAITING_MAX + 3 {
        alerts.shared.send(Digest {
            notices: vec![core::Notice {
                key: format!("m{number}"),
                severity: Severity::Error,
                state: State::Raised,
                text: String::new(),
                since: now(),
                lasted: Duration::ZERO,
            }],
            unlisted: 0,
            unknown: 0,
            held_back: false,
        });
    }
    assert_eq!(next(&mut takes).await.1, "[farshare dc1] error: first: ");
    assert_eq!(next(&mut takes).await.1, "[farshare dc1] error: m3: ");
    assert_eq!(alerts.status().channels[0].lost, 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_for_a_day_is_given_up() {
    let always = std::iter::repeat_with(|| Do::Refuse).take(97);
    let (bad, mut takes) = channel("bad", always.collect::<VecDeque<_>>());
    let alerts = start(at_once(), vec![bad]);
    alerts.raise("m", Severity::Error, "away");
    // After 96 pauses of 15 minutes; what goes next is that it is still there.
    assert_eq!(next(&mut takes).await, (86_400, "[farshare dc1] still error: m: away".into()));
    assert_eq!(alerts.status().channels[0].lost, 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_is_due_goes_within_bounds() {
    let (good, mut takes) = channel("good", []);
    let (bad, mut bad_takes) = channel("bad", [Do::Fail, Do::Take]);
    let (dead, mut dead_takes) = channel("dead", [Do::Hang]);
    let alerts = start(Rules { gather: Duration::from_secs(30), ..at_once() }, vec![good, bad, dead]);
    alerts.raise("m", Severity::Error, "away");
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(next(&mut takes).await.0, 30);
    alerts.raise("n", Severity::Error, "away");
    alerts.shut_down(Duration::from_secs(5)).await;
    assert_eq!(next(&mut takes).await, (31, "[farshare dc1] error: n: away".into()), "without gathering");
    assert_eq!(next(&mut bad_takes).await.0, 31, "it does not wait for its next try");
    assert_eq!(next(&mut bad_takes).await.0, 31);
    assert!(dead_takes.try_recv().is_err());
    alerts.raise("o", Severity::Error, "nobody hears it, and nobody is held up");
    alerts.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_test_tells_of_each_channel() {
    let (good, mut takes) = channel("good", []);
    let (bad, _bad_takes) = channel("bad", [Do::Refuse]);
    let (dead, _dead_takes) = channel("dead", [Do::Hang]);
    let alerts = start(Rules::default(), vec![good, bad, dead]);
    let outcomes = alerts.test().await;
    let expect = [
        ("good", Ok(())),
        ("bad", Err("no such mailbox".to_owned())),
        ("dead", Err("no answer within 60 s".to_owned())),
    ];
    assert_eq!(outcomes, expect.map(|(name, outcome)| (name.to_owned(), outcome)));
    assert_eq!(next(&mut takes).await.1, "[farshare dc1] test: nothing is wrong");
    assert!(alerts.status().open.is_empty());
}

//! Many watchers, watchers that move, and several requests of one.

use super::*;
use crate::Limits;
use crate::accounts::Accounts;

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn hub() -> (Hub, Arc<Account>) {
    (Hub::new(Case::Folded), Accounts::new(&Limits::default()).of(None))
}

/// What an event costs is the audiences of the directories above it.
#[test]
fn many_who_want_the_same_are_one_audience() {
    const WATCHERS: usize = 1000;
    let (hub, account) = hub();
    let add = |dir: &VPath, filter| hub.add(dir, (filter, true), 10, &account);
    let root = (0..WATCHERS).map(|_| add(&VPath::root(), Filter::FILE_NAME));
    let deaf = (0..WATCHERS).map(|_| add(&VPath::root(), Filter::empty()));
    let apart = (0..WATCHERS).map(|at| add(&path(&format!("dir {at}")), Filter::FILE_NAME));
    let watchers: Vec<_> = root.chain(deaf).chain(apart).collect();
    hub.event(NotifyAction::Added, Filter::FILE_NAME, &path("dir 5/file"));
    assert_eq!(hub.len(), 3 * WATCHERS);
    let there = |dir: &VPath| hub.audiences.lock().in_dirs[&*hub.case.key(dir)].len();
    assert_eq!((there(&VPath::root()), there(&path("dir 5"))), (2, 1));
    watchers.iter().for_each(|watcher| hub.remove(watcher));
    let left = hub.audiences.lock();
    assert!(hub.len() == 0 && left.in_dirs.is_empty() && left.dirs.is_empty());
}

#[tokio::test]
async fn those_whom_a_move_brings_together_go_on_apart_and_together() {
    let (hub, account) = hub();
    let add = |dir: &str| hub.add(&path(dir), (Filter::FILE_NAME, false), 10, &account);
    let (first, second) = (add("a"), add("b"));
    hub.renamed(&path("a"), &path("B"), true);
    let third = add("b");
    hub.event(NotifyAction::Added, Filter::FILE_NAME, &path("b/x"));
    for watcher in [&first, &second, &third] {
        assert!(
            matches!(watcher.next().await.unwrap(), NotifyBatch::Events(events) if &*events[0].name == "x")
        );
    }
    hub.renamed(&path("b"), &path("c"), true);
    hub.remove(&first);
    hub.event(NotifyAction::Added, Filter::FILE_NAME, &path("c/y"));
    for watcher in [&second, &third] {
        assert!(
            matches!(watcher.next().await.unwrap(), NotifyBatch::Events(events) if &*events[0].name == "y")
        );
    }
    hub.delete_pending(&path("c"));
    assert!(matches!(second.next().await, Err(crate::Error::DeletePending)));
    assert!(matches!(first.next().await, Err(crate::Error::Closed)));
    hub.remove(&second);
    hub.remove(&third);
    assert_eq!(hub.len(), 0);
}

#[tokio::test]
async fn who_begins_to_watch_while_the_directory_moves_watches_where_it_goes() {
    let (hub, account) = hub();
    let looks = AtomicUsize::new(0);
    let stands_at = || match looks.fetch_add(1, Ordering::Relaxed) {
        0 => {
            hub.renamed(&path("from"), &path("to"), true);
            Ok(path("from"))
        }
        _ => Ok(path("to")),
    };
    let watcher = hub.add_where_it_stands(stands_at, (Filter::FILE_NAME, false), 10, &account).unwrap();
    hub.event(NotifyAction::Added, Filter::FILE_NAME, &path("from/x"));
    hub.event(NotifyAction::Added, Filter::FILE_NAME, &path("to/y"));
    let told = watcher.next().await.unwrap();
    assert!(matches!(&told, NotifyBatch::Events(events) if &*events[0].name == "y"), "{told:?}");
    hub.remove(&watcher);
    let gone = || match looks.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Err(crate::Error::Closed),
        _ => Ok(path("to")),
    };
    assert!(hub.add_where_it_stands(gone, (Filter::FILE_NAME, false), 10, &account).is_err());
    assert_eq!(hub.len(), 0);
}

#[tokio::test]
async fn several_who_wait_on_one_watcher_are_told_in_their_order() {
    let (hub, account) = hub();
    let watcher = hub.add(&VPath::root(), (Filter::FILE_NAME, false), 10, &account);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let watcher = watcher.clone();
            tokio::spawn(async move { watcher.next().await })
        })
        .collect();
    tokio::task::yield_now().await;
    for (at, told) in waiting.into_iter().enumerate() {
        assert!(!told.is_finished());
        let name = format!("file {at}");
        hub.event(NotifyAction::Added, Filter::FILE_NAME, &path(&name));
        let NotifyBatch::Events(events) = told.await.unwrap().unwrap() else { panic!("nothing is lost") };
        assert_eq!(events.iter().map(|event| &*event.name).collect::<Vec<_>>(), [name]);
        tokio::task::yield_now().await;
    }
}

//! What is kept for whom, what is lost, and what that costs.

use super::super::NotifyAction;
use super::*;
use crate::Limits;
use crate::accounts::Accounts;

fn account(notify_bytes: usize) -> Arc<Account> {
    Accounts::new(&Limits { notify_bytes, ..Limits::default() }).of(None)
}

fn event(action: NotifyAction, name: &str) -> NotifyEvent {
    NotifyEvent { action, name: name.into(), stream: None }
}

fn added(name: &str) -> NotifyEvent {
    event(NotifyAction::Added, name)
}

fn is_free(account: &Account, bytes: usize) -> bool {
    let is_free = account.take(What::ChangeBytes, bytes).is_ok();
    if is_free {
        account.give_back(What::ChangeBytes, bytes);
    }
    is_free
}

fn events(names: &[&str]) -> Option<NotifyBatch> {
    Some(NotifyBatch::Events(names.iter().map(|name| added(name)).collect()))
}

#[test]
fn an_event_is_kept_once_for_all_and_no_longer_than_one_has_not_read_it() {
    let room = 2 * Kept::cost(&added("a"));
    let account = account(room);
    let mut backlog = Backlog::new(10, account.clone());
    let mut readers: Vec<Reader> = (0..100).map(|_| backlog.join()).collect();
    backlog.push(added("a"));
    backlog.push(added("b"));
    let mut late = backlog.join();
    for reader in &mut readers[1..] {
        assert_eq!(backlog.take(reader), events(&["a", "b"]));
        assert_eq!(backlog.take(reader), None);
    }
    assert!(!is_free(&account, 1));
    assert_eq!(backlog.take(&mut late), None);
    assert_eq!(backlog.take(&mut readers[0]), events(&["a", "b"]));
    assert!(is_free(&account, room) && backlog.kept.capacity() == 0);
}

#[test]
fn what_there_is_no_room_for_is_lost_by_all_and_told_so_once() {
    let room = 2 * Kept::cost(&added("a"));
    let account = account(room);
    let mut backlog = Backlog::new(10, account.clone());
    let (mut slow, mut quick) = (backlog.join(), backlog.join());
    backlog.push(added("a"));
    backlog.push(added("b"));
    assert_eq!(backlog.take(&mut quick), events(&["a", "b"]));
    backlog.push(added("c"));
    assert!(is_free(&account, room));
    assert_eq!(backlog.take(&mut quick), Some(NotifyBatch::Overflow), "it has not heard of the last");
    assert_eq!(backlog.take(&mut quick), None);
    backlog.push(added("d"));
    assert_eq!(backlog.take(&mut quick), events(&["d"]));
    assert!(is_free(&account, room), "nothing is kept for who has lost something");
    assert_eq!(backlog.take(&mut slow), Some(NotifyBatch::Overflow));
    assert_eq!(backlog.take(&mut slow), None);
}

#[test]
fn what_only_repeats_the_last_is_told_once() {
    let mut backlog = Backlog::new(10, account(1 << 20));
    let (mut one, mut other) = (backlog.join(), backlog.join());
    let modified = event(NotifyAction::Modified, "a");
    backlog.push(modified.clone());
    backlog.push(modified.clone());
    assert_eq!(backlog.kept.len(), 1);
    let once = Some(NotifyBatch::Events(vec![modified.clone()]));
    assert_eq!(backlog.take(&mut one), once);
    backlog.push(modified);
    assert_eq!(backlog.take(&mut one), once, "it is news to who has read the last");
    assert_eq!(backlog.take(&mut other), once);
    backlog.push(added("b"));
    backlog.push(added("b"));
    assert_eq!(backlog.take(&mut one), events(&["b", "b"]));
}

/// A list for each reader, as if he were alone.
#[test]
fn each_hears_what_he_would_hear_alone() {
    const LIMIT: usize = 5;
    let account = account(1 << 20);
    let mut backlog = Backlog::new(LIMIT, account.clone());
    let mut readers: Vec<(Reader, Option<Vec<String>>)> = Vec::new();
    let mut dice = 1u64;
    for round in 0..20_000 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (what, who) = (dice >> 60, (dice >> 32) as usize % readers.len().max(1));
        match what {
            0 if readers.len() < 8 => readers.push((backlog.join(), Some(Vec::new()))),
            1 if !readers.is_empty() => backlog.lose(&mut readers.swap_remove(who).0),
            2 if !readers.is_empty() => {
                backlog.lose(&mut readers[who].0);
                readers[who].1 = None;
            }
            3..9 if !readers.is_empty() => {
                let (reader, alone) = &mut readers[who];
                let expect = match alone.replace(Vec::new()) {
                    None => Some(NotifyBatch::Overflow),
                    Some(names) if names.is_empty() => None,
                    Some(names) => events(&names.iter().map(String::as_str).collect::<Vec<_>>()),
                };
                assert_eq!(backlog.take(reader), expect);
            }
            _ => {
                let name = round.to_string();
                backlog.push(added(&name));
                for (_, alone) in &mut readers {
                    match alone {
                        Some(names) if names.len() < LIMIT => names.push(name.clone()),
                        full_or_lost => *full_or_lost = None,
                    }
                }
            }
        }
        let attentive = readers.iter().filter(|(_, alone)| alone.is_some()).count();
        assert_eq!(backlog.attentive, attentive);
        let longest = readers.iter().filter_map(|(_, alone)| alone.as_ref().map(Vec::len)).max();
        assert_eq!(backlog.kept.len(), longest.unwrap_or(0));
    }
    readers.iter_mut().for_each(|(reader, _)| backlog.lose(reader));
    assert!(is_free(&account, 1 << 20));
}

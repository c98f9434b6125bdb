//! Shares that hide what a user may not read.

use super::*;
use front_smb::limits;
use smb_raw::Message;
use smb_wire::change_notify::ChangeNotifyResponse;
use smb_wire::query_directory::QueryDirectoryResponse;
use smb_wire::tree::{ShareFlags, TreeConnectResponse};

/// The names of a page of FileBothDirectoryInformation (MS-FSCC 2.4.8).
pub(crate) fn names(page: &[u8]) -> Vec<String> {
    let word = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut names) = (0, Vec::new());
    loop {
        let name = &page[at + 94..][..word(at + 60)];
        let units = name.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        names.push(char::decode_utf16(units).map(Result::unwrap).collect());
        match word(at) {
            0 => return names,
            next => at += next,
        }
    }
}

/// What a user is shown of a directory, from the beginning.
pub(crate) async fn shown(user: &mut User, dir: FileId, pattern: &str) -> Result<Vec<String>, NtStatus> {
    let mut all = Vec::new();
    let mut next = requests::query_directory(dir, pattern);
    loop {
        let reply = user.call(&next).await.unwrap();
        match reply.status() {
            OK => all.extend(names(&QueryDirectoryResponse::decode(&reply.message).unwrap().data)),
            NtStatus::NO_MORE_FILES => return Ok(all),
            refused => return Err(refused),
        }
        next = requests::query_directory_on(dir, pattern);
    }
}

#[tokio::test]
async fn a_share_may_hide_what_a_user_may_not_read() {
    let site = Site::sharing(|share| share.hide_unreadable = true).await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let (alice_sid, bob_sid) = (alice.sid().await, bob.sid().await);
    let dir = alice.open(&requests::directory("dir")).await;
    let secured = [
        ("read", READ),
        ("no data", READ - AccessMask::READ_DATA),
        ("no ea", READ - AccessMask::READ_EA),
        ("no attributes", READ - AccessMask::READ_ATTRIBUTES),
        ("no control", READ - AccessMask::READ_CONTROL),
        ("write", WRITE),
    ];
    for (name, to_bob) in secured {
        let file = alice.file(&format!(r"dir\{name}"), b"").await;
        let aces = vec![allow(AccessMask::FILE_ALL, &alice_sid), allow(to_bob, &bob_sid)];
        assert_eq!(alice.secures(file, SecurityInformation::DACL, &list(aces)).await, OK);
    }
    alice.file(r"dir\plain", b"").await;
    let of_bob = bob.open(&requests::directory("dir")).await;
    assert_eq!(shown(&mut bob, of_bob, "*").await.unwrap(), [".", "..", "plain", "read"]);
    assert_eq!(shown(&mut bob, of_bob, "plain").await.unwrap(), ["plain"]);
    assert_eq!(shown(&mut bob, of_bob, "no data").await, Err(NtStatus::NO_SUCH_FILE));
    assert_eq!(shown(&mut alice, dir, "*").await.unwrap().len(), 2 + secured.len() + 1);
    // It is the name that is hidden, not the file.
    assert_eq!(bob.opens(r"dir\write", WRITE).await, OK);
    assert_eq!(bob.opens(r"dir\no data", READ).await, DENIED);

    // What a directory passes on counts for what carries nothing itself.
    let aces = vec![
        Ace { flags: INHERITED_BY_ALL, ..allow(AccessMask::FILE_ALL, &alice_sid) },
        allow(READ, &bob_sid),
    ];
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(aces)).await, OK);
    assert_eq!(shown(&mut bob, of_bob, "*").await.unwrap(), [".", "..", "read"]);
}

/// The entries of a list of changes: what happened, and the name (MS-FSCC 2.7.1).
fn changes(list: &[u8]) -> Vec<(u32, String)> {
    let word = |at: usize| u32::from_le_bytes(list[at..at + 4].try_into().unwrap());
    let (mut at, mut changes) = (0, Vec::new());
    loop {
        let name = &list[at + 12..][..word(at + 8) as usize];
        let units = name.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        changes.push((word(at + 4), char::decode_utf16(units).map(Result::unwrap).collect()));
        match word(at) {
            0 => return changes,
            next => at += next as usize,
        }
    }
}

/// Begins to wait for a change of names below a directory.
async fn wait(user: &mut User, dir: FileId) -> u64 {
    let message = Message::of(&requests::notify(dir)).session(user.session.id);
    let mut message = message.tree(user.tree);
    user.client.number(&mut message);
    user.client.send(std::slice::from_ref(&message), user.session.guard()).await.unwrap();
    assert_eq!(user.client.replies().await.unwrap()[0].status(), NtStatus::PENDING);
    message.header.message_id
}

/// What he is told at last; `None`: to list again.
async fn told(user: &mut User, waiting: u64) -> Option<Vec<(u32, String)>> {
    let reply = user.client.reply_to(waiting).await.unwrap();
    match reply.status() {
        NtStatus::NOTIFY_ENUM_DIR => None,
        status => {
            assert_eq!(status, OK);
            Some(changes(&ChangeNotifyResponse::decode(&reply.message).unwrap().data))
        }
    }
}

#[tokio::test]
async fn changes_of_what_is_hidden_are_not_told() {
    const ADDED: u32 = 1;
    let site = Site::sharing(|share| share.hide_unreadable = true).await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let (alice_sid, bob_sid) = (alice.sid().await, bob.sid().await);
    let dir = alice.open(&requests::directory("dir")).await;
    let of_bob = bob.open(&Request::Create(existing("dir", READ))).await;
    let readable = alice.file(r"dir\readable", b"").await;
    let folder = alice.open(&requests::directory(r"dir\folder")).await;
    for both in [readable, folder] {
        let to_bob = Ace { flags: INHERITED_BY_ALL, ..allow(READ, &bob_sid) };
        let aces = vec![allow(AccessMask::FILE_ALL, &alice_sid), to_bob];
        assert_eq!(alice.secures(both, SecurityInformation::DACL, &list(aces)).await, OK);
    }
    // What is made in there from here on is hers.
    let hers = Ace { flags: INHERITED_BY_ALL, ..allow(AccessMask::FILE_ALL, &alice_sid) };
    let aces = vec![hers, allow(READ, &bob_sid)];
    assert_eq!(alice.secures(dir, SecurityInformation::DACL, &list(aces)).await, OK);
    assert_eq!(alice.status(&requests::close(dir)).await, OK);

    // The old name is judged by the new one.
    let waiting = wait(&mut bob, of_bob).await;
    let hidden = alice.file(r"dir\hidden", b"").await;
    let class = FileClass::RENAME.0;
    for (file, name) in [(hidden, r"dir\hidden too"), (readable, r"dir\renamed")] {
        let rename = requests::set_info(file, InfoType::FILE, class, &rename_to(name));
        assert_eq!(alice.status(&rename).await, OK);
    }
    let renamed = [(4, "readable".to_owned()), (5, "renamed".to_owned())];
    assert_eq!(told(&mut bob, waiting).await.unwrap(), renamed);

    // Below what is hidden everything is.
    let waiting = wait(&mut bob, of_bob).await;
    alice.open(&requests::directory(r"dir\hers")).await;
    let inside = alice.file(r"dir\hers\secret", b"").await;
    let aces = vec![allow(READ, &bob_sid)];
    assert_eq!(alice.secures(inside, SecurityInformation::DACL, &list(aces)).await, OK);
    alice.file(r"dir\folder\file", b"").await;
    assert_eq!(told(&mut bob, waiting).await.unwrap(), [(ADDED, r"folder\file".to_owned())]);

    // What is gone nobody can judge; no more than so many names are judged.
    let waiting = wait(&mut bob, of_bob).await;
    let doom = requests::set_info(hidden, InfoType::FILE, FileClass::DISPOSITION.0, &[1]);
    assert_eq!(alice.status(&doom).await, OK);
    assert_eq!(alice.status(&requests::close(hidden)).await, OK);
    assert_eq!(told(&mut bob, waiting).await, None);
    for number in 0..=limits::CHANGES_JUDGED_MAX {
        alice.file(&format!(r"dir\folder\file {number}"), b"").await;
    }
    let notify = bob.call(&requests::notify(of_bob)).await.unwrap();
    assert_eq!(notify.status(), NtStatus::NOTIFY_ENUM_DIR);
}

#[tokio::test]
async fn clients_are_told_that_names_are_hidden() {
    for hides in [false, true] {
        let site = Site::sharing(|share| share.hide_unreadable = hides).await;
        let mut alice = site.log_in(&ALICE).await;
        let reply = alice.call(&requests::tree_connect("share")).await.unwrap();
        let told = TreeConnectResponse::decode(&reply.message).unwrap().share_flags;
        assert_eq!(told.contains(ShareFlags::ACCESS_BASED_DIRECTORY_ENUM), hides);
    }
}

#[tokio::test]
async fn a_mac_is_told_nothing_of_a_stream_that_it_may_not_read() {
    let Two { site: _site, mut alice, mut bob, alice_sid, .. } = Two::new().await;
    let file = crate::apple::make(&mut alice, "file").await;
    assert_ne!(crate::apple::finder(&crate::apple::listed(&mut bob).await["file"]), [0; 12]);
    let hers = list(vec![allow(AccessMask::FILE_ALL, &alice_sid)]);
    assert_eq!(alice.secures(file, SecurityInformation::DACL, &hers).await, OK);
    assert_ne!(crate::apple::finder(&crate::apple::listed(&mut alice).await["file"]), [0; 12]);
    assert_eq!(crate::apple::finder(&crate::apple::listed(&mut bob).await["file"]), [0; 12]);
}

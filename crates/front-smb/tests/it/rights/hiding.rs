//! Shares that hide what a user may not read.

use super::*;
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

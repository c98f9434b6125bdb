//! Chains of requests that are too long, wrongly linked, or mix what belongs to different users
//! (MS-SMB2 3.3.5.2.7).

use crate::site::{ALICE, BOB, Site, User};
use front_smb::limits;
use smb_raw::{Fault, Guard, Message, Reply, chain, requests};
use smb_wire::create::{CreateDisposition, CreateRequest};
use smb_wire::{FileId, Flags, NtStatus, Request};

impl User {
    /// A message of this user, numbered.
    pub(super) fn message(&mut self, request: &Request) -> Message {
        let mut message = Message::of(request).session(self.session.id).tree(self.tree);
        self.client.number(&mut message);
        message
    }

    /// The replies to a chain, in order.
    async fn chain(&mut self, messages: &[Message]) -> Vec<Reply> {
        self.client.send(messages, self.session.guard()).await.unwrap();
        let mut replies = Vec::new();
        while replies.len() < messages.len() {
            replies.extend(self.client.replies().await.unwrap());
        }
        replies
    }

    async fn statuses(&mut self, messages: &[Message]) -> Vec<NtStatus> {
        self.chain(messages).await.iter().map(Reply::status).collect()
    }

    /// Enough credits for a long chain.
    pub(super) async fn save_up(&mut self) {
        while self.client.credits < 8000 {
            let mut message = Message::of(&requests::echo()).session(self.session.id);
            message.header.credits = 4000;
            let reply = self.client.exchange(message, self.session.guard()).await.unwrap();
            assert_eq!(reply.status(), NtStatus::SUCCESS);
        }
    }
}

fn missing(name: &str) -> Request {
    Request::Create(CreateRequest { create_disposition: CreateDisposition::Open, ..requests::create(name) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_ten_thousand_ends_the_connection() {
    let site = Site::new().await;
    let mut other = site.log_in(&BOB).await;
    for length in [limits::COMPOUND_MAX + 1, 8_000, 10_000] {
        let mut user = site.log_in(&ALICE).await;
        user.save_up().await;
        let messages: Vec<_> = (0..length).map(|_| user.message(&requests::echo())).collect();
        user.client.send(&messages, user.session.guard()).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone), "{length}");
    }
    other.is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_chain_is_answered_in_full() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    user.save_up().await;
    let messages: Vec<_> = (0..limits::COMPOUND_MAX).map(|_| user.message(&requests::echo())).collect();
    assert_eq!(user.statuses(&messages).await, vec![NtStatus::SUCCESS; limits::COMPOUND_MAX]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_related_request_needs_one_before_it() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let first = user.message(&requests::read(file, 0, 7)).related();
    let second = user.message(&requests::read(FileId::RELATED, 0, 7)).related();
    let expected = [NtStatus::INVALID_PARAMETER; 2];
    assert_eq!(user.statuses(&[first, second]).await, expected);
    // Without a file before it, there is none to relate to.
    let first = user.message(&requests::echo());
    let second = user.message(&requests::read(FileId::RELATED, 0, 7)).related();
    let expected = [NtStatus::SUCCESS, NtStatus::INVALID_PARAMETER];
    assert_eq!(user.statuses(&[first, second]).await, expected);
    // A CREATE that failed gives its status to those that stand on it.
    let chain = [
        user.message(&missing("nowhere")),
        user.message(&requests::read(FileId::RELATED, 0, 7)).related(),
        user.message(&requests::close(FileId::RELATED)).related(),
    ];
    assert_eq!(user.statuses(&chain).await, [NtStatus::OBJECT_NAME_NOT_FOUND; 3]);
}

/// MS-SMB2 3.3.4.1.3: of answers that go out together those to related requests say so, and no others.
#[tokio::test]
async fn an_answer_is_related_where_its_request_is() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    for related in [false, true] {
        let first = user.message(&requests::read(file, 0, 7));
        let second = user.message(&requests::read(file, 0, 7));
        let second = if related { second.related() } else { second };
        let replies = user.chain(&[first, second]).await;
        let says_so = replies.iter().map(|reply| reply.header.flags.contains(Flags::RELATED));
        assert_eq!(says_so.collect::<Vec<_>>(), [false, related]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_for_the_file_before_names_nothing_outside_a_chain() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    user.file("file", b"content").await;
    for request in [requests::read(FileId::RELATED, 0, 7), requests::close(FileId::RELATED)] {
        assert_eq!(user.status(&request).await, NtStatus::FILE_CLOSED);
    }
}

/// A related request takes session, tree and file from the one before: what it names itself does not count, and
/// the one before cannot be another user's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_does_not_lend_one_users_session_to_another() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let bob = user.client.log_in(&BOB).await.unwrap();
    // Unrelated requests of two sessions, each signed with its own key.
    let alices = user.message(&requests::read(file, 0, 7));
    let bobs = user.message(&requests::read(file, 0, 7)).session(bob.id);
    let frame = [first_of_chain(&alices, &user), chain(&[bobs], Guard::Sign(&bob.signer))].concat();
    user.client.send_frame(&frame).await.unwrap();
    let replies = user.client.replies().await.unwrap();
    assert_eq!(replies[0].status(), NtStatus::SUCCESS);
    // Bob has neither this tree connect nor this open.
    assert_eq!(replies[1].status(), NtStatus::NETWORK_NAME_DELETED);
    // Related, but signed with Bob's key: it runs in Alice's session, and there the signature is wrong.
    let alices = user.message(&requests::read(file, 0, 7));
    let bobs = user.message(&requests::read(FileId::RELATED, 0, 7)).session(bob.id).related();
    let frame = [first_of_chain(&alices, &user), chain(&[bobs], Guard::Sign(&bob.signer))].concat();
    user.client.send_frame(&frame).await.unwrap();
    let statuses: Vec<_> = user.client.replies().await.unwrap().iter().map(Reply::status).collect();
    assert_eq!(statuses, [NtStatus::SUCCESS, NtStatus::ACCESS_DENIED]);
    user.is_well().await;
}

/// One message as the first of a chain: padded, linked, signed.
fn first_of_chain(message: &Message, user: &User) -> Vec<u8> {
    let mut bytes = message.bytes();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let next = bytes.len() as u32;
    bytes[20..24].copy_from_slice(&next.to_le_bytes());
    user.session.signer.sign(&mut bytes, &[]).unwrap();
    bytes
}

/// The same with a tree connect and an open: the related request cannot reach beyond the first one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_related_request_stays_on_the_tree_of_the_first() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let second_tree = user.call(&requests::tree_connect("share")).await.unwrap().header.tree_id;
    // Named by itself on the other tree, the open is not there; related, the first one's tree counts.
    let other = user.message(&requests::read(file, 0, 7)).tree(second_tree);
    assert_eq!(user.statuses(&[other]).await, [NtStatus::FILE_CLOSED]);
    let chain = [
        user.message(&requests::read(file, 0, 7)),
        user.message(&requests::read(FileId::RELATED, 0, 7)).tree(second_tree).related(),
        user.message(&requests::read(FileId::RELATED, 0, 7)).tree(0x7777).session(0x1234).related(),
        user.message(&requests::read(file, 0, 7)).tree(0x7777),
        user.message(&requests::read(file, 0, 7)).tree(user.tree).related(),
    ];
    let expected = [
        NtStatus::SUCCESS,
        NtStatus::SUCCESS,
        NtStatus::SUCCESS,
        NtStatus::NETWORK_NAME_DELETED,
        NtStatus::INVALID_PARAMETER,
    ];
    assert_eq!(user.statuses(&chain).await, expected);
}

/// Sealed, the whole frame is of one session: a request of another inside is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_chain_is_of_one_session() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let bob = user.client.log_in(&BOB).await.unwrap();
    let chain_of = [
        user.message(&requests::read(file, 0, 7)),
        user.message(&requests::tree_connect("share")).session(bob.id).tree(0),
        user.message(&requests::read(file, 0, 7)),
    ];
    user.client.send(&chain_of, Guard::Seal(&user.session)).await.unwrap();
    let statuses: Vec<_> = user.client.replies().await.unwrap().iter().map(Reply::status).collect();
    assert_eq!(statuses, [NtStatus::SUCCESS, NtStatus::ACCESS_DENIED, NtStatus::SUCCESS]);
}

/// NextCommand that points inside the header, off eight bytes, to itself or beyond the frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_nowhere_ends_the_connection() {
    let site = Site::new().await;
    for next in [1u32, 8, 63, 64 - 8, 65, 71, 73, 200, 1 << 31, u32::MAX, u32::MAX - 7] {
        let mut user = site.log_in(&ALICE).await;
        let messages = [user.message(&requests::echo()), user.message(&requests::echo())];
        let mut frame = chain(&messages, user.session.guard());
        frame[20..24].copy_from_slice(&next.to_le_bytes());
        user.session.signer.sign(&mut frame, &[]).unwrap();
        user.client.send_frame(&frame).await.unwrap();
        assert_eq!(user.client.frame().await, Err(Fault::Gone), "{next}");
    }
}

/// Padding between requests may be long and hold anything; it is signed with its request, and answered without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn padding_says_nothing() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    for padding in [4, 12, 64, 4092] {
        let messages = [user.message(&requests::echo()), user.message(&requests::echo())];
        let mut first = messages[0].bytes();
        first.resize(first.len() + padding, 0xEE);
        first.resize(first.len().next_multiple_of(8), 0xEE);
        let next = first.len() as u32;
        first[20..24].copy_from_slice(&next.to_le_bytes());
        user.session.signer.sign(&mut first, &[]).unwrap();
        let second = chain(&messages[1..], user.session.guard());
        user.client.send_frame(&[first, second].concat()).await.unwrap();
        let statuses: Vec<_> = user.client.replies().await.unwrap().iter().map(Reply::status).collect();
        assert_eq!(statuses, [NtStatus::SUCCESS; 2], "{padding}");
    }
}

/// Who ends the session in the middle of a chain gets nothing more out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_the_end_of_the_session_in_its_chain_is_refused() {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let file = user.file("file", b"content").await;
    let chain = [
        user.message(&requests::read(file, 0, 7)),
        user.message(&requests::logoff()),
        user.message(&requests::read(file, 0, 7)),
        user.message(&requests::tree_connect("share")),
        user.message(&requests::open("file")).related(),
    ];
    let statuses = user.statuses(&chain).await;
    assert_eq!(statuses[..2], [NtStatus::SUCCESS; 2]);
    assert!(statuses[2..].iter().all(|status| status.is_error()), "{statuses:?}");
    assert_eq!(site.server.status().opens, 0);
}

//! What CHANGE_NOTIFY answers.

use crate::site::{ALICE, BOB, Site, User};
use smb_raw::requests;
use smb_wire::{FileId, NtStatus, Request};

/// Waits with room for so many bytes while somebody else makes one name after the other.
async fn told(mut user: User, dir: FileId, room: u32, other: &mut User) -> (User, NtStatus) {
    let mut request = requests::notify(dir);
    if let Request::ChangeNotify(request) = &mut request {
        request.output_buffer_length = room;
    }
    let waiting = tokio::spawn(async move {
        let status = user.status(&request).await;
        (user, status)
    });
    for number in 0.. {
        if waiting.is_finished() {
            break;
        }
        let made = other.open(&requests::open(&format!("{room} {number}"))).await;
        assert_eq!(other.status(&requests::close(made)).await, NtStatus::SUCCESS);
    }
    waiting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_collect_in_the_room_that_the_first_request_gives() {
    let site = Site::new().await;
    let mut other = site.log_in(&BOB).await;
    for (rooms, expect) in [
        ([4096, 16, 4095], [NtStatus::SUCCESS, NtStatus::NOTIFY_ENUM_DIR, NtStatus::SUCCESS]),
        ([15, 4094, 4093], [NtStatus::NOTIFY_ENUM_DIR; 3]),
    ] {
        let mut user = site.log_in(&ALICE).await;
        let dir = user.open(&requests::directory("")).await;
        for (room, expect) in rooms.into_iter().zip(expect) {
            let (again, status) = told(user, dir, room, &mut other).await;
            assert_eq!(status, expect, "{room} of {rooms:?}");
            user = again;
        }
    }
}

//! What CHANGE_NOTIFY answers.

use crate::persistent::{answer, begin, waits};
use crate::site::{ALICE, BOB, Site, User};
use front_smb::{Share, Veto};
use smb_raw::requests;
use smb_wire::change_notify::{ChangeNotifyResponse, NotifyAction, NotifyEntry, encode_notify_entries};
use smb_wire::create::ShareAccess;
use smb_wire::{AccessMask, FileId, NtStatus, Request};
use testkit::{MemVolume, ease};

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

/// To who does not see one of the two names, a rename is no rename.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_rename_from_or_to_a_vetoed_name_the_other_comes_or_goes() {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    let hides = |share: &mut Share| share.veto = Veto::new(["*.part"]);
    let site = Site::made(vfs.clone(), |_| {}, hides).await;
    let mut user = site.log_in(&ALICE).await;
    let Request::Create(mut root) = requests::directory("") else { unreachable!() };
    // Which keeps nobody from changing its names.
    root.desired_access = AccessMask::LIST_DIRECTORY;
    root.share_access = ShareAccess::READ | ShareAccess::WRITE | ShareAccess::DELETE;
    let dir = user.open(&Request::Create(root)).await;
    let access = vfs::Access::DELETE;
    let request = vfs::OpenRequest::new(ease::p("a.part"), access, vfs.new_owner());
    let created = vfs::OpenRequest { disposition: vfs::Disposition::Create, ..request };
    let file = vfs.open(&ease::cx(), created).await.unwrap().open;
    for (to, name, action) in [
        ("a", "a", NotifyAction::Added),
        ("b", "a", NotifyAction::RenamedOldName),
        ("b.part", "b", NotifyAction::Removed),
    ] {
        let asked = begin(&mut user, &requests::notify(dir)).await;
        waits(&mut user).await;
        let how = vfs::RenameHow::default();
        file.rename(&ease::cx(), &ease::p(to), how).await.unwrap();
        let reply = answer(&mut user, asked).await;
        let told = ChangeNotifyResponse::decode(&reply.message).unwrap().data;
        let first = encode_notify_entries(&[NotifyEntry { action, name: name.into() }], 100).unwrap();
        assert_eq!((&told[4..12], &told[12..14]), (&first[4..12], &first[12..14]), "{to}");
        let is_alone = told[..4] == [0; 4];
        assert_eq!(is_alone, action != NotifyAction::RenamedOldName, "{to}");
    }
}

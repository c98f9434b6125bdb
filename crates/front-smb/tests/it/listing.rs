//! What QUERY_DIRECTORY answers, and what it asks the volume for.

use crate::rights::hiding::{names, shown};
use crate::site::{ALICE, Site};
use front_smb::Veto;
use smb_raw::requests;
use smb_wire::query_directory::{QueryDirectoryFlags, QueryDirectoryResponse};
use smb_wire::{NtStatus, Request};
use testkit::{MemConfig, MemVolume, Op};

/// The same request with these flags.
fn flagged(request: Request, flags: QueryDirectoryFlags) -> Request {
    match request {
        Request::QueryDirectory(asked) => {
            Request::QueryDirectory(smb_wire::query_directory::QueryDirectoryRequest { flags, ..asked })
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_without_wildcards_is_looked_for_and_not_the_whole_directory() {
    let mem = MemVolume::with(MemConfig { page_entries: 4, ..MemConfig::default() });
    let vfs = vfs::Vfs::new(mem.clone(), vfs::VfsConfig::default());
    let hides = |share: &mut front_smb::Share| share.veto = Veto::new(["secret*"]);
    let site = Site::made(vfs, |_| {}, hides).await;
    let mut user = site.log_in(&ALICE).await;
    let dir = user.open(&requests::directory("dir")).await;
    for number in 0..100 {
        testkit::ease::put(&*mem, &format!("dir/file {number}"), b"").await;
    }
    testkit::ease::put(&*mem, "dir/secret file", b"").await;
    mem.counts().reset();
    assert_eq!(shown(&mut user, dir, "file 50").await.unwrap(), ["file 50"]);
    assert_eq!(shown(&mut user, dir, "secret file").await, Err(NtStatus::NO_SUCH_FILE));
    assert_eq!(mem.counts().of(Op::List), 0);
    assert_eq!(shown(&mut user, dir, "none").await, Err(NtStatus::NO_SUCH_FILE));
    assert_eq!(shown(&mut user, dir, "FILE 99").await.unwrap(), ["file 99"]);
    assert_eq!(mem.counts().of(Op::List), 101_u64.div_ceil(4), "the names, once");

    // The name holds on until the client starts over with another.
    assert_eq!(shown(&mut user, dir, "file 1").await.unwrap(), ["file 1"]);
    let again = flagged(requests::query_directory(dir, ""), QueryDirectoryFlags::RESTART_SCANS);
    let reopened = flagged(requests::query_directory(dir, "file 2"), QueryDirectoryFlags::REOPEN);
    for (request, expect) in [(again, "file 1"), (reopened, "file 2")] {
        let reply = user.call(&request).await.unwrap();
        assert_eq!(names(&QueryDirectoryResponse::decode(&reply.message).unwrap().data), [expect]);
        let on = requests::query_directory_on(dir, "file 3");
        assert_eq!(user.status(&on).await, NtStatus::NO_MORE_FILES);
    }
    assert_eq!(shown(&mut user, dir, "file 1*").await.unwrap().len(), 11);
}

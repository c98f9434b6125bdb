//! The server over a volume in memory, with a client of another make.

mod apple;
mod carried;
mod channels;
mod compression;
mod cut;
mod deletion;
mod durable;
mod fsctl;
mod hostile;
mod interfaces;
mod keeping;
mod kerberos;
mod landing;
mod leases;
mod listing;
mod locks;
mod machine;
mod multiuser;
mod notify;
mod pages;
mod persistent;
mod pipes;
mod posix;
mod posix_security;
mod posix_unlinking;
mod quic;
mod quota;
mod races;
mod readonly;
mod replay;
mod restoring;
mod rights;
mod shares;
mod site;
mod times;
mod unmade;

use front_smb::{KnownUser, Server, ServerConfig, Share, Users};
use smb_core::ntlm::{NtHash, nt_hash};
use smb2::client::Connection;
use smb2::msg::create::{CreateDisposition, CreateRequest, CreateResponse, ImpersonationLevel, ShareAccess};
use smb2::msg::lock::{LockElement, LockRequest};
use smb2::msg::oplock_break::OplockBreak;
use smb2::pack::{ReadCursor, Unpack};
use smb2::types::flags::FileAccessMask;
use smb2::types::status::NtStatus;
use smb2::types::{Command, FileId, OplockLevel};
use smb2::{SmbClient, Tree};
use std::sync::Arc;
use std::time::Duration;
use testkit::MemVolume;

struct One;

impl Users for One {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        (user == "user").then(|| nt_hash("pass"))
    }

    fn all(&self) -> Arc<[KnownUser]> {
        Arc::new([KnownUser { name: "user".into(), number: 1000 }])
    }

    fn are_known(&self) -> bool {
        true
    }

    fn number(&self, user: &str) -> Option<u32> {
        ["user"].iter().position(|known| user.eq_ignore_ascii_case(known)).map(|at| 1000 + at as u32)
    }
}

/// An empty volume that is ready.
async fn volume() -> vfs::Vfs {
    let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
    testkit::ease::changes_are_told(|| vfs.freshness()).await;
    vfs
}

/// A server with the share `share`, and its address.
async fn serve() -> (Server, String) {
    let vfs = volume().await;
    let config = ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(One));
    let server = Server::start(config, vec![Share::new("share", vfs)]).await.unwrap();
    let address = server.local_addrs()[0].to_string();
    (server, address)
}

/// One logged-in client.
struct Client {
    smb: SmbClient,
    tree: Tree,
}

impl Client {
    async fn new(address: &str) -> Client {
        let mut smb = smb2::connect(address, "user", "pass").await.unwrap();
        let tree = smb.connect_share("share").await.unwrap();
        Client { smb, tree }
    }

    fn connection(&mut self) -> &mut Connection {
        self.smb.connection_mut()
    }

    /// Opens for reading and writing, made when it is not there, asking for an oplock.
    async fn open(&self, name: &str, oplock: OplockLevel) -> CreateResponse {
        let access = FileAccessMask::FILE_READ_DATA | FileAccessMask::FILE_WRITE_DATA;
        let request = CreateRequest {
            requested_oplock_level: oplock,
            impersonation_level: ImpersonationLevel::Impersonation,
            desired_access: FileAccessMask::new(access),
            file_attributes: 0,
            share_access: ShareAccess(7),
            create_disposition: CreateDisposition::FileOpenIf,
            create_options: 0,
            name: name.to_owned(),
            create_contexts: Vec::new(),
        };
        let answer = self.smb.connection().execute(Command::Create, &request, Some(self.tree.tree_id)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.header.status, NtStatus::SUCCESS);
        CreateResponse::unpack(&mut ReadCursor::new(&answer.body)).unwrap()
    }

    async fn acknowledge(&self, file_id: FileId, oplock_level: OplockLevel) -> NtStatus {
        let request = OplockBreak { oplock_level, file_id };
        let tree = Some(self.tree.tree_id);
        self.smb.connection().execute(Command::OplockBreak, &request, tree).await.unwrap().header.status
    }

    async fn lock(&self, file_id: FileId, flags: u32) -> NtStatus {
        let locks = vec![LockElement { offset: 0, length: 10, flags }];
        let request = LockRequest { lock_sequence: 0, file_id, locks };
        let tree = Some(self.tree.tree_id);
        self.smb.connection().execute(Command::Lock, &request, tree).await.unwrap().header.status
    }

    fn notifications(&self) -> u64 {
        self.smb.connection().diagnostics().metrics.unsolicited_notifications_received
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_written_read_listed_renamed_and_deleted() {
    let (server, address) = serve().await;
    let mut client = Client::new(&address).await;
    let tree = client.tree.clone();
    let data: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
    tree.write_file(client.connection(), "a.bin", &data).await.unwrap();
    tree.create_directory(client.connection(), "dir").await.unwrap();
    tree.rename(client.connection(), "a.bin", "dir/b.bin").await.unwrap();
    assert_eq!(tree.read_file(client.connection(), "DIR/B.bin").await.unwrap(), data);
    let listed = tree.list_directory(client.connection(), "dir").await.unwrap();
    let names: Vec<&str> =
        listed.iter().map(|entry| &*entry.name).filter(|name| !name.starts_with('.')).collect();
    assert_eq!(names, ["b.bin"]);
    tree.delete_file(client.connection(), "dir/b.bin").await.unwrap();
    tree.delete_directory(client.connection(), "dir").await.unwrap();
    assert!(tree.read_file(client.connection(), "dir/b.bin").await.is_err());
    drop(client);
    assert!(server.shutdown().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused() {
    let (_server, address) = serve().await;
    assert!(smb2::connect(&address, "user", "wrong").await.is_err());
    assert!(smb2::connect(&address, "nobody", "pass").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_range_is_anothers_until_it_is_unlocked() {
    const EXCLUSIVE_NOW: u32 = 0x12;
    const UNLOCK: u32 = 0x4;
    const LOCK_NOT_GRANTED: NtStatus = NtStatus(0xC000_0055);
    let (_server, address) = serve().await;
    let (one, two) = (Client::new(&address).await, Client::new(&address).await);
    let first = one.open("file", OplockLevel::None).await.file_id;
    let second = two.open("file", OplockLevel::None).await.file_id;
    assert_eq!(one.lock(first, EXCLUSIVE_NOW).await, NtStatus::SUCCESS);
    assert_eq!(two.lock(second, EXCLUSIVE_NOW).await, LOCK_NOT_GRANTED);
    assert_eq!(one.lock(first, UNLOCK).await, NtStatus::SUCCESS);
    assert_eq!(two.lock(second, EXCLUSIVE_NOW).await, NtStatus::SUCCESS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_opener_waits_until_the_first_has_given_back_its_oplock() {
    let (_server, address) = serve().await;
    let (one, two) = (Client::new(&address).await, Client::new(&address).await);
    let first = one.open("file", OplockLevel::Batch).await;
    assert_eq!(first.oplock_level, OplockLevel::Batch);
    let opening = tokio::spawn(async move {
        let second = two.open("file", OplockLevel::Batch).await;
        (two, second)
    });
    while one.notifications() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!opening.is_finished());
    assert_eq!(one.acknowledge(first.file_id, OplockLevel::LevelII).await, NtStatus::SUCCESS);
    let (_two, second) = opening.await.unwrap();
    assert_eq!(second.oplock_level, OplockLevel::LevelII);
    assert!(one.acknowledge(first.file_id, OplockLevel::None).await.is_error(), "nothing was asked back");
}

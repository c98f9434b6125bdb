//! A server over a volume in memory, and raw clients of it.

use front_smb::{KnownUser, Server, ServerConfig, Share, Users};
use smb_core::ntlm::{NtHash, nt_hash};
use smb_raw::ntlm;
use smb_raw::{Client, Fault, Reply, Session, offer, requests};
use smb_wire::create::CreateResponse;
use smb_wire::negotiate::{Dialect, NegotiateRequest};
use smb_wire::{FileId, NtStatus, Request};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use testkit::MemVolume;
use tokio::net::TcpStream;

/// The users that there are. Nobody else knows their passwords.
pub const ALICE: ntlm::Client = user("alice", "correct horse");
pub const BOB: ntlm::Client = user("bob", "battery staple");

pub const fn user(user: &'static str, password: &'static str) -> ntlm::Client {
    // The key is the client's to choose: each user his own, none a secret of another.
    let session_key = [user.as_bytes()[0]; 16];
    ntlm::Client { session_key, ..ntlm::Client::new(user, "FAR", password) }
}

struct Two;

impl Users for Two {
    fn nt_hash(&self, user: &str, _domain: &str) -> Option<NtHash> {
        let known = [ALICE, BOB].into_iter().find(|known| known.user.eq_ignore_ascii_case(user))?;
        Some(nt_hash(known.password))
    }

    fn all(&self) -> Arc<[KnownUser]> {
        let known = |(user, number): (ntlm::Client, u32)| KnownUser { name: user.user.into(), number };
        [ALICE, BOB].into_iter().zip(1000..).map(known).collect()
    }

    fn are_known(&self) -> bool {
        true
    }

    fn number(&self, user: &str) -> Option<u32> {
        [ALICE, BOB].iter().position(|known| known.user.eq_ignore_ascii_case(user)).map(|at| 1000 + at as u32)
    }
}

/// A server with the share `share`.
pub struct Site {
    pub server: Server,
    pub address: SocketAddr,
}

impl Site {
    pub async fn new() -> Site {
        Site::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Site {
        let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
        Site::over(vfs, change).await
    }

    /// One whose share is configured so.
    pub async fn sharing(change: impl FnOnce(&mut Share)) -> Site {
        let vfs = vfs::Vfs::new(MemVolume::new(), vfs::VfsConfig::default());
        Site::made(vfs, |_| {}, change).await
    }

    pub async fn over(vfs: vfs::Vfs, change: impl FnOnce(&mut ServerConfig)) -> Site {
        Site::made(vfs, change, |_| {}).await
    }

    pub async fn made(
        vfs: vfs::Vfs,
        change: impl FnOnce(&mut ServerConfig),
        change_share: impl FnOnce(&mut Share),
    ) -> Site {
        testkit::ease::changes_are_told(|| vfs.freshness()).await;
        let mut config = Site::config();
        change(&mut config);
        let mut share = Share::new("share", vfs);
        change_share(&mut share);
        let server = Server::start(config, vec![share]).await.unwrap();
        let address = server.local_addrs()[0];
        Site { server, address }
    }

    /// On a free port of loopback, with the users that there are.
    pub fn config() -> ServerConfig {
        ServerConfig::new(vec![([127, 0, 0, 1], 0).into()], Arc::new(Two))
    }

    /// A connection on which nothing was said.
    pub async fn connect(&self) -> Client<TcpStream> {
        connect(self.address).await
    }

    /// A connection after this NEGOTIATE.
    pub async fn greet(&self, offer: NegotiateRequest) -> Client<TcpStream> {
        let mut client = self.connect().await;
        client.negotiate(offer).await.unwrap();
        client
    }

    /// A user with a tree connect, by 3.1.1.
    pub async fn log_in(&self, who: &ntlm::Client) -> User {
        self.log_in_by(who, offer(&[Dialect::SMB_3_1_1])).await
    }

    pub async fn log_in_by(&self, who: &ntlm::Client, offer: NegotiateRequest) -> User {
        let mut client = self.greet(offer).await;
        let session = client.log_in(who).await.unwrap();
        User::enter(client, session).await
    }

    /// The same for somebody whom the server proves nothing, for want of a key.
    pub async fn log_in_stranger(&self, who: &ntlm::Client) -> User {
        let mut client = self.greet(offer(&[Dialect::SMB_3_1_1])).await;
        client.careless = true;
        let session = client.log_in(who).await.unwrap();
        User::enter(client, session).await
    }

    /// Waits until the server has no session left, and says what it then still counts.
    pub async fn emptied(&self) -> front_smb::ServerStatus {
        for _ in 0..2000 {
            let status = self.server.status();
            if status.connections == 0 && status.sessions == 0 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.server.status()
    }
}

pub async fn connect(address: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Client::new(stream)
}

/// A logged-in user on one channel.
pub struct User {
    pub client: Client<TcpStream>,
    pub session: Session,
    pub tree: u32,
}

impl User {
    /// Connects to the share.
    pub async fn enter(mut client: Client<TcpStream>, session: Session) -> User {
        let reply = client.call(&session, 0, &requests::tree_connect("share")).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS);
        User { client, session, tree: reply.header.tree_id }
    }

    pub async fn call(&mut self, request: &Request) -> Result<Reply, Fault> {
        self.client.call(&self.session, self.tree, request).await
    }

    /// The status of a request; a connection that is gone fails the test.
    pub async fn status(&mut self, request: &Request) -> NtStatus {
        self.call(request).await.unwrap().status()
    }

    pub async fn open(&mut self, request: &Request) -> FileId {
        let reply = self.call(request).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS, "{request:?}");
        CreateResponse::decode(&reply.message).unwrap().file_id
    }

    /// A file with this content, open.
    pub async fn file(&mut self, name: &str, content: &[u8]) -> FileId {
        let id = self.open(&requests::open(name)).await;
        assert_eq!(self.status(&requests::write(id, 0, content)).await, NtStatus::SUCCESS);
        id
    }

    /// What a file holds.
    pub async fn content(&mut self, id: FileId) -> Vec<u8> {
        let reply = self.call(&requests::read(id, 0, 65_536)).await.unwrap();
        assert_eq!(reply.status(), NtStatus::SUCCESS);
        smb_wire::read::ReadResponse::decode(&reply.message).unwrap().data.to_vec()
    }

    /// The session lives, and its connection with it.
    pub async fn is_well(&mut self) {
        let root = self.open(&requests::directory("")).await;
        assert_eq!(self.status(&requests::close(root)).await, NtStatus::SUCCESS);
    }
}

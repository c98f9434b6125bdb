//! The load client: one session over one or several connections, many requests in flight.
//!
//! It runs in this process, on two threads, and is the same towards every server.

use crate::run::Outcome;
use e2e::SmbClient;
use smb_raw::load::{Job, Protection, Worker};
use smb_raw::{CLIENT_GUID, Client, Fault, Guard, Message, Session, ntlm, offer, requests};
use smb_wire::ids::Guid;
use smb_wire::negotiate::{Dialect, NegotiateRequest};
use smb_wire::{FileId, NtStatus};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};

const THREADS: usize = 2;

/// One connection of the session.
struct Channel {
    client: Client<TcpStream>,
    session: Session,
}

pub struct Load {
    runtime: Runtime,
    channels: Vec<Channel>,
    tree: u32,
    protection: Protection,
}

impl Load {
    /// Logs in and binds `channels` connections to the session.
    pub fn connect(to: &SmbClient, channels: usize, protection: Protection) -> Outcome<Load> {
        let runtime = runtime()?;
        let who = who(to);
        let opened = runtime.block_on(async {
            let mut first = join(to.address, None, CLIENT_GUID).await?;
            let session = first.log_in(&who).await.map_err(told("log-in"))?;
            let tree = tree(&mut first, &session, &to.share).await?;
            let mut all = vec![Channel { client: first, session: session.clone() }];
            for _ in 1..channels {
                let mut client = join(to.address, None, CLIENT_GUID).await?;
                let session = client.bind(&who, &session).await.map_err(told("binding a channel"))?;
                all.push(Channel { client, session });
            }
            Ok::<_, String>((all, tree))
        });
        let (channels, tree) = opened.map_err(|why| format!("{}: {why}", to.address))?;
        Ok(Load { runtime, channels, tree, protection })
    }

    /// Does all jobs, `depth` at a time on each connection. Gives the file of one that was done last.
    pub fn run<I>(&mut self, depth: usize, jobs: I) -> Outcome<FileId>
    where
        I: IntoIterator<Item = Job>,
        I::IntoIter: Send + 'static,
    {
        let jobs = Arc::new(Mutex::new(jobs.into_iter()));
        let (tree, protection) = (self.tree, self.protection);
        let tasks: Vec<_> = std::mem::take(&mut self.channels)
            .into_iter()
            .map(|mut channel| {
                let jobs = Arc::clone(&jobs);
                self.runtime.spawn(async move {
                    let worker = Worker::new(&mut channel.client, &channel.session, tree, protection);
                    let done = worker.work(depth, &jobs).await;
                    (channel, done)
                })
            })
            .collect();
        let mut last = smb_raw::load::NO_FILE;
        for task in tasks {
            let (channel, done) = self.runtime.block_on(task).map_err(|error| error.to_string())?;
            self.channels.push(channel);
            let file = done.map_err(told("a request of the load"))?;
            if file != smb_raw::load::NO_FILE {
                last = file;
            }
        }
        Ok(last)
    }
}

pub fn runtime() -> Outcome<Runtime> {
    let built = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    built.map_err(|error| format!("a runtime: {error}"))
}

/// The user of a rig; a run has a handful of them, so their names may stay for ever.
pub fn who(client: &SmbClient) -> ntlm::Client {
    let (user, password) = (client.user.clone().leak(), client.password.clone().leak());
    ntlm::Client { user, password, domain: "", ..ntlm::Client::default() }
}

/// A connection of the client `guid` that has negotiated, from an address of ours where that matters.
pub async fn join(to: SocketAddr, from: Option<SocketAddr>, guid: Guid) -> Outcome<Client<TcpStream>> {
    let connected = async {
        let socket = TcpSocket::new_v4()?;
        if let Some(from) = from {
            socket.bind(from)?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let stream = connected.await.map_err(|error: std::io::Error| format!("connecting: {error}"))?;
    let mut client = Client::new(stream);
    let offer = NegotiateRequest { client_guid: guid, ..offer(&[Dialect::SMB_3_1_1]) };
    client.negotiate(offer).await.map_err(told("NEGOTIATE"))?;
    Ok(client)
}

/// A tree connect; in 3.1.1 it is signed whatever follows (MS-SMB2 3.3.5.7).
pub async fn tree(client: &mut Client<TcpStream>, session: &Session, share: &str) -> Outcome<u32> {
    let mut message = Message::of(&requests::tree_connect(share)).session(session.id);
    message.header.credits = 512;
    let reply = client.exchange(message, Guard::Sign(&session.signer)).await.map_err(told("TREE_CONNECT"))?;
    match reply.status() {
        NtStatus::SUCCESS => Ok(reply.header.tree_id),
        status => Err(format!("TREE_CONNECT {share}: {status:?}")),
    }
}

pub fn told(what: &str) -> impl Fn(Fault) -> String + use<'_> {
    move |fault| format!("{what}: {fault:?}")
}

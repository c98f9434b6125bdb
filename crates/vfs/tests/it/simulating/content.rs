//! Two clients with leases on one file.

use super::{Log, ROUNDS, SETTLES, Served, all_seeds, cx, pause, serve};
use crate::tools::{DELETE, READ, WRITE};
use bytes::Bytes;
use parking_lot::Mutex;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use testkit::Rng;
use testkit::ease::p;
use vfs::{Access, Caching, Disposition, Lease, LeaseId, Open, OpenRequest, Owner, RenameHow};
use volume::{DosAttributes, Named, SetAttr, Time};

/// What a client keeps of the file.
#[derive(Default)]
struct Kept {
    content: Option<Vec<u8>>,
    breaks: u64,
    /// Asked back, and not given anew.
    lost: bool,
}

struct Client {
    id: LeaseId,
    opens: Vec<Arc<Open>>,
    kept: Arc<Mutex<Kept>>,
    /// In this round.
    wrote: bool,
}

impl Client {
    fn new(n: u128) -> Client {
        Client { id: LeaseId { client: n, key: n }, opens: Vec::new(), kept: Arc::default(), wrote: false }
    }

    fn listen(&self, open: &Open, world: &World) {
        let (kept, id, vfs) = (self.kept.clone(), self.id, Arc::downgrade(&world.served.vfs));
        let log = world.log.clone();
        open.listen(Arc::new(move |what| {
            log.push(format!("  {id:?} is told {what:?}"));
            let mut kept = kept.lock();
            kept.breaks += 1;
            if !what.left.contains(Caching::READ) {
                (kept.content, kept.lost) = (None, true);
            }
            if let (true, Some(vfs)) = (what.acknowledge, vfs.upgrade()) {
                // Not under the mutex of who tells.
                tokio::spawn(async move { vfs.acknowledge_lease(id, what.left) });
            }
        }));
    }

    fn may_cache(&self) -> bool {
        self.opens.first().is_some_and(|open| open.caching().contains(Caching::READ))
    }

    fn writing(&self) -> Option<&Arc<Open>> {
        self.opens.iter().find(|open| open.access().contains(Access::WRITE_DATA))
    }

    async fn read(&self) {
        let Some(open) = self.opens.first().filter(|_| self.may_cache()) else { return };
        let before = self.kept.lock().breaks;
        let data = open.read(&cx(), 0, 1 << 16).await.unwrap();
        let mut kept = self.kept.lock();
        if kept.breaks == before && !kept.lost && self.may_cache() {
            kept.content = Some(data.to_vec());
        }
    }
}

struct World {
    served: Served,
    far: bool,
    log: Log,
    name: String,
    renames: u32,
    /// In this round.
    foreign: bool,
}

impl World {
    async fn open(&self, client: &mut Client, rng: &mut Rng) {
        let full = READ | WRITE | DELETE;
        let access = if rng.one_in(2) { full } else { READ | DELETE | Access::WRITE_ATTRIBUTES };
        let mut request = OpenRequest::new(p(&self.name), access, Owner(1));
        request.caching = *rng.pick(&[Caching::all(), Caching::READ, Caching::READ | Caching::HANDLE]);
        request.lease = Some(Lease { id: client.id, epoch: Some(1), dirs: true });
        let opened = self.served.vfs.open(&cx(), request).await.unwrap();
        if opened.granted.caching.contains(Caching::READ) && !opened.granted.breaking {
            client.kept.lock().lost = false;
        }
        self.log.push(format!("opens {access:?}, got {:?}", opened.granted));
        client.listen(&opened.open, self);
        client.opens.push(opened.open);
    }

    async fn close(&self, client: &mut Client, rng: &mut Rng) {
        if client.opens.is_empty() {
            return;
        }
        self.log.push("closes");
        let open = client.opens.remove(rng.below(client.opens.len() as u64) as usize);
        open.close(&cx()).await.unwrap();
        if client.opens.is_empty() {
            client.kept.lock().content = None;
        }
    }

    async fn write(&self, client: &mut Client, rng: &mut Rng) {
        let Some(open) = client.writing().cloned() else { return };
        let (at, data) = (rng.below(60), vec![b'a' + rng.below(26) as u8; 4]);
        self.log.push(format!("writes {data:?} at {at}"));
        client.wrote = true;
        open.write(&cx(), at, Bytes::from(data.clone())).await.unwrap();
        if let Some(content) = &mut client.kept.lock().content {
            let end = at as usize + data.len();
            content.resize(content.len().max(end), 0);
            content[at as usize..end].copy_from_slice(&data);
        }
    }

    async fn resize(&self, client: &mut Client, rng: &mut Rng) {
        let Some(open) = client.writing().cloned() else { return };
        let size = 60 + rng.below(10);
        self.log.push(format!("sets the size to {size}"));
        client.wrote = true;
        open.set_size(&cx(), size).await.unwrap();
        if let Some(content) = &mut client.kept.lock().content {
            content.resize(size as usize, 0);
        }
    }

    /// Something that leaves the content.
    async fn change(&mut self, client: &Client, rng: &mut Rng) {
        let Some(open) = client.opens.first() else { return };
        let dos = *rng.pick(&[DosAttributes::HIDDEN, DosAttributes::SYSTEM, DosAttributes::ARCHIVE]);
        let what = *rng.pick(&["time", "time", "attributes", "value", "name"]);
        self.log.push(format!("sets the {what}"));
        match what {
            "time" => {
                let mtime = Some(Time((1 << 60) + rng.below(1 << 40)));
                open.set_attr(&cx(), &SetAttr { mtime, ..SetAttr::default() }).await.map(drop)
            }
            "attributes" => {
                open.set_attr(&cx(), &SetAttr { dos: Some(dos), ..SetAttr::default() }).await.map(drop)
            }
            "value" => {
                let value = Some(Bytes::from(rng.bytes(4)));
                open.set_named(&cx(), &Named::extended("name"), value).await.map(drop)
            }
            _ => {
                self.renames += 1;
                self.name = format!("file{}", self.renames);
                open.rename(&cx(), &p(&self.name), RenameHow::default()).await.map(drop)
            }
        }
        .unwrap();
    }

    async fn look(&self) {
        self.log.push("looks");
        let request = OpenRequest::new(p(&self.name), Access::READ_ATTRIBUTES, Owner(2));
        self.served.vfs.open(&cx(), request).await.unwrap().open.close(&cx()).await.unwrap();
    }

    fn others_write(&mut self, rng: &mut Rng) {
        let (at, byte) = (rng.below(60), b'0' + rng.below(10) as u8);
        self.log.push(format!("others write {byte} at {at}"));
        self.foreign = true;
        let path = self.served.dir.path().join(&self.name);
        let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[byte; 4]).unwrap();
    }

    async fn step(&mut self, clients: &mut [Client], rng: &mut Rng) {
        let wrote = clients.iter().any(|client| client.wrote);
        let n = rng.below(clients.len() as u64) as usize;
        let client = &mut clients[n];
        self.log.push(format!("{n}:"));
        // Behind a cache what we write and what others write at the same time cannot be told apart.
        match rng.below(13) {
            0 | 1 => self.open(client, rng).await,
            2 => self.close(client, rng).await,
            3 | 4 => client.read().await,
            5 | 6 if self.far && self.foreign => {}
            5 => self.write(client, rng).await,
            6 => self.resize(client, rng).await,
            7..=9 => self.change(client, rng).await,
            10 => self.look().await,
            _ if self.far && wrote => {}
            _ => self.others_write(rng),
        }
        pause(rng, &self.log).await;
    }

    async fn served(&self) -> Vec<u8> {
        let request =
            OpenRequest { disposition: Disposition::Open, ..OpenRequest::new(p(&self.name), READ, Owner(2)) };
        let open = self.served.vfs.open(&cx(), request).await.unwrap().open;
        let content = open.read(&cx(), 0, 1 << 16).await.unwrap().to_vec();
        open.close(&cx()).await.unwrap();
        content
    }

    /// Who wrote while others did keeps his own.
    fn check(&self, clients: &mut [Client], there: &[u8]) -> Result<(), String> {
        for client in clients {
            let may = client.may_cache();
            let mut kept = client.kept.lock();
            if std::mem::take(&mut client.wrote) && self.foreign {
                kept.content = None;
            }
            if may && kept.content.as_ref().is_some_and(|content| content != there) {
                return Err(self.log.tell(&format!("{:?} keeps what is not there", client.id)));
            }
        }
        Ok(())
    }
}

async fn simulate(seed: u64, far: bool) -> Result<(), String> {
    let served = serve(far, |dir| std::fs::write(dir.join("file"), [b'.'; 64]).unwrap()).await;
    let (log, name) = (Log::new(), "file".to_owned());
    let mut world = World { served, far, log, name, renames: 0, foreign: false };
    let (mut rng, mut clients) = (Rng::new(seed), [1, 2].map(Client::new));
    for round in 0..ROUNDS {
        world.log.push(format!("round {round}"));
        world.foreign = false;
        for _ in 0..2 + rng.below(6) {
            world.step(&mut clients, &mut rng).await;
        }
        tokio::time::sleep(SETTLES).await;
        let there = std::fs::read(world.served.dir.path().join(&world.name)).unwrap();
        if far && world.served().await != there {
            return Err(world.log.tell("what is served is not there"));
        }
        world.check(&mut clients, &there)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_cache_has_what_is_there() {
    all_seeds(simulate).await;
}

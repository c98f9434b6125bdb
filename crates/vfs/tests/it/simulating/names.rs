//! A client that caches the listing of a directory, and one that watches it.

use super::{Log, ROUNDS, SETTLES, Served, all_seeds, cx, pause, serve};
use crate::tools::{DELETE, READ, WRITE};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::Rng;
use testkit::ease::p;
use vfs::{
    Access, Caching, Disposition, Filter, Lease, LeaseId, Links, NotifyAction, NotifyBatch, Open,
    OpenRequest, Opened, Owner, RenameHow,
};

const NAMES: [&str; 4] = ["a", "b", "c", "D"];

/// Names with their sizes.
type Listing = BTreeMap<String, u64>;

struct World {
    served: Served,
    dir: PathBuf,
    log: Log,
}

impl World {
    async fn new(far: bool) -> World {
        let served = serve(far, |dir| std::fs::create_dir(dir.join("d")).unwrap()).await;
        World { dir: served.dir.path().join("d"), served, log: Log::new() }
    }

    async fn open(&self, name: &str, access: Access, disposition: Disposition) -> vfs::Result<Arc<Open>> {
        let mut request = OpenRequest::new(p(&format!("d/{name}")), access, Owner(2));
        request.disposition = disposition;
        self.served.vfs.open(&cx(), request).await.map(|opened| opened.open)
    }

    /// One of us or of others does something; what fails changes nothing.
    async fn step(&self, rng: &mut Rng) {
        let (name, other) = (*rng.pick(&NAMES), *rng.pick(&NAMES));
        let what = *rng.pick(&["make", "remove", "rename", "write"]);
        let done = match rng.one_in(2) {
            true => self.we(what, name, other, rng).await.map_err(|error| error.to_string()),
            false => self.others(what, name, other, rng).map_err(|error| error.to_string()),
        };
        self.log.push(format!("  {done:?}"));
        pause(rng, &self.log).await;
    }

    async fn we(&self, what: &str, name: &str, other: &str, rng: &mut Rng) -> vfs::Result<()> {
        self.log.push(format!("we {what} {name} ({other})"));
        let open = match what {
            "make" => self.open(name, WRITE, Disposition::OpenIf).await?,
            "write" => self.open(name, WRITE, Disposition::Open).await?,
            _ => self.open(name, DELETE, Disposition::Open).await?,
        };
        let done = match what {
            "make" => Ok(()),
            "remove" => open.set_delete_on_close(&cx(), true).await,
            "rename" => {
                let how = RenameHow { replace: rng.one_in(2), ..RenameHow::default() };
                open.rename(&cx(), &p(&format!("d/{other}")), how).await.map(drop)
            }
            _ => open.write(&cx(), 0, Bytes::from(vec![b'x'; rng.below(90) as usize])).await,
        };
        open.close(&cx()).await.and(done)
    }

    fn others(&self, what: &str, name: &str, other: &str, rng: &mut Rng) -> std::io::Result<()> {
        self.log.push(format!("others {what} {name} ({other})"));
        let path = self.dir.join(name);
        match what {
            "make" => std::fs::create_dir(path),
            "remove" if path.is_dir() => std::fs::remove_dir(path),
            "remove" => std::fs::remove_file(path),
            "rename" => std::fs::rename(path, self.dir.join(other)),
            _ => std::fs::write(path, vec![b'y'; rng.below(90) as usize]),
        }
    }

    async fn round(&self, rng: &mut Rng) -> Listing {
        for _ in 0..1 + rng.below(5) {
            self.step(rng).await;
        }
        tokio::time::sleep(SETTLES).await;
        let entries = std::fs::read_dir(&self.dir).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            (entry.file_name().into_string().unwrap(), if meta.is_dir() { 0 } else { meta.len() })
        });
        entries.collect()
    }
}

async fn listed(open: &Arc<Open>) -> Listing {
    let mut cursor = open.list(Links::Shown).unwrap();
    let mut names = Listing::new();
    while let Some(entry) = cursor.next(&cx()).await.unwrap() {
        if !entry.name.starts_with('.') {
            names.insert(entry.name.to_string(), if entry.attr.is_dir() { 0 } else { entry.attr.size });
        }
    }
    names
}

async fn simulate_listing(seed: u64, far: bool) -> Result<(), String> {
    let (world, mut rng) = (World::new(far).await, Rng::new(seed));
    for round in 0..ROUNDS {
        world.log.push(format!("round {round}"));
        let mut request = OpenRequest::new(p("d"), READ, Owner(1));
        request.caching = Caching::READ;
        let id = LeaseId { client: 9, key: round as u128 };
        request.lease = Some(Lease { id, epoch: Some(1), dirs: true });
        let Opened { open, .. } = world.served.vfs.open(&cx(), request).await.unwrap();
        let lost = Arc::new(AtomicBool::new(false));
        let (ear, log) = (lost.clone(), world.log.clone());
        open.listen(Arc::new(move |what| {
            log.push(format!("  told {:?}", what.left));
            ear.store(true, Ordering::Release);
        }));
        let kept = listed(&open).await;
        world.log.push(format!("lists {kept:?}"));
        let there = world.round(&mut rng).await;
        let keeps = !lost.load(Ordering::Acquire) && open.caching().contains(Caching::READ);
        if keeps && kept != there {
            return Err(world.log.tell(&format!("keeps {kept:?}, not {there:?},")));
        }
        let served = listed(&open).await;
        if served != there {
            return Err(world.log.tell(&format!("is served {served:?}, not {there:?},")));
        }
        open.close(&cx()).await.unwrap();
    }
    Ok(())
}

/// What somebody makes of what he is told of names.
#[derive(Default)]
struct Heard(BTreeSet<String>);

impl Heard {
    fn hear(&mut self, batch: NotifyBatch, there: &BTreeSet<String>, log: &Log) {
        let NotifyBatch::Events(events) = batch else {
            log.push("  is to list again");
            return self.0.clone_from(there);
        };
        for event in events {
            log.push(format!("  hears {:?} {}", event.action, event.name));
            match event.action {
                NotifyAction::Added | NotifyAction::RenamedNewName => self.0.extend([event.name.to_string()]),
                NotifyAction::Removed | NotifyAction::RenamedOldName => drop(self.0.remove(&*event.name)),
                _ => {}
            }
        }
    }
}

async fn simulate_watching(seed: u64, far: bool) -> Result<(), String> {
    let (world, mut rng) = (World::new(far).await, Rng::new(seed));
    let watcher = world.served.vfs.open(&cx(), OpenRequest::new(p("d"), READ, Owner(1))).await.unwrap().open;
    let names = Filter::FILE_NAME | Filter::DIR_NAME;
    let told = || tokio::time::timeout(Duration::from_millis(5), watcher.notify(names, false));
    let mut heard = Heard::default();
    // It begins with this; that the origin is watched may be told by it.
    let _first = told().await;
    for round in 0..ROUNDS {
        world.log.push(format!("round {round}"));
        let there = world.round(&mut rng).await.into_keys().collect();
        while let Ok(batch) = told().await {
            heard.hear(batch.unwrap(), &there, &world.log);
        }
        if heard.0 != there {
            return Err(world.log.tell(&format!("has heard of {:?}, not {there:?},", heard.0)));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_cache_a_listing_has_what_is_there() {
    all_seeds(simulate_listing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_is_told_what_is_there() {
    all_seeds(simulate_watching).await;
}

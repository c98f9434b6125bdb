//! Two sites with a WAN between them: a directory at A, users at B.

use crate::tell::{Proof, ensure};
use e2e::{Net, Plan, Scratch, Shape, Side, Sites, SmbClient, Wan, fetch, wait_until};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The link of the first figures.
pub const FAR: Shape = Shape { rtt_ms: 100, rate_mbit: 100, loss_percent: 0.0 };

/// One WAN at a time: `cargo test` runs tests side by side.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for the turn of this test.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Dropped in this order: the nodes, the WAN under them, what they served.
pub struct Far {
    pub sites: Sites,
    pub wan: Wan,
    /// What is served, at A.
    pub data: PathBuf,
    pub scratch: Scratch,
    _turn: MutexGuard<'static, ()>,
}

impl Far {
    /// Nodes over a directory that `fill` has filled. `name`: of the link, at most nine letters.
    pub fn new(name: &str, shape: Shape, fill: impl FnOnce(&Path) -> Proof) -> Proof<Far> {
        Far::planned(name, shape, fill, |plan, _| plan)
    }

    /// The same with other settings; `change` gets the usual ones and the scratch directory.
    pub fn planned(
        name: &str,
        shape: Shape,
        fill: impl FnOnce(&Path) -> Proof,
        change: impl FnOnce(Plan, &Path) -> Plan,
    ) -> Proof<Far> {
        let turn = turn();
        let scratch = Scratch::new()?;
        let data = scratch.dir("data")?;
        fill(&data)?;
        let wan = Wan::up(name, shape)?;
        let plan = Plan::new(&format!("origin = \"file://{}\"", data.display()));
        let sites = Sites::planned(&wan, &change(plan, scratch.path()))?;
        Ok(Far { sites, wan, data, scratch, _turn: turn })
    }

    pub fn client(&self) -> SmbClient {
        self.sites.client()
    }

    /// The network at the users' side.
    pub fn users(&self) -> Net {
        self.wan.net(Side::B)
    }

    /// What `work` gives, how many bytes came over the link to B for it, and how long it took.
    pub fn cost<T>(&self, work: impl FnOnce() -> Proof<T>) -> Proof<(T, u64, Duration)> {
        let (before, begun) = (self.wan.bytes_to_b()?, Instant::now());
        let done = work()?;
        let took = begun.elapsed();
        Ok((done, self.wan.bytes_to_b()? - before, took))
    }

    /// The volume in `farshare status` of the entrypoint.
    pub fn volume(&self) -> Proof<serde_json::Value> {
        Ok(self.sites.entrypoint.status()?["volumes"][0].clone())
    }

    /// Waits until the status of the volume is such.
    pub fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        such: impl Fn(&serde_json::Value) -> bool,
    ) -> Proof {
        let came = wait_until(patience, || self.volume().is_ok_and(|volume| such(&volume)));
        ensure(came, || match self.volume() {
            Ok(volume) => format!("{what} within {patience:?}: {volume}\n{}", self.log()),
            Err(why) => format!("{what} within {patience:?}: no status: {why:?}"),
        })
    }

    /// Waits until no bytes come over the link any more: nothing is being fetched ahead.
    pub fn settle(&self) -> Proof {
        let mut last = self.wan.bytes_to_b()?;
        let quiet = wait_until(Duration::from_secs(30), || {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.wan.bytes_to_b().unwrap_or(0);
            let few = now - last < 2_000;
            last = now;
            few
        });
        ensure(quiet, || "the link does not come to rest".to_owned())
    }

    /// Waits until a file at B has this content; how long that took.
    pub fn seen(&self, name: &str, expect: &[u8], patience: Duration) -> Proof<Duration> {
        let (begun, client) = (Instant::now(), self.client());
        let came = wait_until(patience, || fetch(&client, name).is_ok_and(|got| got == expect));
        ensure(came, || format!("{name} does not have its new content at B after {patience:?}"))?;
        Ok(begun.elapsed())
    }

    /// What both nodes logged.
    pub fn log(&self) -> String {
        let nodes = [&self.sites.gateway, &self.sites.entrypoint];
        nodes.map(|node| node.running.log()).join("\n--\n")
    }
}

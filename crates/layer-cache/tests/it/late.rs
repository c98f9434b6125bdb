//! What is long on its way: calls, their answers and notices. What a writer was told is done is so from then on, in
//! whatever order the rest arrives.

use crate::{BLOCK, Site, content, read, until};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use testkit::ease::{cx, p, put, stat};
use testkit::{MemConfig, Op, Rng};
use volume::{Access, Close, Create, ErrorKind, File, Fresh, OpenHow, SetAttr, Time, Volume};

const FILE_MAX: u64 = 16 * BLOCK as u64;

/// No delay here makes a site take its origin for lost.
const PATIENCE: Duration = Duration::from_secs(60);

async fn patient() -> Site {
    Site::with(MemConfig::default(), |config| config.patience = PATIENCE).await
}

async fn writer(site: &Site) -> Arc<dyn File> {
    let how = OpenHow { create: Create::IfMissing, ..OpenHow::read_write() };
    site.cache.open(&cx(), &p("f"), how).await.unwrap().file
}

fn dated(time: u64) -> SetAttr {
    SetAttr { mtime: Some(Time(time)), ..SetAttr::default() }
}

async fn size(file: &dyn File) -> u64 {
    file.attr(&cx(), Fresh::Cached).await.unwrap().size
}

/// As a kernel does it that reads ahead while a file is cut: length, then times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_before_a_change_of_ours_takes_nothing_of_it_back() {
    let site = patient().await;
    let mut bytes = content(20 * BLOCK, 1);
    put(&*site.origin, "f", &bytes).await;
    site.heard().await;
    let file = writer(&site).await;
    file.write_at(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    bytes[..4].copy_from_slice(b"ours");
    // What it was told of its own write makes the next reader ask.
    site.heard().await;
    let gate = site.far.gate_answers(Op::Attr);
    let ahead = tokio::spawn({
        let file = file.clone();
        async move { read(&*file, BLOCK, 10).await }
    });
    gate.arrived(1).await;
    bytes.truncate(10 * BLOCK + 1000);
    let cut = bytes.len() as u64;
    file.set_attr(&cx(), &SetAttr::size(cut)).await.unwrap();
    gate.release();
    assert_eq!(ahead.await.unwrap(), bytes[BLOCK..BLOCK + 10]);
    assert_eq!(size(&*file).await, cut, "cut");
    file.set_attr(&cx(), &dated(1 << 60)).await.unwrap();
    assert_eq!(size(&*file).await, cut, "dated");
    assert_eq!(stat(&*site.cache, "f").await.size, cut);
    assert!(read(&*file, 0, 20 * BLOCK).await == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_wrote_sees_what_another_does_after_others_have_changed_the_file() {
    let site = patient().await;
    put(&*site.origin, "f", content(5 * BLOCK, 1)).await;
    let (one, two) = (writer(&site).await, writer(&site).await);
    one.write_at(&cx(), 0, Bytes::from_static(b"ours")).await.unwrap();
    put(&*site.origin.other(), "f", content(3 * BLOCK, 2)).await;
    site.heard().await;
    assert_eq!(read(&*two, 0, 10).await, content(3 * BLOCK, 2)[..10]);
    assert_eq!(size(&*one).await, 3 * BLOCK as u64, "theirs");
    two.set_attr(&cx(), &SetAttr::size(1000)).await.unwrap();
    assert_eq!(size(&*one).await, 1000, "the other's");
    assert_eq!(read(&*one, 0, 5 * BLOCK).await, content(3 * BLOCK, 2)[..1000]);
}

/// A handle that was made where there may have been no file, and only reads: it is open at the origin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_handle_that_only_read_is_no_news() {
    let site = patient().await;
    put(&*site.origin, "f", content(5 * BLOCK, 1)).await;
    site.heard().await;
    let how = OpenHow { access: Access::READ, ..OpenHow::create(Create::IfMissing) };
    let reader = site.cache.open(&cx(), &p("f"), how).await.unwrap().file;
    let file = writer(&site).await;
    file.set_attr(&cx(), &SetAttr::size(1000)).await.unwrap();
    site.heard().await;
    reader.close(&cx(), Close::Commit).await.unwrap();
    assert_eq!(stat(&*site.cache, "f").await.size, 1000);
    assert_eq!(read(&*file, 0, 5 * BLOCK).await.len(), 1000);
}

/// A client as a kernel is one: it has a file open more than once, reads ahead without waiting and asks for the size after
/// each change.
struct Client {
    site: Site,
    rng: Rng,
    good: Vec<u8>,
    files: Vec<Arc<dyn File>>,
    files_max: usize,
    history: Vec<String>,
}

impl Client {
    async fn new(seed: u64, files_max: usize, patience: Duration) -> Client {
        let site = Site::with(MemConfig::default(), |config| config.patience = patience).await;
        let mut rng = Rng::new(seed);
        let (calls, notices) = (*rng.pick(&[1, 5, 20]), *rng.pick(&[5, 50, 500]));
        site.far.jitter(seed, Duration::from_millis(calls), Duration::from_millis(notices));
        let history = vec![format!("seed {seed}: calls {calls} ms, notices {notices} ms")];
        let files = vec![writer(&site).await];
        Client { site, rng, good: Vec::new(), files, files_max, history }
    }

    fn told(&self) -> String {
        format!("{}\n{}", self.history[0], self.history[self.history.len().saturating_sub(12)..].join("\n"))
    }

    fn file(&mut self) -> Arc<dyn File> {
        let newest = self.files.len() - 1;
        let which = if self.rng.one_in(3) { self.rng.below(newest as u64 + 1) as usize } else { newest };
        self.files[which].clone()
    }

    /// Somewhere in the file.
    fn range(&mut self) -> (u64, u64) {
        let offset = self.rng.below(self.good.len() as u64 + 1);
        (offset, self.rng.below(3 * BLOCK as u64).min(self.good.len() as u64 - offset))
    }

    async fn read(&mut self) {
        let (file, (offset, length)) = (self.file(), self.range());
        self.history.push(format!("read {offset} {length}"));
        let read = async || match file.read_at(&cx(), offset, length as u32).await {
            Err(e) if matches!(e.kind, ErrorKind::TimedOut | ErrorKind::Offline) => None,
            read => Some(read.unwrap()),
        };
        let read = until("a read", read).await;
        let good = &self.good[offset as usize..][..length as usize];
        let wrong = read.iter().zip(good).position(|(read, good)| read != good);
        assert!(
            read == good,
            "{} of {length} bytes at {offset}, wrong {wrong:?}\n{}",
            read.len(),
            self.told()
        );
    }

    /// A read whose answer nobody waits for.
    fn read_ahead(&mut self) {
        let (file, (offset, length)) = (self.file(), self.range());
        self.history.push(format!("read ahead {offset} {length}"));
        tokio::spawn(async move { drop(file.read_at(&cx(), offset, length as u32).await) });
    }

    /// Pieces that are written back at once.
    async fn write(&mut self) {
        let offset = self.rng.below(FILE_MAX - BLOCK as u64);
        let length = 1 + self.rng.below((3 * BLOCK as u64).min(FILE_MAX - offset));
        self.history.push(format!("write {offset} {length}"));
        let bytes = Bytes::from(content(length as usize, self.rng.next_u64()));
        let end = (offset + length) as usize;
        self.good.resize(self.good.len().max(end), 0);
        self.good[offset as usize..end].copy_from_slice(&bytes);
        let piece = 1 + self.rng.below(2 * BLOCK as u64) as usize;
        let mut writes = tokio::task::JoinSet::new();
        for at in (0..bytes.len()).step_by(piece) {
            let (file, part) = (self.file(), bytes.slice(at..bytes.len().min(at + piece)));
            writes.spawn(async move { file.write_at(&cx(), offset + at as u64, part).await });
        }
        writes.join_all().await.into_iter().for_each(Result::unwrap);
    }

    async fn truncate(&mut self) {
        let (file, size) = (self.file(), self.rng.below(FILE_MAX));
        self.history.push(format!("truncate {} to {size}", self.good.len()));
        self.good.resize(size as usize, 0);
        file.set_attr(&cx(), &SetAttr::size(size)).await.unwrap();
        if self.rng.one_in(2) {
            file.set_attr(&cx(), &dated(self.rng.below(1 << 60))).await.unwrap();
        }
    }

    async fn zero(&mut self) {
        let (file, (offset, length)) = (self.file(), self.range());
        self.history.push(format!("zero {offset} {length}"));
        self.good[offset as usize..][..length as usize].fill(0);
        file.zero(&cx(), offset, length).await.unwrap();
    }

    /// Opens it again; what is open too long is closed at the same time.
    async fn reopen(&mut self) {
        self.history.push("open".to_owned());
        if self.files.len() == self.files_max {
            let old = self.files.remove(0);
            tokio::spawn(async move { drop(old.close(&cx(), Close::Commit).await) });
        }
        self.files.push(writer(&self.site).await);
    }

    async fn step(&mut self) {
        match self.rng.below(16) {
            0..=3 => self.read().await,
            4..=6 => self.read_ahead(),
            7..=9 => self.write().await,
            10..=12 => self.truncate().await,
            13 => self.zero().await,
            14 => self.reopen().await,
            _ => tokio::time::sleep(Duration::from_millis(self.rng.below(20))).await,
        }
        let (file, good) = (self.file(), self.good.len() as u64);
        assert_eq!(size(&*file).await, good, "by the handle\n{}", self.told());
        if self.rng.one_in(3) {
            assert_eq!(stat(&*self.site.cache, "f").await.size, good, "by its name\n{}", self.told());
        }
    }
}

async fn work(seeds: u64, steps: usize, patience: Duration) {
    let mut all = tokio::task::JoinSet::new();
    for seed in 0..seeds {
        all.spawn(async move {
            let mut client = Client::new(seed, if seed % 2 == 0 { 1 } else { 3 }, patience).await;
            for _ in 0..steps {
                client.step().await;
            }
        });
    }
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_sees_what_it_was_told_is_done() {
    work(24, 150, PATIENCE).await;
}

/// As on a link or a machine that is too slow: what reads is refused now and then, and what is written lands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_sees_it_while_the_origin_is_taken_for_lost() {
    work(12, 100, Duration::from_millis(20)).await;
}

//! A directory, its log and its mirrors, in lives that can end at any moment.

use layer_mirror::{Here, MirrorConfig, Mirrors, PRIVATE_DIR, State, Target};
use origin_local::{LocalConfig, LocalVolume};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use volume::{VPath, Volume};

pub struct Rig {
    dir: tempfile::TempDir,
    mirrors: Vec<&'static str>,
}

/// A process: when it is dropped, it is killed.
pub struct Life {
    pub runtime: Option<tokio::runtime::Runtime>,
    pub volume: Arc<dyn Volume>,
    pub mirrors: Arc<Mirrors>,
}

impl Rig {
    pub fn new(mirrors: &[&'static str]) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        for name in mirrors.iter().chain(&["here"]) {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Rig { dir, mirrors: mirrors.to_vec() }
    }

    pub fn here(&self) -> PathBuf {
        self.dir.path().join("here")
    }

    pub fn there(&self, mirror: &str) -> PathBuf {
        self.dir.path().join(mirror)
    }

    pub fn live(&self) -> Life {
        self.live_with(u64::MAX)
    }

    pub fn live_with(&self, log_max_bytes: u64) -> Life {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let open = |dir: &Path| -> Arc<dyn Volume> {
            LocalVolume::open(dir, LocalConfig { posix: true, watch: false, ..LocalConfig::default() })
                .unwrap()
        };
        let targets = self.mirrors.iter().map(|name| Target {
            name: (*name).to_owned(),
            to: (*name).to_owned(),
            way: Arc::new(Here(open(&self.there(name)))),
            in_order: false,
        });
        let config = MirrorConfig { dir: self.dir.path().join("state"), log_max_bytes };
        let opened = runtime.block_on(Mirrors::open(open(&self.here()), config, targets.collect()));
        let (volume, mirrors) = opened.unwrap();
        Life { runtime: Some(runtime), volume, mirrors }
    }

    /// Changes a byte of the largest part of the log.
    pub fn damage_log(&self, at: f64) {
        let parts =
            std::fs::read_dir(self.dir.path().join("state/log")).unwrap().map(|entry| entry.unwrap().path());
        let largest = parts.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let mut bytes = std::fs::read(&largest).unwrap();
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] ^= 0xff;
        std::fs::write(&largest, bytes).unwrap();
    }

    /// Waits until each mirror is live and has all.
    pub fn settle(&self, life: &Life) {
        let began = Instant::now();
        loop {
            let status = life.mirrors.status();
            if status.iter().all(|mirror| mirror.state == State::Live && mirror.behind == 0) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "not settled: {status:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Each mirror has what is here, to the byte.
    pub fn check_equal(&self) {
        let here = tree(&self.here());
        for mirror in &self.mirrors {
            let there = tree(&self.there(mirror));
            let differ = |path: &&PathBuf| here.get(*path) != there.get(*path);
            let differing: Vec<String> = here
                .keys()
                .chain(there.keys())
                .filter(differ)
                .map(|path| format!("{path:?}: here {:?}, there {:?}", here.get(path), there.get(path)))
                .collect();
            assert!(differing.is_empty(), "{mirror} differs:\n{}", differing.join("\n"));
            let left = std::fs::read_dir(self.there(mirror).join(PRIVATE_DIR)).unwrap();
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.is_empty(), "left in the making: {left:?}");
        }
    }
}

impl Life {
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it lives").block_on(work)
    }

    /// Ends as a process does that is told to.
    pub fn end(self) {
        self.run(self.mirrors.shut_down(Duration::from_secs(10)));
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// What is known of an object: kind, mode, links, time, content.
#[derive(PartialEq, Eq, Debug)]
pub struct Known {
    kind: String,
    mode: u32,
    links: u64,
    mtime: (i64, i64),
    content: Content,
}

#[derive(PartialEq, Eq)]
struct Content(Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes from {:?} to {:?}", self.0.len(), self.0.first(), self.0.last())
    }
}

fn tree(root: &Path) -> BTreeMap<PathBuf, Known> {
    let mut known = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = path.symlink_metadata().unwrap();
        let mut content = Vec::new();
        if meta.is_dir() {
            for entry in std::fs::read_dir(&path).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().as_bytes() != PRIVATE_DIR.as_bytes() {
                    waiting.push(path);
                }
            }
        } else if meta.is_symlink() {
            content = path.read_link().unwrap().as_os_str().as_bytes().to_vec();
        } else if meta.is_file() {
            content = std::fs::read(&path).unwrap();
        }
        let is_root = path == root;
        let times = if meta.is_dir() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
        let one = Known {
            kind: format!("{:?}", meta.file_type()),
            mode: if is_root { 0 } else { meta.mode() },
            links: if meta.is_dir() { 0 } else { meta.nlink() },
            mtime: times,
            content: Content(content),
        };
        known.insert(path.strip_prefix(root).unwrap().to_owned(), one);
    }
    known
}

pub fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

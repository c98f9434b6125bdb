//! The mounts of a node (`[fuse.NAME]`), each on the `Vfs` of its volume.
//!
//! States of a mount: *waiting* (its volume is not served yet, or its root did not answer so far), *mounted*, *unmounted* (by
//! somebody else) and *failed*. At the start what cannot be mounted ends the node; one that waited says so in the log and in
//! the status. Unmounting waits a while for those who are in there, then goes on without them: they are served until the
//! process ends.

use super::Node;
use super::places::Place;
use crate::acquainted::Pauses;
use crate::config::MountSettings;
use crate::failure::Failure;
use crate::mount_guard::Guard;
use front_admin::MountStatus;
use front_fuse::{Mount, MountConfig};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use volume::{Cx, Priority, VPath};

/// How long a volume may take to answer before its mount waits for it.
const ROOT_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the node waits for those who keep a mount.
const KEPT_PATIENCE: Duration = Duration::from_secs(5);
/// And for all that unmounting takes.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(8);
/// Between two attempts to unmount what is kept.
const KEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most processes that are named of those who keep a mount.
const KEEPERS_NAMED: usize = 5;

/// A mount of the configuration.
pub(super) struct MountPlace {
    settings: MountSettings,
    state: Mutex<State>,
}

enum State {
    Waiting { why: String },
    Mounted { mount: Mount, guard: Guard },
    Unmounted,
    Failed { why: String },
}

/// Why nothing was mounted.
enum Missed {
    /// The volume does not answer. That may change.
    Unanswered(volume::Error),
    Wrong(Failure),
}

/// What is to be mounted.
///
/// # Errors
/// This process may not mount.
pub(super) fn planned(settings: &[MountSettings]) -> Result<Vec<Arc<MountPlace>>, Failure> {
    if let Some(first) = settings.first()
        && !rustix::process::geteuid().is_root()
    {
        let mend = "start the node as root, or take the section out";
        return Err(Failure::failed(format_args!("[fuse.{}]: mounting is for root; {mend}", first.name)));
    }
    let waiting = || State::Waiting { why: "its volume is not served yet".into() };
    let place = |settings: &MountSettings| {
        Arc::new(MountPlace { settings: settings.clone(), state: Mutex::new(waiting()) })
    };
    Ok(settings.iter().map(place).collect())
}

/// Mounts those whose volumes answer.
pub(super) async fn mount(mounts: &[Arc<MountPlace>], volumes: &[Arc<Place>]) -> Result<(), Failure> {
    let mut mounting = JoinSet::new();
    for mount in mounts {
        if let Some(place) = volumes.iter().find(|place| mount.is_of(place)) {
            let (mount, place) = (mount.clone(), place.clone());
            mounting.spawn(async move { mount.mount(&place).await });
        }
    }
    for mounted in mounting.join_all().await {
        match mounted {
            Ok(()) | Err(Missed::Unanswered(_)) => {}
            Err(Missed::Wrong(failure)) => return Err(failure),
        }
    }
    Ok(())
}

/// Mounts what waits for a volume that is served, as soon as it answers.
pub(super) async fn mount_when_it_answers(node: Weak<Node>, place: Arc<Place>) {
    let mut pauses = Pauses::default();
    loop {
        let Some(node) = node.upgrade() else { return };
        let mut unanswered = None;
        for mount in node.mounts.iter().filter(|mount| mount.waits_for(&place)) {
            match mount.mount(&place).await {
                Ok(()) => {}
                Err(Missed::Unanswered(why)) => unanswered = Some(why),
                Err(Missed::Wrong(why)) => {
                    tracing::error!(mount = mount.settings.name, %why, "cannot be mounted");
                    mount.becomes(State::Failed { why: why.to_string() });
                }
            }
        }
        drop(node);
        let Some(why) = unanswered else { return };
        tokio::time::sleep(pauses.after(&why)).await;
    }
}

/// Unmounts all, in use or not.
pub(super) async fn unmount(mounts: &[Arc<MountPlace>]) {
    let mut unmounting = JoinSet::new();
    for place in mounts {
        if let State::Mounted { mount, guard } = place.becomes(State::Unmounted) {
            let place = place.clone();
            unmounting.spawn(async move {
                let ending = place.end(mount, guard);
                if tokio::time::timeout(UNMOUNT_PATIENCE, ending).await.is_err() {
                    tracing::warn!(mount = place.settings.name, "unmounting takes long; not waited for");
                }
            });
        }
    }
    unmounting.join_all().await;
}

impl MountPlace {
    fn is_of(&self, place: &Place) -> bool {
        self.settings.volume == place.name()
    }

    fn waits_for(&self, place: &Place) -> bool {
        self.is_of(place) && matches!(*self.state(), State::Waiting { .. })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers what it was.
    fn becomes(&self, state: State) -> State {
        std::mem::replace(&mut *self.state(), state)
    }

    async fn mount(&self, place: &Place) -> Result<(), Missed> {
        let Some(served) = place.served.get() else { return Ok(()) };
        let cx = Cx::system(Priority::Interactive).within(ROOT_PATIENCE);
        if let Err(why) = served.stack.top.stat(&cx, &VPath::root()).await {
            self.becomes(State::Waiting { why: why.to_string() });
            return Err(Missed::Unanswered(why));
        }
        let settings = &self.settings;
        let config = MountConfig {
            allow_other: !settings.private,
            suid_and_dev: settings.suid_and_dev,
            read_only: settings.read_only,
            valid: settings.valid,
            ..MountConfig::new(place.settings.origin.to_string())
        };
        let wrong = |why: &dyn std::fmt::Display| {
            Missed::Wrong(Failure::failed(format_args!("[fuse.{}]: {why}", settings.name)))
        };
        let mount = Mount::new(served.vfs.clone(), &settings.at, &config).await;
        let mount = mount.map_err(|why| wrong(&why))?;
        let guard = Guard::start(&mount).map_err(|why| wrong(&why))?;
        tracing::info!(mount = settings.name, volume = settings.volume, at = %settings.at.display(), "mounted");
        self.becomes(State::Mounted { mount, guard });
        Ok(())
    }

    async fn end(&self, mount: Mount, guard: Guard) {
        self.leave(mount).await;
        let ended = tokio::task::spawn_blocking(|| guard.end()).await;
        if let Ok(Err(why)) = ended {
            tracing::warn!(mount = self.settings.name, %why, "its guard does not end well");
        }
    }

    /// Waits until nobody is in there, for a while.
    async fn leave(&self, mut mount: Mount) {
        let (name, begun) = (&self.settings.name, Instant::now());
        loop {
            let tried = tokio::task::spawn_blocking(move || {
                let unmounted = mount.try_unmount();
                (mount, unmounted)
            });
            let Ok((back, unmounted)) = tried.await else { return };
            mount = back;
            match unmounted {
                Ok(true) => return,
                Ok(false) if begun.elapsed() < KEPT_PATIENCE => tokio::time::sleep(KEPT_PAUSE).await,
                Ok(false) => {
                    let at = self.settings.at.clone();
                    let keepers =
                        tokio::task::spawn_blocking(move || front_fuse::keepers(&at, KEEPERS_NAMED));
                    let keepers = keepers.await.unwrap_or_default().join(", ");
                    tracing::warn!(mount = name, keepers, "in use; nobody new gets in");
                    return;
                }
                Err(why) => return tracing::warn!(mount = name, %why, "does not end well"),
            }
        }
    }

    pub fn status(&self) -> MountStatus {
        let (word, why) = match &*self.state() {
            State::Waiting { why } => ("waiting", Some(why.clone())),
            State::Mounted { mount, .. } if mount.is_mounted() => ("mounted", None),
            State::Mounted { .. } | State::Unmounted => ("unmounted", None),
            State::Failed { why } => ("failed", Some(why.clone())),
        };
        MountStatus {
            name: self.settings.name.clone(),
            volume: self.settings.volume.clone(),
            at: self.settings.at.display().to_string(),
            read_only: self.settings.read_only,
            state: word.to_owned(),
            why,
        }
    }
}

//! [`LocalVolume`]: the calls, and what runs where.

use crate::attributes::{self, Extra, Keeps};
use crate::beneath::{Patience, Place, Root, reopen};
use crate::brisk::Brisk;
use crate::carried;
use crate::changes::{sync_dir, take_back};
use crate::compression;
use crate::config::LocalConfig;
use crate::descriptor::Descriptor;
use crate::error::{Failure, Outcome};
use crate::file::{LocalFile, Stamp, read_ticket};
use crate::listing::{self, ToldOf};
use crate::maker::making;
use crate::name;
use crate::pool::{Lies, Pool};
use crate::ranges::Abilities;
use crate::spot::must_wait;
use crate::watching::Watching;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, ReentrantMutex};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fstatfs, fstatvfs, ftruncate, readlinkat};
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use volume::{
    Access, Applied, Attr, Caps, Change, Create, Cx, DosAttributes, Error, ErrorKind, File, FileId, Kind,
    ListHow, Listing, Named, NamedEntry, Namespace, OpenHow, Opened, QuotaChange, QuotaRules, QuotasOf,
    Result, SetAttr, Space, Ticket, UserQuota, VPath, Volume, Watch,
};

/// Largest single request, bytes.
const IO_SIZE: u32 = 8 << 20;
/// Times an open is tried again when the name comes and goes meanwhile.
const OPEN_RETRIES: usize = 16;
/// File systems in which names differ not by case alone: vfat and exfat, by the magic that `statfs` tells.
const CASELESS: [u64; 2] = [0x4d44, 0x2011_bab0];

/// A directory of this machine as a volume. What it promises stands at the head of this crate.
pub struct LocalVolume {
    pub(crate) disk: Arc<Disk>,
    watching: Watching,
    caps: Caps,
}

/// What blocking calls need.
pub(crate) struct Disk {
    pub(crate) root: Root,
    pub(crate) config: LocalConfig,
    /// What this process changes is changed by the one user of the volume; see [`LocalConfig::sole`].
    pub(crate) sole: AtomicBool,
    pub(crate) keeps: Keeps,
    pub(crate) abilities: Abilities,
    /// Held while an extended attribute is read, changed and written; by who works on the spot before that, see
    /// [`Disk::on_the_spot`].
    pub(crate) setting_extras: ReentrantMutex<()>,
    pub(crate) pool: Pool,
    pub(crate) brisk: Brisk,
    pub(crate) told_of: ToldOf,
}

/// A file opened and looked at.
struct Found {
    fd: OwnedFd,
    attr: Attr,
    created_in: Option<OwnedFd>,
    /// See [`Descriptor`].
    beyond: Option<Stamp>,
}

impl Found {
    fn lying(self, lies: Lies) -> Outcome<Found> {
        let beyond = match lies {
            Lies::Here => None,
            Lies::Beyond => Some(Stamp::of(&self.fd)?),
        };
        Ok(Found { beyond, ..self })
    }
}

impl LocalVolume {
    /// Serves the directory `root`. Needs `openat2` (Linux 5.6) and `/proc`.
    pub fn open(root: &Path, config: LocalConfig) -> Result<Arc<LocalVolume>> {
        let told = |failure: Failure| failure.told("serve", root.display());
        let base = Root::open(root).map_err(told)?;
        let probe = base.handle(&VPath::root(), Patience::Disk);
        probe.map_err(|failure| match failure {
            Failure::Errno(Errno::NOSYS | Errno::PERM) => Error::new(
                ErrorKind::Unsupported,
                "serve",
                "openat2 is refused: Linux 5.6 or later is needed",
            ),
            failure => told(failure),
        })?;
        reopen(base.fd(), OFlags::PATH | OFlags::DIRECTORY).map_err(|errno| {
            let why = "/proc/self/fd is not usable: mount /proc";
            Error::new(ErrorKind::Unsupported, "serve", why).because(std::io::Error::from(errno))
        })?;
        let extras = attributes::can_extra(base.fd()).map_err(told)?;
        let compression = compression::is_kept_in(base.fd());
        let dos = extras && config.dos_attributes;
        let keeps = Keeps { extras, dos, compression, posix: config.posix };
        let abilities = Abilities::of(base.fd());
        let magic = fstatfs(base.fd()).map_err(|errno| told(errno.into()))?.f_type as u64;
        let caps = Caps {
            namespace: Namespace::Tree,
            stable_ids: true,
            atomic_rename: true,
            random_write: true,
            hard_links: true,
            symlinks: true,
            set_times: true,
            dos_attributes: dos,
            named: extras,
            named_max: if extras { carried::NAMED_MAX_BYTES } else { 0 },
            case_sensitive: !CASELESS.contains(&magic),
            watch: config.watch,
            holes: abilities.holes,
            copies: true,
            clones: abilities.clones,
            compression: keeps.compression,
            quotas: false,
            posix: config.posix,
            read_only: config.read_only,
            io_size: IO_SIZE,
        };
        let disk = Arc::new(Disk {
            pool: Pool::new(base.answers),
            root: base,
            sole: AtomicBool::new(config.sole),
            config,
            keeps,
            abilities,
            setting_extras: ReentrantMutex::new(()),
            brisk: Brisk::default(),
            told_of: ToldOf::default(),
        });
        let watching = Watching::new(disk.clone()).map_err(told)?;
        Ok(Arc::new(LocalVolume { watching, disk, caps }))
    }

    /// From now on there is another way by which this process may change the tree, or another user of this volume: what
    /// this process does is not told as [`volume::Author::Us`] any more.
    pub fn share(&self) {
        if self.disk.sole.swap(false, Ordering::SeqCst) {
            self.watching.shared();
        }
    }

    /// The descriptor of an open file of a local volume, for who works on its content past the volume, where that is
    /// nobody's affair. `None` for files of other volumes, and for what may not answer.
    pub fn descriptor_of(file: &dyn File) -> Option<BorrowedFd<'_>> {
        LocalFile::of_this_machine(file)
    }

    /// Runs `work` on a blocking thread and names its failure.
    async fn blocking<T: Send + 'static>(
        &self,
        cx: &Cx,
        op: &'static str,
        path: &VPath,
        work: impl FnOnce(&Disk, Lies) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let done = self.disk.blocking(cx, op, vec![path.clone()], work).await?;
        done.map_err(|failure| failure.told(op, path))
    }

    fn opened(&self, found: Found, access: Access) -> Opened {
        let created = found.created_in.is_some();
        let file = LocalFile {
            disk: self.disk.clone(),
            fd: Descriptor::new(found.fd, found.beyond, &self.disk),
            id: found.attr.id,
            access,
            made_in: Arc::new(Mutex::new(found.created_in)),
            lost: Arc::default(),
            turns: Arc::default(),
        };
        Opened { file: Arc::new(file), attr: found.attr, created, first: None }
    }
}

fn flags(access: Access) -> OFlags {
    match (access.contains(Access::READ), access.contains(Access::WRITE)) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (true | false, false) => OFlags::RDONLY,
    }
}

impl Disk {
    pub(crate) fn stat(&self, path: &VPath, patience: Patience) -> Outcome<Attr> {
        attributes::attr_of_handle(&self.root.handle(path, patience)?, self.keeps)
    }

    fn open(&self, path: &VPath, how: &OpenHow, patience: Patience) -> Outcome<Found> {
        for _ in 0..OPEN_RETRIES {
            if how.create != Create::New {
                match self.open_existing(path, how, patience) {
                    Err(Failure::Errno(Errno::NOENT)) if how.create == Create::IfMissing => {}
                    result => return result,
                }
            }
            if how.expect.is_some() {
                // What is expected is not there; something else with that name is for `AlreadyExists`.
                let place = self.root.place(path, ErrorKind::IsADirectory, patience)?;
                return match place.look() {
                    Ok(_) => Err(ErrorKind::AlreadyExists.into()),
                    Err(Errno::NOENT) => Err(ErrorKind::Stale.into()),
                    Err(errno) => Err(errno.into()),
                };
            }
            match self.create(path, how, patience) {
                Err(Failure::Errno(Errno::EXIST)) if how.create == Create::IfMissing => {}
                result => return result,
            }
        }
        Err(ErrorKind::Busy.into())
    }

    /// Opens the very object that was looked at.
    fn open_existing(&self, path: &VPath, how: &OpenHow, patience: Patience) -> Outcome<Found> {
        let handle = self.root.handle(path, patience)?;
        let stat = attributes::look(&handle)?;
        match attributes::kind_of(&stat) {
            Kind::File => {}
            Kind::Dir => return Err(ErrorKind::IsADirectory.into()),
            Kind::Symlink => return Err(ErrorKind::Loop.into()),
            Kind::Special(_) => return Err(ErrorKind::Unsupported.into()),
        }
        if how.expect.is_some_and(|expected| expected != attributes::id_of(&stat)) {
            return Err(ErrorKind::Stale.into());
        }
        let fd = reopen(&handle, flags(how.access))?;
        let attr = match how.truncate {
            true => {
                ftruncate(&fd, 0)?;
                attributes::attr_of(&fd, self.keeps)?
            }
            // As it was when it was looked at, after the caller had asked.
            false => attributes::attr_with(&stat, self.keeps, || Extra::of(&fd))?,
        };
        Ok(Found { fd, attr, created_in: None, beyond: None })
    }

    fn create(&self, path: &VPath, how: &OpenHow, patience: Patience) -> Outcome<Found> {
        let place = self.root.place(path, ErrorKind::IsADirectory, patience)?;
        let (flags, mode) = (flags(how.access), self.keeps.mode(how.mode));
        let fd = making(how.maker, || Ok(place.make_file(flags, mode)?))?;
        let attr = self.endow(&fd, &place, how.dos).inspect_err(|_| take_back(&place, &fd))?;
        Ok(Found { fd, attr, created_in: Some(place.dir), beyond: None })
    }

    /// All that a new file has beside its name.
    fn endow(&self, fd: &OwnedFd, place: &Place<'_>, dos: DosAttributes) -> Outcome<Attr> {
        let marked = self.keeps.dos && !dos.is_empty();
        if marked {
            self.set(fd, &SetAttr { dos: Some(dos), ..SetAttr::default() }, self.keeps)?;
        }
        if self.config.sync_changes {
            sync_dir(&place.dir)?;
        }
        match marked {
            true => attributes::attr_of(fd, self.keeps),
            false => attributes::attr_of_new(fd, self.keeps),
        }
    }

    fn reopen(&self, path: &VPath, stamp: Stamp, access: Access) -> Outcome<Found> {
        let how = OpenHow { access, ..OpenHow::read() };
        let found = match self.open_existing(path, &how, Patience::Disk) {
            Err(failure)
                if matches!(
                    failure.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::Loop
                ) =>
            {
                return Err(ErrorKind::Stale.into());
            }
            result => result?,
        };
        match Stamp::of(&found.fd)? == stamp {
            true => Ok(found),
            false => Err(ErrorKind::Stale.into()),
        }
    }

    fn read_link(&self, path: &VPath) -> Outcome<String> {
        let handle = self.root.handle(path, Patience::Disk)?;
        match attributes::kind(&handle)? {
            Kind::Symlink => {}
            Kind::File | Kind::Dir | Kind::Special(_) => return Err(ErrorKind::InvalidArgument.into()),
        }
        let target = readlinkat(&handle, c"", Vec::new())?;
        Ok(name::from_disk(target.to_bytes()).into_owned())
    }

    fn space(&self, path: &VPath) -> Outcome<Space> {
        let stat = fstatvfs(self.root.handle(path, Patience::Disk)?)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space {
            total: bytes(stat.f_blocks),
            free: bytes(stat.f_bfree),
            available: bytes(stat.f_bavail),
            unit: u32::try_from(stat.f_frsize).unwrap_or(u32::MAX),
        })
    }
}

#[async_trait]
impl Volume for LocalVolume {
    fn caps(&self) -> Caps {
        self.caps
    }

    async fn stat(&self, cx: &Cx, path: &VPath) -> Result<Attr> {
        let cached = self.disk.stat(path, self.disk.root.patience_here());
        if !must_wait(&cached) {
            return cached.map_err(|failure| failure.told("stat", path));
        }
        let name = path.clone();
        self.blocking(cx, "stat", path, move |disk, _| disk.stat(&name, Patience::Disk)).await
    }

    async fn list(&self, cx: &Cx, dir: &VPath, how: ListHow) -> Result<Listing> {
        let name = dir.clone();
        let work =
            move |disk: &Disk, lies| listing::page(disk, &disk.root.dir(&name)?, how.cursor.as_ref(), lies);
        self.blocking(cx, "list", dir, work).await
    }

    async fn open(&self, cx: &Cx, path: &VPath, how: OpenHow) -> Result<Opened> {
        let keeps = self.disk.keeps.asked_by(&cx.who);
        let how = OpenHow { mode: keeps.mode(how.mode).bits(), maker: keeps.maker(how.maker), ..how };
        let writes = how.access.contains(Access::WRITE) || how.create != Create::Never;
        if self.caps.read_only && writes {
            return Err(Error::new(ErrorKind::ReadOnly, "open", path));
        }
        if how.truncate && !how.access.contains(Access::WRITE) {
            return Err(Error::new(ErrorKind::InvalidArgument, "open", path));
        }
        let access = how.access;
        let patience = self.disk.root.patience_here();
        if patience == Patience::Here || (how.create == Create::Never && !how.truncate) {
            let cached = self.disk.open(path, &how, patience);
            if !must_wait(&cached) {
                let found = cached.map_err(|failure| failure.told("open", path))?;
                return Ok(self.opened(found, access));
            }
        }
        // A new name is a few blocks in memory; what is there already and was not found in memory has to wait.
        if how.create != Create::Never
            && !how.truncate
            && !self.disk.config.sync_changes
            && let Some(found) =
                self.disk.on_the_spot(path, !how.dos.is_empty(), |disk| disk.open(path, &how, Patience::Disk))
        {
            let found = found.map_err(|failure| failure.told("open", path))?;
            return Ok(self.opened(found, access));
        }
        let name = path.clone();
        let work = move |disk: &Disk, lies| disk.open(&name, &how, Patience::Disk)?.lying(lies);
        Ok(self.opened(self.blocking(cx, "open", path, work).await?, access))
    }

    async fn reopen(&self, cx: &Cx, ticket: &Ticket) -> Result<Opened> {
        let Some((path, stamp, access)) = read_ticket(ticket) else {
            return Err(Error::new(ErrorKind::Stale, "reopen", "a ticket of another kind"));
        };
        if self.caps.read_only && access.contains(Access::WRITE) {
            return Err(Error::new(ErrorKind::ReadOnly, "reopen", path));
        }
        let name = path.clone();
        let work = move |disk: &Disk, lies| disk.reopen(&name, stamp, access)?.lying(lies);
        Ok(self.opened(self.blocking(cx, "reopen", &path, work).await?, access))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Applied> {
        let (op, keeps) = (change.name(), self.disk.keeps.asked_by(&cx.who));
        let done = match self.disk.applied_here(change, keeps) {
            Some(done) => done,
            None => {
                let (what, paths) = (change.clone(), change.paths().cloned().collect());
                let work = move |disk: &Disk, _| disk.apply(&what, keeps, Patience::Disk);
                self.disk.blocking(cx, op, paths, work).await?
            }
        };
        let told = |failure: Failure| {
            let paths: Vec<_> = change.paths().map(VPath::to_string).collect();
            failure.told(op, paths.join(" to "))
        };
        Ok(Applied { attr: done.map_err(told)? })
    }

    async fn read_link(&self, cx: &Cx, path: &VPath) -> Result<String> {
        let name = path.clone();
        self.blocking(cx, "read_link", path, move |disk, _| disk.read_link(&name)).await
    }

    async fn named(
        &self,
        cx: &Cx,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
    ) -> Result<Option<Bytes>> {
        let keeps = self.disk.keeps.asked_by(&cx.who);
        if volume::may_wait_here() {
            let here = self.disk.carried(path, expect, name, keeps, Patience::Here);
            if !must_wait(&here) {
                return here.map_err(|failure| failure.told("named", path));
            }
        }
        let (place, name) = (path.clone(), name.clone());
        let work = move |disk: &Disk, _| disk.carried(&place, expect, &name, keeps, Patience::Disk);
        self.blocking(cx, "named", path, work).await
    }

    async fn list_named(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<Vec<NamedEntry>> {
        let (place, keeps) = (path.clone(), self.disk.keeps.asked_by(&cx.who));
        self.blocking(cx, "list_named", path, move |disk, _| disk.list_carried(&place, expect, keeps)).await
    }

    async fn sync_dir(&self, cx: &Cx, path: &VPath, expect: Option<FileId>) -> Result<()> {
        let place = path.clone();
        self.blocking(cx, "sync_dir", path, move |disk, _| disk.sync_dir(&place, expect)).await
    }

    async fn space(&self, cx: &Cx, path: &VPath) -> Result<Space> {
        let name = path.clone();
        self.blocking(cx, "space", path, move |disk, _| disk.space(&name)).await
    }

    async fn quota_rules(&self, _cx: &Cx) -> Result<QuotaRules> {
        Err(Error::new(ErrorKind::Unsupported, "quota_rules", "this volume"))
    }

    async fn quotas(&self, _cx: &Cx, _of: &QuotasOf) -> Result<Vec<UserQuota>> {
        Err(Error::new(ErrorKind::Unsupported, "quotas", "this volume"))
    }

    async fn set_quotas(&self, _cx: &Cx, _change: &QuotaChange) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "set_quotas", "this volume"))
    }

    async fn watch(&self, _cx: &Cx) -> Result<Watch> {
        if !self.caps.watch {
            return Err(Error::new(ErrorKind::Unsupported, "watch", "this volume"));
        }
        self.watching.subscribe().map_err(|failure| failure.told("watch", "this volume"))
    }
}

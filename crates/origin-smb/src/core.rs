//! What all parts of a volume share: its lanes, its root, what it knows of the server.

use crate::attr::{Ids, Look};
use crate::config::{SmbConfig, Watching};
use crate::error::{Outcome, Trouble};
use crate::handle::{Door, Opens, glance};
use crate::lane::Lane;
use crate::listing::Listings;
use crate::names;
use crate::session::Session;
use smb_wire::create::CreateOptions;
use smb_wire::fscc::reparse::tag;
use smb_wire::{AccessMask, NtStatus};
use std::future::Future;
use std::sync::Arc;
use volume::{Attr, Caps, Error, ErrorKind, FileId, Namespace, Result, VPath};

pub(crate) struct Core {
    pub(crate) config: Arc<SmbConfig>,
    /// The volume's root inside the share.
    root: VPath,
    /// For whoever waits for a name.
    pub(crate) names: Lane,
    /// For content.
    data: Vec<Lane>,
    pub(crate) ids: Ids,
    pub(crate) caps: Caps,
    pub(crate) opens: Arc<Opens>,
    pub(crate) listings: Listings,
}

impl Core {
    /// Dials the first lane and learns what the server can do.
    pub(crate) async fn connect(config: SmbConfig) -> Result<Core> {
        let (config, root) = (Arc::new(config.clone()), config.root()?);
        let names = Lane::new(config.clone());
        let session = names.dial().await?;
        let wire = names::to_wire("connect", &VPath::root(), &root)?;
        let door = Door::to(wire, AccessMask::LIST_DIRECTORY, CreateOptions::DIRECTORY_FILE);
        let look = glance(&session, &door).await.map_err(|why| root_refused(&config, why))?;
        let ids = if look.index == 0 { Ids::Paths } else { Ids::Server };
        let lanes = config.limits.data_connections.max(1);
        Ok(Core {
            data: (0..lanes).map(|_| Lane::new(config.clone())).collect(),
            ids,
            caps: caps(&config, &session, ids),
            config,
            root,
            names,
            opens: Arc::default(),
            listings: Listings::default(),
        })
    }

    pub(crate) fn wire(&self, op: &'static str, path: &VPath) -> Outcome<String> {
        Ok(names::to_wire(op, &self.root, path)?)
    }

    /// A name of this crate's own in a directory of the volume.
    pub(crate) fn wire_beside(&self, dir: &VPath, name: &str) -> Outcome<String> {
        let dir = self.wire("rename", dir)?;
        Ok(if dir.is_empty() { name.to_owned() } else { format!("{dir}\\{name}") })
    }

    pub(crate) fn id(&self, look: &Look, path: &VPath) -> FileId {
        look.id(self.ids, path)
    }

    pub(crate) fn attr(&self, look: &Look, path: &VPath) -> Attr {
        look.attr(self.ids, path)
    }

    pub(crate) fn stale(&self, op: &'static str, path: &VPath, why: &'static str) -> Trouble {
        Trouble::Told(Error::new(ErrorKind::Stale, op, path).because(why))
    }

    /// The least busy connection for content; one that is up before one that would have to be dialed, unless
    /// that one is busy.
    pub(crate) async fn data_session(&self) -> Outcome<Arc<Session>> {
        let idle = self.config.limits.requests.max(1);
        let free = |lane: &&Lane| lane.current().map_or(idle - 1, |session| session.turns_free());
        match self.data.iter().max_by_key(free) {
            Some(lane) => lane.session().await,
            None => self.names.session().await,
        }
    }

    /// Does something that changes nothing, on the lane of names; once more when the session is lost.
    pub(crate) async fn looking<T, F, Fut>(&self, work: F) -> Outcome<T>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Outcome<T>>,
    {
        match work(self.names.session().await?).await {
            Err(Trouble::Lost(_)) => work(self.names.session().await?).await,
            other => other,
        }
    }

    /// Looks at a name. A symlink that the server does not follow is seen as itself.
    pub(crate) async fn look(&self, op: &'static str, path: &VPath) -> Outcome<Look> {
        let wire = &self.wire(op, path)?;
        let seen = |options: CreateOptions| {
            self.looking(move |session| async move {
                glance(&session, &Door::to(wire.clone(), AccessMask::empty(), options)).await
            })
        };
        match seen(CreateOptions::empty()).await {
            Err(why) if why.is(NtStatus::STOPPED_ON_SYMLINK) => {
                let look = seen(CreateOptions::OPEN_REPARSE_POINT).await?;
                Ok(Look { reparse_tag: tag::SYMLINK, ..look })
            }
            Err(why) if why.is(NtStatus::DELETE_PENDING) => {
                Err(Trouble::Refused(NtStatus::OBJECT_NAME_NOT_FOUND))
            }
            other => other,
        }
    }
}

fn caps(config: &SmbConfig, session: &Session, ids: Ids) -> Caps {
    Caps {
        namespace: Namespace::Tree,
        stable_ids: ids == Ids::Server,
        atomic_rename: true,
        random_write: true,
        hard_links: false,
        symlinks: false,
        set_times: true,
        dos_attributes: true,
        named: false,
        named_max: 0,
        case_sensitive: false,
        watch: config.watch != Watching::Off,
        holes: false,
        copies: false,
        clones: false,
        compression: false,
        // Nothing that is made there has an owner but the user who logs on.
        quotas: false,
        posix: false,
        read_only: session.read_only,
        io_size: session.io_size,
    }
}

fn root_refused(config: &SmbConfig, why: Trouble) -> Error {
    let error = why.into_error("connect", config.label());
    let advice = match error.kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "the share has no such directory",
        ErrorKind::PermissionDenied => "the user may not list that directory",
        _ => return error,
    };
    Error::new(error.kind, "connect", config.label()).because(format!("{advice}: {error}"))
}

//! Short words for what every test does.

use std::sync::Arc;
use testkit::MemVolume;
use testkit::ease::{cx, p};
use vfs::{
    Access, Disposition, Error, Open, OpenRequest, Opened, Owner, Result, Share, Vfs, VfsConfig, Want,
};

pub const READ: Access = Access::READ_DATA.union(Access::READ_ATTRIBUTES);
pub const WRITE: Access = READ.union(Access::WRITE_DATA).union(Access::WRITE_ATTRIBUTES);
pub const DELETE: Access = Access::DELETE.union(Access::READ_ATTRIBUTES);
pub const LOOK: Access = Access::READ_ATTRIBUTES;

/// A served volume in memory, as case-sensitive as a Linux origin.
pub struct Site {
    pub vfs: Vfs,
    pub mem: Arc<MemVolume>,
}

pub fn site() -> Site {
    let mem = MemVolume::new();
    Site { vfs: Vfs::new(mem.clone(), VfsConfig::default()), mem }
}

pub fn ask(path: &str, access: Access) -> OpenRequest {
    OpenRequest::new(p(path), access, Owner(1))
}

impl Site {
    pub async fn try_open(
        &self,
        path: &str,
        access: Access,
        change: impl FnOnce(&mut OpenRequest),
    ) -> Result<Opened> {
        let mut request = ask(path, access);
        change(&mut request);
        self.vfs.open(&cx(), request).await
    }

    pub async fn open(&self, path: &str, access: Access) -> Arc<Open> {
        self.try_open(path, access, |_| {}).await.unwrap_or_else(|e| panic!("open {path}: {e}")).open
    }

    pub async fn create(&self, path: &str) -> Arc<Open> {
        let made = self.try_open(path, WRITE | DELETE, |r| r.disposition = Disposition::Create).await;
        made.unwrap_or_else(|e| panic!("create {path}: {e}")).open
    }

    pub async fn make_dir(&self, path: &str) -> Arc<Open> {
        let change = |r: &mut OpenRequest| (r.disposition, r.want) = (Disposition::Create, Want::Dir);
        let made = self.try_open(path, READ | DELETE, change).await;
        made.unwrap_or_else(|e| panic!("make directory {path}: {e}")).open
    }

    /// What opening with these share modes answers.
    pub async fn share(&self, path: &str, access: Access, share: Share) -> Result<Arc<Open>> {
        self.try_open(path, access, |r| r.share = share).await.map(|opened| opened.open)
    }
}

/// The error's name, for comparing.
pub fn word<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "Ok".into(),
        Err(Error::Volume(error)) => format!("{:?}", error.kind),
        Err(error) => format!("{error:?}"),
    }
}

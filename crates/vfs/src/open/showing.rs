//! What the caller of an open may know of what lies below its directory.

use super::Open;
use crate::cursor::Links;
use crate::rights::Listed;
use crate::unlooked::Unlooked;
use crate::{Access, Result};
use volume::Cx;

impl Open {
    /// Whether the caller has these rights on what has this name below the directory, as listings judge it, and on each
    /// directory on the way to it. The name is that of a [`crate::NotifyEvent`]. `None`: it is not there.
    pub async fn allows_below(
        &self,
        cx: &Cx,
        name: &str,
        access: Access,
        links: Links,
    ) -> Result<Option<bool>> {
        let Some(rights) = self.rights().map(|rights| &**rights) else { return Ok(Some(true)) };
        let core = &self.core;
        let (mut dir, unlooked) = (self.named_path()?, Unlooked::default());
        for part in name.split('/') {
            let path = dir.join(part)?;
            let Some(attr) = core.look(cx, &path).await? else { return Ok(None) };
            let led_to = match links {
                Links::Followed => core.led_to(cx, &path, &attr, Some(rights)).await?,
                Links::Shown | Links::Marked => None,
            };
            let (leads_to, attr) = led_to.map_or((None, attr), |(path, attr)| (Some(path), attr));
            let listed = Listed { name: part, attr: &attr, leads_to: leads_to.as_ref() };
            let judged = core.judge_listed(cx, &dir, &[listed], rights, &unlooked).await?;
            if !judged.iter().all(|allowed| allowed.contains(access)) {
                return Ok(Some(false));
            }
            dir = path;
        }
        Ok(Some(true))
    }

    /// What [`Open::notify`] has answered was not told to whom it is for: the next is told to list again.
    pub fn lose_changes(&self) {
        if let Some(watcher) = &*self.watcher.lock() {
            watcher.lose();
        }
    }
}

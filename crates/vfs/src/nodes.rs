//! What POSIX callers make that has no content to be opened: links, FIFOs, sockets and devices.

use crate::core::Core;
use crate::{Error, Result};
use std::sync::Arc;
use volume::{Attr, Change, Cx, ErrorKind, Maker, Special, VPath};

/// What [`crate::Vfs::make_node`] is to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewNode {
    /// A symbolic link whose content is this, uninterpreted.
    Symlink(String),
    Special {
        special: Special,
        mode: u32,
    },
}

pub(crate) async fn make(
    core: Arc<Core>,
    cx: Cx,
    path: VPath,
    node: NewNode,
    maker: Option<Maker>,
) -> Result<Attr> {
    if core.caps.read_only {
        return Err(Error::ReadOnly);
    }
    let parent = path.parent().ok_or(Error::Exists)?;
    let _held = (core.enter(&cx, &path).await?, core.hold(&cx, &path, true).await?);
    if core.registry.lock().is_path_doomed(&parent) {
        return Err(Error::DeletePending);
    }
    let change = match node {
        NewNode::Symlink(target) => Change::Symlink { path: path.clone(), target, maker },
        NewNode::Special { special, mode } => {
            Change::MakeNode { path: path.clone(), node: special, mode, maker }
        }
    };
    let _changing = core.changing(&[&path]);
    let applied = core.volume.apply(&cx, &change).await.map_err(|error| match error.kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::PathNotFound,
        _ => error.into(),
    })?;
    let attr = match applied.attr {
        Some(attr) => attr,
        None => core.volume.stat(&cx, &path).await?,
    };
    core.made(&path, &attr, None);
    Ok(attr)
}

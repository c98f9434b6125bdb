//! Which volumes at `file://` have their tree for themselves in this node, so that what it changes there is changed by
//! way of them.

use super::{Origin, VolumeSettings};
use std::path::{Path, PathBuf};

/// Marks them. Two roots of which one is in the other share a tree, and so do a root and what the node keeps in it.
pub(super) fn mark(volumes: &mut [VolumeSettings], state: &Path) {
    let roots: Vec<Option<PathBuf>> = volumes.iter().map(|volume| root(volume).map(real)).collect();
    let caches = volumes.iter().filter_map(|volume| Some(real(&volume.cache.as_ref()?.directory)));
    let kept: Vec<PathBuf> = caches.chain([real(state)]).collect();
    for (at, volume) in volumes.iter_mut().enumerate() {
        let Some(own) = &roots[at] else { continue };
        let others =
            roots.iter().enumerate().filter(|(other, _)| *other != at).filter_map(|(_, root)| root.as_ref());
        volume.alone = !others.chain(&kept).any(|other| own.starts_with(other) || other.starts_with(own));
    }
}

fn root(volume: &VolumeSettings) -> Option<&Path> {
    match &volume.origin {
        Origin::File { root } => Some(root),
        Origin::Peer { .. } | Origin::Smb { .. } => None,
    }
}

/// Where a path leads. One of which that cannot be found out is taken as it stands: it cannot be served either, or is
/// made later in a directory that this node keeps for itself.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_its_tree_for_itself_unless_another_or_the_node_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/below", "ab", "state"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink("a/below", dir.path().join("link")).unwrap();
        let check = |roots: &[&str], state: &str, alone: &[bool]| {
            let volume =
                |root: &&str| VolumeSettings::plain(*root, Origin::File { root: dir.path().join(root) });
            let mut volumes: Vec<_> = roots.iter().map(volume).collect();
            mark(&mut volumes, &dir.path().join(state));
            let marked: Vec<bool> = volumes.iter().map(|volume| volume.alone).collect();
            assert_eq!(marked, alone, "{roots:?} {state}");
        };
        check(&["a", "ab"], "state", &[true, true]);
        check(&["a", "a/below", "ab"], "state", &[false, false, true]);
        check(&["a", "link"], "state", &[false, false]);
        check(&["a"], "a/state", &[false]);
        check(&["a"], "", &[false]);
    }
}

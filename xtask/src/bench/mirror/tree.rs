//! What a tree holds, and in what another differs from it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHUNK_BYTES: usize = 1 << 20;
/// At the root of a mirror of the product's.
const IN_THE_MAKING: &str = ".farshare-mirror";

/// Names below a root, and what is there.
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(PartialEq, Eq)]
struct Entry {
    /// Type and permissions.
    mode: u32,
    /// A file's, bytes.
    size: u64,
    /// A symbolic link's.
    target: Option<PathBuf>,
}

impl Tree {
    /// What goes while it is read is left out.
    pub fn read(root: &Path) -> Tree {
        let (mut entries, mut dirs) = (BTreeMap::new(), vec![PathBuf::new()]);
        while let Some(dir) = dirs.pop() {
            let Ok(listing) = fs::read_dir(root.join(&dir)) else { continue };
            for entry in listing.flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                let path = dir.join(entry.file_name());
                if path.as_os_str() == IN_THE_MAKING {
                    continue;
                }
                if metadata.is_dir() {
                    dirs.push(path.clone());
                }
                let size = if metadata.is_file() { metadata.len() } else { 0 };
                let target = metadata.is_symlink().then(|| fs::read_link(root.join(&path)).ok()).flatten();
                entries.insert(path, Entry { mode: metadata.mode(), size, target });
            }
        }
        Tree(entries)
    }

    /// Names that only one of the two has, or that are something else there.
    pub fn differing(&self, other: &Tree) -> Vec<PathBuf> {
        let mine = self.0.iter().filter(|(path, entry)| other.0.get(*path) != Some(entry));
        let theirs = other.0.keys().filter(|path| !self.0.contains_key(*path));
        mine.map(|(path, _)| path).chain(theirs).cloned().collect()
    }

    /// Files of this tree, read at `root`, that hold something else at `other`.
    pub fn contents_differing(&self, root: &Path, other: &Path) -> Vec<PathBuf> {
        let files = self.0.iter().filter(|(_, entry)| entry.mode & libc::S_IFMT == libc::S_IFREG);
        let same = |path: &Path| same_content(&root.join(path), &other.join(path)).unwrap_or(false);
        files.map(|(path, _)| path).filter(|path| !same(path)).cloned().collect()
    }
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let size = one.metadata()?.len();
    if size != other.metadata()?.len() {
        return Ok(false);
    }
    let mut left = size as usize;
    let mut buffers = [vec![0; left.min(CHUNK_BYTES)], vec![0; left.min(CHUNK_BYTES)]];
    while left > 0 {
        let count = left.min(CHUNK_BYTES);
        one.read_exact(&mut buffers[0][..count])?;
        other.read_exact(&mut buffers[1][..count])?;
        if buffers[0][..count] != buffers[1][..count] {
            return Ok(false);
        }
        left -= count;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let scratch = e2e::Scratch::new().unwrap();
        let roots = [scratch.dir("one").unwrap(), scratch.dir("other").unwrap()];
        for root in &roots {
            fs::create_dir(root.join("dir")).unwrap();
            fs::write(root.join("dir/same"), b"same").unwrap();
        }
        fs::write(roots[0].join("content"), b"one").unwrap();
        fs::write(roots[1].join("content"), b"two").unwrap();
        fs::write(roots[0].join("size"), b"one").unwrap();
        fs::write(roots[1].join("size"), b"three").unwrap();
        fs::write(roots[1].join("surplus"), b"").unwrap();
        let [one, other] = [Tree::read(&roots[0]), Tree::read(&roots[1])];
        assert_eq!(one.differing(&other), [PathBuf::from("size"), PathBuf::from("surplus")]);
        let differing = one.contents_differing(&roots[0], &roots[1]);
        assert_eq!(differing, [PathBuf::from("content"), PathBuf::from("size")]);
    }
}

//! What is mounted at the root and below it, out of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
//!
//! fanotify and inotify tell what goes through this kernel. So changes in a file system that others reach past it, over
//! a network or in a process that serves it, are not noticed, nor are those in one that is mounted over a directory after
//! that was watched. Both are looked for by names in this table, never in the file systems themselves: one that does not
//! answer would hold up the thread, and one that mounts when it is touched would be mounted.

use crate::name;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use volume::VPath;

/// File systems that nobody changes but through this kernel: on disks and in memory of this machine. All others are
/// not trusted: network and cluster file systems (`nfs`, `cifs`, `ceph`, `9p`, `gfs2`) are changed by other machines,
/// `fuse` by whatever its server does, `proc` and its like by the kernel without a word, `autofs` by a look at it.
const TRUSTED: [&str; 26] = [
    "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "hfsplus",
    "iso9660", "jfs", "msdos", "nilfs2", "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "squashfs",
    "tmpfs", "udf", "vfat", "xfs", "zfs",
];

/// What is mounted, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Mounts {
    /// The type of the root's own file system, where not everything is noticed in it.
    pub(super) deaf_root: Option<String>,
    pub(super) below: BTreeMap<VPath, Mounted>,
}

/// Something mounted below the root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mounted {
    /// The type of its file system.
    pub(super) kind: String,
    pub(super) heard: Heard,
    /// Which one: its number, and what of which device it shows.
    what: (u64, Vec<u8>, Vec<u8>),
}

/// What is noticed of changes in a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Everything: it is watched.
    All,
    /// There is nothing to notice, because nobody can write to it. It is not watched: snapshots come and go in this way
    /// when somebody looks into them.
    Still,
    /// Not everything. It is not watched, nor is what is mounted in it: on the way there is a file system that may not answer.
    Some,
    /// It shows directories that can be seen at another place below the root, too, or holds one that does. A directory has
    /// one watch, which tells of one place. It is not watched.
    Twice,
}

impl Heard {
    fn is_enough(self) -> bool {
        match self {
            Heard::All | Heard::Still => true,
            Heard::Some | Heard::Twice => false,
        }
    }
}

impl Mounts {
    /// What `table` says of a root, which is at `path` in the mount with this number.
    pub(super) fn of(table: &[u8], root: u64, path: &[u8]) -> Mounts {
        let lines: Vec<Line> = table.split(|&byte| byte == b'\n').filter_map(Line::parse).collect();
        let mut seen = seen(&lines, root, path);
        seen.sort_by(|one, other| one.point.cmp(&other.point));
        let own = lines.iter().find(|line| line.id == root);
        let deaf_root = match own {
            Some(line) => (!line.heard().is_enough()).then(|| line.kind.clone()),
            None => Some("one that is not in /proc/self/mountinfo".to_owned()),
        };
        let twice = own.map(|own| twice(own, &seen, path)).unwrap_or_default();
        let mut below = BTreeMap::new();
        // What is above comes first.
        let mut unwatched: HashSet<&[u8]> = HashSet::new();
        for line in seen {
            let heard = match line.heard() {
                Heard::All if upward(&line.point).any(|above| unwatched.contains(above)) => Heard::Some,
                Heard::All if twice.contains(&line.id) => Heard::Twice,
                heard => heard,
            };
            if heard != Heard::All {
                unwatched.insert(&line.point);
            }
            let what = (line.id, line.device.clone(), line.shows.clone());
            if let Some(place) = place(&line.point, path) {
                below.insert(place, Mounted { kind: line.kind.clone(), heard, what });
            }
        }
        Mounts { deaf_root, below }
    }

    /// What the root is in cannot be found out.
    pub(super) fn unknown(why: impl Debug) -> Mounts {
        Mounts { deaf_root: Some(format!("unknown: {why:?}")), ..Mounts::default() }
    }

    /// Whether everything is noticed.
    pub(super) fn are_heard(&self) -> bool {
        self.deaf_root.is_none() && self.deaf().next().is_none()
    }

    /// What is watched below the root.
    pub(super) fn watched(&self) -> impl Iterator<Item = (&VPath, &Mounted)> {
        self.below.iter().filter(|(_, mounted)| mounted.heard == Heard::All)
    }

    /// What is mounted below the root whose changes are not all noticed.
    pub(super) fn deaf(&self) -> impl Iterator<Item = (&VPath, &Mounted)> {
        self.below.iter().filter(|(_, mounted)| !mounted.heard.is_enough())
    }

    /// Whether under a path something is mounted that is not watched.
    pub(super) fn keep_out(&self, path: &VPath) -> bool {
        self.below.get(path).is_some_and(|mounted| mounted.heard != Heard::All)
    }
}

/// A line of the table.
struct Line {
    id: u64,
    parent: u64,
    device: Vec<u8>,
    /// The directory of the file system that is at the mount point.
    shows: Vec<u8>,
    point: Vec<u8>,
    kind: String,
    /// Nobody can write to the file system, by any mount.
    read_only: bool,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Line> {
        let mut words = line.split(|&byte| byte == b' ');
        let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
        let (id, parent) = (number()?, number()?);
        let (device, shows, point) =
            (words.next()?.to_vec(), unescaped(words.next()?), unescaped(words.next()?));
        // Options of the mount, then fields that end with a dash.
        let mut words = words.skip_while(|word| *word != b"-").skip(1);
        let kind = String::from_utf8_lossy(words.next()?).into_owned();
        let options = words.nth(1)?;
        let read_only = options.split(|&byte| byte == b',').any(|option| option == b"ro");
        Some(Line { id, parent, device, shows, point, kind, read_only })
    }

    fn heard(&self) -> Heard {
        match (TRUSTED.contains(&&*self.kind), self.read_only) {
            (true, false) => Heard::All,
            (true, true) => Heard::Still,
            (false, _) => Heard::Some,
        }
    }
}

/// Blanks and their like stand as `\` and three octal digits.
fn unescaped(mut word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    while let [first, rest @ ..] = word {
        let escaped = match (first, rest) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        word = if escaped.is_some() { &rest[3..] } else { rest };
    }
    bytes
}

/// What is left of a path below another; empty for that itself.
fn beyond<'a>(path: &'a [u8], top: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(before_slash(top))?;
    match rest {
        [] | [b'/'] => Some(b""),
        [b'/', ..] => Some(rest),
        _ => None,
    }
}

/// What comes before the slash of a path below this one.
fn before_slash(top: &[u8]) -> &[u8] {
    if top == b"/" { b"" } else { top }
}

/// A path and all that it is below, the longest first.
fn upward(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| {
        let slash = path.iter().rposition(|&byte| byte == b'/')?;
        (path.len() > 1).then(|| &path[..slash.max(1)])
    })
}

fn is_below(path: &[u8], top: &[u8]) -> bool {
    beyond(path, top).is_some_and(|rest| !rest.is_empty())
}

fn place(point: &[u8], root: &[u8]) -> Option<VPath> {
    let rest = beyond(point, root)?;
    // One that is too deep for a path is out of reach for everybody.
    VPath::parse(&name::from_disk(rest.strip_prefix(b"/").unwrap_or(rest))).ok()
}

/// The mounts below the root that are not covered by others.
fn seen<'a>(lines: &'a [Line], root: u64, path: &[u8]) -> Vec<&'a Line> {
    let mut mounts: HashMap<u64, Vec<&Line>> = HashMap::new();
    for line in lines.iter().filter(|line| line.parent != line.id) {
        mounts.entry(line.parent).or_default().push(line);
    }
    let on = |id: u64| mounts.get(&id).map_or(&[][..], Vec::as_slice);
    let below: Vec<&Line> = on(root).iter().filter(|line| is_below(&line.point, path)).copied().collect();
    let (mut seen, mut queue) = (Vec::new(), uncovered(&below));
    while let Some(line) = queue.pop() {
        match on(line.id).iter().find(|over| over.point == line.point) {
            Some(over) => queue.push(over),
            None => {
                seen.push(line);
                queue.extend(uncovered(on(line.id)));
            }
        }
    }
    seen
}

/// Of mounts on one mount those that are not below another.
fn uncovered<'a>(siblings: &[&'a Line]) -> Vec<&'a Line> {
    let points: HashSet<&[u8]> = siblings.iter().map(|line| &*line.point).collect();
    let covered = |line: &Line| upward(&line.point).skip(1).any(|above| points.contains(above));
    siblings.iter().filter(|line| !covered(line)).copied().collect()
}

/// A directory of a file system, and where it is seen.
struct Tree<'a> {
    id: u64,
    device: &'a [u8],
    shows: Vec<u8>,
    at: &'a [u8],
}

/// The mounts that show something which the root's mount, or one before them, shows too.
fn twice(own: &Line, seen: &[&Line], root: &[u8]) -> HashSet<u64> {
    // Of the root's mount no more than the root.
    let shows = joined(&own.shows, beyond(root, &own.point).unwrap_or_default());
    let mut trees = vec![Tree { id: own.id, device: &own.device, shows, at: root }];
    let below = |line| {
        let Line { id, device, shows, point, .. }: &Line = line;
        Tree { id: *id, device, shows: shows.clone(), at: point }
    };
    trees.extend(seen.iter().copied().map(below));
    let seen_at: HashMap<&[u8], u64> = trees.iter().map(|tree| (tree.at, tree.id)).collect();
    let top = |place: &[u8]| upward(place).find_map(|above| seen_at.get(above).copied());
    let is_in = |tree: &Tree<'_>, other: &Tree<'_>| {
        let rest = beyond(&tree.shows, &other.shows).filter(|_| tree.device == other.device);
        // Another mount may lie over it there; this very one, where a directory is mounted over itself.
        rest.is_some_and(|rest| top(&joined(other.at, rest)) == Some(other.id))
    };
    // By what they show, so that each is compared with those alone that may show the same: there may be thousands.
    let mut once: BTreeMap<(&[u8], &[u8]), Vec<&Tree<'_>>> = BTreeMap::new();
    let mut twice = HashSet::new();
    for tree in &trees {
        let above = upward(&tree.shows).filter_map(|shows| once.get(&(tree.device, shows)));
        let within = once.range((tree.device, &*tree.shows)..).take_while(|((device, shows), _)| {
            *device == tree.device && shows.starts_with(before_slash(&tree.shows))
        });
        let is_shown = above.flatten().any(|other| is_in(tree, other))
            || within.flat_map(|(_, others)| others).any(|other| is_in(other, tree));
        match is_shown {
            true => drop(twice.insert(tree.id)),
            false => once.entry((tree.device, &tree.shows)).or_default().push(tree),
        }
    }
    twice
}

fn joined(top: &[u8], rest: &[u8]) -> Vec<u8> {
    match [before_slash(top), rest].concat() {
        path if path.is_empty() => b"/".to_vec(),
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mounts below `/srv/share`, which is in mount 20, as `path kind heard`.
    fn check(table: &str, expect: &[&str]) -> Mounts {
        let mounts = Mounts::of(table.as_bytes(), 20, b"/srv/share");
        let line =
            |(path, mounted): (&VPath, &Mounted)| format!("{path} {} {:?}", mounted.kind, mounted.heard);
        assert_eq!(mounts.below.iter().map(line).collect::<Vec<_>>(), expect, "{table}");
        mounts
    }

    const ROOT: &str = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";

    #[test]
    fn what_is_heard() {
        for (kind, heard) in
            [("ext4", true), ("zfs", true), ("nfs4", false), ("fuse.sshfs", false), ("9p", false)]
        {
            let mounts = check(&format!("20 1 8:1 / / rw - {kind} x rw\n"), &[]);
            assert_eq!((mounts.are_heard(), mounts.deaf_root.is_none()), (heard, heard), "{kind}");
        }
        assert!(!check("21 1 8:1 / / rw - ext4 x rw\n", &[]).are_heard(), "of the root nothing is said");
        let below = "\
21 20 0:40 / /srv/share/a rw - tmpfs none rw,size=4k
22 20 0:41 /x /srv/share/snap/1 rw shared:3 master:4 - zfs tank@1 ro,xattr
23 20 0:42 / /srv/share/with\\040blank\\134 ro - nfs4 server:/x ro
24 20 0:43 / /srv/shared rw - fuse x rw
25 24 0:44 / /srv/shared/b rw - fuse x rw
";
        let found = ["a tmpfs All", "snap/1 zfs Still", "with blank\\ nfs4 Some"];
        let mounts = check(&format!("{ROOT}{below}"), &found);
        assert!(!mounts.are_heard() && mounts.deaf_root.is_none());
        assert_eq!(mounts.watched().count(), 1);
        let kept_out = |path: &str| mounts.keep_out(&VPath::parse(path).unwrap());
        assert!(kept_out("snap/1") && !kept_out("a") && !kept_out("b"));
    }

    #[test]
    fn only_what_is_seen_counts() {
        let below = "\
21 20 0:40 / /srv/share/a/deep rw - nfs4 x rw
22 20 0:41 / /srv/share/a rw - xfs x rw
23 22 0:42 / /srv/share/a rw - btrfs x rw
24 22 0:43 / /srv/share/a/covered rw - nfs4 x rw
25 23 0:44 / /srv/share/a/here rw - vfat x rw
26 20 0:45 / /srv/share rw - nfs4 x rw
27 26 0:46 / /srv/share/b rw - nfs4 x rw
";
        assert!(check(&format!("{ROOT}{below}"), &["a btrfs All", "a/here vfat All"]).are_heard());
    }

    #[test]
    fn nothing_is_heard_of_what_is_mounted_in_what_is_not_watched() {
        let below = "\
21 20 0:40 / /srv/share/far rw - nfs4 x rw
22 21 0:41 / /srv/share/far/disk rw - xfs x rw
23 22 0:42 / /srv/share/far/disk/deep ro - xfs x ro
24 20 0:43 / /srv/share/far-off rw - xfs x rw
";
        let found = ["far nfs4 Some", "far-off xfs All", "far/disk xfs Some", "far/disk/deep xfs Still"];
        check(&format!("{ROOT}{below}"), &found);
        let below = "\
21 20 0:40 / /srv/share/snap ro - zfs x ro
22 21 0:41 / /srv/share/snap/disk rw - xfs x rw
";
        let mounts = check(&format!("{ROOT}{below}"), &["snap zfs Still", "snap/disk xfs Some"]);
        assert!(!mounts.are_heard(), "somebody can write to what is in it");
    }

    /// The table is read in the thread that must empty inotify.
    #[test]
    fn many_mounts_are_told_apart_in_no_time() {
        const COUNT: usize = 20_000;
        for (device, shows) in [("0:N", "/"), ("0:1", "/user/N"), ("8:1", "/home/N")] {
            let line = |number: usize| {
                let line =
                    format!("9N 20 {device} {shows} /srv/share/home/N rw shared:N - zfs tank/N rw,xattr\n");
                line.replace('N', &number.to_string())
            };
            let table: String = std::iter::once(ROOT.to_owned()).chain((0..COUNT).map(line)).collect();
            let start = std::time::Instant::now();
            assert_eq!(Mounts::of(table.as_bytes(), 20, b"/srv/share").watched().count(), COUNT);
            assert!(start.elapsed().as_secs() < 10, "{device} took {:?}", start.elapsed());
        }
    }

    #[test]
    fn directories_that_are_seen_twice() {
        let twice = |lines: &str| {
            let mounts = Mounts::of(format!("{ROOT}{lines}").as_bytes(), 20, b"/srv/share");
            let twice = mounts.below.iter().find(|(_, mounted)| mounted.heard == Heard::Twice);
            assert_eq!(mounts.are_heard(), twice.is_none());
            twice.map(|(path, _)| path.to_string())
        };
        for (lines, expect) in [
            ("21 20 8:1 /srv/share/a /srv/share/b rw - ext4 x rw", Some("b")),
            ("21 20 8:1 /srv /srv/share/b rw - ext4 x rw", Some("b")),
            (
                "21 20 8:2 /x /srv/share/a rw - ext4 x rw\n22 20 8:2 /x/y /srv/share/b rw - ext4 x rw",
                Some("b"),
            ),
            (
                "21 20 8:2 /x/y /srv/share/a rw - ext4 x rw\n22 20 8:2 /x /srv/share/b rw - ext4 x rw",
                Some("b"),
            ),
            ("21 20 8:2 /x /srv/share/a rw - ext4 x rw\n22 20 8:2 /xy /srv/share/b rw - ext4 x rw", None),
            ("21 20 8:1 /elsewhere /srv/share/a rw - ext4 x rw", None),
            ("21 20 8:1 /srv/share/a /srv/share/a rw - ext4 x rw", None),
            (
                "21 20 0:9 / /srv/share/a rw - tmpfs x rw\n22 20 8:1 /srv/share/a /srv/share/b rw - ext4 x rw",
                None,
            ),
        ] {
            assert_eq!(twice(lines).as_deref(), expect, "{lines}");
        }
    }
}

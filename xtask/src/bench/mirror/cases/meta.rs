//! Metadata, kinds of files and names that are no text: what of them arrives.

use super::super::run::{Run, Scale};
use super::{Case, failed};
use crate::run::Outcome;
use std::ffi::{CString, OsStr};
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PATIENCE: Duration = Duration::from_secs(8);
const TIME: Duration = Duration::new(1_600_000_001, 123_456_789);
const OWNER: (u32, u32) = (1234, 4321);
const SPARSE_BYTES: u64 = 8 << 20;
const BLOCK: [u8; 4096] = [7; 4096];
const XATTR: (&str, &[u8]) = ("user.note", b"value");
const ACL: &str = "system.posix_acl_access";
const NEWLINE: &[u8] = b"new\nline";
const NOT_UTF_8: &[u8] = b"bytes-\xff\xfe";

pub const META: Case = Case {
    name: "meta",
    what: "what arrives of what a tree can hold (all of it is aimed at, times as fine as the target can hold them)",
    prepare,
    run: meta,
    aims: &[],
    far_aims: &[],
    floor: false,
};

/// By name, and whether a mirror's root has it as it was made.
type Check = (&'static str, fn(&Path) -> bool);

const CHECKS: [Check; 14] = [
    ("mode 4751", |root| mode_is(&root.join("mode"), 0o4751)),
    ("mtime, seconds", |root| holds(&root.join("time"), |file| file.mtime() == TIME.as_secs() as i64)),
    ("mtime, nanoseconds", |root| {
        holds(&root.join("time"), |file| file.mtime_nsec() == i64::from(TIME.subsec_nanos()))
    }),
    ("mtime of a directory", |root| holds(&root.join("dir"), |dir| dir.mtime() == TIME.as_secs() as i64)),
    ("owner and group", |root| holds(&root.join("owner"), |file| (file.uid(), file.gid()) == OWNER)),
    ("extended attribute", |root| xattr(&root.join("xattr"), XATTR.0).as_deref() == Some(XATTR.1)),
    ("ACL", |root| xattr(&root.join("acl"), ACL) == Some(acl())),
    ("symbolic link", |root| fs::read_link(root.join("link")).is_ok_and(|to| to == Path::new("mode"))),
    ("dangling symbolic link", |root| {
        fs::read_link(root.join("dangling")).is_ok_and(|to| to == Path::new("no/where"))
    }),
    ("hard link", |root| {
        let inode = |name: &str| fs::metadata(root.join(name)).map(|file| file.ino()).ok();
        inode("hard-1").is_some() && inode("hard-1") == inode("hard-2")
    }),
    ("sparse file", |root| {
        holds(&root.join("sparse"), |file| {
            file.len() == SPARSE_BYTES && file.blocks() * 512 < SPARSE_BYTES / 4
        })
    }),
    ("name with a newline", |root| root.join(OsStr::from_bytes(NEWLINE)).exists()),
    ("name that is not UTF-8", |root| root.join(OsStr::from_bytes(NOT_UTF_8)).exists()),
    ("fifo", |root| holds(&root.join("fifo"), |fifo| fifo.file_type().is_fifo())),
];

fn prepare(source: &Path, _scale: &Scale) -> Outcome {
    let path = source.join("later");
    fs::write(&path, BLOCK)
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o644)))
        .map_err(failed(&path))
}

fn meta(run: &mut Run<'_>) -> Outcome {
    run.settle()?;
    make(run.tool.work())?;
    let roots: Vec<PathBuf> = run.site.mirrors.iter().map(|mirror| mirror.root.clone()).collect();
    let everywhere = |check: fn(&Path) -> bool| roots.iter().all(|root| check(root));
    run.work_until(PATIENCE, &|| CHECKS.iter().all(|(_, check)| everywhere(*check)));
    for (name, check) in CHECKS {
        run.word(name, arrived(everywhere(check)));
    }
    let later = run.tool.work().join("later");
    fs::set_permissions(&later, Permissions::from_mode(0o640)).map_err(failed(&later))?;
    let chmod: fn(&Path) -> bool = |root| mode_is(&root.join("later"), 0o640);
    let chmod = run.work_until(PATIENCE, &|| everywhere(chmod));
    run.word("later change of mode", arrived(chmod));
    Ok(())
}

fn arrived(it_did: bool) -> &'static str {
    if it_did { "yes" } else { "no" }
}

fn make(root: &Path) -> Outcome {
    let made = || -> std::io::Result<()> {
        for name in ["mode", "time", "owner", "xattr", "acl", "hard-1"] {
            fs::write(root.join(name), BLOCK)?;
        }
        for name in [NEWLINE, NOT_UTF_8] {
            fs::write(root.join(OsStr::from_bytes(name)), BLOCK)?;
        }
        fs::set_permissions(root.join("mode"), Permissions::from_mode(0o4751))?;
        File::open(root.join("time"))?.set_modified(SystemTime::UNIX_EPOCH + TIME)?;
        fs::create_dir(root.join("dir"))?;
        fs::write(root.join("dir/entry"), BLOCK)?;
        File::open(root.join("dir"))?.set_modified(SystemTime::UNIX_EPOCH + TIME)?;
        chown(root.join("owner"), Some(OWNER.0), Some(OWNER.1))?;
        set_xattr(&root.join("xattr"), XATTR.0, XATTR.1)?;
        set_xattr(&root.join("acl"), ACL, &acl())?;
        symlink("mode", root.join("link"))?;
        symlink("no/where", root.join("dangling"))?;
        fs::hard_link(root.join("hard-1"), root.join("hard-2"))?;
        let sparse = File::create(root.join("sparse"))?;
        sparse.write_all_at(&BLOCK, SPARSE_BYTES - BLOCK.len() as u64)?;
        make_fifo(&root.join("fifo"))
    };
    made().map_err(failed(root))
}

/// Of user 1234 to read, besides the usual three (the kernel's form: version 2, then tag, permissions, id).
fn acl() -> Vec<u8> {
    let nobody = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 6, nobody), (0x02, 4, OWNER.0), (0x04, 4, nobody), (0x10, 4, nobody), (0x20, 4, nobody)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn holds(path: &Path, what: impl FnOnce(&Metadata) -> bool) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| what(&metadata))
}

fn mode_is(path: &Path, mode: u32) -> bool {
    holds(path, |file| file.mode() & 0o7777 == mode)
}

fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("none of ours has a zero in it")
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) -> std::io::Result<()> {
    let (path, name) = (c_string(path.as_os_str().as_bytes()), c_string(name.as_bytes()));
    // SAFETY: both strings and the value live here.
    let set = unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (c_string(path.as_os_str().as_bytes()), c_string(name.as_bytes()));
    let mut value = vec![0; 256];
    // SAFETY: both strings live here, and so does the value, of this length.
    let length =
        unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

fn make_fifo(path: &Path) -> std::io::Result<()> {
    let path = c_string(path.as_os_str().as_bytes());
    // SAFETY: the string lives here.
    let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    if made == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

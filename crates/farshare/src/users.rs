//! Who may log in: `<state>/users`, mode 0600, replaced in one step.
//!
//! ```text
//! # farshare users 1
//! alice:8846f7eaee8fb117ad06bdd830b7586c
//! ```
//!
//! A line is a name and the NT hash of the password (MS-NLMP 3.3.1, MD4 of its UTF-16 form): NTLM proves the
//! possession of this hash and of nothing else, so a server must keep it, and whoever reads it can log in with it.
//! Hence the mode, and no other place for it. Names compare without case.
//!
//! [`UserTable`] looks at the file whenever somebody logs in and reads it again if it has changed: adding,
//! removing and new passwords are in force for the next login. Sessions that exist go on.

use rustix::fs::FlockOperation;
use smb_core::ntlm::{NtHash, nt_hash};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use zeroize::Zeroizing;

/// The file's name in the state directory.
pub const FILE: &str = "users";
const HEAD: &str = "# farshare users 1";
/// Longest user name, characters.
pub const NAME_MAX: usize = 64;
/// Most users in one file.
pub const USERS_MAX: usize = 50_000;
/// Largest users file, bytes: so many users with the longest names.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The users by name in lower case, with the name as written.
type Table = BTreeMap<String, (String, NtHash)>;

/// The users file, for changing it.
pub struct UserFile {
    path: PathBuf,
}

impl UserFile {
    /// In the state directory `state`, which need not exist yet.
    pub fn in_state(state: &Path) -> UserFile {
        UserFile { path: state.join(FILE) }
    }

    /// Names as written, in order. Empty when there is no file yet.
    pub fn names(&self) -> Result<Vec<String>, String> {
        Ok(self.read()?.into_values().map(|(name, _)| name).collect())
    }

    /// Adds somebody; an error when the name is taken.
    pub fn add(&self, name: &str, password: &str) -> Result<(), String> {
        check_name(name)?;
        self.change(|table| {
            if table.contains_key(&name.to_lowercase()) {
                return Err(format!(
                    "there is a user {name:?} already; `farshare user passwd {name}` gives a new password"
                ));
            }
            table.insert(name.to_lowercase(), (name.to_owned(), hash(password)?));
            Ok(())
        })
    }

    /// Gives somebody a new password; an error when there is no such user.
    pub fn set_password(&self, name: &str, password: &str) -> Result<(), String> {
        self.change(|table| match table.get_mut(&name.to_lowercase()) {
            Some((_, old)) => {
                *old = hash(password)?;
                Ok(())
            }
            None => Err(format!("no user {name:?}; `farshare user add {name}` adds one")),
        })
    }

    /// Adds somebody or gives a new password.
    pub fn put(&self, name: &str, password: &str) -> Result<(), String> {
        check_name(name)?;
        self.change(|table| {
            table.insert(name.to_lowercase(), (name.to_owned(), hash(password)?));
            Ok(())
        })
    }

    pub fn remove(&self, name: &str) -> Result<(), String> {
        self.change(|table| match table.remove(&name.to_lowercase()) {
            Some(_) => Ok(()),
            None => Err(format!("no user {name:?}")),
        })
    }

    fn read(&self) -> Result<Table, String> {
        match std::fs::metadata(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Table::new()),
            _ => read(&self.path),
        }
    }

    /// Reads, changes and replaces the file, one process at a time.
    fn change(&self, change: impl FnOnce(&mut Table) -> Result<(), String>) -> Result<(), String> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let failed = |cause: io::Error| format!("{}: {cause}", self.path.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(false).mode(0o600);
        let lock = how.open(self.path.with_extension("lock")).map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|cause| failed(cause.into()))?;
        let mut table = self.read()?;
        change(&mut table)?;
        if table.len() > USERS_MAX {
            return Err(format!("{}: more than {USERS_MAX} users", self.path.display()));
        }
        write(&self.path, dir, &table).map_err(failed)
    }
}

fn write(path: &Path, dir: &Path, table: &Table) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".users.").tempfile_in(dir)?;
    let mut text = Zeroizing::new(format!("{HEAD}\n"));
    for (name, hash) in table.values() {
        text.push_str(name);
        text.push(':');
        for byte in hash.as_bytes() {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    File::open(dir)?.sync_all()
}

fn read(path: &Path) -> Result<Table, String> {
    let shown = path.display();
    let text = crate::config::read_private(path, FILE_MAX_BYTES)?;
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err(format!("{shown}:1: not a users file of this version; it begins with `{HEAD}`"));
    }
    let mut table = Table::new();
    for (nth, line) in lines.enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = line.split_once(':').and_then(|(name, hash)| Some((name, unhex(hash)?)));
        let Some((name, hash)) = entry.filter(|(name, _)| check_name(name).is_ok()) else {
            return Err(format!("{shown}:{}: not NAME:HASH with 32 hexadecimal digits", nth + 2));
        };
        if table.insert(name.to_lowercase(), (name.to_owned(), hash)).is_some() {
            return Err(format!("{shown}:{}: {name:?} is there twice", nth + 2));
        }
    }
    Ok(table)
}

fn unhex(text: &str) -> Option<NtHash> {
    let digits = text.as_bytes();
    let mut hash = Zeroizing::new([0; 16]);
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(NtHash::from(*hash))
}

/// What Windows takes as an account name, and nothing that breaks the file.
pub fn check_name(name: &str) -> Result<(), String> {
    let reserved = |c: char| c.is_control() || "\"/\\[]:;|=,+*?<>@".contains(c);
    let length = name.chars().count();
    if (1..=NAME_MAX).contains(&length)
        && !name.contains(reserved)
        && name.trim() == name
        && !name.starts_with('#')
    {
        return Ok(());
    }
    let mend = format!("take 1 to {NAME_MAX} characters, none of \" / \\ [ ] : ; | = , + * ? < > @");
    Err(format!("{name:?} is not a user's name; {mend}"))
}

fn hash(password: &str) -> Result<NtHash, String> {
    if password.is_empty() {
        return Err("an empty password; clients treat that as a guest".into());
    }
    Ok(nt_hash(password))
}

/// The users as a server asks for them.
pub struct UserTable {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    stamp: Option<Stamp>,
    table: Table,
}

/// What changes with every replacement of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl UserTable {
    /// Reads the file once; later changes are seen by themselves. A missing file has no users.
    pub fn open(state: &Path) -> Result<UserTable, String> {
        let file = UserFile::in_state(state);
        file.read()?;
        Ok(UserTable { path: file.path, seen: Mutex::new(Seen::default()) })
    }

    /// The hash of somebody's password. Nobody is known while the file cannot be read.
    pub fn nt_hash(&self, name: &str) -> Option<NtHash> {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let stamp = std::fs::metadata(&self.path).ok().map(|meta| Stamp {
            inode: meta.ino(),
            size: meta.size(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        });
        if seen.stamp != stamp {
            seen.stamp = stamp;
            seen.table = match stamp.map(|_| read(&self.path)) {
                Some(Ok(table)) => table,
                Some(Err(why)) => {
                    tracing::error!(%why, "nobody can log in until the users file is mended");
                    Table::new()
                }
                None => Table::new(),
            };
        }
        seen.table.get(&name.to_lowercase()).map(|(_, hash)| hash.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Password "password", from MS-NLMP test vectors in wide use.
    const PASSWORD: &str = "8846f7eaee8fb117ad06bdd830b7586c";

    fn is_password(hash: Option<NtHash>) -> bool {
        hash.unwrap().as_bytes() == unhex(PASSWORD).unwrap().as_bytes()
    }

    #[test]
    fn users_come_and_go_and_are_seen_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let file = UserFile::in_state(&state);
        let table = UserTable::open(&state).unwrap();
        assert!(table.nt_hash("alice").is_none());

        file.add("Alice", "password").unwrap();
        let text = std::fs::read_to_string(&file.path).unwrap();
        assert_eq!(text, format!("{HEAD}\nAlice:{PASSWORD}\n"));
        assert!(is_password(table.nt_hash("aLICE")));
        assert!(file.add("ALICE", "x").unwrap_err().contains("user passwd"));

        file.set_password("alice", "other").unwrap();
        assert!(!is_password(table.nt_hash("alice")));
        assert!(file.set_password("bob", "x").unwrap_err().contains("user add"));

        file.put("bob", "x").unwrap();
        assert_eq!(file.names().unwrap(), ["Alice", "bob"]);
        file.remove("ALICE").unwrap();
        assert!(table.nt_hash("alice").is_none());
        assert!(file.remove("alice").is_err());

        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn names_that_break_the_file_or_windows_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::in_state(dir.path());
        for bad in ["", " a", "a:b", "a\nb", "a\\b", "a@b", "#a", &"x".repeat(65)] {
            assert!(file.add(bad, "x").unwrap_err().contains("not a user's name"), "{bad:?}");
        }
        assert!(file.add("a", "").unwrap_err().contains("empty password"));
        assert!(!file.path.exists());
    }

    #[test]
    fn a_file_that_others_read_or_that_is_broken_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::in_state(dir.path());
        file.add("alice", "password").unwrap();
        let table = UserTable::open(dir.path()).unwrap();
        assert!(table.nt_hash("alice").is_some());
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(table.nt_hash("alice").is_none());
        assert!(file.names().unwrap_err().contains("chmod 600"));
        assert!(UserTable::open(dir.path()).is_err());

        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file.path, format!("{HEAD}\nalice:123\n")).unwrap();
        assert!(file.names().unwrap_err().contains("users:2: not NAME:HASH"));
        std::fs::write(&file.path, "alice\n").unwrap();
        assert!(file.names().unwrap_err().contains("users:1: not a users file"));
    }
}

//! Who may log in: `<state>/users`, mode 0600, replaced in one step.
//!
//! ```text
//! # farshare users 2
//! next 1001
//! alice:8846f7eaee8fb117ad06bdd830b7586c:1000
//! ```
//!
//! A line is a name, the NT hash of the password (MS-NLMP 3.3.1, MD4 of its UTF-16 form) and a number. NTLM proves the
//! possession of the hash and of nothing else, so a server must keep it, and whoever reads it can log in with it.
//! Hence the mode, and no other place for it. Names compare without case.
//!
//! Security descriptors name a user by the number (the last part of the SID), so it stays the user's for ever: `next`
//! is the first that nobody ever had. A user who is added by hand gets a number when the file is next written, at the
//! latest when the user logs in; version 1 of the file had no numbers.
//!
//! [`UserTable`] looks at the file whenever somebody logs in and reads it again if it has changed: adding,
//! removing and new passwords are in force for the next login. Sessions that exist go on.

use crate::config::check_account_name;
use front_smb::{KnownUser, USER_NUMBER_MAX};
use rustix::fs::FlockOperation;
use smb_core::names::folded_user;
use smb_core::ntlm::{NtHash, nt_hash};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The file's name in the state directory.
pub const FILE: &str = "users";
const HEAD: &str = "# farshare users 2";
const HEAD_1: &str = "# farshare users 1";
/// The line with the first number that is free.
const NEXT: &str = "next ";
/// The first number of all, as Windows counts users.
const NUMBER_MIN: u32 = 1000;
/// Most users in one file.
pub const USERS_MAX: usize = 50_000;
/// Largest users file, bytes: so many users with the longest names.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One user.
#[derive(Clone)]
struct User {
    /// As written.
    name: String,
    hash: NtHash,
    /// `None` until the file is next written.
    number: Option<u32>,
}

/// The users by name, folded.
struct Table {
    users: BTreeMap<String, User>,
    /// The first number that nobody ever had.
    next: u32,
}

impl Default for Table {
    fn default() -> Table {
        Table { users: BTreeMap::new(), next: NUMBER_MIN }
    }
}

impl Table {
    /// Adds somebody, or gives a new password.
    fn put(&mut self, name: &str, hash: NtHash) {
        let key = folded_user(name);
        let number = self.users.get(&key).and_then(|user| user.number);
        self.users.insert(key, User { name: name.to_owned(), hash, number });
    }

    /// Gives a number to whoever has none.
    fn number(&mut self) -> Result<(), String> {
        for user in self.users.values_mut().filter(|user| user.number.is_none()) {
            if self.next > USER_NUMBER_MAX {
                return Err("no number is left for a further user".into());
            }
            user.number = Some(self.next);
            self.next += 1;
        }
        Ok(())
    }

    /// Those who have a number.
    fn known(&self) -> Arc<[KnownUser]> {
        let known = |user: &User| Some(KnownUser { name: user.name.clone(), number: user.number? });
        self.users.values().filter_map(known).collect()
    }

    fn is_numbered(&self) -> bool {
        self.users.values().all(|user| user.number.is_some())
    }
}

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
        Ok(self.read()?.users.into_values().map(|user| user.name).collect())
    }

    /// Adds somebody; an error when the name is taken.
    pub fn add(&self, name: &str, password: &str) -> Result<(), String> {
        check_account_name(name)?;
        self.change(|table| {
            if table.users.contains_key(&folded_user(name)) {
                return Err(format!(
                    "there is a user {name:?} already; `farshare user passwd {name}` gives a new password"
                ));
            }
            table.put(name, hash(password)?);
            Ok(())
        })
    }

    /// Gives somebody a new password; an error when there is no such user.
    pub fn set_password(&self, name: &str, password: &str) -> Result<(), String> {
        self.change(|table| match table.users.get_mut(&folded_user(name)) {
            Some(user) => {
                user.hash = hash(password)?;
                Ok(())
            }
            None => Err(format!("no user {name:?}; `farshare user add {name}` adds one")),
        })
    }

    /// Adds somebody or gives a new password.
    pub fn put(&self, name: &str, password: &str) -> Result<(), String> {
        check_account_name(name)?;
        self.change(|table| {
            table.put(name, hash(password)?);
            Ok(())
        })
    }

    pub fn remove(&self, name: &str) -> Result<(), String> {
        self.change(|table| match table.users.remove(&folded_user(name)) {
            Some(_) => Ok(()),
            None => Err(format!("no user {name:?}")),
        })
    }

    fn read(&self) -> Result<Table, String> {
        match std::fs::metadata(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Table::default()),
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
        table.number()?;
        if table.users.len() > USERS_MAX {
            return Err(format!("{}: more than {USERS_MAX} users", self.path.display()));
        }
        write(&self.path, dir, &table).map_err(failed)
    }
}

fn write(path: &Path, dir: &Path, table: &Table) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".users.").tempfile_in(dir)?;
    let mut text = Zeroizing::new(format!("{HEAD}\n{NEXT}{}\n", table.next));
    for User { name, hash, number } in table.users.values() {
        text.push_str(name);
        text.push(':');
        for byte in hash.as_bytes() {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        if let Some(number) = number {
            text.push_str(&format!(":{number}"));
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
    if !matches!(lines.next(), Some(HEAD | HEAD_1)) {
        return Err(format!("{shown}:1: not a users file of this version; it begins with `{HEAD}`"));
    }
    let (mut table, mut numbers) = (Table::default(), HashSet::new());
    for (nth, line) in lines.enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(next) = line.strip_prefix(NEXT).filter(|_| !line.contains(':')) {
            let next = next.parse().map_err(|_| format!("{shown}:{}: not a number: {next:?}", nth + 2))?;
            table.next = table.next.max(next);
            continue;
        }
        let Some(user) = user_of(line) else {
            return Err(format!(
                "{shown}:{}: not NAME:HASH or NAME:HASH:NUMBER with 32 hexadecimal digits",
                nth + 2
            ));
        };
        if user.number.is_some_and(|number| !numbers.insert(number)) {
            return Err(format!("{shown}:{}: another user has this number", nth + 2));
        }
        let name = user.name.clone();
        // Behind the numbers in use, whatever the file says.
        table.next = user.number.map_or(table.next, |number| table.next.max(number.saturating_add(1)));
        if table.users.insert(folded_user(&name), user).is_some() {
            return Err(format!("{shown}:{}: {name:?} is there twice", nth + 2));
        }
    }
    Ok(table)
}

fn user_of(line: &str) -> Option<User> {
    let (name, rest) = line.split_once(':')?;
    check_account_name(name).ok()?;
    let (hash, number) = match rest.split_once(':') {
        Some((hash, number)) => (
            hash,
            Some(number.parse().ok().filter(|number| (NUMBER_MIN..=USER_NUMBER_MAX).contains(number))?),
        ),
        None => (rest, None),
    };
    Some(User { name: name.to_owned(), hash: unhex(hash)?, number })
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

fn hash(password: &str) -> Result<NtHash, String> {
    if password.is_empty() {
        return Err("an empty password; clients treat that as a guest".into());
    }
    Ok(nt_hash(password))
}

/// The users as a server asks for them.
pub struct UserTable {
    file: UserFile,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    stamp: Option<Stamp>,
    /// The file is there, and cannot be read.
    broken: bool,
    table: Table,
    all: Arc<[KnownUser]>,
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
        Ok(UserTable { file, seen: Mutex::new(Seen::default()) })
    }

    /// The hash of somebody's password. Nobody is known while the file cannot be read.
    pub fn nt_hash(&self, name: &str) -> Option<NtHash> {
        self.user(name).map(|user| user.hash)
    }

    /// Somebody's number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.user(name).and_then(|user| user.number)
    }

    /// Whether the file can be read: else who is not found in it may be a user.
    pub fn is_readable(&self) -> bool {
        !self.seen().broken
    }

    /// All of them: the same list as long as the file is the same.
    pub fn all(&self) -> Arc<[KnownUser]> {
        Arc::clone(&self.seen().all)
    }

    fn user(&self, name: &str) -> Option<User> {
        self.seen().table.users.get(&folded_user(name)).cloned()
    }

    /// What the file says now.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before reading: what changes meanwhile is read again.
        let stamp = self.stamp();
        if seen.stamp != stamp {
            let table = self.read();
            seen.stamp = stamp;
            seen.broken = table.is_err();
            seen.table = table.unwrap_or_else(|why| {
                tracing::error!(%why, "nobody can log in until the users file is mended");
                Table::default()
            });
            seen.all = seen.table.known();
        }
        seen
    }

    fn stamp(&self) -> Option<Stamp> {
        let meta = std::fs::metadata(&self.file.path).ok()?;
        Some(Stamp { inode: meta.ino(), size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }

    /// The users, each with a number.
    fn read(&self) -> Result<Table, String> {
        let table = self.file.read()?;
        if table.is_numbered() {
            return Ok(table);
        }
        self.file.change(|_| Ok(()))?;
        self.file.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    /// Password "password", from MS-NLMP test vectors in wide use.
    const PASSWORD: &str = "8846f7eaee8fb117ad06bdd830b7586c";

    fn is_password(hash: Option<NtHash>) -> bool {
        hash.unwrap().as_bytes() == unhex(PASSWORD).unwrap().as_bytes()
    }

    #[test]
    fn the_list_of_users_is_made_once_for_each_state_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::in_state(dir.path());
        file.add("alice", "password").unwrap();
        let table = UserTable::open(dir.path()).unwrap();
        let first = table.all();
        assert_eq!(*first, [KnownUser { name: "alice".into(), number: NUMBER_MIN }]);
        assert!(Arc::ptr_eq(&first, &table.all()));
        file.add("bob", "password").unwrap();
        assert_eq!(table.all().len(), 2);
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
        assert_eq!(text, format!("{HEAD}\nnext 1001\nAlice:{PASSWORD}:1000\n"));
        assert_eq!(table.number("alice"), Some(1000));
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

        file.add("alice", "password").unwrap();
        assert_eq!(
            (table.number("bob"), table.number("alice")),
            (Some(1001), Some(1002)),
            "nobody becomes another"
        );
        file.remove("alice").unwrap();

        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn who_has_no_number_gets_one_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::in_state(dir.path());
        let write = |text: &str| {
            std::fs::write(&file.path, text).unwrap();
            std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write(&format!("{HEAD_1}\nbob:{PASSWORD}\nalice:{PASSWORD}\n"));
        let table = UserTable::open(dir.path()).unwrap();
        assert_eq!((table.number("alice"), table.number("bob")), (Some(1000), Some(1001)));
        file.remove("alice").unwrap();
        assert_eq!((table.number("alice"), table.number("bob")), (None, Some(1001)));
        write(&format!("{HEAD}\nbob:{PASSWORD}:5000\ncarol:{PASSWORD}\n"));
        assert_eq!(table.number("carol"), Some(5001));
        write(&format!("{HEAD}\nbob:{PASSWORD}:5000\ncarol:{PASSWORD}:5000\n"));
        assert!(file.names().unwrap_err().contains("another user has this number"));
        write(&format!("{HEAD}\nbob:{PASSWORD}:500\n"));
        assert!(file.names().unwrap_err().contains("users:2: not NAME:HASH"));
    }

    /// It is read while others who log in wait. Each line looked for among all the others takes minutes.
    #[test]
    fn a_file_with_as_many_users_as_there_may_be_is_read_in_a_moment() {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::in_state(dir.path());
        let mut text = format!("{HEAD}\nnext {}\n", NUMBER_MIN + USERS_MAX as u32);
        for nth in 0..USERS_MAX as u32 {
            text.push_str(&format!("user{nth}:{PASSWORD}:{}\n", NUMBER_MIN + nth));
        }
        std::fs::write(&file.path, text).unwrap();
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let table = UserTable::open(dir.path()).unwrap();
        let begun = Instant::now();
        assert_eq!(table.all().len(), USERS_MAX);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
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
        assert!(!table.is_readable(), "she is a user all the same");
        assert!(file.names().unwrap_err().contains("chmod 600"));
        assert!(UserTable::open(dir.path()).is_err());

        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file.path, format!("{HEAD}\nalice:123\n")).unwrap();
        assert!(file.names().unwrap_err().contains("users:2: not NAME:HASH"));
        std::fs::write(&file.path, "alice\n").unwrap();
        assert!(file.names().unwrap_err().contains("users:1: not a users file"));
    }
}

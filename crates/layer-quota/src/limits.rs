//! What holds for all users, and the limits of single ones: kept in one small file, see `docs/formats/quota-limits.md`.

use crate::config::LIMITS_MAX_BYTES;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use volume::{
    Error, ErrorKind, QUOTA_USER_MAX_BYTES, QuotaChange, QuotaFlags, QuotaRules, Result, Time, UserQuota,
    check_quota_users,
};

const VERSION: u32 = 1;

/// By default what holds where nothing was ever set.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) rules: QuotaRules,
    pub(crate) own: BTreeMap<Bytes, Own>,
}

/// The limits of one user.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Own {
    pub(crate) changed: Time,
    pub(crate) threshold: u64,
    pub(crate) limit: u64,
}

impl Limits {
    /// These with a change; nothing of it where it cannot be.
    pub(crate) fn with(&self, change: &QuotaChange) -> Result<Limits> {
        let mut limits = self.clone();
        match change {
            QuotaChange::Rules(rules) => limits.rules = rules.as_set(),
            QuotaChange::Users(users) => {
                check_quota_users("set_quotas", users.iter().map(|user| &user.user))?;
                for UserQuota { user, threshold, limit, .. } in users {
                    if *limit == UserQuota::FORGET {
                        limits.own.remove(user);
                    } else {
                        let own = Own { changed: Time::now(), threshold: *threshold, limit: *limit };
                        limits.own.insert(user.clone(), own);
                    }
                }
            }
        }
        Ok(limits)
    }

    /// The most that a user may have.
    pub(crate) fn limit_of(&self, user: &Bytes) -> u64 {
        self.own.get(user).map_or(self.rules.limit, |own| own.limit)
    }

    /// What is in the file; the default where there is none.
    pub(crate) fn read(path: &Path) -> Result<Limits> {
        let failed = |why: &dyn std::fmt::Display| {
            let error = Error::new(ErrorKind::Io, "read the limits of quotas", path.display());
            Err(error.because(why.to_string()))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Limits::default()),
            Err(e) => return failed(&e),
        };
        let mut text = Vec::new();
        match file.take(LIMITS_MAX_BYTES + 1).read_to_end(&mut text) {
            Ok(length) if length as u64 > LIMITS_MAX_BYTES => return failed(&"it is too long"),
            Ok(_) => {}
            Err(e) => return failed(&e),
        }
        match parse(&text) {
            Ok(limits) => Ok(limits),
            Err(why) => failed(&why),
        }
    }

    /// Replaces the file in one step; when this returns it is on the medium.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        self.replace(path).map_err(|e| {
            let kind = match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge => ErrorKind::NoSpace,
                _ => ErrorKind::Io,
            };
            Error::new(kind, "write the limits of quotas", path.display()).because(e)
        })
    }

    fn replace(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&Kept::of(self))?;
        if text.len() as u64 > LIMITS_MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "limits of so many users are not kept"));
        }
        let new = new_path(path);
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Where a change is written before it takes the place of the file.
fn new_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    track: bool,
    enforce: bool,
    threshold: Option<u64>,
    limit: Option<u64>,
    users: Vec<KeptUser>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptUser {
    user: String,
    changed: u64,
    threshold: Option<u64>,
    limit: Option<u64>,
}

/// What any version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Kept {
    fn of(limits: &Limits) -> Kept {
        let bytes = |bytes: u64| Some(bytes).filter(|bytes| *bytes != UserQuota::UNLIMITED);
        let user = |(user, own): (&Bytes, &Own)| KeptUser {
            user: hexadecimal(user),
            changed: own.changed.0,
            threshold: bytes(own.threshold),
            limit: bytes(own.limit),
        };
        Kept {
            version: VERSION,
            track: limits.rules.flags.contains(QuotaFlags::TRACK),
            enforce: limits.rules.flags.contains(QuotaFlags::ENFORCE),
            threshold: bytes(limits.rules.threshold),
            limit: bytes(limits.rules.limit),
            users: limits.own.iter().map(user).collect(),
        }
    }
}

fn parse(text: &[u8]) -> Result<Limits, String> {
    let Versioned { version } = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if version != VERSION {
        return Err(format!("its version is {version}, this program knows {VERSION}"));
    }
    let kept: Kept = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if kept.enforce && !kept.track {
        return Err("it enforces without tracking".to_owned());
    }
    let bytes = |bytes: Option<u64>| bytes.unwrap_or(UserQuota::UNLIMITED);
    let mut flags = QuotaFlags::empty();
    flags.set(QuotaFlags::TRACK, kept.track);
    flags.set(QuotaFlags::ENFORCE, kept.enforce);
    let rules = QuotaRules { flags, threshold: bytes(kept.threshold), limit: bytes(kept.limit) };
    let mut own = BTreeMap::new();
    for KeptUser { user, changed, threshold, limit } in kept.users {
        let sid = sid(&user).ok_or_else(|| format!("{user:?} is no SID"))?;
        let limits = Own { changed: Time(changed), threshold: bytes(threshold), limit: bytes(limit) };
        if own.insert(sid, limits).is_some() {
            return Err(format!("the user {user} is there twice"));
        }
    }
    Ok(Limits { rules, own })
}

/// The bytes of a user as they stand in the file, and in errors.
pub(crate) fn hexadecimal(user: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    user.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn sid(text: &str) -> Option<Bytes> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    let bytes = bytes.filter(|bytes| rest.is_empty() && !bytes.is_empty());
    bytes.filter(|bytes| bytes.len() <= QUOTA_USER_MAX_BYTES).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Limits {
        let user = |user: &'static [u8], threshold, limit| UserQuota {
            user: Bytes::from_static(user),
            changed: Time(0),
            used: 0,
            threshold,
            limit,
        };
        let users = vec![user(b"\x01\xff", 1, u64::MAX), user(&[7; 68], u64::MAX, u64::MAX - 2)];
        let rules = QuotaRules { flags: QuotaFlags::all() - QuotaFlags::TRACK, threshold: 5, limit: 1 << 60 };
        let limits = Limits::default().with(&QuotaChange::Users(users)).unwrap();
        limits.with(&QuotaChange::Rules(rules)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quotas.json");
        assert_eq!(Limits::read(&path).unwrap(), Limits::default());
        // Left over by a program that ended while it wrote.
        std::fs::write(new_path(&path), "{\"version\": 1, \"tra").unwrap();
        assert_eq!(Limits::read(&path).unwrap(), Limits::default());
        for limits in [some(), Limits::default()] {
            limits.write(&path).unwrap();
            assert_eq!(Limits::read(&path).unwrap(), limits);
            assert!(!new_path(&path).exists());
        }
        assert_eq!(some().rules.flags, QuotaFlags::SETTABLE);
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quotas.json");
        let good = String::from_utf8(serde_json::to_vec(&Kept::of(&some())).unwrap()).unwrap();
        let check = |text: &str, why: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Limits::read(&path).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        };
        check("", "EOF");
        check(&good[..good.len() - 1], "EOF");
        check("{\"version\": 2, \"later\": true}", "its version is 2");
        check(&good.replace("\"track\"", "\"trick\""), "trick");
        check(&good.replace("\"track\":true", "\"track\":false"), "enforces without tracking");
        check(&good.replace("01ff", "01f"), "no SID");
        check(&good.replace("01ff", "01fg"), "no SID");
        check(&good.replace("01ff", ""), "no SID");
        check(&good.replace("01ff", &"07".repeat(68)), "twice");
        check(&good.replace("01ff", &"07".repeat(69)), "no SID");
    }

    #[test]
    fn a_limit_that_is_forgotten_is_that_of_all() {
        let limits = some();
        let user = Bytes::from_static(&[7; 68]);
        assert_eq!(limits.limit_of(&user), u64::MAX - 2);
        let forget = UserQuota {
            user: user.clone(),
            changed: Time(0),
            used: 0,
            threshold: 0,
            limit: UserQuota::FORGET,
        };
        let limits = limits.with(&QuotaChange::Users(vec![forget])).unwrap();
        assert_eq!(limits.limit_of(&user), 1 << 60);
    }
}

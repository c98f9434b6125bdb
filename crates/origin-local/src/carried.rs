//! What objects carry besides their content, as extended attributes of users.
//!
//! | value | attribute |
//! |---|---|
//! | `Named::Extended(n)` | `user.n`: what Linux users set is seen, and the other way round |
//! | `Named::System(n)` | `n`, with [`crate::LocalConfig::posix`] |
//! | `Named::Stream(n)` | `user.farshare.stream.n` |
//! | `Named::Descriptor` | `user.farshare.security` |
//!
//! What begins `user.farshare.` is ours: no client sees it as an extended attribute, nor can it set one there. Names
//! that are not UTF-8 are mapped as names of files are (`name.rs`).
//!
//! **Flags.** Which kinds there may be stands in `user.farshare.attr`, which every look reads. Under the lock that
//! keeps changes of extras apart a flag is set before the first value of its kind and taken away after the last, so
//! that it never says less than there is, also when the process ends in between. Extended attributes that others
//! set have no flag.

use crate::attributes::{self, Extra, Keeps};
use crate::beneath::{Patience, ProcPath};
use crate::error::{Failure, Outcome};
use crate::name;
use crate::volume::Disk;
use bytes::Bytes;
use rustix::fd::OwnedFd;
use rustix::fs::{XattrFlags, getxattr, getxattr_query, listxattr, listxattr_query, removexattr, setxattr};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use volume::{Attr, Carries, ErrorKind, FileId, Named, NamedEntry, VPath};

/// Largest value that Linux takes (`XATTR_SIZE_MAX`), bytes; most file systems have less room.
pub const NAMED_MAX_BYTES: u32 = 64 * 1024;
/// Longest name of an extended attribute (`XATTR_NAME_MAX`), its prefix included, bytes.
const XATTR_NAME_MAX_BYTES: usize = 255;
/// Times a value or a list that grows meanwhile is read again.
const GROWTH_RETRIES: usize = 8;

const USER: &[u8] = b"user.";
const OURS: &[u8] = b"user.farshare.";
const STREAM: &[u8] = b"user.farshare.stream.";
const DESCRIPTOR: &[u8] = b"user.farshare.security";

/// The attribute that holds a value.
fn attribute_of(name: &Named, posix: bool) -> Outcome<CString> {
    name.check()?;
    let bytes = match name {
        Named::Extended(name) => [USER, &name::to_disk(name)?].concat(),
        Named::System(name) if posix && !name.starts_with("user.") => name::to_disk(name)?.into_owned(),
        Named::System(_) => return Err(ErrorKind::Unsupported.into()),
        Named::Stream(name) => [STREAM, &name::to_disk(name)?].concat(),
        Named::Descriptor => DESCRIPTOR.to_vec(),
    };
    if bytes.len() > XATTR_NAME_MAX_BYTES {
        return Err(ErrorKind::NameTooLong.into());
    }
    if matches!(name, Named::Extended(_)) && bytes.starts_with(OURS) {
        return Err(ErrorKind::InvalidName.into());
    }
    Ok(CString::new(bytes).map_err(|_| ErrorKind::InvalidName)?)
}

/// The value that an attribute holds; `None` for those that are no client's affair.
fn named_of(attribute: &[u8], posix: bool) -> Option<Named> {
    if posix && !attribute.starts_with(USER) {
        return Some(Named::system(&*name::from_disk(attribute)));
    }
    if attribute == DESCRIPTOR {
        return Some(Named::Descriptor);
    }
    if let Some(stream) = attribute.strip_prefix(STREAM) {
        return Some(Named::stream(&*name::from_disk(stream)));
    }
    let name = attribute.strip_prefix(USER).filter(|_| !attribute.starts_with(OURS))?;
    Some(Named::extended(&*name::from_disk(name)))
}

/// Reads what may grow between asking for its length and for itself.
fn read_whole(
    length: impl Fn() -> Result<usize, Errno>,
    read: impl Fn(&mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    for _ in 0..GROWTH_RETRIES {
        let mut buffer = vec![0; length()?];
        if buffer.is_empty() {
            return Ok(buffer);
        }
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::AGAIN)
}

/// The names of all extended attributes.
fn attributes_on(handle: &OwnedFd) -> Outcome<Vec<Vec<u8>>> {
    let path = ProcPath::of(handle);
    let all = match read_whole(|| listxattr_query(path.bytes()), |buffer| listxattr(path.bytes(), buffer)) {
        Err(Errno::OPNOTSUPP) => Vec::new(),
        result => result?,
    };
    Ok(all.split(|&byte| byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Which kinds of values are there.
fn kinds_on(handle: &OwnedFd) -> Outcome<Carries> {
    let attributes = attributes_on(handle)?;
    let kinds = attributes.iter().filter_map(|attribute| named_of(attribute, false)).map(|name| name.kind());
    Ok(kinds.fold(Carries::empty(), |all, kind| all | kind))
}

/// What a refusal to store a value means. `E2BIG` and `ERANGE` are what file systems say of one that they cannot
/// hold; the length of the name was looked at before.
fn no_room(errno: Errno) -> Failure {
    match errno {
        Errno::TOOBIG | Errno::RANGE => ErrorKind::NoSpace.into(),
        errno => errno.into(),
    }
}

impl Disk {
    /// A file or directory that can carry something, if it is the one expected; or any object where that is of the
    /// operating `systems`.
    fn carrier(
        &self,
        path: &VPath,
        expect: Option<FileId>,
        systems: bool,
        patience: Patience,
    ) -> Outcome<OwnedFd> {
        let handle = self.root.handle(path, patience)?;
        let stat = attributes::look(&handle)?;
        crate::changes::expected(expect, attributes::id_of(&stat))?;
        let users = self.keeps.extras && attributes::can_have_extra(attributes::kind_of(&stat));
        match users || systems {
            true => Ok(handle),
            false => Err(ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn carried(
        &self,
        path: &VPath,
        expect: Option<FileId>,
        name: &Named,
        keeps: Keeps,
        patience: Patience,
    ) -> Outcome<Option<Bytes>> {
        let handle = self.carrier(path, expect, is_systems(name) && keeps.posix, patience)?;
        let attribute = match attribute_of(name, keeps.posix) {
            Ok(attribute) => attribute,
            // What cannot be set is not there.
            Err(Failure::Kind(ErrorKind::InvalidName | ErrorKind::NameTooLong)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let path = ProcPath::of(&handle);
        let length = || getxattr_query(path.bytes(), &*attribute);
        match read_whole(length, |buffer| getxattr(path.bytes(), &*attribute, buffer)) {
            Ok(value) => Ok(Some(value.into())),
            Err(Errno::NODATA) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(crate) fn list_carried(
        &self,
        path: &VPath,
        expect: Option<FileId>,
        keeps: Keeps,
    ) -> Outcome<Vec<NamedEntry>> {
        let handle = self.carrier(path, expect, keeps.posix, Patience::Disk)?;
        let path = ProcPath::of(&handle);
        let mut entries = Vec::new();
        for attribute in attributes_on(&handle)? {
            let Some(name) = named_of(&attribute, keeps.posix) else { continue };
            match getxattr_query(path.bytes(), &attribute[..]) {
                Ok(size) => entries.push(NamedEntry { name, size: size as u64 }),
                // It went away since the names were read.
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(entries)
    }

    pub(crate) fn set_carried(
        &self,
        (path, name): (&VPath, &Named),
        value: Option<&Bytes>,
        expect: Option<FileId>,
        keeps: Keeps,
        patience: Patience,
    ) -> Outcome<Attr> {
        let handle = self.carrier(path, expect, is_systems(name) && keeps.posix, patience)?;
        let attribute = attribute_of(name, keeps.posix)?;
        if value.is_some_and(|value| value.len() > NAMED_MAX_BYTES as usize) {
            return Err(ErrorKind::NoSpace.into());
        }
        if is_systems(name) {
            set_attribute(&handle, &attribute, value)?;
            return attributes::attr_of_handle(&handle, self.keeps);
        }
        let _one_at_a_time = self.setting_extras.lock();
        if value.is_some() {
            let present = Extra::of(&handle)?;
            present.storing(&handle, Extra { carries: present.carries | name.kind(), ..present })?;
        }
        let done = set_attribute(&handle, &attribute, value);
        let flagged = match value.is_some() && done.is_ok() {
            true => Ok(()),
            false => lower_flag(&handle, name.kind()),
        };
        done.and(flagged)?;
        attributes::attr_of_handle(&handle, self.keeps)
    }
}

fn set_attribute(handle: &OwnedFd, attribute: &CStr, value: Option<&Bytes>) -> Outcome<()> {
    let path = ProcPath::of(handle);
    match value {
        Some(value) => setxattr(path.bytes(), attribute, value, XattrFlags::empty()).map_err(no_room),
        None => match removexattr(path.bytes(), attribute) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(errno) => Err(errno.into()),
        },
    }
}

fn is_systems(name: &Named) -> bool {
    matches!(name, Named::System(_))
}

/// Takes the flag of a kind away when no value of it is left.
fn lower_flag(handle: &OwnedFd, kind: Carries) -> Outcome<()> {
    let present = Extra::of(handle)?;
    let carries = present.carries.difference(kind) | kinds_on(handle)?;
    present.storing(handle, Extra { carries, ..present })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_an_attribute_of_its_own() {
        for (name, attribute) in [
            (Named::extended("origin"), &b"user.origin"[..]),
            (Named::extended("farshare"), b"user.farshare"),
            (Named::extended("caf\u{efe9}"), b"user.caf\xe9"),
            (Named::stream("security"), b"user.farshare.stream.security"),
            (Named::Descriptor, b"user.farshare.security"),
        ] {
            assert_eq!(attribute_of(&name, false).unwrap().as_bytes(), attribute);
            assert_eq!(named_of(attribute, true), Some(name));
        }
    }

    #[test]
    fn what_is_ours_is_no_clients_affair() {
        for ours in ["attr", "security", "stream.s", "stream.", "later"] {
            let name = Named::extended(format!("farshare.{ours}"));
            assert_eq!(attribute_of(&name, true), Err(ErrorKind::InvalidName.into()), "{name}");
        }
        assert_eq!(named_of(b"user.farshare.attr", true), None);
        assert_eq!(named_of(b"user.farshare.later", true), None);
        let ours = Named::system("user.farshare.attr");
        assert_eq!(attribute_of(&ours, true), Err(ErrorKind::Unsupported.into()));
    }

    #[test]
    fn what_is_the_systems_is_a_posix_callers_affair_alone() {
        for attribute in ["security.selinux", "trusted.overlay.opaque", "system.posix_acl_access"] {
            let name = Named::system(attribute);
            assert_eq!(named_of(attribute.as_bytes(), false), None);
            assert_eq!(attribute_of(&name, false), Err(ErrorKind::Unsupported.into()));
            assert_eq!(attribute_of(&name, true).unwrap().as_bytes(), attribute.as_bytes());
            assert_eq!(named_of(attribute.as_bytes(), true), Some(name));
        }
    }

    #[test]
    fn the_longest_names() {
        let check = |name: Named, fits: bool| assert_eq!(attribute_of(&name, false).is_ok(), fits, "{name}");
        check(Named::extended("n".repeat(250)), true);
        check(Named::extended("n".repeat(251)), false);
        check(Named::stream("n".repeat(234)), true);
        check(Named::stream("n".repeat(235)), false);
    }
}

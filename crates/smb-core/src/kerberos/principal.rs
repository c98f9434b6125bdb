//! Names in Kerberos, and what they are called here.
//!
//! A principal is a name of one part or several, in a realm: `alice@EXAMPLE.COM`, `cifs/files.example.com@EXAMPLE.COM`.
//! Users of the server's own realm are known by the name alone, so that `alice` is the same person by password and by
//! ticket; those of other realms keep the realm. No account name has an `@`, so the two never meet.

use aws_lc_rs::digest;
use smb_wire::Sid;
use std::fmt;

/// Most parts of a name.
const MAX_PARTS: usize = 8;
/// Longest part and longest realm, in bytes.
const MAX_PART_LEN: usize = 256;
/// The first part of names that mean nobody (RFC 8062 3.1).
const WELL_KNOWN: &str = "WELLKNOWN";

/// Who has a key of the realm: a user or a service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Principal {
    parts: Vec<String>,
    realm: String,
}

impl Principal {
    /// From its bytes. `None` when there are too many parts or too long ones, or when they have characters that
    /// would make the written name another one.
    pub fn new<'p>(parts: impl IntoIterator<Item = &'p [u8]>, realm: &[u8]) -> Option<Principal> {
        let parts: Vec<String> = parts.into_iter().take(MAX_PARTS + 1).map(text).collect::<Option<_>>()?;
        let fits = (1..=MAX_PARTS).contains(&parts.len());
        fits.then_some(Principal { parts, realm: text(realm)? })
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The name without its realm.
    pub fn name(&self) -> String {
        self.parts.join("/")
    }

    /// The parts of the name: of a service what it is, then where.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// A SID for somebody whom no domain has given one: `S-1-5-21-a-b-c-1000`, with `a-b-c` out of a hash of the name in
    /// lower case. Two names have one SID as seldom as two files one hash.
    pub fn sid(&self) -> Sid {
        const NT_AUTHORITY: u64 = 5;
        const NON_UNIQUE: u32 = 21;
        const FIRST_USER: u32 = 1000;
        let hash = digest::digest(&digest::SHA256, self.to_string().to_lowercase().as_bytes());
        let part =
            |at: usize| hash.as_ref()[at..at + 4].iter().fold(0, |part, byte| part << 8 | u32::from(*byte));
        let parts = [NON_UNIQUE, part(0), part(4), part(8), FIRST_USER];
        Sid::new(NT_AUTHORITY, &parts).expect("five parts fit")
    }

    /// Whether it stands for anybody who did not say who.
    pub fn is_nobody(&self) -> bool {
        self.parts[0] == WELL_KNOWN || self.realm.starts_with(WELL_KNOWN)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.parts.join("/"), self.realm)
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = (1..=MAX_PART_LEN).contains(&text.len());
    let breaks = |c: char| c.is_control() || matches!(c, '/' | '@' | '\\');
    (fits && !text.contains(breaks)).then(|| text.to_owned())
}

/// Whose users may log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Realms {
    /// The realm whose users are known by their names alone.
    pub own: String,
    /// Realms whose users are known as `user@REALM`.
    pub trusted: Vec<String>,
}

impl Realms {
    /// What a user is called here; `None` when the realm is none of ours. Realms differ by case.
    pub fn user(&self, principal: &Principal) -> Option<String> {
        if principal.realm == self.own {
            Some(principal.name())
        } else if self.trusted.contains(&principal.realm) {
            Some(principal.to_string())
        } else {
            None
        }
    }

    /// As people may be written down for the server, `alice` or `alice@EXAMPLE.COM`, to what they are called here.
    pub fn plain<'n>(&self, written: &'n str) -> &'n str {
        match written.rsplit_once('@') {
            Some((name, realm)) if realm == self.own => name,
            _ => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(parts: &[&str], realm: &str) -> Option<Principal> {
        Principal::new(parts.iter().map(|part| part.as_bytes()), realm.as_bytes())
    }

    #[test]
    fn the_own_realm_is_left_out_and_others_are_kept_or_refused() {
        let realms = Realms { own: "HOME.TEST".into(), trusted: vec!["FAR.TEST".into()] };
        let user = |parts: &[&str], realm| realms.user(&principal(parts, realm).unwrap());
        assert_eq!(user(&["alice"], "HOME.TEST").as_deref(), Some("alice"));
        assert_eq!(user(&["host", "web"], "HOME.TEST").as_deref(), Some("host/web"));
        assert_eq!(user(&["alice"], "FAR.TEST").as_deref(), Some("alice@FAR.TEST"));
        assert_eq!(user(&["alice"], "home.test"), None, "another realm");
        assert_eq!(realms.plain("alice@HOME.TEST"), "alice");
        assert_eq!(realms.plain("alice@FAR.TEST"), "alice@FAR.TEST");
    }

    #[test]
    fn a_name_that_reads_as_another_is_refused() {
        for parts in [&["alice@FAR.TEST"][..], &["a/b"], &["a\\b"], &["a\n"], &[""], &[]] {
            assert_eq!(principal(parts, "HOME.TEST"), None, "{parts:?}");
        }
        assert_eq!(principal(&["x"; MAX_PARTS + 1], "HOME.TEST"), None);
        assert!(principal(&["WELLKNOWN", "ANONYMOUS"], "HOME.TEST").unwrap().is_nobody());
    }
}

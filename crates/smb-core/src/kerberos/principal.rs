//! Names in Kerberos, and what they are called here.
//!
//! A principal is a name of one part or several, in a realm: `alice@EXAMPLE.COM`, `cifs/files.example.com@EXAMPLE.COM`.
//! Users of the server's own realm are known by the name alone, so that `alice` is the same person by password and by
//! ticket; those of other realms keep the realm. No account name has an `@`, so the two never meet.
//!
//! In a domain it is the SID that says who somebody is, and names are another matter: any user may make accounts for
//! machines there, under names that the domain does not have, but that this server may. So who comes with a SID keeps the
//! realm too, whichever it is, unless the operator says that names mean the same here and there.

use crate::names::same_user;
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
    /// lower case, unless that is another user's name. Two names have one SID as seldom as two files one hash.
    pub fn sid(&self) -> Sid {
        const NT_AUTHORITY: u64 = 5;
        const NON_UNIQUE: u32 = 21;
        const FIRST_USER: u32 = 1000;
        let name = self.to_string();
        let lower = Some(name.to_lowercase()).filter(|lower| same_user(lower, &name)).unwrap_or(name);
        let hash = digest::digest(&digest::SHA256, lower.as_bytes());
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

/// Whose users may log in, and what they are called here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Realms {
    /// The realm whose users are known by their names alone, where it says nothing of SIDs.
    pub own: String,
    /// Realms whose users are known as `user@REALM`.
    pub trusted: Vec<String>,
    /// Whether a ticket without a PAC is refused.
    pub needs_pac: bool,
    /// Whether users of the own realm are known by their names alone although they have SIDs.
    pub local_names: bool,
}

impl Realms {
    /// Takes tickets of this realm alone, and none without a PAC.
    pub fn only(own: impl Into<String>) -> Realms {
        Realms { own: own.into(), trusted: Vec::new(), needs_pac: true, local_names: false }
    }

    /// What a user is called here; `None` when the realm is none of ours. Realms differ by case. `has_sid`: the realm
    /// has told it.
    pub fn user(&self, principal: &Principal, has_sid: bool) -> Option<String> {
        let is_own = principal.realm == self.own;
        if is_own && (self.local_names || !has_sid) {
            Some(principal.name())
        } else if is_own || self.trusted.contains(&principal.realm) {
            Some(principal.to_string())
        } else {
            None
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
        let realms = Realms { trusted: vec!["FAR.TEST".into()], ..Realms::only("HOME.TEST") };
        let user = |parts: &[&str], realm| realms.user(&principal(parts, realm).unwrap(), false);
        assert_eq!(user(&["alice"], "HOME.TEST").as_deref(), Some("alice"));
        assert_eq!(user(&["host", "web"], "HOME.TEST").as_deref(), Some("host/web"));
        assert_eq!(user(&["alice"], "FAR.TEST").as_deref(), Some("alice@FAR.TEST"));
        assert_eq!(user(&["alice"], "home.test"), None, "another realm");
    }

    #[test]
    fn who_has_a_sid_keeps_the_realm_unless_names_mean_the_same_here() {
        let alice = principal(&["alice"], "HOME.TEST").unwrap();
        let mut realms = Realms::only("HOME.TEST");
        assert_eq!(realms.user(&alice, true).as_deref(), Some("alice@HOME.TEST"));
        realms.local_names = true;
        assert_eq!(realms.user(&alice, true).as_deref(), Some("alice"));
        let far = principal(&["alice"], "FAR.TEST").unwrap();
        realms.trusted = vec!["FAR.TEST".into()];
        assert_eq!(realms.user(&far, true).as_deref(), Some("alice@FAR.TEST"), "of the own realm alone");
    }

    #[test]
    fn a_sid_out_of_a_name_is_of_all_its_spellings_and_of_no_other_name() {
        let sid = |name: &str| principal(&[name], "HOME.TEST").unwrap().sid();
        assert_eq!((sid("Kate"), sid("Jürgen")), (sid("kATE"), sid("JÜRGEN")));
        assert_ne!(sid("\u{212A}ate"), sid("kate"));
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

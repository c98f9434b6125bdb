//! Who is meant in the configuration: users by name, and by the SID of themselves or of one of their groups.
//!
//! `alice@EXAMPLE.COM` is who comes with a ticket for that name, whatever she is called here then; the `alice` who gives a
//! password is somebody else.

use smb_core::access::Token;
use smb_core::names::folded_user;
use smb_wire::Sid;

/// Some users.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct People {
    /// Folded.
    names: Vec<String>,
    sids: Vec<Sid>,
}

impl People {
    /// As they are written: what reads as a SID is one.
    pub fn new<S: AsRef<str>>(written: impl IntoIterator<Item = S>) -> People {
        let mut people = People::default();
        for written in written {
            match written.as_ref().parse() {
                Ok(sid) => people.sids.push(sid),
                Err(_) => people.names.push(folded_user(written.as_ref())),
            }
        }
        people
    }

    /// Whether nobody is meant.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.sids.is_empty()
    }

    /// Whether somebody is among them; `principal` is what a ticket calls the user.
    pub(crate) fn has(&self, user: &str, principal: Option<&str>, token: &Token) -> bool {
        let mut names = [Some(user), principal].into_iter().flatten();
        names.any(|name| self.names.contains(&folded_user(name)))
            || self.sids.iter().any(|sid| token.contains(sid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_core::access::Privileges;

    #[test]
    fn somebody_is_meant_by_name_or_by_a_group() {
        let sid = |text: &str| text.parse::<Sid>().unwrap();
        let token = Token::authenticated(
            sid("S-1-5-21-1-2-3-1100"),
            vec![sid("S-1-5-21-1-2-3-513"), sid("S-1-5-21-1-2-3-1105")],
            Privileges::empty(),
        );
        let has = |written: &[&str]| People::new(written).has("Alice", None, &token);
        assert!(has(&["bob", "aLICE"]) && has(&["S-1-5-21-1-2-3-1105"]) && has(&["S-1-5-21-1-2-3-1100"]));
        assert!(!has(&["bob", "S-1-5-21-1-2-3-1106"]) && !has(&[]));
        let by_ticket = |written: &str| People::new([written]).has("Alice", Some("Alice@HOME.TEST"), &token);
        assert!(by_ticket("alice@HOME.TEST") && by_ticket("alice") && !by_ticket("alice@FAR.TEST"));
        assert!(!has(&["alice@HOME.TEST"]), "by password she is somebody else");
    }
}

//! What new files and directories inherit. The tables are what Windows does, as smbtorture's `smb2.acls`
//! (INHERITANCE, INHERITFLAGS) and the rules of inheritance in MS-DTYP 2.5.3.4 describe it.

use crate::access::{acl, descriptor, sid, user};
use proptest::prelude::*;
use smb_core::access::{Denied, Privileges, Token, inherit};
use smb_wire::{
    AccessMask, NtStatus,
    security_descriptor::{Ace, AceFlags, AceType, Acl, Control, SecurityDescriptor},
};

fn child(parent: &[&str], is_dir: bool) -> SecurityDescriptor {
    inherit(Some(&descriptor("system", parent)), None, &user(), is_dir).unwrap()
}

const DEFAULT: [&str; 2] = ["allow;;0x1f01ff;user", "allow;;0x1f01ff;system"];

/// Flags of an entry for CREATOR OWNER in the parent; entries of a file and of a directory made in there.
const INHERITANCE: &[(&str, &[&str], &[&str])] = &[
    ("", &DEFAULT, &DEFAULT),
    ("OI", &["allow;;0x2;user"], &["allow;OI IO;0x2;creator owner"]),
    ("CI", &DEFAULT, &["allow;;0x2;user", "allow;CI IO;0x2;creator owner"]),
    ("OI CI", &["allow;;0x2;user"], &["allow;;0x2;user", "allow;OI CI IO;0x2;creator owner"]),
    ("NP", &DEFAULT, &DEFAULT),
    ("NP OI", &["allow;;0x2;user"], &DEFAULT),
    ("NP CI", &DEFAULT, &["allow;;0x2;user"]),
    ("NP CI OI", &["allow;;0x2;user"], &["allow;;0x2;user"]),
    ("IO", &DEFAULT, &DEFAULT),
    ("IO OI", &["allow;;0x2;user"], &["allow;OI IO;0x2;creator owner"]),
    ("IO CI", &DEFAULT, &["allow;;0x2;user", "allow;CI IO;0x2;creator owner"]),
    ("IO CI OI", &["allow;;0x2;user"], &["allow;;0x2;user", "allow;OI CI IO;0x2;creator owner"]),
    ("IO NP", &DEFAULT, &DEFAULT),
    ("IO NP OI", &["allow;;0x2;user"], &DEFAULT),
    ("IO NP CI", &DEFAULT, &["allow;;0x2;user"]),
    ("IO NP CI OI", &["allow;;0x2;user"], &["allow;;0x2;user"]),
];

#[test]
fn flags_decide_what_is_inherited() {
    for (flags, file, dir) in INHERITANCE {
        let parent = [&*format!("allow;{flags};0x2;creator owner"), "allow;;0x1f00ff;everyone"];
        assert_eq!(child(&parent, false).dacl, Some(acl(file)), "file under {flags}");
        assert_eq!(child(&parent, true).dacl, Some(acl(dir)), "directory under {flags}");
    }
}

#[test]
fn plain_entries_are_passed_on_whole() {
    let parent = ["allow;CI OI;0x1;group", "deny;OI IO;0x2;everyone", "allow;CI NP;0x4;everyone"];
    let dir = ["allow;CI OI;0x1;group", "deny;OI IO;0x2;everyone", "allow;;0x4;everyone"];
    assert_eq!(child(&parent, true).dacl, Some(acl(&dir)));
    assert_eq!(child(&parent, false).dacl, Some(acl(&["allow;;0x1;group", "deny;;0x2;everyone"])));
    let parent = ["allow;CI OI;0x80000000;creator group"];
    let dir = ["allow;;0x120089;group", "allow;CI OI IO;0x80000000;creator group"];
    assert_eq!(child(&parent, true).dacl, Some(acl(&dir)));
    assert_eq!(child(&parent, false).dacl, Some(acl(&["allow;;0x120089;group"])));
}

#[test]
fn a_new_object_belongs_to_its_maker() {
    let made = inherit(None, None, &user(), false).unwrap();
    assert_eq!((made.owner, made.group), (Some(sid("user")), Some(sid("group"))));
    assert_eq!(made.dacl, Some(acl(&DEFAULT)));
    assert!(made.control.contains(Control::DACL_PRESENT) && made.sacl.is_none());
}

/// smb2.acls INHERITFLAGS: children of a directory that takes part in automatic inheritance say so.
#[test]
fn automatic_inheritance_marks_what_it_gives() {
    let mut parent = descriptor("user", &["allow;OI CI;0x40002;user", "allow;;0x1f00ff;everyone"]);
    parent.control.insert(Control::DACL_AUTO_INHERITED | Control::DACL_PROTECTED);
    let made = inherit(Some(&parent), None, &user(), false).unwrap();
    assert_eq!(made.dacl, Some(acl(&["allow;ID;0x40002;user"])));
    let expect = Control::DACL_PRESENT | Control::DACL_AUTO_INHERITED | Control::SELF_RELATIVE;
    assert_eq!(made.control, expect, "protected is not passed on");

    parent.control.remove(Control::DACL_AUTO_INHERITED);
    parent.dacl = Some(acl(&["allow;OI CI ID;0x40002;user"]));
    let made = inherit(Some(&parent), None, &user(), true).unwrap();
    assert_eq!(made.dacl, Some(acl(&["allow;OI CI;0x40002;user"])));
    assert!(!made.control.contains(Control::DACL_AUTO_INHERITED));
}

#[test]
fn what_the_creator_asks_for_comes_first() {
    let mut parent = descriptor("system", &["allow;OI CI;0x1;group"]);
    let creator = descriptor("user", &["allow;;0x2;user", "allow;ID;0x4;user"]);
    let plain = inherit(Some(&parent), Some(&creator), &user(), false).unwrap();
    assert_eq!(plain.dacl, creator.dacl, "without automatic inheritance: as asked for");

    parent.control.insert(Control::DACL_AUTO_INHERITED);
    let merged = inherit(Some(&parent), Some(&creator), &user(), false).unwrap();
    assert_eq!(merged.dacl, Some(acl(&["allow;;0x2;user", "allow;ID;0x1;group"])));
    assert!(merged.control.contains(Control::DACL_AUTO_INHERITED));

    let mut protected = creator.clone();
    protected.control.insert(Control::DACL_PROTECTED);
    let shut = inherit(Some(&parent), Some(&protected), &user(), false).unwrap();
    assert_eq!(shut.dacl, Some(acl(&["allow;;0x2;user", "allow;;0x4;user"])));
    assert!(shut.control.contains(Control::DACL_PROTECTED));
    assert!(!shut.control.contains(Control::DACL_AUTO_INHERITED));

    let mut null = creator.clone();
    null.dacl = None;
    let open = inherit(Some(&parent), Some(&null), &user(), false).unwrap();
    assert!(open.dacl.is_none() && open.control.contains(Control::DACL_PRESENT));

    // smb2.create NULLDACL: a descriptor without a list asks for none.
    let empty = SecurityDescriptor::default();
    let made = inherit(Some(&parent), Some(&empty), &user(), false).unwrap();
    assert_eq!(made.dacl, Some(acl(&["allow;ID;0x1;group"])));
}

#[test]
fn creators_may_name_creators() {
    let creator = descriptor("user", &["allow;CI;0x40000000;creator owner", "allow;CI IO;0x1;creator owner"]);
    let dir = inherit(None, Some(&creator), &user(), true).unwrap();
    let expect =
        ["allow;;0x120116;user", "allow;CI IO;0x40000000;creator owner", "allow;CI IO;0x1;creator owner"];
    assert_eq!(dir.dacl, Some(acl(&expect)));
}

#[test]
fn owners_and_system_lists_need_privileges() {
    let stranger = descriptor("stranger", &[]);
    assert_eq!(inherit(None, Some(&stranger), &user(), false), Err(Denied::Owner));
    assert_eq!(Denied::Owner.status(), NtStatus::INVALID_OWNER);
    let restoring = Token { privileges: Privileges::RESTORE, ..user() };
    assert_eq!(inherit(None, Some(&stranger), &restoring, false).unwrap().owner, Some(sid("stranger")));

    let mut audited = descriptor("user", &[]);
    audited.control.insert(Control::SACL_PRESENT);
    audited.sacl = Some(acl(&["audit;SA;0x2;everyone"]));
    assert_eq!(inherit(None, Some(&audited), &user(), false), Err(Denied::Privilege));
    let auditing = Token { privileges: Privileges::SECURITY, ..user() };
    assert_eq!(inherit(None, Some(&audited), &auditing, false).unwrap().sacl, audited.sacl);
}

#[test]
fn system_lists_are_inherited_without_privileges() {
    let mut parent = descriptor("system", &[]);
    parent.control.insert(Control::SACL_PRESENT | Control::SACL_AUTO_INHERITED);
    parent.sacl = Some(acl(&["audit;OI SA;0x2;everyone", "audit;CI SA;0x4;everyone"]));
    let made = inherit(Some(&parent), None, &user(), false).unwrap();
    assert_eq!(made.sacl, Some(acl(&["audit;SA ID;0x2;everyone"])));
    assert!(made.control.contains(Control::SACL_PRESENT | Control::SACL_AUTO_INHERITED));
    assert!(!made.control.contains(Control::DACL_AUTO_INHERITED));
}

#[test]
fn a_list_that_doubles_beyond_its_limit_is_refused() {
    let parent = vec!["allow;OI CI;0x2;creator owner"; 1700];
    let parent = descriptor("system", &parent);
    assert!(parent.fits());
    assert!(inherit(Some(&parent), None, &user(), false).is_ok());
    assert_eq!(inherit(Some(&parent), None, &user(), true), Err(Denied::TooLong));
}

proptest! {
    /// From the second generation on directories inherit the same list: nothing grows and nothing is lost.
    #[test]
    fn generations_settle(entries in prop::collection::vec((0u8..16, any::<u32>(), 0usize..4), 0..8)) {
        let who = ["creator owner", "creator group", "everyone", "user"];
        let aces = entries.into_iter().map(|(flags, mask, index)| {
            let mut ace = Ace::new(AceType::ACCESS_ALLOWED, AccessMask::from_bits_retain(mask), sid(who[index]));
            ace.flags = AceFlags::from_bits_retain(flags);
            ace
        });
        let mut parent = descriptor("system", &[]);
        parent.dacl = Some(Acl::new(aces.collect()));
        let first = inherit(Some(&parent), None, &user(), true).unwrap();
        let second = inherit(Some(&first), None, &user(), true).unwrap();
        let third = inherit(Some(&second), None, &user(), true).unwrap();
        prop_assert_eq!(third, second);
        let inherits_to_files = |of: &SecurityDescriptor| inherit(Some(of), None, &user(), false).unwrap().dacl;
        let has_np = parent.dacl.as_ref().unwrap().aces.iter()
            .any(|ace| ace.flags.contains(AceFlags::NO_PROPAGATE_INHERIT));
        prop_assert!(has_np || inherits_to_files(&parent) == inherits_to_files(&first));
    }
}

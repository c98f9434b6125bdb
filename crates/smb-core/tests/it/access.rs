//! The access check and the setting of descriptors. What is expected of owners, OWNER RIGHTS, null and empty
//! lists, and of the flags of automatic inheritance is what Windows does, as smbtorture's `smb2.acls`,
//! `smb2.create` and `smb2.maximum_allowed` describe it.

use proptest::prelude::*;
use smb_core::access::{
    Denied, Privileges, Token, change, lent_by_backup_intent, maximal_access, maximal_access_with, posix,
    rights_to_query, rights_to_set,
};
use smb_wire::{
    AccessMask, Sid,
    query_info::SecurityInformation,
    security_descriptor::{Ace, AceBody, AceFlags, AceType, Acl, Control, SecurityDescriptor},
};

pub const USER: &str = "S-1-5-21-1-2-3-1000";
pub const GROUP: &str = "S-1-5-21-1-2-3-2000";

pub fn sid(text: &str) -> Sid {
    match text {
        "user" => USER.parse().unwrap(),
        "group" => GROUP.parse().unwrap(),
        "stranger" => "S-1-5-21-1-2-3-1001".parse().unwrap(),
        "everyone" => Sid::everyone(),
        "system" => Sid::system(),
        "creator owner" => Sid::creator_owner(),
        "creator group" => Sid::creator_group(),
        "owner rights" => Sid::owner_rights(),
        text => text.parse().unwrap(),
    }
}

pub fn user() -> Token {
    Token::authenticated(sid("user"), vec![sid("group")], Privileges::empty())
}

fn privileged(privileges: Privileges) -> Token {
    Token { privileges, ..user() }
}

/// An entry as `allow;OI CI;0x1f01ff;user`.
pub fn ace(text: &str) -> Ace {
    let parts: Vec<&str> = text.split(';').collect();
    let [kind, flags, mask, who] = parts[..] else { panic!("{text}") };
    let kind = match kind {
        "allow" => AceType::ACCESS_ALLOWED,
        "deny" => AceType::ACCESS_DENIED,
        "audit" => AceType::SYSTEM_AUDIT,
        "label" => AceType::SYSTEM_MANDATORY_LABEL,
        kind => panic!("{kind}"),
    };
    let mask = u32::from_str_radix(mask.strip_prefix("0x").unwrap(), 16).unwrap();
    let mut ace = Ace::new(kind, AccessMask::from_bits_retain(mask), sid(who));
    for flag in flags.split_whitespace() {
        ace.flags |= match flag {
            "OI" => AceFlags::OBJECT_INHERIT,
            "CI" => AceFlags::CONTAINER_INHERIT,
            "NP" => AceFlags::NO_PROPAGATE_INHERIT,
            "IO" => AceFlags::INHERIT_ONLY,
            "ID" => AceFlags::INHERITED,
            "SA" => AceFlags::SUCCESSFUL_ACCESS,
            flag => panic!("{flag}"),
        };
    }
    ace
}

pub fn acl(aces: &[&str]) -> Acl {
    Acl::new(aces.iter().map(|text| ace(text)).collect())
}

/// A descriptor with a DACL of these entries.
pub fn descriptor(owner: &str, aces: &[&str]) -> SecurityDescriptor {
    SecurityDescriptor {
        control: Control::DACL_PRESENT | Control::SELF_RELATIVE,
        owner: Some(sid(owner)),
        group: Some(sid("group")),
        sacl: None,
        dacl: Some(acl(aces)),
    }
}

fn mask(bits: u32) -> AccessMask {
    AccessMask::from_bits_retain(bits)
}

fn maximum(owner: &str, aces: &[&str]) -> u32 {
    maximal_access(Some(&descriptor(owner, aces)), &user(), AccessMask::empty()).bits()
}

#[test]
fn each_right_is_decided_by_the_first_entry_that_speaks_of_it() {
    assert_eq!(maximum("system", &["allow;;0x3;user", "deny;;0x1;user"]), 0x3);
    assert_eq!(maximum("system", &["deny;;0x1;user", "allow;;0x3;user"]), 0x2);
    assert_eq!(maximum("system", &["deny;;0x1;group", "allow;;0x3;user"]), 0x2);
    assert_eq!(maximum("system", &["deny;;0x1;stranger", "allow;;0x1;everyone"]), 0x1);
    assert_eq!(maximum("system", &["allow;IO CI;0x1;user", "allow;CI;0x2;user"]), 0x2);
    assert_eq!(maximum("system", &["allow;;0x10000000;group"]), 0x001F_01FF);
    assert_eq!(maximum("system", &["allow;;0x80000000;group"]), 0x0012_0089);
    assert_eq!(maximum("system", &["allow;;0x1;creator owner", "audit;;0x2;user"]), 0);
}

#[test]
fn owners_may_read_and_change_the_list_unless_the_list_speaks_of_owners() {
    assert_eq!(maximum("user", &["allow;;0x2;user"]), 0x0006_0002);
    assert_eq!(maximum("group", &["allow;;0x2;user"]), 0x0006_0002);
    assert_eq!(maximum("user", &["deny;;0x1f01ff;everyone"]), 0x0006_0000);
    // smb2.acls OWNER-RIGHTS, OWNER-RIGHTS-DENY, OWNER-RIGHTS-DENY1, DENY1.
    assert_eq!(maximum("user", &["allow;;0x120089;user", "allow;;0x2;owner rights"]), 0x0012_008B);
    assert_eq!(maximum("user", &["deny;;0x1;owner rights", "allow;;0x120089;user"]), 0x0012_0088);
    let deny1 = ["allow;;0x120089;user", "allow;;0x2;owner rights", "deny;;0x3;owner rights"];
    assert_eq!(maximum("user", &deny1), 0x0012_008B);
    assert_eq!(maximum("user", &["allow;;0x12008b;user", "deny;;0x2;user"]), 0x0016_008B);
    assert_eq!(maximum("user", &["allow;CI IO;0x2;owner rights", "allow;;0x1;user"]), 0x0006_0001);
    assert_eq!(maximum("system", &["allow;;0x2;owner rights", "allow;;0x1;user"]), 0x1);
}

#[test]
fn a_group_for_denials_alone_allows_nothing_and_owns_nothing() {
    let token = Token { deny_only: vec![sid("stranger")], ..user() };
    let maximum = |owner, aces: &[&str]| {
        maximal_access(Some(&descriptor(owner, aces)), &token, AccessMask::empty()).bits()
    };
    assert_eq!(maximum("system", &["deny;;0x1;stranger", "allow;;0x3;user"]), 0x2);
    assert_eq!(maximum("system", &["allow;;0x1;stranger", "allow;;0x2;user"]), 0x2);
    // What is not allowed is not decided either.
    assert_eq!(maximum("system", &["allow;;0x3;stranger", "allow;;0x2;user"]), 0x2);
    assert_eq!(maximum("stranger", &["allow;;0x2;user", "allow;;0x1;owner rights"]), 0x2);
    assert!(!token.contains(&sid("stranger")));
}

/// Whether all of these rights are allowed when they are asked for by name.
fn may(object: &SecurityDescriptor, token: &Token, bits: u32) -> bool {
    may_with(object, token, AccessMask::empty(), bits)
}

fn may_with(object: &SecurityDescriptor, token: &Token, lent: AccessMask, bits: u32) -> bool {
    let wanted = mask(bits).expand_generic();
    maximal_access_with(Some(object), token, lent, wanted).contains(wanted)
}

#[test]
fn null_lists_allow_everything_and_empty_lists_nothing() {
    let mut object = descriptor("system", &[]);
    assert_eq!(maximum("system", &[]), 0);
    object.dacl = None;
    let most = |object| maximal_access(object, &user(), AccessMask::empty());
    assert_eq!(most(Some(&object)), AccessMask::FILE_ALL);
    assert_eq!(most(None), AccessMask::FILE_ALL);
    let own = descriptor("user", &[]);
    assert!(may(&own, &user(), 0x0002_0000));
    assert!(!may(&own, &user(), 0x1));
}

#[test]
fn privileges_give_what_is_asked_for_by_name() {
    let object = descriptor("system", &["allow;;0x1;user"]);
    let (none, security, take) = (Privileges::empty(), Privileges::SECURITY, Privileges::TAKE_OWNERSHIP);
    for (privilege, right) in [(security, 0x0100_0000), (take, 0x0008_0000)] {
        let holder = privileged(privilege);
        assert!(!may(&object, &privileged(none), right));
        assert!(may(&object, &holder, right | 0x1));
        let unasked = maximal_access_with(Some(&object), &holder, AccessMask::empty(), AccessMask::empty());
        assert_eq!(unasked, mask(0x1));
    }
}

#[test]
fn rights_are_lent_by_backup_intent() {
    let object = descriptor("system", &["allow;;0x2;user"]);
    assert_eq!(lent_by_backup_intent(&user()), AccessMask::empty());
    let backup = privileged(Privileges::BACKUP);
    let lent = lent_by_backup_intent(&backup);
    let read = AccessMask::GENERIC_READ | AccessMask::ACCESS_SYSTEM_SECURITY;
    assert!(may_with(&object, &backup, lent, read.bits()));
    assert!(!may_with(&object, &backup, lent, 0x0004_0000));
    let restore = privileged(Privileges::RESTORE);
    let lent = lent_by_backup_intent(&restore);
    assert!(may_with(&object, &restore, lent, 0x400D_0000));
    assert!(!may_with(&object, &restore, lent, 0x1));
}

#[test]
fn conditions_and_classes_deny_but_do_not_allow() {
    let special = |kind, object_type| {
        let (sid, application_data) = (sid("user"), vec![0; 4]);
        let body = match object_type {
            None => AceBody::Basic { mask: mask(0x1), sid, application_data },
            Some(object_type) => AceBody::Object {
                mask: mask(0x1),
                object_type,
                inherited_object_type: None,
                sid,
                application_data,
            },
        };
        let mut object = descriptor("system", &["allow;;0x2;user"]);
        let list = &mut object.dacl.as_mut().unwrap().aces;
        list.insert(0, Ace { ace_type: kind, flags: AceFlags::empty(), body });
        list.push(ace("allow;;0x1;group"));
        maximal_access(Some(&object), &user(), AccessMask::empty()).bits()
    };
    assert_eq!(special(AceType::ACCESS_DENIED_CALLBACK, None), 0x2);
    assert_eq!(special(AceType::ACCESS_DENIED_OBJECT, Some(Some([1; 16]))), 0x2);
    assert_eq!(special(AceType::ACCESS_ALLOWED_CALLBACK, None), 0x3);
    let mut alone = descriptor("system", &[]);
    let mut put = |kind, object_type| {
        let body = AceBody::Object {
            mask: mask(0x1),
            object_type,
            inherited_object_type: None,
            sid: sid("user"),
            application_data: Vec::new(),
        };
        alone.dacl = Some(Acl::new(vec![Ace { ace_type: kind, flags: AceFlags::empty(), body }]));
        maximal_access(Some(&alone), &user(), AccessMask::empty()).bits()
    };
    assert_eq!(put(AceType::ACCESS_ALLOWED_OBJECT, Some([1; 16])), 0);
    assert_eq!(put(AceType::ACCESS_ALLOWED_OBJECT, None), 1);
    assert_eq!(put(AceType::ACCESS_ALLOWED_CALLBACK_OBJECT, None), 0);
}

fn set(
    stored: &SecurityDescriptor,
    sent: &SecurityDescriptor,
    which: SecurityInformation,
) -> SecurityDescriptor {
    change(stored, sent, which, &privileged(Privileges::SECURITY)).unwrap()
}

/// smb2.acls INHERITFLAGS: what is read after setting each combination of three control bits.
#[test]
fn auto_inherited_takes_two_bits_and_protected_is_kept() {
    let (auto, required) = (Control::DACL_AUTO_INHERITED, Control::DACL_INHERIT_REQUIRED);
    let protected = Control::DACL_PROTECTED;
    let stored = descriptor("user", &["allow;;0x1;user"]);
    for bits in 0..8 {
        let mut sent = descriptor("user", &["allow;OI CI ID;0x40002;user", "allow;;0x1f00ff;everyone"]);
        sent.control.set(auto, bits & 1 != 0);
        sent.control.set(required, bits & 2 != 0);
        sent.control.set(protected, bits & 4 != 0);
        let new = set(&stored, &sent, SecurityInformation::DACL);
        assert_eq!(new.dacl, sent.dacl, "entries as sent");
        assert_eq!(new.control.contains(auto), bits & 3 == 3, "{bits}");
        assert_eq!(new.control.contains(protected), bits & 4 != 0, "{bits}");
        assert!(!new.control.contains(required), "{bits}");
        // A new owner changes nothing about the list (SDFLAGSVSCHOWN).
        let owner = SecurityDescriptor { owner: Some(Sid::everyone()), ..Default::default() };
        let owned = set(&new, &owner, SecurityInformation::OWNER);
        assert_eq!(owned, SecurityDescriptor { owner: Some(Sid::everyone()), ..new });
    }
}

#[test]
fn lists_are_kept_as_sent_and_generic_rights_settled() {
    let stored = descriptor("user", &["allow;;0x1;user"]);
    let sent = descriptor("system", &["allow;OI CI;0x1f01ff;everyone", "deny;OI CI;0x1f01ff;everyone"]);
    let new = set(&stored, &sent, SecurityInformation::DACL);
    assert_eq!(
        new,
        SecurityDescriptor { dacl: sent.dacl, ..stored.clone() },
        "allow before deny, owner stays"
    );
    let sent = descriptor("user", &["allow;;0x801f0000;user", "allow;CI IO;0x80000000;user"]);
    let settled = acl(&["allow;;0x1f0089;user", "allow;CI IO;0x80000000;user"]);
    assert_eq!(set(&stored, &sent, SecurityInformation::DACL).dacl, Some(settled));
    // smb2.create NULLDACL: setting "no list" makes the null list.
    let nothing = SecurityDescriptor::default();
    let null = set(&stored, &nothing, SecurityInformation::DACL);
    assert!(null.control.contains(Control::DACL_PRESENT) && null.dacl.is_none());
    let which = SecurityInformation::DACL | SecurityInformation::PROTECTED_DACL;
    let shut = set(&stored, &sent, which);
    assert!(shut.control.contains(Control::DACL_PROTECTED));
    let open = set(&shut, &nothing, SecurityInformation::UNPROTECTED_DACL);
    assert!(!open.control.contains(Control::DACL_PROTECTED));
    assert_eq!(open.dacl, shut.dacl);
}

#[test]
fn owners_groups_and_system_lists_have_conditions() {
    let stored = descriptor("user", &[]);
    let owned_by = |who: &str| SecurityDescriptor { owner: Some(sid(who)), ..Default::default() };
    let try_owner = |sent: &SecurityDescriptor, privileges| {
        change(&stored, sent, SecurityInformation::OWNER, &privileged(privileges))
            .map(|new| new.owner.unwrap())
    };
    assert_eq!(try_owner(&owned_by("group"), Privileges::empty()), Ok(sid("group")));
    assert_eq!(try_owner(&owned_by("stranger"), Privileges::TAKE_OWNERSHIP), Err(Denied::Owner));
    assert_eq!(try_owner(&owned_by("stranger"), Privileges::RESTORE), Ok(sid("stranger")));
    assert_eq!(try_owner(&SecurityDescriptor::default(), Privileges::RESTORE), Err(Denied::Owner));
    let nobody = SecurityDescriptor::default();
    assert_eq!(change(&stored, &nobody, SecurityInformation::GROUP, &user()), Err(Denied::Group));

    let mut sent = descriptor("user", &[]);
    sent.control.insert(Control::SACL_PRESENT);
    sent.sacl = Some(acl(&["audit;SA;0x2;everyone"]));
    assert_eq!(change(&stored, &sent, SecurityInformation::SACL, &user()), Err(Denied::Privilege));
    let audited = set(&stored, &sent, SecurityInformation::SACL);
    assert_eq!(audited.sacl, sent.sacl);
    assert!(audited.control.contains(Control::SACL_PRESENT));
    // A label is set beside the audit entries, and audit entries beside the label.
    sent.sacl = Some(acl(&["label;;0x1;S-1-16-8192", "audit;SA;0x4;everyone"]));
    let labelled = change(&audited, &sent, SecurityInformation::LABEL, &user()).unwrap();
    assert_eq!(labelled.sacl, Some(acl(&["label;;0x1;S-1-16-8192", "audit;SA;0x2;everyone"])));
    sent.sacl = None;
    sent.control.remove(Control::SACL_PRESENT);
    let unaudited = set(&labelled, &sent, SecurityInformation::SACL);
    assert_eq!(unaudited.sacl, Some(acl(&["label;;0x1;S-1-16-8192"])));
}

#[test]
fn opens_need_rights_for_parts() {
    let rights = |which| (rights_to_query(which).bits(), rights_to_set(which).bits());
    assert_eq!(rights(SecurityInformation::OWNER), (0x0002_0000, 0x0008_0000));
    assert_eq!(rights(SecurityInformation::GROUP), (0x0002_0000, 0x0008_0000));
    assert_eq!(rights(SecurityInformation::DACL), (0x0002_0000, 0x0004_0000));
    assert_eq!(rights(SecurityInformation::LABEL), (0x0002_0000, 0x0008_0000));
    assert_eq!(rights(SecurityInformation::ATTRIBUTE), (0x0002_0000, 0x0004_0000));
    assert_eq!(rights(SecurityInformation::SACL), (0x0100_0000, 0x0100_0000));
    assert_eq!(rights(SecurityInformation::BACKUP), (0x0102_0000, 0x010C_0000));
}

/// The rights that reading, writing and executing take.
const RWX: [(AccessMask, u32); 3] =
    [(AccessMask::GENERIC_READ, 4), (AccessMask::GENERIC_WRITE, 2), (AccessMask::GENERIC_EXECUTE, 1)];

proptest! {
    #[test]
    fn modes_survive_as_descriptors(bits in 0u32..0o2000, is_dir in any::<bool>()) {
        let object = posix::descriptor(sid("user"), sid("group"), bits, is_dir);
        prop_assert_eq!(posix::mode(&object), bits & 0o777);
    }

    /// As in POSIX, exactly one of the three groups of bits decides: an owner who is in the group too has what
    /// the owner has.
    #[test]
    fn descriptors_of_modes_decide_like_modes(bits in 0u32..0o2000, is_dir in any::<bool>(), who in 0u32..3) {
        let (owner, group) = if who == 0 { ("user", "group") } else { ("stranger", "group") };
        let groups = if who < 2 { vec![sid("group")] } else { Vec::new() };
        let token = Token::authenticated(sid("user"), groups, Privileges::empty());
        let object = posix::descriptor(sid(owner), sid(group), bits, is_dir);
        let class = bits >> (6 - 3 * who) & 7;
        for (right, bit) in RWX {
            let allowed = may(&object, &token, right.bits());
            prop_assert_eq!(allowed, class & bit != 0, "{:?} of {:o} for {}", right, bits, who);
        }
        let may_delete_children = may(&object, &token, AccessMask::DELETE_CHILD.bits());
        // All three bits of an owner are "full control", whatever the object is.
        let expect = match who {
            0 => class == 7 || (is_dir && class & 2 != 0),
            _ => is_dir && class & 2 != 0 && bits & 0o1000 == 0,
        };
        prop_assert_eq!(may_delete_children, expect);
        prop_assert_eq!(may(&object, &token, AccessMask::WRITE_DAC.bits()), who == 0);
        prop_assert!(may(&object, &token, AccessMask::READ_ATTRIBUTES.bits()));
    }
}

#[test]
fn modes_of_windows_lists() {
    let mode = |aces: &[&str]| posix::mode(&descriptor("user", aces));
    assert_eq!(mode(&[]), 0);
    assert_eq!(mode(&["allow;;0x1f01ff;everyone"]), 0o777);
    assert_eq!(mode(&["allow;;0x1f01ff;user", "allow;;0x1200a9;S-1-5-11"]), 0o755);
    assert_eq!(
        mode(&["allow;;0x1f01ff;user", "allow;;0x1301bf;group", "allow;;0x120089;S-1-5-32-545"]),
        0o774
    );
    assert_eq!(mode(&["deny;;0x2;user", "allow;;0x1f01ff;everyone"]), 0o577);
    let mut null = descriptor("user", &[]);
    null.dacl = None;
    assert_eq!(posix::mode(&null), 0o777);
}

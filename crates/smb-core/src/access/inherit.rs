//! The descriptor of a new object (MS-DTYP 2.5.3.4: CreateSecurityDescriptor, ComputeACL).
//!
//! Each list comes from three sources, in this order: what the creator asked for, what the parent passes on,
//! and, for the DACL, what a token gives by default. Automatic inheritance is on where the parent's list says
//! that it takes part in it ("auto-inherited"): then what the parent passes on is marked as inherited, and is
//! appended to what the creator asked for, unless that is protected.

use super::{Denied, Privileges, Token};
use smb_wire::{
    Sid,
    security_descriptor::{Ace, AceFlags, Acl, Control, SecurityDescriptor},
};

/// Which of the two lists, by its control bits.
#[derive(Clone, Copy)]
pub(super) struct ListBits {
    pub present: Control,
    pub defaulted: Control,
    pub auto_inherited: Control,
    pub inherit_required: Control,
    pub protected: Control,
}

pub(super) const DACL: ListBits = ListBits {
    present: Control::DACL_PRESENT,
    defaulted: Control::DACL_DEFAULTED,
    auto_inherited: Control::DACL_AUTO_INHERITED,
    inherit_required: Control::DACL_INHERIT_REQUIRED,
    protected: Control::DACL_PROTECTED,
};

pub(super) const SACL: ListBits = ListBits {
    present: Control::SACL_PRESENT,
    defaulted: Control::SACL_DEFAULTED,
    auto_inherited: Control::SACL_AUTO_INHERITED,
    inherit_required: Control::SACL_INHERIT_REQUIRED,
    protected: Control::SACL_PROTECTED,
};

/// The descriptor of an object that `token` makes in a directory with the descriptor `parent`. `creator` is what
/// the client asked for (CREATE context `SecD`).
///
/// The owner must be the user or one of the user's groups, or the user must have the right to restore; a system
/// list takes the privilege for it.
pub fn inherit(
    parent: Option<&SecurityDescriptor>,
    creator: Option<&SecurityDescriptor>,
    token: &Token,
    is_dir: bool,
) -> Result<SecurityDescriptor, Denied> {
    let owner = match creator.and_then(|creator| creator.owner.as_ref()) {
        Some(owner) if !token.may_assign(owner) => return Err(Denied::Owner),
        Some(owner) => owner.clone(),
        None => token.user.clone(),
    };
    let group = creator.and_then(|creator| creator.group.clone());
    let group = group.unwrap_or_else(|| token.primary_group().clone());
    let heir = Heir { owner: &owner, group: &group, is_dir };

    let sacl_asked_for = asked_for(creator, SACL, |creator| &creator.sacl);
    if sacl_asked_for.is_some() && !token.privileges.contains(Privileges::SECURITY) {
        return Err(Denied::Privilege);
    }
    let dacl =
        heir.list(parent_list(parent, DACL, |parent| &parent.dacl), asked_for(creator, DACL, |c| &c.dacl));
    let dacl = dacl.unwrap_or_else(|| NewList {
        acl: Some(Token::default_dacl(&owner)),
        is_protected: false,
        is_auto_inherited: is_auto_inherited(parent, DACL),
    });
    let sacl = heir.list(parent_list(parent, SACL, |parent| &parent.sacl), sacl_asked_for);

    let mut made = SecurityDescriptor { control: Control::SELF_RELATIVE, ..Default::default() };
    made.dacl = dacl.install(DACL, &mut made.control);
    if let Some(sacl) = sacl {
        made.sacl = sacl.install(SACL, &mut made.control);
    }
    (made.owner, made.group) = (Some(owner), Some(group));
    if made.fits() { Ok(made) } else { Err(Denied::TooLong) }
}

/// What stands for the descriptor of an object that nobody gave one, in a directory with the descriptor `parent`;
/// `None` when that passes on no access list. "Creator" means `owner` and `group`.
pub fn passed_on(
    parent: &SecurityDescriptor,
    owner: Sid,
    group: Sid,
    is_dir: bool,
) -> Option<SecurityDescriptor> {
    let heir = Heir { owner: &owner, group: &group, is_dir };
    let mut made = SecurityDescriptor { control: Control::SELF_RELATIVE, ..Default::default() };
    let dacl = heir.list(parent_list(Some(parent), DACL, |parent| &parent.dacl), None)?;
    made.dacl = dacl.install(DACL, &mut made.control);
    if let Some(sacl) = heir.list(parent_list(Some(parent), SACL, |parent| &parent.sacl), None) {
        made.sacl = sacl.install(SACL, &mut made.control);
    }
    (made.owner, made.group) = (Some(owner), Some(group));
    made.fits().then_some(made)
}

/// A list of the parent, and whether it takes part in automatic inheritance.
struct ParentList<'a> {
    aces: &'a [Ace],
    is_auto_inherited: bool,
}

fn is_auto_inherited(parent: Option<&SecurityDescriptor>, bits: ListBits) -> bool {
    parent.is_some_and(|parent| parent.control.contains(bits.auto_inherited))
}

fn parent_list<'a>(
    parent: Option<&'a SecurityDescriptor>,
    bits: ListBits,
    list: impl Fn(&'a SecurityDescriptor) -> &'a Option<Acl>,
) -> ParentList<'a> {
    let aces = parent.and_then(|parent| list(parent).as_ref()).map_or(&[][..], |list| &list.aces);
    ParentList { aces, is_auto_inherited: is_auto_inherited(parent, bits) }
}

/// A list that the creator asked for; `acl` is `None` for the null list.
struct AskedFor<'a> {
    acl: Option<&'a Acl>,
    is_protected: bool,
    /// Both bits that a client sets to have "auto-inherited" set.
    is_auto_inherited: bool,
}

fn asked_for<'a>(
    creator: Option<&'a SecurityDescriptor>,
    bits: ListBits,
    list: impl Fn(&'a SecurityDescriptor) -> &'a Option<Acl>,
) -> Option<AskedFor<'a>> {
    let creator = creator.filter(|creator| creator.control.contains(bits.present))?;
    Some(AskedFor {
        acl: list(creator).as_ref(),
        is_protected: creator.control.contains(bits.protected),
        is_auto_inherited: creator.control.contains(bits.auto_inherited | bits.inherit_required),
    })
}

/// A list of the new object.
struct NewList {
    acl: Option<Acl>,
    is_protected: bool,
    is_auto_inherited: bool,
}

impl NewList {
    fn install(self, bits: ListBits, control: &mut Control) -> Option<Acl> {
        control.insert(bits.present);
        control.set(bits.protected, self.is_protected);
        control.set(bits.auto_inherited, self.is_auto_inherited);
        self.acl
    }
}

/// The new object, as entries see it.
struct Heir<'a> {
    owner: &'a Sid,
    group: &'a Sid,
    is_dir: bool,
}

impl Heir<'_> {
    /// The list of the new object; `None` when neither the creator nor the parent has any for it.
    fn list(&self, parent: ParentList<'_>, creator: Option<AskedFor<'_>>) -> Option<NewList> {
        let inherited = || -> Vec<Ace> {
            let mark = if parent.is_auto_inherited { AceFlags::INHERITED } else { AceFlags::empty() };
            parent.aces.iter().flat_map(|ace| self.inherited(ace, mark)).collect()
        };
        let Some(creator) = creator else {
            let aces = inherited();
            return (!aces.is_empty()).then(|| NewList {
                acl: Some(Acl::new(aces)),
                is_protected: false,
                is_auto_inherited: parent.is_auto_inherited,
            });
        };
        let merges = parent.is_auto_inherited && !creator.is_protected;
        let Some(acl) = creator.acl else {
            return Some(NewList {
                acl: None,
                is_protected: creator.is_protected,
                is_auto_inherited: merges,
            });
        };
        let mut aces: Vec<Ace> =
            acl.aces.iter().flat_map(|ace| self.asked_for(ace, merges, &creator)).collect();
        if merges {
            aces.extend(inherited());
        }
        let is_auto_inherited = merges || creator.is_auto_inherited;
        Some(NewList { acl: Some(Acl::new(aces)), is_protected: creator.is_protected, is_auto_inherited })
    }

    /// What becomes of an entry that the creator asked for. What claims to be inherited gives way to what the
    /// parent passes on, and becomes the object's own in a protected list.
    fn asked_for(&self, ace: &Ace, merges: bool, creator: &AskedFor<'_>) -> Vec<Ace> {
        if merges && ace.flags.contains(AceFlags::INHERITED) {
            return Vec::new();
        }
        let mut ace = ace.clone();
        if creator.is_protected {
            ace.flags.remove(AceFlags::INHERITED);
        }
        if ace.flags.contains(AceFlags::INHERIT_ONLY) || !self.is_generic(&ace) {
            return vec![ace];
        }
        let passes_on = self.is_dir && ace.flags.intersects(INHERITABLE);
        let mut here = self.resolved(&ace);
        if !passes_on {
            return vec![here];
        }
        here.flags.remove(INHERITANCE);
        ace.flags.insert(AceFlags::INHERIT_ONLY);
        vec![here, ace]
    }

    /// What the new object inherits of an entry of its parent: nothing, one entry, or for a directory one that
    /// counts there and one that is passed on, when "creator" or generic rights mean something else further down.
    fn inherited(&self, ace: &Ace, mark: AceFlags) -> Vec<Ace> {
        let counts_here = ace.flags.contains(if self.is_dir {
            AceFlags::CONTAINER_INHERIT
        } else {
            AceFlags::OBJECT_INHERIT
        });
        let ends_here = !self.is_dir || ace.flags.contains(AceFlags::NO_PROPAGATE_INHERIT);
        let mut passed = ace.clone();
        passed.flags.remove(AceFlags::INHERIT_ONLY | AceFlags::INHERITED);
        passed.flags.insert(mark);
        match (counts_here, ends_here) {
            (true, true) => {
                passed.flags.remove(INHERITANCE);
                vec![self.resolved(&passed)]
            }
            (true, false) if self.is_generic(&passed) => {
                let mut here = self.resolved(&passed);
                here.flags.remove(INHERITANCE);
                passed.flags.insert(AceFlags::INHERIT_ONLY);
                vec![here, passed]
            }
            (true, false) => vec![passed],
            (false, false) if ace.flags.contains(AceFlags::OBJECT_INHERIT) => {
                passed.flags.insert(AceFlags::INHERIT_ONLY);
                vec![passed]
            }
            (false, _) => Vec::new(),
        }
    }

    /// Whether the entry would read otherwise with this object's owner, group and rights filled in.
    fn is_generic(&self, ace: &Ace) -> bool {
        self.resolved(ace) != *ace
    }

    fn resolved(&self, ace: &Ace) -> Ace {
        let (Some(mask), Some(sid)) = (ace.mask(), ace.sid()) else { return ace.clone() };
        let sid = if *sid == Sid::creator_owner() {
            self.owner.clone()
        } else if *sid == Sid::creator_group() {
            self.group.clone()
        } else {
            sid.clone()
        };
        ace.clone().with(mask.expand_generic(), sid)
    }
}

const INHERITABLE: AceFlags = AceFlags::OBJECT_INHERIT.union(AceFlags::CONTAINER_INHERIT);

const INHERITANCE: AceFlags = INHERITABLE.union(AceFlags::NO_PROPAGATE_INHERIT).union(AceFlags::INHERIT_ONLY);

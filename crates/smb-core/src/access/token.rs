//! Who asks: the user, the user's groups and privileges (MS-DTYP 2.5.2).

use bitflags::bitflags;
use smb_wire::{
    AccessMask, Sid,
    security_descriptor::{Ace, AceType, Acl},
};

bitflags! {
    /// What a user may do whatever descriptors say.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Privileges: u8 {
        /// SeSecurityPrivilege: read and write system lists.
        const SECURITY = 0x01;
        /// SeTakeOwnershipPrivilege: become the owner.
        const TAKE_OWNERSHIP = 0x02;
        /// SeRestorePrivilege: write all, and make anybody the owner.
        const RESTORE = 0x04;
        /// SeBackupPrivilege: read all.
        const BACKUP = 0x08;
        /// SeManageVolumePrivilege: see and set quotas of others.
        const MANAGE_VOLUME = 0x10;
    }
}

/// A user who was authenticated, or a stranger who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The user.
    pub user: Sid,
    /// The user's groups. The first one is the primary group, which new files get.
    pub groups: Vec<Sid>,
    /// Groups of the user's that count for what is denied to them alone (SE_GROUP_USE_FOR_DENY_ONLY, MS-PAC 2.2.1).
    pub deny_only: Vec<Sid>,
    /// What the user may do besides.
    pub privileges: Privileges,
}

impl Token {
    /// Somebody in these groups and no others.
    pub fn new(user: Sid, groups: Vec<Sid>, privileges: Privileges) -> Self {
        Self { user, groups, deny_only: Vec::new(), privileges }
    }

    /// A user who logged in over the network: to the user's own groups come Everyone, Network, and
    /// Authenticated Users.
    pub fn authenticated(user: Sid, mut groups: Vec<Sid>, privileges: Privileges) -> Self {
        for well_known in [Sid::everyone(), Sid::network(), Sid::authenticated_users()] {
            if !groups.contains(&well_known) {
                groups.push(well_known);
            }
        }
        Self::new(user, groups, privileges)
    }

    /// Whoever logged in without a name (S-1-5-7). As with Windows that is nobody whom entries for Everyone mean.
    pub fn anonymous() -> Self {
        Self::new(Sid::anonymous(), vec![Sid::network()], Privileges::empty())
    }

    /// Whoever logged in without proving a name, where guests may: one of Guests and Everyone, but no user who was
    /// authenticated.
    pub fn guest(user: Sid) -> Self {
        let groups = vec![Sid::guests(), Sid::everyone(), Sid::network()];
        Self::new(user, groups, Privileges::empty())
    }

    /// Whether the SID is the user's or one of the user's groups'; what is allowed to it is allowed to the user.
    pub fn contains(&self, sid: &Sid) -> bool {
        self.user == *sid || self.groups.contains(sid)
    }

    /// Whether what is denied to the SID is denied to the user.
    pub(super) fn is_denied_with(&self, sid: &Sid) -> bool {
        self.contains(sid) || self.deny_only.contains(sid)
    }

    /// The group of what this user makes: the first of the groups, or the user.
    pub fn primary_group(&self) -> &Sid {
        self.groups.first().unwrap_or(&self.user)
    }

    /// Whether this user may make `sid` the owner of something.
    pub(super) fn may_assign(&self, sid: &Sid) -> bool {
        self.contains(sid) || self.privileges.contains(Privileges::RESTORE)
    }

    /// The same where what somebody has counts for him, or for it: a group would have no limit of any one user.
    pub fn may_charge(&self, sid: &Sid) -> bool {
        self.user == *sid || self.privileges.contains(Privileges::RESTORE)
    }

    /// What a new object gets when nobody says anything else: everything for `owner` and for the system.
    pub(super) fn default_dacl(owner: &Sid) -> Acl {
        let all = |sid| Ace::new(AceType::ACCESS_ALLOWED, AccessMask::FILE_ALL, sid);
        Acl::new(vec![all(owner.clone()), all(Sid::system())])
    }
}

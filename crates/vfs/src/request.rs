//! The values of an open: what is asked for, and what was given.

use crate::{Caching, Granted, LeaseId, Open, Rights};
use bytes::Bytes;
use std::sync::Arc;
use volume::{Attr, DosAttributes, Maker, VPath};

bitflags::bitflags! {
    /// What an open may do: the access mask of MS-SMB2 2.2.13.1, generic bits already expanded.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Access: u32 {
        /// Reading a file, listing a directory.
        const READ_DATA = 0x0000_0001;
        /// Writing a file, adding a file to a directory.
        const WRITE_DATA = 0x0000_0002;
        /// Appending to a file, adding a directory to a directory.
        const APPEND_DATA = 0x0000_0004;
        const READ_EA = 0x0000_0008;
        const WRITE_EA = 0x0000_0010;
        const EXECUTE = 0x0000_0020;
        const DELETE_CHILD = 0x0000_0040;
        const READ_ATTRIBUTES = 0x0000_0080;
        const WRITE_ATTRIBUTES = 0x0000_0100;
        const DELETE = 0x0001_0000;
        const READ_CONTROL = 0x0002_0000;
        const WRITE_DAC = 0x0004_0000;
        const WRITE_OWNER = 0x0008_0000;
        const SYNCHRONIZE = 0x0010_0000;
        const ACCESS_SYSTEM_SECURITY = 0x0100_0000;

        /// Reading content.
        const READING = Self::READ_DATA.bits() | Self::EXECUTE.bits();
        /// Changing content.
        const WRITING = Self::WRITE_DATA.bits() | Self::APPEND_DATA.bits();
        /// What takes part in share modes (MS-FSA 2.1.5.1.2.2); an open with none of these conflicts with
        /// nothing.
        const SHARED = Self::READING.bits() | Self::WRITING.bits() | Self::DELETE.bits();
    }

    /// What an open lets others do meanwhile (MS-SMB2 2.2.13, ShareAccess).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Share: u32 {
        const READ = 1;
        const WRITE = 2;
        const DELETE = 4;
    }
}

impl Access {
    /// Whether an open with it stands against what others cache: one that only looks at attributes or sets
    /// them does not (MS-FSA 2.1.5.1.2).
    pub(crate) fn is_more_than_attributes(self) -> bool {
        !(Access::READ_ATTRIBUTES | Access::WRITE_ATTRIBUTES | Access::SYNCHRONIZE).contains(self)
    }

    /// Whether an open with it may change anything.
    pub(crate) fn may_change(self) -> bool {
        let looks = Access::READING
            | Access::READ_EA
            | Access::READ_ATTRIBUTES
            | Access::READ_CONTROL
            | Access::SYNCHRONIZE
            | Access::ACCESS_SYSTEM_SECURITY;
        !looks.contains(self)
    }

    /// The same for leases: one that looks at the descriptor besides does not either.
    pub(crate) fn is_more_than_looks(self) -> bool {
        (self - Access::READ_CONTROL).is_more_than_attributes()
    }
}

/// What to do with a name that is there, and with one that is not (MS-SMB2 2.2.13, CreateDisposition).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Replaced when there, else made.
    Supersede,
    /// Opened when there, else `NotFound`.
    Open,
    /// `Exists` when there, else made.
    Create,
    /// Opened when there, else made.
    OpenIf,
    /// Emptied when there, else `NotFound`.
    Overwrite,
    /// Emptied when there, else made.
    OverwriteIf,
}

impl Disposition {
    /// Whether a name that is not there is made.
    pub fn creates(self) -> bool {
        !matches!(self, Disposition::Open | Disposition::Overwrite)
    }

    /// Whether content that is there goes away.
    pub fn empties(self) -> bool {
        matches!(self, Disposition::Supersede | Disposition::Overwrite | Disposition::OverwriteIf)
    }
}

/// Which kind of object the caller takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Whatever is there; a file when it is made.
    Any,
    /// `IsADirectory` when it is one (FILE_NON_DIRECTORY_FILE).
    File,
    /// `NotADirectory` when it is none (FILE_DIRECTORY_FILE).
    Dir,
}

/// What became of the name (MS-SMB2 2.2.14, CreateAction).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Superseded,
    Opened,
    Created,
    Overwritten,
}

/// On whose account an open stands: a session of a front end. Front ends draw theirs from
/// [`crate::Vfs::new_owner`], so that two never share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Owner(pub u64);

/// An open, for as long as the process lives; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct OpenId(pub u64);

/// The smallest [`OpenRequest::allocation`] worth asking the origin for its room, bytes.
pub const ALLOCATION_CHECKED_MIN: u64 = 64 << 20;

/// What is asked for. Begin with [`OpenRequest::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// In the client's spelling; `vfs` finds the origin's. An SMB front end gets it from
    /// [`crate::names::from_smb`].
    pub path: VPath,
    /// A named stream of what stands there, in the client's spelling: access, disposition and all else are of the
    /// stream. Where a disposition makes it, a file that is not there is made too.
    pub stream: Option<Arc<str>>,
    pub access: Access,
    pub share: Share,
    pub disposition: Disposition,
    pub want: Want,
    /// The name goes away when this open is closed and no other is left (FILE_DELETE_ON_CLOSE). Needs
    /// [`Access::DELETE`].
    pub delete_on_close: bool,
    /// That name does not wait for other opens, see [`DeleteHow::posix`].
    pub posix_deletion: bool,
    /// A READONLY file is deleted on close too: POSIX clients know no such mark. Without it that is `CannotDelete`.
    pub ignore_readonly: bool,
    /// `A` and `a` are two names, for POSIX clients; has effect only where the origin tells them apart.
    pub case_sensitive: bool,
    /// A symbolic link as last component is opened itself (FILE_OPEN_REPARSE_POINT). Without it a link is
    /// followed, except by an open for `DELETE` that asks for no data: removing and renaming a link must
    /// not hit what it points to.
    pub open_link: bool,
    /// A symbolic link that would be followed is told to the caller instead ([`crate::Error::Stopped`]).
    pub stop_at_links: bool,
    /// For a new or emptied file. `ARCHIVE` is added to files.
    pub dos: DosAttributes,
    /// POSIX permissions of a new object. A directory may be passed by whom it may be read.
    pub mode: u32,
    /// Who makes it, for POSIX callers; `mode` is exactly what he asks for then.
    pub maker: Option<Maker>,
    /// Bytes that will be written into a new or emptied file, as far as the client knows
    /// (SMB2_CREATE_ALLOCATION_SIZE). From [`ALLOCATION_CHECKED_MIN`] on the room is looked at first, and
    /// `NoSpace` answered when there is not so much.
    pub allocation: Option<u64>,
    /// The range that will be read first, offset and length in bytes: a far origin may send it along.
    pub first: Option<(u64, u32)>,
    /// What the client would like to cache: with a lease any set that has reading in it; without, in the sets that
    /// an oplock can be, and files only.
    pub caching: Caching,
    /// The lease that the open is to share.
    pub lease: Option<Lease>,
    /// The client's lease on the directory of the file: what is done through this open breaks all others.
    pub parent_lease: Option<LeaseId>,
    /// By what the open is judged; without it gets what it asks for.
    pub rights: Option<Arc<dyn Rights>>,
    /// Besides `access` all that the caller may have (MAXIMUM_ALLOWED), as `rights` say.
    pub maximum: bool,
    /// [`Opened::maximal`] is wanted.
    pub tell_maximal: bool,
    pub owner: Owner,
    /// Of whose share of all opens of the volume it is: all with one name have [`crate::Limits::opens_per_account`].
    /// Without it that does not count.
    pub account: Option<Arc<str>>,
}

impl OpenRequest {
    /// Opens what is there, of any kind, sharing everything.
    pub fn new(path: VPath, access: Access, owner: Owner) -> OpenRequest {
        OpenRequest {
            path,
            stream: None,
            access,
            share: Share::all(),
            disposition: Disposition::Open,
            want: Want::Any,
            delete_on_close: false,
            posix_deletion: false,
            ignore_readonly: false,
            case_sensitive: false,
            open_link: false,
            stop_at_links: false,
            dos: DosAttributes::empty(),
            mode: 0o644,
            maker: None,
            allocation: None,
            first: None,
            caching: Caching::empty(),
            lease: None,
            parent_lease: None,
            rights: None,
            maximum: false,
            tell_maximal: false,
            owner,
            account: None,
        }
    }
}

/// A lease that an open is to share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    pub id: LeaseId,
    /// Where the client counts the states of its leases: the last that it has seen.
    pub epoch: Option<u16>,
    /// Whether the client knows leases of directories.
    pub dirs: bool,
}

/// What opening gave.
#[derive(Debug)]
pub struct Opened {
    pub open: Arc<Open>,
    pub action: Action,
    pub attr: Attr,
    /// What the client may cache. It hears of a break from [`Open::listen`] on.
    pub granted: Granted,
    /// The bytes at [`OpenRequest::first`], if they came along; short only at the end of the file. For an
    /// answer to the read that follows at once in the same compound, no later.
    pub first: Option<Bytes>,
    /// The most that the caller may have, where [`OpenRequest::tell_maximal`] was set and there were
    /// [`OpenRequest::rights`] to say so. What was granted is [`Open::access`].
    pub maximal: Option<Access>,
}

/// How to rename or link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RenameHow {
    /// An existing target file gives way.
    pub replace: bool,
    /// As POSIX has it (FILE_RENAME_POSIX_SEMANTICS): an open target gives way too, an empty directory to a directory, and
    /// a directory moves with the opens below it. Without it these are `AccessDenied`.
    pub posix: bool,
    pub readonly: ReadonlyTarget,
}

/// What becomes of a READONLY file that stands where a rename or link leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReadonlyTarget {
    /// It stays: `AccessDenied`.
    #[default]
    Stays,
    /// It gives way to who may set its attributes (FILE_RENAME_IGNORE_READONLY_ATTRIBUTE).
    Waived,
    /// It gives way as any other: POSIX clients know no such mark.
    Unknown,
}

/// How a name is to go away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeleteHow {
    /// That of a READONLY file too (FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE). Without it that is `CannotDelete`.
    pub ignore_readonly: bool,
    /// When this very open ends, as if it had been made with [`OpenRequest::delete_on_close`]: until then others may open
    /// it (FILE_DISPOSITION_ON_CLOSE).
    pub on_close: bool,
    /// As POSIX has it (FILE_DISPOSITION_POSIX_SEMANTICS): the name goes when this very open ends, whoever has the file open
    /// besides, and goes on with it. Without it the last open takes the name along.
    pub posix: bool,
}

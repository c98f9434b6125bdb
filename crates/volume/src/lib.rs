//! The waist of farshare: every origin is a [`Volume`], every layer is a `Volume` around a `Volume`,
//! and `vfs` is the only user of the outermost one.
//!
//! Three kinds of thing pass here, and each has its own key:
//!
//! * **names** go by [`VPath`], for the length of one call: an origin far away takes a whole path in one
//!   round trip, so nothing above it walks component by component;
//! * **work** goes by handle: a [`File`] is an opened file and holds it through rename and removal;
//! * **identity** is [`FileId`] with [`Version`]: which file, and which state of its content. Caches and
//!   locks use these as keys, never a path.
//!
//! Changes of the namespace are values ([`Change`]), so that a journal, a quota and an audit log all see the
//! same thing. `watch` is the way up: what the origin notices passes every layer and ends in `vfs`.
//!
//! The traits have no default bodies: a new method must break every layer's build, so that none lets it
//! pass unseen. A new method needs a decision record (`docs/adr/`).
//!
//! Cancelling is dropping the future. A call that was cancelled may or may not have had its effect.

mod attr;
mod caps;
mod carry;
mod change;
mod context;
mod error;
mod named;
mod owner;
mod pages;
mod path;
mod quota;
mod spelling;
mod ticket;
mod traits;
mod waiting;
mod watch;

pub use attr::{Attr, Device, DosAttributes, FileId, Kind, Maker, SetAttr, Space, Special, Time, Version};
pub use caps::{Caps, Namespace};
pub use carry::Carry;
pub use change::{Applied, Change};
pub use context::{Cx, Priority, Who};
pub use error::{Error, ErrorKind, Result, Retry};
pub use named::{Carries, Named, NamedEntry};
pub use owner::owner_of;
pub use pages::{PAGE_PIPES_MAX, Pages};
pub use path::{NAME_MAX_BYTES, PATH_MAX_BYTES, PathError, VPath};
pub use quota::{
    QUOTA_USER_MAX_BYTES, QUOTA_USERS_MAX, QuotaChange, QuotaFlags, QuotaRules, QuotasOf, UserQuota,
    check_quota_users,
};
pub use spelling::{name_from_bytes, name_to_bytes};
pub use ticket::Ticket;
pub use traits::{
    Access, Close, Copying, Create, Directory, Entry, File, Fresh, ListHow, Listing, OpenHow, Opened,
    RANGES_MAX, SyncKind, Volume,
};
pub use waiting::{may_wait_here, waiting_here};
pub use watch::{Author, Freshness, NOTICES_MAX, Notice, Watch};

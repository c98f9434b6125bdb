//! What rights of others stand against, and what is left of them.

use super::{Caching, Holder};

/// What somebody does, or is about to do, that rights of others stand against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contest {
    /// Opening for more than attributes: nobody may keep writes back. `looks` only at the descriptor besides:
    /// against that an oplock stands and a lease does not.
    Open { looks: bool },
    /// The same, and the content goes away.
    Empty,
    /// An open that is there does not share, or the name is to move: it may be kept open only by a cache.
    Handle,
    /// Content changes, or a range is locked; of a directory: its listing.
    Change,
    /// Somebody changed it at the origin, or the client has too much open.
    Foreign,
}

impl Contest {
    /// What a holder keeps.
    pub(super) fn leaves(self, holder: Holder, held: Caching) -> Caching {
        let less = |lost: Caching| match (held.intersects(lost), holder.is_lease()) {
            (false, _) => held,
            (true, true) => held - lost,
            (true, false) => Caching::READ,
        };
        match self {
            Contest::Open { looks: true } if holder.is_lease() => held,
            Contest::Open { .. } => less(Caching::WRITE),
            Contest::Handle => less(Caching::HANDLE),
            Contest::Empty | Contest::Change | Contest::Foreign => Caching::empty(),
        }
    }

    /// The rights of which one at least is held by whoever it stands against.
    pub(super) fn concerns(self) -> Caching {
        match self {
            Contest::Open { .. } => Caching::WRITE,
            Contest::Handle => Caching::HANDLE,
            Contest::Empty | Contest::Change | Contest::Foreign => Caching::all(),
        }
    }

    /// The rights that are waited for: the others are only told.
    pub(super) fn waits_for(self) -> Caching {
        match self {
            Contest::Open { .. } | Contest::Empty => Caching::WRITE,
            Contest::Handle => Caching::HANDLE,
            Contest::Change | Contest::Foreign => Caching::empty(),
        }
    }
}

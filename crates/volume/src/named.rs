//! What an object carries besides its content: extended attributes, named streams and a security descriptor.
//!
//! Each is a value of its own under a [`Named`], read and set whole. The values are bytes: what a descriptor says
//! is for those above. They belong to the object and not to the name: all hard links have the same, a rename takes
//! them along, a removal ends them.

use crate::{ErrorKind, NAME_MAX_BYTES};
use std::sync::Arc;

/// One value that an object carries. Names are in the client's spelling and are told apart by every byte; finding
/// one in another case is for those above.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Named {
    /// An extended attribute (`user.NAME` of Linux, FILE_FULL_EA_INFORMATION of MS-FSCC 2.4.16).
    Extended(Arc<str>),
    /// An extended attribute of the operating system, by its whole name: `system.posix_acl_access`,
    /// `security.capability`, `trusted.NAME`. Linux objects of every kind may carry such.
    System(Arc<str>),
    /// A named stream of data (MS-FSCC 2.1.4), without colons and type.
    Stream(Arc<str>),
    /// A security descriptor (MS-DTYP 2.4.6, self-relative).
    Descriptor,
}

/// A value in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedEntry {
    pub name: Named,
    /// Length of the value, bytes.
    pub size: u64,
}

bitflags::bitflags! {
    /// Which kinds of values an object carries, so that a plain file costs nobody a question. A flag that is not
    /// set says that there is none that was set through the volume; one that is set says that there may be.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Carries: u8 {
        /// A hint: what others set past the volume is found by `Volume::list_named` alone.
        const EXTENDED = 1;
        const STREAMS = 2;
        const DESCRIPTOR = 4;
    }
}

impl Named {
    pub fn extended(name: impl Into<Arc<str>>) -> Named {
        Named::Extended(name.into())
    }

    pub fn system(name: impl Into<Arc<str>>) -> Named {
        Named::System(name.into())
    }

    pub fn stream(name: impl Into<Arc<str>>) -> Named {
        Named::Stream(name.into())
    }

    /// The kind of value this is.
    pub fn kind(&self) -> Carries {
        match self {
            Named::Extended(_) | Named::System(_) => Carries::EXTENDED,
            Named::Stream(_) => Carries::STREAMS,
            Named::Descriptor => Carries::DESCRIPTOR,
        }
    }

    /// Its name; a descriptor has none.
    pub fn name(&self) -> Option<&str> {
        match self {
            Named::Extended(name) | Named::System(name) | Named::Stream(name) => Some(name),
            Named::Descriptor => None,
        }
    }

    /// Whether the name can be one anywhere: not empty, no NUL, not over [`NAME_MAX_BYTES`].
    pub fn check(&self) -> Result<(), ErrorKind> {
        match self.name() {
            Some(name) if name.is_empty() || name.contains('\0') => Err(ErrorKind::InvalidName),
            Some(name) if name.len() > NAME_MAX_BYTES => Err(ErrorKind::NameTooLong),
            Some(_) | None => Ok(()),
        }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Named::Extended(name) | Named::System(name) => write!(f, "attribute {name:?}"),
            Named::Stream(name) => write!(f, "stream {name:?}"),
            Named::Descriptor => f.write_str("security descriptor"),
        }
    }
}

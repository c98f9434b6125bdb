//! Access masks (MS-SMB2 2.2.13.1, MS-DTYP 2.4.3).

use bitflags::bitflags;

bitflags! {
    /// Rights on a file, directory or pipe. Directory names are given as aliases. Bits without a name
    /// are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AccessMask: u32 {
        /// Read data; list a directory.
        const READ_DATA = 0x0000_0001;
        /// List a directory.
        const LIST_DIRECTORY = 0x0000_0001;
        /// Write data; add a file to a directory.
        const WRITE_DATA = 0x0000_0002;
        /// Add a file to a directory.
        const ADD_FILE = 0x0000_0002;
        /// Append data; add a subdirectory.
        const APPEND_DATA = 0x0000_0004;
        /// Add a subdirectory.
        const ADD_SUBDIRECTORY = 0x0000_0004;
        /// Read extended attributes.
        const READ_EA = 0x0000_0008;
        /// Write extended attributes.
        const WRITE_EA = 0x0000_0010;
        /// Execute a file; traverse a directory.
        const EXECUTE = 0x0000_0020;
        /// Traverse a directory.
        const TRAVERSE = 0x0000_0020;
        /// Delete what is in a directory.
        const DELETE_CHILD = 0x0000_0040;
        /// Read attributes.
        const READ_ATTRIBUTES = 0x0000_0080;
        /// Write attributes.
        const WRITE_ATTRIBUTES = 0x0000_0100;
        /// Delete or rename the object.
        const DELETE = 0x0001_0000;
        /// Read the security descriptor without its SACL.
        const READ_CONTROL = 0x0002_0000;
        /// Change the DACL.
        const WRITE_DAC = 0x0004_0000;
        /// Change the owner.
        const WRITE_OWNER = 0x0008_0000;
        /// Wait on the handle.
        const SYNCHRONIZE = 0x0010_0000;
        /// Read or write the SACL.
        const ACCESS_SYSTEM_SECURITY = 0x0100_0000;
        /// Ask for all that the user may have.
        const MAXIMUM_ALLOWED = 0x0200_0000;
        /// Ask for the object type's "all".
        const GENERIC_ALL = 0x1000_0000;
        /// Ask for the object type's "execute".
        const GENERIC_EXECUTE = 0x2000_0000;
        /// Ask for the object type's "write".
        const GENERIC_WRITE = 0x4000_0000;
        /// Ask for the object type's "read".
        const GENERIC_READ = 0x8000_0000;
        const _ = !0;
    }
}

impl AccessMask {
    /// FILE_ALL_ACCESS: every specific and standard right.
    pub const FILE_ALL: Self = Self::from_bits_retain(0x001F_01FF);
    /// What GENERIC_READ stands for on files (MS-SMB2 2.2.13.1.1).
    pub const FILE_GENERIC_READ: Self = Self::from_bits_retain(0x0012_0089);
    /// What GENERIC_WRITE stands for on files.
    pub const FILE_GENERIC_WRITE: Self = Self::from_bits_retain(0x0012_0116);
    /// What GENERIC_EXECUTE stands for on files.
    pub const FILE_GENERIC_EXECUTE: Self = Self::from_bits_retain(0x0012_00A0);

    /// The mask with the four generic rights replaced by what they stand for on files.
    pub fn expand_generic(self) -> Self {
        let map = [
            (Self::GENERIC_ALL, Self::FILE_ALL),
            (Self::GENERIC_EXECUTE, Self::FILE_GENERIC_EXECUTE),
            (Self::GENERIC_WRITE, Self::FILE_GENERIC_WRITE),
            (Self::GENERIC_READ, Self::FILE_GENERIC_READ),
        ];
        map.into_iter()
            .filter(|(generic, _)| self.contains(*generic))
            .fold(self, |mask, (generic, rights)| mask.difference(generic) | rights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_rights_expand() {
        let mask = AccessMask::GENERIC_READ | AccessMask::DELETE;
        assert_eq!(mask.expand_generic().bits(), 0x0013_0089);
        assert_eq!(AccessMask::GENERIC_ALL.expand_generic(), AccessMask::FILE_ALL);
        assert_eq!(AccessMask::MAXIMUM_ALLOWED.expand_generic(), AccessMask::MAXIMUM_ALLOWED);
    }
}

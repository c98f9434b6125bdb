//! File attributes (MS-FSCC 2.6).

use bitflags::bitflags;

bitflags! {
    /// Attributes of a file or directory. Bits without a name are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FileAttributes: u32 {
        /// Writes are refused.
        const READONLY = 0x0000_0001;
        /// Left out of ordinary listings.
        const HIDDEN = 0x0000_0002;
        /// Part of the operating system.
        const SYSTEM = 0x0000_0004;
        /// A directory.
        const DIRECTORY = 0x0000_0010;
        /// To be backed up.
        const ARCHIVE = 0x0000_0020;
        /// No other attribute; valid only alone.
        const NORMAL = 0x0000_0080;
        /// Short-lived.
        const TEMPORARY = 0x0000_0100;
        /// Has holes.
        const SPARSE_FILE = 0x0000_0200;
        /// Has a reparse point.
        const REPARSE_POINT = 0x0000_0400;
        /// Compressed.
        const COMPRESSED = 0x0000_0800;
        /// The data is elsewhere and slow to get.
        const OFFLINE = 0x0000_1000;
        /// Left out of the content index.
        const NOT_CONTENT_INDEXED = 0x0000_2000;
        /// Encrypted on disk.
        const ENCRYPTED = 0x0000_4000;
        /// Protected by integrity streams.
        const INTEGRITY_STREAM = 0x0000_8000;
        /// Left out of integrity scrubbing.
        const NO_SCRUB_DATA = 0x0002_0000;
        /// Opening fetches the data from elsewhere.
        const RECALL_ON_OPEN = 0x0004_0000;
        /// To be kept here.
        const PINNED = 0x0008_0000;
        /// To be kept elsewhere.
        const UNPINNED = 0x0010_0000;
        /// Reading fetches the data from elsewhere.
        const RECALL_ON_DATA_ACCESS = 0x0040_0000;
        const _ = !0;
    }
}

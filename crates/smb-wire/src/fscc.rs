//! Information classes and structures of MS-FSCC.
//!
//! What a client asks about a file is in [`file`], what it sets in [`set`], what it lists in
//! [`directory`], what it asks about the file system in [`file_system`]. [`posix`] has the level that Linux clients
//! add to all of these.

pub mod attributes;
pub mod directory;
pub mod ea;
pub mod file;
pub mod file_system;
pub mod posix;
pub mod quota;
pub mod reparse;
pub mod set;

pub use attributes::FileAttributes;

//! Information classes and structures of MS-FSCC.

pub mod attributes;

pub use attributes::FileAttributes;

//! Metadata: attributes and listings in memory, and when they may be believed without asking.
//! `tree` holds what is known, `changes` how it alters, `touches` which answers come too late: all pure.

mod changes;
#[cfg(test)]
mod model;
mod touches;
pub(crate) mod tree;

//! What tests of volumes are made of. Not part of the product: only `[dev-dependencies]` name this crate.
//!
//! * [`MemVolume`]: a complete volume in memory, with counters and with a way to change it as another writer;
//! * [`FaultVolume`]: wraps any volume and makes calls fail, wait, or find the origin offline;
//! * [`contract`]: what every volume must do, as named checks driven by its `Caps`;
//! * [`model`]: seeded random operations on a volume, compared with a plain tree after each step;
//! * [`Swaps`]: a directory swapped for a way out of the root, for whoever must stay beneath it;
//! * [`ease`]: one-line helpers over any volume, which panic with a story.

pub mod contract;
mod counts;
pub mod ease;
mod fault;
mod mem;
pub mod model;
mod rng;
mod swap;

pub use counts::{Counts, Op};
pub use fault::{FaultVolume, Gate};
pub use mem::{COPY_MAX_BYTES, MemConfig, MemVolume};
pub use rng::Rng;
pub use swap::Swaps;

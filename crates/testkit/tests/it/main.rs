//! The kit tested with itself: the contract and the model on `MemVolume` in all its guises, and the faults.

mod faults;
mod mem;

//! origin-peer

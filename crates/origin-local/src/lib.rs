//! origin-local

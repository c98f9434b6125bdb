//! Checks come here.

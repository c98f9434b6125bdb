//! origin-smb

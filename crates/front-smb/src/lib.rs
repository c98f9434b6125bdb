//! front-smb

//! smb-core

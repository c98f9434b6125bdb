//! front-admin

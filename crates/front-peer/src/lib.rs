//! front-peer

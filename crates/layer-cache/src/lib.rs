//! layer-cache

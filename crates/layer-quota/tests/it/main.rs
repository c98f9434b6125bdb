//! Quotas over volumes in memory and on disk.

mod contract;

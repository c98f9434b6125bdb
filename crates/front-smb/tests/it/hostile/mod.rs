//! Clients that break the rules, one file for each way of it. Every test fails when its defence is taken out.

mod binding;
mod downgrade;
mod middle;
mod protection;

//! Clients that break the rules, one file for each way of it. Every test fails when its defence is taken out.

mod binding;
mod chains;
mod credits;
mod downgrade;
mod frames;
mod middle;
mod protection;

//! Clients that break the rules, one file for each way of it. Every test fails when its defence is taken out.

mod anonymous;
mod binding;
mod bombs;
mod chains;
mod credits;
mod crowd;
mod downgrade;
mod flood;
mod foreign;
mod frames;
mod gap;
mod guests;
mod kept;
mod leaks;
mod links;
mod lists;
mod logon;
mod middle;
mod offsets;
mod protection;
mod rooms;
mod turns;

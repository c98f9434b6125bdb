//! The configuration file, as the program reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

// The program is no library: its parser is compiled in here.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/farshare/src/config/mod.rs"]
mod config;

fuzz_target!(|text: &str| {
    if let Err(why) = config::Config::parse(Path::new("/etc/farshare/farshare.toml"), text) {
        assert!(!why.to_string().is_empty());
    }
});

//! The commands, one file each.

pub mod alert;
pub mod certs;
pub mod check;
pub mod control;
mod how_to_connect;
pub mod mount;
pub mod serve;
pub mod try_out;
pub mod user;

use crate::cli::NodeArgs;
use crate::config::{Config, DEFAULT_FILE};
use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// The state directory of the node that is meant.
pub fn state_dir(node: &NodeArgs) -> Result<PathBuf, Failure> {
    match (&node.state, &node.config) {
        (Some(state), _) => Ok(state.clone()),
        (None, Some(config)) => Ok(Config::state_of(config)?),
        (None, None) => Ok(Config::state_of(Path::new(DEFAULT_FILE))?),
    }
}

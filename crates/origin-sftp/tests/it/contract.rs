//! The contract of every volume, and the model.

use crate::rig::Rig;
use std::sync::Arc;
use testkit::{contract, model};
use volume::Volume;

/// What SFTP 3 cannot tell or do.
const KNOWN_FAILURES: &[(&str, &str)] = &[
    ("rename_replacing", "rename(2) does nothing between two names of one file, and SFTP tells no inodes"),
    ("hard_links", "SFTP tells no number of links"),
    ("symlinks", "a server follows links on the way"),
    ("set_attr_by_name", "whole seconds"),
    ("set_attr_by_handle", "whole seconds"),
    ("versions_follow_content", "whole seconds: two writes within one look alike"),
    ("copies_at_the_origin", "copy-data does not copy within one file"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let Some(rig) = Rig::start() else { return };
    contract::run_except(|| async { rig.fresh() as Arc<dyn Volume> }, KNOWN_FAILURES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_agrees() {
    let Some(rig) = Rig::start() else { return };
    for seed in [1, 2, 3] {
        model::run(&*rig.fresh(), seed, 300).await;
    }
}

//! What every volume must do, done by the cache.

use crate::Site;
use std::time::Duration;
use testkit::MemConfig;
use volume::Volume;

async fn make(mem: MemConfig) -> std::sync::Arc<dyn Volume> {
    let site = Site::with(mem, |config| config.poll_every = Duration::ZERO).await;
    // The directory is removed with the process's temporary files.
    std::mem::forget(site.dir);
    site.cache
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_over_an_origin_that_tells_of_changes() {
    testkit::contract::run(|| make(MemConfig::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_over_a_polled_origin_without_case_and_in_small_pages() {
    let mut mem = MemConfig { page_entries: 3, ..MemConfig::default() }.and_quotas();
    (mem.caps.watch, mem.caps.case_sensitive) = (false, false);
    testkit::contract::run(|| make(mem.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_holds() {
    for seed in 0..4 {
        testkit::model::run(&*make(MemConfig::default()).await, seed, 150).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_holds_over_restarts() {
    let mut site = Site::new().await;
    let mut model = testkit::model::Model::new(7);
    for step in 0..120 {
        model.step(&*site.cache).await;
        if step % 30 == 29 {
            model.drop_handles();
            if step % 60 == 59 { site.restart().await } else { site.reopen().await }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_others_are_told_upward() {
    let site = Site::new().await;
    testkit::contract::tells_of_others(&*site.cache, &*site.origin.other()).await;
}

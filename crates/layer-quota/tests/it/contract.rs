//! What every volume must do, done by a layer that keeps quotas.

use layer_quota::{QuotaConfig, QuotaVolume};
use origin_local::{LocalConfig, LocalVolume};
use std::sync::Arc;
use testkit::{MemConfig, MemVolume, contract, model};
use volume::Volume;

async fn over(inner: Arc<dyn Volume>, dir: &tempfile::TempDir) -> Arc<QuotaVolume> {
    QuotaVolume::open(inner, QuotaConfig::new(dir.path().join("quotas.json"))).await.unwrap()
}

async fn over_memory(config: MemConfig) -> Arc<dyn Volume> {
    let dir = tempfile::tempdir().unwrap();
    let volume = over(MemVolume::with(config), &dir).await;
    // It is removed with the process's temporary files.
    std::mem::forget(dir);
    volume
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_over_memory() {
    contract::run(|| over_memory(MemConfig { page_entries: 3, ..MemConfig::default() })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_over_lesser_volumes() {
    let mut mem = MemConfig::default();
    (mem.caps.hard_links, mem.caps.watch, mem.caps.case_sensitive) = (false, false, false);
    contract::run(|| over_memory(mem.clone())).await;
    let mut mem = MemConfig::default();
    (mem.caps.random_write, mem.caps.copies, mem.caps.holes) = (false, false, false);
    let writes = [("quotas_count_what_owners_have", "it writes over what is there")];
    contract::run_except(|| over_memory(mem.clone()), &writes).await;
    mem.caps.read_only = true;
    contract::run(|| over_memory(mem.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_over_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU64::new(0);
    contract::run(|| async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = dir.path().join(number.to_string());
        std::fs::create_dir(&root).unwrap();
        let local = LocalVolume::open(&root, LocalConfig::default()).unwrap();
        let config = QuotaConfig::new(dir.path().join(format!("{number}.json")));
        QuotaVolume::open(local, config).await.unwrap() as Arc<dyn Volume>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_holds() {
    for seed in 0..20 {
        model::run(&*over_memory(MemConfig::default()).await, seed, 200).await;
    }
}

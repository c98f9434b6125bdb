//! What a verification says of a mirror.

use crate::rig::path;
use layer_mirror::{Here, MirrorConfig, Mirrors, State, Target};
use std::sync::Arc;
use std::time::Duration;
use testkit::{FaultVolume, MemVolume, Op, ease};
use volume::{ErrorKind, Volume};

#[tokio::test]
async fn what_cannot_be_compared_is_not_called_equal() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there): (Arc<dyn Volume>, Arc<dyn Volume>) = (MemVolume::new(), MemVolume::new());
    ease::put(&*here, "file", b"content").await;
    let there = FaultVolume::new(there);
    let target =
        Target { name: "m".into(), to: "m".into(), way: Arc::new(Here(there.clone())), in_order: false };
    let config = MirrorConfig { dir: dir.path().to_owned(), log_max_bytes: u64::MAX };
    let (_volume, mirrors) = Mirrors::open(here, config, vec![target]).await.unwrap();
    while mirrors.status()[0].state != State::Live {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(mirrors.verify("m", true).await.unwrap(), []);
    there.fail_always(Op::Open, ErrorKind::PermissionDenied);
    assert_eq!(mirrors.verify("m", true).await.unwrap(), [(path("file"), "cannot be compared")]);
    mirrors.shut_down(Duration::ZERO).await;
}

//! The process is killed at any moment, again and again: nothing is lost, and mirrors are equal at the end.

use crate::rig::{Rig, path};
use bytes::Bytes;
use layer_mirror::{Order, State};
use std::time::Duration;
use testkit::Rng;
use volume::{Change, Close, Create, Cx, OpenHow, Priority, SetAttr, Volume};

/// One random change; what cannot be done is not.
async fn change(volume: &dyn Volume, rng: &mut Rng) {
    let cx = Cx::system(Priority::Interactive);
    let dirs = ["", "a", "b", "a/c"];
    let name = |rng: &mut Rng| {
        let dir = dirs[rng.below(4) as usize];
        let leaf = format!("f{}", rng.below(6));
        path(&if dir.is_empty() { leaf } else { format!("{dir}/{leaf}") })
    };
    let dir = path(dirs[1 + rng.below(3) as usize]);
    let one = name(rng);
    let change = match rng.below(12) {
        0 => Change::MakeDir { path: dir, mode: 0o755, dos: Default::default(), maker: None },
        1 => Change::Remove { path: dir, dir: true, expect: None },
        2 => Change::Remove { path: one, dir: false, expect: None },
        3 | 4 => Change::Rename { from: one, to: name(rng), replace: true, expect: None },
        5 => Change::Rename { from: path("a"), to: path("b"), replace: false, expect: None },
        6 => Change::Link { from: one, to: name(rng), replace: false, expect: None },
        7 => {
            let set = SetAttr { mode: Some(0o600 + rng.below(8) as u32), ..SetAttr::default() };
            Change::SetAttr { path: one, set, expect: None }
        }
        kind => {
            let truncate = kind < 10;
            let how = OpenHow { truncate, ..OpenHow::create(Create::IfMissing) };
            let Ok(opened) = volume.open(&cx, &one, how).await else { return };
            let data = vec![rng.below(256) as u8; 1 + rng.below(20_000) as usize];
            let offset = if truncate { 0 } else { rng.below(5000) };
            drop(opened.file.write_at(&cx, offset, Bytes::from(data)).await);
            drop(opened.file.close(&cx, Close::Commit).await);
            return;
        }
    };
    drop(volume.apply(&cx, &change).await);
}

fn check(seed: u64, lives: u64, changes: u64) {
    let rig = Rig::new(&["m1"]);
    let mut rng = Rng::new(seed);
    for turn in 0..lives {
        let life = rig.live();
        life.run(async {
            for _ in 0..rng.below(changes) {
                change(&*life.volume, &mut rng).await;
            }
        });
        if turn % 3 == 0 {
            std::thread::sleep(Duration::from_millis(rng.below(30)));
        }
        if turn % 5 == 4 {
            rig.settle(&life);
            rig.check_equal();
        }
    }
    let life = rig.live();
    rig.settle(&life);
    rig.check_equal();
}

#[test]
fn killed_at_any_moment_the_mirror_is_equal_at_the_end() {
    for seed in 1..=8 {
        check(seed, 12, 120);
    }
}

#[test]
fn a_log_that_was_cut_is_no_loss() {
    let rig = Rig::new(&["m1"]);
    let mut rng = Rng::new(77);
    for _ in 0..3 {
        // Every second all that lies in whole segments is given up.
        let life = rig.live_with(0);
        life.run(async {
            for _ in 0..200 {
                change(&*life.volume, &mut rng).await;
            }
        });
        rig.settle(&life);
        rig.check_equal();
    }
}

/// Whether the damage is behind what the mirror has, or at the very end of the log, where it looks like a write that was cut short.
#[test]
fn a_log_that_was_damaged_is_no_loss() {
    for damaged in [0.2, 0.9] {
        let rig = Rig::new(&["m1"]);
        let life = rig.live();
        rig.settle(&life);
        life.mirrors.order("m1", Order::Pause).unwrap();
        while life.mirrors.status()[0].state != State::Paused {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut rng = Rng::new(5);
        life.run(async {
            for _ in 0..200 {
                change(&*life.volume, &mut rng).await;
            }
        });
        drop(life);
        // Another start, so that the first segment is not the last.
        let again = damaged < 0.5;
        if again {
            drop(rig.live());
        }
        rig.damage_log(damaged);
        let life = rig.live();
        life.mirrors.order("m1", Order::Resume).unwrap();
        rig.settle(&life);
        rig.check_equal();
    }
}

//! A reader of the mirror sees only states that were here.

use crate::arriving::write;
use crate::rig::{Rig, path};
use std::sync::atomic::{AtomicBool, Ordering};
use volume::{Change, Cx, Priority};

/// A pointer names a file that was written whole before: it never names one that is not there or not whole.
#[test]
fn nobody_sees_a_pointer_before_what_it_points_to() {
    let rig = Rig::new(&["m1"]);
    let life = rig.live();
    rig.settle(&life);
    let stop = AtomicBool::new(false);
    let there = rig.there("m1");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                let Ok(name) = std::fs::read_to_string(there.join("CURRENT")) else { continue };
                let content = std::fs::read(there.join(&name));
                // It may have gone meanwhile, when the pointer has moved on.
                let moved = std::fs::read_to_string(there.join("CURRENT")).is_ok_and(|now| now != name);
                let whole = content.as_ref().is_ok_and(|content| content.len() == 20_000);
                assert!(whole || moved, "CURRENT names {name:?}, which is {content:?}");
                seen += 1;
            }
            seen
        });
        life.run(async {
            let cx = Cx::system(Priority::Interactive);
            for turn in 0..300 {
                write(&*life.volume, &format!("file{turn}"), &vec![turn as u8; 20_000]).await;
                write(&*life.volume, "CURRENT.new", format!("file{turn}").as_bytes()).await;
                let (from, to) = (path("CURRENT.new"), path("CURRENT"));
                let change = Change::Rename { from, to, replace: true, expect: None };
                life.volume.apply(&cx, &change).await.unwrap();
                if turn > 0 {
                    let path = path(&format!("file{}", turn - 1));
                    let change = Change::Remove { path, dir: false, expect: None };
                    life.volume.apply(&cx, &change).await.unwrap();
                }
            }
        });
        rig.settle(&life);
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 100, "the reader has looked");
    });
    rig.check_equal();
}

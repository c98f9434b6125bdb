//! rsync by hand, with all that it can keep.

use super::super::site::{Mirror, Site};
use super::super::tool::Tool;
use super::by_hand::{ByHand, Target};
use super::quoted;
use crate::run::Outcome;

/// Something vanished while it ran.
const VANISHED: i32 = 24;

pub fn start(site: &Site<'_>) -> Outcome<Box<dyn Tool>> {
    let target = |mirror: &Mirror| Target {
        name: mirror.name.clone(),
        program: "rsync".to_owned(),
        words: vec![
            "-aHAX".to_owned(),
            "--delete".to_owned(),
            "-e".to_owned(),
            quoted(&site.ssh(mirror)),
            format!("{}/", site.source.display()),
            format!("root@127.0.0.1:{}/", mirror.root.display()),
        ],
        environment: Vec::new(),
    };
    Ok(Box::new(ByHand::new(site, site.mirrors.iter().map(target).collect(), &[VANISHED])))
}

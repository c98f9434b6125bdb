//! The floor: all of the source through one connection a mirror, as tar packs it.

use super::super::site::Site;
use super::super::tool::Tool;
use super::by_hand::{ByHand, Target};
use super::quoted;
use crate::run::Outcome;

pub fn start(site: &Site<'_>) -> Outcome<Box<dyn Tool>> {
    let target = |mirror: &super::super::site::Mirror| {
        let source = quoted(&[site.source.display().to_string()]);
        let there = format!("tar -C {} -xpf -", quoted(&[mirror.root.display().to_string()]));
        let mut ssh = site.ssh(mirror);
        ssh.extend(["root@127.0.0.1".to_owned(), there]);
        Target {
            name: mirror.name.clone(),
            program: "sh".to_owned(),
            words: vec!["-c".to_owned(), format!("tar -C {source} -cf - . | {}", quoted(&ssh))],
            environment: Vec::new(),
        }
    };
    Ok(Box::new(ByHand::new(site, site.mirrors.iter().map(target).collect(), &[])))
}

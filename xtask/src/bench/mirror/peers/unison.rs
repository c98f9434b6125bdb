//! Unison in batch mode, the source always in the right.

use super::super::site::{Mirror, Site};
use super::super::tool::Tool;
use super::by_hand::{ByHand, Target};
use super::quoted;
use crate::run::Outcome;

/// Something was passed over, because it changed meanwhile.
const PASSED_OVER: i32 = 1;

pub fn start(site: &Site<'_>) -> Outcome<Box<dyn Tool>> {
    let target = |mirror: &Mirror| {
        let source = site.source.display().to_string();
        // Each side remembers what both had; here and there are one machine.
        let state =
            |side: &str| site.dir.join(format!("unison-{}-{side}", mirror.name)).display().to_string();
        let server = format!("env UNISON={} unison", quoted(&[state("there")]));
        // It cuts the words at spaces and knows no quotes.
        let ssh = site.ssh(mirror)[1..].join(" ");
        let mut words = vec![source.clone(), format!("ssh://root@127.0.0.1/{}", mirror.root.display())];
        for (option, value) in [("-servercmd", &server), ("-sshargs", &ssh), ("-force", &source)] {
            words.extend([option.to_owned(), value.clone()]);
        }
        for option in
            "-ui text -batch -silent -confirmbigdel=false -times -owner -group -numericids -perms -1"
                .split(' ')
        {
            words.push(option.to_owned());
        }
        Target {
            name: mirror.name.clone(),
            program: "unison".to_owned(),
            words,
            environment: vec![("UNISON".to_owned(), state("here"))],
        }
    };
    Ok(Box::new(ByHand::new(site, site.mirrors.iter().map(target).collect(), &[PASSED_OVER])))
}

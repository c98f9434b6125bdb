//! A server's network and a client's, joined by several cables: two namespaces and a veth pair for each cable.

use crate::Outcome;
use crate::process::{Net, output};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// Cables are numbered from 0; on each the server is .1 and the client .2.
pub struct Lan {
    name: String,
}

impl Lan {
    /// Makes the namespaces `NAME-s` and `NAME-c` (a name of at most nine letters and digits).
    pub fn up(name: &str, cables: u8) -> Outcome<Lan> {
        let lan = Lan { name: name.to_owned() };
        // What a run that was killed left behind.
        lan.down()?;
        for end in ["s", "c"] {
            ip(&format!("netns add {name}-{end}"))?;
            ip(&format!("-n {name}-{end} link set lo up"))?;
        }
        for cable in 0..cables {
            let (server, client) = (format!("net{cable}"), format!("{name}-{cable}"));
            ip(&format!("link add {client} type veth peer name {server} netns {name}-s"))?;
            ip(&format!("link set {client} netns {name}-c"))?;
            for (end, device, last) in [("s", &server, 1), ("c", &client, 2)] {
                ip(&format!("-n {name}-{end} address add 10.78.{cable}.{last}/24 dev {device}"))?;
                ip(&format!("-n {name}-{end} link set {device} up"))?;
            }
        }
        Ok(lan)
    }

    pub fn server(&self) -> Net {
        Net::Namespace(format!("{}-s", self.name))
    }

    pub fn client(&self) -> Net {
        Net::Namespace(format!("{}-c", self.name))
    }

    /// The server's address on a cable.
    pub fn address(cable: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 78, cable, 1)
    }

    /// Runs `ip` in the server's namespace.
    pub fn at_server(&self, words: &str) -> Outcome {
        ip(&format!("-n {}-s {words}", self.name))
    }

    fn down(&self) -> Outcome {
        for end in ["s", "c"] {
            let namespace = format!("{}-{end}", self.name);
            if Path::new("/run/netns").join(&namespace).exists() {
                ip(&format!("netns del {namespace}"))?;
            }
        }
        Ok(())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        if let Err(why) = self.down() {
            eprintln!("lan {}: {why}", self.name);
        }
    }
}

fn ip(words: &str) -> Outcome {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    output(command).map(drop)
}

//! A server that the guest works on: farshare over a directory, the same with link and cache between, or Samba 4.22.
//! Each listens on port 445 of every address in the wires' namespace.

use crate::run::Outcome;
use e2e::{Farshare, Running, SambaNewest, Solo, Wires};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

pub const NAMESPACE: &str = "fsvm";
pub const PREFIX: &str = "10.214";
const EVERY_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 445);
/// Both wires are offered to clients, each for several channels: a tap is left out by itself.
const SMB: &str = "interfaces = [{ name = \"vmtap1\", rss = true }, { name = \"vmtap2\", rss = true }]";
/// A second share of the same tree, whose opens outlive the server.
const STEADY: &str = "[smb.share.steady]\nvolume = \"data\"\ncontinuously_available = true";

/// Who serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// farshare over a directory.
    Local,
    /// farshare with link and cache between.
    Far,
    Samba,
}

impl Server {
    pub fn name(self) -> &'static str {
        match self {
            Server::Local => "local",
            Server::Far => "far",
            Server::Samba => "samba",
        }
    }
}

/// A running server.
pub enum Served {
    Local(Solo),
    Far(Farshare),
    Samba(SambaNewest),
}

impl Served {
    pub fn start(server: Server, data: &Path, wires: &Wires) -> Outcome<Served> {
        let net = wires.net();
        Ok(match server {
            Server::Local => Served::Local(Solo::start(data, &net, EVERY_ADDRESS, SMB, STEADY)?),
            Server::Far => Served::Far(Farshare::try_in(&net, &EVERY_ADDRESS.to_string(), data, &[])?),
            Server::Samba => Served::Samba(SambaNewest::start(data, &net, EVERY_ADDRESS)?),
        })
    }

    /// Share and login, as the scripts take them. The far server has no administrator.
    pub fn environment(&self) -> Vec<(String, String)> {
        let (share, user, password, chief) = match self {
            Served::Local(_) => (Solo::SHARE, Solo::USER, Solo::PASSWORD, Solo::ADMINISTRATOR),
            Served::Far(far) => (far.share.as_str(), far.user.as_str(), far.password.as_str(), ""),
            Served::Samba(_) => {
                (SambaNewest::SHARE, SambaNewest::USER, SambaNewest::PASSWORD, SambaNewest::USER)
            }
        };
        [("SHARE", share), ("USER", user), ("PASSWD", password), ("ADMINISTRATOR", chief)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    pub fn kill(&mut self) -> Outcome {
        match self {
            Served::Local(solo) => solo.kill(),
            Served::Samba(samba) => samba.kill(),
            Served::Far(_) => return Err("the far server has no second life: try makes all anew".to_owned()),
        }
        Ok(())
    }

    pub fn serve(&mut self) -> Outcome {
        match self {
            Served::Local(solo) => solo.serve(),
            Served::Samba(samba) => samba.serve(),
            Served::Far(_) => Err("the far server has no second life: try makes all anew".to_owned()),
        }
    }

    pub fn running(&mut self) -> &mut Running {
        match self {
            Served::Local(solo) => solo.running(),
            Served::Far(far) => &mut far.running,
            Served::Samba(samba) => &mut samba.running,
        }
    }
}

//! What is offered, decided from facts alone.
//!
//! Without a list of the operator's: every address that the server listens on, of every interface that is up and
//! leads somewhere. Left out are loopback, link-local addresses (a client would need a scope that only it knows:
//! Linux clients stumble over them), and what connects this machine with its own containers and virtual machines.
//! The interface that the client came over is offered whatever its kind: the client is the proof that it leads
//! to it.
//!
//! With a list: what it names, and nothing else.

use smb_wire::ioctl::network_interface::{InterfaceCapability, NetworkInterface};
use std::net::{IpAddr, SocketAddr};

/// Speed told where the system knows none (virtual interfaces mostly), bits per second.
pub(crate) const SPEED_DEFAULT: u64 = 1_000_000_000;

/// Beginnings of names that container engines, hypervisors and tunnels give.
const INNER_NAMES: [&str; 15] = [
    "docker", "br-", "veth", "virbr", "vnet", "cni", "flannel", "cali", "cilium", "lxc", "lxdbr", "podman",
    "kube-", "tap", "tun",
];

/// An interface or address that the operator wants offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceChoice {
    pub what: Named,
    /// Bits per second, instead of what the system says.
    pub speed: Option<u64>,
    /// Whether several channels are worth while, instead of what the system says.
    pub rss: Option<bool>,
}

/// How it is named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// All addresses of the interface.
    Interface(String),
    /// Only this one.
    Address(IpAddr),
}

/// What the system says of its interfaces, in order of their numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) links: Vec<Link>,
}

/// One interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// Switched on, and the other end of the cable answers.
    pub(crate) up: bool,
    pub(crate) loopback: bool,
    /// Without those that IPv6 has not settled, or is giving up.
    pub(crate) addresses: Vec<IpAddr>,
    /// Bits per second, where it is known.
    pub(crate) speed: Option<u64>,
    pub(crate) receive_queues: usize,
    pub(crate) bridge: bool,
    /// A port of a bridge.
    pub(crate) bridged: bool,
    /// There is hardware below it, its own or that of what it is made of.
    pub(crate) over_device: bool,
}

/// Where the server can be reached, and where this client did so.
#[derive(Clone, Copy)]
pub(crate) struct Listening<'a> {
    pub(crate) bound: &'a [SocketAddr],
    pub(crate) local: SocketAddr,
}

pub(crate) fn offer(
    facts: &Facts,
    chosen: Option<&[InterfaceChoice]>,
    listening: Listening<'_>,
) -> Vec<NetworkInterface> {
    let local = listening.local.ip().to_canonical();
    let mut offered = Vec::new();
    for link in facts.links.iter().filter(|link| link.up && link.index != 0) {
        for address in &link.addresses {
            let choice = chosen.map(|chosen| choice_for(chosen, link, *address));
            let wanted = match choice {
                // Who came over loopback is on this machine, or in a tunnel that ends here.
                _ if local.is_loopback() => *address == local,
                Some(Some(choice)) => !is_link_local(*address) || choice.what == Named::Address(*address),
                Some(None) => false,
                None => !is_link_local(*address) && (leads_out(link) || link.addresses.contains(&local)),
            };
            if wanted && !is_unscoped(*address) && listening.reaches(*address) {
                offered.push(entry(link, *address, choice.flatten()));
            }
        }
    }
    offered
}

fn entry(link: &Link, address: IpAddr, choice: Option<&InterfaceChoice>) -> NetworkInterface {
    let speed = choice.and_then(|choice| choice.speed).or(link.speed).unwrap_or(SPEED_DEFAULT);
    let scales = link.receive_queues > 1 || link.loopback;
    let mut capability = InterfaceCapability::empty();
    capability.set(InterfaceCapability::RSS, choice.and_then(|choice| choice.rss).unwrap_or(scales));
    NetworkInterface { index: link.index, capability, link_speed: speed, address }
}

/// The entry that says most about this address: one that names it, else one that names its interface.
fn choice_for<'a>(
    chosen: &'a [InterfaceChoice],
    link: &Link,
    address: IpAddr,
) -> Option<&'a InterfaceChoice> {
    let by_address = chosen.iter().find(|choice| choice.what == Named::Address(address));
    by_address.or_else(|| {
        chosen.iter().find(|choice| matches!(&choice.what, Named::Interface(name) if *name == link.name))
    })
}

/// Whether an interface leads to other machines. A bridge does when one of its ports has hardware: many hosts of
/// virtual machines have their own address on such a one.
pub(super) fn leads_out(link: &Link) -> bool {
    if link.loopback || link.bridged {
        return false;
    }
    if link.bridge || link.over_device {
        return link.over_device;
    }
    !INNER_NAMES.iter().any(|inner| link.name.starts_with(inner))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// An address that means nothing without the client's own name for the cable: not even the operator can offer it.
fn is_unscoped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

impl Listening<'_> {
    /// Whether somebody who connects to `address` gets here. Clients keep the port.
    fn reaches(&self, address: IpAddr) -> bool {
        reaches(self.bound.iter().filter(|bound| bound.port() == self.local.port()), address)
    }
}

/// Whether somebody who connects to `address` comes to one of these.
pub(super) fn reaches<'a>(bound: impl IntoIterator<Item = &'a SocketAddr>, address: IpAddr) -> bool {
    bound.into_iter().any(|bound| match bound.ip() {
        IpAddr::V4(any) if any.is_unspecified() => address.is_ipv4(),
        // Linux lets IPv4 in there too.
        IpAddr::V6(any) if any.is_unspecified() => true,
        one => one.to_canonical() == address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYWHERE: &[&str] = &["0.0.0.0:445", "[::]:445"];

    fn link(index: u32, name: &str, addresses: &[&str]) -> Link {
        Link {
            name: name.to_owned(),
            index,
            up: true,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            receive_queues: 1,
            ..Link::default()
        }
    }

    fn machine() -> Facts {
        let device = |link| Link { over_device: true, ..link };
        let bridge = |link| Link { bridge: true, ..link };
        Facts {
            links: vec![
                Link { loopback: true, ..link(1, "lo", &["127.0.0.1", "::1"]) },
                device(Link {
                    speed: Some(25_000_000_000),
                    receive_queues: 8,
                    ..link(2, "eth0", &["10.0.0.5", "2001:db8::5", "fe80::5"])
                }),
                device(Link { speed: Some(1_000_000_000), ..link(3, "eth1", &["10.0.1.5", "169.254.7.7"]) }),
                device(Link { up: false, ..link(4, "eth2", &["10.0.2.5"]) }),
                device(Link { bridged: true, ..link(5, "eth3", &["10.0.3.5"]) }),
                device(bridge(link(6, "br0", &["10.0.4.5"]))),
                bridge(link(7, "docker0", &["172.17.0.1"])),
                bridge(link(8, "lan", &["10.0.5.5"])),
                Link { bridged: true, ..link(9, "p7", &["10.0.6.5"]) },
                link(10, "veth12ab", &["10.0.7.5"]),
                link(11, "tun0", &["10.8.0.1"]),
                link(12, "wg0", &["10.9.0.1"]),
            ],
        }
    }

    fn choose(text: &str) -> InterfaceChoice {
        let what = match text.parse() {
            Ok(address) => Named::Address(address),
            Err(_) => Named::Interface(text.to_owned()),
        };
        InterfaceChoice { what, speed: None, rss: None }
    }

    #[track_caller]
    fn check(chosen: Option<&[&str]>, bound: &[&str], local: &str, expect: &[&str]) {
        let chosen: Option<Vec<_>> = chosen.map(|all| all.iter().map(|text| choose(text)).collect());
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let listening = Listening { bound: &bound, local: local.parse().unwrap() };
        let offered = offer(&machine(), chosen.as_deref(), listening);
        let offered: Vec<String> = offered.iter().map(|entry| entry.address.to_string()).collect();
        assert_eq!(offered, expect);
    }

    #[test]
    fn what_leads_to_other_machines_is_offered() {
        let all = ["10.0.0.5", "2001:db8::5", "10.0.1.5", "10.0.4.5", "10.9.0.1"];
        check(None, EVERYWHERE, "10.0.0.5:445", &all);
        check(None, EVERYWHERE, "[::ffff:10.0.0.5]:445", &all);
    }

    #[test]
    fn who_came_over_an_inner_interface_is_told_of_it() {
        let with = ["10.0.0.5", "2001:db8::5", "10.0.1.5", "10.0.4.5", "172.17.0.1", "10.9.0.1"];
        check(None, EVERYWHERE, "172.17.0.1:445", &with);
        let without = ["10.0.0.5", "2001:db8::5", "10.0.1.5", "10.0.4.5", "10.9.0.1"];
        check(None, EVERYWHERE, "[fe80::5]:445", &without);
        check(None, EVERYWHERE, "169.254.7.7:445", &without);
    }

    #[test]
    fn who_came_over_loopback_stays_there() {
        check(None, EVERYWHERE, "127.0.0.1:445", &["127.0.0.1"]);
        check(None, EVERYWHERE, "[::1]:445", &["::1"]);
        check(Some(&["eth0"]), EVERYWHERE, "[::ffff:127.0.0.1]:445", &["127.0.0.1"]);
    }

    #[test]
    fn only_where_the_server_listens() {
        check(None, &["10.0.0.5:445"], "10.0.0.5:445", &["10.0.0.5"]);
        check(None, &["0.0.0.0:445"], "10.0.0.5:445", &["10.0.0.5", "10.0.1.5", "10.0.4.5", "10.9.0.1"]);
        check(None, &["[2001:db8::5]:445", "10.0.1.5:4450"], "[2001:db8::5]:445", &["2001:db8::5"]);
    }

    #[test]
    fn a_list_names_all_there_is() {
        check(Some(&["eth1"]), EVERYWHERE, "10.0.0.5:445", &["10.0.1.5"]);
        check(Some(&["eth0", "tun0"]), EVERYWHERE, "10.0.1.5:445", &["10.0.0.5", "2001:db8::5", "10.8.0.1"]);
        check(
            Some(&["2001:db8::5", "172.17.0.1"]),
            EVERYWHERE,
            "10.0.0.5:445",
            &["2001:db8::5", "172.17.0.1"],
        );
        check(Some(&["169.254.7.7", "fe80::5"]), EVERYWHERE, "10.0.0.5:445", &["169.254.7.7"]);
        check(Some(&["eth2", "192.0.2.1", "nothing"]), EVERYWHERE, "10.0.0.5:445", &[]);
        check(Some(&["eth0"]), &["10.0.1.5:445"], "10.0.1.5:445", &[]);
    }

    #[test]
    fn speed_and_scaling_come_from_the_list_else_from_the_system() {
        let bound = ["0.0.0.0:445".parse().unwrap()];
        let listening = Listening { bound: &bound, local: "10.0.0.5:445".parse().unwrap() };
        let told = |chosen: Option<&[InterfaceChoice]>, index: u32| {
            let offered = offer(&machine(), chosen, listening);
            let entry = offered.into_iter().find(|entry| entry.index == index).unwrap();
            (entry.link_speed, entry.capability.contains(InterfaceCapability::RSS))
        };
        assert_eq!(told(None, 2), (25_000_000_000, true));
        assert_eq!(told(None, 3), (1_000_000_000, false));
        assert_eq!(told(None, 12), (SPEED_DEFAULT, false));
        let chosen = [
            InterfaceChoice { speed: Some(5), rss: Some(false), ..choose("eth0") },
            InterfaceChoice { rss: Some(true), ..choose("eth1") },
            InterfaceChoice { speed: Some(7), ..choose("10.0.1.5") },
        ];
        assert_eq!(told(Some(&chosen), 2), (5, false));
        assert_eq!(told(Some(&chosen), 3), (7, false), "the address says more than its interface");
    }
}

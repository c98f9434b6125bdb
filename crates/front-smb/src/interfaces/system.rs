//! What the system says of its network interfaces: `getifaddrs`, `/proc/net/if_inet6` and `/sys/class/net`.
//!
//! `/sys` may show another network namespace than the one that this process lives in; what does not fit the
//! interface's number there is not believed.

use super::offer::{Facts, Link};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Flags of an IPv6 address that is not to be told (linux/if_addr.h): temporary, found twice, deprecated, not yet
/// known to be the only one.
const UNSETTLED: u8 = 0x01 | 0x08 | 0x20 | 0x40;
/// How deep interfaces stand on others: a bridge on a VLAN on a bond on two cards is three.
const STACKED_MAX: usize = 6;
/// Where the system describes them.
const SYSTEM: &str = "/sys/class/net";
const MEGABIT: u64 = 1_000_000;

/// Asks the system.
pub(super) fn read() -> io::Result<Facts> {
    let unsettled = match fs::read_to_string("/proc/net/if_inet6") {
        Ok(text) => unsettled(&text),
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut links = BTreeMap::new();
    for found in addresses()? {
        let link = links.entry(found.index).or_insert_with(|| Link {
            name: found.name.clone(),
            index: found.index,
            up: found.up,
            loopback: found.loopback,
            ..Link::default()
        });
        let settled = |address: &IpAddr| !matches!(address, IpAddr::V6(one) if unsettled.contains(one));
        link.addresses.extend(found.address.filter(settled));
    }
    let mut facts = Facts { links: links.into_values().collect() };
    for link in &mut facts.links {
        look(Path::new(SYSTEM), link);
    }
    Ok(facts)
}

/// What an interface is, without its addresses.
pub(super) fn link(name: &str, index: u32) -> Link {
    let mut link = Link { name: name.to_owned(), index, ..Link::default() };
    look(Path::new(SYSTEM), &mut link);
    link
}

/// One entry of `getifaddrs`.
struct Found {
    name: String,
    index: u32,
    up: bool,
    loopback: bool,
    address: Option<IpAddr>,
}

fn addresses() -> io::Result<Vec<Found>> {
    let mut list = std::ptr::null_mut();
    // SAFETY: the call writes a pointer to a list into `list`, or fails.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: not null, and the list is not freed before the loop has ended.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        // SAFETY: the name of an entry is a string that ends with a zero byte.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        // An IPv4 address may bear a label, `eth0:1`.
        let name = name.to_string_lossy();
        let name = name.split(':').next().unwrap_or_default().to_owned();
        let flag = |flag: libc::c_int| entry.ifa_flags & flag as libc::c_uint != 0;
        let index = index_of(&name);
        let address = address_of(entry.ifa_addr);
        let up = flag(libc::IFF_UP) && flag(libc::IFF_RUNNING);
        found.push(Found { name, index, up, loopback: flag(libc::IFF_LOOPBACK), address });
    }
    // SAFETY: the list came from `getifaddrs`, and nothing refers to it any more.
    unsafe { libc::freeifaddrs(list) };
    // What has gone meanwhile has no number.
    found.retain(|found| found.index != 0);
    Ok(found)
}

fn index_of(name: &str) -> u32 {
    let Ok(name) = std::ffi::CString::new(name) else { return 0 };
    // SAFETY: a string that ends with a zero byte.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null; every socket address begins with its family, which says what else is there.
    unsafe {
        match libc::c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let address = &*address.cast::<libc::sockaddr_in>();
                Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let address = &*address.cast::<libc::sockaddr_in6>();
                Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
            }
            _ => None,
        }
    }
}

/// The addresses in `/proc/net/if_inet6` that are not to be told. A line is address, interface, prefix length,
/// scope, flags (all hexadecimal), name.
fn unsettled(text: &str) -> Vec<Ipv6Addr> {
    let flagged = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        let flags = u8::from_str_radix(words.nth(3)?, 16).ok()?;
        (flags & UNSETTLED != 0).then(|| Ipv6Addr::from(address))
    });
    flagged.collect()
}

/// What `/sys/class/net` adds.
fn look(all: &Path, link: &mut Link) {
    let path = all.join(&link.name);
    if number(&path.join("ifindex")) != Some(i64::from(link.index)) {
        return;
    }
    // Virtual ones say -1 or refuse to tell.
    let megabits = number(&path.join("speed")).and_then(|speed| u64::try_from(speed).ok());
    link.speed = megabits.filter(|speed| *speed > 0).map(|speed| speed.saturating_mul(MEGABIT));
    link.receive_queues = entries(&path.join("queues"), "rx-").len();
    link.bridge = path.join("bridge").exists();
    link.bridged = path.join("brport").exists();
    link.over_device = over_device(all, &link.name, STACKED_MAX);
}

fn over_device(all: &Path, name: &str, deep: usize) -> bool {
    let path = all.join(name);
    path.join("device").exists()
        || (deep > 0 && entries(&path, "lower_").iter().any(|lower| over_device(all, lower, deep - 1)))
}

fn number(path: &Path) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The entries of a directory that begin so, without that beginning.
fn entries(path: &Path, begin: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix(begin).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn ipv6_addresses_that_are_not_settled() {
        let text = "\
            20010db8000000000000000000000001 02 40 00 80 eth0\n\
            20010db8000000000000000000000002 02 40 00 01 eth0\n\
            20010db8000000000000000000000003 02 40 00 a0 eth0\n\
            fe800000000000000000000000000001 03 40 20 c0 eth1\n\
            nonsense\n";
        let expect: [Ipv6Addr; 3] =
            ["2001:db8::2", "2001:db8::3", "fe80::1"].map(|text| text.parse().unwrap());
        assert_eq!(unsettled(text), expect);
    }

    #[test]
    fn what_the_file_tree_says() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[(&str, &str)], dirs: &[&str]| {
            for (file, content) in files {
                let path = dir.path().join(name).join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            for sub in dirs {
                fs::create_dir_all(dir.path().join(name).join(sub)).unwrap();
            }
        };
        make(
            "eth0",
            &[("ifindex", "2\n"), ("speed", "25000\n")],
            &["device", "queues/rx-0", "queues/rx-1", "queues/tx-0"],
        );
        make("bond0", &[("ifindex", "3\n"), ("speed", "-1\n")], &["lower_eth0", "queues/rx-0"]);
        make("br0", &[("ifindex", "4\n")], &["bridge", "lower_bond0", "lower_vnet1"]);
        make("vnet1", &[("ifindex", "5\n")], &["brport"]);
        make("loop", &[("ifindex", "6\n")], &["lower_loop"]);
        let seen = |name: &str, index| {
            let mut link = Link { name: name.to_owned(), index, ..Link::default() };
            look(dir.path(), &mut link);
            (link.speed, link.receive_queues, link.bridge, link.bridged, link.over_device)
        };
        assert_eq!(seen("eth0", 2), (Some(25_000_000_000), 2, false, false, true));
        assert_eq!(seen("bond0", 3), (None, 1, false, false, true));
        assert_eq!(seen("br0", 4), (None, 0, true, false, true));
        assert_eq!(seen("vnet1", 5), (None, 0, false, true, false));
        assert_eq!(seen("loop", 6), (None, 0, false, false, false));
        assert_eq!(seen("eth0", 9), (None, 0, false, false, false), "of another namespace");
    }

    #[test]
    fn this_machine_has_loopback() {
        let facts = read().unwrap();
        let loopback = facts.links.iter().find(|link| link.loopback).unwrap();
        assert!(loopback.up && loopback.addresses.contains(&"127.0.0.1".parse().unwrap()), "{facts:?}");
    }

    /// Runs `words` as root in the namespace where the test below lives.
    fn ip(words: &str) {
        let status = Command::new("ip").args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    }

    /// A thread of its own moves into a network namespace of its own, and takes it with it when it ends.
    #[test]
    #[ignore = "needs root: cargo xtask test"]
    fn interfaces_of_a_namespace() {
        let seen = std::thread::spawn(|| {
            // SAFETY: only this thread changes its namespaces.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) }, 0);
            for words in ["--make-rprivate /", "-t sysfs sysfs /sys"] {
                assert!(Command::new("mount").args(words.split(' ')).status().unwrap().success(), "{words}");
            }
            ip("link set lo up");
            ip("link add left numrxqueues 2 type veth peer name right numrxqueues 2");
            ip("address add 192.0.2.1/24 dev left");
            ip("address add 192.0.2.2/24 dev left label left:1");
            ip("-6 address add 2001:db8::1/64 dev left nodad");
            ip("link set left up");
            ip("link set right up");
            ip("link add br-test type bridge");
            ip("address add 198.51.100.1/24 dev br-test");
            ip("link set right master br-test");
            ip("link set br-test up");
            let first = read().unwrap();
            ip("link set left down");
            ip("address del 198.51.100.1/24 dev br-test");
            (first, read().unwrap())
        });
        let (first, second) = seen.join().unwrap();
        let find =
            |facts: &Facts, name: &str| facts.links.iter().find(|link| link.name == name).cloned().unwrap();
        let (left, bridge) = (find(&first, "left"), find(&first, "br-test"));
        let has = |link: &Link, text: &str| link.addresses.contains(&text.parse().unwrap());
        assert!(left.up && !left.bridge && !left.bridged && left.receive_queues == 2, "{left:?}");
        assert!(has(&left, "192.0.2.1") && has(&left, "192.0.2.2") && has(&left, "2001:db8::1"), "{left:?}");
        assert!(bridge.bridge && !bridge.over_device && has(&bridge, "198.51.100.1"), "{bridge:?}");
        assert!(find(&first, "right").bridged);
        assert!(!find(&second, "left").up);
        assert!(find(&second, "br-test").addresses.is_empty());
    }
}

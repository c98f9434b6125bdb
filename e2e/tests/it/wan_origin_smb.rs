//! A real Samba as the gateway's origin, a WAN between the gateway and the users.

use crate::far::{FAR, turn};
use crate::near::{noise, noise_file};
use crate::tell::{Proof, ensure, same_bytes};
use e2e::{Samba, Scratch, Side, Sites, Wan, fetch, free_port, wait_until};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_samba_share_is_served_at_the_other_side() -> Proof {
    let _turn = turn();
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    let there = noise_file(&data.join("there"), 1, 5_000_000)?;
    fs::create_dir(data.join("d"))?;
    fs::write(data.join("d/in"), "in a directory")?;
    let wan = Wan::up("osmb", FAR)?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let samba = Samba::start(&data, &wan.net(Side::A), address, "mandatory")?;
    let password = scratch.file("password", &samba.password)?;
    fs::set_permissions(&password, Permissions::from_mode(0o600))?;
    let origin = format!(
        "origin = \"smb://{address}/{}\"\nuser = \"{}\"\npassword = {{ file = \"{}\" }}",
        samba.share,
        samba.user,
        password.display()
    );
    let sites = Sites::across(&wan, &origin)?;
    let client = sites.client();
    same_bytes("a file of Samba's", &fetch(&client, "there")?, &there)?;
    same_bytes("in a directory", &fetch(&client, "d\\in")?, b"in a directory")?;
    let sent = noise(2, 2_000_000);
    let from = scratch.path().join("to-put");
    fs::write(&from, &sent)?;
    client.run(&format!("put {} put; mkdir e; rename d\\in e\\moved", from.display()))?;
    same_bytes("put through farshare and Samba", &fs::read(data.join("put"))?, &sent)?;
    ensure(data.join("e/moved").exists(), || "renamed at the origin".to_owned())?;
    fs::write(data.join("there"), "changed at Samba's side")?;
    let seen = wait_until(Duration::from_secs(10), || {
        fetch(&client, "there").is_ok_and(|got| got == b"changed at Samba's side")
    });
    ensure(seen, || format!("a change behind Samba was not seen\n{}", sites.gateway.running.log()))?;
    client.run("deltree e; rm put")?;
    ensure(!data.join("e").exists() && !data.join("put").exists(), || "removed at the origin".to_owned())
}

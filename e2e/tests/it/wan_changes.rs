//! Changes on either side of a WAN are seen on the other.

use crate::far::{FAR, Far};
use crate::near::{noise, noise_file};
use crate::tell::{Proof, ensure, same_bytes};
use e2e::{Scratch, fetch, wait_until};
use std::fs;
use std::time::Duration;

/// `notified`: told after the change. A round trip of 100 ms, the gateway's watch, and a client's log-in.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_changes_at_the_origin_is_seen_by_the_next_open() -> Proof {
    let far = Far::new("down", FAR, |data| {
        noise_file(&data.join("f"), 1, 200_000)?;
        fs::create_dir(data.join("d"))?;
        fs::write(data.join("d/old"), "old")?;
        Ok(())
    })?;
    let client = far.client();
    let word = far.volume()?["freshness"]["word"].clone();
    ensure(word == "notified" || word == "leased", || format!("the volume's freshness is {word}"))?;
    fetch(&client, "f")?;
    client.run("ls; ls d\\*")?;

    let expect = noise_file(&far.data.join("f"), 2, 200_000)?;
    let took = far.seen("f", &expect, TOLD_WITHIN)?;
    eprintln!("new content of the same length: {took:?}");
    let mut expect = expect;
    expect[100_000..100_004].copy_from_slice(b"here");
    write_at(&far, "f", 100_000, b"here")?;
    let took = far.seen("f", &expect, TOLD_WITHIN)?;
    eprintln!("four bytes in the middle: {took:?}");

    let listing = |name: &str| client.run("ls d\\*").is_ok_and(|said| said.contains(name));
    fs::write(far.data.join("d/new"), "new")?;
    ensure(wait_until(TOLD_WITHIN, || listing("new")), || "a new file is listed".to_owned())?;
    same_bytes("a new file", &fetch(&client, "d\\new")?, b"new")?;
    fs::rename(far.data.join("d/new"), far.data.join("d/renamed"))?;
    ensure(wait_until(TOLD_WITHIN, || listing("renamed") && !listing("new")), || {
        "a rename is listed".to_owned()
    })?;
    ensure(fetch(&client, "d\\new").is_err(), || "the old name opens still".to_owned())?;
    fs::remove_file(far.data.join("d/old"))?;
    ensure(wait_until(TOLD_WITHIN, || !listing("old")), || "a removal is listed".to_owned())?;
    ensure(fetch(&client, "d\\old").is_err(), || "a removed file opens still".to_owned())?;
    fs::write(far.data.join("replacement"), "replaced")?;
    fs::rename(far.data.join("replacement"), far.data.join("f"))?;
    let took = far.seen("f", b"replaced", TOLD_WITHIN)?;
    eprintln!("replaced by rename: {took:?}");
    Ok(())
}

fn write_at(far: &Far, name: &str, offset: u64, bytes: &[u8]) -> Proof {
    let file = fs::File::options().write(true).open(far.data.join(name))?;
    Ok(std::os::unix::fs::FileExt::write_all_at(&file, bytes, offset)?)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_a_client_changed_is_at_the_origin_when_it_is_told_so() -> Proof {
    let far = Far::new("up", FAR, |data| {
        noise_file(&data.join("old"), 1, 100_000)?;
        Ok(())
    })?;
    let client = far.client();
    let local = Scratch::new()?;
    for (name, length) in [("small", 10), ("large", 3_000_000)] {
        let sent = noise_file(&local.path().join(name), 9, length)?;
        // smbclient ends after the answer to its CLOSE.
        client.run(&format!("put {} {name}", local.path().join(name).display()))?;
        same_bytes(name, &fs::read(far.data.join(name))?, &sent)?;
        same_bytes(&format!("{name} read at B"), &fetch(&client, name)?, &sent)?;
    }
    fetch(&client, "old")?;
    let sent = noise_file(&local.path().join("shorter"), 10, 50_000)?;
    client.run(&format!("put {} old", local.path().join("shorter").display()))?;
    same_bytes("a file overwritten", &fs::read(far.data.join("old"))?, &sent)?;
    same_bytes("a file overwritten, read at B", &fetch(&client, "old")?, &sent)?;
    client.run("mkdir d; rename small d\\small; rm large")?;
    ensure(far.data.join("d/small").exists() && !far.data.join("small").exists(), || "renamed".to_owned())?;
    ensure(!far.data.join("large").exists(), || "removed".to_owned())?;
    ensure(fs::read_dir(&far.data)?.count() == 2, || "no leftovers at the origin".to_owned())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn changes_on_both_sides_at_once_end_in_one_state() -> Proof {
    let far = Far::new("both", FAR, |_| Ok(()))?;
    let client = far.client();
    let local = Scratch::new()?;
    for round in 0..5 {
        let at_b = noise(100 + round, 30_000);
        fs::write(local.path().join("f"), &at_b)?;
        let puts = format!("put {} b{round}", local.path().join("f").display());
        let at_a = std::thread::scope(|scope| {
            let writer = scope.spawn(|| noise_file(&far.data.join(format!("a{round}")), 200 + round, 30_000));
            client.run(&puts)?;
            writer.join().map_err(|_| "the writer at A failed")?
        })?;
        same_bytes("B's file at A", &fs::read(far.data.join(format!("b{round}")))?, &at_b)?;
        far.seen(&format!("a{round}"), &at_a, TOLD_WITHIN)?;
    }
    let said = client.run("ls")?;
    for name in ["a0", "a4", "b0", "b4"] {
        ensure(said.contains(name), || format!("no {name} in {said}"))?;
    }
    Ok(())
}

//! Reading across a WAN: right, once, and without waiting for what nobody asked for.

use crate::far::{FAR, Far};
use crate::near::noise_file;
use crate::tell::{Proof, ensure, same_bytes};
use e2e::{Shape, fetch};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// What metadata, heartbeats and acknowledgements may cost beside content, bytes.
const SMALL_TALK: u64 = 64 * 1024;

/// Content is equal, and the second read moves no content over the link.
fn content_once(name: &str, shape: Shape) -> Proof {
    let mut there = Vec::new();
    let far = Far::new(name, shape, |data| {
        there = noise_file(&data.join("film"), 1, 24 * MIB)?;
        Ok(())
    })?;
    let client = far.client();
    let (got, cold, took) = far.cost(|| Ok(fetch(&client, "film")?))?;
    same_bytes("the first read", &got, &there)?;
    let once = there.len() as u64;
    ensure(cold >= once && cold < once + once / 8, || format!("{cold} bytes for a file of {once}"))?;
    eprintln!("{name}: 24 MiB cold in {took:?}, {cold} bytes over the link");
    far.settle()?;
    let (got, warm, took) = far.cost(|| Ok(fetch(&client, "film")?))?;
    same_bytes("the second read", &got, &there)?;
    eprintln!("{name}: again in {took:?}, {warm} bytes over the link");
    ensure(warm < SMALL_TALK, || format!("{warm} bytes came over the link for a cached file"))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn content_comes_once_at_100_ms() -> Proof {
    content_once("once100", FAR)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn content_comes_once_at_200_ms() -> Proof {
    content_once("once200", Shape { rtt_ms: 200, ..FAR })
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn content_comes_once_with_loss() -> Proof {
    content_once("lossy", Shape { loss_percent: 0.1, ..FAR })
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn twenty_readers_of_one_cold_file_cost_one_transfer() -> Proof {
    let mut there = Vec::new();
    let far = Far::new("twenty", FAR, |data| {
        there = noise_file(&data.join("film"), 2, 12 * MIB)?;
        Ok(())
    })?;
    let (client, net) = (far.client(), far.users());
    let ((), moved, took) = far.cost(|| {
        let mut readers = Vec::new();
        for reader in 0..20 {
            let scratch = e2e::Scratch::new()?;
            let to = scratch.path().join("film");
            let mut command = client.command(&scratch, &format!("get film {}", to.display()))?;
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            readers.push((reader, child, to, scratch));
        }
        for (reader, mut child, to, _scratch) in readers {
            let status = child.wait()?;
            ensure(status.success(), || format!("reader {reader} in {net:?} ended with {status}"))?;
            same_bytes(&format!("reader {reader}"), &fs::read(to)?, &there)?;
        }
        Ok(())
    })?;
    eprintln!("20 readers: {took:?}, {moved} bytes");
    let once = there.len() as u64;
    ensure(moved < once + once / 4, || format!("{moved} bytes over the link for {once} read by 20"))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn looking_at_attributes_moves_no_content() -> Proof {
    let far = Far::new("attr", FAR, |data| {
        for nth in 0..10 {
            noise_file(&data.join(format!("f{nth}")), nth, 2 * MIB)?;
        }
        Ok(())
    })?;
    let client = far.client();
    far.settle()?;
    let (said, moved, _) = far.cost(|| {
        // Opens for attributes, of which smbclient stops at the missing 8.3 name.
        let said = client.run_lenient("allinfo f1; allinfo f2; ls")?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(said)
    })?;
    ensure(said.contains("2097152"), || format!("no length in {said}"))?;
    ensure(moved < SMALL_TALK, || format!("{moved} bytes came over the link for attributes"))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_tree_of_500_directories_is_listed_in_few_round_trips() -> Proof {
    let far = Far::new("tree", FAR, |data| {
        for dir in 0..500 {
            let dir = data.join(format!("d{:02}/e{:02}", dir / 25, dir % 25));
            fs::create_dir_all(&dir)?;
            for file in 0..4 {
                fs::write(dir.join(format!("f{file}")), b"x")?;
            }
        }
        Ok(())
    })?;
    let client = far.client();
    let (said, moved, took) = far.cost(|| Ok(client.run("recurse; ls")?))?;
    let files = said.lines().filter(|line| line.trim_start().starts_with('f')).count();
    ensure(files == 2000, || format!("{files} files of 2000 were listed"))?;
    eprintln!("520 directories: {took:?}, {moved} bytes");
    // One round trip per directory would be 52 s.
    ensure(took < Duration::from_secs(10), || format!("the listing took {took:?}"))?;
    let (_, moved, took) = far.cost(|| Ok(client.run("recurse; ls")?))?;
    eprintln!("again: {took:?}, {moved} bytes");
    ensure(took < Duration::from_secs(5), || format!("the second listing took {took:?}"))
}

//! What goes wrong on the way: cut links, killed nodes, rotten and full disks.

use crate::far::{FAR, Far};
use crate::near::{noise, noise_file};
use crate::tell::{Proof, ensure, same_bytes};
use e2e::{Scratch, fetch, output, wait_until};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const SMALL_TALK: u64 = 64 * 1024;
/// How long anything may take that cannot be done: the link's three probes and the cache's patience.
const TIMELY: Duration = Duration::from_secs(20);
/// How long recovery may take once nothing stands in the way.
const RECOVERY: Duration = Duration::from_secs(20);

fn two_files(data: &Path) -> Proof {
    noise_file(&data.join("kept"), 1, 4 * MIB)?;
    noise_file(&data.join("far"), 2, 40 * MIB)?;
    Ok(())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_cut_in_the_middle_of_a_read_is_waited_out() -> Proof {
    let far = Far::planned("cutread", FAR, two_files, |mut plan, _| {
        plan.patience = "30s".to_owned();
        plan
    })?;
    let local = Scratch::new()?;
    let to = local.path().join("got");
    let before = far.wan.bytes_to_b()?;
    let mut command = far.client().command(&local, &format!("get far {}", to.display()))?;
    let mut reader = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let begun = wait_until(Duration::from_secs(10), || {
        far.wan.bytes_to_b().is_ok_and(|now| now > before + 8 * MIB as u64)
    });
    ensure(begun, || "the read did not begin".to_owned())?;
    far.wan.cut()?;
    std::thread::sleep(Duration::from_secs(10));
    let patient = reader.try_wait()?.is_none();
    far.wan.restore()?;
    let ended = wait_until(Duration::from_secs(60), || !matches!(reader.try_wait(), Ok(None)));
    if !ended {
        reader.kill()?;
    }
    let said = reader.wait_with_output()?;
    let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    ensure(patient, || format!("the read ended during the cut:\n{words}\n{}", far.log()))?;
    ensure(ended && said.status.success(), || format!("the read: {}\n{words}\n{}", said.status, far.log()))?;
    same_bytes("a read over a cut of 10 s", &fs::read(&to)?, &fs::read(far.data.join("far"))?)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_is_cached_outlives_the_link_and_the_rest_fails_in_time() -> Proof {
    let far = Far::new("cutidle", FAR, two_files)?;
    let client = far.client();
    let kept = fetch(&client, "kept")?;
    client.run("ls")?;
    far.settle()?;
    far.wan.cut()?;
    same_bytes("a cached file without a link", &fetch(&client, "kept")?, &kept)?;
    let begun = Instant::now();
    ensure(fetch(&client, "far").is_err(), || "a file that is not here was read".to_owned())?;
    let took = begun.elapsed();
    eprintln!("the error came after {took:?}");
    ensure(took < TIMELY, || format!("the error took {took:?}"))?;
    far.wait_for("offline", TIMELY, |volume| volume["freshness"]["word"] == "offline")?;
    let since = far.volume()?["freshness"]["since_unix"].as_u64().ok_or("offline since when?")?;
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(|e| e.to_string())?;
    ensure(now.as_secs() - since < 60, || format!("offline since {since}"))?;
    let begun = Instant::now();
    same_bytes("a cached file, offline", &fetch(&client, "kept")?, &kept)?;
    let took = begun.elapsed();
    ensure(took < Duration::from_secs(5), || format!("a cached file took {took:?} offline"))?;
    client.run("ls")?;
    let begun = Instant::now();
    ensure(client.run("mkdir cannot").is_err(), || "a change was acknowledged that nobody has".to_owned())?;
    ensure(begun.elapsed() < TIMELY, || format!("the refusal took {:?}", begun.elapsed()))?;
    fs::write(far.data.join("kept"), "changed meanwhile")?;
    far.wan.restore()?;
    far.wait_for("in reach again", RECOVERY, |volume| volume["freshness"]["word"] != "offline")?;
    far.seen("kept", b"changed meanwhile", Duration::from_secs(5))?;
    same_bytes("the far file", &fetch(&client, "far")?, &fs::read(far.data.join("far"))?)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_killed_gateway_that_returns_is_found_again() -> Proof {
    let mut far = Far::new("gwkill", FAR, two_files)?;
    let client = far.client();
    let kept = fetch(&client, "kept")?;
    far.sites.gateway.running.kill();
    same_bytes("cached, without a gateway", &fetch(&client, "kept")?, &kept)?;
    far.wait_for("offline", TIMELY, |volume| volume["freshness"]["word"] == "offline")?;
    fs::write(far.data.join("kept"), "changed while it was dead")?;
    far.sites.gateway.restart()?;
    far.wait_for("in reach again", RECOVERY, |volume| volume["freshness"]["word"] != "offline")?;
    far.seen("kept", b"changed while it was dead", Duration::from_secs(5))?;
    same_bytes("the far file", &fetch(&client, "far")?, &fs::read(far.data.join("far"))?)?;
    client.run("mkdir made-after")?;
    ensure(far.data.join("made-after").is_dir(), || "changes pass again".to_owned())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_killed_entrypoint_starts_with_a_warm_cache() -> Proof {
    let mut far = Far::new("epkill", FAR, two_files)?;
    let kept = fetch(&far.client(), "kept")?;
    far.settle()?;
    // The index on disk is at most a second behind what was stored.
    std::thread::sleep(Duration::from_millis(1500));
    far.sites.entrypoint.running.kill();
    far.sites.entrypoint.restart()?;
    far.sites.wait_for_share()?;
    far.settle()?;
    let client = far.client();
    let (got, moved, _) = far.cost(|| Ok(fetch(&client, "kept")?))?;
    same_bytes("after the restart", &got, &kept)?;
    ensure(moved < SMALL_TALK, || format!("{moved} bytes were fetched again after a restart"))
}

/// Puts files one after the other until the rig `breaks`; the names that the server has acknowledged.
fn put_until(far: &mut Far, prefix: &str, bytes: &[u8], breaks: impl FnOnce(&mut Far)) -> Proof<Vec<String>> {
    let local = Scratch::new()?;
    let from = local.path().join("f");
    fs::write(&from, bytes)?;
    let (client, data) = (far.client(), far.data.clone());
    let stop = AtomicBool::new(false);
    let (names, end) = std::thread::scope(|scope| {
        let putting = scope.spawn(|| {
            let mut acknowledged = Vec::new();
            for nth in 0..500 {
                let name = format!("{prefix}{nth}");
                let put = client.run(&format!("put {} {name}", from.display()));
                if stop.load(Ordering::Relaxed) || put.is_err() {
                    return (acknowledged, put.err());
                }
                acknowledged.push(name);
            }
            (acknowledged, None)
        });
        wait_until(Duration::from_secs(20), || data.join(format!("{prefix}3")).exists());
        breaks(far);
        stop.store(true, Ordering::Relaxed);
        putting.join().map_err(|_| "the putting thread failed")
    })?;
    ensure(names.len() >= 3, || format!("only {names:?} were put: {end:?}\n{}", far.log()))?;
    Ok(names)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_was_acknowledged_is_there_whoever_is_killed() -> Proof {
    let mut far = Far::new("ackkill", FAR, |_| Ok(()))?;
    let bytes = noise(11, 100_000);
    for (entrypoint, prefix) in [(true, "e"), (false, "g")] {
        let names = put_until(&mut far, prefix, &bytes, |far| {
            let node = if entrypoint { &mut far.sites.entrypoint } else { &mut far.sites.gateway };
            node.running.kill();
        })?;
        for name in names {
            same_bytes(&name, &fs::read(far.data.join(&name))?, &bytes)?;
        }
        let node = if entrypoint { &mut far.sites.entrypoint } else { &mut far.sites.gateway };
        node.restart()?;
        far.sites.wait_for_share()?;
    }
    let local = Scratch::new()?;
    let from = local.path().join("f");
    fs::write(&from, &bytes)?;
    // The gateway is looked for once a second.
    let client = far.client();
    let put = wait_until(RECOVERY, || client.run(&format!("put {} after", from.display())).is_ok());
    ensure(put, || format!("nothing can be written after the restarts\n{}", far.log()))?;
    same_bytes("after", &fs::read(far.data.join("after"))?, &bytes)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_short_cut_in_the_middle_of_a_write_is_waited_out() -> Proof {
    let far = Far::new("cutwrite", FAR, |_| Ok(()))?;
    let local = Scratch::new()?;
    let sent = noise_file(&local.path().join("f"), 12, 24 * MIB)?;
    let commands = format!("put {} put", local.path().join("f").display());
    let mut command = far.client().command(&local, &commands)?;
    let before = far.wan.bytes_to_a()?;
    let mut writer = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let begun = wait_until(Duration::from_secs(10), || {
        far.wan.bytes_to_a().is_ok_and(|now| now > before + 4 * MIB as u64)
    });
    ensure(begun, || "the write did not begin".to_owned())?;
    far.wan.cut()?;
    std::thread::sleep(Duration::from_secs(2));
    far.wan.restore()?;
    let ended = wait_until(Duration::from_secs(60), || !matches!(writer.try_wait(), Ok(None)));
    if !ended {
        writer.kill()?;
    }
    let said = writer.wait_with_output()?;
    let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    ensure(ended && said.status.success(), || format!("the write: {}\n{words}\n{}", said.status, far.log()))?;
    same_bytes("a write over a cut of 2 s", &fs::read(far.data.join("put"))?, &sent)
}

/// Regular files below a directory, the largest first.
fn files_below(dir: &Path) -> Proof<Vec<(u64, PathBuf)>> {
    let mut all = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => dirs.push(entry.path()),
                false => all.push((entry.metadata()?.len(), entry.path())),
            }
        }
    }
    all.sort_unstable_by(|a, b| b.cmp(a));
    Ok(all)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_flipped_bit_in_the_cache_is_found_and_fetched_again() -> Proof {
    let mut far = Far::new("rotten", FAR, two_files)?;
    let kept = fetch(&far.client(), "kept")?;
    far.settle()?;
    std::thread::sleep(Duration::from_millis(1500));
    far.sites.entrypoint.running.end();
    let needle = &kept[1_000_000..1_000_032];
    let mut flipped = 0;
    for (_, path) in files_below(far.sites.cache())? {
        let bytes = fs::read(&path)?;
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            let file = fs::File::options().write(true).open(&path)?;
            file.write_all_at(&[bytes[at] ^ 0x10], at as u64)?;
            flipped += 1;
        }
    }
    ensure(flipped == 1, || format!("the content lies {flipped} times in the cache"))?;
    far.sites.entrypoint.restart()?;
    far.sites.wait_for_share()?;
    far.settle()?;
    let client = far.client();
    let (got, moved, _) = far.cost(|| Ok(fetch(&client, "kept")?))?;
    same_bytes("a file with a rotten block in the cache", &got, &kept)?;
    eprintln!("{moved} bytes were fetched for it");
    ensure((60_000..2 * MIB as u64).contains(&moved), || {
        format!("{moved} bytes were fetched for one block")
    })?;
    let (got, moved, _) = far.cost(|| Ok(fetch(&client, "kept")?))?;
    same_bytes("the mended file", &got, &kept)?;
    ensure(moved < SMALL_TALK, || format!("{moved} bytes: the mended block was not kept"))
}

/// A file system of a few MiB; unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Proof<Tmpfs> {
        fs::create_dir_all(at)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        output(command)?;
        Ok(Tmpfs(at.to_path_buf()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        command.arg("--lazy").arg(&self.0);
        if let Err(why) = output(command) {
            eprintln!("{why}");
        }
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_full_cache_disk_costs_speed_and_nothing_else() -> Proof {
    let small = Scratch::new()?;
    let disk = Tmpfs::mount(&small.path().join("disk"), "12M")?;
    let far = Far::planned("full", FAR, two_files, |mut plan, _| {
        plan.cache_dir = Some(disk.0.clone());
        plan
    })?;
    let client = far.client();
    same_bytes("through a full cache", &fetch(&client, "far")?, &fs::read(far.data.join("far"))?)?;
    let degraded = far.volume()?["cache"]["degraded"].clone();
    ensure(degraded.is_string(), || format!("degraded is {degraded} with a full disk"))?;
    eprintln!("degraded: {degraded}");
    same_bytes("another file", &fetch(&client, "kept")?, &fs::read(far.data.join("kept"))?)?;
    client.run("mkdir d; rmdir d")?;
    same_bytes("again", &fetch(&client, "far")?, &fs::read(far.data.join("far"))?)
}

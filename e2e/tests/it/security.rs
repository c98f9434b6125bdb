//! What must not be possible.

use crate::far::{FAR, Far};
use crate::near::{Near, has};
use crate::tell::{Proof, ensure};
use e2e::{Side, fetch, output, program};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn nothing_leads_out_of_the_shared_directory() -> Proof {
    for words in [&[][..], &["--direct"]] {
        let near = Near::new(words)?;
        let secret = near.scratch.file("secret", "not for clients")?;
        fs::create_dir(near.data.join("d"))?;
        symlink(&secret, near.data.join("absolute"))?;
        symlink("../secret", near.data.join("upwards"))?;
        symlink("/", near.data.join("d/root"))?;
        symlink("../..", near.data.join("d/up"))?;
        let client = near.farshare.client();
        let under_root = secret.strip_prefix("/").map_err(|e| e.to_string())?.display().to_string();
        for name in [
            "..\\secret".to_owned(),
            "d\\..\\..\\secret".to_owned(),
            "absolute".to_owned(),
            "upwards".to_owned(),
            format!("d\\root\\{}", under_root.replace('/', "\\")),
            "d\\up\\secret".to_owned(),
            "d/../../secret".to_owned(),
        ] {
            let got = fetch(&client, &name).unwrap_or_default();
            ensure(got != b"not for clients", || format!("{name} leads out of the directory ({words:?})"))?;
        }
        let local = near.scratch.file("to-put", "written by a client")?;
        for name in ["..\\written", "upwards", "absolute", "d\\up\\written", "d\\root\\tmp\\farshare-written"]
        {
            // Refused or written inside: both are right, as long as nothing changes outside.
            client.run_lenient(&format!("put {} \"{name}\"", local.display())).ok();
        }
        ensure(fs::read(&secret)? == b"not for clients", || "a file outside was written to".to_owned())?;
        for outside in [near.scratch.path().join("written"), "/tmp/farshare-written".into()] {
            ensure(!outside.exists(), || format!("{} was made by a client", outside.display()))?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn passwords_are_kept_to_oneself() -> Proof {
    let near = Near::new(&["--log", "debug"])?;
    let farshare = &near.farshare;
    farshare.client().run("ls")?;
    let password = &farshare.password;
    for path in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{}/{path}", farshare.running.pid()))?;
        let found = text.windows(password.len()).any(|window| window == password.as_bytes());
        ensure(!found, || format!("the password stands in /proc/PID/{path}"))?;
    }
    ensure(!farshare.running.log().contains(password), || "the password stands in the log".to_owned())?;
    ensure(!near.status()?.to_string().contains(password), || {
        "the password stands in the status".to_owned()
    })?;
    ensure(!near.get("/metrics")?.1.contains(password), || "the password stands in the metrics".to_owned())?;
    private(&farshare.state())
}

/// Fails when others may read or write what lies in a state directory.
fn private(state: &Path) -> Proof {
    let mode = fs::metadata(state)?.mode() & 0o777;
    ensure(mode == 0o700, || format!("{} has mode {mode:o}", state.display()))?;
    let mut dirs = vec![state.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let (path, what) = (entry.path(), entry.metadata()?);
            let name = entry.file_name().to_string_lossy().into_owned();
            let secret = name.ends_with(".key") || ["users", "admin.sock"].contains(&name.as_str());
            let (mode, forbidden) = (what.mode() & 0o777, if secret { 0o077 } else { 0o022 });
            ensure(mode & forbidden == 0, || format!("{} has mode {mode:o}", path.display()))?;
            if what.is_dir() {
                dirs.push(path);
            }
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn malformed_packets_end_their_connection_and_nothing_else() -> Proof {
    let near = Near::new(&["--log", "info"])?;
    let address = near.farshare.address;
    let packets: [(&str, Vec<u8>); 5] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a length of 16 MiB", [&[0, 0xff, 0xff, 0xff][..], &[0xfe, b'S', b'M', b'B']].concat()),
        ("an empty message", vec![0; 4]),
        ("an unknown protocol", [&[0, 0, 0, 64][..], &[0x41; 64]].concat()),
        ("a header and no body", [&[0, 0, 0, 64, 0xfe, b'S', b'M', b'B', 64, 0][..], &[0xff; 58]].concat()),
    ];
    let sent = packets.len();
    for (what, packet) in packets {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        stream.write_all(&packet)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = Vec::new();
        // Closed or reset: both end it.
        let ended = stream.read_to_end(&mut answer);
        let hangs = ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        ensure(!hangs, || format!("the connection goes on after {what}"))?;
        near.farshare.client().run("ls")?;
    }
    let log = near.farshare.running.log();
    ensure(!log.contains("panicked"), || log.clone())?;
    let dropped =
        log.lines().filter(|line| line.contains("WARN") && line.contains("connection dropped")).count();
    ensure(dropped == sent, || format!("{dropped} of {sent} malformed packets are told of:\n{log}"))
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn wan_link_is_for_our_certificates_and_what_they_are_allowed() -> Proof {
    let far = Far::planned(
        "certs",
        FAR,
        |data| Ok(fs::write(data.join("f"), "content")?),
        |mut plan, scratch| {
            let other = scratch.join("other");
            fs::create_dir_all(&other).expect("the scratch directory takes directories");
            fs::write(other.join("private"), "for dc3 only").expect("and files");
            plan.gateway_more =
                format!("[volume.other]\norigin = \"file://{}\"\nallow = [\"dc3\"]\n", other.display());
            plan
        },
    )?;
    let net = far.wan.net(Side::B);
    let gateway = far.sites.link.to_string();
    // What the gateway says to a client of openssl's that waits for the gateway to close.
    let probe = |words: &[&str]| -> Proof<String> {
        let mut command = net.command("timeout");
        command.args(["20", "openssl", "s_client", "-connect", &gateway, "-ign_eof"]).args(words);
        let said = command.stdin(Stdio::null()).output()?;
        ensure(said.status.code() != Some(124), || format!("the connection stays open with {words:?}"))?;
        Ok(String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
    };
    has(&probe(&["-tls1_3"])?, &["alert certificate required"])?;
    has(&probe(&["-tls1_2"])?, &["alert protocol version"])?;
    let strange = far.scratch.path().join("strange");
    for words in [&["certs", "init", "--dir"][..], &["certs", "issue", "dc2", "--dir"]] {
        let mut command = Command::new(program());
        command.args(words).arg(&strange);
        output(command)?;
    }
    let (cert, key) = (strange.join("dc2.crt"), strange.join("dc2.key"));
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let foreign = probe(&["-tls1_3", "-cert", &cert, "-key", &key])?;
    ensure(foreign.contains("alert"), || {
        format!("a certificate of another authority was taken:\n{foreign}")
    })?;

    // dc2 asks for a volume that is offered to dc3.
    let config = fs::read_to_string(far.sites.files().join("dc2.toml"))?;
    let config = config.replace("peer://dc1/data", "peer://dc1/other").replace("/dc2\"", "/dc2-again\"");
    let file = far.scratch.file("stolen.toml", &config)?;
    let mut check = net.command(program());
    check.args(["check", "--config"]).arg(&file);
    let said = check.output()?;
    let table = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure(said.status.code() == Some(1), || format!("check: {}\n{table}", said.status))?;
    ensure(!table.contains("private"), || table.clone())?;
    far.client().run("ls")?;
    Ok(())
}

//! `[fuse.NAME]`: volumes of a node that it mounts itself.

use e2e::{Net, Outcome, Running, Samba, Scratch, SmbClient, free_port, output, program, wait_until};
use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "rig-password";
/// A user who is not root, and his group.
const SOMEBODY: u32 = 65_534;

/// What people do in a directory, and what must come of it.
const ORDINARY_WORK: &str = r#"
umask 022
mkdir -p src/deep/er
seq 1 20000 >src/numbers
head -c 3000000 /dev/urandom >src/deep/large
for i in $(seq 1 40); do echo "$i" >"src/deep/er/f $i"; done
cp -r src copy
diff -r src copy
mv copy moved
test ! -e copy
echo last >>moved/numbers
test "$(tail -n 1 moved/numbers)" = last
test "$(wc -l <moved/numbers)" = 20001
chmod "$(stat -c %a moved/numbers)" moved/numbers
chown "$(stat -c %u:%g moved/numbers)" moved/numbers
dd if=/dev/zero of=moved/deep/large bs=1000 seek=7 count=1 conv=notrunc status=none
cmp -n 7000 src/deep/large moved/deep/large
truncate -s 100 moved/deep/large
test "$(stat -c %s moved/deep/large)" = 100
mv moved/deep/large moved/numbers
test "$(stat -c %s moved/numbers)" = 100
ls -l src/deep/er | grep -c 'f ' | grep -qx 40
rm -r moved
test ! -e moved
if command -v git >/dev/null; then
    git init -q repository
    cd repository
    cp -r ../src .
    git add .
    git -c user.name=me -c user.email=me@home.test commit -qm all
    echo more >>src/numbers
    git -c user.name=me -c user.email=me@home.test commit -qam more
    git fsck --strict
    test -z "$(git status --porcelain)"
fi
"#;

/// The same where links and modes are kept.
const WORK_WITH_MODES: &str = r#"
umask 022
ln -s src/numbers link
test "$(tail -n 1 link)" = 20000
echo secret >secret
chmod 640 secret
test "$(stat -c %a secret)" = 640
cp /bin/true program
chmod +x program
./program
"#;

/// A `farshare serve` with its configuration, and the directory below which it mounts.
struct Serving {
    running: Running,
    config: PathBuf,
    at: PathBuf,
}

impl Serving {
    fn start(config: &Path, at: &Path) -> Serving {
        Serving { running: Serving::serve(config), config: config.to_owned(), at: at.to_owned() }
    }

    fn serve(config: &Path) -> Running {
        let mut command = Command::new(program());
        command.args(["serve", "--config"]).arg(config);
        Running::start("farshare serve", command, &config.with_extension("log")).unwrap()
    }

    #[track_caller]
    fn wait_until_mounted(&mut self) {
        let mounted = wait_until(PATIENCE, || !self.running.is_running() || is_mounted(&self.at));
        assert!(mounted && self.running.is_running(), "{}", self.running.log());
    }

    fn farshare(&self, words: &[&str]) -> Outcome<String> {
        let mut command = Command::new(program());
        command.args(words).arg("--config").arg(&self.config);
        output(command)
    }

    fn work(&self, script: &str) -> Outcome<String> {
        let mut command = Command::new("sh");
        command.args(["-exc", script]).current_dir(&self.at).env("HOME", &self.at);
        output(command)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.running.end();
        if !wait_until(PATIENCE, || !is_mounted(&self.at)) {
            eprintln!("{} stays mounted", self.at.display());
        }
    }
}

fn is_mounted(at: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let at = at.to_str().unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(at))
}

/// A directory `web` that is served, mounted at `at`, and shared over SMB at the address.
struct Site {
    serving: Serving,
    dir: PathBuf,
    client: SmbClient,
    scratch: Scratch,
}

impl Site {
    fn new(more: &str) -> Site {
        let scratch = Scratch::new().unwrap();
        let (dir, at) = (scratch.dir("web").unwrap(), scratch.dir("at").unwrap());
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let text = format!(
            "[node]\nname = \"solo\"\nstate = \"state\"\n[volume.web]\norigin = \"file://{}\"\n\
             [smb]\nlisten = \"{address}\"\nadministrators = [\"me\"]\n[smb.share.web]\nvolume = \"web\"\n\
             [fuse.web]\nvolume = \"web\"\nat = \"{}\"\n{more}",
            dir.display(),
            at.display()
        );
        let config = scratch.file("solo.toml", &text).unwrap();
        let password = scratch.file("password", PASSWORD).unwrap();
        fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
        let mut command = Command::new(program());
        command.args(["user", "add", "me", "--password-file"]).arg(&password).arg("--config").arg(&config);
        output(command).unwrap();
        let mut serving = Serving::start(&config, &at);
        serving.wait_until_mounted();
        let client = SmbClient {
            net: Net::Host,
            address: address.parse().unwrap(),
            share: "web".into(),
            user: "me".into(),
            password: PASSWORD.into(),
            options: Vec::new(),
        };
        assert!(wait_until(PATIENCE, || client.run("ls").is_ok()), "{}", serving.running.log());
        Site { serving, dir, client, scratch }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.serving.at.join(name)
    }
}

/// The content of a file, by way of memory that it is mapped into.
fn mapped(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    // SAFETY: a new mapping of a file that stays as it is, read within its length, unmapped once.
    unsafe {
        let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
        let start = libc::mmap(std::ptr::null_mut(), length, read, private, file.as_raw_fd(), 0);
        assert_ne!(start, libc::MAP_FAILED);
        let content = std::slice::from_raw_parts(start.cast::<u8>(), length).to_vec();
        assert_eq!(libc::munmap(start, length), 0);
        content
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_node_mounts_what_it_shares_and_each_sees_what_the_other_does() {
    let mut site = Site::new("valid = \"50ms\"\n");
    site.serving.work(ORDINARY_WORK).unwrap();
    site.serving.work(WORK_WITH_MODES).unwrap();
    let large = fs::read(site.dir.join("src/deep/large")).unwrap();
    assert_eq!(mapped(&site.at("src/deep/large")), large);
    assert_eq!(site.client.run("ls program").unwrap().matches("program").count(), 1);
    let sent = site.scratch.file("sent", "by SMB").unwrap();
    site.client.run(&format!("put {} sent", sent.display())).unwrap();
    assert!(wait_until(PATIENCE, || fs::read(site.at("sent")).is_ok_and(|content| content == b"by SMB")));
    fs::set_permissions(&site.serving.at, Permissions::from_mode(0o777)).unwrap();
    let mut own = Command::new("setpriv");
    let id = SOMEBODY.to_string();
    own.args(["--reuid", &id, "--regid", &id, "--clear-groups", "sh", "-ec"]);
    own.arg("umask 027; echo own >own; mkfifo pipe; chmod u+s own").current_dir(&site.serving.at);
    output(own).unwrap();
    let own = fs::metadata(site.dir.join("own")).unwrap();
    assert_eq!((own.uid(), own.gid(), own.mode() & 0o7777), (SOMEBODY, SOMEBODY, 0o4640), "as POSIX has it");
    let fetched = site.scratch.path().join("fetched");
    site.client.run(&format!("get own {}", fetched.display())).unwrap();
    assert_eq!(fs::read(fetched).unwrap(), b"own\n");
    let said = site.serving.farshare(&["status"]).unwrap();
    let line = format!("mount web of volume web at {}, mounted\n", site.serving.at.display());
    assert!(said.contains(&line), "{said}");
    let said = site.serving.farshare(&["check"]).unwrap();
    assert!(said.contains(&format!("volume web at {}, mounted", site.serving.at.display())), "{said}");
    let text = fs::read_to_string(&site.serving.config).unwrap();
    fs::write(&site.serving.config, text.replace("50ms", "60ms")).unwrap();
    let said = site.serving.farshare(&["reload"]).unwrap_err();
    assert!(said.contains("[fuse]") && !said.contains("[volume.web]"), "{said}");
    let mut unmount = Command::new("umount");
    unmount.arg(&site.serving.at);
    output(unmount).unwrap();
    let says = || site.serving.farshare(&["status"]).is_ok_and(|said| said.contains("! mount web: not at"));
    assert!(wait_until(PATIENCE, says), "who unmounts is no surprise");
    site.serving.farshare(&["stop"]).unwrap();
    assert_eq!(site.serving.running.wait(PATIENCE).unwrap(), Some(0), "{}", site.serving.running.log());
    assert!(!is_mounted(&site.serving.at));
}

/// Who stands in a mount.
struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn who_keeps_a_mount_is_named_and_keeps_no_node_from_ending() {
    let mut site = Site::new("");
    let mut command = Command::new("sleep");
    command.arg("1000").current_dir(&site.serving.at).stdin(Stdio::null());
    let keeper = Keeper(command.spawn().unwrap());
    site.serving.running.signal(libc::SIGTERM);
    assert_eq!(site.serving.running.wait(PATIENCE).unwrap(), Some(0), "{}", site.serving.running.log());
    assert!(!is_mounted(&site.serving.at));
    let (log, expect) = (site.serving.running.log(), format!("sleep (pid {})", keeper.0.id()));
    assert!(log.contains(&expect), "{log}");
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn what_a_node_left_mounted_when_all_of_it_was_killed_is_gone_when_it_starts_again() {
    let mut site = Site::new("");
    fs::write(site.at("f"), "content").unwrap();
    let guard = guard_of(&site.serving.at);
    // SAFETY: the pid is that of a process which waits for the end of the node; it was there a moment ago.
    unsafe { libc::kill(guard as i32, libc::SIGKILL) };
    assert!(
        wait_until(PATIENCE, || fs::read(format!("/proc/{guard}/cmdline")).is_ok_and(|line| line.is_empty()))
    );
    site.serving.running.kill();
    assert!(is_mounted(&site.serving.at) && fs::read(site.at("f")).is_err(), "nobody is left to unmount it");
    let answers = |site: &Site| fs::read(site.at("f")).is_ok_and(|content| content == b"content");
    site.serving.running = Serving::serve(&site.serving.config);
    assert!(wait_until(PATIENCE, || answers(&site)), "{}", site.serving.running.log());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert_eq!(mounts.matches(site.serving.at.to_str().unwrap()).count(), 1, "not over the dead one");
}

/// The process that waits for the end of who mounts there.
fn guard_of(at: &Path) -> u32 {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut guards = processes.filter_map(|process| {
        let line = fs::read(process.path().join("cmdline")).ok()?;
        let is_it = line.split(|byte| *byte == 0).any(|word| word == at.to_str().unwrap().as_bytes())
            && line.split(|byte| *byte == 0).nth(1) == Some(b"mount-guard");
        if is_it { process.file_name().to_str()?.parse().ok() } else { None }
    });
    guards.next().expect("a guard")
}

/// Where no owners are kept, the mounter has all of it, though the gateway keeps them for a mount of its own. The entrypoint
/// starts before there is anybody to be asked.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_volume_of_another_node_is_mounted_when_it_comes_and_worked_in() {
    let scratch = Scratch::new().unwrap();
    let (dir, at, gate) =
        (scratch.dir("dir").unwrap(), scratch.dir("at").unwrap(), scratch.dir("gate").unwrap());
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
    let certs = scratch.path().join("certs");
    for words in [&["certs", "init"][..], &["certs", "issue", "dc1"], &["certs", "issue", "dc2"]] {
        let mut command = Command::new(program());
        command.args(words).arg("--dir").arg(&certs);
        output(command).unwrap();
    }
    fs::write(dir.join("theirs"), "of another").unwrap();
    std::os::unix::fs::chown(dir.join("theirs"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let link = format!("127.0.0.1:{}", free_port());
    let gateway = format!(
        "[node]\nname = \"dc1\"\nstate = \"dc1\"\n[link]\nlisten = \"{link}\"\ncerts = \"certs\"\n\
         [volume.data]\norigin = \"file://{}\"\nallow = [\"dc2\"]\n[fuse.data]\nvolume = \"data\"\nat = \"{}\"\n",
        dir.display(),
        gate.display()
    );
    let entrypoint = format!(
        "[node]\nname = \"dc2\"\nstate = \"dc2\"\n[link]\ndial = [\"dc1={link}\"]\ncerts = \"certs\"\n\
         [volume.data]\norigin = \"peer://dc1/data\"\ncache = {{ path = \"cache\" }}\n\
         [fuse.data]\nvolume = \"data\"\nat = \"{}\"\n",
        at.display()
    );
    let gateway = scratch.file("dc1.toml", &gateway).unwrap();
    let entrypoint = scratch.file("dc2.toml", &entrypoint).unwrap();
    let mut entrypoint = Serving::start(&entrypoint, &at);
    let waits = || entrypoint.farshare(&["status"]).is_ok_and(|said| said.contains("! mount data: not at"));
    assert!(wait_until(PATIENCE, waits), "{}", entrypoint.running.log());
    assert!(!is_mounted(&at));
    let mut gateway = Serving::start(&gateway, &gate);
    gateway.wait_until_mounted();
    entrypoint.wait_until_mounted();
    entrypoint.work(ORDINARY_WORK).unwrap();
    entrypoint.work(WORK_WITH_MODES).unwrap();
    assert_eq!(mapped(&at.join("src/deep/large")), fs::read(dir.join("src/deep/large")).unwrap());
    let theirs = fs::metadata(at.join("theirs")).unwrap();
    assert_eq!((theirs.uid(), theirs.gid()), (0, 0));
    assert_eq!(fs::metadata(gate.join("theirs")).unwrap().uid(), SOMEBODY);
    let refused = |script: &str| entrypoint.work(script).unwrap_err();
    for script in ["chown 1 theirs", "mkfifo pipe", "chmod u+s theirs"] {
        let said = refused(script);
        assert!(said.contains("not permitted"), "{script}: {said}");
    }
    entrypoint.running.signal(libc::SIGTERM);
    assert_eq!(entrypoint.running.wait(PATIENCE).unwrap(), Some(0), "{}", entrypoint.running.log());
    assert!(!is_mounted(&at));
}

/// Neither modes nor links are kept there.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn a_share_of_a_file_server_is_mounted_and_worked_in() {
    let scratch = Scratch::new().unwrap();
    let (dir, at) = (scratch.dir("dir").unwrap(), scratch.dir("at").unwrap());
    let address = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let samba = Samba::start(&dir, &Net::Host, address, "mandatory").unwrap();
    let secret = scratch.file("pw", &samba.password).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[node]\nname = \"dc1\"\nstate = \"state\"\n\
         [volume.data]\norigin = \"smb://{address}/{}\"\nuser = \"{}\"\npassword = {{ file = \"pw\" }}\n\
         [fuse.data]\nvolume = \"data\"\nat = \"{}\"\n",
        samba.share,
        samba.user,
        at.display()
    );
    let config = scratch.file("dc1.toml", &text).unwrap();
    let mut node = Serving::start(&config, &at);
    node.wait_until_mounted();
    node.work(ORDINARY_WORK).unwrap();
    assert_eq!(mapped(&at.join("src/deep/large")), fs::read(dir.join("src/deep/large")).unwrap());
    for script in ["ln -s numbers src/link", "ln src/numbers other", "mkfifo pipe", "chmod 600 src/numbers"] {
        let said = node.work(script).unwrap_err();
        assert!(said.contains("not permitted"), "{script}: {said}");
    }
}

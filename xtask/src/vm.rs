//! `cargo xtask vm`: a real Linux kernel client at work on farshare, held against the list of known fails.
//!
//! The scripts of `e2e/vm/battery` run in the guest, one boot each, and print a line for each check. Like with
//! smbtorture the list is exact: a fail that is not on it fails this chore, and so does a line that passes. The
//! same battery against Samba 4.22 tells what of a fail is the rig's or the client's; its results are kept beside
//! the list, and shown.

use crate::packages;
use crate::run::{self, Outcome};
use crate::served::{NAMESPACE, PREFIX, Served, Server};
use e2e::{Guest, Scratch, Wires, output, vm_rig};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// In this order: the quickest to fail first. `posix` wants a younger kernel than user-mode Linux has here.
const BATTERY: [&str; 13] = [
    "mounts",
    "locks",
    "two_mounts",
    "features",
    "fsx",
    "channels",
    "sqlite",
    "git",
    "build",
    "stress",
    "cut",
    "restart",
    "persistent",
];
const KNOWN_FAIL: &str = "e2e/vm/known-fail.tsv";
const BASELINE: &str = "e2e/vm/baseline-samba-4.22.tsv";
const SCRIPT_LIMIT: Duration = Duration::from_secs(900);
/// The file system exerciser that the guest is given.
pub const FSX: (&str, &str) = ("fsx", "0.3.2");

/// What to run.
pub struct Plan {
    pub server: Server,
    pub backend: String,
    /// None: all.
    pub scripts: Vec<String>,
}

pub fn plan(words: &[&str]) -> Outcome<Plan> {
    let mut plan = Plan { server: Server::Local, backend: "auto".to_owned(), scripts: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--far" => plan.server = Server::Far,
            "--samba" => plan.server = Server::Samba,
            "--backend" => plan.backend = (*words.next().ok_or("--backend wants a name")?).to_owned(),
            script if vm_rig().join("battery").join(format!("{script}.sh")).exists() => {
                plan.scripts.push(script.to_owned());
            }
            other => return Err(format!("vm does not know {other}; the scripts are {}", BATTERY.join(", "))),
        }
    }
    Ok(plan)
}

/// The far server has no second life, and Samba 4.22 keeps no persistent opens.
fn is_for(script: &str, server: Server) -> bool {
    match server {
        Server::Local => true,
        Server::Far => !["restart", "persistent"].contains(&script),
        Server::Samba => script != "persistent",
    }
}

/// Check, by its full name, to why it failed; empty where it passed.
type Results = BTreeMap<String, String>;

/// Runs the battery. farshare's results are judged; Samba's are told.
pub fn check(plan: &Plan) -> Outcome {
    let scripts: Vec<&str> = match plan.scripts.is_empty() {
        true => BATTERY.into_iter().filter(|script| is_for(script, plan.server)).collect(),
        false => plan.scripts.iter().map(String::as_str).collect(),
    };
    let tools = vec![packages::tool(FSX.0, FSX.1)?];
    output(build_of_guest())?;
    let mut results = Results::new();
    for script in &scripts {
        eprintln!("xtask: == {script}");
        let begun = Instant::now();
        run_script(plan, script, &tools, &mut results)?;
        eprintln!("xtask: {script}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    let file = run::target().join("vm").join(format!("{}.tsv", plan.server.name()));
    write_results(&file, &results)?;
    print!("{}", table(plan.server.name(), &results)?);
    match plan.server {
        Server::Samba => Ok(()),
        _ => judge(&results, &known(plan.server.name())?, &scripts),
    }
}

/// One boot over a fresh server and directory.
fn run_script(plan: &Plan, script: &str, tools: &[PathBuf], results: &mut Results) -> Outcome {
    let scratch = Scratch::new()?;
    let data = scratch.dir("data")?;
    let wires = Wires::up(NAMESPACE, PREFIX)?;
    let mut served = Served::start(plan.server, &data, &wires)?;
    let guest = Guest {
        wires: &wires,
        backend: plan.backend.clone(),
        environment: served.environment(),
        tools: tools.to_vec(),
        limit: SCRIPT_LIMIT,
    };
    let mut ended = false;
    let obey = |order: &str| obey(order, &wires, &mut served, &data);
    let status = guest.run(script, obey, |line| {
        eprintln!("  {line}");
        ended |= line == "end";
        if let Some((name, why)) = verdict(line) {
            results.insert(format!("{script}.{name}"), why);
        }
    })?;
    if !ended {
        let why = status.map_or("a signal".to_owned(), |code| format!("status {code}"));
        results.insert(format!("{script}.end"), format!("ended by {why}"));
    }
    if !served.running().is_running() {
        results.insert(format!("{script}.server"), "the server ended".to_owned());
    }
    Ok(())
}

/// Name and reason of a check's line; the reason is empty where it passed.
fn verdict(line: &str) -> Option<(&str, String)> {
    let (word, rest) = line.split_once(' ')?;
    match word {
        "ok" => Some((rest, String::new())),
        "FAIL" => {
            let (name, why) = rest.split_once(' ').unwrap_or((rest, "no reason"));
            Some((name, why.replace('\t', " ")))
        }
        _ => None,
    }
}

/// What the guest's scripts may ask of the host.
pub fn obey(order: &str, wires: &Wires, served: &mut Served, data: &Path) -> Outcome<String> {
    let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
    let wire = || rest.parse::<u8>().map_err(|_| format!("{order:?}: which wire?"));
    match word {
        "cut" => wires.cut(wire()?).map(|()| String::new()),
        "mend" => wires.mend(wire()?).map(|()| String::new()),
        "kill" => served.kill().map(|()| String::new()),
        "serve" => served.serve().map(|()| String::new()),
        "cpu" => Ok(served.running().cpu().seconds.to_string()),
        "sh" => {
            let mut command = Command::new("sh");
            command.args(["-c", rest]).current_dir(data);
            output(command)
        }
        _ => Err(format!("no such order: {order}")),
    }
}

/// Minutes on a machine that has no guest yet.
pub fn build_of_guest() -> Command {
    let mut command = Command::new(vm_rig().join("run"));
    command.arg("build");
    command
}

fn write_results(file: &Path, results: &Results) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    fs::create_dir_all(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let mut text = String::from("check\tresult\twhy\n");
    for (name, why) in results {
        let result = if why.is_empty() { "ok" } else { "FAIL" };
        // Writing into a String cannot fail.
        writeln!(text, "{name}\t{result}\t{why}").expect("memory");
    }
    fs::write(file, text).map_err(failed)
}

/// Columns of a TSV; a head and lines with `#` are no rows.
fn rows(path: &Path) -> Outcome<Vec<Vec<String>>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().filter(|line| {
        !line.is_empty()
            && !line.starts_with('#')
            && !line.starts_with("check\t")
            && !line.starts_with("server\t")
    });
    Ok(lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

/// The checks that are known to fail at this server.
fn known(server: &str) -> Outcome<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for row in rows(&run::root().join(KNOWN_FAIL))? {
        let [of, check, reason] = row.as_slice() else {
            return Err(format!("{KNOWN_FAIL}: server, check and reason, not {row:?}"));
        };
        if reason.is_empty() {
            return Err(format!("{KNOWN_FAIL}: {check}: why?"));
        }
        if of == server || of == "both" {
            all.insert(check.clone());
        }
    }
    Ok(all)
}

/// What differs between the server and Samba, and counts for each script.
fn table(server: &str, results: &Results) -> Outcome<String> {
    let samba: BTreeMap<String, bool> = rows(&run::root().join(BASELINE))?
        .into_iter()
        .filter_map(|row| Some((row.first()?.clone(), row.get(1)? == "ok")))
        .collect();
    let mut text = format!("{:<12} {:>7} {:>7} {:>9}\n", "script", "checks", server, "Samba");
    let scripts: BTreeSet<&str> = results.keys().filter_map(|name| name.split('.').next()).collect();
    for script in scripts {
        let of = |name: &&String| name.split('.').next() == Some(script);
        let passed = results.iter().filter(|(name, why)| of(name) && why.is_empty()).count();
        let peer = results.keys().filter(of).filter(|name| samba.get(*name) == Some(&true)).count();
        let all = results.keys().filter(of).count();
        writeln!(text, "{script:<12} {all:>7} {passed:>7} {peer:>9}").expect("memory");
    }
    for (name, why) in results.iter().filter(|(_, why)| !why.is_empty()) {
        let peer = match samba.get(name) {
            Some(true) => "ok",
            Some(false) => "fails too",
            None => "not run",
        };
        writeln!(text, "FAIL {name} (Samba: {peer}): {why}").expect("memory");
    }
    Ok(text)
}

/// Fails unless exactly the known fails of these scripts failed.
fn judge(results: &Results, known: &BTreeSet<String>, scripts: &[&str]) -> Outcome {
    let mut wrong = Vec::new();
    for (name, why) in results {
        match (why.is_empty(), known.contains(name)) {
            (false, false) => wrong.push(format!("{name}: {why}")),
            (true, true) => wrong.push(format!("{name}: passes; take it off {KNOWN_FAIL}")),
            _ => {}
        }
    }
    let ran = |name: &&String| name.split('.').next().is_some_and(|script| scripts.contains(&script));
    for name in known.iter().filter(ran).filter(|name| !results.contains_key(*name)) {
        wrong.push(format!("{name}: a known fail that no script has"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("vm:\n  {}", wrong.join("\n  "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_scripts() {
        assert_eq!(verdict("ok plain.mount"), Some(("plain.mount", String::new())));
        assert_eq!(verdict("FAIL plain.mount error 13"), Some(("plain.mount", "error 13".to_owned())));
        assert_eq!(verdict("FAIL plain.mount"), Some(("plain.mount", "no reason".to_owned())));
        for other in ["end", "okay then", "some output"] {
            assert_eq!(verdict(other), None);
        }
    }

    #[test]
    fn exactly_the_known_fails_may_fail() {
        let known: BTreeSet<String> = ["a.x".to_owned(), "b.never".to_owned()].into();
        let of = |why: &str, name: &str| Results::from([(name.to_owned(), why.to_owned())]);
        assert_eq!(judge(&of("absent", "a.x"), &known, &["a"]), Ok(()));
        for (results, scripts, expect) in [
            (of("", "a.x"), &["a"], "a.x: passes"),
            (of("broken", "a.y"), &["c"], "a.y: broken"),
            (of("", "b.z"), &["b"], "b.never: a known fail that no script has"),
        ] {
            let said = judge(&results, &known, scripts).unwrap_err();
            assert!(said.contains(expect), "{said}");
        }
    }
}

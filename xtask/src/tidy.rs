//! The rules of the code base that no compiler checks. Each rule says what to do instead.

use crate::run::{self, Outcome};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Longest source file, lines, without its tests.
const FILE_LINES_MAX: usize = 800;

/// Arrows only go down: what a crate of each role may depend on, among ours.
const ARROWS: [(&str, &[&str]); 14] = [
    ("volume", &[]),
    ("alerts", &[]),
    ("store", &[]),
    ("link", &[]),
    ("smb-wire", &[]),
    ("fuse-wire", &[]),
    ("gcm", &[]),
    ("smb-core", &["gcm", "smb-wire"]),
    ("smb-raw", &["smb-core", "smb-wire"]),
    ("peer-wire", &["volume"]),
    ("vfs", &["volume"]),
    ("layer-", &["volume", "store"]),
    ("origin-", &["volume", "link", "peer-wire", "smb-wire"]),
    // A front end writes down what its clients may find again after a restart.
    ("front-", &["vfs", "volume", "store", "smb-core", "smb-wire", "fuse-wire", "link", "peer-wire"]),
];

/// These stand above the arrows.
const TOP: [&str; 3] = ["farshare", "testkit", "xtask"];

pub fn check() -> Outcome {
    let mut broken = Vec::new();
    arrows(&mut broken)?;
    for file in run::output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?.lines() {
        check_file(file, &mut broken)?;
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("tidy:\n  {}", broken.join("\n  ")))
}

/// No crate may know one above it, nor a sibling.
fn arrows(broken: &mut Vec<String>) -> Outcome {
    for (name, depends) in manifests()? {
        if TOP.contains(&name.as_str()) {
            continue;
        }
        let rule =
            ARROWS.iter().find(|(role, _)| name == *role || (role.ends_with('-') && name.starts_with(role)));
        let Some((_, allowed)) = rule else {
            broken.push(format!("{name}: no arrow rule for this crate; name its role in xtask/src/tidy.rs"));
            continue;
        };
        for target in depends.iter().filter(|target| !allowed.contains(&target.as_str())) {
            broken.push(format!("{name} -> {target}: this arrow does not point down (ARCHITECTURE.md)"));
        }
    }
    Ok(())
}

/// Our crates and what of ours each depends on outside its tests.
fn manifests() -> Outcome<BTreeMap<String, Vec<String>>> {
    let crates = run::root().join("crates");
    let names: Vec<String> = fs::read_dir(&crates)
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        })
        .map_err(|error: std::io::Error| format!("crates/: {error}"))?;
    let mut all = BTreeMap::new();
    for name in &names {
        let text = read(&crates.join(name).join("Cargo.toml"))?;
        let section = text.split("\n[dependencies]").nth(1).unwrap_or("");
        let section = section.split("\n[").next().unwrap_or("");
        let depends = section
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|word| names.iter().any(|name| name == word))
            .map(str::to_owned)
            .collect();
        all.insert(name.clone(), depends);
    }
    Ok(all)
}

fn check_file(file: &str, broken: &mut Vec<String>) -> Outcome {
    let path = run::root().join(file);
    if !path.is_file() || !file.ends_with(".rs") {
        return Ok(());
    }
    let text = read(&path)?;
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(&text);
    let lines = code.lines().count();
    if lines > FILE_LINES_MAX {
        broken.push(format!("{file}: {lines} lines; cut it by story (at most {FILE_LINES_MAX})"));
    }
    let story = text.lines().next().is_some_and(|line| line.starts_with("//!") || line.starts_with("#!["));
    if file.contains("/src/") && !story {
        broken.push(format!("{file}: the head of a file tells its story (//! ...)"));
    }
    for (number, line) in code.lines().enumerate() {
        for (word, instead) in [("todo!(", "finish it or answer Unsupported"), ("dbg!(", "use tracing")] {
            if line.contains(word) && !file.starts_with("xtask/") {
                broken.push(format!("{file}:{}: {word}...): {instead}", number + 1));
            }
        }
        if line.trim_end() != line {
            broken.push(format!("{file}:{}: space at the end of the line", number + 1));
        }
    }
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    if ["utils", "util", "common", "helpers", "misc", "manager"].contains(&stem) {
        broken.push(format!("{file}: name it by what it is for"));
    }
    Ok(())
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

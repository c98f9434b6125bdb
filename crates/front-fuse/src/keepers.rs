//! Who keeps a mount from being unmounted: processes that have a file open in there, map one, run one, or stand there.
//!
//! Only names are read, in `/proc`: nothing in the mount is asked. Processes that see it elsewhere, in a mount namespace of
//! their own, are not found.

use std::fs;
use std::path::Path;

/// Links of a process to what it keeps, and directories of such.
const LINKS: [&str; 3] = ["cwd", "root", "exe"];
const DIRECTORIES: [&str; 2] = ["fd", "map_files"];

/// The first `most` of them, as `NAME (pid PID)`.
pub fn keepers(at: &Path, most: usize) -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let found = processes.flatten().filter_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        keeps(&process.path(), at).then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim_end())
        })
    });
    found.take(most).collect()
}

fn keeps(process: &Path, at: &Path) -> bool {
    let is_in = |link: &Path| fs::read_link(link).is_ok_and(|target| target.starts_with(at));
    LINKS.iter().any(|link| is_in(&process.join(link)))
        || DIRECTORIES.iter().any(|directory| {
            let links = fs::read_dir(process.join(directory));
            links.into_iter().flatten().flatten().any(|link| is_in(&link.path()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_file_open_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().canonicalize().unwrap();
        assert_eq!(keepers(&at, 5), Vec::<String>::new());
        let _open = fs::File::create(at.join("f")).unwrap();
        let own = format!("(pid {})", std::process::id());
        let found = keepers(&at, 5);
        assert!(found.len() == 1 && found[0].ends_with(&own), "{found:?}");
    }
}

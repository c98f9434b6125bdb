//! Names: what is there, what is not, and which names can be.

use crate::ease::{cx, exists, fails_with, get, mkdir, names, p, put, stat};
use volume::{ErrorKind, Kind, NAME_MAX_BYTES, OpenHow, Volume};

/// What a path through something that is no directory gives.
pub(super) const NO_SUCH_PATH: &[ErrorKind] = &[ErrorKind::NotFound, ErrorKind::NotADirectory];

pub(super) async fn root_is_a_directory(volume: &dyn Volume) {
    let root = stat(volume, "").await;
    assert_eq!(root.kind, Kind::Dir);
    assert_eq!(names(volume, "").await, [""; 0], "a fresh volume is empty");
}

pub(super) async fn missing_names(volume: &dyn Volume) {
    for path in ["none", "none/below"] {
        fails_with(volume.stat(&cx(), &p(path)).await, &[ErrorKind::NotFound]);
        fails_with(volume.open(&cx(), &p(path), OpenHow::read()).await, &[ErrorKind::NotFound]);
        fails_with(volume.list(&cx(), &p(path), Default::default()).await, &[ErrorKind::NotFound]);
    }
}

pub(super) async fn errors_of_paths(volume: &dyn Volume) {
    put(volume, "file", "x").await;
    fails_with(volume.stat(&cx(), &p("file/below")).await, NO_SUCH_PATH);
    fails_with(volume.open(&cx(), &p("file/below"), OpenHow::read()).await, NO_SUCH_PATH);
    fails_with(volume.list(&cx(), &p("file/below"), Default::default()).await, NO_SUCH_PATH);
}

/// Names that some client will use one day. Those a volume cannot hold are refused as such.
const NAMES: &[&str] = &[
    "plain",
    "with space",
    " leading",
    "trailing ",
    "dot.",
    "...",
    ".hidden",
    "-dash",
    "naïve",
    "nai\u{308}ve",
    "日本語のファイル",
    "🦀🦀",
    "a\u{200d}b",
    "colon:name",
    "back\\slash",
    "quote\"'`",
    "star*and?",
    "<angle>|pipe",
    "per%cent%20",
    "line\nbreak",
    "tab\tname",
    "bell\u{7}",
    "\u{f05c}private",
    "\u{10fffd}last",
    "CON",
    "nul.txt",
    "~$office.docx",
    "new folder (2)",
];

pub(super) async fn names_are_kept(volume: &dyn Volume) {
    let mut kept = Vec::new();
    for (number, name) in NAMES.iter().enumerate() {
        let how = OpenHow::create(volume::Create::New);
        match volume.open(&cx(), &p(name), how).await {
            Ok(_) => {
                put(volume, name, number.to_string()).await;
                kept.push((name.to_string(), number));
            }
            Err(e) if e.kind == ErrorKind::InvalidName => {}
            Err(e) => panic!("{name:?} is neither kept nor refused: {e}"),
        }
    }
    assert!(kept.len() >= 10, "too few names can be kept: {kept:?}");
    for (name, number) in &kept {
        assert_eq!(get(volume, name).await, number.to_string().as_bytes(), "content of {name:?}");
    }
    let mut wanted: Vec<_> = kept.into_iter().map(|(name, _)| name).collect();
    wanted.sort();
    assert_eq!(names(volume, "").await, wanted);
}

pub(super) async fn long_names(volume: &dyn Volume) {
    let long = "x".repeat(255);
    put(volume, &long, "long").await;
    assert_eq!(names(volume, "").await, std::slice::from_ref(&long));
    assert_eq!(get(volume, &long).await, b"long");

    let longest = "y".repeat(NAME_MAX_BYTES);
    match volume.open(&cx(), &p(&longest), OpenHow::create(volume::Create::New)).await {
        Ok(_) => assert!(exists(volume, &longest).await),
        Err(e) => assert!(matches!(e.kind, ErrorKind::NameTooLong | ErrorKind::InvalidName), "{e}"),
    }

    let mut deep = String::from("d");
    mkdir(volume, &deep).await;
    for _ in 0..40 {
        deep.push_str("/directory");
        mkdir(volume, &deep).await;
    }
    let file = format!("{deep}/file");
    put(volume, &file, "deep").await;
    assert_eq!(get(volume, &file).await, b"deep");
}

pub(super) async fn case_of_names(volume: &dyn Volume) {
    put(volume, "Readme", "1").await;
    if volume.caps().case_sensitive {
        assert!(!exists(volume, "README").await);
        put(volume, "README", "2").await;
        assert_eq!(names(volume, "").await, ["README", "Readme"]);
        assert_eq!(get(volume, "Readme").await, b"1");
    } else {
        assert_eq!(stat(volume, "README").await.id, stat(volume, "Readme").await.id);
        put(volume, "README", "2").await;
        assert_eq!(names(volume, "").await, ["Readme"], "the name stays as it was given");
        crate::ease::rename(volume, "Readme", "readme").await;
        assert_eq!(names(volume, "").await, ["readme"], "a rename changes the case");
    }
}

//! The store over real files.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use store::{Durability, Schema, Store, StoreError};

const FIRST: Schema = Schema { kind: 7, steps: &["CREATE TABLE word(text TEXT PRIMARY KEY)"] };
const SECOND: Schema = Schema {
    kind: 7,
    steps: &[
        FIRST.steps[0],
        "ALTER TABLE word ADD COLUMN length INTEGER; UPDATE word SET length = length(text)",
    ],
};

fn open(dir: &tempfile::TempDir, schema: &Schema) -> store::Result<Arc<Store>> {
    Store::open(&dir.path().join("words"), schema, Durability::Full).map(Arc::new)
}

async fn add(store: &Store, text: &'static str) -> store::Result<()> {
    let job =
        move |db: &store::rusqlite::Connection| db.execute("INSERT INTO word(text) VALUES (?1)", [text]);
    store.write(job).await.map(|_| ())
}

async fn count(store: &Arc<Store>) -> u32 {
    store.read(|db| db.query_row("SELECT count(*) FROM word", [], |row| row.get(0))).await.unwrap()
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening_and_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, &FIRST).unwrap();
    add(&store, "sea").await.unwrap();
    drop(store);
    let store = open(&dir, &SECOND).unwrap();
    let length: u32 =
        store.read(|db| db.query_row("SELECT length FROM word", [], |row| row.get(0))).await.unwrap();
    assert_eq!(length, 3);
}

#[tokio::test]
async fn a_newer_version_and_another_kind_are_refused_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir, &SECOND).unwrap());
    let refused = open(&dir, &FIRST).err().unwrap();
    assert!(matches!(refused, StoreError::TooNew { found: 2, known: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("schema version 2"), "{refused}");
    let other = Schema { kind: 8, ..SECOND };
    assert!(matches!(open(&dir, &other), Err(StoreError::NotOurs { .. })));
    assert!(open(&dir, &SECOND).is_ok(), "a refusal leaves the file as it is");
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, &FIRST).unwrap();
    add(&store, "sea").await.unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn a_job_that_fails_undoes_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, &FIRST).unwrap();
    add(&store, "sea").await.unwrap();
    let twice = store.write(|db| {
        db.execute("INSERT INTO word(text) VALUES ('shore')", [])?;
        db.execute("INSERT INTO word(text) VALUES ('sea')", [])
    });
    let (twice, sand) = tokio::join!(twice, add(&store, "sand"));
    assert!(twice.is_err() && sand.is_ok());
    assert_eq!(count(&store).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_all_get_their_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, &FIRST).unwrap();
    let tasks: Vec<_> = (0..500u32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let job = move |db: &store::rusqlite::Connection| {
                    db.execute("INSERT INTO word(text) VALUES (?1)", [n.to_string()])
                };
                store.write(job).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(count(&store).await, 500);
}

//! The machine on a small number of programs, the same ones every time; the fuzzer runs the others.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::sync::atomic::{AtomicBool, Ordering};

/// A handler that panics costs its connection alone, so the server's own panics are told apart here.
static SERVER_PANICKED: AtomicBool = AtomicBool::new(false);

fn watch_for_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |what| {
        if what.location().is_some_and(|at| at.file().contains("/src/") || at.file().starts_with("src/")) {
            SERVER_PANICKED.store(true, Ordering::Relaxed);
        }
        before(what);
    }));
}

/// Three sessions over four connections, each with a tree connect, before the rest begins.
const OPENING: [&[u8]; 11] = [
    &[0, 0, 0],
    &[0, 1, 0],
    &[0, 2, 0],
    // An older dialect.
    &[0, 3, 2],
    // Alice, Bob, a second channel of Alice's session, Alice again.
    &[2, 0, 0, 0],
    &[2, 1, 1, 0],
    &[4, 2, 0, 0],
    &[2, 3, 0, 0],
    &[30, 0, 0, 0, 0, 2, 0],
    &[30, 1, 0, 0, 0, 2, 0],
    &[30, 3, 0, 0, 0, 2, 0],
];

#[test]
fn programs_of_any_bytes_leave_nothing_behind() {
    watch_for_panics();
    let config = Config { cases: 60, rng_seed: RngSeed::Fixed(3), ..Config::default() };
    proptest!(config, |(how in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..700))| {
        super::run(&[&[how][..], &OPENING.concat(), &bytes].concat());
        prop_assert!(!SERVER_PANICKED.load(Ordering::Relaxed), "the server panicked");
    });
}

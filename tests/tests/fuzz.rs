//! Regressions of fuzzing, and its seeds, as tests.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::{fs, panic, path::Path};

use tests::fuzz::{TARGETS, run, seeds};

/// Runs each input. Fails with the names of the inputs that fail.
fn run_all(target: &str, inputs: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let fails = |input: &[u8]| panic::catch_unwind(|| run(target, input)).is_err();
    let failed: Vec<_> = inputs
        .into_iter()
        .filter(|(_, input)| fails(input))
        .map(|(name, _)| format!("{target}/{name}"))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn past_fuzz_findings_stay_fixed() {
    let regressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    for (target, _) in TARGETS {
        let found = fs::read_dir(regressions.join(target)).into_iter().flatten();
        run_all(
            target,
            found.map(|entry| {
                let path = entry.unwrap().path();
                (path.display().to_string(), fs::read(&path).unwrap())
            }),
        );
    }
}

#[test]
fn client_filters_pass_the_fuzz_target() {
    assert_seeds_pass("filter", 20);
}

#[test]
fn client_paths_pass_the_fuzz_target() {
    assert_seeds_pass("path", 100);
}

#[test]
fn client_patches_pass_the_fuzz_target() {
    assert_seeds_pass("patch", 100);
}

#[test]
fn client_exchanges_pass_the_fuzz_target() {
    assert_seeds_pass("http", 100);
}

fn assert_seeds_pass(target: &str, at_least: usize) {
    let seeds = seeds(target);
    assert!(seeds.len() >= at_least, "only {} seeds", seeds.len());
    run_all(target, seeds.into_iter().map(|(name, input)| (name, input.into_bytes())));
}

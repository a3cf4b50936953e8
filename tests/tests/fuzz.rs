//! What fuzzing has found stays mended, and the seeds it begins with find nothing.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs, panic,
    path::{Path, PathBuf},
};

use tests::fuzz::{TARGETS, run, seeds};

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// Tries each input, and fails with the names of those that fail.
fn try_all(target: &str, inputs: impl IntoIterator<Item = (String, Vec<u8>)>) {
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
    for (target, _) in TARGETS {
        let found = fs::read_dir(directory("regressions").join(target)).into_iter().flatten();
        try_all(
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
    clients_find_nothing("filter", 20);
}

#[test]
fn client_paths_pass_the_fuzz_target() {
    clients_find_nothing("path", 100);
}

#[test]
fn client_patches_pass_the_fuzz_target() {
    clients_find_nothing("patch", 100);
}

#[test]
fn client_exchanges_pass_the_fuzz_target() {
    clients_find_nothing("http", 100);
}

fn clients_find_nothing(target: &str, at_least: usize) {
    let seeds = seeds(target);
    assert!(seeds.len() >= at_least, "only {} seeds", seeds.len());
    try_all(target, seeds.into_iter().map(|(name, input)| (name, input.into_bytes())));
}

#[test]
fn every_fuzz_target_has_a_binary() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    let files = fs::read_dir(directory("fuzz_targets")).unwrap();
    let files: BTreeSet<_> =
        files.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(files, targets);
}

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
fn what_was_found_once_is_not_found_again() {
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
fn a_filter_of_a_client_is_no_finding() {
    clients_find_nothing("filter", 20);
}

#[test]
fn a_path_of_a_client_is_no_finding() {
    clients_find_nothing("path", 100);
}

#[test]
fn a_patch_of_a_client_is_no_finding() {
    clients_find_nothing("patch", 100);
}

#[test]
fn an_exchange_with_a_client_is_no_finding() {
    clients_find_nothing("http", 100);
}

fn clients_find_nothing(target: &str, at_least: usize) {
    let seeds = seeds(target);
    assert!(seeds.len() >= at_least, "only {} seeds", seeds.len());
    try_all(target, seeds.into_iter().map(|(name, input)| (name, input.into_bytes())));
}

#[test]
fn every_target_has_its_binary() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    let files = fs::read_dir(directory("fuzz_targets")).unwrap();
    let files: BTreeSet<_> =
        files.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(files, targets);
}

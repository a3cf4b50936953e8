//! Writes the seeds of each fuzz target to its own subdirectory of the given directory.

#![allow(clippy::expect_used, reason = "the program fails by panicking")]

use std::{env, fs, path::PathBuf};

use tests::fuzz::{TARGETS, seeds};

fn main() {
    let root = PathBuf::from(env::args().nth(1).expect("a directory"));
    for (target, _) in TARGETS {
        let directory = root.join(target);
        fs::create_dir_all(&directory).expect("a directory");
        for (name, input) in seeds(target) {
            fs::write(directory.join(name), input).expect("a file");
        }
    }
}

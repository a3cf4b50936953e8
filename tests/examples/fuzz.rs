//! Searches with libFuzzer for inputs that a target fails on. `SCIM_FUZZ_TARGET` names the target.

#![no_main]
#![allow(clippy::expect_used, reason = "the program fails by panicking")]

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use tests::fuzz::run;

#[expect(clippy::disallowed_methods, reason = "the program reads its target from the environment")]
static TARGET: LazyLock<String> =
    LazyLock::new(|| env::var("SCIM_FUZZ_TARGET").expect("the name of a target"));

fuzz_target!(|input: &[u8]| run(&TARGET, input));

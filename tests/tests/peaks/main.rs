//! The peak memory of a request: at most [`PEAK`] above that of the process at rest, whatever the body and the stored data.
//!
//! Each case is a test. A first process prepares a database in a directory and writes the request beside it. A second
//! process, whose address space is limited to that of a Lambda function, opens the database, sends the request, and reads
//! its largest resident size before and after from `/proc/self/status`. The embedded DynamoDB is in the same process, so
//! the figures are above those of a Lambda function.
//!
//! `cargo test -p tests --test peaks -- --table` prints the figures and the processor time of each case, and asserts
//! nothing.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the child process prints its figures")]

mod cases;
mod measure;
mod stored;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use cases::{CASES, Case};
use measure::{Figures, in_child, measure, prepare};

/// The memory that a request may take, in KB.
const PEAK: u64 = 150 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["--prepare", name, directory] => {
            prepare(case(name), directory.as_ref());
            ExitCode::SUCCESS
        }
        ["--measure", directory] => {
            println!("{}", measure(directory.as_ref()));
            ExitCode::SUCCESS
        }
        ["--table", names @ ..] => {
            let is_wanted = |case: &&Case| names.is_empty() || names.contains(&case.name);
            for case in CASES.iter().filter(is_wanted) {
                match in_child(case) {
                    Ok(figures) => println!("| {} | {figures} |", case.name),
                    Err(error) => println!("| {} | {error} |", case.name),
                }
            }
            ExitCode::SUCCESS
        }
        _ => {
            let test = |case: &'static Case| Trial::test(case.name, move || test(case));
            let trials = CASES.iter().map(test);
            let trials = trials.map(|trial| trial.with_ignored_flag(!cfg!(target_os = "linux")));
            libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
        }
    }
}

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).expect("a case")
}

/// Runs a case and checks its status and its peak. Other systems than Linux have no `/proc`, so the tests are ignored there.
fn test(case: &Case) -> Result<(), Failed> {
    let Figures { status, peak, .. } = in_child(case)?;
    if !case.statuses.contains(&status) {
        return Err(format!("the status is {status}").into());
    }
    if peak > PEAK {
        return Err(format!("the request takes {} MB", peak / 1024).into());
    }
    Ok(())
}

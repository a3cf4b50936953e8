//! The recorded exchanges of `fixtures/`. Each is a test with the name of its file.

use std::{path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use tests::{Service, exchange};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut trials: Vec<Trial> = exchange::files()
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap_or(&file).with_extension("").display().to_string();
            Trial::test(name, move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let replay = async { exchange::replay(&file, &Service::new().await).await };
                runtime.block_on(replay).map_err(Into::into)
            })
        })
        .collect();
    let count = trials.len();
    trials.push(Trial::test("recorded_exchanges_exist", move || {
        if count >= 100 { Ok(()) } else { Err(format!("found only {count} files").into()) }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

//! A case in two processes: one prepares, the other sends the request.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use axum::http::Method;
use http_body_util::BodyExt;
use local::embedded;
use service::{clock::Clock, entropy::Entropy, http};
use tests::{NOW, Request, Service};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::cases::Case;

/// The address space of the measuring process, in KB.
const ADDRESS_SPACE: u64 = 512 * 1024;

/// The figures of a request.
pub(crate) struct Figures {
    /// The status of the answer.
    pub(crate) status: u16,
    /// The size of the answer in bytes.
    pub(crate) bytes: usize,
    /// The largest resident size above that before the request, in KB.
    pub(crate) peak: u64,
    /// The processor time of the request in milliseconds.
    pub(crate) millis: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, bytes, peak, millis } = self;
        write!(f, "{status} | {bytes} B | {} MB | {millis} ms", peak / 1024)
    }
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // Whatever remains is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs both processes of a case, and reads the figures that the second one prints.
pub(crate) fn in_child(case: &Case) -> Result<Figures, String> {
    let directory = Directory(env::temp_dir().join(format!("scim-peak-{}-{}", process::id(), case.name)));
    fs::create_dir_all(&directory.0).map_err(|error| error.to_string())?;
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let path = directory.0.to_string_lossy().into_owned();
    run(Command::new(&program).args(["--prepare", case.name, &path]))?;
    let limited = format!("ulimit -v {ADDRESS_SPACE}; exec \"$0\" --measure \"$1\"");
    // One arena of the allocator: each reserves 64 MB of the address space.
    let printed = run(Command::new("sh")
        .args(["-c", &limited, &program.to_string_lossy(), &path])
        .env("MALLOC_ARENA_MAX", "1"))?;
    let numbers: Vec<u64> = printed.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [status, bytes, peak, millis] = numbers[..] else { return Err(format!("it printed '{printed}'")) };
    let status = u16::try_from(status).map_err(|error| error.to_string())?;
    let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
    Ok(Figures { status, bytes, peak, millis })
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last: Vec<&str> = errors.lines().rev().take(4).collect();
        return Err(format!("{}: {}", output.status, last.join(" / ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns a runtime whose clock stands still, so that no deadline passes on a slow machine.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Prepares the database and the request of a case.
pub(crate) fn prepare(case: &Case, directory: &Path) {
    let database = embedded::open(Some(&directory.join("scim.db"))).expect("a database");
    runtime().block_on(async {
        let service = Service::on(embedded::client(database.clone())).await;
        let Request { method, target, body, .. } = (case.prepare)(&database);
        fs::write(directory.join("request"), format!("{method}\n{target}\n{}", service.key)).expect("a file");
        fs::write(directory.join("body"), body).expect("a file");
    });
}

/// Sends the request of a prepared case. Returns the status, the size of the answer, the peak in KB and the processor time
/// in milliseconds.
pub(crate) fn measure(directory: &Path) -> String {
    let request = fs::read_to_string(directory.join("request")).expect("a request");
    let [method, target, key] = request.lines().collect::<Vec<_>>()[..] else { panic!("a request") };
    let method: Method = method.parse().expect("a method");
    let body = fs::read(directory.join("body")).expect("a body");
    let database = embedded::open(Some(&directory.join("scim.db"))).expect("a database");
    let client = embedded::client(database);
    let service = Service::restarted(client, Clock::fixed(NOW), Entropy::system(), key);
    let request = Request::bytes(method, "", body).bearer(key);
    let request = Request { target: target.to_owned(), ..request };
    runtime().block_on(async {
        // The first request fills the caches of the process.
        let warm = Request::get("/Users/0").bearer(key).build();
        let router = http::router(service.app.clone(), http::all());
        let _ = router.clone().oneshot(warm).await.expect("an answer");
        let (rest, before) = (resident_peak(), processor_nanos());
        let (parts, body) = router.oneshot(request.build()).await.expect("an answer").into_parts();
        drop(request);
        let body = body.collect().await.expect("a body").to_bytes();
        let (peak, after) = (resident_peak() - rest, processor_nanos() - before);
        if !parts.status.is_success() {
            eprint_start(&body);
        }
        format!("{} {} {peak} {}", parts.status.as_u16(), body.len(), after / 1_000_000)
    })
}

#[allow(clippy::print_stderr, reason = "the parent process shows it if the child fails")]
fn eprint_start(body: &[u8]) {
    eprintln!("{}", String::from_utf8_lossy(&body[..body.len().min(500)]));
}

/// Returns the largest resident size of this process so far, in KB.
fn resident_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Returns the processor time of this thread, in nanoseconds.
fn processor_nanos() -> u64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").expect("statistics");
    statistics.split_whitespace().next().and_then(|time| time.parse().ok()).expect("a time")
}

//! The programs of the workspace as processes: how they are built, started and stopped.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::Answer;

/// The longest wait for a process. A process that takes longer hangs, on the slowest machine too.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);
/// The time between two checks of a condition.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The directory of the built programs, or the reason why they could not be built.
static PROGRAMS: LazyLock<Result<PathBuf, String>> = LazyLock::new(build_programs);

/// Builds `scim-local` and `scimctl` into the target directory of this test, and returns the directory that holds them.
///
/// Cargo builds no binaries of other packages for a test. The command selects this test beside the two binaries, so
/// that it uses the same features as `cargo test --workspace` and recompiles no dependency after it. After
/// `cargo test -p tests`, it compiles the dependencies once more, with the features of scimctl. If the binaries are up to
/// date, the command takes a moment.
fn build_programs() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--workspace"])
        .args(["--bin=scim-local", "--bin=scimctl", "--test=processes"])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    if profile == "release" {
        cargo.arg("--release");
    }
    // Cargo sets these variables for a test. Build scripts that read them would run again in each build.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") {
            cargo.env_remove(&*name);
        }
    }
    let output = cargo.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if output.status.success() {
        Ok(target.join(profile))
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("`cargo build` of scim-local and scimctl failed ({}):\n{errors}", output.status))
    }
}

/// The working directory of one test. It is deleted unless the test fails.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("{test}-{}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("a directory");
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts a program in this directory with an empty environment plus these variables. The output goes into files,
    /// so that the program never waits for a reader.
    fn spawn(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        output: [&str; 2],
    ) -> Child {
        let [out, err] = output.map(|name| File::create(self.path(name)).expect("a file"));
        let programs = PROGRAMS.as_ref().unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(programs.join(name));
        command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(&self.0);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"))
    }

    /// Runs a program in this directory until it ends.
    pub(crate) fn run(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut process = self.spawn(name, arguments, environment, ["run.out", "run.err"]);
        let code = end(&mut process).unwrap_or(-1);
        Output { code, out: self.read("run.out"), err: self.read("run.err") }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The exit code and the output of a program.
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    /// Returns the exit code and each stream that is not empty, for snapshots.
    pub(crate) fn snapshot(&self) -> String {
        let stream = |name: &str, text: &str| {
            if text.is_empty() { String::new() } else { format!("{name}: {}\n", text.trim_end()) }
        };
        format!("exit {}\n{}{}", self.code, stream("out", &self.out), stream("err", &self.err))
    }

    /// Returns the output as JSON. Fails unless the program succeeded.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).expect("JSON")
    }
}

/// A running gateway. Dropping it kills the process.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) base_url: String,
    pub(crate) token: String,
    pub(crate) admin_url: String,
    pub(crate) admin_token: String,
    pub(crate) dynamodb: String,
    pub(crate) dynamodb_key: String,
}

impl Gateway {
    /// Starts a gateway on the data directory `data`, and waits until it is ready.
    pub(crate) fn start(dir: &TempDir) -> Self {
        Self::start_with(dir, &["--data", "data", "--env-file", "connection.env"], "connection.env")
    }

    /// Starts a gateway with these arguments and a free port, and waits until it has written the connection file.
    pub(crate) fn start_with(dir: &TempDir, arguments: &[&str], env_file: &str) -> Self {
        // The gateway replaces an existing connection file, so a new file has a new inode.
        let written = || fs::metadata(dir.path(env_file)).ok().map(|file| file.ino());
        let before = written();
        let arguments = [&["--port", "0"], arguments].concat();
        let mut process = dir.spawn("scim-local", &arguments, &[], ["stdout", "stderr"]);
        let began = Instant::now();
        while written().is_none() || written() == before {
            let ended = process.try_wait().expect("a process");
            assert!(
                ended.is_none() && began.elapsed() < TIMEOUT,
                "the gateway did not start: {ended:?} {}",
                dir.read("stderr")
            );
            thread::sleep(POLL_INTERVAL);
        }
        let connection = dir.read(env_file);
        let value = |name: &str| {
            let prefix = format!("{name}=");
            let line = connection.lines().find_map(|line| line.strip_prefix(&prefix));
            line.unwrap_or_else(|| panic!("{name} is missing in {connection}")).to_owned()
        };
        Self {
            process,
            base_url: value("SCIM_BASE_URL"),
            token: value("SCIM_TOKEN"),
            admin_url: value("SCIM_ADMIN_URL"),
            admin_token: value("SCIM_ADMIN_TOKEN"),
            dynamodb: value("AWS_ENDPOINT_URL_DYNAMODB"),
            dynamodb_key: value("AWS_ACCESS_KEY_ID"),
        }
    }

    /// Returns a client with the key of the first organisation.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base_url, &self.token)
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a process to kill");
        self.process.wait().expect("its end");
    }

    /// Sends SIGINT and returns the exit code.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let kill = format!("kill -INT {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        end(&mut self.process)
    }
}

/// Returns the `Authorization` header of a request to the embedded DynamoDB, which checks the access key in it alone.
pub(crate) fn credential(access_key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/20261123/local/dynamodb/aws4_request, SignedHeaders=host, \
         Signature=0"
    )
}

/// Waits for a process to end and returns its exit code. Kills a process that does not end.
fn end(process: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = process.try_wait().expect("a process") {
            return status.code();
        }
        if began.elapsed() > TIMEOUT {
            let _ = process.kill();
            let _ = process.wait();
            panic!("the process did not end");
        }
        thread::sleep(POLL_INTERVAL);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A SCIM client with a key.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base_url: String,
    key: String,
}

impl Client {
    pub(crate) fn new(base_url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self { agent: config.new_agent(), base_url: base_url.to_owned(), key: key.to_owned() }
    }

    /// Sends a request. Returns `None` unless the whole response arrives.
    pub(crate) fn try_send(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_url))
            .header("authorization", format!("Bearer {}", self.key));
        let response = if body.is_null() {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            let request = request.header("content-type", "application/scim+json");
            self.agent.run(request.body(body.to_string()).expect("a request"))
        };
        let (parts, mut body) = response.ok()?.into_parts();
        let text = body.read_to_string().ok()?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).ok()? };
        Some(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|| panic!("no response to {method} {path}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null)
    }

    /// Returns the resources whose attribute has this value.
    pub(crate) fn find(&self, collection: &str, attribute: &str, value: &str) -> Vec<Value> {
        let answer = self.get(&format!("{collection}?filter={attribute}+eq+%22{value}%22"));
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let found = answer.body["Resources"].as_array().cloned().unwrap_or_default();
        assert_eq!(answer.body["totalResults"], found.len(), "{:?}", answer.body);
        found
    }

    /// Reads every page of a collection. Fails unless the pages have `totalResults` resources.
    pub(crate) fn all(&self, collection: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let page = self.get(&format!("{collection}?startIndex={}&count=200", all.len() + 1));
            assert_eq!(page.status, 200, "{:?}", page.body);
            let resources = page.body["Resources"].as_array().cloned().unwrap_or_default();
            if resources.is_empty() {
                assert_eq!(page.body["totalResults"], all.len(), "totalResults of {collection}");
                return all;
            }
            all.extend(resources);
        }
    }
}

//! The programs of the workspace, and processes of them.
//!
//! Cargo builds the binaries of other packages for no test, so the first test that wants one has them built: with the
//! same packages and a test selected, so that the same features are, and nothing but the two binaries is compiled;
//! and cargo says where it put them. Where they are fresh this takes a moment, and no lock is held while tests run.

use std::{
    collections::BTreeMap,
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

/// What ends in less than this on the slowest machine: longer is a hang.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at what is waited for.
pub(crate) const MOMENT: Duration = Duration::from_millis(10);

static PROGRAMS: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--workspace", "--bin=scim-local", "--bin=scimctl", "--test=processes"])
        .args(["--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells tests of their package. Build scripts look at it, and would be run again by each cargo in turn.
    let told = "MANIFEST_DIR MANIFEST_PATH PKG_AUTHORS PKG_DESCRIPTION PKG_HOMEPAGE PKG_LICENSE PKG_LICENSE_FILE \
                PKG_NAME PKG_README PKG_REPOSITORY PKG_RUST_VERSION PKG_VERSION PKG_VERSION_MAJOR \
                PKG_VERSION_MINOR PKG_VERSION_PATCH PKG_VERSION_PRE";
    for name in told.split(' ') {
        cargo.env_remove(format!("CARGO_{name}"));
    }
    let built = cargo.output().expect("cargo");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).expect("cargo's messages");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "bin" && message["profile"]["test"] == false)
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect()
});

/// A directory of one test's own. It is left behind where the test fails.
pub(crate) struct Place(PathBuf);

impl Place {
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

    /// Starts the program here, in an empty environment. Its output goes into files, so that it waits for no reader.
    fn spawn(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        output: [&str; 2],
    ) -> Child {
        let [out, err] = output.map(|name| File::create(self.path(name)).expect("a file"));
        let mut command = Command::new(PROGRAMS.get(name).expect("a program of that name"));
        command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(&self.0);
        command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("a process")
    }

    /// Runs the program here to its end.
    pub(crate) fn run(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut process = self.spawn(name, arguments, environment, ["run.out", "run.err"]);
        let code = end(&mut process).unwrap_or(-1);
        Ended { code, out: self.read("run.out"), err: self.read("run.err") }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Exit code, and the two streams under their names where they are not empty.
    pub(crate) fn snapshot(&self) -> String {
        let stream = |name: &str, text: &str| {
            if text.is_empty() { String::new() } else { format!("{name}: {}\n", text.trim_end()) }
        };
        format!("exit {}\n{}{}", self.code, stream("out", &self.out), stream("err", &self.err))
    }

    /// The output, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).expect("JSON")
    }
}

/// A gateway that runs. Killed where it is dropped.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) base_url: String,
    pub(crate) token: String,
    pub(crate) dynamodb: String,
}

impl Gateway {
    /// Starts one on the data directory `data` of the place, and waits until it answers.
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &["--data", "data", "--env-file", "connection.env"], "connection.env")
    }

    /// Starts one with these arguments and a free port, and waits until it has written its connection to that file.
    pub(crate) fn start_with(place: &Place, arguments: &[&str], env_file: &str) -> Self {
        // A file from before is replaced, never written to.
        let written = || fs::metadata(place.path(env_file)).ok().map(|file| file.ino());
        let before = written();
        let arguments = [&["--port", "0"], arguments].concat();
        let mut process = place.spawn("scim-local", &arguments, &[], ["stdout", "stderr"]);
        let began = Instant::now();
        while written().is_none() || written() == before {
            let ended = process.try_wait().expect("a process");
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "the gateway does not start: {ended:?} {}",
                place.read("stderr")
            );
            thread::sleep(MOMENT);
        }
        let connection = place.read(env_file);
        let value = |name: &str| {
            let prefix = format!("{name}=");
            let line = connection.lines().find_map(|line| line.strip_prefix(&prefix));
            line.unwrap_or_else(|| panic!("no {name} in {connection}")).to_owned()
        };
        Self {
            process,
            base_url: value("SCIM_BASE_URL"),
            token: value("SCIM_TOKEN"),
            dynamodb: value("AWS_ENDPOINT_URL_DYNAMODB"),
        }
    }

    /// A client with the key of the first organisation.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base_url, &self.token)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a process to kill");
        self.process.wait().expect("its end");
    }

    /// Ctrl-C; gives the exit code.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let kill = format!("kill -INT {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        end(&mut self.process)
    }
}

/// The exit code of a process that ends by itself. One that does not is killed.
fn end(process: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = process.try_wait().expect("a process") {
            return status.code();
        }
        if began.elapsed() > PATIENCE {
            let _ = process.kill();
            let _ = process.wait();
            panic!("the process does not end");
        }
        thread::sleep(MOMENT);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A SCIM client, with a key.
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
            .timeout_global(Some(PATIENCE))
            .build();
        Self { agent: config.new_agent(), base_url: base_url.to_owned(), key: key.to_owned() }
    }

    /// The answer, if one came, whole.
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
        self.try_send(method, path, body).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null)
    }

    /// The resources of which that attribute has that value.
    pub(crate) fn find(&self, collection: &str, attribute: &str, value: &str) -> Vec<Value> {
        let answer = self.get(&format!("{collection}?filter={attribute}+eq+%22{value}%22"));
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let found = answer.body["Resources"].as_array().cloned().unwrap_or_default();
        assert_eq!(answer.body["totalResults"], found.len(), "{:?}", answer.body);
        found
    }

    /// Every resource there, page after page. Fails unless there are `totalResults`.
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

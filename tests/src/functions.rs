//! The deployed Lambda functions, each in its own runtime emulator, one invocation at a time.

use std::{
    collections::BTreeMap,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use saphyr::{LoadableYamlNode, SafelyIndex, Yaml};
use serde_json::Value;
use service::config;
use ureq::Agent;

use crate::{
    Answer, gateway, not_applicable,
    target::{Endpoint, Lambda},
};

/// The time in which an emulator must start to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// The time between two connection attempts.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The running sandboxes, by function and base URL.
type Sandboxes = BTreeMap<(&'static str, Option<String>), Arc<Mutex<Sandbox>>>;

/// The functions of one service. Each starts with its first call and stops with the test.
pub(crate) struct Functions {
    lambda: &'static Lambda,
    variables: Vec<(&'static str, String)>,
    running: Mutex<Sandboxes>,
}

impl Functions {
    /// Creates functions with these environment variables.
    pub(crate) fn new(
        lambda: &'static Lambda,
        endpoint: &Endpoint,
        mut variables: Vec<(&'static str, String)>,
    ) -> Self {
        variables.extend([
            ("AWS_ENDPOINT_URL", endpoint.emulator().to_owned()),
            ("AWS_ACCESS_KEY_ID", Endpoint::CREDENTIALS.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", Endpoint::CREDENTIALS.to_owned()),
            ("AWS_REGION", Endpoint::REGION.to_owned()),
        ]);
        Self { lambda, variables, running: Mutex::default() }
    }

    /// Sends the event to the function that the template routes `path` to, and returns the response that API Gateway
    /// makes of its output. `base_url` is the function's `SCIM_BASE_URL`.
    pub(crate) async fn invoke(&self, path: &str, event: Value, base_url: Option<String>) -> Answer {
        let function = function_for(path);
        let event = event.to_string();
        if event.len() > gateway::EVENT {
            not_applicable("a Lambda event is limited to 6 MB");
        }
        let sandbox = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let mut variables = self.variables.clone();
            variables.extend(base_url.clone().map(|url| (config::BASE_URL, url)));
            let start = || Arc::new(Mutex::new(Sandbox::start(self.lambda, function, &variables)));
            Arc::clone(running.entry((&function.name, base_url)).or_insert_with(start))
        };
        let output = tokio::task::spawn_blocking(move || {
            sandbox.lock().unwrap_or_else(PoisonError::into_inner).invoke(&event)
        });
        gateway::answer(&output.await.expect("an invocation"))
    }
}

/// One function in one emulator.
struct Sandbox {
    agent: Agent,
    url: String,
    // The emulator runs until the standard input of this process is closed.
    _keeper: Child,
}

/// Runs the emulator until standard input is closed. The system closes it when the test process ends, also by a signal.
const KEEPER: &str = r#""$@" </dev/null & read -r _; kill "$!"; wait"#;

impl Sandbox {
    fn start(lambda: &Lambda, function: &Function, variables: &[(&'static str, String)]) -> Self {
        let bootstrap = function.bootstrap(&lambda.functions);
        // Another process may take a port before the emulator does.
        (0..5)
            .find_map(|_| {
                let [events, runtime] = free_ports();
                let mut keeper = Command::new("sh")
                    .args(["-c", KEEPER, "sh"])
                    .arg(&lambda.emulator)
                    .args(["--log-level", "error"])
                    .arg(format!("--runtime-interface-emulator-address=127.0.0.1:{events}"))
                    .arg(format!("--runtime-api-address=127.0.0.1:{runtime}"))
                    .arg(&bootstrap)
                    .envs(variables.iter().map(|(name, value)| (name, value)))
                    .env("AWS_LAMBDA_FUNCTION_NAME", &function.name)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("a shell");
                let began = Instant::now();
                while began.elapsed() < START_TIMEOUT {
                    if keeper.try_wait().expect("a status").is_some() {
                        return None;
                    }
                    // Checks both ports, because the function may listen earlier than the emulator.
                    if [events, runtime].iter().all(|&port| TcpStream::connect(("127.0.0.1", port)).is_ok()) {
                        let url =
                            format!("http://127.0.0.1:{events}/2015-03-31/functions/function/invocations");
                        let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
                        return Some(Self { agent: config.new_agent(), url, _keeper: keeper });
                    }
                    thread::sleep(POLL_INTERVAL);
                }
                drop(keeper.stdin.take());
                keeper.wait().expect("a status");
                None
            })
            .unwrap_or_else(|| panic!("{} did not start {}", lambda.emulator.display(), bootstrap.display()))
    }

    fn invoke(&self, event: &str) -> Value {
        let mut answer = self.agent.post(&self.url).send(event).expect("an answer of the emulator");
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().expect("a text");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}: {text}", answer.status()))
    }
}

/// Returns two free ports that no other call returns. They lie below the ephemeral ports, which a connection could take
/// before the emulator listens.
fn free_ports() -> [u16; 2] {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let processes = u16::try_from(std::process::id() % 100).expect("below 100");
        AtomicU16::new(10_000 + 200 * processes)
    });
    [(); 2].map(|()| {
        loop {
            let port = NEXT.fetch_add(1, Ordering::Relaxed);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}

/// A function of the template.
#[derive(Debug)]
struct Function {
    /// The logical id in the template.
    logical_id: String,
    /// The name of the binary.
    name: String,
    /// The paths of API Gateway that lead to the function, without the stage.
    paths: Vec<String>,
}

impl Function {
    /// Reads a function from a resource of the template. Returns `None` for a resource without a binary or without
    /// paths.
    fn from_resource(logical_id: &str, resource: &Yaml) -> Option<Self> {
        let name = resource.get("Metadata").get("BuildProperties").get("Binary")?.as_str()?.to_owned();
        let path = |event: &Yaml| Some(event.get("Properties").get("Path")?.as_str()?.to_owned());
        let paths: Vec<String> =
            resource.get("Properties").get("Events")?.as_mapping()?.values().filter_map(path).collect();
        (!paths.is_empty()).then(|| Self { logical_id: logical_id.to_owned(), name, paths })
    }

    /// Returns the path of the `bootstrap` file. `cargo lambda` names its directory after the binary, `sam build` after
    /// the logical id.
    fn bootstrap(&self, functions: &Path) -> PathBuf {
        let candidates = [&self.name, &self.logical_id].map(|name| functions.join(name).join("bootstrap"));
        let found = candidates.iter().find_map(|path| fs::canonicalize(path).ok());
        found.unwrap_or_else(|| panic!("{} does not exist", candidates[0].display()))
    }
}

/// The functions of `template.yaml` that have paths.
static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let text = fs::read_to_string(file).expect("template.yaml");
    let documents = Yaml::load_from_str(&text).expect("template.yaml is YAML");
    let resources = documents[0]["Resources"].as_mapping().expect("the template has resources");
    resources.iter().filter_map(|(id, resource)| Function::from_resource(id.as_str()?, resource)).collect()
});

/// Returns the function that the template routes this path to: the function of the longest matching pattern.
fn function_for(path: &str) -> &'static Function {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let under_stage = match segments.as_slice() {
        ["scim", rest @ ..] => rest,
        all => all,
    };
    let specificity = |pattern: &String| {
        let pattern: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
        match pattern.split_last() {
            Some((&"{proxy+}", prefix)) => (under_stage.starts_with(prefix)
                && under_stage.len() > prefix.len())
            .then_some(2 * prefix.len()),
            _ => (pattern == under_stage).then_some(2 * pattern.len() + 1),
        }
    };
    let best = |function: &&Function| function.paths.iter().filter_map(specificity).max();
    let found = FUNCTIONS.iter().filter(|function| best(function).is_some()).max_by_key(best);
    found.unwrap_or_else(|| panic!("the template has no function for {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_routes_to_the_function_of_the_template() {
        for (path, name) in [
            ("/scim/v2/Users", "users"),
            ("/scim/v2/Users/", "users"),
            ("/scim/v2/Users/x", "users"),
            ("/scim/v2/Users/x/y", "users"),
            ("/scim/v2/.search", "users"),
            ("/scim/v2/Users/.search", "users"),
            ("/scim/v2/Groups/x", "groups"),
            ("/scim/v2/Bulk", "bulk"),
            ("/scim/v2/Bulk/x", "discovery"),
            ("/scim/v2/Schemas/x", "discovery"),
            ("/scim/oauth2/token", "token"),
            ("/scim/.well-known/oauth-authorization-server", "token"),
            ("/scim/console", "console"),
            ("/scim/console/assets/x/console.css", "console"),
            ("/scim/v2", "discovery"),
            ("/scim/v2/users", "discovery"),
            ("/", "discovery"),
            ("/favicon.ico", "discovery"),
        ] {
            assert_eq!(function_for(path).name, name, "{path}");
        }
    }
}

//! Lambda functions as they are deployed, each in a runtime emulator of its own, one invocation at a time.

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

use serde_json::Value;
use service::config;
use ureq::Agent;

use crate::{
    Answer, gateway, not_here,
    target::{Endpoint, Lambda},
};

/// How long an emulator may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether it does.
const MOMENT: Duration = Duration::from_millis(5);

/// Those that run, by function and base URL.
type Sandboxes = BTreeMap<(&'static str, Option<String>), Arc<Mutex<Sandbox>>>;

/// The functions of one service, started as they are first called, and stopped with the test.
pub(crate) struct Functions {
    lambda: &'static Lambda,
    variables: Vec<(&'static str, String)>,
    running: Mutex<Sandboxes>,
}

impl Functions {
    /// Functions with these environment variables.
    pub(crate) fn new(
        lambda: &'static Lambda,
        endpoint: &Endpoint,
        mut variables: Vec<(&'static str, String)>,
    ) -> Self {
        variables.extend([
            ("AWS_ENDPOINT_URL", endpoint.0.clone()),
            ("AWS_ACCESS_KEY_ID", Endpoint::CREDENTIALS.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", Endpoint::CREDENTIALS.to_owned()),
            ("AWS_REGION", Endpoint::REGION.to_owned()),
        ]);
        Self { lambda, variables, running: Mutex::default() }
    }

    /// What the gateway answers when it has sent the event to the function that the template routes the path to, where
    /// that is the base URL.
    pub(crate) async fn invoke(&self, path: &str, event: Value, base_url: Option<String>) -> Answer {
        let function = function_of(path);
        let event = event.to_string();
        if event.len() > gateway::EVENT {
            not_here("Lambda takes no event of more than 6 MB");
        }
        let sandbox = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let mut variables = self.variables.clone();
            variables.extend(base_url.clone().map(|url| (config::BASE_URL, url)));
            let start = || Arc::new(Mutex::new(Sandbox::start(self.lambda, function, &variables)));
            Arc::clone(running.entry((&function.name, base_url)).or_insert_with(start))
        };
        let given = tokio::task::spawn_blocking(move || {
            sandbox.lock().unwrap_or_else(PoisonError::into_inner).invoke(&event)
        });
        gateway::answer(&given.await.expect("an invocation"))
    }
}

/// One function in one emulator.
struct Sandbox {
    agent: Agent,
    url: String,
    // Its standard input is what keeps the emulator alive.
    _keeper: Child,
}

/// Runs the emulator for as long as its own standard input is open, which the system closes when the test process ends,
/// however it ends.
const KEEPER: &str = r#""$@" </dev/null & read -r _; kill "$!"; wait"#;

impl Sandbox {
    fn start(lambda: &Lambda, function: &Function, variables: &[(&'static str, String)]) -> Self {
        let bootstrap = function.bootstrap(&lambda.functions);
        // A port may be taken by somebody else between here and there.
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
                while began.elapsed() < PATIENCE {
                    if keeper.try_wait().expect("a status").is_some() {
                        return None;
                    }
                    // Both: a function is faster than the emulator in beginning to listen to it.
                    if [events, runtime].iter().all(|&port| TcpStream::connect(("127.0.0.1", port)).is_ok()) {
                        let url =
                            format!("http://127.0.0.1:{events}/2015-03-31/functions/function/invocations");
                        let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
                        return Some(Self { agent: config.new_agent(), url, _keeper: keeper });
                    }
                    thread::sleep(MOMENT);
                }
                drop(keeper.stdin.take());
                keeper.wait().expect("a status");
                None
            })
            .unwrap_or_else(|| panic!("{} does not run {}", lambda.emulator.display(), bootstrap.display()))
    }

    fn invoke(&self, event: &str) -> Value {
        let mut answer = self.agent.post(&self.url).send(event).expect("an answer of the emulator");
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().expect("a text");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}: {text}", answer.status()))
    }
}

/// Two ports that nobody listens on, each given once. Below those that the system gives to connections: one of them could
/// take the port before the emulator does.
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
#[derive(Debug, Default)]
struct Function {
    /// In the template.
    logical_id: String,
    /// Of its binary.
    name: String,
    /// Of the gateway, without the stage.
    paths: Vec<String>,
}

impl Function {
    /// The `bootstrap` as `cargo lambda` names its directory, or as `sam build` does.
    fn bootstrap(&self, functions: &Path) -> PathBuf {
        let places = [&self.name, &self.logical_id].map(|name| functions.join(name).join("bootstrap"));
        let found = places.iter().find_map(|place| fs::canonicalize(place).ok());
        found.unwrap_or_else(|| panic!("there is no {}", places[0].display()))
    }
}

/// The functions of `template.yaml` that have paths.
static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = fs::read_to_string(template).expect("the template");
    let mut functions: Vec<Function> = Vec::new();
    for line in template.lines() {
        // A resource: two spaces, a name, a colon.
        if let Some(name) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'))
            && name.chars().all(char::is_alphanumeric)
        {
            functions.push(Function { logical_id: name.to_owned(), ..Function::default() });
        } else if let Some(function) = functions.last_mut() {
            if let Some((_, name)) = line.split_once("Binary: ") {
                name.trim().clone_into(&mut function.name);
            } else if let Some((_, path)) = line.split_once(" Path: ") {
                let inline = line.trim_start().starts_with("Properties: {");
                let path = path.trim().strip_suffix('}').filter(|_| inline).unwrap_or(path);
                function.paths.push(path.trim().trim_matches('"').to_owned());
            }
        }
    }
    functions.retain(|function| !function.name.is_empty() && !function.paths.is_empty());
    functions
});

/// The function that the template routes this path to: that of the longest pattern that matches.
fn function_of(path: &str) -> &'static Function {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let under_stage = match segments.as_slice() {
        ["scim", rest @ ..] => rest,
        all => all,
    };
    let specificity = |pattern: &String| {
        let pattern: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
        match pattern.split_last() {
            Some((&"{proxy+}", before)) => (under_stage.starts_with(before)
                && under_stage.len() > before.len())
            .then_some(2 * before.len()),
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
            ("/scim/v2", "discovery"),
            ("/scim/v2/users", "discovery"),
            ("/", "discovery"),
            ("/favicon.ico", "discovery"),
        ] {
            assert_eq!(function_of(path).name, name, "{path}");
        }
    }
}

//! How the gateway starts, and how it says that it cannot.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    thread,
    time::Instant,
};

use expect_test::{Expect, expect};
use serde_json::json;

use crate::program::{Client, Gateway, MOMENT, PATIENCE, Place};

/// How a gateway ends that does not come up: with one line that says what to do, by an option.
fn refusal(place: &Place, arguments: &[&str]) -> String {
    let ended = place.run("scim-local", &[&["--dynamodb-port", "0"], arguments].concat(), &[]);
    let snapshot = ended.snapshot();
    assert_eq!((ended.code, ended.out.as_str(), ended.err.lines().count()), (1, "", 1), "{snapshot}");
    snapshot
}

/// Fails unless the gateway refuses that data directory with these words.
fn refuses_data(place: &Place, data: &str, expected: &Expect) {
    expected.assert_eq(&refusal(place, &["--port", "0", "--data", data]));
}

#[test]
fn port_in_use_is_rejected() {
    let place = Place::new("port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let refusal = |arguments: &[&str]| {
        let ended = place.run("scim-local", &[&["--data", "data"], arguments].concat(), &[]);
        ended.snapshot().replace(&port, "<port>")
    };
    expect![[r#"
        exit 1
        err: error: port <port> on 127.0.0.1 cannot be used: Address already in use (os error 98); choose another with --port PORT, or 0 for a free one
    "#]].assert_eq(&refusal(&["--port", &port]));
    expect![[r#"
        exit 1
        err: error: port <port> on 127.0.0.1 cannot be used: Address already in use (os error 98); choose another with --dynamodb-port PORT, or 0 for a free one
    "#]].assert_eq(&refusal(&["--port", "0", "--dynamodb-port", &port]));
    assert!(!place.path("data").exists(), "ports come first");
}

#[test]
fn data_directory_in_use_is_rejected() {
    let place = Place::new("in_use");
    let gateway = Gateway::start(&place);
    refuses_data(
        &place,
        "data",
        &expect![[r#"
        exit 1
        err: error: the data directory data is in use by another gateway; stop that one, or choose another with --data DIR
    "#]],
    );
    refuses_data(
        &place,
        "./data",
        &expect![[r#"
            exit 1
            err: error: the data directory ./data is in use by another gateway; stop that one, or choose another with --data DIR
        "#]],
    );
    assert_eq!(gateway.client().get("/Users").status, 200);
}

#[test]
fn unusable_data_directory_is_rejected() {
    let place = Place::new("unusable");
    fs::write(place.path("file"), "").expect("a file");
    fs::create_dir_all(place.path("odd/lock")).expect("a directory");
    fs::create_dir_all(place.path("odd-pepper/pepper")).expect("a directory");
    refuses_data(
        &place,
        "file",
        &expect![[r#"
        exit 1
        err: error: cannot use file: File exists (os error 17); choose another place with --data DIR
    "#]],
    );
    refuses_data(
        &place,
        "file/below",
        &expect![[r#"
        exit 1
        err: error: cannot use file/below: Not a directory (os error 20); choose another place with --data DIR
    "#]],
    );
    refuses_data(
        &place,
        "/proc/scim",
        &expect![[r#"
        exit 1
        err: error: cannot use /proc/scim: No such file or directory (os error 2); choose another place with --data DIR
    "#]],
    );
    refuses_data(
        &place,
        "odd",
        &expect![[r#"
        exit 1
        err: error: cannot use odd/lock: Is a directory (os error 21); choose another place with --data DIR
    "#]],
    );
    refuses_data(
        &place,
        "odd-pepper",
        &expect![[r#"
        exit 1
        err: error: cannot use odd-pepper/pepper: Is a directory (os error 21); choose another place with --data DIR
    "#]],
    );
}

#[test]
fn unreadable_database_is_rejected_and_left_unchanged() {
    let place = Place::new("database");
    fs::create_dir_all(place.path("directory/scim.db")).expect("a directory");
    fs::create_dir_all(place.path("garbage")).expect("a directory");
    fs::write(place.path("garbage/scim.db"), "garbage ".repeat(1_000)).expect("a file");
    let gateway = Gateway::start_with(&place, &["--data", "torn"], "torn/connection.env");
    assert_eq!(gateway.interrupt(), Some(0));
    let database = fs::read(place.path("torn/scim.db")).expect("a database");
    fs::write(place.path("torn/scim.db"), &database[..5_000]).expect("a file");
    for data in ["directory", "garbage", "torn"] {
        let refusal = refusal(&place, &["--port", "0", "--data", data]);
        assert!(refusal.contains(data) && refusal.contains("--data DIR"), "{refusal}");
        // What the engine says to those who program with it helps nobody here.
        assert!(!refusal.contains("Internal error") && !refusal.contains("::"), "{refusal}");
    }
    assert_eq!(place.read("garbage/scim.db"), "garbage ".repeat(1_000));
    assert_eq!(fs::read(place.path("torn/scim.db")).expect("the file"), &database[..5_000]);
}

#[test]
fn invalid_pepper_is_rejected_and_left_unchanged() {
    let place = Place::new("pepper");
    fs::create_dir_all(place.path("data")).expect("a directory");
    fs::write(place.path("data/pepper"), "short").expect("a file");
    refuses_data(
        &place,
        "data",
        &expect![[r#"
        exit 1
        err: error: cannot use data/pepper: it is too short to be a pepper; choose another place with --data DIR
    "#]],
    );
    assert_eq!(place.read("data/pepper"), "short");
}

#[test]
fn unwritable_env_file_is_rejected() {
    let place = Place::new("env_file");
    fs::create_dir_all(place.path("directory")).expect("a directory");
    let refusal = |file: &str| refusal(&place, &["--port", "0", "--data", "data", "--env-file", file]);
    expect![[r#"
        exit 1
        err: error: cannot write missing/connection.env: No such file or directory (os error 2); choose another place with --env-file FILE
    "#]].assert_eq(&refusal("missing/connection.env"));
    expect![[r#"
        exit 1
        err: error: cannot write directory: Is a directory (os error 21); choose another place with --env-file FILE
    "#]].assert_eq(&refusal("directory"));
}

#[test]
fn failed_start_creates_no_key() {
    let place = Place::new("no_key");
    refusal(&place, &["--port", "0", "--data", "data", "--env-file", "missing/connection.env"]);
    let _gateway = Gateway::start_with(&place, &["--data", "data"], "data/connection.env");
    let listed =
        place.run("scimctl", &["key", "list", "--org", "acme", "--data", "data", "--output", "json"], &[]);
    assert_eq!(listed.json()["keys"].as_array().map(Vec::len), Some(1), "{}", listed.out);
}

#[test]
fn data_files_are_private_to_the_owner() {
    let place = Place::new("modes");
    fs::create_dir(place.path("data")).expect("a directory");
    fs::set_permissions(place.path("data"), Permissions::from_mode(0o755)).expect("a mode");
    let gateway = Gateway::start_with(&place, &["--data", "data"], "data/connection.env");
    gateway.client().send("POST", "/Users", &json!({ "userName": "zelda@quux.example" }));
    let mut modes: Vec<String> = fs::read_dir(place.path("data"))
        .expect("the data directory")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
            format!("{} {mode:o}", entry.file_name().display())
        })
        .filter(|file| !file.ends_with(" 600"))
        .collect();
    modes.sort_unstable();
    assert_eq!(modes, Vec::<String>::new());
}

/// The embedded DynamoDB asks for no key, so it must not answer what the pages of other sites can have a browser send:
/// it names their origin, or, where their name leads to this machine, their host.
#[test]
fn embedded_dynamodb_rejects_requests_of_web_pages() {
    let place = Place::new("browser");
    let gateway = Gateway::start(&place);
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
    let agent = config.new_agent();
    let scan = |method: &str, header: Option<(&str, &str)>| {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&gateway.dynamodb)
            .header("x-amz-target", "DynamoDB_20120810.Scan")
            .header("access-control-request-method", "POST")
            .header("content-type", "application/x-amz-json-1.0");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let body = if method == "POST" { "{\"TableName\":\"scim-keys\"}" } else { "" };
        let answer = agent.run(request.body(body).expect("a request")).expect("an answer");
        assert_eq!(answer.headers().get("access-control-allow-origin"), None, "{method} {header:?}");
        answer.status().as_u16()
    };
    assert_eq!(scan("POST", None), 200);
    assert_eq!(scan("POST", Some(("origin", "https://elsewhere.example"))), 403);
    assert_eq!(scan("POST", Some(("host", "elsewhere.example"))), 403);
    assert!(scan("OPTIONS", Some(("origin", "https://elsewhere.example"))) >= 400);
}

#[test]
fn help_and_usage_errors_explain_the_options() {
    let place = Place::new("help");
    let explained = |arguments: &[&str]| place.run("scim-local", arguments, &[]).snapshot();
    expect![[r#"
        exit 0
        out: scim-local 0.1.0
    "#]]
    .assert_eq(&explained(&["--version"]));
    expect![[r#"
        exit 2
        err: error: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535

        For more information, try '--help'.
    "#]]
    .assert_eq(&explained(&["--port", "70000"]));
    expect![[r#"
        exit 2
        err: error: unexpected argument '--dat' found

          tip: a similar argument exists: '--data'

        Usage: scim-local --data <DIR>

        For more information, try '--help'.
    "#]]
    .assert_eq(&explained(&["--dat", "data"]));
    let help = place.run("scim-local", &["--help"], &[]);
    assert_eq!(help.code, 0);
    let options: Vec<&str> = help.out.lines().map(str::trim).filter(|line| line.starts_with('-')).collect();
    expect![[r#"
        [
            "--port <PORT>",
            "--dynamodb-port <DYNAMODB_PORT>",
            "--data <DIR>",
            "--memory",
            "--env-file <FILE>",
            "-h, --help",
            "-V, --version",
        ]
    "#]]
    .assert_debug_eq(&options);
}

#[test]
fn default_start_prints_the_connection_details() {
    let place = Place::new("default");
    let gateway = Gateway::start_with(&place, &[], ".scim/connection.env");
    let began = Instant::now();
    // The connection file comes first.
    while !place.read("stdout").ends_with("stops it.\n") && began.elapsed() < PATIENCE {
        thread::sleep(MOMENT);
    }
    let printed = place.read("stdout");
    let line = printed.lines().find_map(|line| line.trim().strip_prefix("Try it ")).expect("a line to try");
    let curl = line.trim().split('\'').collect::<Vec<_>>();
    let [_, authorization, _, url, _] = curl[..] else { panic!("{line}") };
    let key = authorization.strip_prefix("Authorization: Bearer ").expect("a key");
    assert_eq!(Client::new(url, key).get("").status, 200);
    let masked = printed.replace(&gateway.token, "<key>").replace(&gateway.base_url, "<base>");
    expect![[r#"
        SCIM 2.0 is ready.

          Organisation  acme
          Base URL      <base>
          Key           <key>
                        (new; kept only in the file below)

          Okta          Base URL: <base>
                        Unique identifier field for users: userName
                        Authentication mode: HTTP Header, with the key
          Entra ID      Tenant URL: <base>?aadOptscim062020
                        Secret Token: the key

          Try it        curl -i -H 'Authorization: Bearer <key>' '<base>/Users'

          For scripts   .scim/connection.env
          DynamoDB      <dynamodb> (AWS_ENDPOINT_URL_DYNAMODB, for scimctl and DynamoDB tools)

        Ctrl-C stops it.
    "#]]
    .assert_eq(&masked.replace(&gateway.dynamodb, "<dynamodb>"));
    assert_eq!(gateway.interrupt(), Some(0));
    let mut files: Vec<String> = fs::read_dir(place.path(".scim"))
        .expect("the data directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    files.sort_unstable();
    expect![[r#"
        [
            "connection.env",
            "lock",
            "pepper",
            "scim.db",
        ]
    "#]]
    .assert_debug_eq(&files);
}

/// A request is under way once the gateway has asked for its body.
#[test]
fn gateway_answers_running_requests_before_it_stops() {
    let place = Place::new("graceful");
    let gateway = Gateway::start(&place);
    let address = gateway.base_url.strip_prefix("http://").and_then(|url| url.split('/').next());
    let mut stream = TcpStream::connect(address.expect("an address")).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = json!({ "userName": "late@example.com" }).to_string();
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
         content-type: application/scim+json\r\nexpect: 100-continue\r\n\r\n",
        gateway.token,
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a head");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).expect("an interim answer");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stopping = thread::spawn(move || gateway.interrupt());
    while TcpStream::connect(stream.peer_addr().expect("an address")).is_ok() {
        thread::sleep(MOMENT);
    }
    stream.write_all(body.as_bytes()).expect("a body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(stopping.join().expect("an end"), Some(0));
    let gateway = Gateway::start(&place);
    assert_eq!(gateway.client().find("/Users", "userName", "late@example.com").len(), 1);
}

#[test]
fn restart_keeps_resources_and_key() {
    let place = Place::new("restart");
    let gateway = Gateway::start(&place);
    let key = gateway.token.clone();
    let id = gateway.client().send("POST", "/Users", &json!({ "userName": "kept@example.com" })).id();
    assert_eq!(gateway.interrupt(), Some(0));
    let gateway = Gateway::start(&place);
    assert_eq!(gateway.token, key);
    assert_eq!(gateway.client().get(&format!("/Users/{id}")).body["userName"], "kept@example.com");
}

#[test]
fn restart_without_connection_file_creates_a_second_key() {
    let place = Place::new("new_key");
    let gateway = Gateway::start(&place);
    let old = gateway.token.clone();
    gateway.kill();
    fs::remove_file(place.path("data/connection.env")).expect("the file is there");
    let gateway = Gateway::start(&place);
    assert_ne!(gateway.token, old);
    assert_eq!(gateway.client().get("/Users").status, 200);
    assert_eq!(Client::new(&gateway.base_url, &old).get("/Users").status, 200);
}

#[test]
fn memory_mode_keeps_no_data_and_creates_a_new_key() {
    let place = Place::new("memory");
    let arguments = ["--memory", "--data", "data", "--env-file", "connection.env"];
    let start = || Gateway::start_with(&place, &arguments, "connection.env");
    let gateway = start();
    let old = gateway.token.clone();
    let user = json!({ "userName": "gone@example.com" });
    let id = gateway.client().send("POST", "/Users", &user).id();
    assert_eq!(gateway.interrupt(), Some(0));
    assert!(!place.path("data/scim.db").exists());
    let gateway = start();
    let client = gateway.client();
    assert_ne!(gateway.token, old);
    assert_eq!(Client::new(&gateway.base_url, &old).get("/Users").status, 401);
    assert_eq!(client.get(&format!("/Users/{id}")).status, 404);
    assert_eq!(client.all("/Users"), Vec::<serde_json::Value>::new());
    assert_eq!(client.send("POST", "/Users", &user).status, 201);
}

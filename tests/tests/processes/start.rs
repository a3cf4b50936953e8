//! The start and the stop of the gateway, and its messages when it cannot start.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    thread,
    time::Instant,
};

use expect_test::{Expect, expect};
use serde_json::json;

use crate::program::{Client, Gateway, POLL_INTERVAL, TIMEOUT, TempDir, credential};

/// Runs a gateway that must fail to start, with exit code 1 and a message of one line.
fn start_error(dir: &TempDir, arguments: &[&str]) -> String {
    let ended = dir.run("scim-local", &[&["--dynamodb-port", "0"], arguments].concat(), &[]);
    let snapshot = ended.snapshot();
    assert_eq!((ended.code, ended.out.as_str(), ended.err.lines().count()), (1, "", 1), "{snapshot}");
    snapshot
}

/// Compares the message for an unusable data directory.
fn assert_data_rejected(dir: &TempDir, data: &str, expected: &Expect) {
    expected.assert_eq(&start_error(dir, &["--port", "0", "--data", data]));
}

#[test]
fn port_in_use_is_rejected() {
    let dir = TempDir::new("port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let message = |arguments: &[&str]| {
        let ended = dir.run("scim-local", &[&["--data", "data"], arguments].concat(), &[]);
        ended.snapshot().replace(&port, "<port>")
    };
    expect![[r#"
        exit 1
        err: error: cannot use port <port> on 127.0.0.1: Address already in use (os error 98). Choose another port with --port PORT, or 0 for a free port.
    "#]].assert_eq(&message(&["--port", &port]));
    expect![[r#"
        exit 1
        err: error: cannot use port <port> on 127.0.0.1: Address already in use (os error 98). Choose another port with --dynamodb-port PORT, or 0 for a free port.
    "#]].assert_eq(&message(&["--port", "0", "--dynamodb-port", &port]));
    assert!(!dir.path("data").exists(), "the ports are checked before the data directory");
}

#[test]
fn data_directory_in_use_is_rejected() {
    let dir = TempDir::new("in_use");
    let gateway = Gateway::start(&dir);
    assert_data_rejected(
        &dir,
        "data",
        &expect![[r#"
        exit 1
        err: error: another gateway uses the data directory data. Stop that gateway, or choose another data directory with --data DIR.
    "#]],
    );
    assert_data_rejected(
        &dir,
        "./data",
        &expect![[r#"
            exit 1
            err: error: another gateway uses the data directory ./data. Stop that gateway, or choose another data directory with --data DIR.
        "#]],
    );
    assert_eq!(gateway.client().get("/Users").status, 200);
}

#[test]
fn unusable_data_directory_is_rejected() {
    let dir = TempDir::new("unusable");
    fs::write(dir.path("file"), "").expect("a file");
    fs::create_dir_all(dir.path("odd/lock")).expect("a directory");
    fs::create_dir_all(dir.path("odd-pepper/pepper")).expect("a directory");
    assert_data_rejected(
        &dir,
        "file",
        &expect![[r#"
        exit 1
        err: error: cannot use file: File exists (os error 17). Choose another data directory with --data DIR.
    "#]],
    );
    assert_data_rejected(
        &dir,
        "file/below",
        &expect![[r#"
        exit 1
        err: error: cannot use file/below: Not a directory (os error 20). Choose another data directory with --data DIR.
    "#]],
    );
    assert_data_rejected(
        &dir,
        "/proc/scim",
        &expect![[r#"
        exit 1
        err: error: cannot use /proc/scim: No such file or directory (os error 2). Choose another data directory with --data DIR.
    "#]],
    );
    assert_data_rejected(
        &dir,
        "odd",
        &expect![[r#"
        exit 1
        err: error: cannot use odd/lock: Is a directory (os error 21). Choose another data directory with --data DIR.
    "#]],
    );
    assert_data_rejected(
        &dir,
        "odd-pepper",
        &expect![[r#"
        exit 1
        err: error: cannot use odd-pepper/pepper: Is a directory (os error 21). Choose another data directory with --data DIR.
    "#]],
    );
}

#[test]
fn unreadable_database_is_rejected_and_left_unchanged() {
    let dir = TempDir::new("database");
    fs::create_dir_all(dir.path("directory/scim.db")).expect("a directory");
    fs::create_dir_all(dir.path("garbage")).expect("a directory");
    fs::write(dir.path("garbage/scim.db"), "garbage ".repeat(1_000)).expect("a file");
    fs::write(dir.path("garbage/pepper"), "0".repeat(64)).expect("a file");
    for file in ["garbage/scim.db", "garbage/pepper"] {
        set_mode(&dir.path(file), 0o600);
    }
    let gateway = Gateway::start_with(&dir, &["--data", "torn"], "torn/connection.env");
    assert_eq!(gateway.interrupt(), Some(0));
    let database = fs::read(dir.path("torn/scim.db")).expect("a database");
    fs::write(dir.path("torn/scim.db"), &database[..5_000]).expect("a file");
    for data in ["directory", "garbage", "torn"] {
        let error = start_error(&dir, &["--port", "0", "--data", data]);
        assert!(error.contains(data) && error.contains("--data DIR"), "{error}");
        // The engine's internal messages do not help an operator.
        assert!(!error.contains("Internal error") && !error.contains("::"), "{error}");
    }
    assert_eq!(dir.read("garbage/scim.db"), "garbage ".repeat(1_000));
    assert_eq!(fs::read(dir.path("torn/scim.db")).expect("the file"), &database[..5_000]);
}

#[test]
fn invalid_pepper_is_rejected_and_left_unchanged() {
    let dir = TempDir::new("pepper");
    fs::create_dir_all(dir.path("data")).expect("a directory");
    fs::write(dir.path("data/pepper"), "short").expect("a file");
    set_mode(&dir.path("data/pepper"), 0o600);
    assert_data_rejected(
        &dir,
        "data",
        &expect![[r#"
        exit 1
        err: error: cannot use data/pepper: the pepper is too short. Choose another data directory with --data DIR.
    "#]],
    );
    assert_eq!(dir.read("data/pepper"), "short");
}

/// Damages a data directory.
type Damage = fn(&Path);

/// Other users of this machine may have written or read such a file.
#[test]
fn data_file_of_others_is_rejected() {
    let dir = TempDir::new("others");
    let damage: [(&str, Damage); 5] = [
        ("loose-pepper", |data| set_mode(&data.join("pepper"), 0o644)),
        ("loose-database", |data| set_mode(&data.join("scim.db"), 0o606)),
        ("loose-lock", |data| set_mode(&data.join("lock"), 0o660)),
        ("linked-pepper", |data| {
            fs::rename(data.join("pepper"), data.join("elsewhere")).expect("a rename");
            symlink("elsewhere", data.join("pepper")).expect("a link");
        }),
        ("no-pepper", |data| fs::remove_file(data.join("pepper")).expect("the file is there")),
    ];
    let mut errors = String::new();
    for (data, damage) in damage {
        let gateway = Gateway::start_with(&dir, &["--data", data], &format!("{data}/connection.env"));
        assert_eq!(gateway.interrupt(), Some(0));
        damage(&dir.path(data));
        errors += &start_error(&dir, &["--port", "0", "--data", data]);
    }
    expect![[r#"
        exit 1
        err: error: cannot use loose-pepper/pepper: other users may use it (mode 644): run chmod 600 loose-pepper/pepper. Choose another data directory with --data DIR.
        exit 1
        err: error: cannot use loose-database/scim.db: other users may use it (mode 606): run chmod 600 loose-database/scim.db. Choose another data directory with --data DIR.
        exit 1
        err: error: cannot use loose-lock/lock: other users may use it (mode 660): run chmod 600 loose-lock/lock. Choose another data directory with --data DIR.
        exit 1
        err: error: cannot use linked-pepper/pepper: it is no regular file. Choose another data directory with --data DIR.
        exit 1
        err: error: cannot use no-pepper/pepper: the file is missing, and no key in scim.db is valid without it. Choose another data directory with --data DIR.
    "#]].assert_eq(&errors);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn data_directory_is_closed_to_writers_of_a_group() {
    let dir = TempDir::new("directory_mode");
    fs::create_dir(dir.path("data")).expect("a directory");
    set_mode(&dir.path("data"), 0o777);
    drop(Gateway::start_with(&dir, &["--data", "data"], "data/connection.env"));
    let mode = fs::metadata(dir.path("data")).expect("the directory").permissions().mode() & 0o777;
    assert_eq!(format!("{mode:o}"), "755");
}

#[test]
fn env_file_replaces_no_other_file() {
    let dir = TempDir::new("draft");
    for name in ["connection.draft", "connection.env.draft", "connection.tmp"] {
        fs::write(dir.path(name), "mine").expect("a file");
    }
    drop(Gateway::start(&dir));
    let mut files: Vec<String> = fs::read_dir(dir.path("."))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| dir.read(name) == "mine" || name.contains("connection"))
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["connection.draft", "connection.env", "connection.env.draft", "connection.tmp"]);
}

#[test]
fn gateway_speaks_http_1_only() {
    let dir = TempDir::new("http_2");
    let gateway = Gateway::start(&dir);
    let address = gateway.base_url.strip_prefix("http://").and_then(|url| url.split('/').next());
    let mut stream = TcpStream::connect(address.expect("an address")).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("a preface");
    let mut answer = Vec::new();
    // The connection may be reset, because the gateway does not read all of it.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
}

#[test]
fn unwritable_env_file_is_rejected() {
    let dir = TempDir::new("env_file");
    fs::create_dir_all(dir.path("directory")).expect("a directory");
    let message = |file: &str| start_error(&dir, &["--port", "0", "--data", "data", "--env-file", file]);
    expect![[r#"
        exit 1
        err: error: cannot write missing/connection.env: No such file or directory (os error 2). Choose another file with --env-file FILE.
    "#]].assert_eq(&message("missing/connection.env"));
    expect![[r#"
        exit 1
        err: error: cannot write directory: Is a directory (os error 21). Choose another file with --env-file FILE.
    "#]].assert_eq(&message("directory"));
}

#[test]
fn failed_start_creates_no_key() {
    let dir = TempDir::new("no_key");
    start_error(&dir, &["--port", "0", "--data", "data", "--env-file", "missing/connection.env"]);
    let _gateway = Gateway::start_with(&dir, &["--data", "data"], "data/connection.env");
    let listed =
        dir.run("scimctl", &["key", "list", "--org", "acme", "--data", "data", "--output", "json"], &[]);
    assert_eq!(listed.json()["keys"].as_array().map(Vec::len), Some(1), "{}", listed.out);
}

#[test]
fn data_files_are_private_to_the_owner() {
    let dir = TempDir::new("modes");
    fs::create_dir(dir.path("data")).expect("a directory");
    fs::set_permissions(dir.path("data"), Permissions::from_mode(0o755)).expect("a mode");
    let gateway = Gateway::start_with(&dir, &["--data", "data"], "data/connection.env");
    gateway.client().send("POST", "/Users", &json!({ "userName": "zelda@quux.example" }));
    let mut modes: Vec<String> = fs::read_dir(dir.path("data"))
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

/// A request that a web page makes a browser send names the page's origin or, if the page's host name resolves to this
/// machine, its host. Another user of this machine does not know the access key.
#[test]
fn embedded_dynamodb_rejects_web_pages_and_other_users() {
    let dir = TempDir::new("browser");
    let gateway = Gateway::start(&dir);
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
    let agent = config.new_agent();
    let scan = |method: &str, header: Option<(&str, &str)>| {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&gateway.dynamodb)
            .header("x-amz-target", "DynamoDB_20120810.Scan")
            .header("access-control-request-method", "POST")
            .header("content-type", "application/x-amz-json-1.0");
        if header.is_none_or(|(name, _)| name != "authorization") {
            request = request.header("authorization", credential(&gateway.dynamodb_key));
        }
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
    for key in ["", "local", &gateway.dynamodb_key[1..], &gateway.dynamodb_key.to_uppercase()] {
        assert_eq!(scan("POST", Some(("authorization", &credential(key)))), 400, "{key}");
    }
    assert_eq!(scan("POST", Some(("authorization", ""))), 400);
}

#[test]
fn help_and_usage_errors_explain_the_options() {
    let dir = TempDir::new("help");
    let output = |arguments: &[&str]| dir.run("scim-local", arguments, &[]).snapshot();
    expect![[r#"
        exit 0
        out: scim-local 0.2.0
    "#]]
    .assert_eq(&output(&["--version"]));
    expect![[r#"
        exit 2
        err: error: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535

        For more information, try '--help'.
    "#]]
    .assert_eq(&output(&["--port", "70000"]));
    expect![[r#"
        exit 2
        err: error: unexpected argument '--dat' found

          tip: a similar argument exists: '--data'

        Usage: scim-local --data <DIR>

        For more information, try '--help'.
    "#]]
    .assert_eq(&output(&["--dat", "data"]));
    let help = dir.run("scim-local", &["--help"], &[]);
    assert_eq!(help.code, 0);
    let options: Vec<&str> = help.out.lines().map(str::trim).filter(|line| line.starts_with('-')).collect();
    expect![[r#"
        [
            "--port <PORT>",
            "--dynamodb-port <DYNAMODB_PORT>",
            "--data <DIR>",
            "--memory",
            "--env-file <FILE>",
            "--limits",
            "--no-request-log",
            "--allow-loopback-issuers",
            "-h, --help",
            "-V, --version",
        ]
    "#]]
    .assert_debug_eq(&options);
}

#[test]
fn operator_token_is_valid_for_one_start() {
    let dir = TempDir::new("operator");
    let status = |gateway: &Gateway, token: &str| Client::new(&gateway.admin_url, token).get("/orgs").status;
    let first = Gateway::start(&dir);
    let token = first.admin_token.clone();
    assert_eq!((status(&first, &token), status(&first, &first.token)), (200, 401));
    assert_eq!(first.interrupt(), Some(0));
    let second = Gateway::start(&dir);
    assert_eq!((status(&second, &token), status(&second, &second.admin_token)), (401, 200));
    assert!(!dir.read("stdout").contains(&second.admin_token), "the token is in the file alone");
}

#[test]
fn default_start_prints_the_connection_details() {
    let dir = TempDir::new("default");
    let gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
    let began = Instant::now();
    // The gateway writes the connection file before it prints.
    while !dir.read("stdout").ends_with("Press Ctrl-C to stop.\n") && began.elapsed() < TIMEOUT {
        thread::sleep(POLL_INTERVAL);
    }
    let printed = dir.read("stdout");
    let line = printed.lines().find_map(|line| line.trim().strip_prefix("Try it ")).expect("a line to try");
    let curl = line.trim().split('\'').collect::<Vec<_>>();
    let [_, authorization, _, url, _] = curl[..] else { panic!("{line}") };
    let key = authorization.strip_prefix("Authorization: Bearer ").expect("a key");
    assert_eq!(Client::new(url, key).get("").status, 200);
    let masked = printed.replace(&gateway.token, "<key>").replace(&gateway.base_url, "<base>");
    let masked = masked.replace(&gateway.admin_url, "<admin>");
    let root = gateway.base_url.trim_end_matches("/scim/v2");
    let masked = masked.replace(root, "<root>");
    let (before, rest) = masked.split_once("?link=").expect("a set-up link");
    let (secret, after) = rest.split_once('\n').expect("the end of the line");
    assert!(secret.starts_with("scimlink_acme_"), "{secret}");
    let masked = format!("{before}?link=<link>\n{after}");
    expect![[r#"
        SCIM 2.0 is ready.

          Organisation  acme
          Base URL      <base>
          Key           <key>
                        (new, stored in the file below)

          Okta          SCIM connector base URL: <base>
                        Unique identifier field for users: userName
                        Authentication mode: HTTP Header, with the key as token
          Entra ID      Tenant URL: <base>?aadOptscim062020
                        Token URL: <root>/oauth2/token
                        Without a secret, with the values that Entra displays:
                          scimctl client create --org acme --scope scim --issuer URL --audience A --subject S
                        With a client secret: scimctl client create --org acme --scope scim
                        With a key: Secret Token: the key

          Console       <root>/console/enter?link=<link>
                        (for an owner: opens once, within 5 minutes)

          Try it        curl -i -H 'Authorization: Bearer <key>' '<base>/Users'

          For scripts   .scim/connection.env
          Management    <admin>, with the operator token in that file
          DynamoDB      <dynamodb>, with the access key in that file

        Press Ctrl-C to stop.
    "#]]
    .assert_eq(&masked.replace(&gateway.dynamodb, "<dynamodb>"));
    assert_eq!(gateway.interrupt(), Some(0));
    let mut files: Vec<String> = fs::read_dir(dir.path(".scim"))
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

/// The request is running once the gateway has asked for its body with `100 Continue`.
#[test]
fn gateway_answers_running_requests_before_it_stops() {
    let dir = TempDir::new("graceful");
    let gateway = Gateway::start(&dir);
    let address = gateway.base_url.strip_prefix("http://").and_then(|url| url.split('/').next());
    let mut stream = TcpStream::connect(address.expect("an address")).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
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
        thread::sleep(POLL_INTERVAL);
    }
    stream.write_all(body.as_bytes()).expect("a body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(stopping.join().expect("an end"), Some(0));
    let gateway = Gateway::start(&dir);
    assert_eq!(gateway.client().find("/Users", "userName", "late@example.com").len(), 1);
}

#[test]
fn restart_keeps_resources_and_key() {
    let dir = TempDir::new("restart");
    let gateway = Gateway::start(&dir);
    let key = gateway.token.clone();
    let id = gateway.client().send("POST", "/Users", &json!({ "userName": "kept@example.com" })).id();
    assert_eq!(gateway.interrupt(), Some(0));
    let gateway = Gateway::start(&dir);
    assert_eq!(gateway.token, key);
    assert_eq!(gateway.client().get(&format!("/Users/{id}")).body["userName"], "kept@example.com");
}

#[test]
fn restart_without_connection_file_creates_a_second_key() {
    let dir = TempDir::new("new_key");
    let gateway = Gateway::start(&dir);
    let old = gateway.token.clone();
    gateway.kill();
    fs::remove_file(dir.path("data/connection.env")).expect("the file is there");
    let gateway = Gateway::start(&dir);
    assert_ne!(gateway.token, old);
    assert_eq!(gateway.client().get("/Users").status, 200);
    assert_eq!(Client::new(&gateway.base_url, &old).get("/Users").status, 200);
}

#[test]
fn memory_mode_keeps_no_data_and_creates_a_new_key() {
    let dir = TempDir::new("memory");
    let arguments = ["--memory", "--data", "data", "--env-file", "connection.env"];
    let start = || Gateway::start_with(&dir, &arguments, "connection.env");
    let gateway = start();
    let old = gateway.token.clone();
    let user = json!({ "userName": "gone@example.com" });
    let id = gateway.client().send("POST", "/Users", &user).id();
    assert_eq!(gateway.interrupt(), Some(0));
    assert!(!dir.path("data/scim.db").exists());
    let gateway = start();
    let client = gateway.client();
    assert_ne!(gateway.token, old);
    assert_eq!(Client::new(&gateway.base_url, &old).get("/Users").status, 401);
    assert_eq!(client.get(&format!("/Users/{id}")).status, 404);
    assert_eq!(client.all("/Users"), Vec::<serde_json::Value>::new());
    assert_eq!(client.send("POST", "/Users", &user).status, 201);
}

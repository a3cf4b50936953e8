//! How the gateway starts, and how it says that it cannot.

use std::{fs, net::TcpListener};

use expect_test::{Expect, expect};
use serde_json::json;

use crate::program::{Client, Gateway, Place};

/// Starts a gateway that must not come up, with a place and arguments made from it. Whatever is free is named by
/// `arguments`: port 0 unless they say otherwise.
fn refuses(place: &Place, arguments: &[&str], expected: &Expect) {
    let port: &[&str] = if arguments.contains(&"--port") { &[] } else { &["--port", "0"] };
    let ended = place.run("scim-local", &[port, arguments].concat(), &[]);
    expected.assert_eq(&ended.snapshot());
}

/// Takes a port; gives it as an argument.
fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    (listener, port)
}

fn refuses_a_taken_port(test: &str, option: &str, expected: &Expect) {
    let place = Place::new(test);
    let (_listener, port) = taken();
    let ended = place.run("scim-local", &["--data", "data", "--port", "0", option, &port], &[]);
    expected.assert_eq(&ended.snapshot().replace(&port, "<port>"));
}

#[test]
fn a_taken_port_is_refused() {
    refuses_a_taken_port(
        "port",
        "--port",
        &expect![[r#"
        exit 2
        err: error: the argument '--port <PORT>' cannot be used multiple times

        Usage: scim-local [OPTIONS]

        For more information, try '--help'.
    "#]],
    );
    refuses_a_taken_port(
        "dynamodb_port",
        "--dynamodb-port",
        &expect![[r#"
        exit 1
        err: error: port <port> on 127.0.0.1 cannot be used: Address already in use (os error 98); choose another with --dynamodb-port PORT, or 0 for a free one
    "#]],
    );
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let place = Place::new("in_use");
    let gateway = Gateway::start(&place);
    refuses(
        &place,
        &["--data", "data"],
        &expect![[r#"
        exit 1
        err: error: the data directory data is in use by another gateway; stop that one, or choose another with --data DIR
    "#]],
    );
    refuses(
        &place,
        &["--data", "data", "--memory"],
        &expect![[r#"
        exit 1
        err: error: the data directory data is in use by another gateway; stop that one, or choose another with --data DIR
    "#]],
    );
    assert_eq!(gateway.client().get("/Users").status, 200);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_refused() {
    let place = Place::new("unusable");
    fs::write(place.path("file"), "").expect("a file");
    fs::create_dir_all(place.path("odd/lock")).expect("a directory");
    fs::create_dir_all(place.path("odd-pepper/pepper")).expect("a directory");
    fs::create_dir_all(place.path("odd-database/scim.db")).expect("a directory");
    refuses(
        &place,
        &["--data", "file"],
        &expect![[r#"
        exit 1
        err: error: cannot use file: File exists (os error 17); choose another place with --data DIR
    "#]],
    );
    refuses(
        &place,
        &["--data", "file/below"],
        &expect![[r#"
        exit 1
        err: error: cannot use file/below: Not a directory (os error 20); choose another place with --data DIR
    "#]],
    );
    refuses(
        &place,
        &["--data", "/proc/scim"],
        &expect![[r#"
        exit 1
        err: error: cannot use /proc/scim: No such file or directory (os error 2); choose another place with --data DIR
    "#]],
    );
    refuses(
        &place,
        &["--data", "odd"],
        &expect![[r#"
        exit 1
        err: error: cannot use odd/lock: Is a directory (os error 21); choose another place with --data DIR
    "#]],
    );
    refuses(
        &place,
        &["--data", "odd-pepper"],
        &expect![[r#"
        exit 1
        err: error: cannot use odd-pepper/pepper: Is a directory (os error 21); choose another place with --data DIR
    "#]],
    );
    refuses(
        &place,
        &["--data", "odd-database"],
        &expect![[r#"
        exit 1
        err: error: cannot open the database in odd-database: Internal error: unable to open database file: odd-database/scim.db
    "#]],
    );
}

#[test]
fn files_that_are_not_the_gateways_are_refused_and_left_alone() {
    let place = Place::new("garbage");
    fs::create_dir_all(place.path("data")).expect("a directory");
    fs::create_dir_all(place.path("data2")).expect("a directory");
    fs::write(place.path("data/scim.db"), "garbage ".repeat(1_000)).expect("a file");
    fs::write(place.path("data2/pepper"), "short").expect("a file");
    refuses(
        &place,
        &["--data", "data"],
        &expect![[r#"
        exit 1
        err: error: cannot open the database in data: Database file is encrypted or not a valid SQLite database. If encrypted, enable the `encryption` or `encryption-cc` feature and use Database::new_encrypted() with the correct key.
    "#]],
    );
    refuses(
        &place,
        &["--data", "data2"],
        &expect![[r#"
        exit 1
        err: error: cannot use data2/pepper: it is too short to be a pepper; choose another place with --data DIR
    "#]],
    );
    assert_eq!(place.read("data/scim.db"), "garbage ".repeat(1_000));
    assert_eq!(place.read("data2/pepper"), "short");
}

#[test]
fn an_env_file_that_cannot_be_written_is_refused() {
    let place = Place::new("env_file");
    fs::create_dir_all(place.path("directory")).expect("a directory");
    refuses(
        &place,
        &["--data", "data", "--env-file", "missing/connection.env"],
        &expect![[r#"
        exit 1
        err: error: cannot write missing/connection.env: No such file or directory (os error 2); choose another place with --env-file FILE
    "#]],
    );
    refuses(
        &place,
        &["--data", "data", "--env-file", "directory"],
        &expect![[r#"
        exit 1
        err: error: cannot write directory: Is a directory (os error 21); choose another place with --env-file FILE
    "#]],
    );
}

#[test]
fn the_command_line_is_explained() {
    let place = Place::new("help");
    refuses(
        &place,
        &["--version"],
        &expect![[r#"
        exit 0
        out: scim-local 0.1.0
    "#]],
    );
    refuses(
        &place,
        &["--help"],
        &expect![[r#"
        exit 0
        out: The SCIM service on this machine: every endpoint, on an embedded DynamoDB.

        Makes the organisation `acme` with a key at the first start, and prints what to type into Okta and Microsoft Entra. Stop it with Ctrl-C.

        Usage: scim-local [OPTIONS]

        Options:
              --port <PORT>
                  Port of the gateway on 127.0.0.1; 0 takes a free one
          
                  [default: 8080]

              --dynamodb-port <DYNAMODB_PORT>
                  Port of the embedded DynamoDB on 127.0.0.1; 0 takes a free one
          
                  [default: 0]

              --data <DIR>
                  Directory for everything that is kept
          
                  [default: .scim]

              --memory
                  Keep resources and keys in memory only: they are gone when the gateway stops

              --env-file <FILE>
                  File for `SCIM_BASE_URL` and `SCIM_TOKEN`, written with mode 0600 once the gateway answers [default: connection.env in the data directory]

          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version
    "#]],
    );
    refuses(
        &place,
        &["--port", "70000"],
        &expect![[r#"
        exit 2
        err: error: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535

        For more information, try '--help'.
    "#]],
    );
    refuses(
        &place,
        &["--dat", "data"],
        &expect![[r#"
        exit 2
        err: error: unexpected argument '--dat' found

          tip: a similar argument exists: '--data'

        Usage: scim-local --port <PORT> --data <DIR>

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn with_no_arguments_it_prints_what_a_person_needs_and_keeps_all_in_the_working_directory() {
    let place = Place::new("default");
    let gateway = Gateway::start_with(&place, &[], ".scim/connection.env");
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

#[test]
fn a_restart_keeps_resources_and_the_key() {
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
fn a_restart_without_the_connection_file_makes_a_new_key_and_the_old_one_is_still_good() {
    let place = Place::new("new_key");
    let gateway = Gateway::start(&place);
    let old = gateway.token.clone();
    gateway.kill();
    fs::remove_file(place.path("connection.env")).expect("the file is there");
    let gateway = Gateway::start(&place);
    assert_ne!(gateway.token, old);
    assert_eq!(gateway.client().get("/Users").status, 200);
    assert_eq!(Client::new(&gateway.base_url, &old).get("/Users").status, 200);
}

#[test]
fn memory_keeps_nothing_and_makes_a_new_key() {
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

//! `scimctl` on a gateway that runs.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::program::{Client, Ended, Gateway, Place};

/// A gateway with its data directory where `scimctl` looks for one.
struct Site {
    place: Place,
    gateway: Gateway,
}

impl Site {
    fn new(test: &str) -> Self {
        let place = Place::new(test);
        let gateway = Gateway::start_with(&place, &[], ".scim/connection.env");
        Self { place, gateway }
    }

    /// Runs a command line: words between spaces.
    fn scimctl(&self, line: &str) -> Ended {
        self.place.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), &[])
    }

    fn done(&self, line: &str) {
        let ended = self.scimctl(line);
        assert_eq!(ended.code, 0, "{line}: {}", ended.snapshot());
    }

    /// A new key of the organisation, and its id.
    fn key(&self, org: &str, scopes: &str) -> (String, String) {
        let made = self.scimctl(&format!("key create --org {org} {scopes} --output json")).json();
        let field = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        (field("key"), field("id"))
    }

    /// The statuses of a reading and a writing request with that key.
    fn may(&self, key: &str) -> (u16, u16) {
        let client = Client::new(&self.gateway.base_url, key);
        (client.get("/Users").status, client.send("POST", "/Groups", &json!({ "displayName": key })).status)
    }

    /// Fails unless the command line ends and prints like this; times, keys and their ids hidden.
    fn prints(&self, line: &str, expected: &Expect) {
        expected.assert_eq(&hide(&self.scimctl(line).snapshot()));
    }
}

/// Hides times, keys and ids of keys.
fn hide(text: &str) -> String {
    let mut hidden = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/') {
            word.push(c);
            continue;
        }
        let hex = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let time = |text: &str| text.len() == 24 && text.starts_with("20") && text.ends_with('Z');
        hidden.push_str(match word.as_str() {
            id if hex(id) => "<id>",
            when if time(when) => "<time>",
            key if key.starts_with("scim_") => "<key>",
            address if address.starts_with("http://127.0.0.1:") => "<address>",
            other => other,
        });
        word.clear();
        if c != '\0' {
            hidden.push(c);
        }
    }
    hidden
}

#[test]
fn organisations_are_created_listed_shown_and_disabled() {
    let site = Site::new("orgs");
    site.prints(
        "org create beta",
        &expect![[r#"
        exit 0
        out: beta  SCIM on  created <time>
    "#]],
    );
    site.prints(
        "org create gamma --output json",
        &expect![[r#"
        exit 0
        out: {
          "org": "gamma",
          "enabled": true,
          "created": "<time>"
        }
    "#]],
    );
    site.prints(
        "org list",
        &expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>
        beta  SCIM on  created <time>
        gamma  SCIM on  created <time>
    "#]],
    );
    site.prints(
        "org list --output json",
        &expect![[r#"
        exit 0
        out: {
          "organisations": [
            {
              "org": "acme",
              "enabled": true,
              "created": "<time>"
            },
            {
              "org": "beta",
              "enabled": true,
              "created": "<time>"
            },
            {
              "org": "gamma",
              "enabled": true,
              "created": "<time>"
            }
          ]
        }
    "#]],
    );
    site.prints(
        "org show beta",
        &expect![[r#"
        exit 0
        out: beta  SCIM on  created <time>
        no keys
    "#]],
    );
    site.prints(
        "org disable beta",
        &expect![[r#"
        exit 0
        out: beta  SCIM off  created <time>
    "#]],
    );
    site.done("key create --org beta --scope scim");
    site.prints(
        "org show beta --output json",
        &expect![[r#"
        exit 0
        out: {
          "org": "beta",
          "enabled": false,
          "created": "<time>",
          "keys": [
            {
              "id": "<id>",
              "scopes": [
                "scim"
              ],
              "created": "<time>",
              "revoked": null
            }
          ]
        }
    "#]],
    );
    site.prints(
        "org enable beta",
        &expect![[r#"
        exit 0
        out: beta  SCIM on  created <time>
    "#]],
    );
}

#[test]
fn keys_are_printed_once_and_never_listed() {
    let site = Site::new("keys");
    site.done("org create beta");
    site.prints(
        "key list --org beta",
        &expect![[r#"
        exit 0
        out: no keys
    "#]],
    );
    site.prints(
        "key create --org beta --scope scim",
        &expect![[r#"
        exit 0
        out: <id>  scim  created <time>  active
        <key>
        This key is shown once and kept nowhere: store it now.
    "#]],
    );
    site.prints(
        "key create --org beta --scope read,write --output json",
        &expect![[r#"
        exit 0
        out: {
          "id": "<id>",
          "scopes": [
            "read",
            "write"
          ],
          "created": "<time>",
          "revoked": null,
          "org": "beta",
          "key": "<key>"
        }
    "#]],
    );
    let (key, _) = site.key("beta", "--scope read --scope scim");
    let secret = key.rsplit('_').next().expect("a secret");
    for line in [
        "key list --org beta",
        "key list --org beta --output json",
        "org show beta",
        "org show beta --output json",
    ] {
        let ended = site.scimctl(line);
        assert!(!ended.out.contains("scim_") && !ended.out.contains(secret), "{line}: {}", ended.out);
    }
    site.prints(
        "key list --org beta",
        &expect![[r#"
        exit 0
        out: <id>  scim  created <time>  active
        <id>  read,write  created <time>  active
        <id>  scim,read  created <time>  active
    "#]],
    );
    site.prints(
        "key list --org acme --output json",
        &expect![[r#"
        exit 0
        out: {
          "keys": [
            {
              "id": "<id>",
              "scopes": [
                "scim"
              ],
              "created": "<time>",
              "revoked": null
            }
          ]
        }
    "#]],
    );
}

#[test]
fn key_in_text_output_is_accepted() {
    let site = Site::new("text_key");
    let printed = site.scimctl("key create --org acme --scope scim").out;
    let key = printed.lines().find(|line| line.starts_with("scim_acme_")).expect("a line with the key alone");
    assert_eq!(site.may(key), (200, 201));
}

#[test]
fn new_key_has_its_scopes_immediately() {
    let site = Site::new("scopes");
    let statuses =
        ["--scope scim", "--scope read", "--scope write", "--scope read,write", "--scope read --scope write"]
            .map(|scopes| format!("{scopes}: {:?}", site.may(&site.key("acme", scopes).0)));
    expect![[r#"
        [
            "--scope scim: (200, 201)",
            "--scope read: (200, 403)",
            "--scope write: (403, 201)",
            "--scope read,write: (200, 201)",
            "--scope read --scope write: (200, 201)",
        ]
    "#]]
    .assert_debug_eq(&statuses);
}

#[test]
fn revoked_key_is_rejected_immediately() {
    let site = Site::new("revoke");
    let (key, id) = site.key("acme", "--scope scim");
    let (other, _) = site.key("acme", "--scope scim");
    assert_eq!(site.may(&key), (200, 201));
    site.prints(
        &format!("key revoke --org acme {id}"),
        &expect![[r#"
        exit 0
        out: revoked <id> of acme
    "#]],
    );
    assert_eq!(site.may(&key), (401, 401));
    assert_eq!(site.may(&other), (200, 201));
    assert_eq!(site.may(&site.gateway.token), (200, 201));
    // To do it again changes nothing.
    site.done(&format!("key revoke --org acme {id}"));
    let listed = site.scimctl("key list --org acme --output json").json();
    let revoked = |key: &&Value| !key["revoked"].is_null();
    assert_eq!(listed["keys"].as_array().map(|keys| keys.iter().filter(revoked).count()), Some(1));
    site.prints(
        &format!("key revoke --org acme {}", "0".repeat(16)),
        &expect![[r#"
        exit 1
        err: error: the organisation acme has no key <id>; `scimctl key list --org acme` shows them
    "#]],
    );
    // The key of one organisation is none of another.
    site.done("org create beta");
    site.prints(
        &format!("key revoke --org beta {id}"),
        &expect![[r#"
        exit 1
        err: error: the organisation beta has no key <id>; `scimctl key list --org beta` shows them
    "#]],
    );
}

#[test]
fn disabled_organisation_rejects_every_key() {
    let site = Site::new("disable");
    site.done("org create beta");
    let (beta, _) = site.key("beta", "--scope scim");
    site.done("org disable beta");
    assert_eq!(site.may(&beta), (403, 403));
    assert_eq!(site.may(&site.gateway.token), (200, 201));
    // A key may be made while the organisation is disabled; it may nothing yet.
    let (late, _) = site.key("beta", "--scope read");
    assert_eq!(site.may(&late), (403, 403));
    site.done("org enable beta");
    assert_eq!(site.may(&beta), (200, 201));
    assert_eq!(site.may(&late), (200, 403));
}

#[test]
fn failed_command_exits_with_1_and_a_reason() {
    let site = Site::new("errors");
    site.prints(
        "org create acme",
        &expect![[r#"
        exit 1
        err: error: the organisation acme is there already
    "#]],
    );
    site.prints("org show nobody", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("org disable nobody", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("org enable nobody --output json", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("key create --org nobody --scope scim", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("key list --org nobody", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("key revoke --org nobody 0123456789abcdef", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("doctor --org nobody", &expect![[r#"
        exit 1
        err: error: there is no organisation nobody; `scimctl org list` shows them, `scimctl org create nobody` makes it
    "#]]);
    site.prints("org list --data elsewhere", &expect![[r#"
        exit 1
        err: error: there is no local gateway in elsewhere and SCIM_PEPPER_SECRET_ID is not set; start the gateway or name its data directory with --data DIR, or set the variables of the stack on AWS (see --help)
    "#]]);
}

#[test]
fn invalid_command_line_exits_with_2() {
    let place = Place::new("usage");
    let usage = |line: &str, expected: &Expect| {
        let ended = place.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), &[]);
        expected.assert_eq(&ended.snapshot());
    };
    usage(
        "org create Beta",
        &expect![[r#"
        exit 2
        err: error: invalid value 'Beta' for '<ORG>': an organisation's name is 1 to 40 lower-case letters, digits and hyphens, with no hyphen at either end

        For more information, try '--help'.
    "#]],
    );
    usage(
        "key create --org acme",
        &expect![[r#"
        exit 2
        err: error: the following required arguments were not provided:
          --scope <SCOPES>

        Usage: scimctl key create --org <ORG> --scope <SCOPES>

        For more information, try '--help'.
    "#]],
    );
    usage(
        "key create --org acme --scope admin",
        &expect![[r#"
        exit 2
        err: error: invalid value 'admin' for '--scope <SCOPES>': a scope is one of scim, read, write

        For more information, try '--help'.
    "#]],
    );
    usage(
        "org rename acme",
        &expect![[r#"
        exit 2
        err: error: unrecognized subcommand 'rename'

          tip: some similar subcommands exist: 'create', 'enable'

        Usage: scimctl org [OPTIONS] <COMMAND>

        For more information, try '--help'.
    "#]],
    );
    usage(
        "org list --output yaml",
        &expect![[r#"
        exit 2
        err: error: invalid value 'yaml' for '--output <OUTPUT>'
          [possible values: text, json]

        For more information, try '--help'.
    "#]],
    );
    usage(
        "--version",
        &expect![[r#"
        exit 0
        out: scimctl 0.1.0
    "#]],
    );
}

#[test]
fn scimctl_finds_the_gateway_by_environment_or_directory() {
    let place = Place::new("found");
    let start = || Gateway::start_with(&place, &["--data", "data"], "data/connection.env");
    let list = |arguments: &[&str], endpoint: Option<&str>| {
        let environment: Vec<_> =
            endpoint.into_iter().map(|url| ("AWS_ENDPOINT_URL_DYNAMODB", url)).collect();
        hide(&place.run("scimctl", &[&["org", "list"], arguments].concat(), &environment).snapshot())
    };
    expect![[r#"
        exit 1
        err: error: there is no local gateway in data and SCIM_PEPPER_SECRET_ID is not set; start the gateway or name its data directory with --data DIR, or set the variables of the stack on AWS (see --help)
    "#]].assert_eq(&list(&["--data", "data"], None));
    let gateway = start();
    expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>
    "#]]
    .assert_eq(&list(&["--data", "data"], None));
    expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>
    "#]]
    .assert_eq(&list(&["--data", "data"], Some(&gateway.dynamodb)));
    expect![[r#"
        exit 1
        err: error: DynamoDB at <address> does not answer; is it there, and are region and credentials right?
    "#]]
    .assert_eq(&list(&["--data", "data"], Some("http://127.0.0.1:1")));
    expect![[r#"
        exit 1
        err: error: there is no local gateway in .scim and SCIM_PEPPER_SECRET_ID is not set; start the gateway or name its data directory with --data DIR, or set the variables of the stack on AWS (see --help)
    "#]].assert_eq(&list(&[], None));
    gateway.kill();
    expect![[r#"
        exit 1
        err: error: DynamoDB at <address> does not answer; is it there, and are region and credentials right?
    "#]]
    .assert_eq(&list(&["--data", "data"], None));
    let _gateway = start();
    expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>
    "#]]
    .assert_eq(&list(&["--data", "data"], None));
}

#[test]
fn scimctl_finds_the_gateway_without_its_connection_file() {
    let place = Place::new("env_file_elsewhere");
    let gateway = Gateway::start(&place);
    let ended = place.run("scimctl", &["org", "list", "--data", "data"], &[]);
    assert_eq!(ended.code, 0, "{}", ended.snapshot());
    drop(gateway);
}

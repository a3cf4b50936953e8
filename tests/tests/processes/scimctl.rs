//! `scimctl` on a running gateway.

use std::fs;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::program::{Client, Gateway, Output, TempDir};

/// A gateway whose data directory is the default of `scimctl`.
struct Setup {
    dir: TempDir,
    gateway: Gateway,
}

impl Setup {
    fn new(test: &str) -> Self {
        let dir = TempDir::new(test);
        let gateway = Gateway::start_with(&dir, &[], ".scim/connection.env");
        Self { dir, gateway }
    }

    /// Runs a command line, whose words are separated by spaces.
    fn scimctl(&self, line: &str) -> Output {
        self.dir.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), &[])
    }

    fn succeed(&self, line: &str) {
        let ended = self.scimctl(line);
        assert_eq!(ended.code, 0, "{line}: {}", ended.snapshot());
    }

    /// Creates a key of the organisation. Returns the key and its id.
    fn create_key(&self, org: &str, scopes: &str) -> (String, String) {
        let created = self.scimctl(&format!("key create --org {org} {scopes} --output json")).json();
        let field = |name: &str| created[name].as_str().unwrap_or_default().to_owned();
        (field("key"), field("id"))
    }

    /// Returns the statuses of a read and a write with this key.
    fn access(&self, key: &str) -> (u16, u16) {
        let client = Client::new(&self.gateway.base_url, key);
        (client.get("/Users").status, client.send("POST", "/Groups", &json!({ "displayName": key })).status)
    }

    /// Compares exit code and output of a command line, with times, keys and key ids hidden.
    fn assert_output(&self, line: &str, expected: &Expect) {
        expected.assert_eq(&hide(&self.scimctl(line).snapshot()));
    }
}

/// Replaces times, keys, key ids, the ends of keys and addresses by placeholders.
fn hide(text: &str) -> String {
    let text = &hide_last_four(&hide_last_four(text, "…"), "\"lastFour\": \"");
    let mut hidden = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/') {
            word.push(c);
            continue;
        }
        let hex = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let time = |text: &str| text.len() == 24 && text.starts_with("20") && text.ends_with('Z');
        // A full stop that ends a sentence is not part of the word.
        let (text, stop) = word.strip_suffix('.').map_or((word.as_str(), ""), |text| (text, "."));
        hidden.push_str(match text {
            id if hex(id) => "<id>",
            when if time(when) => "<time>",
            key if key.starts_with("scim_") => "<key>",
            address if address.starts_with("http://127.0.0.1:") => "<address>",
            other => other,
        });
        hidden.push_str(stop);
        word.clear();
        if c != '\0' {
            hidden.push(c);
        }
    }
    hidden
}

/// Replaces the four characters after each occurrence of the text.
fn hide_last_four(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + before + "<4>" + part.get(4..).unwrap_or_default())
}

#[test]
fn organisations_are_created_listed_shown_and_disabled() {
    let setup = Setup::new("orgs");
    setup.assert_output(
        "org create beta",
        &expect![[r#"
            exit 0
            out: beta  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
        "#]],
    );
    setup.assert_output(
        "org create gamma --output json",
        &expect![[r#"
            exit 0
            out: {
              "org": "gamma",
              "enabled": true,
              "created": "<time>",
              "settings": {
                "tokenMinutes": 60,
                "rate": 50,
                "burst": 200,
                "atOnce": 4
              }
            }
        "#]],
    );
    setup.assert_output(
        "org list",
        &expect![[r#"
            exit 0
            out: acme  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
            beta  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
            gamma  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
        "#]],
    );
    setup.assert_output(
        "org list --output json",
        &expect![[r#"
            exit 0
            out: {
              "organisations": [
                {
                  "org": "acme",
                  "enabled": true,
                  "created": "<time>",
                  "settings": {
                    "tokenMinutes": 60,
                    "rate": 50,
                    "burst": 200,
                    "atOnce": 4
                  }
                },
                {
                  "org": "beta",
                  "enabled": true,
                  "created": "<time>",
                  "settings": {
                    "tokenMinutes": 60,
                    "rate": 50,
                    "burst": 200,
                    "atOnce": 4
                  }
                },
                {
                  "org": "gamma",
                  "enabled": true,
                  "created": "<time>",
                  "settings": {
                    "tokenMinutes": 60,
                    "rate": 50,
                    "burst": 200,
                    "atOnce": 4
                  }
                }
              ]
            }
        "#]],
    );
    setup.assert_output(
        "org show beta",
        &expect![[r#"
            exit 0
            out: beta  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
            no keys
        "#]],
    );
    setup.assert_output(
        "org disable beta",
        &expect![[r#"
            exit 0
            out: beta  SCIM off  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
        "#]],
    );
    setup.succeed("key create --org beta --scope scim");
    setup.assert_output(
        "org show beta --output json",
        &expect![[r#"
            exit 0
            out: {
              "org": "beta",
              "enabled": false,
              "created": "<time>",
              "settings": {
                "tokenMinutes": 60,
                "rate": 50,
                "burst": 200,
                "atOnce": 4
              },
              "keys": [
                {
                  "id": "<id>",
                  "label": null,
                  "scopes": [
                    "scim"
                  ],
                  "created": "<time>",
                  "ends": null,
                  "revoked": null,
                  "prefix": "<key>",
                  "lastFour": "<4>",
                  "lastUsed": null,
                  "lastUsedBy": null,
                  "replaces": null
                }
              ]
            }
        "#]],
    );
    setup.assert_output(
        "org enable beta",
        &expect![[r#"
            exit 0
            out: beta  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
        "#]],
    );
}

#[test]
fn keys_are_printed_once_and_never_listed() {
    let setup = Setup::new("keys");
    setup.succeed("org create beta");
    setup.assert_output(
        "key list --org beta",
        &expect![[r#"
        exit 0
        out: no keys
    "#]],
    );
    setup.assert_output(
        "key create --org beta --scope scim",
        &expect![[r#"
            exit 0
            out: <id>  scim  created <time>  <key>…<4>  active
            <key>
            The key is shown only once and is not stored. Copy it now.
        "#]],
    );
    setup.assert_output(
        "key create --org beta --scope read,write --output json",
        &expect![[r#"
            exit 0
            out: {
              "id": "<id>",
              "label": null,
              "scopes": [
                "read",
                "write"
              ],
              "created": "<time>",
              "ends": null,
              "revoked": null,
              "prefix": "<key>",
              "lastFour": "<4>",
              "lastUsed": null,
              "lastUsedBy": null,
              "replaces": null,
              "org": "beta",
              "key": "<key>"
            }
        "#]],
    );
    let (key, _) = setup.create_key("beta", "--scope read --scope scim");
    let secret = key.rsplit('_').next().expect("a secret");
    for line in [
        "key list --org beta",
        "key list --org beta --output json",
        "org show beta",
        "org show beta --output json",
    ] {
        let ended = setup.scimctl(line);
        assert!(!ended.out.contains(&secret[..8]), "{line}: {}", ended.out);
    }
    setup.assert_output(
        "key list --org beta",
        &expect![[r#"
            exit 0
            out: <id>  scim  created <time>  <key>…<4>  active
            <id>  read,write  created <time>  <key>…<4>  active
            <id>  scim,read  created <time>  <key>…<4>  active
        "#]],
    );
    setup.assert_output(
        "key list --org acme --output json",
        &expect![[r#"
            exit 0
            out: {
              "keys": [
                {
                  "id": "<id>",
                  "label": null,
                  "scopes": [
                    "scim"
                  ],
                  "created": "<time>",
                  "ends": null,
                  "revoked": null,
                  "prefix": "<key>",
                  "lastFour": "<4>",
                  "lastUsed": null,
                  "lastUsedBy": null,
                  "replaces": null
                }
              ]
            }
        "#]],
    );
}

#[test]
fn key_in_text_output_is_accepted() {
    let setup = Setup::new("text_key");
    let printed = setup.scimctl("key create --org acme --scope scim").out;
    let key = printed.lines().find(|line| line.starts_with("scim_acme_")).expect("a line with the key alone");
    assert_eq!(setup.access(key), (200, 201));
}

#[test]
fn new_key_has_its_scopes_immediately() {
    let setup = Setup::new("scopes");
    let statuses =
        ["--scope scim", "--scope read", "--scope write", "--scope read,write", "--scope read --scope write"]
            .map(|scopes| format!("{scopes}: {:?}", setup.access(&setup.create_key("acme", scopes).0)));
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
    let setup = Setup::new("revoke");
    let (key, id) = setup.create_key("acme", "--scope scim");
    let (other, _) = setup.create_key("acme", "--scope scim");
    assert_eq!(setup.access(&key), (200, 201));
    setup.assert_output(
        &format!("key revoke --org acme {id}"),
        &expect![[r#"
        exit 0
        out: revoked <id> of acme
    "#]],
    );
    assert_eq!(setup.access(&key), (401, 401));
    assert_eq!(setup.access(&other), (200, 201));
    assert_eq!(setup.access(&setup.gateway.token), (200, 201));
    // A second revocation changes nothing.
    setup.succeed(&format!("key revoke --org acme {id}"));
    let listed = setup.scimctl("key list --org acme --output json").json();
    let revoked = |key: &&Value| !key["revoked"].is_null();
    assert_eq!(listed["keys"].as_array().map(|keys| keys.iter().filter(revoked).count()), Some(1));
    setup.assert_output(
        &format!("key revoke --org acme {}", "0".repeat(16)),
        &expect![[r#"
        exit 1
        err: error: the key <id> of the organisation acme does not exist. List the keys with `scimctl key list --org acme`.
    "#]],
    );
    // A key belongs to one organisation only.
    setup.succeed("org create beta");
    setup.assert_output(
        &format!("key revoke --org beta {id}"),
        &expect![[r#"
        exit 1
        err: error: the key <id> of the organisation beta does not exist. List the keys with `scimctl key list --org beta`.
    "#]],
    );
}

#[test]
fn disabled_organisation_rejects_every_key() {
    let setup = Setup::new("disable");
    setup.succeed("org create beta");
    let (beta, _) = setup.create_key("beta", "--scope scim");
    setup.succeed("org disable beta");
    assert_eq!(setup.access(&beta), (403, 403));
    assert_eq!(setup.access(&setup.gateway.token), (200, 201));
    // A disabled organisation can have new keys, but they are rejected too.
    let (late, _) = setup.create_key("beta", "--scope read");
    assert_eq!(setup.access(&late), (403, 403));
    setup.succeed("org enable beta");
    assert_eq!(setup.access(&beta), (200, 201));
    assert_eq!(setup.access(&late), (200, 403));
}

#[test]
fn failed_command_exits_with_1_and_a_reason() {
    let setup = Setup::new("errors");
    setup.assert_output(
        "org create acme",
        &expect![[r#"
        exit 1
        err: error: the organisation acme already exists. Show it with `scimctl org show acme`.
    "#]],
    );
    setup.assert_output("org show nobody", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("org disable nobody", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("org enable nobody --output json", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("key create --org nobody --scope scim", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("key list --org nobody", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("key revoke --org nobody 0123456789abcdef", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("doctor --org nobody", &expect![[r#"
        exit 1
        err: error: the organisation nobody does not exist. List all with `scimctl org list`, or create it with `scimctl org create nobody`.
    "#]]);
    setup.assert_output("org list --data elsewhere", &expect![[r#"
        exit 1
        err: error: there is no local gateway in elsewhere, and SCIM_PEPPER_SECRET_ID is not set. Start the gateway, name its data directory with --data DIR, or set the variables of the stack on AWS (see --help).
    "#]]);
}

#[test]
fn invalid_command_line_exits_with_2() {
    let dir = TempDir::new("usage");
    let assert_usage = |line: &str, expected: &Expect| {
        let ended = dir.run("scimctl", &line.split_whitespace().collect::<Vec<_>>(), &[]);
        expected.assert_eq(&ended.snapshot());
    };
    assert_usage(
        "org create Beta",
        &expect![[r#"
        exit 2
        err: error: invalid value 'Beta' for '<ORG>': the name of an organisation has 1 to 40 lower-case letters, digits and hyphens, and no hyphen at either end

        For more information, try '--help'.
    "#]],
    );
    assert_usage(
        "key create --org acme",
        &expect![[r#"
        exit 2
        err: error: the following required arguments were not provided:
          --scope <SCOPES>

        Usage: scimctl key create --org <ORG> --scope <SCOPES>

        For more information, try '--help'.
    "#]],
    );
    assert_usage(
        "key create --org acme --scope admin",
        &expect![[r#"
        exit 2
        err: error: invalid value 'admin' for '--scope <SCOPES>': a scope is one of scim, read, write

        For more information, try '--help'.
    "#]],
    );
    assert_usage(
        "org rename acme",
        &expect![[r#"
        exit 2
        err: error: unrecognized subcommand 'rename'

          tip: some similar subcommands exist: 'create', 'enable'

        Usage: scimctl org [OPTIONS] <COMMAND>

        For more information, try '--help'.
    "#]],
    );
    assert_usage(
        "org list --output yaml",
        &expect![[r#"
        exit 2
        err: error: invalid value 'yaml' for '--output <OUTPUT>'
          [possible values: text, json]

        For more information, try '--help'.
    "#]],
    );
    assert_usage(
        "--version",
        &expect![[r#"
        exit 0
        out: scimctl 0.2.0
    "#]],
    );
}

#[test]
fn scimctl_finds_the_gateway_by_environment_or_directory() {
    let dir = TempDir::new("found");
    let start = || Gateway::start_with(&dir, &["--data", "data"], "data/connection.env");
    let list = |arguments: &[&str], endpoint: Option<&str>| {
        let environment: Vec<_> =
            endpoint.into_iter().map(|url| ("AWS_ENDPOINT_URL_DYNAMODB", url)).collect();
        hide(&dir.run("scimctl", &[&["org", "list"], arguments].concat(), &environment).snapshot())
    };
    expect![[r#"
        exit 1
        err: error: there is no local gateway in data, and SCIM_PEPPER_SECRET_ID is not set. Start the gateway, name its data directory with --data DIR, or set the variables of the stack on AWS (see --help).
    "#]].assert_eq(&list(&["--data", "data"], None));
    let gateway = start();
    expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
    "#]]
    .assert_eq(&list(&["--data", "data"], None));
    expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
    "#]]
    .assert_eq(&list(&["--data", "data"], Some(&gateway.dynamodb)));
    expect![[r#"
        exit 1
        err: error: DynamoDB at <address> does not answer. Check the endpoint, the region and the network.
    "#]]
    .assert_eq(&list(&["--data", "data"], Some("http://127.0.0.1:1")));
    expect![[r#"
        exit 1
        err: error: there is no local gateway in .scim, and SCIM_PEPPER_SECRET_ID is not set. Start the gateway, name its data directory with --data DIR, or set the variables of the stack on AWS (see --help).
    "#]].assert_eq(&list(&[], None));
    gateway.kill();
    expect![[r#"
        exit 1
        err: error: DynamoDB at <address> does not answer. Check the endpoint, the region and the network.
    "#]]
    .assert_eq(&list(&["--data", "data"], None));
    let _gateway = start();
    expect![[r#"
        exit 0
        out: acme  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
    "#]]
    .assert_eq(&list(&["--data", "data"], None));
}

#[test]
fn scimctl_finds_the_gateway_without_its_connection_file() {
    let dir = TempDir::new("env_file_elsewhere");
    let gateway = Gateway::start(&dir);
    let ended = dir.run("scimctl", &["org", "list", "--data", "data"], &[]);
    assert_eq!(ended.code, 0, "{}", ended.snapshot());
    drop(gateway);
}

/// Profiles of the AWS CLI with each source of credentials, none of which needs a network.
const PROFILES: &str = "
[profile keys]
region = us-east-1
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = example

[profile program]
region = us-east-1
credential_process = /bin/cat credentials.json

[profile failing-program]
region = us-east-1
credential_process = false

[profile single-sign-on]
region = us-east-1
sso_session = company
sso_account_id = 123456789012
sso_role_name = operator

[sso-session company]
sso_region = us-east-1
sso_start_url = https://company.awsapps.com/start

[profile log-in]
region = us-east-1
login_session = arn:aws:iam::123456789012:user/ada

[profile no-region]
credential_process = /bin/cat credentials.json
";

#[test]
fn scimctl_finds_credentials_as_the_aws_cli_does() {
    let dir = TempDir::new("credentials");
    let gateway = Gateway::start(&dir);
    // The embedded DynamoDB accepts its own access key alone.
    let profiles = PROFILES.replace("AKIDEXAMPLE", &gateway.dynamodb_key);
    fs::write(dir.path("config"), profiles).expect("profiles");
    let credentials =
        json!({ "Version": 1, "AccessKeyId": gateway.dynamodb_key, "SecretAccessKey": "example" });
    fs::write(dir.path("credentials.json"), credentials.to_string()).expect("credentials");
    let (config, home) = (dir.path("config"), dir.path("home"));
    let list = |profile: &str, endpoint: &str| {
        let environment = [
            ("AWS_PROFILE", profile),
            ("AWS_CONFIG_FILE", config.to_str().expect("a path")),
            ("HOME", home.to_str().expect("a path")),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
            ("SCIM_PEPPER_SECRET_ID", "pepper"),
        ];
        let printed = dir.run("scimctl", &["org", "list"], &environment).snapshot();
        format!("{profile}: {}", hide(&printed.replace(home.to_str().expect("a path"), "HOME")))
    };
    // The gateway's DynamoDB stands in for the one of AWS.
    let profiles = ["keys", "program", "failing-program", "single-sign-on", "log-in", "no-region", "unknown"];
    let found: Vec<String> = profiles.map(|profile| list(profile, &gateway.dynamodb)).into();
    expect![[r#"
        keys: exit 0
        out: acme  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
        program: exit 0
        out: acme  SCIM on  created <time>  rate 50/s, burst 200, at once 4, tokens 60 min
        failing-program: exit 1
        err: error: there are no AWS credentials. Log in with `aws sso login` or `aws login`, or name another profile in AWS_PROFILE. `aws sts get-caller-identity` shows what the AWS CLI finds. The cause is: an error occurred while loading credentials: Error retrieving credentials: external process exited with code exit status: 1. Stderr:
        single-sign-on: exit 1
        err: error: there are no AWS credentials. Log in with `aws sso login` or `aws login`, or name another profile in AWS_PROFILE. `aws sts get-caller-identity` shows what the AWS CLI finds. The cause is: an error occurred while loading credentials: an error occurred while loading an access token: failed to load the cached SSO token
        log-in: exit 1
        err: error: there are no AWS credentials. Log in with `aws sso login` or `aws login`, or name another profile in AWS_PROFILE. `aws sts get-caller-identity` shows what the AWS CLI finds. The cause is: an error occurred while loading credentials: unexpected credentials error: failed to read `HOME/.aws/login/cache/397b11bbda6668a5a8d17d42c91036373f4a376627089c204bef61ce0ae993c2.json`: No such file or directory (os error 2)
        no-region: exit 1
        err: error: there is no AWS region. Set AWS_REGION, or name a region in the profile of the AWS CLI.
        unknown: exit 1
        err: error: there are no AWS credentials. Log in with `aws sso login` or `aws login`, or name another profile in AWS_PROFILE. `aws sts get-caller-identity` shows what the AWS CLI finds. The cause is: the credential provider was not enabled: no credentials found in chain. Attempted:
          Environment: the credential provider was not enabled: environment variable not set
          Profile: the credential provider was not enabled: profile `unknown` was not defined: could not find source profile unknown referenced from the root profile
          WebIdentityToken: the credential provider was not enabled: $AWS_WEB_IDENTITY_TOKEN_FILE was not set
          EcsContainer: the credential provider was not enabled: ECS provider not configured
          Ec2InstanceMetadata: the credential provider was not enabled: IMDS disabled by AWS_EC2_METADATA_DISABLED env var set to `true`
    "#]].assert_eq(&found.concat());
    // Credentials without an answer are not missing credentials.
    expect![[r#"
        program: exit 1
        err: error: DynamoDB at <address> does not answer. Check the endpoint, the region and the network.
    "#]]
    .assert_eq(&list("program", "http://127.0.0.1:1"));
}

//! Attacks on the token endpoint with assertions. Each row of the table is one attack, and `attacks.txt` has the answer to
//! each. An attack that gets a token is a defect, unless the row says that it is none.

use std::fmt::Write;

use expect_test::expect_file;
use ring::signature::{KeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};
use service::auth::Scope;
use tests::issuer::{AUDIENCE, EC, Issuer, RSA, SUBJECT, SigningKey, TENANT, base64url, token as sign};

use crate::world::{World, verdict, violations};

/// An attack: its name, and the assertion that it presents.
type Attack = (String, String);

/// The rows that get a token, and are no attack.
const VALID: [&str; 9] = [
    "valid: RS256",
    "valid: PS256",
    "valid: ES256",
    "valid: the same assertion again, before it ends",
    "valid: aud is a list of the registered audience alone",
    "valid: exp has a fraction",
    "valid: exp 59 s ago",
    "valid: nbf in 60 s",
    "valid: without nbf, iat and jti",
];

struct Forge<'a> {
    issuer: &'a Issuer,
    foreign: SigningKey,
    foreign_ec: SigningKey,
    attacks: Vec<Attack>,
}

impl Forge<'_> {
    fn add(&mut self, name: impl Into<String>, assertion: impl Into<String>) {
        self.attacks.push((name.into(), assertion.into()));
    }

    /// Adds an assertion with this header, signed by the RSA key of the issuer.
    fn header(&mut self, name: &str, header: &Value) {
        let claims = self.issuer.claims().to_string();
        let assertion = sign(&header.to_string(), &claims, &self.issuer.rsa);
        self.add(name, assertion);
    }

    /// Adds an assertion whose claims are changed.
    fn claims(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Value)) {
        let mut claims = self.issuer.claims();
        change(&mut claims);
        self.add(name, self.issuer.assertion("RS256", RSA, &claims));
    }

    /// Adds an assertion with one other claim.
    fn claim(&mut self, name: impl Into<String>, claim: &str, value: impl Into<Value>) {
        let value = value.into();
        self.claims(name, |claims| claims[claim] = value);
    }

    /// Adds an assertion without a claim.
    fn without(&mut self, claim: &str) {
        self.claims(format!("without {claim}"), |claims| {
            claims.as_object_mut().unwrap().shift_remove(claim);
        });
    }

    fn valid(&mut self) {
        for (algorithm, kid) in [("RS256", RSA), ("PS256", RSA), ("ES256", EC)] {
            let assertion = self.issuer.assertion(algorithm, kid, &self.issuer.claims());
            self.add(format!("valid: {algorithm}"), assertion);
        }
        let again = self.attacks[0].1.clone();
        self.add("valid: the same assertion again, before it ends", again);
        let now = self.issuer.now().unix_timestamp();
        self.claim("valid: aud is a list of the registered audience alone", "aud", json!([AUDIENCE]));
        self.claim("valid: exp has a fraction", "exp", json!(f64::from(u32::try_from(now).unwrap()) + 60.5));
        self.claim("valid: exp 59 s ago", "exp", now - 59);
        self.claim("valid: nbf in 60 s", "nbf", now + 60);
        self.claims("valid: without nbf, iat and jti", |claims| {
            for claim in ["nbf", "iat", "jti"] {
                claims.as_object_mut().unwrap().shift_remove(claim);
            }
        });
    }

    fn algorithms(&mut self) {
        let claims = self.issuer.claims().to_string();
        for name in ["none", "None", "NONE", "nOnE", ""] {
            let header = json!({ "alg": name, "typ": "JWT", "kid": RSA }).to_string();
            let unsigned = format!("{}.{}.", base64url(header.as_bytes()), base64url(claims.as_bytes()));
            self.add(format!("alg '{name}' without a signature"), unsigned);
        }
        self.header("alg none with a valid RSA signature", &json!({ "alg": "none", "kid": RSA }));
        self.header("without alg", &json!({ "kid": RSA }));
        self.header("alg is a list", &json!({ "alg": ["RS256"], "kid": RSA }));
        for other in
            ["RS384", "RS512", "PS384", "PS512", "ES384", "EdDSA", "HS256", "HS384", "HS512", "rs256", "RS1"]
        {
            self.header(
                &format!("alg {other} with an RS256 signature"),
                &json!({ "alg": other, "kid": RSA }),
            );
        }

        let SigningKey::Rsa(rsa) = &*self.issuer.rsa else { panic!("an RSA key") };
        let modulus = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public()).n;
        let key_set = self.issuer.key_set().to_string();
        for (what, secret) in [
            ("modulus", modulus),
            ("public key as DER", rsa.public_key().as_ref().to_vec()),
            ("public key as JSON", self.issuer.rsa.jwk(RSA).to_string().into_bytes()),
            ("key set", key_set.into_bytes()),
            ("empty text", Vec::new()),
        ] {
            for algorithm in ["HS256", "RS256"] {
                let header = json!({ "alg": algorithm, "kid": RSA }).to_string();
                let assertion = sign(&header, &claims, &SigningKey::Secret(secret.clone()));
                self.add(format!("alg {algorithm}, HMAC with the {what}"), assertion);
            }
        }

        let issuer = self.issuer;
        for (name, algorithm, kid, key) in [
            ("ES256 for the RSA key, signed with ES256", "ES256", RSA, &issuer.ec),
            ("ES256 for the RSA key, signed with RS256", "ES256", RSA, &issuer.rsa),
            ("RS256 for the P-256 key, signed with RS256", "RS256", EC, &issuer.rsa),
            ("RS256 for the P-256 key, signed with ES256", "RS256", EC, &issuer.ec),
            ("ES256 by the P-256 key, without its kid", "ES256", "", &issuer.ec),
        ] {
            let header = json!({ "alg": algorithm, "kid": kid }).to_string();
            self.add(name, sign(&header, &claims, key));
        }
        for [named, used] in [["RS256", "PS256"], ["PS256", "RS256"]] {
            let header = json!({ "alg": named, "kid": RSA }).to_string();
            let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
            let signature = issuer.rsa.sign(used, message.as_bytes());
            self.add(
                format!("alg {named} with a {used} signature"),
                format!("{message}.{}", base64url(&signature)),
            );
        }
    }

    fn signatures(&mut self) {
        let valid = self.issuer.assertion("ES256", EC, &self.issuer.claims());
        let [header, claims, signature] = valid.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let message = format!("{header}.{claims}");
        for (name, bytes) in [
            ("zero ES256 signature", vec![0; 64]),
            ("empty signature", Vec::new()),
            ("short ES256 signature", vec![1; 63]),
            ("long ES256 signature", vec![1; 65]),
            ("ES256 signature as DER", {
                let mut der = vec![0x30, 0x44, 0x02, 0x20];
                der.extend([1; 32]);
                der.extend([0x02, 0x20]);
                der.extend([1; 32]);
                der
            }),
        ] {
            self.add(name, format!("{message}.{}", base64url(&bytes)));
        }
        let other =
            base64url(self.issuer.claims().to_string().replace(SUBJECT, "another-subject").as_bytes());
        self.add("claims changed after the signature", format!("{header}.{other}.{signature}"));
        let renamed = base64url(json!({ "alg": "ES256", "kid": EC, "typ": "at+jwt" }).to_string().as_bytes());
        self.add("header changed after the signature", format!("{renamed}.{claims}.{signature}"));
        self.add("two parts", message.clone());
        self.add("four parts", format!("{valid}.{signature}"));
        self.add(
            "five parts, as an encrypted token",
            format!("{header}.{claims}.{claims}.{claims}.{signature}"),
        );
        self.add("one part", header);
        self.add("no part", "..");
        self.add("padding", format!("{valid}=="));
        self.add("a blank at the end", format!("{valid} "));
        self.add("a line break in the signature", valid.replace(signature, &format!("\n{signature}")));
        self.add(
            "standard alphabet of Base64",
            format!("{message}.{}", signature.replace('-', "+").replace('_', "/") + "+/"),
        );
        // 64 bytes take 86 characters, of which the last one has four unused bits.
        let last = signature.chars().last().unwrap();
        let changed = char::from(u8::try_from(last).unwrap() + 1);
        self.add(
            "unused bits of Base64",
            format!("{message}.{}{changed}", &signature[..signature.len() - 1]),
        );
        self.add("twice in one text", format!("{valid},{valid}"));
        self.add("not ASCII", format!("{valid}\u{e9}"));
        self.add("a NUL character", format!("{valid}\0"));
        self.add("an API key", "scim_acme_0000000000000000000000000000000000000000000000000");

        let claims = self.issuer.claims().to_string();
        let header = |kid: &str| json!({ "alg": "RS256", "kid": kid }).to_string();
        self.add("signed by another RSA key", sign(&header(RSA), &claims, &self.foreign));
        let header = json!({ "alg": "ES256", "kid": EC }).to_string();
        self.add("signed by another P-256 key", sign(&header, &claims, &self.foreign_ec));
        let padded = format!("{}{}", " ".repeat(16 * 1024), self.issuer.claims());
        self.add("longer than 16 KB", sign(&header, &padded, &self.issuer.ec));
    }

    fn headers(&mut self) {
        let attacker = self.foreign.jwk("evil");
        let claims = self.issuer.claims().to_string();
        for (name, header) in [
            ("jwk with the key of the attacker", json!({ "alg": "RS256", "jwk": attacker, "kid": RSA })),
            ("jwk alone", json!({ "alg": "RS256", "jwk": attacker })),
            (
                "jku of the attacker",
                json!({ "alg": "RS256", "kid": "evil", "jku": "http://127.0.0.1:1/keys" }),
            ),
            ("x5u of the attacker", json!({ "alg": "RS256", "kid": RSA, "x5u": "http://127.0.0.1:1/cert" })),
            ("x5c of the attacker", json!({ "alg": "RS256", "kid": RSA, "x5c": ["AAAA"] })),
            ("kid of the attacker", json!({ "alg": "RS256", "kid": "evil" })),
        ] {
            let assertion = sign(&header.to_string(), &claims, &self.foreign);
            self.add(name, assertion);
        }
        let long = "k".repeat(10_000);
        for (name, kid) in [
            ("kid is a path", json!("../../../dev/null")),
            ("kid is a URL", json!("http://127.0.0.1:1/keys")),
            ("kid is a query", json!("rsa-1' OR '1'='1")),
            ("kid with a NUL character", json!("rsa-1\u{0}")),
            ("kid in another case", json!("RSA-1")),
            ("kid of 10,000 characters", json!(long)),
            ("kid is empty", json!("")),
            ("kid is a number", json!(1)),
            ("kid is a list", json!(["rsa-1"])),
        ] {
            self.header(name, &json!({ "alg": "RS256", "kid": kid }));
        }
        self.header("without kid", &json!({ "alg": "RS256" }));
        self.header("crit with b64", &json!({ "alg": "RS256", "kid": RSA, "crit": ["b64"], "b64": false }));
        self.header("crit with exp", &json!({ "alg": "RS256", "kid": RSA, "crit": ["exp"], "exp": 1 }));
        self.header("crit is empty", &json!({ "alg": "RS256", "kid": RSA, "crit": [] }));
        self.header("header is a list", &json!(["RS256"]));
        let rsa = &self.issuer.rsa;
        for (name, header) in [
            ("alg twice, none first", r#"{"alg":"none","alg":"RS256","kid":"rsa-1"}"#),
            ("alg twice, none last", r#"{"alg":"RS256","alg":"none","kid":"rsa-1"}"#),
            ("kid twice", r#"{"alg":"RS256","kid":"evil","kid":"rsa-1"}"#),
            ("header is not JSON", "alg=RS256"),
        ] {
            let assertion = sign(header, &claims, rsa);
            self.attacks.push((name.to_owned(), assertion));
        }
    }

    fn swapped(&mut self) {
        let url = self.issuer.url.clone();
        for (name, value) in [
            ("iss of another issuer", json!("https://login.microsoftonline.com/other/v2.0")),
            ("iss with a slash at the end", json!(format!("{url}/"))),
            ("iss with a prefix", json!(format!("{url}.evil.example"))),
            ("iss in capitals", json!(url.to_uppercase())),
            ("iss is a list", json!([url])),
            ("iss is null", Value::Null),
        ] {
            self.claim(name, "iss", value);
        }
        for (name, value) in [
            ("aud of another service", json!("api://another.example")),
            ("aud is a list with another service", json!([AUDIENCE, "api://another.example"])),
            ("aud is a list of another service", json!(["api://another.example"])),
            ("aud is an empty list", json!([])),
            ("aud twice in a list", json!([AUDIENCE, AUDIENCE])),
            ("aud with a path", json!(format!("{AUDIENCE}/.default"))),
            ("aud is a number", json!(1)),
            ("aud is an object", json!({ "aud": AUDIENCE })),
        ] {
            self.claim(name, "aud", value);
        }
        for (name, value) in [
            ("sub of another application", json!("another-subject")),
            ("sub in capitals", json!(SUBJECT.to_uppercase())),
            ("sub with a blank", json!(format!("{SUBJECT} "))),
            ("sub is a list", json!([SUBJECT])),
            ("sub is empty", json!("")),
        ] {
            self.claim(name, "sub", value);
        }
        for (name, value) in [
            ("tid of another tenant", json!("another-tenant")),
            ("tid is a list", json!([TENANT])),
            ("tid is null", Value::Null),
        ] {
            self.claim(name, "tid", value);
        }
        self.claim("azp of another application", "azp", "another-application");
        for claim in ["iss", "aud", "sub", "tid", "azp", "exp"] {
            self.without(claim);
        }
        let claims = self.issuer.claims().to_string();
        let header = json!({ "alg": "RS256", "kid": RSA }).to_string();
        for (claim, value) in [("sub", r#""evil""#), ("iss", r#""evil""#), ("aud", r#""evil""#), ("exp", "1")]
        {
            for (place, doubled) in [
                ("first", claims.replacen('{', &format!("{{\"{claim}\":{value},"), 1)),
                ("last", format!("{},\"{claim}\":{value}}}", &claims[..claims.len() - 1])),
            ] {
                let assertion = sign(&header, &doubled, &self.issuer.rsa);
                self.add(format!("{claim} twice, the other one {place}"), assertion);
            }
        }
        for (name, text) in [
            ("claims are a list", "[]"),
            ("claims are empty", ""),
            ("claims are not JSON", "sub=evil"),
            ("claims are null", "null"),
        ] {
            self.add(name, sign(&header, text, &self.issuer.rsa));
        }
        self.add("claims are deep", sign(&header, &"[".repeat(5_000), &self.issuer.rsa));
    }

    fn times(&mut self) {
        let now = self.issuer.now().unix_timestamp();
        for (name, value) in [
            ("exp 60 s ago", json!(now - 60)),
            ("exp a day ago", json!(now - 86_400)),
            ("exp is 0", json!(0)),
            ("exp is negative", json!(-1)),
            ("exp in 26 hours", json!(now + 26 * 3_600)),
            ("exp in 100 years", json!(now + 3_155_760_000_i64)),
            ("exp is huge", json!(1e300)),
            ("exp is the largest integer", json!(u64::MAX)),
            ("exp in milliseconds", json!(now * 1_000)),
            ("exp is a text", json!((now + 60).to_string())),
            ("exp is a list", json!([now + 60])),
            ("exp is true", json!(true)),
            ("exp is null", Value::Null),
        ] {
            self.claim(name, "exp", value);
        }
        for (name, value) in [
            ("nbf in 62 s", json!(now + 62)),
            ("nbf is huge", json!(1e300)),
            ("nbf is a text", json!(now.to_string())),
        ] {
            self.claim(name, "nbf", value);
        }
        self.claim("iat in 62 s", "iat", now + 62);
    }
}

#[tokio::test]
async fn forged_assertion_gets_no_token() {
    let world = World::new().await;
    let (foreign, foreign_ec) = (SigningKey::foreign_rsa(), SigningKey::ec());
    let mut forge = Forge { issuer: &world.issuer, foreign, foreign_ec, attacks: Vec::new() };
    forge.valid();
    forge.algorithms();
    forge.signatures();
    forge.headers();
    forge.swapped();
    forge.times();
    assert!(forge.attacks.len() - VALID.len() >= 40);

    let mut table = String::new();
    for (name, assertion) in forge.attacks {
        let answer = world.by_assertion(&world.federated, &assertion).await;
        let violations = violations(&answer);
        assert!(violations.is_empty(), "{name}: {violations:?} {:#}", answer.body);
        assert_eq!(answer.status == 200, VALID.contains(&name.as_str()), "{name}: {:#}", answer.body);
        let cause = answer.body["error_description"].as_str().unwrap_or_default();
        let cause = cause.split_once(". ").map_or(cause, |(cause, _)| cause);
        writeln!(table, "{name} | {} | {cause}", verdict(&answer)).unwrap();
    }
    expect_file!["attacks.txt"].assert_eq(&table);
    assert!(world.issuer.requests() <= 2, "an assertion made the service read keys again and again");
}

#[tokio::test]
async fn assertion_is_refused_after_it_has_ended() {
    let world = World::new().await;
    let assertion = world.assertion();
    assert_eq!(world.by_assertion(&world.federated, &assertion).await.status, 200);
    world.advance(3_600 + 59);
    assert_eq!(world.by_assertion(&world.federated, &assertion).await.status, 200, "the leeway is 60 s");
    world.advance(1);
    let refused = world.by_assertion(&world.federated, &assertion).await;
    assert_eq!(verdict(&refused), "401 invalid_client");
    assert!(refused.body["error_description"].as_str().unwrap().contains("expired"), "{}", refused.body);
}

#[tokio::test]
async fn assertion_proves_no_other_client() {
    let world = World::new().await;
    let other = Issuer::start(0, world.service.app.store.clock().clone()).await;
    let of_other = world.trusting(service::trust::Trust { issuer: other.url.clone(), ..world.trust() }).await;
    let assertion = world.assertion();
    let refused = world.by_assertion(&of_other, &assertion).await;
    assert_eq!(verdict(&refused), "401 invalid_client", "the other issuer does not have the key");
    assert_eq!(verdict(&world.by_assertion(&world.client, &assertion).await), "400 unauthorized_client");
    let (beta, _) = world.with_secret("beta", &[Scope::Scim]).await;
    assert_eq!(verdict(&world.by_assertion(&beta, &assertion).await), "400 unauthorized_client");
    for unknown in
        ["acme.0000000000000000", "nobody.0000000000000000", "acme", "", "acme.0000000000000000#", "*"]
    {
        let refused = world.by_assertion(unknown, &assertion).await;
        assert!(refused.status >= 400, "{unknown}");
    }
    // The right client is still right.
    assert_eq!(world.by_assertion(&world.federated, &assertion).await.status, 200);
}

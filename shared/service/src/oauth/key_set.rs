//! A JSON Web Key Set (RFC 7517): the keys of an issuer by `kid`, each with the algorithms that its type permits.

use std::collections::{HashMap, HashSet};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use scim::json;
use serde_json::Value;

/// A public key of an issuer.
#[derive(Clone)]
pub(super) struct IssuerKey {
    pub(super) key: DecodingKey,
    algorithms: &'static [Algorithm],
}

impl IssuerKey {
    /// Returns whether the type of the key permits the algorithm, and its `alg`, if it has one.
    pub(super) fn permits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Reads a key for signatures of a supported type. Private and symmetric keys, and keys for encryption, are left out.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let algorithms: &[Algorithm] = match (&jwk.algorithm, common.key_algorithm) {
            (AlgorithmParameters::RSA(_), None) => &[Algorithm::RS256, Algorithm::PS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => &[Algorithm::RS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => &[Algorithm::PS256],
            (AlgorithmParameters::EllipticCurve(key), None | Some(KeyAlgorithm::ES256))
                if key.curve == EllipticCurve::P256 =>
            {
                &[Algorithm::ES256]
            }
            _ => return None,
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        signs.then_some(Self { key, algorithms })
    }
}

/// The keys of an issuer. A `kid` of several keys names none of them, because the choice would be the sender's.
pub(super) fn parse(document: &[u8]) -> Option<HashMap<String, IssuerKey>> {
    let document = json::parse(document).ok()?;
    let mut keys = HashMap::new();
    let mut seen = HashSet::new();
    for entry in document.get("keys").and_then(Value::as_array)? {
        let Some(kid) = entry.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty()) else {
            continue;
        };
        if !seen.insert(kid.to_owned()) {
            keys.remove(kid);
            continue;
        }
        let jwk = serde_json::from_value(entry.clone()).ok();
        if let Some(key) = jwk.as_ref().and_then(IssuerKey::from_jwk) {
            keys.insert(kid.to_owned(), key);
        }
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(keys: &Value) -> HashMap<String, IssuerKey> {
        parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a key set")
    }

    fn rsa(more: &Value) -> Value {
        let mut key = json!({ "kty": "RSA", "kid": "k", "n": "sXch", "e": "AQAB" });
        key.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        key
    }

    fn ec(curve: &str) -> Value {
        json!({ "kty": "EC", "kid": "k", "crv": curve, "x": "AAAA", "y": "AAAA" })
    }

    #[test]
    fn type_of_a_key_decides_its_algorithms() {
        use Algorithm::{ES256, HS256, PS256, RS256, RS512};
        let all = [RS256, PS256, ES256, HS256, RS512];
        let permitted = |key: &Value| {
            let keys = parsed(&json!([key]));
            all.into_iter().filter(|algorithm| keys["k"].permits(*algorithm)).collect::<Vec<_>>()
        };
        assert_eq!(permitted(&rsa(&json!({}))), [RS256, PS256]);
        assert_eq!(permitted(&rsa(&json!({ "alg": "RS256", "use": "sig" }))), [RS256]);
        assert_eq!(permitted(&rsa(&json!({ "alg": "PS256", "key_ops": ["verify"] }))), [PS256]);
        assert_eq!(permitted(&ec("P-256")), [ES256]);
    }

    #[test]
    fn keys_that_verify_no_assertion_are_left_out() {
        for key in [
            rsa(&json!({ "use": "enc" })),
            rsa(&json!({ "key_ops": ["encrypt"] })),
            rsa(&json!({ "alg": "RS512" })),
            rsa(&json!({ "alg": "HS256" })),
            rsa(&json!({ "kid": "" })),
            rsa(&json!({ "kid": 1 })),
            rsa(&json!({ "n": "+/" })),
            ec("P-384"),
            ec("secp256k1"),
            json!({ "kty": "oct", "kid": "k", "k": "AAAA" }),
            json!({ "kty": "OKP", "kid": "k", "crv": "Ed25519", "x": "AAAA" }),
            json!({ "kty": "RSA", "n": "sXch", "e": "AQAB" }),
            json!("k"),
        ] {
            assert!(parsed(&json!([key])).is_empty(), "{key}");
        }
    }

    #[test]
    fn kid_of_two_keys_names_neither() {
        let other = rsa(&json!({ "kid": "other" }));
        let keys = parsed(&json!([rsa(&json!({})), other, ec("P-256"), rsa(&json!({}))]));
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn text_that_is_no_key_set_is_refused() {
        for text in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}

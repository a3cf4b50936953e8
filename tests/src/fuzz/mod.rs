//! What holds for any bytes whatever. A target reads bytes as its input and fails by panicking; `tests/fuzz` has
//! libFuzzer look for bytes that make it, `tests/tests/fuzz.rs` replays those that once did.
//!
//! Input is text in lines, so that a mutation of an input is mostly an input: [`seeds`] makes the first ones of the
//! recorded exchanges.

mod filter;
mod http;
mod patch;
mod path;
mod seeds;

use scim::{Invalid, ResourceType, ScimType, json, resource::Document};
use serde_json::{Map, Value};

pub use seeds::seeds;

/// A name and what is tried under it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, with the name of its binary in `tests/fuzz`.
pub const TARGETS: [Target; 4] =
    [("filter", filter::run), ("path", path::run), ("patch", patch::run), ("http", http::run)];

/// Tries the input on the target of that name.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    target(input);
}

/// A user with something of everything, where the input brings no document.
const A_USER: &str = r#"{"userName":"Ada@example.com","externalId":"e-1","active":true,"title":"Straße","name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"value":"ada@example.com","type":"work","primary":true},{"value":"ada@home.example","type":"home"}],"roles":[{"value":"r","display":"R","type":"t"}],"x509Certificates":[{"value":"TUlJRA=="}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d","manager":{"value":"m","displayName":"M"}},"urn:ietf:params:scim:schemas:extension:Acme:2.0:User":{"tag":"Blue","level":7.5,"list":["a",{"b":null}]}}"#;

/// The first line, and what follows it.
fn first_line(input: &str) -> (&str, &str) {
    input.split_once('\n').unwrap_or((input, ""))
}

fn object(text: &str) -> Option<Map<String, Value>> {
    match json::parse(text.as_bytes()) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) => None,
        Err(invalid) => {
            refused(&invalid, &[ScimType::InvalidSyntax]);
            None
        }
    }
}

/// The document of that type in the text, or another that is valid.
fn document(resource_type: &'static ResourceType, text: &str) -> Document {
    let read = |text: &str| Document::from_request(resource_type, &Value::Object(object(text)?)).ok();
    read(text)
        .or_else(|| read(A_USER))
        .or_else(|| read(r#"{"displayName":"Staff"}"#))
        .expect("one of them is of the type")
}

/// A refusal is one of these kinds and says something.
fn refused(invalid: &Invalid, kinds: &[ScimType]) {
    assert!(kinds.contains(&invalid.scim_type), "{:?}: {}", invalid.scim_type, invalid.detail);
    assert!(!invalid.detail.is_empty());
}

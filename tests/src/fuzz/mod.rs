//! Properties that are true for any input. A fuzz target parses bytes and fails by panicking. `tests/examples/fuzz.rs`
//! searches for failing inputs with libFuzzer, and `tests/tests/fuzz.rs` repeats the inputs that once failed.
//!
//! An input is lines of text, so that most mutations of an input are valid inputs. [`seeds`] makes the first inputs from the
//! recorded exchanges.

mod filter;
mod http;
mod patch;
mod path;
mod seeds;

use scim::{Invalid, ResourceType, ScimType, json, resource::Document};
use serde_json::{Map, Value};

pub use seeds::seeds;

/// A name and a function that runs an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, with the names by which [`run`] finds them.
pub const TARGETS: [Target; 4] =
    [("filter", filter::run), ("path", path::run), ("patch", patch::run), ("http", http::run)];

/// Runs an input on the target of that name.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    target(input);
}

/// A user with attributes of all types, for inputs without a document.
const A_USER: &str = r#"{"userName":"Ada@example.com","externalId":"e-1","active":true,"title":"Straße","name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"value":"ada@example.com","type":"work","primary":true},{"value":"ada@home.example","type":"home"}],"roles":[{"value":"r","display":"R","type":"t"}],"x509Certificates":[{"value":"TUlJRA=="}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d","manager":{"value":"m","displayName":"M"}},"urn:ietf:params:scim:schemas:extension:Acme:2.0:User":{"tag":"Blue","level":7.5,"list":["a",{"b":null}]}}"#;

/// Splits the input after its first line.
fn first_line(input: &str) -> (&str, &str) {
    input.split_once('\n').unwrap_or((input, ""))
}

fn object(text: &str) -> Option<Map<String, Value>> {
    match json::parse(text.as_bytes()) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) => None,
        Err(invalid) => {
            assert_error(&invalid, &[ScimType::InvalidSyntax]);
            None
        }
    }
}

/// Returns the document in the text, or another valid one of that type.
fn document(resource_type: &'static ResourceType, text: &str) -> Document {
    let read = |text: &str| Document::from_request(resource_type, &Value::Object(object(text)?)).ok();
    read(text)
        .or_else(|| read(A_USER))
        .or_else(|| read(r#"{"displayName":"Staff"}"#))
        .expect("a document of the type")
}

/// Fails unless an error has one of these types and a detail.
fn assert_error(invalid: &Invalid, kinds: &[ScimType]) {
    assert!(kinds.contains(&invalid.scim_type), "{:?}: {}", invalid.scim_type, invalid.detail);
    assert!(!invalid.detail.is_empty());
}

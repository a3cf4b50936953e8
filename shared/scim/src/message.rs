//! The messages of RFC 7644: `ListResponse` (§3.4.2), `Error` (§3.12), and the URNs of the others.
//!
//! Request messages have no types here. Each endpoint reads its request from the parsed JSON value.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::error::{Invalid, ScimType};
use crate::schema::{RESOURCE_TYPES, ResourceType};
use crate::value::get_ignore_case;

/// URN of the response to a query (RFC 7644 §3.4.2).
pub const LIST_RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of a `/.search` request (RFC 7644 §3.4.3).
pub const SEARCH_REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// URN of a PATCH request (RFC 7644 §3.5.2).
pub const PATCH_OP_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// URN of a bulk request (RFC 7644 §3.7).
pub const BULK_REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// URN of a bulk response (RFC 7644 §3.7).
pub const BULK_RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// URN of an error (RFC 7644 §3.12).
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Every URN of a message.
const MESSAGE_URNS: [&str; 6] =
    [LIST_RESPONSE_URN, SEARCH_REQUEST_URN, PATCH_OP_URN, BULK_REQUEST_URN, BULK_RESPONSE_URN, ERROR_URN];

/// The operation of a PATCH request (RFC 7644 §3.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

/// The error for a text that is not an [`Op`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a PATCH operation")]
pub(crate) struct UnknownOp;

impl FromStr for Op {
    type Err = UnknownOp;

    /// Reads an operation as RFC 7644 spells it.
    fn from_str(text: &str) -> Result<Self, UnknownOp> {
        match text {
            "add" => Ok(Self::Add),
            "replace" => Ok(Self::Replace),
            "remove" => Ok(Self::Remove),
            _ => Err(UnknownOp),
        }
    }
}

/// Checks the `schemas` of a request message. They may be absent, null or empty, which some clients send
/// (`tests/fixtures/other/patch-with-empty-schemas.json`). Otherwise one of these URNs must be among them.
///
/// # Errors
/// `invalidSyntax` for any other value. The body is then another message.
pub fn check_schemas(message: &Map<String, Value>, urns: &[&str]) -> Result<(), Invalid> {
    let is_expected = |listed: &Value| {
        listed.as_str().is_some_and(|listed| urns.iter().any(|urn| urn.eq_ignore_ascii_case(listed)))
    };
    match get_ignore_case(message, "schemas") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(listed)) if listed.is_empty() || listed.iter().any(is_expected) => Ok(()),
        Some(_) => {
            let urn = urns.first().unwrap_or(&"");
            Err(Invalid::syntax(format!("The \"schemas\" must be a list with \"{urn}\".")))
        }
    }
}

/// Returns whether the `schemas` of a resource name a message or the core schema of another resource type, and not the
/// core schema of this one. Any other URN has no effect.
#[must_use]
pub fn are_of_another_type(resource_type: &ResourceType, schemas: &[Value]) -> bool {
    let names =
        |urn: &str| schemas.iter().filter_map(Value::as_str).any(|listed| listed.eq_ignore_ascii_case(urn));
    let names_message = MESSAGE_URNS.into_iter().any(names);
    let names_type = RESOURCE_TYPES.iter().any(|other| names(other.schema.id));
    !names(resource_type.schema.id) && (names_message || names_type)
}

/// Returns an error message. `status` is a string, because §3.12 shows a string and Okta's test suite expects one.
#[must_use]
pub fn error_body(status: u16, scim_type: Option<ScimType>, detail: &str) -> Value {
    let mut body = Map::new();
    body.insert("schemas".into(), json!([ERROR_URN]));
    body.insert("status".into(), status.to_string().into());
    if let Some(scim_type) = scim_type {
        body.insert("scimType".into(), scim_type.as_str().into());
    }
    body.insert("detail".into(), detail.into());
    body.into()
}

/// Returns the response to a query with index paging, without its resources.
///
/// `count` is the number of resources on the page, and `total` that of all matches. `Resources` is present even if it is
/// empty, because Okta and Microsoft Entra read it without checking. It is the last member, so that the resources can be
/// inserted into the text of the response.
#[must_use]
pub fn list_response(total: u64, start_index: u64, count: usize) -> Value {
    json!({
        "schemas": [LIST_RESPONSE_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": count,
        "Resources": [],
    })
}

/// Returns the response to a query with cursor paging (RFC 9865 §2), without its resources, as [`list_response`].
///
/// `next` is the cursor of the next page, and absent on the last page. `total` is absent where counting would need a
/// read of everything, as the RFC allows.
#[must_use]
pub fn cursor_response(total: Option<u64>, next: Option<String>, count: usize) -> Value {
    let mut body = Map::new();
    body.insert("schemas".into(), json!([LIST_RESPONSE_URN]));
    if let Some(total) = total {
        body.insert("totalResults".into(), total.into());
    }
    body.insert("itemsPerPage".into(), count.into());
    if let Some(next) = next {
        body.insert("nextCursor".into(), next.into());
    }
    body.insert("Resources".into(), json!([]));
    body.into()
}

/// Returns the URI of a resource, for `meta.location` and the `Location` header (RFC 7644 §3.3). `base` is the public
/// URL of the service, without a trailing slash.
#[must_use]
pub fn location(base: &str, resource_type: &ResourceType, id: &str) -> String {
    format!("{base}{}/{id}", resource_type.endpoint)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::schema::{GROUP_TYPE, USER_TYPE};

    #[test]
    fn error_status_is_text_and_scim_type_optional() {
        let body = error_body(409, Some(ScimType::Uniqueness), "userName is in use");
        expect![[
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"userName is in use"}"#
        ]]
        .assert_eq(&body.to_string());
        assert_eq!(error_body(401, None, "").get("scimType"), None);
    }

    #[test]
    fn empty_list_has_resources() {
        expect![[
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#
        ]]
        .assert_eq(&list_response(0, 1, 0).to_string());
        for body in [list_response(7, 5, 2), cursor_response(Some(7), Some("c".to_owned()), 2)] {
            assert!(body.to_string().ends_with(r#""Resources":[]}"#), "{body}");
        }
    }

    #[test]
    fn location_joins_base_endpoint_and_id() {
        assert_eq!(
            location("https://x.example/scim/v2", &USER_TYPE, "1"),
            "https://x.example/scim/v2/Users/1"
        );
        assert_eq!(
            location("https://x.example/scim/v2", &GROUP_TYPE, "1"),
            "https://x.example/scim/v2/Groups/1"
        );
    }
}

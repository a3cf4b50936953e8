//! The outcome of one operation of a bulk request.

use axum::{
    http::{
        StatusCode,
        header::{CONTENT_LOCATION, ETAG, LOCATION},
    },
    response::Response,
};
use http_body_util::BodyExt;
use scim::json;
use serde_json::{Map, Value};

use super::operation::Operation;
use crate::limits::BULK_DETAIL_BYTES;

/// The outcome of an operation.
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) version: Option<String>,
    /// The error of a failed operation, else null.
    pub(super) response: Value,
}

impl Outcome {
    /// Reads the answer to the single request. `location` is the resource if the answer names none.
    #[expect(clippy::expect_used, reason = "handlers of this service make the answer")]
    pub(super) async fn of(response: Response, location: Option<String>) -> Self {
        let (parts, body) = response.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = body.collect().await.expect("the answer is in memory").to_bytes();
        Self {
            status: parts.status,
            location: header(LOCATION).or_else(|| header(CONTENT_LOCATION)).or(location),
            version: header(ETAG),
            response: if parts.status.is_success() {
                Value::Null
            } else {
                shortened(json::parse(&bytes).expect("an error of this service is JSON"))
            },
        }
    }

    pub(super) fn is_failure(&self) -> bool {
        !self.status.is_success()
    }

    /// Returns the id of the resource if the operation succeeded.
    pub(super) fn id(&self) -> Option<String> {
        let location = self.location.as_ref().filter(|_| !self.is_failure())?;
        location.rsplit('/').next().map(str::to_owned)
    }

    pub(super) fn add_detail(&mut self, more: &str) {
        if let Some(Value::String(detail)) = self.response.get_mut("detail") {
            detail.push_str(more);
        }
    }

    /// Returns the element of the answer.
    pub(super) fn describe(self, operation: &Operation) -> Value {
        let mut members = Map::new();
        let mut insert =
            |name: &str, value: Option<Value>| value.map(|value| members.insert(name.to_owned(), value));
        insert(
            "method",
            Some(operation.method.as_str()).filter(|method| !method.is_empty()).map(Value::from),
        );
        insert("bulkId", operation.bulk_id.as_deref().map(Value::from));
        insert("location", self.location.map(Value::from));
        insert("version", self.version.map(Value::from));
        insert("status", Some(self.status.as_u16().to_string().into()));
        insert("response", Some(self.response).filter(|response| !response.is_null()));
        Value::Object(members)
    }
}

/// Shortens the detail of an error, which may quote a path of 4,096 characters.
fn shortened(mut response: Value) -> Value {
    if let Some(Value::String(detail)) = response.get_mut("detail") {
        let mut size = 0;
        let end = detail.char_indices().find(|(_, character)| {
            size += enveloped_bytes(*character);
            size > BULK_DETAIL_BYTES
        });
        if let Some((end, _)) = end {
            detail.truncate(end);
            detail.push('…');
        }
    }
    response
}

/// Returns the largest size of a character in Lambda's envelope, in which the body is a JSON string.
fn enveloped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' => 4,
        character if character.is_control() => 7,
        character => character.len_utf8(),
    }
}

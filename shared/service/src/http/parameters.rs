//! The parameters of a request, from the query string of a URL or from a SearchRequest (RFC 7644 §3.4.3).

use axum::{extract::FromRequestParts, http::request::Parts};
use percent_encoding::percent_decode_str;
use scim::{Invalid, ResourceType, message, projection::Projection};
use serde_json::Value;

use crate::{
    App, Error,
    auth::{Caller, Scope},
};

/// The JSON type of an attribute of a SearchRequest.
enum ParameterType {
    Text,
    Names,
    Number,
}

impl ParameterType {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Names => "a list of attribute names",
            Self::Number => "a whole number",
        }
    }
}

/// The attributes of a SearchRequest besides `schemas`.
const SEARCH_PARAMETERS: [(&str, ParameterType); 8] = [
    ("attributes", ParameterType::Names),
    ("excludedAttributes", ParameterType::Names),
    ("filter", ParameterType::Text),
    ("sortBy", ParameterType::Text),
    ("sortOrder", ParameterType::Text),
    ("startIndex", ParameterType::Number),
    ("count", ParameterType::Number),
    ("cursor", ParameterType::Text),
];

/// The parameters of a request as names and decoded values. Unknown parameters (`aadOptscim062020`) are ignored at any
/// position of the query string.
pub(super) struct Parameters(Vec<(String, String)>);

impl FromRequestParts<App> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        Ok(Self::from_query(parts.uri.query().unwrap_or_default())?)
    }
}

impl Parameters {
    /// Reads a query string.
    pub(super) fn from_query(query: &str) -> Result<Self, Invalid> {
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(parameters.collect::<Result<_, _>>()?))
    }

    /// Reads a SearchRequest. Its attributes have the names of query parameters. A list of attribute names becomes the
    /// comma-separated list of a query string.
    pub(super) fn from_search_request(body: &Value) -> Result<Self, Invalid> {
        let Value::Object(attributes) = body else {
            return Err(Invalid::syntax("The body is not a JSON object. Send a SearchRequest."));
        };
        message::check_schemas(attributes, &[message::SEARCH_REQUEST_URN])?;
        let parameters =
            attributes.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, value)| {
                let (known, parameter_type) =
                    SEARCH_PARAMETERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
                let text = match (parameter_type, value) {
                    (ParameterType::Names, Value::Array(names)) => names
                        .iter()
                        .map(Value::as_str)
                        .collect::<Option<Vec<_>>>()
                        .map(|names| names.join(",")),
                    (ParameterType::Number, Value::Number(number)) => Some(number.to_string()),
                    (_, Value::String(text)) => Some(text.clone()),
                    _ => None,
                };
                let wrong_type = || {
                    Invalid::value(format!(
                        "The value of '{known}' in the SearchRequest has the wrong type. Send {}.",
                        parameter_type.as_str()
                    ))
                };
                Some(text.map(|text| ((*known).to_owned(), text)).ok_or_else(wrong_type))
            });
        Ok(Self(parameters.collect::<Result<_, _>>()?))
    }

    /// Returns the value of a parameter, whose name is matched in any case.
    ///
    /// # Errors
    /// `invalidValue` if the parameter occurs more than once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Invalid> {
        let mut values =
            self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Invalid::value(format!(
                "The query parameter '{name}' is given more than once. Send it once."
            ))),
            (value, None) => Ok(value.map(String::as_str)),
        }
    }

    /// Returns a list of attribute names. Some clients repeat the parameter for each name
    /// (`tests/fixtures/other/attributes-given-twice.json`).
    pub(super) fn attribute_names(&self, name: &str) -> Option<String> {
        let values = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.clone()).reduce(|all, value| format!("{all},{value}"))
    }

    /// Returns the value of a parameter as a whole number. A number beyond the range of `i64` becomes the largest one.
    pub(super) fn whole_number(&self, name: &str) -> Result<Option<i64>, Invalid> {
        let Some(text) = self.one(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid::value(format!(
                "The value of the query parameter '{name}' is not a number. Send a whole number."
            )));
        }
        let number = digits.parse::<i64>().unwrap_or(i64::MAX);
        Ok(Some(if negative { -number } else { number }))
    }

    /// Reads `attributes` and `excludedAttributes` (RFC 7644 §3.9).
    pub(super) fn projection(&self, resource_type: &'static ResourceType) -> Result<Projection, Invalid> {
        let (attributes, excluded) =
            (self.attribute_names("attributes"), self.attribute_names("excludedAttributes"));
        Projection::parse(resource_type, attributes.as_deref(), excluded.as_deref())
    }

    /// Reads the same parameters of a write. The answer to a caller that may not read has `schemas`, `id` and `meta` alone.
    pub(super) fn projection_of_write(
        &self,
        resource_type: &'static ResourceType,
        caller: &Caller,
    ) -> Result<Projection, Invalid> {
        let requested = self.projection(resource_type)?;
        Ok(if caller.may(Scope::Read) { requested } else { Projection::identity_of(resource_type) })
    }
}

/// Decodes a name or a value of a query string. Okta sends a space as `%20`, Entra as `+` (`tests/fixtures/okta/`,
/// `tests/fixtures/entra/`).
fn decode(text: &str) -> Result<String, Invalid> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().map(String::from).map_err(|_| {
        Invalid::value("The query string is not valid UTF-8. Percent-encode parameter values as UTF-8.")
    })
}

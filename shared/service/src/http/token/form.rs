//! A token request (RFC 6749 §4.4.2): the form, and the credentials of the client.
//!
//! A client authenticates in exactly one way: with a secret in the Authorization header or in the form (§2.3.1), or with an
//! assertion in the form (RFC 7521 §4.2). Parameters of the URL are not read, because URLs are logged.

use std::collections::BTreeMap;

use axum::{
    extract::Request,
    http::{
        HeaderMap,
        header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;

use super::refusal::TokenError;
use crate::{http::request::collect_body, limits::TOKEN_BODY};

/// The only supported type of assertion (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenRequest {
    /// The id of the client.
    pub(super) client: String,
    /// The proof of the client.
    pub(super) proof: Proof,
    /// The requested scopes, separated by spaces.
    pub(super) scope: Option<String>,
}

/// The proof of a client.
#[derive(PartialEq, Eq)]
pub(super) enum Proof {
    /// A secret.
    Secret(String),
    /// A signed JSON Web Token.
    Assertion(String),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(…)",
            Self::Assertion(_) => "Assertion(…)",
        })
    }
}

impl TokenRequest {
    /// Reads the request.
    pub(super) async fn read(request: Request) -> Result<Self, TokenError> {
        check_form(request.headers())?;
        let header = basic(request.headers())?;
        let body = collect_body(request, TOKEN_BODY).await?;
        Self::parse(header, parameters(&body)?)
    }

    fn parse(
        header: Option<(String, String)>,
        mut form: BTreeMap<String, String>,
    ) -> Result<Self, TokenError> {
        match form.remove("grant_type").as_deref() {
            Some("client_credentials") => {}
            Some(_) => return Err(TokenError::grant()),
            None => {
                return Err(TokenError::request(
                    "The parameter grant_type is absent. Send grant_type=client_credentials in the form.",
                ));
            }
        }
        let scope = form.remove("scope");
        let mut id = form.remove("client_id");
        let secret = form.remove("client_secret");
        let assertion = match (
            form.remove("client_assertion"),
            form.remove("client_assertion_type").as_deref(),
        ) {
            (assertion, Some(JWT_BEARER)) => Some(assertion.ok_or_else(|| {
                TokenError::request(
                    "The parameter client_assertion is absent. Send it with client_assertion_type.",
                )
            })?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(TokenError::request(format!(
                    "The parameter client_assertion_type is absent. Send client_assertion_type={JWT_BEARER}."
                )));
            }
            (_, Some(_)) => {
                return Err(TokenError::client(
                    "assertion-type",
                    format!(
                        "The client_assertion_type is not supported. Send client_assertion_type={JWT_BEARER}."
                    ),
                ));
            }
        };
        if usize::from(header.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some())
            > 1
        {
            return Err(TokenError::request(
                "The request authenticates the client in several ways. Send the secret in the Authorization header or in \
                 the form, or a client_assertion alone.",
            ));
        }
        let proof = match (header, secret, assertion) {
            (Some((client, secret)), ..) => {
                if id.get_or_insert_with(|| client.clone()) != &client {
                    return Err(TokenError::request(
                        "The parameter client_id and the Authorization header name different clients. Send one of them.",
                    ));
                }
                Proof::Secret(secret)
            }
            (None, Some(secret), _) => Proof::Secret(secret),
            (None, None, Some(assertion)) => Proof::Assertion(assertion),
            (None, None, None) => {
                return Err(TokenError::client(
                    "missing",
                    "The request does not authenticate the client. Send the client_id with a client_secret or a \
                     client_assertion.",
                ));
            }
        };
        let client = id.ok_or_else(|| {
            TokenError::request("The parameter client_id is absent. Send the client_id in the form.")
        })?;
        Ok(Self { client, proof, scope })
    }
}

/// Checks that the body is a form without an encoding.
fn check_form(headers: &HeaderMap) -> Result<(), TokenError> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    let essence = first.and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    let is_form = essence
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    if !is_form || second.is_some() {
        return Err(TokenError::request(
            "The Content-Type is not application/x-www-form-urlencoded. Send the parameters as a form.",
        ));
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(TokenError::request("The Content-Encoding is not supported. Send the form without one."));
    }
    Ok(())
}

/// Reads the client and the secret from the Authorization header. Both are encoded as in a form (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => {
            return Err(TokenError::request("The request has more than one Authorization header. Send one."));
        }
    };
    let malformed = || {
        TokenError::client(
            "malformed",
            "The Authorization header is not valid. Send 'Basic' and the Base64 text of client_id:client_secret.",
        )
    };
    let (scheme, credentials) =
        value.to_str().ok().and_then(|value| value.trim().split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let text = BASE64_STANDARD.decode(credentials.trim()).ok().and_then(|text| String::from_utf8(text).ok());
    let text = text.ok_or_else(malformed)?;
    let (client, secret) = text.split_once(':').ok_or_else(malformed)?;
    match (decoded(client), decoded(secret)) {
        (Some(client), Some(secret)) if !client.is_empty() && !secret.is_empty() => {
            Ok(Some((client, secret)))
        }
        _ => Err(malformed()),
    }
}

/// Reads a form. A parameter without a value counts as absent (RFC 6749 §3.2).
fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, TokenError> {
    let not_text = || TokenError::request("The form is not valid UTF-8. Encode the parameters as UTF-8.");
    let body = std::str::from_utf8(body).map_err(|_| not_text())?;
    let mut form = BTreeMap::new();
    for parameter in body.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (decoded(name).ok_or_else(not_text)?, decoded(value).ok_or_else(not_text)?);
        if form.insert(name, value).is_some() {
            return Err(TokenError::request("A parameter occurs more than once. Send each parameter once."));
        }
    }
    form.retain(|_, value| !value.is_empty());
    Ok(form)
}

/// Decodes a text of a form.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(String::from)
}

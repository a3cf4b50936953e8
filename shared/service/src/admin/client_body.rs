//! The bodies of requests and responses of OAuth clients.

use std::collections::BTreeSet;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    fields::{Fields, Refused, end, label, scopes, text},
    request::Fill,
    schema::{ScopeName, moment},
};
use crate::{
    App,
    auth::Scope,
    store::{ClientAuthentication, ClientRecord, MAX_SECRET_LIFETIME, SecretRecord},
    trust::Trust,
};

/// An OAuth client without the texts of its secrets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    /// The id, which is the `client_id` of OAuth.
    #[schema(example = "acme.5a1f0c9e77d2b410")]
    id: String,
    /// The text by which people recognise the client.
    label: Option<String>,
    #[schema(value_type = BTreeSet<ScopeName>)]
    scopes: BTreeSet<Scope>,
    /// When the client was created.
    #[schema(format = DateTime)]
    created: String,
    /// When the client last requested an access token.
    #[schema(format = DateTime)]
    last_used: Option<String>,
    /// The kind of the client that requested it: `okta`, `entra` or `other`.
    last_used_by: Option<String>,
    /// The trust in an identity provider, if the client has no secrets.
    trust: Option<TrustBody>,
    /// The secrets, the oldest first.
    secrets: Vec<ClientSecret>,
}

/// A secret of a client, without its text.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientSecret {
    /// The id.
    id: String,
    /// When the secret was created.
    #[schema(format = DateTime)]
    created: String,
    /// When the secret ends.
    #[schema(format = DateTime)]
    ends: String,
    /// The last four characters of the secret's text.
    last_four: String,
}

/// The trust of a client in an identity provider: the claims that an assertion must have, and the source of its keys.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = Trust)]
pub(super) struct TrustBody {
    /// `iss`: the URL of the identity provider, with https.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    issuer: String,
    /// `aud`.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    audience: String,
    /// `sub`.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    subject: String,
    /// `tid`: the tenant, if it is checked.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    tid: Option<String>,
    /// `azp`: the application that requested the assertion, if it is checked.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    azp: Option<String>,
    /// The URL of the keys, on the host of the issuer. Without it, the discovery document of the issuer names the URL.
    #[schema(min_length = 1, max_length = 512, pattern = "^[!-~]+$")]
    jwks_uri: Option<String>,
}

impl From<Trust> for TrustBody {
    fn from(trust: Trust) -> Self {
        let Trust { issuer, audience, subject, tid, azp, jwks_uri } = trust;
        Self { issuer, audience, subject, tid, azp, jwks_uri }
    }
}

impl From<ClientRecord> for Client {
    fn from(record: ClientRecord) -> Self {
        Self {
            id: record.id,
            label: record.label,
            scopes: record.scopes,
            created: record.created,
            last_used: record.last_used,
            last_used_by: record.last_used_by,
            trust: record.trust.map(TrustBody::from),
            secrets: record.secrets.into_iter().map(ClientSecret::from).collect(),
        }
    }
}

impl From<SecretRecord> for ClientSecret {
    fn from(record: SecretRecord) -> Self {
        let SecretRecord { id, created, ends, last_four, .. } = record;
        Self { id, created, ends, last_four }
    }
}

/// A new client with its first secret, which no later response has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientWithSecret {
    #[serde(flatten)]
    pub(super) record: Client,
    /// The `client_secret` of OAuth, or null if the client has a trust.
    pub(super) client_secret: Option<String>,
}

/// A new secret with its text, which no later response has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretWithText {
    #[serde(flatten)]
    pub(super) record: ClientSecret,
    /// The `client_secret` of OAuth.
    pub(super) client_secret: String,
}

/// A page of OAuth clients, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Clients {
    pub(super) items: Vec<Client>,
    /// The cursor of the next page, or null at the end.
    pub(super) next: Option<String>,
}

/// A client to be created: with a trust, or else with a secret.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewClient)]
pub(super) struct NewClientBody {
    /// The operations that the access tokens of the client may permit.
    #[schema(value_type = BTreeSet<ScopeName>, min_items = 1)]
    pub(super) scopes: BTreeSet<Scope>,
    /// The text by which people recognise the client. It has no control characters.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$"
    )]
    pub(super) label: Option<String>,
    /// When the secret ends: a time in the next three years. The default is a year from now. A client with a trust has no
    /// secret.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "moment")]
    ends: Option<OffsetDateTime>,
    #[schema(nullable = false)]
    trust: Option<TrustBody>,
}

/// A secret to be added to a client.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// When the secret ends: a time in the next three years. The default is a year from now.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "moment")]
    pub(super) ends: Option<OffsetDateTime>,
}

/// Reads an identifier of a trust.
fn identifier(value: serde_json::Value) -> Result<String, Refused> {
    let text = text(value)?;
    if (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(Refused::form(
            "The value does not have 1 to 512 visible ASCII characters. Copy it from the identity provider.",
        ))
    }
}

impl Fill for NewClientBody {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        let now = app.store.clock().now();
        let scopes = fields.required("scopes", scopes);
        let label = fields.optional("label", label);
        let ends = fields.optional("ends", end(now, MAX_SECRET_LIFETIME));
        let trust = fields.object("trust", |trust| {
            let issuer = trust.required("issuer", identifier);
            let audience = trust.required("audience", identifier);
            let subject = trust.required("subject", identifier);
            let tid = trust.optional("tid", identifier);
            let azp = trust.optional("azp", identifier);
            let jwks_uri = trust.optional("jwksUri", identifier);
            Some(Trust { issuer: issuer?, audience: audience?, subject: subject?, tid, azp, jwks_uri })
        });
        let checked = trust.and_then(|trust| match trust.checked() {
            Ok(trust) => Some(trust),
            Err(invalid) => {
                fields.refuse("trust", Refused::meaning(invalid.detail));
                None
            }
        });
        if ends.is_some() && checked.is_some() {
            let detail =
                "A client with a trust has no secret, so no secret ends. Leave out 'ends' or 'trust'.";
            fields.refuse("ends", Refused::meaning(detail));
        }
        Some(Self { scopes: scopes?, label, ends, trust: checked.map(TrustBody::from) })
    }
}

impl Fill for NewSecret {
    fn read(fields: &mut Fields, app: &App) -> Option<Self> {
        Some(Self { ends: fields.optional("ends", end(app.store.clock().now(), MAX_SECRET_LIFETIME)) })
    }
}

impl NewClientBody {
    /// Returns how the client authenticates.
    pub(super) fn authentication(&self) -> ClientAuthentication {
        match &self.trust {
            None => ClientAuthentication::Secret(self.ends),
            Some(TrustBody { issuer, audience, subject, tid, azp, jwks_uri }) => {
                ClientAuthentication::Federation(Trust {
                    issuer: issuer.clone(),
                    audience: audience.clone(),
                    subject: subject.clone(),
                    tid: tid.clone(),
                    azp: azp.clone(),
                    jwks_uri: jwks_uri.clone(),
                })
            }
        }
    }
}

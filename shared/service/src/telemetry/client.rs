//! The kind of a client.

use axum::http::{HeaderMap, Uri, header::USER_AGENT};

/// Returns the identity provider, by the flag that only Entra's tenant URLs have or by the User-Agent: `Okta SCIM Client
/// 1.0.0`, `Microsoft Azure AD SCIM provisioning 1.0.0`. A client may send any User-Agent, so no decision depends on it.
pub(crate) fn client(uri: &Uri, headers: &HeaderMap) -> &'static str {
    const ENTRA_FLAGS: [&str; 2] = ["aadOptscim", "AzureAdScimPatch"];
    let query = uri.query().unwrap_or_default();
    let begins = |parameter: &str, flag: &str| {
        parameter.get(..flag.len()).is_some_and(|start| start.eq_ignore_ascii_case(flag))
    };
    if query.split('&').any(|parameter| ENTRA_FLAGS.iter().any(|flag| begins(parameter, flag))) {
        return "entra";
    }
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent = agent.to_ascii_lowercase();
    if agent.contains("okta") {
        "okta"
    } else if ["azure", "entra", "microsoft"].iter().any(|word| agent.contains(word)) {
        "entra"
    } else {
        "other"
    }
}

//! Forms that create a credential, each once.
//!
//! A browser that loads the answer of a form again sends the form again. Each form has an id, and the secret bytes of the
//! credential are derived from it, so a repeat creates nothing and shows no secret.

use service::{App, Error, store::Repeatable};

use crate::access::Viewer;

/// The label of the derived secret.
const LABEL: &str = "portal forms";
/// The length of the id of a form in bytes.
const BYTES: usize = 16;

/// Returns the id of a new form.
pub(crate) fn new_form(app: &App) -> Result<String, Error> {
    Ok(hex::encode(app.store.entropy().bytes::<BYTES>()?))
}

/// Returns how the store recognises a repeat of a form of this session. A form without an id has no repeats.
pub(crate) async fn repeatable(app: &App, viewer: &Viewer, form: &str) -> Result<Option<Repeatable>, Error> {
    if form.len() != 2 * BYTES || !form.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let secret = app.pepper.peppers().await?.derive(LABEL);
    let organisation = &viewer.organisation;
    let mac = |purpose: &str| {
        let parts = [purpose, viewer.org.as_str(), &organisation.created, &viewer.csrf, form];
        secret.hmac(parts.join("\0").as_bytes())
    };
    Ok(Some(Repeatable { secret: mac("secret"), fingerprint: hex::encode(mac("form")) }))
}

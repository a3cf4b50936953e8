//! The steps for Okta.

use askama::Template;
use axum::response::Response;

use crate::page::{Frame, Refusal, show};

use super::{credential::WizardKey, steps::Steps, verify::Verify};

#[derive(Template)]
#[template(path = "okta.html")]
struct OktaPage<'a> {
    frame: &'a Frame,
    is_enabled: bool,
    /// Whether the page shows a key, which a change of the page would lose.
    has_secret: bool,
    key: WizardKey,
    verify: Verify,
}

/// Returns the page of the steps.
pub(super) async fn page(steps: &Steps<'_>, key: WizardKey) -> Result<Response, Refusal> {
    let (is_enabled, has_secret, verify) = (steps.is_enabled(), key.shown.is_some(), steps.verify().await?);
    Ok(show(&OktaPage { frame: steps.frame, is_enabled, has_secret, key, verify }))
}

//! The key of an identity provider: created with one click, and shown once.

use service::{
    auth::Scope,
    store::{KeyRecord, NewKey},
};
use texts::fill;

use crate::{
    once::{new_form, repeatable},
    page::{Refusal, key_text},
};

use super::steps::Steps;

/// The key in the steps of a provider.
pub(super) struct WizardKey {
    /// The text of a new key, which is shown once.
    pub(super) shown: Option<String>,
    /// The sentence about a key that exists.
    pub(super) exists: Option<String>,
    /// The id of the form that creates a key.
    pub(super) form: String,
}

impl WizardKey {
    /// Returns whether the provider has no key yet.
    pub(super) fn is_first(&self) -> bool {
        self.shown.is_none() && self.exists.is_none()
    }

    /// Returns what the steps show before a key is created. The key of a provider has its name as its label.
    pub(super) async fn read(steps: &Steps<'_>) -> Result<Self, Refusal> {
        let store = &steps.console.app.store;
        let now = store.clock().timestamp()?;
        let is_of_provider = |key: &&KeyRecord| {
            key.is_live(&now)
                && key.scopes.contains(&Scope::Scim)
                && key.label.as_deref() == Some(steps.label())
        };
        let keys = store.keys(&steps.viewer.org).await?;
        let exists = keys.iter().rev().find(is_of_provider);
        let text = steps.frame.t.connection.key_exists;
        let exists = exists.map(|key| fill(text, &[("text", &key_text(key))]));
        Ok(Self { shown: None, exists, form: new_form(&steps.console.app)? })
    }

    /// Creates a key. A repeat of the form creates and shows nothing.
    pub(super) async fn create(steps: &Steps<'_>, form: &str) -> Result<Self, Refusal> {
        let (app, viewer) = (&steps.console.app, steps.viewer);
        let before = app.store.keys(&viewer.org).await?;
        let repeatable = repeatable(app, viewer, form).await?;
        let label = Some(steps.label().to_owned());
        let new = NewKey { scopes: [Scope::Scim].into(), label, ends: None, repeatable };
        let (key, record) = app.store.create_key(&viewer.org, &new, &app.pepper, &viewer.actor()).await?;
        if before.iter().any(|known| known.id == record.id) {
            return Self::read(steps).await;
        }
        Ok(Self { shown: Some(key.reveal().to_owned()), exists: None, form: new_form(app)? })
    }
}

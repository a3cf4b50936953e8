//! The key of an identity provider: created with one click, and shown once.

use service::{
    auth::Scope,
    store::{KeyRecord, NewKey},
};
use texts::fill;

use crate::{
    Console,
    access::Viewer,
    once::{new_form, repeatable},
    page::{Frame, Refusal, key_text},
};

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

    /// Returns what the steps show before a key is created. The label is the name of the provider.
    pub(super) async fn read(
        console: &Console,
        frame: &Frame,
        viewer: &Viewer,
        label: &str,
    ) -> Result<Self, Refusal> {
        let store = &console.app.store;
        let now = store.clock().timestamp()?;
        let is_of_provider = |key: &&KeyRecord| {
            key.is_live(&now) && key.scopes.contains(&Scope::Scim) && key.label.as_deref() == Some(label)
        };
        let keys = store.keys(&viewer.org).await?;
        let exists = keys.iter().rev().find(is_of_provider);
        let exists = exists.map(|key| fill(frame.t.connection.key_exists, &[("text", &key_text(key))]));
        Ok(Self { shown: None, exists, form: new_form(&console.app)? })
    }

    /// Creates a key. A repeat of the form creates and shows nothing.
    pub(super) async fn create(
        console: &Console,
        frame: &Frame,
        viewer: &Viewer,
        (label, form): (&str, &str),
    ) -> Result<Self, Refusal> {
        let app = &console.app;
        let before = app.store.keys(&viewer.org).await?;
        let repeatable = repeatable(app, viewer, form).await?;
        let label_of_key = Some(label.to_owned());
        let new = NewKey { scopes: [Scope::Scim].into(), label: label_of_key, ends: None, repeatable };
        let (key, record) = app.store.create_key(&viewer.org, &new, &app.pepper, &viewer.actor()).await?;
        if before.iter().any(|known| known.id == record.id) {
            return Self::read(console, frame, viewer, label).await;
        }
        Ok(Self { shown: Some(key.reveal().to_owned()), exists: None, form: new_form(app)? })
    }
}

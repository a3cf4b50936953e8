//! A request for the steps of a provider.

use crate::{
    Console,
    access::Viewer,
    page::{Frame, Refusal},
};

use super::verify::{Provider, Since, Verify};

/// The state that the page of a provider's steps needs.
pub(super) struct Steps<'a> {
    pub(super) console: &'a Console,
    pub(super) frame: &'a Frame,
    pub(super) viewer: &'a Viewer,
    pub(super) provider: Provider,
    pub(super) since: Since,
}

impl Steps<'_> {
    /// Returns the name of the provider, which its keys and clients have as their label.
    pub(super) fn label(&self) -> &'static str {
        self.frame.client(self.provider.as_str())
    }

    /// Returns whether the organisation accepts requests.
    pub(super) fn is_enabled(&self) -> bool {
        self.viewer.organisation.enabled
    }

    /// Returns the state of the live check.
    pub(super) async fn verify(&self) -> Result<Verify, Refusal> {
        Verify::read(self.console, self.frame, self.viewer, self.provider, self.since.clone()).await
    }
}

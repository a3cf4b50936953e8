//! The state that handlers share.

use std::sync::Arc;

use crate::{pepper::Pepper, portal::Portal, store::Store};

/// The state of the service. A clone is cheap.
#[derive(Clone)]
pub struct App {
    /// Resources, keys and organisations.
    pub store: Store,
    /// The source of the pepper of key digests.
    pub pepper: Pepper,
    /// The public base URL (`https://…/scim/v2`) for `meta.location`. With `None` the gateway's own domain name from the
    /// request context is used, and never `Host` or a forwarded header.
    pub base_url: Option<String>,
    /// The settings of the owner console.
    pub portal: Arc<Portal>,
}

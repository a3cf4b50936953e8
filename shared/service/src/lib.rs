//! The SCIM service: HTTP on top, the DynamoDB store below, authentication and time beside them.
//!
//! Direction: `http → auth, store → scim`. `http` names no SDK type, `store` names no HTTP type. Clock, randomness
//! and environment are read in one place each ([`clock`], [`entropy`], [`config`]) and passed in through [`App`].

pub mod auth;
pub mod clock;
#[cfg(feature = "cloud")]
pub mod cloud;
pub mod config;
pub mod entropy;
pub mod error;
pub mod http;
pub mod janitor;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod store;
pub mod telemetry;

pub use error::Error;

/// What a handler works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Where resources, keys and organisations are kept.
    pub store: store::Store,
    /// What key digests are made with.
    pub pepper: auth::Pepper,
    /// The public base URL (`https://…/scim/v2`), for `meta.location`. `None`: the gateway's own domain name, taken
    /// from the request context, never from Host or a forwarded header.
    pub base_url: Option<String>,
}

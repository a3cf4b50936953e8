//! The SCIM service: the HTTP endpoints, the DynamoDB store below them, and authentication.
//!
//! # Map
//!
//! | module | purpose |
//! |---|---|
//! | [`app`] | the state that handlers share |
//! | [`http`] | routes, extractors, answers: one file for each endpoint |
//! | [`auth`], [`settings`] | organisations and their settings, scopes, callers |
//! | [`credential`], [`pepper`] | the text of keys and tokens, and the secrets of their digests |
//! | `oauth` | assertions of identity providers, and their keys (feature `oauth`) |
//! | [`trust`] | which assertions of an identity provider prove a client |
//! | [`error`], `sdk_failure` | why a request or a call to AWS failed, for the client and for the log |
//! | `admin` | the management API (feature `admin`) |
//! | [`store`] | resources, memberships and keys in DynamoDB |
//! | `bucket` | the token bucket of an organisation |
//! | [`janitor`] | completes the changes of requests that were killed |
//! | [`announcements`] | announces the ends of credentials |
//! | [`limits`] | the published limits and the division of a request's time |
//! | [`sequencing`] | runs of the sequencer, which moves events to the feeds |
//! | [`event`] | events: the changes of an organisation, as the product hears of them |
//! | [`request_log`] | the log of requests that owners read |
//! | [`portal`] | set-up links and sessions of the owner console |
//! | [`causes`], [`health`] | what to change at the identity provider after an error, and the health of a connection |
//! | `pace` | scheduling points in long loops |
//! | [`telemetry`] | log lines and metrics |
//! | [`clock`], [`entropy`], [`config`] | the only readers of the time, random bytes and the environment |
//! | `cloud` | AWS clients with TLS and credentials (feature `cloud`) |
//! | `lambda` | the Lambda runtime around a router (feature `lambda`) |
//!
//! Dependencies point in one direction: `http → auth, store → scim`. [`http`] names no type of the AWS SDK, and [`store`]
//! names no type of HTTP.
//!
//! # Example
//!
//! A router of all routes:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use service::{
//!     App,
//!     clock::Clock,
//!     config::Tables,
//!     entropy::Entropy,
//!     http,
//!     pepper::{Pepper, Peppers, Secret},
//!     store::Store,
//! };
//!
//! fn router(dynamodb: &aws_sdk_dynamodb::Client, pepper: Vec<u8>) -> axum::Router {
//!     let store = Store::new(dynamodb, Tables::from_env(), Clock::system(), Entropy::system());
//!     let pepper = Pepper::Fixed(Peppers::single(Secret::new(pepper)));
//!     http::router(App { store, pepper, base_url: None, portal: Arc::default() }, http::all())
//! }
//! ```

#[cfg(feature = "admin")]
pub mod admin;
pub mod announcements;
pub mod app;
pub mod auth;
mod bucket;
pub mod causes;
pub mod clock;
#[cfg(feature = "cloud")]
pub mod cloud;
pub mod config;
pub mod credential;
pub mod entropy;
pub mod error;
pub mod event;
pub mod health;
pub mod http;
pub mod janitor;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod limits;
#[cfg(feature = "oauth")]
pub mod oauth;
mod pace;
pub mod pepper;
pub mod portal;
pub mod request_log;
mod sdk_failure;
pub mod sequencing;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod trust;

pub use app::App;
pub use error::Error;

//! The SCIM 2.0 protocol (RFC 7643 and RFC 7644) as pure functions of data.
//!
//! The crate has no I/O, no async code, no clock and no randomness. The caller passes in times and random bytes. Every
//! error that a client can cause is an [`Invalid`], with the `scimType` and the detail of the error response.
//!
//! # Modules
//!
//! A module uses only modules of its own stage or of the stages above it.
//!
//! | stage | modules |
//! |---|---|
//! | Definitions | [`schema`] lists every attribute and its characteristics. [`error`] has the `scimType` values, [`id`] resource ids, [`fold`] caseless comparison. |
//! | JSON | [`json`] parses a body strictly. `value` has operations on JSON values. [`dialect::values`] converts values that clients send in a form of their own. |
//! | Extensions | [`extension`] tells which texts are URNs of extensions, and which attributes they name. |
//! | Syntax | [`parser`] turns text into the trees of [`syntax`]: filters and PATCH paths. |
//! | Lookup | [`lookup`] finds names in the schema. [`filter`] and [`path`] resolve whole trees. |
//! | Documents | [`validate`] brings values into canonical form. [`resource`] holds the result, and renders it. |
//! | Messages | [`message`] has lists, errors and URNs. |
//! | Requests | [`members`] combines changes of the members of a group. `dialect::patch` accepts PATCH requests that differ from the RFC, and `dialect::filter` such filters. [`patch`] changes documents, and [`body`] reads documents of a POST or PUT. [`projection`] selects attributes, and [`sort`] orders resources. |
//! | Discovery | [`discovery`] renders `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas`. [`discovery_schemas`] has the schemas of these documents. |
//!
//! # Examples
//!
//! A client creates a user and then disables the user:
//!
//! ```
//! use scim::{json, patch::Patch, resource::Document, schema::USER_TYPE, syntax::Filter};
//!
//! let body = json::parse(br#"{ "userName": "ada@example.com", "active": true }"#)?;
//! let user = Document::from_request(&USER_TYPE, &body)?;
//!
//! let body = json::parse(br#"{ "Operations": [{ "op": "replace", "path": "active", "value": false }] }"#)?;
//! let user = Patch::parse(&USER_TYPE, &body)?.apply(&user)?;
//! assert_eq!(user.to_stored(), r#"{"userName":"ada@example.com","active":false}"#);
//!
//! let filter = Filter::parse(r#"userName sw "ADA@" and active eq false"#)?.resolve(&USER_TYPE)?;
//! assert!(filter.matches(user.as_map()));
//! # Ok::<(), scim::Invalid>(())
//! ```

pub mod body;
pub mod dialect;
pub mod discovery;
pub mod discovery_schemas;
pub mod error;
pub mod extension;
pub mod filter;
pub mod fold;
pub mod id;
pub mod json;
pub mod lookup;
pub mod members;
pub mod message;
pub mod parser;
pub mod patch;
pub mod path;
pub mod projection;
pub mod resource;
pub mod schema;
pub mod sort;
pub mod syntax;
pub mod validate;
mod value;

pub use error::{Invalid, ScimType};
pub use schema::{ResourceKind, ResourceType};

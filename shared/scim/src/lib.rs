//! The SCIM 2.0 protocol (RFC 7643, RFC 7644), pure: data in, data out.
//!
//! No I/O, no async, no clock, no randomness: whatever depends on those is passed in. Text becomes a syntax tree
//! with positions, the tree is resolved against the schema table once, and only then evaluated.
//! Everything a client can get wrong comes back as [`Invalid`].

pub mod dialect;
pub mod discovery;
pub mod error;
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

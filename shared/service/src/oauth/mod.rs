//! Assertions of identity providers (RFC 7523), and the keys that sign them. Only the token endpoint needs them.
//!
//! `address` says which hosts may be read from, `fetch` reads a document, `key_set` parses keys, `issuer_keys` caches them,
//! `signature` verifies with them, and `assertion` checks an assertion.

mod address;
mod assertion;
mod fetch;
mod issuer_keys;
mod key_set;
mod signature;

pub(crate) use assertion::AssertionError;
pub use assertion::Assertions;
pub use fetch::Reach;
pub(crate) use fetch::SourceFailure;

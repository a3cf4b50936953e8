//! Requests that clients send in a form of their own, and that the service accepts. Each difference from the RFC is
//! one function, which names the recorded exchange that needs it.
//!
//! Both dialects of Microsoft Entra (with and without `aadOptscim062020`) are always accepted, because no request tells
//! reliably which one it is. A form is accepted only if it can mean one thing. Any other form is an error, because a
//! client never repeats a request that was misread but succeeded.
//!
//! Leniency that follows from the RFC, or that holds for every client, is in [`crate::validate`]: names in any case,
//! unknown attributes, null as unassigned, and read-only attributes in bodies.

pub(crate) mod filter;
pub(crate) mod patch;
pub mod values;

#[cfg(test)]
mod tests;

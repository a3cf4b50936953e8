//! What clients send against the RFC, normalized to what it means: one function for each quirk, each citing the recorded
//! exchange that forces it.
//!
//! Both dialects of Microsoft Entra (with and without `aadOptscim062020`) are understood always: nothing in a request
//! tells them apart reliably. A quirk is normalized where it can mean one thing only; what is not understood stays an
//! error, because a client that is told 200 does not try again.
//!
//! Absent on purpose: leniency that is a rule of the RFC or of the whole service rather than of a client (names in any
//! case, unknown attributes, null for nothing, readOnly attributes in bodies): see [`crate::validate`].

pub(crate) mod patch;
pub mod values;

#[cfg(test)]
mod tests;

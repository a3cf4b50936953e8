//! Transfer: an organisation as a file, and a file as an organisation.
//!
//! `TRANSFER.md` describes the file and the promises of both directions. An export is lines of JSON (`record`): the
//! organisation, its users, its groups with their members, and a last line with the numbers. The file has no secret. The
//! order of the lines depends on ids alone, so two exports of the same data have the same bytes.
//!
//! Both directions have a few pages in memory at a time. An export also has 24 bytes for each resource, so that it names no
//! member that it does not contain, and no name twice.

mod export;
mod import;
mod joins;
mod outcome;
mod people;
mod record;
mod resources;

pub use export::ExportError;
pub use import::{Import, ImportError};
pub use outcome::{Imported, Refused};
pub use people::PeopleImport;
pub use record::Tally;

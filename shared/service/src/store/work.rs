//! The work of an operator that holds an organisation.

use super::items::{Item, optional_text};
use crate::{Error, auth::Org};

/// The attribute of an organisation's settings with the work. Not `work`: that is a word of DynamoDB's expressions.
pub(super) const WORK: &str = "heldBy";

/// Work during which an organisation refuses requests. If it is interrupted, the organisation refuses them until the work is
/// done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// An import with ids.
    Import,
    /// The deletion of the organisation, or of its users and groups.
    Deletion,
}

impl Work {
    const ALL: [Self; 2] = [Self::Import, Self::Deletion];

    /// Returns the name of the work.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Deletion => "deletion",
        }
    }

    /// Returns the work that the settings of an organisation name.
    pub(super) fn of(settings: &Item) -> Result<Option<Self>, Error> {
        let unknown = || Error::Internal("an organisation is held by unknown work".to_owned());
        optional_text(settings, WORK)?
            .map(|name| Self::ALL.into_iter().find(|work| work.as_str() == name).ok_or_else(unknown))
            .transpose()
    }

    /// Returns the error for a change of an organisation that this work holds.
    pub(super) fn conflict(self, org: &Org) -> Error {
        let work = self.as_str();
        Error::Conflict(format!(
            "The {work} of the organisation {org} is not done. Run its command again, until it is done."
        ))
    }
}

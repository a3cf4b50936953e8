//! Entries of the request log in words.

use std::collections::BTreeMap;

use scim::{ResourceKind, id::Id};
use serde::Serialize;
use service::{
    Error,
    causes::cause,
    request_log::{Entry, Members, Outcome},
    store::{Directory, Stored},
};
use texts::{Event, Named};

use crate::{attributes::label, clock::Moment, page::Frame};

/// The number of entries on the page of a person or team.
pub(crate) const LATEST: usize = 5;

/// The names of users and groups that exist, by id.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, Name>);

struct Name {
    text: String,
    is_person: bool,
}

impl Names {
    /// Reads the names that the entries do not have, with one or two calls for a hundred of them.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub(crate) async fn of(directory: &Directory, entries: &[Entry]) -> Result<Self, Error> {
        let subjects = entries.iter().filter_map(|entry| {
            let subject = entry.subject.as_ref().filter(|subject| subject.name.is_none())?;
            Some((subject.kind, Id::parse(subject.id.as_ref()?)?))
        });
        // A sentence names three members. The page of one entry names all that the entry has.
        let named = if entries.len() == 1 { usize::MAX } else { 3 };
        let members = entries
            .iter()
            .flat_map(|entry| [&entry.added, &entry.removed])
            .flat_map(|members| members.ids.iter().take(named));
        let members: Vec<Id> = members.filter_map(|id| Id::parse(id)).collect();
        let mut wanted: Vec<(ResourceKind, Id)> = subjects.collect();
        wanted.extend(members.iter().map(|id| (ResourceKind::User, id.clone())));
        let mut found = directory.resources_by_id(wanted.iter().map(|(kind, id)| (*kind, id))).await?;
        // Members that are no users may be groups.
        let others = members.iter().filter(|id| !found.contains_key(*id));
        let groups = directory.resources_by_id(others.map(|id| (ResourceKind::Group, id))).await?;
        found.extend(groups);
        Ok(Self(found.into_values().map(|stored| (stored.id.to_string(), Name::of(&stored))).collect()))
    }

    /// Returns the name of a user or group that exists.
    pub(crate) fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(|name| name.text.as_str())
    }

    /// Returns whether the id is that of a user who exists.
    pub(crate) fn is_person(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|name| name.is_person)
    }
}

impl Name {
    fn of(stored: &Stored) -> Self {
        let document = &stored.document;
        let text = document.user_name().or_else(|| document.display_name()).unwrap_or_default();
        Self { text: text.to_owned(), is_person: document.user_name().is_some() }
    }
}

/// Returns the sentence about a request.
pub(crate) fn sentence(frame: &Frame, entry: &Entry, names: &Names) -> String {
    let unknown = frame.t.sentences.unknown_person;
    let in_words = |members: &Members| -> Vec<String> {
        members.ids.iter().map(|id| names.get(id).unwrap_or(unknown).to_owned()).collect()
    };
    let (added, removed) = (in_words(&entry.added), in_words(&entry.removed));
    let changed: Vec<String> = entry.changed.iter().map(|name| label(&frame.t.directory, name)).collect();
    let subject = entry.subject.as_ref();
    let id = subject.and_then(|subject| subject.id.as_deref());
    let name = subject.and_then(|subject| subject.name.as_deref()).or_else(|| names.get(id?));
    frame.t.sentence(&Event {
        client: &entry.client,
        action: &word(&entry.action),
        cause: cause_of(entry).as_deref(),
        name,
        has_id: id.is_some(),
        changed: &changed,
        added: Named { names: &added, count: entry.added.count },
        removed: Named { names: &removed, count: entry.removed.count },
    })
}

/// Returns the word of the cause if the request failed.
pub(crate) fn cause_of(entry: &Entry) -> Option<String> {
    let detail = entry.detail.as_deref().unwrap_or_default();
    let is_failed = Outcome::of(entry.status) == Outcome::Failed;
    is_failed.then(|| word(&cause(entry.status, entry.scim_type.as_deref(), detail)))
}

/// Returns the word that stands for a value in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// An entry in a list.
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) at: Moment,
    pub(crate) sentence: String,
    pub(crate) is_failed: bool,
    pub(crate) status: u16,
}

/// Returns the entries as lines of a list.
///
/// # Errors
/// As [`Names::of`].
pub(crate) async fn lines(
    frame: &Frame,
    directory: &Directory,
    entries: Vec<Entry>,
) -> Result<Vec<Line>, Error> {
    let names = Names::of(directory, &entries).await?;
    let line = |entry: Entry| Line {
        at: frame.moment(&entry.at),
        sentence: sentence(frame, &entry, &names),
        is_failed: Outcome::of(entry.status) == Outcome::Failed,
        status: entry.status,
        id: entry.id,
    };
    Ok(entries.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use service::causes::TABLE;
    use texts::Language;

    use super::*;

    #[test]
    fn every_cause_has_texts_in_each_language() {
        for language in Language::ALL {
            let texts = language.texts();
            for (_, cause) in TABLE {
                let word = word(cause);
                assert_ne!(texts.cause(&word), texts.cause("unknown"), "{word} in {language:?}");
            }
        }
    }
}

//! Sentences about requests of identity providers, from plain values.

use crate::{Sentences, Texts, fill};

/// The number of members that a sentence names.
const NAMED: usize = 3;
/// The longest name in a sentence, in characters.
const LONGEST: usize = 80;

/// A request, as a sentence tells it.
///
/// ```
/// use texts::{Event, Language, Named};
///
/// let event = Event {
///     client: "entra",
///     action: "members-removed",
///     name: Some("Sales"),
///     removed: Named { names: &["ada@example.com".to_owned()], count: 1 },
///     ..Event::default()
/// };
/// assert_eq!(Language::En.texts().sentence(&event), "Entra removed ada@example.com from Sales");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Event<'a> {
    /// The kind of the client: `okta`, `entra` or `other`.
    pub client: &'a str,
    /// The action, as the request log writes it: `user-created`.
    pub action: &'a str,
    /// The cause if the request failed, as the request log writes it: `name-taken`.
    pub cause: Option<&'a str>,
    /// The name of the user or group.
    pub name: Option<&'a str>,
    /// Whether the id of the user or group is known.
    pub has_id: bool,
    /// The changed attributes, in words.
    pub changed: &'a [String],
    /// The added members.
    pub added: Named<'a>,
    /// The removed members.
    pub removed: Named<'a>,
}

/// The names of the first members, and the number of all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// The names.
    pub names: &'a [String],
    /// The number of all.
    pub count: usize,
}

impl Texts {
    /// Returns the sentence about a request, without a full stop.
    #[must_use]
    pub fn sentence(&self, event: &Event<'_>) -> String {
        let texts = &self.sentences;
        let template = match event.cause {
            Some(_) => failure(texts, event),
            None => success(texts, event),
        };
        let who = match event.client {
            "okta" => texts.okta,
            "entra" => texts.entra,
            _ => texts.other,
        };
        let unknown = if event.has_id { texts.unknown_person } else { texts.some_person };
        let name = event.name.map(readable);
        let person = name.as_deref().unwrap_or(unknown);
        let team = name.as_deref().unwrap_or(texts.unknown_team);
        let (added, removed) = (members(texts, event.added), members(texts, event.removed));
        let attributes = event.changed.join(", ");
        let values = [
            ("who", who),
            ("person", person),
            ("team", team),
            ("added", &added),
            ("removed", &removed),
            ("attributes", &attributes),
        ];
        let sentence = fill(template, &values);
        match event.cause {
            Some(cause) => fill(texts.failed, &[("sentence", &sentence), ("cause", self.cause(cause).0)]),
            None => sentence,
        }
    }

    /// Returns what happened and what to change, for the cause of a failed request.
    #[must_use]
    pub fn cause(&self, cause: &str) -> (&'static str, &'static str) {
        let (name, entries) = (cause.replace('-', "_"), self.causes.entries());
        let mut pairs = entries.chunks_exact(2);
        let found = pairs.find_map(|pair| match pair {
            [(known, what), (_, remedy)] if *known == name => Some((*what, *remedy)),
            _ => None,
        });
        found.unwrap_or((self.causes.unknown, self.causes.unknown_remedy))
    }
}

fn success(texts: &Sentences, event: &Event<'_>) -> &'static str {
    let is_same = event.changed.is_empty();
    let (adds, removes) = (event.added.count > 0, event.removed.count > 0);
    match event.action {
        "user-created" => texts.user_created,
        "user-changed" if is_same => texts.user_same,
        "user-changed" => texts.user_changed,
        "user-deactivated" => texts.user_deactivated,
        "user-reactivated" => texts.user_reactivated,
        "user-deleted" => texts.user_deleted,
        "user-read" => texts.user_read,
        "users-searched" => match event.name {
            None => texts.users_listed,
            Some(_) if event.has_id => texts.user_found,
            // Entra looks for a user that cannot exist.
            Some(name) if event.client == "entra" && is_uuid(name) => texts.tested,
            Some(_) => texts.user_not_found,
        },
        "group-created" if adds => texts.group_created_with,
        "group-created" => texts.group_created,
        "group-changed" if !is_same => texts.group_changed,
        "group-changed" if adds && removes => texts.group_members,
        "group-changed" | "members-added" if adds => texts.members_added,
        "group-changed" | "members-removed" if removes => texts.members_removed,
        "group-changed" | "members-added" | "members-removed" => texts.group_same,
        "group-deleted" => texts.group_deleted,
        "group-read" => texts.group_read,
        "groups-searched" => match event.name {
            None => texts.groups_listed,
            Some(_) if event.has_id => texts.group_found,
            Some(_) => texts.group_not_found,
        },
        "bulk" => texts.bulk,
        "discovery-read" => texts.discovery_read,
        "token-issued" => texts.token_issued,
        _ => texts.something,
    }
}

fn failure(texts: &Sentences, event: &Event<'_>) -> &'static str {
    match event.action {
        "user-created" => texts.not_user_created,
        "user-changed" => texts.not_user_changed,
        "user-deactivated" => texts.not_user_deactivated,
        "user-reactivated" => texts.not_user_reactivated,
        "user-deleted" => texts.not_user_deleted,
        "user-read" => texts.not_user_read,
        "users-searched" => texts.not_users_listed,
        "group-created" => texts.not_group_created,
        "members-added" if event.added.count > 0 => texts.not_members_added,
        "members-removed" if event.removed.count > 0 => texts.not_members_removed,
        "group-changed" | "members-added" | "members-removed" => texts.not_group_changed,
        "group-deleted" => texts.not_group_deleted,
        "group-read" => texts.not_group_read,
        "groups-searched" => texts.not_groups_listed,
        "bulk" => texts.not_bulk,
        "discovery-read" => texts.not_discovery_read,
        "token-issued" => texts.not_token_issued,
        _ => texts.not_something,
    }
}

/// Returns the members in words: `ada, ben, carl and 17 others`.
fn members(texts: &Sentences, members: Named<'_>) -> String {
    let names: Vec<String> = members.names.iter().take(NAMED).map(|name| readable(name)).collect();
    let others = members.count.saturating_sub(names.len());
    match (names.as_slice(), others) {
        ([], 1) => texts.one_member.to_owned(),
        ([], 2..) => fill(texts.members_count, &[("count", &others.to_string())]),
        (names, 1) => fill(texts.one_other, &[("names", &names.join(", "))]),
        ([first @ .., last], 0) if !first.is_empty() => {
            fill(texts.and, &[("first", &first.join(", ")), ("last", last)])
        }
        (names, 0) => names.join(", "),
        (names, others) => {
            fill(texts.others, &[("names", &names.join(", ")), ("count", &others.to_string())])
        }
    }
}

/// Returns a text without characters that are invisible or turn the direction of other text.
#[must_use]
pub fn visible(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars().filter(|c| !c.is_control() && !turns(*c)).collect()
}

/// Returns a name that cannot hide or turn the rest of the sentence, and is not too long.
fn readable(name: &str) -> String {
    let visible = visible(name);
    let mut characters = visible.chars();
    let mut readable: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        readable.push('…');
    }
    readable
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    fn told(event: &Event<'_>) -> [String; 2] {
        Language::ALL.map(|language| language.texts().sentence(event))
    }

    #[test]
    fn every_action_has_a_sentence_without_placeholders() {
        for action in [
            "user-created",
            "user-changed",
            "user-deactivated",
            "user-reactivated",
            "user-deleted",
            "user-read",
            "users-searched",
            "group-created",
            "group-changed",
            "members-added",
            "members-removed",
            "group-deleted",
            "group-read",
            "groups-searched",
            "bulk",
            "discovery-read",
            "token-issued",
            "other",
        ] {
            for cause in [None, Some("name-taken"), Some("no such cause")] {
                for name in [None, Some("ada@example.com")] {
                    for sentence in told(&Event { client: "okta", action, cause, name, ..Event::default() }) {
                        assert!(sentence.starts_with("Okta "), "{sentence}");
                        assert!(!sentence.contains(['{', '}']), "{sentence}");
                    }
                }
            }
        }
    }

    #[test]
    fn failure_names_its_cause() {
        let event = Event {
            client: "okta",
            action: "user-created",
            cause: Some("name-taken"),
            name: Some("ada@example.com"),
            ..Event::default()
        };
        assert_eq!(
            told(&event),
            [
                "Okta could not create ada@example.com: the name is taken",
                "Okta konnte ada@example.com nicht anlegen: der Name ist schon vergeben",
            ]
        );
    }

    #[test]
    fn members_beyond_three_are_counted() {
        let names: Vec<String> = ["ada", "ben", "cy", "dee"].map(str::to_owned).into();
        for (shown, count, text) in [
            (1, 1, "ada"),
            (2, 2, "ada and ben"),
            (3, 3, "ada, ben and cy"),
            (4, 4, "ada, ben, cy and one other"),
            (4, 20, "ada, ben, cy and 17 others"),
            (0, 1, "one member"),
            (0, 3, "3 members"),
        ] {
            let added = Named { names: &names[..shown], count };
            let event = Event {
                client: "entra",
                action: "members-added",
                name: Some("Sales"),
                added,
                ..Event::default()
            };
            assert_eq!(told(&event)[0], format!("Entra added {text} to Sales"));
        }
    }

    #[test]
    fn members_without_names_are_counted() {
        for (count, english, german) in [(1, "one member", "ein Mitglied"), (3, "3 members", "3 Mitglieder")]
        {
            let event = Event {
                client: "okta",
                action: "members-added",
                cause: Some("member-unknown"),
                name: Some("Sales"),
                added: Named { names: &[], count },
                ..Event::default()
            };
            let [in_english, in_german] = told(&event);
            assert_eq!(
                in_english,
                format!("Okta could not add {english} to Sales: a member does not exist here")
            );
            assert_eq!(
                in_german,
                format!("Okta konnte {german} nicht zu Sales hinzufügen: ein Mitglied existiert hier nicht")
            );
        }
    }

    #[test]
    fn search_of_entra_for_a_random_name_is_a_test() {
        let event =
            |name| Event { client: "entra", action: "users-searched", name: Some(name), ..Event::default() };
        assert_eq!(told(&event("6f9619ff-8b86-d011-b42d-00cf4fc964ff"))[0], "Entra tested the connection");
        assert_eq!(
            told(&event("ada@example.com"))[0],
            "Entra looked for ada@example.com, who does not exist here"
        );
    }

    #[test]
    fn hostile_name_stays_a_name() {
        let name = format!("\u{202e}{}\n{{who}}", "a".repeat(500));
        let event = Event { client: "okta", action: "user-deleted", name: Some(&name), ..Event::default() };
        assert_eq!(told(&event)[0], format!("Okta deleted {}…", "a".repeat(80)));
    }
}

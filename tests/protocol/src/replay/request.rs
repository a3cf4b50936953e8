//! Recorded requests and items as actions and items of the protocol.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    expression::{Assignment, Term, condition, scalar, update},
    names::Names,
    table::Members,
};
use crate::{
    action::{Action, Condition, Effect, Slot, Update},
    item::{ChangeKind, Entry, Header, Id, Item, Key, Kind, Member, Part, Resource},
};

/// Attributes of resources that the protocol does not depend on.
const CONTENT: [&str; 8] = ["pk", "sk", "format", "document", "created", "modified", STAMP, COMMIT];
/// The attribute of a resource with the id of its last event.
pub(super) const STAMP: &str = "stamp";
/// The attribute of a group with the id of the change of members that it names as its intent.
pub(super) const COMMIT: &str = "intentEvent";
/// The length of an id as text and as bytes.
const ID_TEXT: usize = 36;
const ID_BYTES: usize = 16;
/// Separates the value of an index entry that is not unique from the id of its resource.
const SEPARATOR: char = '\u{1}';

/// Numbers for the texts of requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    /// Ids of resources, and bounds between them.
    pub(super) ids: Names,
    pub(super) changes: Names,
    versions: Names,
    entries: Names,
}

impl Texts {
    /// Returns the action of a transaction.
    ///
    /// # Errors
    /// The part of the request that the protocol does not know.
    pub(super) fn action(&mut self, action: &Value) -> Result<Action<Members>, String> {
        let (kind, action) =
            action.as_object().and_then(|object| object.iter().next()).ok_or("an empty action")?;
        let values = &action["ExpressionAttributeValues"];
        let mut terms = match action["ConditionExpression"].as_str() {
            Some(expression) => condition(expression, values)?,
            None => Vec::new(),
        };
        // The stamps are those of the events, which the write protocol does not know.
        terms.retain(|term| !is_about_stamp(term));
        let condition = self.condition(&terms)?;
        let key = if kind == "Put" { &action["Item"] } else { &action["Key"] };
        let key = self.key(key, condition == Condition::Absent && kind == "Delete")?;
        let effect = match kind.as_str() {
            "ConditionCheck" => Effect::Check,
            "Delete" => Effect::Delete,
            "Put" => Effect::Put(self.item(key, &action["Item"])?),
            "Update" => {
                let expression = action["UpdateExpression"].as_str().unwrap_or_default();
                Effect::Update(self.update(&update(expression, values)?)?)
            }
            other => return Err(format!("the action {other}")),
        };
        Ok(Action { key, condition, effect })
    }

    /// Returns the key of an item. `uses_up` says that the request deletes an item that must not exist, which uses a token
    /// up.
    pub(super) fn key(&mut self, item: &Value, uses_up: bool) -> Result<Key, String> {
        let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
        let (pk, sk) = (text("pk"), text("sk"));
        let unknown = || format!("the key {pk} / {sk}");
        if uses_up {
            return Ok(Key::Nothing);
        }
        if pk.starts_with("UNFINISHED#") {
            let (_, change) = sk.split_once('#').ok_or_else(unknown)?;
            return Ok(Key::Listed(self.changes.number(change)));
        }
        let rest = pk.strip_prefix("ORG#").and_then(|rest| rest.split_once('#')).ok_or_else(unknown)?.1;
        let (partition, of) = rest.split_once('#').map_or((rest, None), |(name, of)| (name, Some(of)));
        match (partition, of) {
            ("USER", None) => Ok(Key::Resource(Kind::User, self.ids.number(sk))),
            ("GROUP", None) => Ok(Key::Resource(Kind::Group, self.ids.number(sk))),
            ("GROUP", Some(group)) if group.len() == ID_TEXT => {
                Ok(Key::Edge { group: self.ids.number(group), member: self.ids.number(sk) })
            }
            ("USER" | "GROUP", Some(_)) => {
                let number = self.entries.number(&format!("{pk}/{sk}"));
                Ok(Key::Index(Entry { number, unique: !sk.contains(SEPARATOR) }))
            }
            ("MEMBER", None) => {
                let (member, group) = sk.split_once('#').ok_or_else(unknown)?;
                Ok(Key::Reverse { group: self.ids.number(group), member: self.ids.number(member) })
            }
            ("COUNT", None) => Ok(Key::Count(kind(sk.split('#').next().unwrap_or_default())?)),
            ("PENDING", None) => Ok(Key::Header(self.changes.number(sk))),
            ("PENDING", Some(change)) => Ok(Key::Part(self.changes.number(change), self.ids.number(sk))),
            _ => Err(unknown()),
        }
    }

    /// Returns an item of the table.
    pub(super) fn item(&mut self, key: Key, item: &Value) -> Result<Item<Members>, String> {
        Ok(match key {
            Key::Resource(..) => Item::Resource(self.resource(item)?),
            Key::Header(_) => Item::Header(Header {
                kind: match text(item, "kind")?.as_str() {
                    "members" => ChangeKind::Members,
                    "user-deleted" => ChangeKind::Deleted(Kind::User),
                    "group-deleted" => ChangeKind::Deleted(Kind::Group),
                    other => return Err(format!("a change of the kind {other}")),
                },
                subject: self.ids.number(&text(item, "subject")?),
                until: number(item, "lease")?,
                discarded: !item["discarded"].is_null(),
            }),
            Key::Part(..) => Item::Part(Part {
                up_to: scalar(&item["upto"]).map(|bound| self.ids.number(&bound)),
                difference: self.difference(item)?,
                applied: !item["applied"].is_null(),
            }),
            Key::Count(_) => Item::Count(
                scalar(&item["n"])
                    .map_or(Ok(0), |text| text.parse().map_err(|_| format!("the count {text}")))?,
            ),
            Key::Edge { .. } | Key::Reverse { .. } | Key::Index(_) | Key::Listed(_) | Key::Nothing => {
                Item::Plain
            }
        })
    }

    fn resource(&mut self, item: &Value) -> Result<Resource, String> {
        let mut resource =
            Resource { version: self.versions.number(&text(item, "version")?), ..Resource::default() };
        for (name, value) in item.as_object().into_iter().flatten() {
            let value = scalar(value).unwrap_or_default();
            match name.as_str() {
                "version" => {}
                "joins" => resource.joins = value.parse().map_err(|_| format!("joins {value}"))?,
                "intent" => resource.intent = Some(self.changes.number(&value)),
                "reservation" => resource.reservation = Some(self.changes.number(&value)),
                "finished" => resource.finished = Some(self.changes.number(&value)),
                name if CONTENT.contains(&name) => {}
                other => return Err(format!("the attribute {other} of a resource")),
            }
        }
        Ok(resource)
    }

    /// Reads the operations of a part. Each list of ids is their bytes.
    fn difference(&mut self, item: &Value) -> Result<Members, String> {
        let mut members = Members::default();
        for (name, kind) in [("users", Kind::User), ("groups", Kind::Group)] {
            let ids = self.id_list(&item[name])?;
            members.add.extend(ids.into_iter().map(|id| Member { kind, id }));
        }
        members.remove = self.id_list(&item["removed"])?;
        Ok(members)
    }

    fn id_list(&mut self, value: &Value) -> Result<BTreeSet<Id>, String> {
        let Some(text) = value["B"].as_str() else { return Ok(BTreeSet::new()) };
        let bytes = base64(text).ok_or_else(|| format!("the bytes {text}"))?;
        let (ids, rest) = bytes.as_chunks::<ID_BYTES>();
        if !rest.is_empty() {
            return Err(format!("{} bytes of ids", bytes.len()));
        }
        Ok(ids.iter().map(|id| self.ids.number(&id_text(id))).collect())
    }

    fn condition(&mut self, terms: &[Term]) -> Result<Condition, String> {
        let version = |texts: &mut Self, text: &str| texts.versions.number(text);
        let change = |texts: &mut Self, text: &str| texts.changes.number(text);
        let parse = |text: &str| text.parse().map_err(|_| format!("the number {text}"));
        let terms: Vec<(&str, &str, &str)> = terms
            .iter()
            .map(|term| match term {
                Term::Exists(name) => ("exists", name.as_str(), ""),
                Term::Missing(name) => ("missing", name.as_str(), ""),
                Term::Equals(name, value) => ("=", name.as_str(), value.as_str()),
                Term::Differs(name, value) => ("<>", name.as_str(), value.as_str()),
                Term::Below(name, value) => ("<", name.as_str(), value.as_str()),
                Term::MissingOrBelow(name, value) => ("missing or <", name.as_str(), value.as_str()),
            })
            .collect();
        Ok(match terms.as_slice() {
            [] => Condition::Always,
            [("missing", "pk", _)] => Condition::Absent,
            [("exists", "pk" | "version" | "subject", _)] => Condition::Exists,
            [("exists", "version" | "pk", _), ("missing", "intent", _), ("missing", "reservation", _)] => {
                Condition::Free
            }
            [("missing", "reservation", _), ("=", "version", read)] => {
                Condition::Unchanged(version(self, read))
            }
            [("missing", "joins", _), ("missing", "reservation", _), ("=", "version", read)] => {
                Condition::Untouched(version(self, read), 0)
            }
            [("missing", "reservation", _), ("=", "joins", joins), ("=", "version", read)] => {
                Condition::Untouched(version(self, read), parse(joins)?)
            }
            [("=", "reservation", holder)] => Condition::Reserved(change(self, holder)),
            [("=", "reservation", holder), ("=", "version", read)] => {
                Condition::ReservedAt(change(self, holder), version(self, read))
            }
            [("=", "intent", holder)] => Condition::Intends(change(self, holder)),
            [("<>", "intent", holder), ("<>", "reservation", other)] if holder == other => {
                Condition::NotHeldBy(change(self, holder))
            }
            [("exists", "subject", _), ("missing", "discarded", _)] => Condition::Open,
            [("=", "lease", end)] => Condition::Until(parse(end)?),
            [("exists", "pk", _), ("missing", "applied", _)] => Condition::Unapplied,
            other => return Err(format!("the condition {other:?}")),
        })
    }

    fn update(&mut self, assignments: &[Assignment]) -> Result<Update, String> {
        let mut update = Update::default();
        for assignment in assignments {
            match assignment {
                Assignment::Set(name, value) => match name.as_str() {
                    "version" => update.version = Some(self.versions.number(value)),
                    "modified" | STAMP | COMMIT => {}
                    "intent" => update.intent = Slot::Set(self.changes.number(value)),
                    "reservation" => update.reservation = Slot::Set(self.changes.number(value)),
                    "finished" => update.finished = Some(self.changes.number(value)),
                    "discarded" => update.discarded = true,
                    "applied" => update.applied = true,
                    "lease" => update.until = Some(value.parse().map_err(|_| format!("the lease {value}"))?),
                    other => return Err(format!("SET {other}")),
                },
                Assignment::Remove(name) => match name.as_str() {
                    "intent" => update.intent = Slot::Remove,
                    "reservation" => update.reservation = Slot::Remove,
                    COMMIT => {}
                    other => return Err(format!("REMOVE {other}")),
                },
                Assignment::Add(name, value) => match (name.as_str(), value.as_str()) {
                    ("joins", "1") => update.joins = true,
                    ("n", "1") => update.count = 1,
                    ("n", "-1") => update.count = -1,
                    ("gone", _) | ("inactive", "1" | "-1") => {}
                    other => return Err(format!("ADD {other:?}")),
                },
            }
        }
        Ok(update)
    }
}

/// Returns whether the term compares the stamp of a resource.
pub(super) fn is_about_stamp(term: &Term) -> bool {
    matches!(term, Term::Below(name, _) | Term::MissingOrBelow(name, _) if name == STAMP)
}

fn kind(word: &str) -> Result<Kind, String> {
    match word {
        "USER" => Ok(Kind::User),
        "GROUP" => Ok(Kind::Group),
        other => Err(format!("the kind {other}")),
    }
}

fn text(item: &Value, name: &str) -> Result<String, String> {
    scalar(&item[name]).ok_or_else(|| format!("an item without {name}"))
}

fn number(item: &Value, name: &str) -> Result<u64, String> {
    text(item, name)?.parse().map_err(|_| format!("an item with a {name} that is no number"))
}

/// Returns the lower-case hexadecimal digit of a number below 16.
fn hex_digit(number: u8) -> char {
    char::from_digit(u32::from(number), 16).unwrap_or('?')
}

/// Returns an id as text, as sort keys have it.
fn id_text(bytes: &[u8; ID_BYTES]) -> String {
    let mut text = String::with_capacity(ID_TEXT);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 0xF));
    }
    text
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for character in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == character)?;
        buffer = buffer << 6 | u32::try_from(digit).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("AAECAwQ="), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(base64("/+8="), Some(vec![255, 239]));
        assert_eq!(base64("?"), None);
    }
}

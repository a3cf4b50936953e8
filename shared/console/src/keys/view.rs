//! Keys and clients as the templates show them.

use std::collections::BTreeSet;

use service::{
    auth::Scope,
    store::{ClientRecord, KeyRecord, SecretRecord},
    trust::Trust,
};
use texts::fill;
use time::OffsetDateTime;

use crate::{
    clock::Moment,
    page::{Frame, is_soon, key_text},
};

use super::rotation::Rotation;

/// The current time.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) time: OffsetDateTime,
    pub(super) text: &'a str,
}

/// A key.
pub(super) struct KeyView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) text: String,
    pub(super) scopes: String,
    pub(super) created: Moment,
    pub(super) ends: Option<Moment>,
    pub(super) revoked: Option<Moment>,
    pub(super) used: Option<Moment>,
    pub(super) used_by: Option<String>,
    pub(super) state: &'static str,
    pub(super) class: &'static str,
    pub(super) is_live: bool,
}

/// A rotation.
pub(super) struct PairView {
    pub(super) old: KeyView,
    pub(super) new: KeyView,
    /// A sentence about the new key.
    pub(super) news: String,
    /// A sentence about the last use of the old key, which ends with the time.
    pub(super) old_use: Option<(String, Moment)>,
}

/// An OAuth client.
pub(super) struct ClientView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) scopes: String,
    pub(super) created: Moment,
    pub(super) used: Option<Moment>,
    pub(super) used_by: Option<String>,
    pub(super) trust: Option<Trust>,
    pub(super) secrets: Vec<SecretView>,
}

/// A secret of a client.
pub(super) struct SecretView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) ends: Moment,
    pub(super) is_soon: bool,
}

/// Returns the name by which people recognise a key.
pub(super) fn name_of(frame: &Frame, key: &KeyRecord) -> String {
    key.label.clone().unwrap_or_else(|| frame.t.keys.no_label.to_owned())
}

/// Returns the name by which people recognise a client.
pub(super) fn client_name(client: &ClientRecord) -> String {
    client.label.clone().unwrap_or_else(|| client.id.clone())
}

fn scopes_of(frame: &Frame, scopes: &BTreeSet<Scope>) -> String {
    let names =
        frame.scopes().into_iter().filter(|(scope, ..)| scopes.iter().any(|has| has.as_str() == *scope));
    names.map(|(_, name, _)| name).collect::<Vec<_>>().join(", ")
}

impl KeyView {
    pub(super) fn new(frame: &Frame, key: &KeyRecord, now: Now<'_>) -> Self {
        let texts = &frame.t.keys;
        let is_live = key.is_live(now.text);
        let (state, class) = if key.revoked.is_some() {
            (texts.revoked, "bad")
        } else if !is_live {
            (texts.ended, "bad")
        } else if key.ends.as_deref().is_some_and(|ends| is_soon(ends, now.time)) {
            (texts.soon, "warn")
        } else {
            (texts.live, "ok")
        };
        let moment = |stored: &Option<String>| stored.as_deref().map(|stored| frame.moment(stored));
        let by = |client: &String| fill(texts.used_by, &[("client", frame.client(client))]);
        Self {
            id: key.id.clone(),
            name: name_of(frame, key),
            text: key_text(key),
            scopes: scopes_of(frame, &key.scopes),
            created: frame.moment(&key.created),
            ends: moment(&key.ends),
            revoked: moment(&key.revoked),
            used: moment(&key.last_used),
            used_by: key.last_used_by.as_ref().map(by),
            state,
            class,
            is_live,
        }
    }
}

impl PairView {
    pub(super) fn new(frame: &Frame, rotation: &Rotation<'_>, now: Now<'_>) -> Self {
        let Rotation { old, new } = rotation;
        let texts = &frame.t.keys;
        let news = match &new.last_used_by {
            Some(client) => fill(texts.rotation_used, &[("client", frame.client(client))]),
            None => texts.rotation_unused.to_owned(),
        };
        Self {
            old: KeyView::new(frame, old, now),
            new: KeyView::new(frame, new, now),
            news,
            old_use: last_use(frame, old, texts.rotation_old_used),
        }
    }
}

/// Returns the sentence about the last use of a key and its time, if the key was used.
pub(super) fn last_use(frame: &Frame, key: &KeyRecord, text: &'static str) -> Option<(String, Moment)> {
    let client = frame.client(key.last_used_by.as_deref().unwrap_or_default());
    let at = key.last_used.as_deref()?;
    Some((fill(text, &[("client", client)]), frame.moment(at)))
}

impl ClientView {
    pub(super) fn new(frame: &Frame, client: &ClientRecord, now: Now<'_>) -> Self {
        let by = |client: &String| fill(frame.t.keys.used_by, &[("client", frame.client(client))]);
        let live = client.secrets.iter().filter(|secret| secret.is_live(now.text));
        Self {
            id: client.id.clone(),
            name: client_name(client),
            scopes: scopes_of(frame, &client.scopes),
            created: frame.moment(&client.created),
            used: client.last_used.as_deref().map(|used| frame.moment(used)),
            used_by: client.last_used_by.as_ref().map(by),
            trust: client.trust.clone(),
            secrets: live.map(|secret| SecretView::new(frame, secret, now)).collect(),
        }
    }
}

impl SecretView {
    fn new(frame: &Frame, secret: &SecretRecord, now: Now<'_>) -> Self {
        Self {
            id: secret.id.clone(),
            name: fill(frame.t.keys.secret_name, &[("four", &secret.last_four)]),
            ends: frame.moment(&secret.ends),
            is_soon: is_soon(&secret.ends, now.time),
        }
    }
}

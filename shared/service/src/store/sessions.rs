//! Set-up links and sessions of the owner console.
//!
//! Their texts are credentials with 256 random bits. The items have digests under a secret that is derived from the pepper,
//! so a rotation of the pepper ends no session.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    audit::{self, Action, Actor},
    bookmarks::EXPIRES,
    directory::Store,
    items::{Item, optional_text, sort_key, string, text},
    key_range::KeyRange,
    keys::{Keys, LINK_PREFIX, SESSION_PREFIX, SETTINGS, prefix_range},
    orgs::{Organisation, operator_table},
    transaction::{Condition, Transaction},
    work::WORK,
};
use crate::{
    Error,
    auth::Org,
    clock::{parse_timestamp, timestamp},
    credential::{Credential, Kind},
    pepper::{Pepper, Peppers},
    portal::{DIGESTS, Intent, LINK_LIFETIME, Role, SESSION_LIFETIME},
};

const ID: &str = "id";
const ROLE: &str = "role";
const INTENT: &str = "intent";
const CREATED: &str = "created";
const ENDS: &str = "ends";
const ACTOR: &str = "actor";
const RETURN_URL: &str = "returnUrl";

/// The length of the id of a link or a session, in hexadecimal digits.
const ID_DIGITS: usize = 16;

/// A set-up link to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The rights of its session.
    pub role: Role,
    /// The page that it opens.
    pub intent: Intent,
    /// The URL to which the console leads back.
    pub return_url: Option<String>,
}

/// A set-up link or a session, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRecord {
    /// The id of the link, which its session keeps.
    pub id: String,
    /// The rights.
    pub role: Role,
    /// The page that the link opens.
    pub intent: Intent,
    /// When the link was created, or the session began.
    pub created: String,
    /// When it ends.
    pub ends: String,
    /// The operator that created the link.
    pub actor: String,
    /// The URL to which the console leads back.
    pub return_url: Option<String>,
}

/// A session that a link has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedSession {
    /// The text of the session, for the cookie.
    pub text: Credential,
    /// The session.
    pub record: SessionRecord,
}

impl SessionRecord {
    fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("a session is damaged".to_owned());
        Ok(Self {
            id: text(item, ID)?.to_owned(),
            role: Role::parse(text(item, ROLE)?).ok_or_else(damaged)?,
            intent: Intent::parse(text(item, INTENT)?).ok_or_else(damaged)?,
            created: text(item, CREATED)?.to_owned(),
            ends: text(item, ENDS)?.to_owned(),
            actor: text(item, ACTOR)?.to_owned(),
            return_url: optional_text(item, RETURN_URL)?.map(str::to_owned),
        })
    }

    fn to_item(&self) -> Result<Item, Error> {
        let expires = parse_timestamp(&self.ends)?.unix_timestamp().to_string();
        let mut item = Item::from([
            (ID.to_owned(), string(&self.id)),
            (ROLE.to_owned(), string(self.role.as_str())),
            (INTENT.to_owned(), string(self.intent.as_str())),
            (CREATED.to_owned(), string(&self.created)),
            (ENDS.to_owned(), string(&self.ends)),
            (ACTOR.to_owned(), string(&self.actor)),
            (EXPIRES.to_owned(), AttributeValue::N(expires)),
        ]);
        if let Some(url) = &self.return_url {
            item.insert(RETURN_URL.to_owned(), string(url));
        }
        Ok(item)
    }

    fn is_live(&self, now: OffsetDateTime) -> Result<bool, Error> {
        Ok(parse_timestamp(&self.ends)? > now)
    }
}

impl Store {
    /// Creates a set-up link, and returns its text with its record. Returns `None` if the organisation does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn create_link(
        &self,
        org: &Org,
        NewLink { role, intent, return_url }: NewLink,
        pepper: &Pepper,
        actor: &Actor,
    ) -> Result<Option<(Credential, SessionRecord)>, Error> {
        let link = Credential::generate(Kind::Link, org, &self.entropy)?;
        let digest = digest(&link, &pepper.peppers().await?);
        let now = self.clock.now();
        let record = SessionRecord {
            id: digest.chars().take(ID_DIGITS).collect(),
            role,
            intent,
            created: timestamp(now)?,
            ends: timestamp(now + LINK_LIFETIME)?,
            actor: actor.as_str().to_owned(),
            return_url,
        };
        let mut transaction = Transaction::new();
        transaction.check(Keys::settings(org), not_held(), ());
        transaction.put(Keys::link(org, &digest), record.to_item()?, Condition::absent(), ());
        let action = Action { org, actor, name: "link.create", target: &record.id };
        audit::record(&mut transaction, self, &action, (&(), &record), ())?;
        let is_created = transaction.send(&operator_table(self)).await?.is_ok();
        Ok(is_created.then_some((link, record)))
    }

    /// Uses a link, and starts its session. Returns `None` if the link is unknown, used or expired, or its organisation has
    /// been deleted.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn start_session(
        &self,
        link: &Credential,
        peppers: &Peppers,
        deadline: Instant,
    ) -> Result<Option<StartedSession>, Error> {
        if link.kind() != Kind::Link {
            return Ok(None);
        }
        let org = link.org();
        let table = self.key_table(deadline);
        let key = Keys::link(org, &digest(link, peppers));
        let Some(item) = table.get(&key).await? else { return Ok(None) };
        let of_link = SessionRecord::from_item(&item)?;
        let now = self.clock.now();
        if !of_link.is_live(now)? {
            return Ok(None);
        }
        let session = Credential::generate(Kind::Session, org, &self.entropy)?;
        let record =
            SessionRecord { created: timestamp(now)?, ends: timestamp(now + SESSION_LIFETIME)?, ..of_link };
        let mut transaction = Transaction::new();
        // If two requests use the same link, one of them finds it absent.
        transaction.delete(key, Condition::exists(), ());
        transaction.check(Keys::settings(org), not_held(), ());
        let key = Keys::session(org, &digest(&session, peppers));
        transaction.put(key, record.to_item()?, Condition::absent(), ());
        let actor = Actor::new(&record.actor);
        let action = Action { org, actor: &actor, name: "session.start", target: &record.id };
        audit::record(&mut transaction, self, &action, (&(), &record), ())?;
        let is_started = transaction.send(&table).await?.is_ok();
        Ok(is_started.then_some(StartedSession { text: session, record }))
    }

    /// Returns the session with its organisation, by one call. Returns `None` if the session is unknown, revoked or expired,
    /// or its organisation has been deleted.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn session(
        &self,
        session: &Credential,
        peppers: &Peppers,
        deadline: Instant,
    ) -> Result<Option<(SessionRecord, Organisation)>, Error> {
        if session.kind() != Kind::Session {
            return Ok(None);
        }
        let org = session.org();
        let wanted = [Keys::session(org, &digest(session, peppers)), Keys::settings(org)];
        let (mut record, mut organisation) = (None, None);
        for item in &self.key_table(deadline).get_all(&wanted).await? {
            if sort_key(item)? == SETTINGS {
                organisation = Some(Organisation::from_item(item)?);
            } else {
                record = Some(SessionRecord::from_item(item)?);
            }
        }
        let Some((record, organisation)) = record.zip(organisation) else { return Ok(None) };
        Ok(record.is_live(self.clock.now())?.then_some((record, organisation)))
    }

    /// Returns the live sessions of an organisation, in no order.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn sessions(&self, org: &Org) -> Result<Vec<SessionRecord>, Error> {
        let found = self.session_items(org, SESSION_PREFIX).await?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// Ends the session of that id, or the link if it is not used yet. Returns whether it existed.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn end_session(&self, org: &Org, id: &str, actor: &Actor) -> Result<bool, Error> {
        let sessions = self.session_items(org, SESSION_PREFIX).await?;
        let links = self.session_items(org, LINK_PREFIX).await?;
        let Some((sk, record)) = sessions.into_iter().chain(links).find(|(_, record)| record.id == id) else {
            return Ok(false);
        };
        let mut transaction = Transaction::new();
        transaction.delete(Keys::organisation(org).key(sk), Condition::exists(), ());
        let action = Action { org, actor, name: "session.end", target: id };
        audit::record(&mut transaction, self, &action, (&record, &()), ())?;
        Ok(transaction.send(&operator_table(self)).await?.is_ok())
    }

    /// Returns the sort key and the record of each live session, or of each live link.
    async fn session_items(&self, org: &Org, prefix: &str) -> Result<Vec<(String, SessionRecord)>, Error> {
        let partition = Keys::organisation(org);
        let range = KeyRange::between(&partition, prefix_range(prefix));
        let now = self.clock.now();
        let mut found = Vec::new();
        for item in &operator_table(self).query_all(range).await? {
            let record = SessionRecord::from_item(item)?;
            if record.is_live(now)? {
                found.push((sort_key(item)?.to_owned(), record));
            }
        }
        Ok(found)
    }
}

/// Returns the condition that the organisation exists and no deletion or import holds it. A deletion would not see the item.
fn not_held() -> Condition {
    Condition::exists().and(&format!("attribute_not_exists({WORK})"))
}

fn digest(credential: &Credential, peppers: &Peppers) -> String {
    hex::encode(peppers.derive(DIGESTS).hmac(credential.reveal().as_bytes()))
}

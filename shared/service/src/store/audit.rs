//! The audit log: one entry for each action of management, written in the transaction of the action.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{
    bookmarks::EXPIRES,
    directory::Store,
    items::{Item, number, sort_key, string, text},
    key_range::KeyRange,
    keys::{AFTER_IDS, BEFORE_IDS, Keys},
    outbox::{self, Outgoing},
    transaction::{Condition, Transaction},
};
use crate::{
    Error,
    auth::Org,
    clock::{timestamp, unix_millis},
    event::{Author, Authorship, Change, EventId},
    limits::REQUEST_BUDGET,
};

/// The time for which an entry is kept.
pub const AUDIT_RETENTION: Duration = Duration::from_hours(400 * 24);

const AT: &str = "at";
const ACTOR: &str = "actor";
const ACTION: &str = "action";
const TARGET: &str = "target";
const BEFORE: &str = "before";
const AFTER: &str = "after";

/// The person or program that carries out an action of management, such as `scimctl:ada` or the ARN of an IAM user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor(String);

impl Actor {
    /// The longest name in characters.
    const MAX: usize = 200;

    /// Returns the actor of this name, without control characters and shortened to 200 characters.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.chars().filter(|c| !c.is_control()).take(Self::MAX).collect())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Its id. Ids sort by time.
    pub id: String,
    /// When the action was carried out.
    pub at: String,
    /// By whom.
    pub actor: String,
    /// The action, such as `key.create`.
    pub action: String,
    /// The id of the changed credential, or the name of the organisation.
    pub target: String,
    /// The state before, or null if the action created the target.
    pub before: Value,
    /// The state after, or null if the action deleted the target.
    pub after: Value,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The elements.
    pub items: Vec<T>,
    /// The position after which the next page begins, or `None` at the end.
    pub next: Option<String>,
}

/// An action of management: its actor, its name and its target.
pub(super) struct Action<'a> {
    pub(super) org: &'a Org,
    pub(super) actor: &'a Actor,
    pub(super) name: &'static str,
    pub(super) target: &'a str,
}

/// Adds the entry of an action to its transaction, and its event. `before` and `after` contain no secrets.
pub(super) fn record<G: Copy>(
    transaction: &mut Transaction<G>,
    store: &Store,
    action: &Action<'_>,
    (before, after): (&impl Serialize, &impl Serialize),
    guard: G,
) -> Result<(), Error> {
    let Action { org, actor, name, target } = action;
    let now = store.clock.now();
    let at = timestamp(now)?;
    let json = |value: Result<String, serde_json::Error>| {
        value
            .map(AttributeValue::S)
            .map_err(|_| Error::Internal("an entry of the audit log is not JSON".to_owned()))
    };
    let expires = (now + AUDIT_RETENTION).unix_timestamp();
    let item = Item::from([
        (AT.to_owned(), string(&at)),
        (ACTOR.to_owned(), string(actor.as_str())),
        (ACTION.to_owned(), string(name)),
        (TARGET.to_owned(), string(target)),
        (BEFORE.to_owned(), json(serde_json::to_string(before))?),
        (AFTER.to_owned(), json(serde_json::to_string(after))?),
        (EXPIRES.to_owned(), AttributeValue::N(expires.to_string())),
    ]);
    let id = store.entropy.id(now)?;
    transaction.put(Keys::audit(org).key(id.as_str()), item, Condition::absent(), guard);
    let state = |state: Result<Value, serde_json::Error>| {
        state.map_err(|_| Error::Internal("the state of an action is not JSON".to_owned()))
    };
    let (before, after) = (state(serde_json::to_value(before))?, state(serde_json::to_value(after))?);
    let author = Author { credential: actor.as_str().to_owned(), client: "operator".to_owned() };
    // The second half of the id is random.
    let random = id.to_bytes().into_iter().skip(8).fold(0, |number, byte| number << 8 | u64::from(byte));
    let event = EventId::after(None, unix_millis(now), random);
    let outgoing = Outgoing { org, id: &event, by: &Authorship { author, request: None, at } };
    outbox::put(store, transaction, &outgoing, Change::of_action(name, target, &before, &after), guard)
}

impl Store {
    /// Writes the entry of an action that is more than one transaction, such as a repair, after it is done.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn record_action(
        &self,
        org: &Org,
        actor: &Actor,
        name: &'static str,
        result: &impl Serialize,
    ) -> Result<(), Error> {
        let mut transaction = Transaction::new();
        let action = Action { org, actor, name, target: org.as_str() };
        record(&mut transaction, self, &action, (&(), result), ())?;
        transaction.send(&self.key_table(Instant::now() + REQUEST_BUDGET)).await.map(|_| ())
    }

    /// Returns a page of the audit log, the newest entry first. `after` is the `next` of the page before.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn audit(
        &self,
        org: &Org,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<AuditEntry>, Error> {
        let partition = Keys::audit(org);
        let now = self.clock.now().unix_timestamp();
        let start = after.map(|id| partition.key(id).attributes());
        let range = KeyRange::between(&partition, (BEFORE_IDS.to_owned(), AFTER_IDS.to_owned()))
            .after(start)
            .limit(limit)
            .backward(true);
        let page = self.key_table(Instant::now() + REQUEST_BUDGET).query(range).await?;
        let next = match (&page.next, page.items.last()) {
            (Some(_), Some(last)) => Some(sort_key(last)?.to_owned()),
            _ => None,
        };
        let mut items = Vec::with_capacity(page.items.len());
        for item in &page.items {
            // DynamoDB deletes expired items some days late.
            if number(item, EXPIRES)? > now {
                items.push(AuditEntry::from_item(item)?);
            }
        }
        Ok(Page { items, next })
    }
}

impl AuditEntry {
    fn from_item(item: &Item) -> Result<Self, Error> {
        let json = |name| {
            serde_json::from_str(text(item, name)?)
                .map_err(|_| Error::Internal("an entry of the audit log is damaged".to_owned()))
        };
        Ok(Self {
            id: sort_key(item)?.to_owned(),
            at: text(item, AT)?.to_owned(),
            actor: text(item, ACTOR)?.to_owned(),
            action: text(item, ACTION)?.to_owned(),
            target: text(item, TARGET)?.to_owned(),
            before: json(BEFORE)?,
            after: json(AFTER)?,
        })
    }
}

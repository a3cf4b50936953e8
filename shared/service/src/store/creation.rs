//! The creation of an organisation.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    audit::{self, Action, Actor},
    bookmarks::EXPIRES,
    directory::Store,
    items::{Item, optional_number, string, text},
    keys::{Keys, PK},
    orgs::{CREATED, ENABLED, GENERATION, Organisation, operator_table, read_org},
    transaction::{Condition, Transaction},
};
use crate::{Error, auth::Org, settings::Settings};

/// The attribute of a request with the name of the organisation that it created.
const ORG: &str = "org";
/// The time for which a repeat of the request returns the organisation.
const REPEATABLE_SECONDS: i64 = 24 * 60 * 60;

/// A condition of the transaction that creates an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// The organisation does not exist.
    Absent,
    /// The generation of new organisations is the one that was read.
    Generation,
    /// No request of the same name has created an organisation.
    Request,
}

/// The outcome of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    /// The organisation is new.
    New,
    /// A request of the same name has created it before.
    Repeated,
    /// It exists already.
    Exists,
}

impl Store {
    /// Creates an organisation with SCIM enabled. Returns `false` if it exists already.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn create_org(&self, org: &Org, actor: &Actor) -> Result<bool, Error> {
        Ok(self.create_org_once(org, None, actor).await?.is_some())
    }

    /// Creates an organisation with SCIM enabled, and returns it. A repeat of the request of that name returns it too, for a
    /// day. Returns `None` if another request has created it.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyUsed`] if the request of that name has created another organisation, [`Error::Unavailable`],
    /// [`Error::Throttled`].
    pub async fn create_org_once(
        &self,
        org: &Org,
        request: Option<&str>,
        actor: &Actor,
    ) -> Result<Option<Organisation>, Error> {
        let organisation = Organisation {
            org: org.clone(),
            enabled: true,
            created: self.clock.timestamp()?,
            settings: Settings::default(),
            generation: 0,
            work: None,
        };
        match put_org(self, &organisation, &Item::new(), request, actor).await? {
            Creation::New => Ok(Some(organisation)),
            Creation::Repeated => read_org(&operator_table(self), org).await,
            Creation::Exists => Ok(None),
        }
    }
}

/// Adds the item of a request that creates something in the organisation to its transaction, on condition that no request of
/// the last day has the same name.
pub(super) fn put_request<G>(
    transaction: &mut Transaction<G>,
    store: &Store,
    org: &Org,
    request: &str,
    guard: G,
) {
    let now = store.clock.now().unix_timestamp();
    let item = Item::from([
        (ORG.to_owned(), string(org.as_str())),
        (EXPIRES.to_owned(), AttributeValue::N((now + REPEATABLE_SECONDS).to_string())),
    ]);
    // DynamoDB deletes expired items some days late.
    let unused = Condition::expression(format!("attribute_not_exists({PK}) OR {EXPIRES} <= :now"));
    transaction.put(Keys::creation(request), item, unused.with_number(":now", now), guard);
}

/// Checks that no request of the last day has that name.
///
/// # Errors
/// [`Error::IdempotencyKeyUsed`], [`Error::Unavailable`], [`Error::Throttled`].
pub(super) async fn check_unused(store: &Store, request: &str) -> Result<(), Error> {
    let item = operator_table(store).get(&Keys::creation(request)).await?;
    let expires = item.map_or(Ok(None), |item| optional_number(&item, EXPIRES))?;
    match expires {
        Some(expires) if expires > store.clock.now().unix_timestamp() => Err(Error::IdempotencyKeyUsed),
        _ => Ok(()),
    }
}

/// Puts the settings of a new organisation, and `more` attributes.
pub(super) async fn put_org(
    store: &Store,
    organisation: &Organisation,
    more: &Item,
    request: Option<&str>,
    actor: &Actor,
) -> Result<Creation, Error> {
    let (table, org) = (operator_table(store), &organisation.org);
    loop {
        let latest = table.get(&Keys::latest_generation()).await?;
        let generation = latest.map_or(Ok(None), |item| optional_number(&item, GENERATION))?;
        let mut item = Item::from([
            (ENABLED.to_owned(), AttributeValue::Bool(organisation.enabled)),
            (CREATED.to_owned(), string(&organisation.created)),
        ]);
        item.extend(more.clone());
        let mut same_generation = Condition::expression(format!("attribute_not_exists({GENERATION})"));
        if let Some(generation) = generation {
            item.insert(GENERATION.to_owned(), AttributeValue::N(generation.to_string()));
            same_generation = Condition::expression(format!("{GENERATION} = :generation"))
                .with_number(":generation", generation);
        }
        let mut transaction = Transaction::new();
        transaction.put(Keys::settings(org), item, Condition::absent(), Guard::Absent);
        // A rotation of the pepper visits the organisations that exist when it begins.
        transaction.check(Keys::latest_generation(), same_generation, Guard::Generation);
        let action = Action { org, actor, name: "org.create", target: org.as_str() };
        audit::record(&mut transaction, store, &action, (&(), organisation), Guard::Generation)?;
        if let Some(request) = request {
            put_request(&mut transaction, store, org, request, Guard::Request);
        }
        let Err(failed) = transaction.send(&table).await? else { return Ok(Creation::New) };
        if let Some(used) = failed.iter().find(|condition| condition.guard == Guard::Request) {
            let created = used.item.as_ref().map(|item| text(item, ORG)).transpose()?;
            return match created {
                Some(name) if name == org.as_str() => Ok(Creation::Repeated),
                _ => Err(Error::IdempotencyKeyUsed),
            };
        }
        if failed.iter().any(|condition| condition.guard == Guard::Absent) {
            return Ok(Creation::Exists);
        }
    }
}

//! Organisations, in the table of keys.

use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;

use super::{
    audit::{self, Action, Actor, Page},
    directory::Store,
    items::{Item, optional_number, text},
    keys::{Keys, ORG_PREFIX, PK, SETTINGS},
    scan::scan_sort_key,
    table::Table,
    transaction::{Condition, Transaction},
    work::{WORK, Work},
};
use crate::{Error, auth::Org, limits::REQUEST_BUDGET, settings::Settings};

pub(super) const ENABLED: &str = "enabled";
pub(super) const CREATED: &str = "created";
/// The latest generation of the digests of the organisation's credentials.
pub(super) const GENERATION: &str = "generation";
const TOKEN_MINUTES: &str = "tokenMinutes";
const RATE: &str = "rate";
const BURST: &str = "burst";
const AT_ONCE: &str = "atOnce";
/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Organisation {
    /// Its name.
    pub org: Org,
    /// Whether SCIM is enabled.
    pub enabled: bool,
    /// When it was created.
    pub created: String,
    /// Its settings.
    pub settings: Settings,
    /// The latest generation of the digests of its credentials.
    #[serde(skip)]
    pub generation: u32,
    /// The work that holds the organisation, if any does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
}

/// A change of an organisation. A `None` leaves its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrgChange {
    /// Whether SCIM is enabled.
    pub enabled: Option<bool>,
    /// The settings.
    pub settings: Option<Settings>,
}

impl Store {
    /// Returns every organisation, sorted by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn orgs(&self) -> Result<Vec<Organisation>, Error> {
        let (items, _) = scan_sort_key(&operator_table(self), SETTINGS, usize::MAX, None).await?;
        let mut orgs = items.iter().map(Organisation::from_item).collect::<Result<Vec<_>, _>>()?;
        orgs.sort_unstable_by(|a, b| a.org.cmp(&b.org));
        Ok(orgs)
    }

    /// Returns a page of organisations in the order of the table. `after` is the `next` of the page before.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn orgs_page(&self, limit: usize, after: Option<&Org>) -> Result<Page<Organisation>, Error> {
        let after = after.map(|org| Keys::settings(org).attributes());
        let (items, more) = scan_sort_key(&operator_table(self), SETTINGS, limit, after).await?;
        let orgs = items.iter().map(Organisation::from_item).collect::<Result<Vec<_>, _>>()?;
        let next = orgs.last().filter(|_| more).map(|last| last.org.to_string());
        Ok(Page { items: orgs, next })
    }

    /// Returns the organisation of that name.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn org(&self, org: &Org) -> Result<Option<Organisation>, Error> {
        read_org(&operator_table(self), org).await
    }

    /// Changes an organisation, and returns it as it is then. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a setting is out of range, [`Error::Conflict`] if an import or a deletion is not done,
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn change_org(
        &self,
        org: &Org,
        change: OrgChange,
        actor: &Actor,
    ) -> Result<Option<Organisation>, Error> {
        self.change_org_by(org, |_| change, actor).await
    }

    /// Changes an organisation like [`Self::change_org`]. The change depends on the organisation as it is.
    ///
    /// # Errors
    /// As [`Self::change_org`].
    pub async fn change_org_by(
        &self,
        org: &Org,
        change: impl Fn(&Organisation) -> OrgChange,
        actor: &Actor,
    ) -> Result<Option<Organisation>, Error> {
        let table = operator_table(self);
        loop {
            let Some(before) = read_org(&table, org).await? else { return Ok(None) };
            if let Some(work) = before.work {
                return Err(work.conflict(org));
            }
            let change = change(&before);
            change.settings.map_or(Ok(()), |settings| settings.check())?;
            let after = Organisation {
                enabled: change.enabled.unwrap_or(before.enabled),
                settings: change.settings.unwrap_or(before.settings),
                ..before.clone()
            };
            if after == before {
                return Ok(Some(after));
            }
            let mut transaction = Transaction::new();
            let (expression, values) = after.update();
            let unchanged = before.unchanged();
            transaction.update(Keys::settings(org), expression, values, unchanged, ());
            let action = Action { org, actor, name: "org.change", target: org.as_str() };
            audit::record(&mut transaction, self, &action, (&before, &after), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok(Some(after));
            }
        }
    }
}

impl Organisation {
    /// Reads the item of an organisation's settings.
    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("the settings of an organisation cannot be read".to_owned());
        let name = text(item, PK)?.strip_prefix(ORG_PREFIX).ok_or_else(damaged)?;
        let default = Settings::default();
        let setting = |name, default| match optional_number(item, name)? {
            None => Ok(default),
            Some(value) => u32::try_from(value).map_err(|_| damaged()),
        };
        Ok(Self {
            org: Org::from_str(name).map_err(|_| damaged())?,
            enabled: item.get(ENABLED).and_then(|value| value.as_bool().ok()).copied().ok_or_else(damaged)?,
            created: text(item, CREATED)?.to_owned(),
            settings: Settings {
                token_minutes: setting(TOKEN_MINUTES, default.token_minutes)?,
                rate: setting(RATE, default.rate)?,
                burst: setting(BURST, default.burst)?,
                at_once: setting(AT_ONCE, default.at_once)?,
            },
            generation: setting(GENERATION, 0)?,
            work: Work::of(item)?,
        })
    }

    /// Returns the attributes of the settings.
    pub(super) fn settings_item(&self) -> Item {
        let number = |number: u32| AttributeValue::N(number.to_string());
        let Settings { token_minutes, rate, burst, at_once } = self.settings;
        let named = [(TOKEN_MINUTES, token_minutes), (RATE, rate), (BURST, burst), (AT_ONCE, at_once)];
        named.into_iter().map(|(name, value)| (name.to_owned(), number(value))).collect()
    }

    /// Returns the expression that stores what a change may change, and its values.
    fn update(&self) -> (String, Vec<(&'static str, AttributeValue)>) {
        let number = |number: u32| AttributeValue::N(number.to_string());
        let expression = format!(
            "SET {ENABLED} = :enabled, {TOKEN_MINUTES} = :minutes, {RATE} = :rate, {BURST} = :burst, {AT_ONCE} = :atOnce"
        );
        let Settings { token_minutes, rate, burst, at_once } = self.settings;
        let values = vec![
            (":enabled", AttributeValue::Bool(self.enabled)),
            (":minutes", number(token_minutes)),
            (":rate", number(rate)),
            (":burst", number(burst)),
            (":atOnce", number(at_once)),
        ];
        (expression, values)
    }

    /// Returns the condition that the item is as it was read, so that the audit log has the true state before.
    fn unchanged(&self) -> Condition {
        let default = Settings::default();
        let Settings { token_minutes, rate, burst, at_once } = self.settings;
        let mut condition =
            Condition::exists().and(&format!("{ENABLED} = :wasEnabled AND attribute_not_exists({WORK})"));
        condition = condition.with_bool(":wasEnabled", self.enabled);
        for (name, value, was, default) in [
            (TOKEN_MINUTES, token_minutes, ":wasMinutes", default.token_minutes),
            (RATE, rate, ":wasRate", default.rate),
            (BURST, burst, ":wasBurst", default.burst),
            (AT_ONCE, at_once, ":wasAtOnce", default.at_once),
        ] {
            let expression = if value == default {
                format!("(attribute_not_exists({name}) OR {name} = {was})")
            } else {
                format!("{name} = {was}")
            };
            condition = condition.and(&expression).with_number(was, value.into());
        }
        condition
    }
}

/// Returns the organisation of that name.
pub(super) async fn read_org(table: &Table, org: &Org) -> Result<Option<Organisation>, Error> {
    table.get(&Keys::settings(org)).await?.as_ref().map(Organisation::from_item).transpose()
}

/// Returns the table of keys for an operator, whose commands have no deadline of their own.
pub(super) fn operator_table(store: &Store) -> Table {
    store.key_table(Instant::now() + REQUEST_BUDGET)
}

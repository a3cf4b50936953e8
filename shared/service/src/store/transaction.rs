//! Transactions: actions, each with a guard that says what it means when its condition fails.
//!
//! `CancellationReasons` are always read: only `ConditionalCheckFailed` says something about the data. The SDK does not
//! repeat after conflicts and throttling, so this file repeats with back-off until the deadline. Every repeat carries the
//! `ClientRequestToken` of the first: a repeat after a lost answer does nothing twice.

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        Update,
    },
};

use super::{
    items::Item,
    keys::{Key, PK},
    sdk_error::{failed, malformed},
    table::{Backoff, Table},
};
use crate::Error;

/// The largest number of actions in a TransactWriteItems.
pub(super) const MAX_ACTIONS: usize = 100;

/// Actions that DynamoDB carries out as one, each with a guard `G` that is returned if its condition fails.
pub(super) struct Transaction<G> {
    actions: Vec<(Action, G)>,
}

/// One action.
enum Action {
    Put {
        key: Key,
        item: Item,
        condition: Option<Condition>,
    },
    Update {
        key: Key,
        expression: String,
        values: Vec<(&'static str, AttributeValue)>,
        condition: Option<Condition>,
    },
    Delete {
        key: Key,
        condition: Option<Condition>,
    },
    Check {
        key: Key,
        condition: Condition,
    },
}

/// A condition in DynamoDB's expression language, and the values that it names.
#[derive(Clone)]
pub(super) struct Condition {
    expression: String,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Condition {
    pub(super) fn exists() -> Self {
        Self::expression(format!("attribute_exists({PK})"))
    }

    pub(super) fn absent() -> Self {
        Self::expression(format!("attribute_not_exists({PK})"))
    }

    pub(super) fn expression(expression: impl Into<String>) -> Self {
        Self { expression: expression.into(), values: Vec::new() }
    }

    /// Adds another expression that must hold too.
    pub(super) fn and(self, expression: &str) -> Self {
        Self { expression: format!("({}) AND {expression}", self.expression), ..self }
    }

    /// Adds a value that the expression names as `:name`.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.values.push((name, AttributeValue::S(value.to_owned())));
        self
    }

    /// Adds a number that the expression names as `:name`.
    pub(super) fn with_number(mut self, name: &'static str, number: i64) -> Self {
        self.values.push((name, AttributeValue::N(number.to_string())));
        self
    }
}

/// A condition that failed: its guard, and the item as it is.
#[derive(Debug)]
pub(super) struct FailedCondition<G> {
    pub(super) guard: G,
    pub(super) item: Option<Item>,
}

impl<G> Transaction<G> {
    pub(super) fn new() -> Self {
        Self { actions: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    pub(super) fn put(&mut self, key: Key, item: Item, condition: impl Into<Option<Condition>>, guard: G) {
        self.actions.push((Action::Put { key, item, condition: condition.into() }, guard));
    }

    pub(super) fn update(
        &mut self,
        key: Key,
        expression: impl Into<String>,
        values: Vec<(&'static str, AttributeValue)>,
        condition: impl Into<Option<Condition>>,
        guard: G,
    ) {
        let action =
            Action::Update { key, expression: expression.into(), values, condition: condition.into() };
        self.actions.push((action, guard));
    }

    pub(super) fn delete(&mut self, key: Key, condition: impl Into<Option<Condition>>, guard: G) {
        self.actions.push((Action::Delete { key, condition: condition.into() }, guard));
    }

    pub(super) fn check(&mut self, key: Key, condition: Condition, guard: G) {
        self.actions.push((Action::Check { key, condition }, guard));
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.actions.append(&mut other.actions);
    }
}

impl<G: Clone> Transaction<G> {
    /// Sends the transaction. Returns the conditions that failed, if any: then nothing was written.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer, or other writers keep winning.
    pub(super) async fn send(self, table: &Table) -> Result<Result<(), Vec<FailedCondition<G>>>, Error> {
        let mut guards = Vec::with_capacity(self.actions.len());
        let mut actions = Vec::with_capacity(self.actions.len());
        for (action, guard) in self.actions {
            actions.push(action.build(&table.name)?);
            guards.push(guard);
        }
        // One token for every repeat, by this service and by the SDK: DynamoDB carries the transaction out once,
        // whichever answer was lost.
        let token = table.entropy.id(table.clock.now())?;
        let mut backoff = Backoff::new(table);
        loop {
            let write = table.db.transact_write_items().client_request_token(token.as_str());
            let sent = write.set_transact_items(Some(actions.clone())).send().await;
            let Err(error) = sent else { return Ok(Ok(())) };
            match Cancelled::from_error(&error, &guards) {
                Cancelled::Conditions(failed) => return Ok(Err(failed)),
                Cancelled::Repeat => backoff.wait().await?,
                Cancelled::Failed(error) => return Err(error),
            }
        }
    }
}

/// The reaction to a transaction that was not carried out.
enum Cancelled<G> {
    /// Conditions failed.
    Conditions(Vec<FailedCondition<G>>),
    /// It met another writer or a limit of throughput.
    Repeat,
    Failed(Error),
}

impl<G: Clone> Cancelled<G> {
    fn from_error(error: &SdkError<TransactWriteItemsError, HttpResponse>, guards: &[G]) -> Self {
        let reasons = match error {
            SdkError::ServiceError(service) => match service.err() {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    cancelled.cancellation_reasons()
                }
                other => {
                    return match other.code() {
                        Some("TransactionConflictException" | "TransactionInProgressException") => {
                            Self::Repeat
                        }
                        _ => Self::Failed(failed(error)),
                    };
                }
            },
            _ => return Self::Failed(failed(error)),
        };
        let conditions: Vec<_> = reasons
            .iter()
            .zip(guards)
            .filter(|(reason, _)| reason.code() == Some("ConditionalCheckFailed"))
            .map(|(reason, guard)| FailedCondition { guard: guard.clone(), item: reason.item.clone() })
            .collect();
        if !conditions.is_empty() {
            return Self::Conditions(conditions);
        }
        let is_repeatable = |code: &str| {
            matches!(
                code,
                "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" | "None"
            )
        };
        match reasons.iter().filter_map(|reason| reason.code()).find(|code| !is_repeatable(code)) {
            Some(code) => {
                Self::Failed(Error::Internal(format!("DynamoDB cancelled a transaction with {code}")))
            }
            None => Self::Repeat,
        }
    }
}

impl Action {
    fn build(self, table: &str) -> Result<TransactWriteItem, Error> {
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        let built = match self {
            Self::Put { key, item: mut attributes, condition } => {
                attributes.extend(key.attributes());
                let (expression, values) = split(condition);
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(attributes))
                    .set_condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(old);
                item.put(put.build().map_err(|_| malformed())?)
            }
            Self::Update { key, expression, values, condition } => {
                let (condition, condition_values) = split(condition);
                let mut update = Update::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .update_expression(expression)
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(condition_values)
                    .return_values_on_condition_check_failure(old);
                for (name, value) in values {
                    update = update.expression_attribute_values(name, value);
                }
                item.update(update.build().map_err(|_| malformed())?)
            }
            Self::Delete { key, condition } => {
                let (expression, values) = split(condition);
                let delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(old);
                item.delete(delete.build().map_err(|_| malformed())?)
            }
            Self::Check { key, condition } => {
                let (expression, values) = split(Some(condition));
                let check = ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(old);
                item.condition_check(check.build().map_err(|_| malformed())?)
            }
        };
        Ok(built.build())
    }
}

fn split(condition: Option<Condition>) -> (Option<String>, Option<Item>) {
    match condition {
        None => (None, None),
        Some(Condition { expression, values }) => {
            let values: Item = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            (Some(expression), (!values.is_empty()).then_some(values))
        }
    }
}

//! Transactions: actions, each with what it means when its condition is the one that fails.
//!
//! `CancellationReasons` are always read: only `ConditionalCheckFailed` says something about the data. Conflicts and
//! throttling are repeated with back-off inside the request's budget, since the SDK does not repeat them. Every repeat
//! carries the `ClientRequestToken` of the first, so that one after a lost answer does nothing twice.

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
    Directory,
    items::Item,
    keys::{Key, PK},
    wire::{Backoff, failed, malformed},
};
use crate::Error;

/// What TransactWriteItems takes.
pub(super) const MAX_ACTIONS: usize = 100;

/// Actions to be carried out as one, each with a meaning `M` that comes back if its condition fails.
pub(super) struct Transaction<M> {
    actions: Vec<(Action, M)>,
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

/// A condition, in DynamoDB's expression language, and the values it names.
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

    /// The value an expression names, as `:name`.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.values.push((name, AttributeValue::S(value.to_owned())));
        self
    }
}

/// A condition that did not hold: what it meant, and the item as it is.
#[derive(Debug)]
pub(super) struct Refusal<M> {
    pub(super) meaning: M,
    pub(super) item: Option<Item>,
}

impl<M: Clone> Transaction<M> {
    pub(super) fn new() -> Self {
        Self { actions: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.actions.len()
    }

    pub(super) fn put(&mut self, key: Key, item: Item, condition: impl Into<Option<Condition>>, meaning: M) {
        self.actions.push((Action::Put { key, item, condition: condition.into() }, meaning));
    }

    pub(super) fn update(
        &mut self,
        key: Key,
        expression: impl Into<String>,
        values: Vec<(&'static str, AttributeValue)>,
        condition: impl Into<Option<Condition>>,
        meaning: M,
    ) {
        let action =
            Action::Update { key, expression: expression.into(), values, condition: condition.into() };
        self.actions.push((action, meaning));
    }

    pub(super) fn delete(&mut self, key: Key, condition: impl Into<Option<Condition>>, meaning: M) {
        self.actions.push((Action::Delete { key, condition: condition.into() }, meaning));
    }

    pub(super) fn check(&mut self, key: Key, condition: Condition, meaning: M) {
        self.actions.push((Action::Check { key, condition }, meaning));
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.actions.append(&mut other.actions);
    }
}

impl Directory {
    /// Carries the transaction out, or says which conditions did not hold. Nothing is written then.
    pub(super) async fn transact<M: Clone>(
        &self,
        transaction: Transaction<M>,
    ) -> Result<Result<(), Vec<Refusal<M>>>, Error> {
        let table = &self.store.tables.resources;
        let mut meanings = Vec::with_capacity(transaction.actions.len());
        let mut actions = Vec::with_capacity(transaction.actions.len());
        for (action, meaning) in transaction.actions {
            actions.push(action.build(table)?);
            meanings.push(meaning);
        }
        // One token for every repeat, ours and the SDK's: whatever answer was lost, it is carried out once.
        let token = self.store.entropy.id(self.store.clock.now())?;
        let mut backoff = Backoff::until(self.deadline);
        loop {
            let write = self.store.db.transact_write_items().client_request_token(token.as_str());
            let sent = write.set_transact_items(Some(actions.clone())).send().await;
            let Err(error) = sent else { return Ok(Ok(())) };
            match cancelled(&error, &meanings) {
                Cancelled::Refused(refusals) => return Ok(Err(refusals)),
                Cancelled::Repeat => backoff.wait(&self.store).await?,
                Cancelled::Failed(error) => return Err(error),
            }
        }
    }
}

enum Cancelled<M> {
    Refused(Vec<Refusal<M>>),
    Repeat,
    Failed(Error),
}

fn cancelled<M: Clone>(
    error: &SdkError<TransactWriteItemsError, HttpResponse>,
    meanings: &[M],
) -> Cancelled<M> {
    let reasons = match error {
        SdkError::ServiceError(service) => match service.err() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                cancelled.cancellation_reasons()
            }
            other => {
                return match other.code() {
                    Some("TransactionConflictException" | "TransactionInProgressException") => {
                        Cancelled::Repeat
                    }
                    _ => Cancelled::Failed(failed(error)),
                };
            }
        },
        _ => return Cancelled::Failed(failed(error)),
    };
    let refusals: Vec<_> = reasons
        .iter()
        .zip(meanings)
        .filter(|(reason, _)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(reason, meaning)| Refusal { meaning: meaning.clone(), item: reason.item.clone() })
        .collect();
    if !refusals.is_empty() {
        return Cancelled::Refused(refusals);
    }
    let repeatable = |code: &str| {
        matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" | "None")
    };
    match reasons.iter().filter_map(|reason| reason.code()).find(|code| !repeatable(code)) {
        Some(code) => {
            Cancelled::Failed(Error::Internal(format!("DynamoDB cancelled a transaction with {code}")))
        }
        None => Cancelled::Repeat,
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

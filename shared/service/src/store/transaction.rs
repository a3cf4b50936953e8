//! Transactions: actions, each with a guard that says what it means when its condition fails.

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};

use super::{
    attempts::{is_failed_condition, transact},
    items::Item,
    keys::{Key, PK},
    sdk_error::malformed,
    table::Table,
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
        /// The table, if it is not that of the other actions.
        table: Option<String>,
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

    /// Adds a value of any type that the expression names as `:name`.
    pub(super) fn with_value(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.values.push((name, value));
        self
    }

    /// Adds a boolean that the expression names as `:name`.
    pub(super) fn with_bool(mut self, name: &'static str, value: bool) -> Self {
        self.values.push((name, AttributeValue::Bool(value)));
        self
    }

    /// Returns the expression and its values.
    pub(super) fn into_parts(self) -> (String, Vec<(&'static str, AttributeValue)>) {
        (self.expression, self.values)
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
        self.actions.push((Action::Put { table: None, key, item, condition: condition.into() }, guard));
    }

    /// Adds a put without a condition in another table.
    pub(super) fn put_in(&mut self, table: &str, key: Key, item: Item, guard: G) {
        self.actions.push((Action::Put { table: Some(table.to_owned()), key, item, condition: None }, guard));
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

    /// Sends the transaction. Returns the conditions that failed, if any: then nothing was written, and nothing will be.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer, or other writers keep winning. The
    /// transaction may still be carried out.
    pub(super) async fn send(self, table: &Table) -> Result<Result<(), Vec<FailedCondition<G>>>, Error> {
        let Some(partition) = self.actions.first().map(|(action, _)| action.key().pk.clone()) else {
            return Ok(Ok(()));
        };
        let mut guards = Vec::with_capacity(self.actions.len());
        let mut actions = Vec::with_capacity(self.actions.len());
        for (action, guard) in self.actions {
            actions.push(action.build(&table.name)?);
            guards.push(guard);
        }
        let Err(reasons) = transact(table, &partition, &actions).await? else { return Ok(Ok(())) };
        let failed = reasons.into_iter().zip(guards).filter(|(reason, _)| is_failed_condition(reason));
        Ok(Err(failed.map(|(reason, guard)| FailedCondition { guard, item: reason.item }).collect()))
    }
}

impl Action {
    fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. }
            | Self::Update { key, .. }
            | Self::Delete { key, .. }
            | Self::Check { key, .. } => key,
        }
    }

    fn build(self, table: &str) -> Result<TransactWriteItem, Error> {
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        let built = match self {
            Self::Put { table: other, key, item: mut attributes, condition } => {
                attributes.extend(key.attributes());
                let (expression, values) = split(condition);
                let put = Put::builder()
                    .table_name(other.as_deref().unwrap_or(table))
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
